//! `oxkeeper backup verify` and `list`: what is in a backup, and whether all of it is as it was written.

use std::path::Path;

use super::data_dir::follows;
use super::error::BackupError;
use super::folder::{FIELD_MAX, sum};
use super::manifest::{Chain, LogFile, Manifest, SnapshotFile};
use super::when;
use crate::storage::OsDisk;
use crate::storage::snapshot::stream::SnapBody;
use crate::storage::txnlog::{End, LogReader, Step};
use jute::txn::LoggedTxn;

/// Reads every file of a backup and returns what is wrong, one sentence each; nothing of it is kept in memory.
///
/// # Errors
/// If there is no backup to verify.
pub fn verify(folder: &Path) -> Result<Vec<String>, BackupError> {
    let manifest = read(folder)?;
    let mut problems = Vec::new();
    for chain in &manifest.chains {
        let dir = chain.dir(folder);
        for snapshot in &chain.snapshots {
            if let Err(error) = check_snapshot(&dir, snapshot) {
                problems.push(error.to_string());
            }
        }
        let mut last = chain.base();
        for log in &chain.logs {
            let found = check_log(&dir, log);
            if let Err(error) = found {
                problems.push(error.to_string());
            }
            if log.first_zxid > last && !follows(log.first_zxid, last) {
                problems.push(format!(
                    "{}: begins at {}, and what is before it ends at {last}",
                    dir.join(&log.file).display(),
                    log.first_zxid
                ));
            }
            last = last.max(log.last_zxid);
        }
    }
    Ok(problems)
}

/// The manifest of a folder that has to have one.
///
/// # Errors
/// If it has none.
pub fn read(folder: &Path) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(folder)?.filter(|manifest| !manifest.chains.is_empty());
    manifest.ok_or_else(|| BackupError::Nothing {
        path: folder.to_path_buf(),
        what: "there is no backup in this folder (no manifest.json with a finished run)".into(),
    })
}

/// Refuses a file that is not of the size and checksum that the manifest says.
///
/// # Errors
/// If it is damaged, or cannot be read.
pub fn check_sum(path: &Path, bytes: u64, sha256: &str) -> Result<(), BackupError> {
    let damaged = |what: String| BackupError::Damaged {
        path: path.to_path_buf(),
        what,
    };
    let (found, sum) = sum(path)?;
    if found != bytes {
        return Err(damaged(format!("{found} bytes, not {bytes}")));
    }
    match sum == sha256 {
        true => Ok(()),
        false => Err(damaged("its checksum is another one".into())),
    }
}

fn check_snapshot(dir: &Path, snapshot: &SnapshotFile) -> Result<(), BackupError> {
    let path = dir.join(&snapshot.file);
    check_sum(&path, snapshot.bytes, &snapshot.sha256)?;
    let body = SnapBody::open(&OsDisk, &path, FIELD_MAX);
    match body.and_then(SnapBody::written_at) {
        Ok(_) => Ok(()),
        Err(error) => Err(BackupError::Damaged {
            path,
            what: error.to_string(),
        }),
    }
}

fn check_log(dir: &Path, log: &LogFile) -> Result<(), BackupError> {
    let path = dir.join(&log.file);
    check_sum(&path, log.bytes, &log.sha256)?;
    let damaged = |what: String| BackupError::Damaged {
        path: path.clone(),
        what,
    };
    let mut reader = LogReader::open(&OsDisk, &path)?;
    let (mut records, mut last) = (0, None);
    loop {
        match reader.step()? {
            Step::Record(record) => {
                let gap =
                    last.is_some_and(|last| record.zxid > last && !follows(record.zxid, last));
                if gap {
                    return Err(damaged(format!(
                        "records are missing before {}",
                        record.zxid
                    )));
                }
                LoggedTxn::read(record.payload)
                    .map_err(|error| damaged(format!("{}: {error}", record.zxid)))?;
                last = last.max(Some(record.zxid));
                records += 1;
            }
            Step::End(End::Torn { what, .. }) => return Err(damaged(what)),
            Step::End(End::Clean { .. }) => break,
        }
    }
    match records == log.records && last == Some(log.last_zxid) {
        true => Ok(()),
        false => Err(damaged(format!(
            "{records} records up to {last:?}, not {} up to {}",
            log.records, log.last_zxid
        ))),
    }
}

/// What a backup holds, for a person.
pub fn describe(manifest: &Manifest) -> String {
    let mut text = String::new();
    for chain in &manifest.chains {
        text.push_str(&describe_chain(chain));
    }
    if let Some(run) = manifest.runs.last() {
        text.push_str(&format!(
            "last addition at {} from {}\n",
            run.at, run.source
        ));
    }
    text
}

fn describe_chain(chain: &Chain) -> String {
    let reach = match chain.earliest() {
        Some(first) => format!("restorable from {first} to {}", chain.last()),
        None => format!("restorable to {}", chain.last()),
    };
    let times = match (
        chain.logs.first(),
        chain.logs.iter().map(|log| log.last_time_ms).max(),
    ) {
        (Some(first), Some(last)) => format!(
            "{} to {}",
            when::show(first.first_time_ms),
            when::show(last)
        ),
        _ => "no transactions behind the snapshot".to_owned(),
    };
    format!(
        "chain {}: {reach}\n  begun because: {}\n  times     {times}\n  snapshots {}, records {}, files {} bytes\n  \
         from      {}\n",
        chain.folder,
        chain.why,
        chain.snapshots.len(),
        chain.records(),
        chain.bytes(),
        chain.source
    )
}
