//! Small files that are replaced as a whole: after a crash there is the old content or the new one.

use super::{Disk, StorageError, names};
use std::io;
use std::path::Path;

/// Makes `bytes` the durable content of `dir/name`. Interrupted, it may leave a file of that name with `.tmp` behind
/// it, which means nothing; the next call for the same name writes it anew.
///
/// # Errors
/// What the disk says; the old content is then still there, unless the last step, syncing the folder, failed: it may
/// be either after a crash then.
/// Source: `AtomicFileWritingIdiom`. Differs from Java: the folder is synced, too.
pub fn replace(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
    let unfinished = dir.join(names::unfinished_name(name));
    let write = || {
        let mut file = disk.create(&unfinished)?;
        file.write_at(0, bytes)?;
        file.sync_all()
    };
    let written = write().map_err(|error| StorageError::io("write", &unfinished, error));
    let path = dir.join(name);
    let replaced = written.and_then(|()| {
        let renamed = disk.rename(&unfinished, &path);
        renamed.map_err(|error| StorageError::io("rename", &unfinished, error))
    });
    if let Err(error) = replaced {
        // It would mean nothing to us, but Java may take an epoch out of it.
        let _ = disk.remove(&unfinished);
        return Err(error);
    }
    sync_dir(disk, dir)
}

/// Removes a file durably; false if there was none.
pub(super) fn remove(disk: &dyn Disk, dir: &Path, name: &str) -> Result<bool, StorageError> {
    let path = dir.join(name);
    match disk.remove(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(|error| StorageError::io("remove", &path, error))?,
    }
    sync_dir(disk, dir)?;
    Ok(true)
}

/// The first bytes of a small file, `most` of them at most; None if there is no such file.
///
/// # Errors
/// What the disk says.
pub fn read_small(
    disk: &dyn Disk,
    path: &Path,
    most: usize,
) -> Result<Option<Vec<u8>>, StorageError> {
    let read = || {
        let file = disk.open(path)?;
        let size = usize::try_from(file.size()?).unwrap_or(most);
        let mut bytes = vec![0; most.min(size)];
        let count = file.read_at(0, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::io("read", path, error)),
    }
}

pub(super) fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    disk.sync_dir(dir)
        .map_err(|error| StorageError::io("sync", dir, error))
}
