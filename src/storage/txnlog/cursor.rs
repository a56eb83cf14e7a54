//! Reads what follows a position in the log, for a learner that was away too long for the memory of its leader.

use super::reader::{LogReader, Step};
use crate::base::Zxid;
use crate::storage::{Dirs, Disk, StorageError, intent, names, purge, snapshot};
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// A place in the log of a server that goes on writing; it is found again in one step where the last read ended.
#[derive(Debug, Default)]
pub struct LogCursor {
    /// Behind which record it stands, in which file, and where the next one begins there.
    place: Option<(Zxid, PathBuf, u64)>,
}

impl LogCursor {
    /// Nowhere yet.
    pub fn new() -> LogCursor {
        LogCursor::default()
    }

    /// The records after `after` up to and with `upto`, oldest first: at least one, and no more once they have
    /// `max_bytes` of payload. `upto` has to be durable; what is behind it is not looked at, so the log may be
    /// written meanwhile.
    ///
    /// # Errors
    /// [`StorageError::NotInLog`] if a record is missing, there is none at all, or a received snapshot makes what is
    /// older useless; [`StorageError::DamagedLog`]; what the disk says, which a purge or a truncation at the same time
    /// may explain.
    /// Source: `ZKDatabase.getProposalsFromTxnLog`. Differs from Java, which sees a hole only where the log ends.
    pub fn read_after(
        &mut self,
        disk: &dyn Disk,
        dirs: &Dirs,
        after: Zxid,
        upto: Zxid,
        max_bytes: usize,
    ) -> Result<Vec<(Zxid, Bytes)>, StorageError> {
        let missing = |what: String| StorageError::NotInLog {
            dir: dirs.log.clone(),
            after,
            what,
        };
        if let Some(received) = intent::received(disk, dirs)?.filter(|zxid| after < *zxid) {
            return Err(missing(format!("a snapshot of {received} was received")));
        }
        let (mut last, mut bytes) = (after, 0);
        let mut records = Vec::new();
        let files = self.files_behind(disk, &dirs.log, after)?;
        // Only now: what was not purged yet is in the list.
        let is_all_there = nothing_is_purged(disk, dirs, after)?;
        for (path, offset) in files {
            let mut reader = LogReader::open_at(disk, &path, offset)?;
            while let Step::Record(record) = reader.step()? {
                if record.zxid <= last {
                    continue;
                }
                if record.zxid > upto {
                    break;
                }
                let certain = !records.is_empty() || is_all_there;
                if !follows(record.zxid, last) || !(certain || is_next(record.zxid, last)) {
                    return Err(missing(format!(
                        "{} comes right behind {last}",
                        record.zxid
                    )));
                }
                last = record.zxid;
                bytes += record.payload.len();
                records.push((record.zxid, record.payload));
                if last == upto || bytes >= max_bytes {
                    self.place = Some((last, path, reader.offset()));
                    return Ok(records);
                }
            }
        }
        match records.is_empty() {
            true => Err(missing(format!("there is nothing up to {upto}"))),
            false => Ok(records),
        }
    }

    /// The files that may hold something behind `after`, each with where to begin.
    fn files_behind(
        &self,
        disk: &dyn Disk,
        log_dir: &Path,
        after: Zxid,
    ) -> Result<Vec<(PathBuf, u64)>, StorageError> {
        let mut files = files_behind(disk, log_dir, after)?;
        let known = self.place.as_ref().filter(|place| place.0 == after);
        if let Some((_, path, offset)) = known
            && let Some(at) = files.iter().position(|file| file == path)
        {
            files.drain(..at);
            let begins = |index| if index == 0 { *offset } else { 0 };
            let files = files.into_iter().enumerate();
            return Ok(files.map(|(index, path)| (path, begins(index))).collect());
        }
        Ok(files.into_iter().map(|path| (path, 0)).collect())
    }
}

/// As [`LogCursor::read_after`], for one time.
///
/// # Errors
/// As [`LogCursor::read_after`].
pub fn read_after(
    disk: &dyn Disk,
    dirs: &Dirs,
    after: Zxid,
    upto: Zxid,
    max_bytes: usize,
) -> Result<Vec<(Zxid, Bytes)>, StorageError> {
    LogCursor::new().read_after(disk, dirs, after, upto, max_bytes)
}

/// Whether the log can be read on from the end of a learner's log, `learner`, and that costs no more than
/// `snapshot_size_factor` times the newest snapshot: the log holds a record of that zxid, unless it is the marker of an
/// epoch (counter 0), which no log holds: then nothing behind it can have been purged, or the log begins right behind
/// it. And no record behind it is missing within its epoch.
///
/// A negative factor means never, one of 0, or no snapshot, that any cost is fine. What counts is the bytes of
/// the records behind `learner`. The log may be written meanwhile.
///
/// # Errors
/// What the disk says.
/// Source: `ZKDatabase.calculateTxnLogSizeLimit`, `LearnerHandler.syncFollower`. Differs from Java, which counts whole
/// files, with zeros that are there only to make room.
pub fn probe(
    disk: &dyn Disk,
    dirs: &Dirs,
    learner: Zxid,
    snapshot_size_factor: f64,
) -> Result<bool, StorageError> {
    if snapshot_size_factor < 0.0 || intent::received(disk, dirs)? > Some(learner) {
        return Ok(false);
    }
    let limit = match newest_snapshot_bytes(disk, dirs)? as f64 * snapshot_size_factor {
        limit if limit >= 1.0 => limit as u64,
        _ => u64::MAX,
    };
    let (mut last, mut bytes) = (learner, 0u64);
    let is_marker = learner.counter() == 0;
    let files = files_behind(disk, &dirs.log, learner)?;
    let mut found = is_marker && nothing_is_purged(disk, dirs, learner)?;
    for path in files {
        let mut reader = LogReader::open(disk, &path)?;
        loop {
            let record = match reader.step() {
                Ok(Step::Record(record)) => record,
                // Behind the last record another one may just be written.
                Ok(Step::End(_)) | Err(StorageError::DamagedLog { .. }) => break,
                Err(error) => return Err(error),
            };
            found |= record.zxid == learner || (is_marker && is_next(record.zxid, learner));
            if record.zxid <= last {
                continue;
            }
            bytes += reader.offset() - record.offset;
            if !found || !follows(record.zxid, last) || bytes > limit {
                return Ok(false);
            }
            last = record.zxid;
        }
    }
    Ok(found)
}

fn newest_snapshot_bytes(disk: &dyn Disk, dirs: &Dirs) -> Result<u64, StorageError> {
    let snapshots = names::sorted(disk, &dirs.data, names::parse_snapshot)?;
    let Some((_, newest)) = snapshots.last() else {
        return Ok(0);
    };
    let size = disk.open(newest).and_then(|file| file.size());
    size.map_err(|error| StorageError::io("read", newest, error))
}

/// The file that holds what follows `after`, if it was begun before, and all later ones.
fn files_behind(
    disk: &dyn Disk,
    log_dir: &Path,
    after: Zxid,
) -> Result<Vec<PathBuf>, StorageError> {
    let files = names::sorted(disk, log_dir, names::parse_log)?;
    let later = files.partition_point(|(first, _)| *first <= after);
    let behind = files.into_iter().skip(later.saturating_sub(1));
    Ok(behind.map(|(_, path)| path).collect())
}

/// Whether it is certain that no purge took away anything behind `zxid` before this is asked: then a first record of a
/// later epoch comes right behind it, and no whole epochs are missing between the two.
///
/// A purge keeps the three newest complete snapshots or more, and the log behind them, so that one of those at or
/// before `zxid` is proof; an older one is none: Java's purge takes logs first, and may have been interrupted. The
/// other proof is a log that begins at or before `zxid`. Holes that received snapshots leave are not looked for.
/// Source: `PurgeTxnLog.purge`, `DatadirCleanupManager`.
fn nothing_is_purged(disk: &dyn Disk, dirs: &Dirs, zxid: Zxid) -> Result<bool, StorageError> {
    let files = names::sorted(disk, &dirs.log, names::parse_log)?;
    if files.first().is_some_and(|(first, _)| *first <= zxid) {
        return Ok(true);
    }
    let snapshots = names::sorted(disk, &dirs.data, names::parse_snapshot)?;
    for (of, path) in snapshots.iter().rev().take(purge::KEPT_MIN) {
        if *of <= zxid && snapshot::looks_complete(disk, path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_next(zxid: Zxid, last: Zxid) -> bool {
    zxid.0.wrapping_sub(1) == last.0
}

/// Whether a record can be the one right behind `last`: the next number, or the first of a later epoch.
fn follows(zxid: Zxid, last: Zxid) -> bool {
    is_next(zxid, last) || (zxid.epoch() > last.epoch() && zxid.counter() == 1)
}
