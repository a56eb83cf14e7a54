//! One run of `oxkeeper backup`: goes on with the newest chain, or begins another one.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::data_dir::{self, Continues, Position};
use super::error::BackupError;
use super::folder::{Folder, Segments, current};
use super::manifest::{Chain, LogFile, Run};
use super::when;
use crate::base::Zxid;
use crate::storage::Dirs;

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The chain that was begun, with the reason; None if one was continued.
    pub begun: Option<(String, String)>,
    /// Where the backup ended before.
    pub from: Option<Zxid>,
    /// Where it ends now.
    pub upto: Zxid,
    /// Records that were added.
    pub records: u64,
    /// Bytes that were added.
    pub bytes: u64,
}

/// Adds to the backup in `folder` what the data folders hold beyond it. They are only read, whether a server runs on
/// them or not.
///
/// # Errors
/// What is in the way; the backup is then what it was.
pub fn from_data_dir(folder: &Path, dirs: &Dirs, full: bool) -> Result<Report, BackupError> {
    let mut folder = Folder::open(folder)?;
    for attempt in 1.. {
        match attempt_data_dir(&mut folder, dirs, full) {
            Err(error) if attempt < data_dir::ATTEMPTS && data_dir::may_pass(&error) => {
                tracing::debug!("reading again: {error}");
                std::thread::sleep(data_dir::PAUSE);
            }
            other => return other,
        }
    }
    unreachable!("the last attempt returned")
}

fn attempt_data_dir(folder: &mut Folder, dirs: &Dirs, full: bool) -> Result<Report, BackupError> {
    folder.tidy()?;
    data_dir::refuse_interrupted(dirs)?;
    let from = current(&folder.manifest).map(Chain::last);
    let mut addition = Addition::new(dirs.data.display().to_string());
    addition.accepted_epoch = data_dir::accepted_epoch(dirs);
    let why = match current(&folder.manifest) {
        None => "the first backup".to_owned(),
        Some(_) if full => "a full backup was asked for".to_owned(),
        Some(chain) => match data_dir::continues(dirs, &Position::of(chain), Zxid(i64::MAX))? {
            Continues::No(why) => why,
            Continues::Yes => {
                let mut segments = Segments::new(chain.dir(&folder.path));
                data_dir::copy_log(dirs, chain.last(), &mut segments)?;
                addition.logs = segments.finish()?;
                return addition.commit(folder, from);
            }
        },
    };
    let name = folder.next_chain();
    let dir = folder.chain_dir(&name)?;
    let replaced_at = crate::storage::install::received(&crate::storage::OsDisk, dirs)?;
    let snapshot = data_dir::copy_snapshot(dirs, &dir)?;
    let mut segments = Segments::new(dir);
    let end = data_dir::copy_log(dirs, snapshot.zxid, &mut segments)?;
    if snapshot.holds_upto > Some(end) {
        return Err(BackupError::moving(
            &dirs.log,
            format!(
                "the log ends at {end}, and the snapshot {} holds something of what is behind it",
                snapshot.file
            ),
        ));
    }
    addition.logs = segments.finish()?;
    addition.chain = Some(Chain {
        folder: name,
        why,
        source: addition.source.clone(),
        replaced_at,
        snapshots: vec![snapshot],
        logs: Vec::new(),
    });
    addition.commit(folder, from)
}

/// What a run adds; its files are durable.
pub struct Addition {
    /// A new chain, with its snapshot.
    pub chain: Option<Chain>,
    /// Log files for the new chain, or the newest.
    pub logs: Vec<LogFile>,
    /// Where it came from.
    pub source: String,
    /// What the source has promised.
    pub accepted_epoch: Option<i64>,
}

impl Addition {
    /// Nothing yet.
    pub fn new(source: String) -> Addition {
        Addition {
            chain: None,
            logs: Vec::new(),
            source,
            accepted_epoch: None,
        }
    }

    /// Says so in the manifest; without anything new it stays as it is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn commit(self, folder: &mut Folder, from: Option<Zxid>) -> Result<Report, BackupError> {
        let mut manifest = folder.manifest.clone();
        let begun = self.chain.as_ref();
        let begun = begun.map(|chain| (chain.folder.clone(), chain.why.clone()));
        let mut bytes: u64 = self.logs.iter().map(|log| log.bytes).sum();
        let records = self.logs.iter().map(|log| log.records).sum();
        if let Some(chain) = self.chain {
            bytes += chain.bytes();
            manifest.chains.push(chain);
        }
        let Some(chain) = manifest.chains.last_mut() else {
            return Err(BackupError::Nothing {
                path: PathBuf::from(&self.source),
                what: "there is nothing to back up".into(),
            });
        };
        let is_new = begun.is_some() || !self.logs.is_empty();
        chain.logs.extend(self.logs);
        let (upto, chain) = (chain.last(), chain.folder.clone());
        let accepted = self.accepted_epoch.unwrap_or(0).max(upto.epoch().0);
        let knows_more = accepted > manifest.accepted_epoch;
        manifest.accepted_epoch = manifest.accepted_epoch.max(accepted);
        if is_new {
            manifest.note(Run {
                at: when::show(now_ms()),
                chain,
                source: self.source,
                upto,
                records,
                bytes,
            });
        }
        if is_new || knows_more {
            folder.commit(manifest)?;
        }
        Ok(Report {
            begun,
            from,
            upto,
            records,
            bytes,
        })
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
