//! What can be found in a data folder, and the steps that put it right.

use crate::base::Epoch;
use crate::storage::snapshot::{self, Compression, SnapshotOptions};
use crate::storage::txnlog::cut_file;
use crate::storage::{
    Base, Dirs, Disk, RecoverOptions, StorageError, atomic, epochs, names, recover,
};
use crate::tree::{Tree, TreeOptions};
use jute::persist::FileHeader;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing, nothing to do.
    Note,
    /// A server starts, but something is not as it should be.
    Warning,
    /// A server, ours or Java's, does not start on this, or has less than it had.
    Error,
}

/// The patterns of damage that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A log among the snapshots or a snapshot among the logs, where the folders differ.
    MisplacedFile,
    /// A name that begins as a log's or snapshot's and has no zxid.
    ForeignName,
    /// A file that a server takes for a log or snapshot though its name says more, such as log.1.fixed.
    Lookalike,
    /// What an interrupted write left beside the file it was for.
    LeftoverTmp,
    /// A truncation or an installation that was interrupted.
    InterruptedChange,
    /// A snapshot that was received and never installed.
    ReceivedSnapshot,
    /// The file with the server's id cannot be used.
    BadMyid,
    /// A log file that was begun and never written.
    EmptyLog,
    /// A log ends with an interrupted write.
    TornLog,
    /// Whole records behind a place that was never written.
    RecordsBehindTorn,
    /// A log is damaged.
    DamagedLog,
    /// A log that no server needs any more is damaged.
    DamagedOldLog,
    /// The header of a log is damaged, its records are not.
    BadLogHeader,
    /// Transactions are missing.
    LogHole,
    /// Java cannot read a record that is right.
    JavaCannotRead,
    /// A snapshot is empty or was not written to its end.
    IncompleteSnapshot,
    /// A snapshot does not load.
    BadSnapshot,
    /// Logs without a snapshot to apply them to.
    NoSnapshot,
    /// Neither snapshots nor transactions.
    NoData,
    /// An epoch file holds no number.
    BadEpochFile,
    /// The log goes further than this server ever promised.
    AcceptedEpochBehindLog,
    /// The current epoch is older than the last transaction.
    CurrentEpochBehindLog,
    /// The accepted epoch is older than the current one.
    AcceptedEpochBehindCurrent,
    /// One of the two epoch files is missing.
    MissingEpochFile,
    /// Znodes name an ACL list that is nowhere.
    DanglingAcl,
    /// The tree does not hash to what the log says.
    DigestMismatch,
    /// Ephemerals of sessions that do not exist.
    OrphanEphemerals,
    /// A server does not start, for another reason.
    DoesNotStart,
    /// What a server says when it starts.
    Remark,
}

impl Kind {
    /// A word for it that stays the same: `torn-log`.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

/// Something that was found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which pattern.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// The file, or the folder where no single file is to blame.
    pub path: PathBuf,
    /// What was found, in a sentence or two.
    pub what: String,
    /// What would be done; without a fix, what a person can do.
    pub remedy: String,
    /// How it is put right.
    pub fix: Option<Fix>,
}

/// How something is put right.
#[derive(Clone, Debug)]
pub struct Fix {
    /// One after the other.
    pub steps: Vec<Step>,
    /// What may be given up with it; None where nothing is.
    pub loses: Option<String>,
}

/// A change to the folder. Each can be repeated after a crash in the middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Removes a file.
    Remove(PathBuf),
    /// Gives a file a name under which no server looks for it.
    SetAside(PathBuf),
    /// Moves a file, maybe to another disk.
    Move(PathBuf, PathBuf),
    /// Cuts a file to so many bytes.
    Cut(PathBuf, u64),
    /// Writes a log's header over what stands there.
    Header(PathBuf),
    /// Copies what follows an offset into a log of another name.
    Extract(PathBuf, u64, PathBuf),
    /// Writes a small file as a whole.
    Write(PathBuf, Vec<u8>),
    /// Writes the accepted epoch.
    Accept(Epoch),
    /// Writes the current epoch.
    Current(Epoch),
    /// Writes the snapshot that an empty database begins with.
    EmptySnapshot,
    /// Does what a server does before it serves: completes what was interrupted.
    StartUp,
    /// Writes a snapshot of everything up to the last transaction.
    Snapshot,
}

impl Step {
    /// Makes the change, durably.
    ///
    /// # Errors
    /// What the disk says.
    pub fn apply(&self, disk: &Arc<dyn Disk>, dirs: &Dirs) -> Result<(), StorageError> {
        let files = disk.as_ref();
        match self {
            Step::Remove(path) => {
                match files.remove(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(failed("remove", path, error));
                    }
                    _ => {}
                }
                sync_dir_of(files, path)
            }
            Step::SetAside(path) => set_aside(files, path),
            Step::Move(from, to) => move_file(files, from, to),
            Step::Cut(path, len) => cut_file(files, path, *len),
            Step::Header(path) => write_header(files, path),
            Step::Extract(from, offset, to) => extract(files, from, *offset, to),
            Step::Write(path, bytes) => {
                let (dir, name) = (path.parent(), path.file_name());
                let name = name.and_then(|name| name.to_str()).unwrap_or_default();
                atomic::replace(files, dir.unwrap_or(Path::new("")), name, bytes)
            }
            Step::Accept(epoch) => epochs::save_accepted(files, dirs, *epoch),
            Step::Current(epoch) => epochs::save_current(files, dirs, *epoch),
            Step::EmptySnapshot => {
                let mut tree = Tree::new(TreeOptions::default());
                write_snapshot(disk, dirs, &mut tree)
            }
            Step::StartUp => recover(disk, dirs, &RecoverOptions::default()).map(|_| ()),
            Step::Snapshot => {
                let mut recovered = recover(disk, dirs, &RecoverOptions::default())?;
                match recovered.base {
                    Base::Missing => Ok(()),
                    _ => write_snapshot(disk, dirs, &mut recovered.tree),
                }
            }
        }
    }
}

fn failed(action: &'static str, path: &Path, error: io::Error) -> StorageError {
    let path = path.to_path_buf();
    StorageError::Io {
        action,
        path,
        error,
    }
}

fn sync_dir_of(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    let dir = path.parent().unwrap_or(Path::new(""));
    disk.sync_dir(dir)
        .map_err(|error| failed("sync", dir, error))
}

fn set_aside(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or_default();
    if disk.open(path).is_err() {
        return Ok(());
    }
    let free = (0..)
        .map(|n| path.with_file_name(names::aside_name(name, n)))
        .find(|path| disk.open(path).is_err())
        .unwrap_or_default();
    disk.rename(path, &free)
        .map_err(|error| failed("rename", path, error))?;
    sync_dir_of(disk, path)
}

fn move_file(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), StorageError> {
    if disk.open(from).is_err() {
        return Ok(());
    }
    copy(disk, from, 0, to, &[])?;
    disk.remove(from)
        .map_err(|error| failed("remove", from, error))?;
    sync_dir_of(disk, from)
}

/// Copies a file from an offset on, behind `head`, durably; the new name comes last.
fn copy(
    disk: &dyn Disk,
    from: &Path,
    offset: u64,
    to: &Path,
    head: &[u8],
) -> Result<(), StorageError> {
    let unfinished = to.with_file_name(names::unfinished_name(
        to.file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default(),
    ));
    let write = || {
        let source = disk.open(from)?;
        let mut target = disk.create(&unfinished)?;
        target.write_at(0, head)?;
        let (mut at, mut written) = (offset, head.len() as u64);
        let mut chunk = vec![0; 1 << 20];
        loop {
            let count = source.read_at(at, &mut chunk)?;
            if count == 0 {
                break;
            }
            target.write_at(written, &chunk[..count])?;
            at += count as u64;
            written += count as u64;
        }
        target.sync_all()?;
        disk.rename(&unfinished, to)
    };
    write().map_err(|error| failed("write", to, error))?;
    sync_dir_of(disk, to)
}

fn header_bytes() -> [u8; FileHeader::SIZE] {
    let header = FileHeader::LOG;
    let mut bytes = [0; FileHeader::SIZE];
    bytes[..4].copy_from_slice(&header.magic.to_be_bytes());
    bytes[4..8].copy_from_slice(&header.version.to_be_bytes());
    bytes[8..].copy_from_slice(&header.dbid.to_be_bytes());
    bytes
}

fn write_header(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    let write = || {
        let mut file = disk.edit(path)?;
        file.write_at(0, &header_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| failed("write", path, error))
}

fn extract(disk: &dyn Disk, from: &Path, offset: u64, to: &Path) -> Result<(), StorageError> {
    copy(disk, from, offset, to, &header_bytes())
}

fn write_snapshot(disk: &Arc<dyn Disk>, dirs: &Dirs, tree: &mut Tree) -> Result<(), StorageError> {
    let options = SnapshotOptions {
        compression: Compression::None,
        ..SnapshotOptions::default()
    };
    snapshot::write_tree(disk.clone(), &dirs.data, tree, &options).map(|_| ())
}
