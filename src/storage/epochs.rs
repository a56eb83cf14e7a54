//! The two epoch files: what this server has promised, and whose history it holds.
//!
//! ```text
//! <dataDir>/version-2/acceptedEpoch    decimal, no newline    no leader of a lower epoch is followed any more
//! <dataDir>/version-2/currentEpoch     decimal, no newline    this epoch's initial history is on this disk
//! ```
//!
//! Each is replaced as a whole, and the folder is synced. The order of writes, which whoever writes keeps, is: accepted
//! epoch, history, current epoch. So after a crash the current epoch may lag behind the log, but never the accepted
//! one.
//!
//! Hostile cases: a file of an interrupted write with `.tmp` behind its name (removed, it means nothing: what counts
//! is in the log); files that are missing, empty, no numbers, or from another time than the log.
//!
//! Source: `QuorumPeer.loadDataBase`, `readLongFromFile`, `writeLongToFile`.

use super::{Dirs, Disk, StorageError, atomic, names};
use crate::base::{Epoch, Zxid};
use std::path::Path;

/// What the files say, made to agree with the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epochs {
    /// No epoch below this is accepted any more.
    pub accepted: Epoch,
    /// The epoch whose initial history is on this disk; never above `accepted`.
    pub current: Epoch,
    /// What a person should know, in sentences.
    pub notes: Vec<String>,
}

/// Reads the epochs of a server whose log ends at `last`, and writes what is missing or lags behind.
///
/// - A missing file gets the epoch of the log's end, as in Java.
/// - A log that ends in a later epoch than the current one: what was synchronized became durable, and the power failed
///   before the epoch did. The first transaction of an epoch follows its initial history, so all of that is there.
/// - An accepted epoch below the current one is raised: to promise more is never wrong.
///
/// # Errors
/// [`StorageError::EpochFile`] for a file without a number, [`StorageError::EpochBehindLog`] for a log that goes
/// further than this server ever promised, and what the disk says.
/// Source: `QuorumPeer.loadDataBase`. Differs from Java, which refuses to start in the second and third case.
pub fn load(disk: &dyn Disk, dirs: &Dirs, last: Zxid) -> Result<Epochs, StorageError> {
    let dir = &dirs.data;
    let of_log = Epoch(last.epoch().0.max(0));
    let (stored_accepted, stored_current) = (read(disk, dir, ACCEPTED)?, read(disk, dir, CURRENT)?);
    let mut notes = Vec::new();
    let mut current = stored_current.unwrap_or(of_log);
    let mut accepted = stored_accepted.unwrap_or(of_log.max(current));
    if of_log > accepted {
        return Err(StorageError::EpochBehindLog {
            path: dir.join(ACCEPTED),
            accepted,
            last,
        });
    }
    if of_log > current {
        notes.push(format!(
            "{}: set from {} to {}, the epoch of the last transaction {last}: the power failed after the history of \
             that epoch was saved and before its number was",
            dir.join(CURRENT).display(),
            current.0,
            of_log.0
        ));
        current = of_log;
    }
    if accepted < current {
        notes.push(format!(
            "{}: raised from {} to {}, the current epoch, which this server cannot have without having accepted it",
            dir.join(ACCEPTED).display(),
            accepted.0,
            current.0
        ));
        accepted = current;
    }
    // In the order of the protocol, in case the power fails in between.
    if stored_accepted != Some(accepted) {
        save_accepted(disk, dirs, accepted)?;
    }
    if stored_current != Some(current) {
        save_current(disk, dirs, current)?;
    }
    for name in [ACCEPTED, CURRENT] {
        atomic::remove(disk, dir, &names::unfinished_name(name))?;
    }
    Ok(Epochs {
        accepted,
        current,
        notes,
    })
}

/// Promises durably never to accept a lower epoch again.
///
/// # Errors
/// What the disk says; nothing may be answered on the strength of it then.
pub fn save_accepted(disk: &dyn Disk, dirs: &Dirs, epoch: Epoch) -> Result<(), StorageError> {
    atomic::replace(disk, &dirs.data, ACCEPTED, epoch.0.to_string().as_bytes())
}

/// Says durably that the initial history of `epoch` is on this disk; it has to be durable before.
///
/// # Errors
/// What the disk says; nothing may be answered on the strength of it then.
pub fn save_current(disk: &dyn Disk, dirs: &Dirs, epoch: Epoch) -> Result<(), StorageError> {
    atomic::replace(disk, &dirs.data, CURRENT, epoch.0.to_string().as_bytes())
}

/// What one of the files says, `dir` being the folder of the snapshots. None if there is no such file; what Java wrote
/// for a server without data, -1, counts as 0.
///
/// # Errors
/// [`StorageError::EpochFile`], and what the disk says.
pub fn read(disk: &dyn Disk, dir: &Path, name: &str) -> Result<Option<Epoch>, StorageError> {
    let path = dir.join(name);
    let Some(bytes) = atomic::read_small(disk, &path, LONGEST)? else {
        return Ok(None);
    };
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    let text = std::str::from_utf8(line.unwrap_or_default()).unwrap_or_default();
    match text.parse::<i64>() {
        Ok(epoch) if (-1..=EPOCH_MAX).contains(&epoch) => Ok(Some(Epoch(epoch.max(0)))),
        _ => Err(StorageError::EpochFile {
            path,
            found: String::from_utf8_lossy(&bytes).into_owned(),
        }),
    }
}

/// Name of the file with the promise.
pub const ACCEPTED: &str = "acceptedEpoch";
/// Name of the file with the epoch of the history.
pub const CURRENT: &str = "currentEpoch";

/// So much of a file is looked at, in bytes.
const LONGEST: usize = 64;

/// What fits in the upper half of a zxid.
const EPOCH_MAX: i64 = i32::MAX as i64;
