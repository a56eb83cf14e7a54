//! Cuts the history after a zxid, when the leader says that the rest was never agreed on.

use super::reader::{End, LogReader, Step};
use crate::base::Zxid;
use crate::storage::{Disk, StorageError, atomic, names};
use std::path::{Path, PathBuf};

/// What [`truncate`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TruncateReport {
    /// The file that was cut, if one was.
    pub cut: Option<PathBuf>,
    /// Files that were removed, newest first.
    pub removed: Vec<PathBuf>,
}

/// Removes every record behind `to`, durably; all of them, if none is older. The log's writer must be closed.
///
/// Where the record behind the last one that stays is damaged, the damage goes. That the rest of the history is there
/// and what becomes of snapshots is the caller's business. Interrupted, it leaves a log that ends at some record
/// behind `to`; calling it again finishes the work.
///
/// # Errors
/// What the disk says.
/// Source: `FileTxnLog.truncate`. Differs from Java, which keeps one record too many where none has exactly `to`.
pub fn truncate(disk: &dyn Disk, dir: &Path, to: Zxid) -> Result<TruncateReport, StorageError> {
    let files = names::sorted(disk, dir, names::parse_log)?;
    let mut report = TruncateReport::default();
    for (first, path) in files.into_iter().rev() {
        if first <= to {
            if let Some(end) = find_end(disk, &path, to)? {
                cut_file(disk, &path, end)?;
                report.cut = Some(path);
            }
            break;
        }
        disk.remove(&path)
            .map_err(|error| StorageError::io("remove", &path, error))?;
        atomic::sync_dir(disk, dir)?;
        report.removed.push(path);
    }
    Ok(report)
}

/// Where the records up to `to` end in a file; None if nothing but padding follows there.
fn find_end(disk: &dyn Disk, path: &Path, to: Zxid) -> Result<Option<u64>, StorageError> {
    let mut reader = LogReader::open(disk, path)?;
    loop {
        return match reader.step() {
            Ok(Step::Record(record)) if record.zxid <= to => continue,
            Ok(Step::Record(record)) => Ok(Some(record.offset)),
            Ok(Step::End(End::Torn { offset, .. })) => Ok((offset > 0).then_some(offset)),
            Ok(Step::End(End::Clean { .. })) => Ok(None),
            Err(StorageError::DamagedLog { offset, .. }) => Ok(Some(offset)),
            Err(error) => Err(error),
        };
    }
}

/// Whether the log holds a record of exactly that zxid.
///
/// # Errors
/// [`StorageError::DamagedLog`] in the file where it should be, what the disk says.
pub fn holds(disk: &dyn Disk, dir: &Path, zxid: Zxid) -> Result<bool, StorageError> {
    let files = names::sorted(disk, dir, names::parse_log)?;
    let Some((_, path)) = files.iter().rfind(|(first, _)| *first <= zxid) else {
        return Ok(false);
    };
    let mut reader = LogReader::open(disk, path)?;
    while let Step::Record(record) = reader.step()? {
        if record.zxid >= zxid {
            return Ok(record.zxid == zxid);
        }
    }
    Ok(false)
}

/// Cuts a file to `len` bytes, durably.
///
/// # Errors
/// What the disk says.
pub fn cut_file(disk: &dyn Disk, path: &Path, len: u64) -> Result<(), StorageError> {
    let cut = || {
        let mut file = disk.edit(path)?;
        file.set_len(len)?;
        file.sync_all()
    };
    cut().map_err(|error| StorageError::io("cut", path, error))
}
