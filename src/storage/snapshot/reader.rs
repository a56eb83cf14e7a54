//! Reads a snapshot into a tree, checking every seal on the way.

use super::compress::{GZ_MAGIC, SNAPPY_MAGIC};
use super::{Compression, DIGEST_VERSION, Parts, TERMINATOR};
use crate::base::Zxid;
use crate::storage::{Disk, DiskFile, MemoryFile, StorageError};
use crate::tree::{self, Kind, LoadError, Loader, Tree, TreeOptions};
use bytes::Bytes;
use jute::Str;
use jute::data::{Acl, Id, StatPersisted};
use jute::persist::FileHeader;
use simd_adler32::Adler32;
use std::io::{self, Read};
use std::path::Path;

/// What a snapshot holds.
pub struct Loaded {
    /// The tree, with the zxid of the file's name.
    pub tree: Tree,
    /// The digest section, unless it is missing or empty: the tree's digest once it is at that zxid. Java's writer may
    /// have been further than the name says.
    pub digest: Option<(Zxid, u64)>,
    /// The section with the last zxid of the writer.
    pub last_zxid: Option<Zxid>,
    /// Znodes whose owner extended types read as a time to live, whether they are on or not.
    pub ttl_znodes: u64,
}

/// Why a file is no snapshot that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotProblem {
    /// The file cannot be read, or not be unpacked.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// It ends too early.
    #[error("it ends at byte {at}, inside of {what}")]
    Ends {
        /// Plain bytes that were there.
        at: u64,
        /// What would have come.
        what: &'static str,
    },
    /// It does not begin as a snapshot.
    #[error("it does not begin with ZKSN")]
    NoSnapshot,
    /// A checksum is wrong.
    #[error("the checksum at byte {at} is {found:#x}, not {expected:#x}")]
    Checksum {
        /// Plain bytes before it.
        at: u64,
        /// What stands there.
        expected: i64,
        /// What the bytes before it sum up to.
        found: i64,
    },
    /// A count or length that cannot be.
    #[error("{what} at byte {at} is {value}")]
    Value {
        /// Which one.
        what: &'static str,
        /// Plain bytes up to behind it.
        at: u64,
        /// What it is.
        value: i64,
    },
    /// A stream whose body is not followed by what marks its end.
    #[error("the snapshot is not followed by its signature")]
    Signature,
    /// Its parts make no tree.
    #[error("{0}")]
    Load(#[from] LoadError),
}

/// Whether a file looks like a snapshot that was written to its end: cheap, and all that purging asks for.
///
/// # Errors
/// What the disk says.
/// Source: `SnapStream.isValidSnapshot`.
pub fn looks_complete(disk: &dyn Disk, path: &Path) -> Result<bool, StorageError> {
    let look = || {
        let file = disk.open(path)?;
        let mut head = [0; SNAPPY_MAGIC.len()];
        Ok(match compression_of(path) {
            Compression::Gz => {
                file.read_at(0, &mut head)? >= GZ_MAGIC.len() && head.starts_with(&GZ_MAGIC)
            }
            Compression::Snappy => {
                file.read_at(0, &mut head)? == head.len() && head == SNAPPY_MAGIC
            }
            Compression::None => {
                let mut tail = [0; 5];
                let len = file.size()?;
                len >= 10 && file.read_at(len - 5, &mut tail)? == 5 && tail == [0, 0, 0, 1, b'/']
            }
        })
    };
    look().map_err(|error| StorageError::io("read", path, error))
}

/// Loads the snapshot `path`, whose name says `zxid`.
///
/// # Errors
/// What is wrong with the file.
/// Source: `FileSnap.deserialize`, `DataTree.deserialize`.
pub fn read(
    disk: &dyn Disk,
    path: &Path,
    zxid: Zxid,
    options: TreeOptions,
) -> Result<Loaded, SnapshotProblem> {
    load(disk.open(path)?, compression_of(path), zxid, options)
}

/// Loads a snapshot that is in memory.
///
/// # Errors
/// What is wrong with the bytes.
pub fn check(
    bytes: Bytes,
    compression: Compression,
    zxid: Zxid,
    options: TreeOptions,
) -> Result<Loaded, SnapshotProblem> {
    load(Box::new(MemoryFile(bytes)), compression, zxid, options)
}

pub(super) fn compression_of(path: &Path) -> Compression {
    path.file_name()
        .and_then(|name| name.to_str())
        .map_or(Compression::None, Compression::of_file)
}

fn load(
    file: Box<dyn DiskFile>,
    compression: Compression,
    zxid: Zxid,
    options: TreeOptions,
) -> Result<Loaded, SnapshotProblem> {
    let mut loader = Loader::new(options);
    let (sections, ttl_znodes) = read_parts(file, compression, &mut loader)?;
    Ok(Loaded {
        tree: loader.finish(zxid)?,
        digest: sections.digest,
        last_zxid: sections.last_zxid,
        ttl_znodes,
    })
}

/// Reads a snapshot without making a tree of it. All seals are checked, but only behind what they cover: what was told
/// counts once this returns.
///
/// # Errors
/// What is wrong with the file.
pub fn visit(
    disk: &dyn Disk,
    path: &Path,
    parts: &mut impl Parts,
) -> Result<Sections, SnapshotProblem> {
    Ok(read_parts(disk.open(path)?, compression_of(path), parts)?.0)
}

/// Returns the sections, and how many znodes have a time to live.
fn read_parts(
    file: Box<dyn DiskFile>,
    compression: Compression,
    parts: &mut impl Parts,
) -> Result<(Sections, u64), SnapshotProblem> {
    let packed = Sequential::new(file);
    let mut stream = Stream::new(compression.unpack(packed));
    if stream.bytes(FileHeader::SIZE, "the header")?[..4]
        != FileHeader::SNAPSHOT.magic.to_be_bytes()
    {
        return Err(SnapshotProblem::NoSnapshot);
    }
    read_sessions(&mut stream, parts)?;
    read_acls(&mut stream, parts)?;
    let ttl_znodes = read_znodes(&mut stream, parts)?;
    stream.seal()?;
    let sections = read_sections(&mut stream)?;
    // To the end, so that the container's own checks are made too.
    while stream.pull()? > 0 {
        stream.at = stream.buf.len();
    }
    Ok((sections, ttl_znodes))
}

fn read_sessions(stream: &mut Stream, parts: &mut impl Parts) -> Result<(), SnapshotProblem> {
    for _ in 0..stream.count("the number of sessions")? {
        let id = stream.i64("a session")?;
        parts.session(id, stream.i32("a session")?);
    }
    Ok(())
}

/// Source: `ReferenceCountedACLCache.deserialize`.
fn read_acls(stream: &mut Stream, parts: &mut impl Parts) -> Result<(), SnapshotProblem> {
    for _ in 0..stream.count("the number of ACL lists")? {
        let id = stream.i64("an ACL list")?;
        let mut list = Vec::new();
        for _ in 0..stream.count("the length of an ACL list")? {
            let perms = stream.i32("an ACL")?;
            let scheme = stream.text("an ACL")?;
            let id = Id {
                scheme,
                id: stream.text("an ACL")?,
            };
            list.push(Acl { perms, id });
        }
        parts.acl(id, list)?;
    }
    Ok(())
}

/// Returns how many have a time to live.
fn read_znodes(stream: &mut Stream, parts: &mut impl Parts) -> Result<u64, SnapshotProblem> {
    let extended = TreeOptions {
        extended_types: true,
        ..TreeOptions::default()
    };
    let mut ttl_znodes = 0;
    let mut path = Vec::new();
    loop {
        path.clear();
        path.extend_from_slice(stream.buffer("a path")?.unwrap_or_default());
        if path == TERMINATOR.as_bytes() {
            return Ok(ttl_znodes);
        }
        let data = stream.length("a znode's data")?;
        // One stretch of bytes for the rest of the record: data, ACL id, stat.
        let tail = stream.bytes(data.unwrap_or(0) + 8 + STAT_SIZE, "a znode")?;
        let (bytes, tail) = tail.split_at(data.unwrap_or(0));
        let (acl, stat) = tail.split_at(8);
        let (acl, stat) = (Fields(acl).i64(), stat_of(stat));
        let data = data.map(|_| bytes);
        if matches!(
            tree::kind(stat.ephemeral_owner, &extended),
            Kind::Ttl { .. }
        ) {
            ttl_znodes += 1;
        }
        parts.znode(&path, data, acl, &stat)?;
    }
}

pub(super) fn stat_of(bytes: &[u8]) -> StatPersisted {
    let mut fields = Fields(bytes);
    StatPersisted {
        czxid: fields.i64(),
        mzxid: fields.i64(),
        ctime: fields.i64(),
        mtime: fields.i64(),
        version: fields.i32(),
        cversion: fields.i32(),
        aversion: fields.i32(),
        ephemeral_owner: fields.i64(),
        pzxid: fields.i64(),
    }
}

/// What stands behind the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// As [`Loaded::digest`].
    pub digest: Option<(Zxid, u64)>,
    /// As [`Loaded::last_zxid`].
    pub last_zxid: Option<Zxid>,
}

/// The sections behind the body, told apart by how much is left.
///
/// Differs from Java, whose server of default settings takes a lone last zxid for a digest and does not start.
fn read_sections(stream: &mut Stream) -> Result<Sections, SnapshotProblem> {
    let left = stream.left_up_to(DIGEST_SECTION + LAST_ZXID_SECTION)?;
    if left == 0 {
        return Ok(Sections::default());
    }
    let digest = if left == LAST_ZXID_SECTION {
        None
    } else {
        read_digest(stream)?
    };
    if stream.left_up_to(LAST_ZXID_SECTION)? == 0 {
        let last_zxid = None;
        return Ok(Sections { digest, last_zxid });
    }
    let last_zxid = Zxid(stream.i64("the last zxid")?);
    stream.seal()?;
    Ok(Sections {
        digest,
        last_zxid: Some(last_zxid),
    })
}

/// Source: `DataTree.deserializeZxidDigest`.
fn read_digest(stream: &mut Stream) -> Result<Option<(Zxid, u64)>, SnapshotProblem> {
    let zxid = Zxid(stream.i64("the digest")?);
    let version = stream.i32("the digest")?;
    if version < DIGEST_VERSION {
        // Older ones are a text, computed in another way.
        stream.buffer("the digest")?;
        stream.seal()?;
        return Ok(None);
    }
    let digest = stream.i64("the digest")? as u64;
    stream.seal()?;
    Ok((version == DIGEST_VERSION && zxid != Zxid::ZERO).then_some((zxid, digest)))
}

/// A file from front to end.
pub(super) struct Sequential {
    file: Box<dyn DiskFile>,
    at: u64,
}

impl Sequential {
    pub(super) fn new(file: Box<dyn DiskFile>) -> Sequential {
        Sequential { file, at: 0 }
    }
}

impl Read for Sequential {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(self.at, buf)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The plain bytes, through one buffer, summed up as they are used.
struct Stream<'a> {
    source: Box<dyn Read + 'a>,
    buf: Vec<u8>,
    /// Where the next field begins in `buf`.
    at: usize,
    /// Up to where `buf` is in the sum.
    summed: usize,
    adler: Adler32,
    /// Bytes before `buf`.
    before: u64,
}

impl<'a> Stream<'a> {
    fn new(source: Box<dyn Read + 'a>) -> Self {
        let adler = Adler32::new();
        Stream {
            source,
            buf: Vec::new(),
            at: 0,
            summed: 0,
            adler,
            before: 0,
        }
    }

    fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    fn sum_up(&mut self) {
        self.adler.write(&self.buf[self.summed..self.at]);
        self.summed = self.at;
    }

    /// Drops what was used and reads more; returns how much more, 0 at the end.
    fn pull(&mut self) -> io::Result<usize> {
        self.sum_up();
        self.buf.drain(..self.at);
        self.before += self.at as u64;
        (self.at, self.summed) = (0, 0);
        let have = self.buf.len();
        let more = self.before.clamp(CHUNK_MIN, CHUNK_MAX) as usize;
        self.buf
            .resize(have + more.max(have.min(CHUNK_MAX as usize)), 0);
        let count = loop {
            match self.source.read(&mut self.buf[have..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buf.truncate(have + *count.as_ref().unwrap_or(&0));
        count
    }

    /// The next `count` bytes. The buffer grows with what is there, not with what is claimed.
    fn bytes(&mut self, count: usize, what: &'static str) -> Result<&[u8], SnapshotProblem> {
        while self.buf.len() - self.at < count {
            if self.pull()? == 0 {
                let at = self.before + self.buf.len() as u64;
                return Err(SnapshotProblem::Ends { at, what });
            }
        }
        let start = self.at;
        self.at += count;
        Ok(&self.buf[start..start + count])
    }

    /// Bytes that are left, or `most` if there are more.
    fn left_up_to(&mut self, most: usize) -> Result<usize, SnapshotProblem> {
        while self.buf.len() - self.at <= most {
            if self.pull()? == 0 {
                return Ok(self.buf.len() - self.at);
            }
        }
        Ok(most + 1)
    }

    fn i32(&mut self, what: &'static str) -> Result<i32, SnapshotProblem> {
        self.bytes(4, what).map(|bytes| Fields(bytes).i32())
    }

    fn i64(&mut self, what: &'static str) -> Result<i64, SnapshotProblem> {
        self.bytes(8, what).map(|bytes| Fields(bytes).i64())
    }

    /// A length; None is null.
    fn length(&mut self, what: &'static str) -> Result<Option<usize>, SnapshotProblem> {
        match self.i32(what)? {
            -1 => Ok(None),
            value => match usize::try_from(value) {
                Ok(length) => Ok(Some(length)),
                Err(_) => {
                    let (at, value) = (self.position(), value.into());
                    Err(SnapshotProblem::Value { what, at, value })
                }
            },
        }
    }

    fn count(&mut self, what: &'static str) -> Result<usize, SnapshotProblem> {
        Ok(self.length(what)?.unwrap_or(0))
    }

    fn buffer(&mut self, what: &'static str) -> Result<Option<&[u8]>, SnapshotProblem> {
        match self.length(what)? {
            None => Ok(None),
            Some(length) => self.bytes(length, what).map(Some),
        }
    }

    fn text(&mut self, what: &'static str) -> Result<Option<Str>, SnapshotProblem> {
        let bytes = self.buffer(what)?;
        Ok(bytes.map(|bytes| Str::from_java_utf8(Bytes::copy_from_slice(bytes))))
    }

    /// Source: `SnapStream.checkSealIntegrity`.
    fn seal(&mut self) -> Result<(), SnapshotProblem> {
        self.sum_up();
        let (at, found) = (self.position(), i64::from(self.adler.finish()));
        let expected = self.i64("a checksum")?;
        self.buffer("a checksum")?;
        if found == expected {
            Ok(())
        } else {
            Err(SnapshotProblem::Checksum {
                at,
                expected,
                found,
            })
        }
    }
}

/// Big-endian numbers off the front of bytes that are known to be long enough.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let (now, later) = self.0.split_at(N);
        array.copy_from_slice(now);
        self.0 = later;
        array
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.array())
    }

    fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.array())
    }
}

/// Bytes of a StatPersisted.
pub(super) const STAT_SIZE: usize = 60;

/// Bytes of a seal: the checksum and the text "/".
const SEAL: usize = 13;

/// Bytes of the digest section with its seal.
const DIGEST_SECTION: usize = 20 + SEAL;

/// Bytes of the last zxid's section with its seal.
const LAST_ZXID_SECTION: usize = 8 + SEAL;

/// Bytes read at once at first; more as the file turns out to be larger.
const CHUNK_MIN: u64 = 16 << 10;

/// Bytes read at once at most.
const CHUNK_MAX: u64 = 1 << 20;
