//! Reads the data folder of a server, running or not, without disturbing it.
//!
//! A running server writes the end of its newest log, begins new files and removes old ones, all at any time. So what
//! does not fit is looked at again; only what stays as it is counts as damage.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::BackupError;
use super::folder::{Output, Segments, finish_snapshot};
use super::manifest::{Chain, SnapshotFile};
use crate::base::Zxid;
use crate::storage::txnlog::{End, LogReader, Step};
use crate::storage::{self, Dirs, Disk, OsDisk, StorageError, install, snapshot};

/// Whether a chain can be continued from a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Continues {
    /// Yes.
    Yes,
    /// No, for this reason.
    No(String),
}

/// Where a backup ends, and what is known of that place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last transaction it has.
    pub last: Zxid,
    /// Adler-32 of that record's payload, if it ends with a record.
    pub checksum: Option<u32>,
    /// The source's newest snapshot that took the place of its history, when the chain was begun.
    pub replaced_at: Option<Zxid>,
}

impl Position {
    /// The end of `chain`.
    pub fn of(chain: &Chain) -> Position {
        Position {
            last: chain.last(),
            checksum: chain.last_checksum(),
            replaced_at: chain.replaced_at,
        }
    }
}

/// Tries before what does not fit counts as damage.
pub const ATTEMPTS: u32 = 10;

/// Pause between two of them.
pub const PAUSE: Duration = Duration::from_millis(200);

/// Whether an error may be gone when it is looked at again.
pub fn may_pass(error: &BackupError) -> bool {
    match error {
        BackupError::Moving { .. } => true,
        BackupError::Storage(StorageError::Io { error, .. }) | BackupError::Io { error, .. } => {
            error.kind() == std::io::ErrorKind::NotFound
        }
        BackupError::Storage(StorageError::DamagedLog { .. }) => true,
        _ => false,
    }
}

/// Refuses a folder whose files do not belong together at this moment.
///
/// # Errors
/// If something was begun and is not complete.
pub fn refuse_interrupted(dirs: &Dirs) -> Result<(), BackupError> {
    match install::is_interrupted(&OsDisk, dirs) {
        true => Err(BackupError::moving(
            &dirs.log,
            "a truncation or an installation is going on; if no server runs there, start it once to complete that",
        )),
        false => Ok(()),
    }
}

/// The epoch that the server has accepted, if it says so.
pub fn accepted_epoch(dirs: &Dirs) -> Option<i64> {
    let text = std::fs::read_to_string(dirs.data.join("acceptedEpoch")).ok()?;
    text.lines().next()?.trim().parse().ok()
}

/// Whether what ends at `position` goes on in the logs of `dirs`, with its own last record among them or right before
/// them. Nothing behind `upto` is looked at.
///
/// # Errors
/// What the disk says, damage in the logs.
pub fn continues(dirs: &Dirs, position: &Position, upto: Zxid) -> Result<Continues, BackupError> {
    let replaced_at = install::received(&OsDisk, dirs)?;
    if replaced_at != position.replaced_at {
        let zxid = replaced_at.unwrap_or(Zxid::ZERO);
        return Ok(Continues::No(format!(
            "the server's history was replaced by a snapshot of {zxid}"
        )));
    }
    let last = position.last;
    let (mut same, mut differs, mut next, mut end) = (false, false, None, Zxid::ZERO);
    for path in files_behind(dirs, last)? {
        let mut reader = LogReader::open(&OsDisk, &path)?;
        while let Some((zxid, payload)) = next_record(&mut reader, &path, dirs)? {
            if zxid > upto {
                break;
            }
            end = end.max(zxid);
            if zxid == last {
                let sum = simd_adler32::adler32(&&payload[..]);
                let equal = position.checksum.is_none_or(|known| known == sum);
                same |= equal;
                differs |= !equal;
            }
            if zxid > last {
                next = Some(zxid);
                break;
            }
        }
        if next.is_some() {
            break;
        }
    }
    let newest = storage::snapshots(&OsDisk, &dirs.data)?
        .last()
        .map(|(zxid, _)| *zxid);
    let no = |why: String| Ok(Continues::No(why));
    if differs && !same {
        return no(format!(
            "the server has another transaction {last}: its history is another one"
        ));
    }
    match next {
        Some(_) if same => Ok(Continues::Yes),
        Some(next) if follows(next, last) && position.checksum.is_none() => Ok(Continues::Yes),
        Some(next) if next.0 == last.0.wrapping_add(1) => Ok(Continues::Yes),
        Some(next) => no(format!(
            "the server's log does not hold {last} any more; behind it begins {next}"
        )),
        None if same || Some(last) == newest => Ok(Continues::Yes),
        None if newest > Some(last) => no(format!(
            "the server's log does not reach back to {last}; its newest snapshot does not continue it"
        )),
        None => no(format!(
            "the server's history ends at {}, before {last}",
            newest.unwrap_or(Zxid::ZERO).max(end)
        )),
    }
}

/// Hands every record behind `after` to `each`, up to `upto` or where the log ends now, and returns its end.
///
/// # Errors
/// A hole, damage, what the disk says, what `each` says.
pub fn read_log(
    dirs: &Dirs,
    after: Zxid,
    upto: Zxid,
    mut each: impl FnMut(Zxid, bytes::Bytes) -> Result<(), BackupError>,
) -> Result<Zxid, BackupError> {
    let mut last = after;
    for path in files_behind(dirs, after)? {
        if last == upto {
            break;
        }
        let mut reader = LogReader::open(&OsDisk, &path)?;
        while let Some((zxid, payload)) = next_record(&mut reader, &path, dirs)? {
            if zxid <= after {
                continue;
            }
            if zxid > upto {
                return Ok(last);
            }
            if zxid > last && !follows(zxid, last) {
                return Err(BackupError::moving(
                    &path,
                    format!("{zxid} comes right behind {last}: records are missing"),
                ));
            }
            each(zxid, payload)?;
            last = last.max(zxid);
            if last == upto {
                // What comes behind may just be written.
                break;
            }
        }
    }
    Ok(last)
}

/// Copies every record behind `after` to `segments`, up to where the log ends now, and returns its end.
///
/// # Errors
/// As [`read_log`].
pub fn copy_log(dirs: &Dirs, after: Zxid, segments: &mut Segments) -> Result<Zxid, BackupError> {
    read_log(dirs, after, Zxid(i64::MAX), |zxid, payload| {
        segments.append(zxid, &payload)
    })
}

/// Copies the newest snapshot that is whole to `dir`.
///
/// # Errors
/// If there is none; what the disk says.
pub fn copy_snapshot(dirs: &Dirs, dir: &Path) -> Result<SnapshotFile, BackupError> {
    let mut reasons = Vec::new();
    for (zxid, path) in storage::snapshots(&OsDisk, &dirs.data)?.into_iter().rev() {
        if !snapshot::looks_complete(&OsDisk, &path)? {
            reasons.push(format!("{} is not complete", path.display()));
            continue;
        }
        match copy(zxid, &path, dir) {
            Err(error @ BackupError::Damaged { .. }) => reasons.push(error.to_string()),
            other => return other,
        }
    }
    let path = dirs.data.clone();
    let what = match reasons.is_empty() {
        true => "there is no snapshot; is this the data folder of a server that was started once?"
            .to_owned(),
        false => format!("no snapshot can be used: {}", reasons.join("; ")),
    };
    Err(BackupError::Nothing { path, what })
}

fn copy(zxid: Zxid, path: &Path, dir: &Path) -> Result<SnapshotFile, BackupError> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut output = Output::create(dir, &name)?;
    let read = |error| BackupError::io("read", path, error);
    let file = OsDisk.open(path).map_err(read)?;
    let (mut buffer, mut at) = (vec![0; 1 << 20], 0);
    loop {
        let count = file.read_at(at, &mut buffer).map_err(read)?;
        if count == 0 {
            break;
        }
        output.write(&buffer[..count])?;
        at += count as u64;
    }
    finish_snapshot(output, &name, zxid)
}

/// The next record; None where the file ends, or where the server is still writing it.
fn next_record(
    reader: &mut LogReader,
    path: &Path,
    dirs: &Dirs,
) -> Result<Option<(Zxid, bytes::Bytes)>, BackupError> {
    match reader.step()? {
        Step::Record(record) => Ok(Some((record.zxid, record.payload))),
        Step::End(End::Clean { .. }) => Ok(None),
        Step::End(End::Torn { offset, what }) => {
            let newest = storage::logs(&OsDisk, &dirs.log)?.pop();
            if newest.is_some_and(|(_, newest)| newest != path) {
                // Harmless if the next file goes on where this one ends, which is looked at there.
                tracing::debug!("{}: {what} at offset {offset}", path.display());
            }
            Ok(None)
        }
    }
}

/// The file that holds what follows `after`, if it was begun before, and all later ones.
fn files_behind(dirs: &Dirs, after: Zxid) -> Result<Vec<PathBuf>, BackupError> {
    let files = storage::logs(&OsDisk, &dirs.log)?;
    let later = files.partition_point(|(first, _)| *first <= after);
    let behind = files.into_iter().skip(later.saturating_sub(1));
    Ok(behind.map(|(_, path)| path).collect())
}

/// Whether a record can be the one right behind `last`: the next number, or the first of a later epoch.
pub fn follows(zxid: Zxid, last: Zxid) -> bool {
    zxid.0 == last.0.wrapping_add(1) || (zxid.epoch() > last.epoch() && zxid.counter() == 1)
}
