//! Which old files may go.

use super::{Dirs, Disk, StorageError, names, snapshot};
use crate::base::Zxid;
use std::path::PathBuf;

/// Removes what the `keep` newest complete snapshots (at least 3) do not need: older snapshots, finished or not,
/// and logs that end before the oldest of the kept ones. Returns what was removed, oldest first.
///
/// With no complete snapshot nothing is removed. Files whose names hold no zxid are left alone. Interrupted, it has
/// removed only what is not needed.
///
/// # Errors
/// What the disk says.
/// Source: `PurgeTxnLog.purgeOlderSnapshots`, `FileSnap.findNValidSnapshots`. Differs from Java, which also removes
/// files named `log.` or `snapshot.` with something else than a number behind it.
pub fn purge(disk: &dyn Disk, dirs: &Dirs, keep: usize) -> Result<Vec<PathBuf>, StorageError> {
    let snapshots = names::sorted(disk, &dirs.data, names::parse_snapshot)?;
    let Some(oldest) = oldest_kept(disk, &snapshots, keep.max(KEPT_MIN))? else {
        return Ok(Vec::new());
    };
    let logs = names::sorted(disk, &dirs.log, names::parse_log)?;
    // It may hold what follows the oldest kept snapshot: nothing says how far it goes but the next file's name.
    let needed = logs
        .iter()
        .map(|(first, _)| *first)
        .filter(|first| *first <= oldest)
        .max();
    let mut removed = Vec::new();
    // Snapshots before logs: a snapshot must not outlive the log that follows it.
    let unfinished = names::sorted(disk, &dirs.data, names::parse_unfinished)?;
    for (zxid, path) in snapshots.iter().chain(&unfinished) {
        if *zxid < oldest {
            remove(disk, path, &mut removed)?;
        }
    }
    sync(disk, &dirs.data, !removed.is_empty())?;
    let before = removed.len();
    for (first, path) in &logs {
        if *first < oldest && Some(*first) != needed {
            remove(disk, path, &mut removed)?;
        }
    }
    sync(disk, &dirs.log, removed.len() > before)?;
    Ok(removed)
}

/// zxid of the last one of the `keep` newest complete snapshots.
fn oldest_kept(
    disk: &dyn Disk,
    snapshots: &[(Zxid, PathBuf)],
    keep: usize,
) -> Result<Option<Zxid>, StorageError> {
    let mut kept = 0;
    let mut oldest = None;
    for (zxid, path) in snapshots.iter().rev() {
        if snapshot::looks_complete(disk, path)? {
            oldest = Some(*zxid);
            kept += 1;
            if kept == keep {
                break;
            }
        }
    }
    Ok(oldest)
}

fn remove(
    disk: &dyn Disk,
    path: &std::path::Path,
    removed: &mut Vec<PathBuf>,
) -> Result<(), StorageError> {
    disk.remove(path)
        .map_err(|error| StorageError::io("remove", path, error))?;
    removed.push(path.to_path_buf());
    Ok(())
}

fn sync(disk: &dyn Disk, dir: &std::path::Path, changed: bool) -> Result<(), StorageError> {
    if !changed {
        return Ok(());
    }
    disk.sync_dir(dir)
        .map_err(|error| StorageError::io("sync", dir, error))
}

/// Fewer are never kept. Source: `PurgeTxnLog.purge`.
pub(super) const KEPT_MIN: usize = 3;
