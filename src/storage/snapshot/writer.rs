//! Writes a snapshot beside the others and gives it its name when it is complete.

use super::compress::Packer;
use super::{Compression, DIGEST_VERSION, TERMINATOR};
use crate::base::Zxid;
use crate::storage::{Disk, DiskFile, StorageError, atomic, names};
use crate::tree::{Frozen, Tree};
use bytes::BytesMut;
use jute::persist::FileHeader;
use jute::{Wire, Writer};
use simd_adler32::Adler32;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How snapshots are written.
#[derive(Clone, Debug)]
pub struct SnapshotOptions {
    /// How they are packed. Java: `zookeeper.snapshot.compression.method`.
    pub compression: Compression,
    /// Whether the section with the last zxid is written. Java: `zookeeper.serializeLastProcessedZxid.enabled`.
    pub serialize_last_zxid: bool,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        SnapshotOptions {
            compression: Compression::None,
            serialize_last_zxid: true,
        }
    }
}

/// A snapshot that stands on disk, complete and durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// Its zxid.
    pub zxid: Zxid,
    /// Its size in bytes, as packed.
    pub bytes: u64,
}

/// A snapshot in the making. Dropped before [`SnapshotWriter::finish`], it leaves nothing behind.
///
/// Differs from Java, which writes in place and without a sync: a crash cannot leave half a snapshot under its name.
/// Source: `FileSnap.serialize`, `AtomicFileOutputStream`.
pub struct SnapshotWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    path: PathBuf,
    unfinished: PathBuf,
    zxid: Zxid,
    digest: Option<u64>,
    serialize_last_zxid: bool,
    file: Box<dyn DiskFile>,
    position: u64,
    packer: Packer,
    adler: Adler32,
    finished: bool,
}

impl SnapshotWriter {
    /// Begins the snapshot of the tree as it was at `zxid`, whose digest was `digest` (None with digests off).
    ///
    /// # Errors
    /// What the disk says.
    pub fn begin(
        disk: Arc<dyn Disk>,
        dir: &Path,
        zxid: Zxid,
        digest: Option<u64>,
        options: &SnapshotOptions,
    ) -> Result<SnapshotWriter, StorageError> {
        let name = names::snapshot_name(zxid, options.compression);
        Self::begin_as(
            disk,
            dir,
            &names::unfinished_name(&name),
            zxid,
            digest,
            options,
        )
    }

    /// As [`SnapshotWriter::begin`], in a file of that name until it is finished.
    fn begin_as(
        disk: Arc<dyn Disk>,
        dir: &Path,
        unfinished: &str,
        zxid: Zxid,
        digest: Option<u64>,
        options: &SnapshotOptions,
    ) -> Result<SnapshotWriter, StorageError> {
        let name = names::snapshot_name(zxid, options.compression);
        let unfinished = dir.join(unfinished);
        let file = disk
            .create(&unfinished)
            .map_err(|error| StorageError::io("create", &unfinished, error))?;
        let mut writer = SnapshotWriter {
            disk,
            dir: dir.to_path_buf(),
            path: dir.join(name),
            unfinished,
            zxid,
            digest,
            serialize_last_zxid: options.serialize_last_zxid,
            file,
            position: 0,
            packer: Packer::new(options.compression),
            adler: Adler32::new(),
            finished: false,
        };
        let mut header = BytesMut::new();
        FileHeader::SNAPSHOT.write(&mut Writer::for_file(&mut header));
        writer.body(&header)?;
        Ok(writer)
    }

    /// Appends the next part of the body, as `Frozen::header` and `Frozen::emit` give it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn body(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.adler.write(bytes);
        let packed = self.packer.write(bytes);
        packed.map_err(|error| self.failed("write", error))?;
        if self.packer.out().len() >= CHUNK {
            self.write_out()
        } else {
            Ok(())
        }
    }

    /// Ends the file behind its body, makes it durable and gives it its name, in place of an older one of that name.
    ///
    /// # Errors
    /// What the disk says; the folder is then as if nothing had been written.
    pub fn finish(mut self) -> Result<Written, StorageError> {
        self.complete()?;
        let renamed = self.disk.rename(&self.unfinished, &self.path);
        renamed.map_err(|error| self.failed("rename", error))?;
        self.finished = true;
        atomic::sync_dir(self.disk.as_ref(), &self.dir)?;
        Ok(Written {
            path: self.path.clone(),
            zxid: self.zxid,
            bytes: self.position,
        })
    }

    /// Ends the file behind its body and makes it durable under the name it was begun with.
    fn finish_unnamed(mut self) -> Result<Written, StorageError> {
        self.complete()?;
        atomic::sync_dir(self.disk.as_ref(), &self.dir)?;
        self.finished = true;
        Ok(Written {
            path: self.unfinished.clone(),
            zxid: self.zxid,
            bytes: self.position,
        })
    }

    fn complete(&mut self) -> Result<(), StorageError> {
        let mut out = BytesMut::new();
        self.seal(&mut out)?;
        if let Some(digest) = self.digest {
            let mut w = Writer::for_file(&mut out);
            w.i64(self.zxid.0);
            w.i32(DIGEST_VERSION);
            // Java knows no digest before the first transaction.
            w.i64(if self.zxid == Zxid::ZERO {
                0
            } else {
                digest as i64
            });
            self.seal(&mut out)?;
        }
        if self.serialize_last_zxid {
            Writer::for_file(&mut out).i64(self.zxid.0);
            self.seal(&mut out)?;
        }
        self.packer
            .finish()
            .map_err(|error| self.failed("write", error))?;
        self.write_out()?;
        self.file
            .sync_all()
            .map_err(|error| self.failed("sync", error))
    }

    /// Writes `out` and behind it the checksum of everything up to there.
    /// Source: `SnapStream.sealStream`.
    fn seal(&mut self, out: &mut BytesMut) -> Result<(), StorageError> {
        self.body(out)?;
        out.clear();
        let mut w = Writer::for_file(out);
        w.i64(self.adler.finish().into());
        w.text(Some(TERMINATOR));
        self.body(out)?;
        out.clear();
        Ok(())
    }

    fn write_out(&mut self) -> Result<(), StorageError> {
        let out = self.packer.out();
        let written = self.file.write_at(self.position, out);
        self.position += out.len() as u64;
        out.clear();
        written.map_err(|error| self.failed("write", error))
    }

    fn failed(&self, action: &'static str, error: io::Error) -> StorageError {
        StorageError::io(action, &self.unfinished, error)
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Whatever is left behind is ignored by its name.
            let _ = self.disk.remove(&self.unfinished);
        }
    }
}

/// Writes a snapshot of `tree` at once; None if it is being walked for another one.
///
/// # Errors
/// What the disk says.
pub fn write_tree(
    disk: Arc<dyn Disk>,
    dir: &Path,
    tree: &mut Tree,
    options: &SnapshotOptions,
) -> Result<Option<Written>, StorageError> {
    let Some(frozen) = tree.freeze() else {
        return Ok(None);
    };
    let digest = tree.options().digest.then(|| frozen.digest());
    let (written, frozen) = write_frozen(
        SnapshotWriter::begin(disk, dir, frozen.zxid(), digest, options),
        tree,
        frozen,
    );
    tree.thaw(frozen);
    Ok(Some(written?.finish()?))
}

/// Writes a snapshot of `tree` that does not count yet, under the name of one that was received; None if the tree is
/// being walked for another one.
///
/// # Errors
/// What the disk says.
pub(in crate::storage) fn write_received(
    disk: Arc<dyn Disk>,
    dir: &Path,
    tree: &mut Tree,
    options: &SnapshotOptions,
) -> Result<Option<Written>, StorageError> {
    let Some(frozen) = tree.freeze() else {
        return Ok(None);
    };
    let (zxid, digest) = (
        frozen.zxid(),
        tree.options().digest.then(|| frozen.digest()),
    );
    let name = names::received_name(&names::snapshot_name(zxid, options.compression));
    let (written, frozen) = write_frozen(
        SnapshotWriter::begin_as(disk, dir, &name, zxid, digest, options),
        tree,
        frozen,
    );
    tree.thaw(frozen);
    Ok(Some(written?.finish_unnamed()?))
}

/// Writes the whole body.
fn write_frozen(
    writer: Result<SnapshotWriter, StorageError>,
    tree: &Tree,
    mut frozen: Frozen,
) -> (Result<SnapshotWriter, StorageError>, Frozen) {
    let write = || {
        let mut writer = writer?;
        let mut out = BytesMut::new();
        frozen.header(&mut out);
        loop {
            let done = frozen.emit(tree, ZNODES_PER_STEP, &mut out);
            writer.body(&out)?;
            out.clear();
            if done {
                return Ok(writer);
            }
        }
    };
    let written = write();
    (written, frozen)
}

/// Packed bytes that are written at once.
const CHUNK: usize = 1 << 20;

/// Znodes that [`write_tree`] collects before it writes.
const ZNODES_PER_STEP: usize = 512;
