//! Cuts the history after a zxid, when the leader says that the rest was never agreed on.

use super::reader::{End, LogReader, Step};
use crate::base::Zxid;
use crate::storage::{Disk, StorageError, names};
use std::path::{Path, PathBuf};

/// What [`truncate`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TruncateReport {
    /// The last record that is left.
    pub last: Zxid,
    /// The file that was cut, if one was.
    pub cut: Option<PathBuf>,
    /// Files that were removed, newest first.
    pub removed: Vec<PathBuf>,
}

/// Removes every record behind `to`, durably. The log's writer must be closed.
///
/// Snapshots behind `to` are the caller's business. Interrupted, it leaves a log that ends at some record behind `to`;
/// calling it again finishes the work.
///
/// # Errors
/// [`StorageError::NothingToCut`], [`StorageError::DamagedLog`] in the records that stay, what the disk says.
/// Source: `FileTxnLog.truncate`. Differs from Java, which keeps one record too many where none has exactly `to`.
pub fn truncate(disk: &dyn Disk, dir: &Path, to: Zxid) -> Result<TruncateReport, StorageError> {
    let files = names::sorted(disk, dir, names::parse_log)?;
    let Some(index) = files.iter().rposition(|(first, _)| *first <= to) else {
        return Err(StorageError::NothingToCut {
            dir: dir.to_path_buf(),
            to,
        });
    };
    let (_, path) = &files[index];
    let Some((last, end, cut)) = find_end(disk, path, to)? else {
        return Err(StorageError::NothingToCut {
            dir: dir.to_path_buf(),
            to,
        });
    };
    let mut report = TruncateReport {
        last,
        ..TruncateReport::default()
    };
    for (_, later) in files[index + 1..].iter().rev() {
        disk.remove(later)
            .map_err(|error| StorageError::io("remove", later, error))?;
        disk.sync_dir(dir)
            .map_err(|error| StorageError::io("sync", dir, error))?;
        report.removed.push(later.clone());
    }
    if cut {
        cut_file(disk, path, end)?;
        report.cut = Some(path.clone());
    }
    Ok(report)
}

/// The last zxid up to `to` in a file, where it ends, and whether anything but padding follows.
fn find_end(
    disk: &dyn Disk,
    path: &Path,
    to: Zxid,
) -> Result<Option<(Zxid, u64, bool)>, StorageError> {
    let mut reader = LogReader::open(disk, path)?;
    let mut last = None;
    loop {
        let (offset, more) = match reader.step()? {
            Step::Record(record) if record.zxid <= to => {
                last = Some(record.zxid);
                continue;
            }
            Step::Record(record) => (record.offset, true),
            Step::End(End::Torn { offset, .. }) => (offset, true),
            Step::End(End::Clean { offset }) => (offset, false),
        };
        return Ok(last.map(|last| (last, offset, more)));
    }
}

/// Cuts a file to `len` bytes, durably.
pub(in crate::storage) fn cut_file(
    disk: &dyn Disk,
    path: &Path,
    len: u64,
) -> Result<(), StorageError> {
    let cut = || {
        let mut file = disk.edit(path)?;
        file.set_len(len)?;
        file.sync_all()
    };
    cut().map_err(|error| StorageError::io("cut", path, error))
}
