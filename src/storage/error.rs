//! What can go wrong with files: always with the path, and with what a person can do about it.

use crate::base::{Epoch, Zxid};
use std::io;
use std::path::{Path, PathBuf};

/// Why storage refuses to go on. Nothing was cut or deleted before any of these.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
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
    /// A folder is missing and may not be made.
    #[error(
        "{} does not exist and zookeeper.datadir.autocreate=false forbids to make it: create it, or correct dataDir \
         and dataLogDir",
        path.display()
    )]
    MissingDir {
        /// The folder.
        path: PathBuf,
    },
    /// A log among the snapshots, or a snapshot among the logs.
    #[error(
        "{} is in the wrong folder, its place is {}: move it there if it belongs to this server, or correct dataDir \
         and dataLogDir",
        path.display(),
        home.display()
    )]
    Misplaced {
        /// The file.
        path: PathBuf,
        /// The folder it belongs in.
        home: PathBuf,
    },
    /// A log holds something that no interrupted write leaves behind.
    #[error(
        "{}: damaged at offset {offset}, after zxid {after}: {what}; not starting, as writes that were acknowledged \
         would be lost. Restore the file from a copy, or let `oxkeeper doctor` say what can be done",
        path.display()
    )]
    DamagedLog {
        /// The log file.
        path: PathBuf,
        /// Where the damaged record begins, in bytes.
        offset: u64,
        /// The last record before it.
        after: Zxid,
        /// What is wrong.
        what: String,
    },
    /// Records are missing between two others.
    #[error(
        "{}: the record at offset {offset} has zxid {found}, but the history before it ends at {after}{context}: \
         records are missing; not starting without them. Restore the missing log or a newer snapshot, or let \
         `oxkeeper doctor` say what can be done",
        path.display()
    )]
    Gap {
        /// The log file.
        path: PathBuf,
        /// Where the record after the gap begins, in bytes.
        offset: u64,
        /// The last zxid before the gap.
        after: Zxid,
        /// The first zxid behind it.
        found: Zxid,
        /// More about what precedes, or "".
        context: String,
    },
    /// Snapshots are there, but none of them loads.
    #[error(
        "no snapshot in {} can be loaded ({}); not starting with an empty database. Restore one from a copy, or move \
         them all away if this server shall get its data from others",
        dir.display(),
        reasons.join("; ")
    )]
    NoSnapshotLoads {
        /// Folder of the snapshots.
        dir: PathBuf,
        /// File and reason, one for each.
        reasons: Vec<String>,
    },
    /// Log records exist, but no snapshot to apply them to.
    #[error(
        "{} holds log records up to {last}, but {} holds no usable snapshot{}; not starting with an empty database. \
         Restore the snapshots, or set zookeeper.snapshot.trust.empty=true once if the logs go back to the very \
         first write (upgrade from 3.4)",
        logs.display(),
        snapshots.display(),
        skipped(reasons)
    )]
    LogsWithoutSnapshot {
        /// Folder of the logs.
        logs: PathBuf,
        /// Folder of the snapshots.
        snapshots: PathBuf,
        /// Last zxid logged.
        last: Zxid,
        /// Snapshot files that are not usable, with the reason.
        reasons: Vec<String>,
    },
    /// What could be read ends before a snapshot that could not.
    #[error(
        "{} cannot be loaded ({reason}), and older snapshots with the logs reach only {reached}; not starting with \
         less data. Restore it from a copy, or move it away if this server shall get its data from others",
        path.display()
    )]
    BehindSnapshot {
        /// The newer snapshot.
        path: PathBuf,
        /// Why it does not load.
        reason: String,
        /// Where the readable history ends.
        reached: Zxid,
    },
    /// A file that is about to be made exists and holds records.
    #[error(
        "{} exists and holds records, though a new log is to begin there: refusing to overwrite it. Was the database \
         restored beside its old logs? Move those away",
        path.display()
    )]
    WouldOverwrite {
        /// The log file.
        path: PathBuf,
    },
    /// An earlier write or sync failed.
    #[error("{}: an earlier write or sync failed, nothing more is written", path.display())]
    Stopped {
        /// Folder or file.
        path: PathBuf,
    },
    /// An epoch file holds no epoch.
    #[error(
        "{}: {found:?} is no epoch; not starting, as this server may have promised something. Restore the file from a \
         copy, or move everything in its folder away if this server shall get its data from others",
        path.display()
    )]
    EpochFile {
        /// The file.
        path: PathBuf,
        /// How it begins.
        found: String,
    },
    /// The log goes on in an epoch that this server never accepted.
    #[error(
        "{} says {}, but the log goes to {last}, in epoch {}: the file and the log do not belong together; not \
         starting. Were they restored from copies of different age? Restore both from one, or move everything in the \
         folder away if this server shall get its data from others",
        path.display(),
        accepted.0,
        last.epoch().0
    )]
    EpochBehindLog {
        /// The file.
        path: PathBuf,
        /// What it says.
        accepted: Epoch,
        /// Where the log ends.
        last: Zxid,
    },
    /// The note about what is being done to the files cannot be read.
    #[error(
        "{}: {found:?} says nothing about the truncation or installation that was going on; remove the file to start \
         from whatever there is",
        path.display()
    )]
    Intent {
        /// The file.
        path: PathBuf,
        /// How it begins.
        found: String,
    },
    /// The log cannot be read on from some position.
    #[error("{} does not hold everything behind {after}: {what}", dir.display())]
    NotInLog {
        /// Folder of the logs.
        dir: PathBuf,
        /// The position.
        after: Zxid,
        /// What is missing.
        what: String,
    },
    /// There is nothing to begin with.
    #[error(
        "no snapshot in {} is known to hold nothing behind {to}: the history cannot be cut there",
        dir.display()
    )]
    NothingToCut {
        /// Folder of the snapshots.
        dir: PathBuf,
        /// Where to cut.
        to: Zxid,
    },
}

impl StorageError {
    pub(super) fn io(action: &'static str, path: &Path, error: io::Error) -> StorageError {
        StorageError::Io {
            action,
            path: path.to_path_buf(),
            error,
        }
    }
}

fn skipped(reasons: &[String]) -> String {
    match reasons {
        [] => String::new(),
        reasons => format!(" ({})", reasons.join("; ")),
    }
}
