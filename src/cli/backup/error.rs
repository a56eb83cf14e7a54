//! What can go wrong with backups, always with the path and with what a person can do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::Zxid;
use crate::runtime::data_lock::LockError;
use crate::storage::StorageError;

/// Why a backup or a restore is not done. Nothing that was there before is changed then.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The system refused.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// File or folder.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The files of a server cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Somebody else is at it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The manifest is not one.
    #[error(
        "{}: {what}: this is no backup that this version of oxkeeper can read; give another folder, or restore the \
         file",
        path.display()
    )]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A folder that should be empty is not.
    #[error(
        "{}: {what}; give a folder that is empty or does not exist, or --force to keep what is there under another \
         name",
        path.display()
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// What is there.
        what: String,
    },
    /// A folder for a backup that holds something else.
    #[error(
        "{}: is not empty and no backup (no manifest.json): give a folder of its own for backups",
        path.display()
    )]
    NoBackupFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The folder belongs to a process.
    #[error(
        "{}: process {pid} has files open in there: stop that server first",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process.
        pid: u32,
    },
    /// There is nothing to back up or to restore.
    #[error("{}: {what}", path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// The files changed while they were read; trying again may help.
    #[error("{}: {what}; it was tried several times", path.display())]
    Moving {
        /// The file or folder.
        path: PathBuf,
        /// What did not fit.
        what: String,
    },
    /// A file of the backup is not what the manifest says.
    #[error("{}: {what}: the backup is damaged there; `oxkeeper backup verify` says what is left", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// No chain goes through the position.
    #[error("this backup cannot be restored to {wanted}: {what}")]
    OutOfReach {
        /// What was asked for.
        wanted: String,
        /// What there is instead.
        what: String,
    },
    /// What was restored is not what it should be.
    #[error(
        "the restored files lead to {found}, not to {wanted}: nothing was put in place; is the backup whole?"
    )]
    WrongEnd {
        /// Where they should lead.
        wanted: Zxid,
        /// Where they lead.
        found: Zxid,
    },
    /// A server does not give what it is asked for.
    #[error("{server}: {what}")]
    Server {
        /// The address as given.
        server: String,
        /// What it said.
        what: String,
    },
}

impl BackupError {
    /// An error of the system.
    pub fn io(action: &'static str, path: &Path, error: io::Error) -> BackupError {
        BackupError::Io {
            action,
            path: path.to_path_buf(),
            error,
        }
    }

    /// A mismatch that may be gone when it is looked at again.
    pub fn moving(path: &Path, what: impl Into<String>) -> BackupError {
        BackupError::Moving {
            path: path.to_path_buf(),
            what: what.into(),
        }
    }
}
