//! A data folder belongs to one server at a time.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Holds the lock until it is dropped, or the process ends, however that happens.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Why a folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock.
    #[error(
        "{0}: another oxkeeper is running on this folder; stop it, or give this server a folder of its own (dataDir)"
    )]
    Taken(PathBuf),
    /// The lock file cannot be made.
    #[error("{path}: cannot be locked: {cause}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

impl DataLock {
    /// Locks `dir`. The file stays behind, empty and unlocked; Java ignores its name.
    ///
    /// # Errors
    /// If another process has it, or the folder cannot be written.
    pub fn take(dir: &Path) -> Result<DataLock, LockError> {
        let path = dir.join(NAME);
        let open = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = open.map_err(|cause| LockError::Io {
            path: path.clone(),
            cause,
        })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DataLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Taken(dir.to_path_buf())),
            Err(error) => Err(LockError::Io {
                path,
                cause: error.into(),
            }),
        }
    }
}

/// Name of the lock file.
pub(super) const NAME: &str = "oxkeeper.lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_server_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataLock::take(dir.path()).unwrap();
        assert!(matches!(
            DataLock::take(dir.path()),
            Err(LockError::Taken(_))
        ));
        drop(first);
        DataLock::take(dir.path()).unwrap();
    }
}
