//! Writes a backup folder: every file under a temporary name, synced, renamed; the manifest last.
//!
//! After `kill -9` at any moment the manifest is the old one or the new one, and everything it speaks of is there. What
//! a killed run left beside that is removed by the next one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use jute::Wire;
use jute::persist::FileHeader;
use sha2::{Digest, Sha256};

use super::error::BackupError;
use super::manifest::{Chain, LogFile, MANIFEST, Manifest, SnapshotFile};
use crate::base::Zxid;
use crate::runtime::data_lock::DataLock;
use crate::storage::snapshot::stream::SnapBody;
use crate::storage::{OsDisk, VERSION_DIR, log_name};

/// A backup folder that this process alone writes.
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// What it holds, durably.
    pub manifest: Manifest,
    _lock: DataLock,
}

impl Folder {
    /// Opens a backup folder, or begins one in an empty or new folder.
    ///
    /// # Errors
    /// If it holds something else, somebody writes it, or the disk says no.
    pub fn open(path: &Path) -> Result<Folder, BackupError> {
        fs::create_dir_all(path).map_err(|error| BackupError::io("create", path, error))?;
        let manifest = Manifest::read(path)?;
        if manifest.is_none() {
            refuse_foreign(path)?;
        }
        let lock = DataLock::take(path)?;
        // It may have been written while the lock was waited for.
        let manifest = Manifest::read(path)?.unwrap_or_else(Manifest::new);
        Ok(Folder {
            path: path.to_path_buf(),
            manifest,
            _lock: lock,
        })
    }

    /// Removes what an interrupted run left: whatever the manifest does not speak of.
    ///
    /// # Errors
    /// What the disk says.
    pub fn tidy(&self) -> Result<(), BackupError> {
        remove(&self.path.join(format!("{MANIFEST}.tmp")))?;
        for name in list(&self.path)? {
            if name.parse::<u32>().is_err() {
                continue;
            }
            let path = self.path.join(&name);
            let Some(chain) = self
                .manifest
                .chains
                .iter()
                .find(|chain| chain.folder == name)
            else {
                fs::remove_dir_all(&path)
                    .map_err(|error| BackupError::io("remove", &path, error))?;
                continue;
            };
            let dir = chain.dir(&self.path);
            for file in list(&dir)? {
                let known = chain.logs.iter().any(|log| log.file == file)
                    || chain.snapshots.iter().any(|snapshot| snapshot.file == file);
                if !known {
                    remove(&dir.join(&file))?;
                }
            }
        }
        Ok(())
    }

    /// A name for the next chain.
    pub fn next_chain(&self) -> String {
        let numbers = self.manifest.chains.iter();
        let last = numbers
            .filter_map(|chain| chain.folder.parse::<u32>().ok())
            .max();
        (last.unwrap_or(0) + 1).to_string()
    }

    /// Makes the folder of a chain and returns it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn chain_dir(&self, name: &str) -> Result<PathBuf, BackupError> {
        let chain = self.path.join(name);
        let dir = chain.join(VERSION_DIR);
        fs::create_dir_all(&dir).map_err(|error| BackupError::io("create", &dir, error))?;
        sync_dir(&self.path)?;
        sync_dir(&chain)?;
        Ok(dir)
    }

    /// Puts `manifest` in the place of the one there is. Everything it speaks of has to be durable.
    ///
    /// # Errors
    /// What the disk says; it is the old one or the new one then.
    pub fn commit(&mut self, manifest: Manifest) -> Result<(), BackupError> {
        replace(&self.path, MANIFEST, &manifest.text())?;
        self.manifest = manifest;
        Ok(())
    }
}

/// A folder that is no backup yet may hold nothing but what a first run leaves when it is killed.
fn refuse_foreign(path: &Path) -> Result<(), BackupError> {
    let ours = |name: &str| {
        name == "oxkeeper.lock" || name == "1" || name.starts_with(MANIFEST) || name == "lost+found"
    };
    match list(path)?.iter().all(|name| ours(name)) {
        true => Ok(()),
        false => Err(BackupError::NoBackupFolder {
            path: path.to_path_buf(),
        }),
    }
}

/// Bytes to a file under a temporary name, summed up on the way.
pub struct Output {
    file: BufWriter<File>,
    unfinished: PathBuf,
    path: PathBuf,
    sha256: Sha256,
    bytes: u64,
}

impl Output {
    /// Begins `dir/name`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create(dir: &Path, name: &str) -> Result<Output, BackupError> {
        let unfinished = dir.join(format!("{name}.tmp"));
        let file = File::create(&unfinished);
        let file = file.map_err(|error| BackupError::io("create", &unfinished, error))?;
        Ok(Output {
            file: BufWriter::with_capacity(BUFFER, file),
            unfinished,
            path: dir.join(name),
            sha256: Sha256::new(),
            bytes: 0,
        })
    }

    /// Appends.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
        let written = self.file.write_all(bytes);
        written.map_err(|error| BackupError::io("write", &self.unfinished, error))
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it is until it has its name.
    pub fn unfinished(&self) -> &Path {
        &self.unfinished
    }

    /// Writes out what is held back, so that the file can be read.
    ///
    /// # Errors
    /// What the disk says.
    pub fn flush(&mut self) -> Result<(), BackupError> {
        let flushed = self.file.flush();
        flushed.map_err(|error| BackupError::io("write", &self.unfinished, error))
    }

    /// Makes it durable and gives it its name; returns size and checksum.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(mut self) -> Result<(u64, String), BackupError> {
        self.flush()?;
        let synced = self.file.get_ref().sync_all();
        synced.map_err(|error| BackupError::io("sync", &self.unfinished, error))?;
        fs::rename(&self.unfinished, &self.path)
            .map_err(|error| BackupError::io("rename", &self.unfinished, error))?;
        if let Some(dir) = self.path.parent() {
            sync_dir(dir)?;
        }
        Ok((self.bytes, hex(&self.sha256.finalize())))
    }
}

/// Checks the snapshot that was written to `output`, and gives it its name.
///
/// # Errors
/// [`BackupError::Damaged`] if it is no whole snapshot; what the disk says.
pub fn finish_snapshot(
    mut output: Output,
    name: &str,
    zxid: Zxid,
) -> Result<SnapshotFile, BackupError> {
    output.flush()?;
    // The name says how it is packed, so it is read under one that ends as its own.
    let checked = output.unfinished().with_file_name(format!("tmp.{name}"));
    let problem = |what: String| BackupError::Damaged {
        path: checked.clone(),
        what,
    };
    fs::rename(output.unfinished(), &checked)
        .map_err(|error| BackupError::io("rename", &checked, error))?;
    let body = SnapBody::open(&OsDisk, &checked, FIELD_MAX);
    let written_at = body.and_then(SnapBody::written_at);
    let written_at = written_at.map_err(|error| problem(error.to_string()));
    fs::rename(&checked, output.unfinished())
        .map_err(|error| BackupError::io("rename", &checked, error))?;
    let written_at = match written_at {
        Ok(written_at) => written_at,
        Err(error) => {
            remove(output.unfinished())?;
            return Err(error);
        }
    };
    let (bytes, sha256) = output.finish()?;
    Ok(SnapshotFile {
        file: name.to_owned(),
        zxid,
        holds_upto: match zxid {
            // A database without any transaction says nothing, and holds nothing.
            Zxid::ZERO => Some(Zxid::ZERO),
            _ => written_at,
        },
        bytes,
        sha256,
    })
}

/// Records to files of the log's format.
pub struct Segments {
    dir: PathBuf,
    open: Option<(Output, LogFile)>,
    done: Vec<LogFile>,
}

impl Segments {
    /// Nothing yet; files will be in `dir`.
    pub fn new(dir: PathBuf) -> Segments {
        Segments {
            dir,
            open: None,
            done: Vec::new(),
        }
    }

    /// Appends a record of the log.
    ///
    /// # Errors
    /// What the disk says.
    pub fn append(&mut self, zxid: Zxid, payload: &[u8]) -> Result<(), BackupError> {
        let full = |(output, _): &(Output, LogFile)| output.bytes() >= SEGMENT_BYTES;
        // A record that repeats a zxid stays with its like: names would clash otherwise.
        let repeats = |(_, log): &(Output, LogFile)| log.last_zxid >= zxid;
        if self
            .open
            .as_ref()
            .is_some_and(|open| full(open) && !repeats(open))
        {
            self.close()?;
        }
        let time = time_of(payload);
        let (output, log) = match &mut self.open {
            Some(open) => open,
            none => {
                let file = log_name(zxid);
                let mut output = Output::create(&self.dir, &file)?;
                let mut header = bytes::BytesMut::new();
                FileHeader::LOG.write(&mut jute::Writer::for_file(&mut header));
                output.write(&header)?;
                none.insert((
                    output,
                    LogFile {
                        file,
                        first_zxid: zxid,
                        last_zxid: zxid,
                        first_time_ms: time,
                        last_time_ms: time,
                        ..LogFile::default()
                    },
                ))
            }
        };
        let checksum = simd_adler32::adler32(&payload);
        output.write(&u64::from(checksum).to_be_bytes())?;
        output.write(&(payload.len() as u32).to_be_bytes())?;
        output.write(payload)?;
        output.write(b"B")?;
        log.last_zxid = log.last_zxid.max(zxid);
        log.last_time_ms = log.last_time_ms.max(time);
        log.last_checksum = checksum;
        log.records += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), BackupError> {
        if let Some((output, mut log)) = self.open.take() {
            (log.bytes, log.sha256) = output.finish()?;
            self.done.push(log);
        }
        Ok(())
    }

    /// The files, durable.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(mut self) -> Result<Vec<LogFile>, BackupError> {
        self.close()?;
        Ok(self.done)
    }
}

/// The time in the header of a record, ms since 1970.
pub fn time_of(payload: &[u8]) -> i64 {
    let bytes = payload.get(20..28).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, i64::from_be_bytes)
}

/// Makes `bytes` the durable content of `dir/name`.
///
/// # Errors
/// What the disk says.
pub fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
    let mut output = Output::create(dir, name)?;
    output.write(bytes)?;
    output.finish().map(|_| ())
}

/// Makes the names in a folder durable.
///
/// # Errors
/// What the disk says.
pub fn sync_dir(dir: &Path) -> Result<(), BackupError> {
    let dir = match dir.as_os_str().is_empty() {
        true => Path::new("."),
        false => dir,
    };
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| BackupError::io("sync", dir, error))
}

/// Names in a folder; none if there is no such folder.
///
/// # Errors
/// What the disk says.
pub fn list(dir: &Path) -> Result<Vec<String>, BackupError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| BackupError::io("list", dir, error))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| BackupError::io("list", dir, error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes a file, if it is there.
///
/// # Errors
/// What the disk says.
pub fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackupError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Size and checksum of a file.
///
/// # Errors
/// What the disk says.
pub fn sum(path: &Path) -> Result<(u64, String), BackupError> {
    let mut file = File::open(path).map_err(|error| BackupError::io("open", path, error))?;
    let (mut sha256, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; BUFFER]);
    loop {
        let count = io::Read::read(&mut file, &mut buffer);
        let count = count.map_err(|error| BackupError::io("read", path, error))?;
        if count == 0 {
            return Ok((bytes, hex(&sha256.finalize())));
        }
        sha256.update(&buffer[..count]);
        bytes += count as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The chain that a new run goes on with.
pub fn current(manifest: &Manifest) -> Option<&Chain> {
    manifest.chains.last()
}

/// Bytes in one file of the log; a run that adds more writes several.
const SEGMENT_BYTES: u64 = 256 << 20;

/// Bytes held back, and read at once.
const BUFFER: usize = 1 << 20;

/// No string or buffer in a snapshot is longer: more than any server writes.
pub const FIELD_MAX: usize = i32::MAX as usize;
