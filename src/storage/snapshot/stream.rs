//! A snapshot on its way from a leader to a learner: the body of a file, without what a file has around it.
//!
//! ```text
//! stream = body, string "BenWasHere"          body as in the table of the module above
//! ```
//!
//! Nothing frames it and nothing sums it up: the receiver finds the end by understanding every part. So the sender
//! compares the file's checksum before the last part leaves, and what follows SNAP never leaves then.
//!
//! Hostile cases: lengths that are negative or above a limit, a count that never ends, a znode before its parent, a
//! path twice, another signature, an end anywhere. A Java server walks its tree while it changes, so an ACL list may be
//! missing and some effects of later transactions there; replaying these repairs both.
//!
//! Source: `SerializeUtils.serializeSnapshot`, `LearnerHandler.run`, `Learner.syncWithLeader`.

use super::reader::{Sequential, compression_of, stat_of};
use super::{Parts, SnapshotProblem, TERMINATOR, looks_complete};
use crate::base::Zxid;
use crate::storage::{Dirs, Disk, StorageError, names};
use crate::tree::{LoadError, Loader, Tree, TreeOptions};
use bytes::{Buf, Bytes, BytesMut};
use jute::Str;
use jute::data::{Acl, Id, StatPersisted};
use jute::persist::FileHeader;
use simd_adler32::Adler32;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What follows the body on the wire.
pub const SIGNATURE: &[u8; 14] = b"\0\0\0\x0aBenWasHere";

/// The newest finished snapshot, if it holds everything up to `at_least`.
///
/// # Errors
/// What the disk says.
pub fn newest(
    disk: &dyn Disk,
    dirs: &Dirs,
    at_least: Zxid,
) -> Result<Option<(Zxid, PathBuf)>, StorageError> {
    let snapshots = names::sorted(disk, &dirs.data, names::parse_snapshot)?;
    for (zxid, path) in snapshots.into_iter().rev() {
        if zxid < at_least {
            break;
        }
        if looks_complete(disk, &path)? {
            return Ok(Some((zxid, path)));
        }
    }
    Ok(None)
}

/// The body of a finished snapshot file, plain, part by part.
pub struct SnapBody {
    source: Box<dyn Read + Send>,
    buf: BytesMut,
    adler: Adler32,
    parser: BodyParser,
    done: bool,
}

impl SnapBody {
    /// Opens a file. No length in it may be above `max_length` bytes.
    ///
    /// # Errors
    /// What is wrong with its beginning.
    pub fn open(
        disk: &dyn Disk,
        path: &Path,
        max_length: usize,
    ) -> Result<SnapBody, SnapshotProblem> {
        let packed = Sequential::new(disk.open(path)?);
        let mut source = compression_of(path).unpack(packed);
        let mut header = [0; FileHeader::SIZE];
        source.read_exact(&mut header)?;
        if header[..4] != FileHeader::SNAPSHOT.magic.to_be_bytes() {
            return Err(SnapshotProblem::NoSnapshot);
        }
        let mut adler = Adler32::new();
        adler.write(&header);
        Ok(SnapBody {
            source,
            buf: BytesMut::new(),
            adler,
            parser: BodyParser::new(max_length),
            done: false,
        })
    }

    /// The next part, some ten kilobytes or one large znode; None behind the last one.
    ///
    /// # Errors
    /// What is wrong with the file; a part that was handed out before may be wrong, too, but the last one is not handed
    /// out then.
    pub fn next_part(&mut self) -> Result<Option<Bytes>, SnapshotProblem> {
        if self.done {
            return Ok(None);
        }
        let mut ready = 0;
        loop {
            match self.parser.next(&self.buf[ready..], &mut Nobody)? {
                Progress::Took(count) => ready += count,
                Progress::More if ready > 0 => break,
                Progress::More => self.pull()?,
                Progress::Done(count) => {
                    ready += count;
                    self.done = true;
                    break;
                }
            }
        }
        let part = self.buf.split_to(ready).freeze();
        self.adler.write(&part);
        if self.done {
            self.check_seal()?;
        }
        Ok(Some(part))
    }

    /// Reads on behind the body, to the end of the file, and returns how far its writer had come when it was done: the
    /// file may hold something of what is behind its zxid up to there. None if it does not say.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn written_at(mut self) -> Result<Option<Zxid>, SnapshotProblem> {
        while self.next_part()?.is_some() {}
        let mut rest = self.buf.to_vec();
        (&mut self.source).take(TAIL_MAX).read_to_end(&mut rest)?;
        let ends = |what| SnapshotProblem::Ends {
            at: self.parser.taken + FileHeader::SIZE as u64 + rest.len() as u64,
            what,
        };
        let sections = rest.get(SEAL..).ok_or(ends("the seal"))?;
        let mut found = None;
        let mut at = 0;
        if matches!(sections.len(), DIGEST_LEN | BOTH_LEN) {
            found = self.section(&rest, SEAL, 20)?;
            at = DIGEST_LEN;
        }
        if matches!(sections.len(), LAST_LEN | BOTH_LEN) {
            found = found.max(self.section(&rest, SEAL + at, 8)?);
        }
        Ok(found)
    }

    /// The zxid that a section of `len` bytes at `at` begins with.
    fn section(
        &mut self,
        rest: &[u8],
        at: usize,
        len: usize,
    ) -> Result<Option<Zxid>, SnapshotProblem> {
        self.adler.write(&rest[at - SEAL..at + len]);
        let zxid = Zxid((&rest[at..at + 8]).get_i64());
        let (expected, found) = (
            (&rest[at + len..at + len + 8]).get_i64(),
            i64::from(self.adler.finish()),
        );
        match found == expected {
            true => Ok((zxid != Zxid::ZERO).then_some(zxid)),
            false => Err(SnapshotProblem::Checksum {
                at: self.parser.taken + (FileHeader::SIZE + at + len) as u64,
                expected,
                found,
            }),
        }
    }

    fn pull(&mut self) -> Result<(), SnapshotProblem> {
        let have = self.buf.len();
        self.buf.resize(have + CHUNK.max(have), 0);
        let count = loop {
            match self.source.read(&mut self.buf[have..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buf.truncate(have + *count.as_ref().unwrap_or(&0));
        match count? {
            0 => Err(SnapshotProblem::Ends {
                at: self.parser.taken + have as u64,
                what: "the body",
            }),
            _ => Ok(()),
        }
    }

    /// Source: `SnapStream.checkSealIntegrity`.
    fn check_seal(&mut self) -> Result<(), SnapshotProblem> {
        while self.buf.len() < 8 {
            self.pull()?;
        }
        let expected = (&self.buf[..8]).get_i64();
        let found = i64::from(self.adler.finish());
        let at = self.parser.taken + FileHeader::SIZE as u64;
        match found == expected {
            true => Ok(()),
            false => Err(SnapshotProblem::Checksum {
                at,
                expected,
                found,
            }),
        }
    }
}

/// Makes a tree of a stream as it arrives.
pub struct SnapParser {
    zxid: Zxid,
    loader: Option<Loader>,
    body: BodyParser,
    body_done: bool,
}

impl SnapParser {
    /// For the stream behind a SNAP of `zxid`. No length in it may be above `max_length` bytes
    /// (Java: `jute.maxbuffer` and some more).
    pub fn new(zxid: Zxid, options: TreeOptions, max_length: usize) -> SnapParser {
        SnapParser {
            zxid,
            loader: Some(Loader::new(options)),
            body: BodyParser::new(max_length),
            body_done: false,
        }
    }

    /// Takes what it can off the front of `bytes`, and the tree once the stream is complete; `bytes` then begins with
    /// what follows. What is left otherwise is less than one part: about two lengths.
    ///
    /// # Errors
    /// What is wrong with the stream; it cannot go on then.
    pub fn feed(&mut self, bytes: &mut BytesMut) -> Result<Option<Tree>, SnapshotProblem> {
        let Some(loader) = &mut self.loader else {
            return Ok(None);
        };
        while !self.body_done {
            match self.body.next(bytes, loader)? {
                Progress::Took(count) => bytes.advance(count),
                Progress::More => return Ok(None),
                Progress::Done(count) => {
                    bytes.advance(count);
                    self.body_done = true;
                }
            }
        }
        let known = bytes.len().min(SIGNATURE.len());
        if bytes[..known] != SIGNATURE[..known] {
            return Err(SnapshotProblem::Signature);
        }
        if known < SIGNATURE.len() {
            return Ok(None);
        }
        bytes.advance(SIGNATURE.len());
        match self.loader.take() {
            Some(loader) => Ok(Some(loader.finish(self.zxid)?)),
            None => Ok(None),
        }
    }
}

/// Only where the parts end is of interest.
struct Nobody;

impl Parts for Nobody {
    fn session(&mut self, _: i64, _: i32) {}

    fn acl(&mut self, _: i64, _: Vec<Acl>) -> Result<(), LoadError> {
        Ok(())
    }

    fn znode(
        &mut self,
        _: &[u8],
        _: Option<&[u8]>,
        _: i64,
        _: &StatPersisted,
    ) -> Result<(), LoadError> {
        Ok(())
    }
}

/// Finds the parts of a body, one after the other.
struct BodyParser {
    expected: Expected,
    max_length: usize,
    /// Bytes of the parts so far.
    taken: u64,
}

/// What comes next.
enum Expected {
    SessionCount,
    /// So many sessions.
    Session(usize),
    AclCount,
    /// So many ACL lists.
    AclList(usize),
    /// An entry of a list: so many, then so many lists.
    AclEntry {
        left: usize,
        lists: usize,
        id: i64,
        list: Vec<Acl>,
        bytes: usize,
    },
    Znode,
}

enum Progress {
    /// A part of so many bytes.
    Took(usize),
    /// The part is not complete.
    More,
    /// The last part.
    Done(usize),
}

/// Why a part cannot be taken.
enum Stop {
    More,
    Bad(SnapshotProblem),
}

impl From<LoadError> for Stop {
    fn from(error: LoadError) -> Stop {
        Stop::Bad(error.into())
    }
}

impl BodyParser {
    fn new(max_length: usize) -> BodyParser {
        BodyParser {
            expected: Expected::SessionCount,
            max_length,
            taken: 0,
        }
    }

    /// Looks at the front of `bytes`, which begin behind what was taken before.
    fn next(&mut self, bytes: &[u8], parts: &mut dyn Parts) -> Result<Progress, SnapshotProblem> {
        let mut front = Front {
            bytes,
            at: 0,
            before: self.taken,
            max_length: self.max_length,
        };
        match self.part(&mut front, parts) {
            Ok(done) => {
                self.taken += front.at as u64;
                Ok(match done {
                    false => Progress::Took(front.at),
                    true => Progress::Done(front.at),
                })
            }
            Err(Stop::More) => Ok(Progress::More),
            Err(Stop::Bad(problem)) => Err(problem),
        }
    }

    /// True for the terminator.
    fn part(&mut self, front: &mut Front<'_>, parts: &mut dyn Parts) -> Result<bool, Stop> {
        match &mut self.expected {
            Expected::SessionCount => {
                self.expected = match front.count("the number of sessions")? {
                    0 => Expected::AclCount,
                    count => Expected::Session(count),
                };
            }
            Expected::Session(left) => {
                parts.session(front.i64()?, front.i32()?);
                *left -= 1;
                if *left == 0 {
                    self.expected = Expected::AclCount;
                }
            }
            Expected::AclCount => {
                self.expected = Expected::lists(front.count("the number of ACL lists")?);
            }
            Expected::AclList(lists) => {
                let (id, left) = (front.i64()?, front.count("the length of an ACL list")?);
                let lists = *lists - 1;
                self.expected = match left {
                    0 => {
                        parts.acl(id, Vec::new())?;
                        Expected::lists(lists)
                    }
                    left => Expected::AclEntry {
                        left,
                        lists,
                        id,
                        list: Vec::new(),
                        bytes: 0,
                    },
                };
            }
            Expected::AclEntry {
                left,
                lists,
                id,
                list,
                bytes,
            } => {
                let acl = front.acl()?;
                *bytes += front.at;
                if *bytes > front.max_length {
                    return Err(front.bad("the size of an ACL list", *bytes as i64));
                }
                list.push(acl);
                *left -= 1;
                if *left == 0 {
                    parts.acl(*id, std::mem::take(list))?;
                    self.expected = Expected::lists(*lists);
                }
            }
            Expected::Znode => return front.znode(parts),
        }
        Ok(false)
    }
}

impl Expected {
    fn lists(count: usize) -> Expected {
        match count {
            0 => Expected::Znode,
            count => Expected::AclList(count),
        }
    }
}

/// The bytes that are there of a part.
struct Front<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes of the body before it.
    before: u64,
    max_length: usize,
}

impl<'a> Front<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(count).ok_or(Stop::More)?;
        let taken = self.bytes.get(self.at..end).ok_or(Stop::More)?;
        self.at = end;
        Ok(taken)
    }

    fn i32(&mut self) -> Result<i32, Stop> {
        self.take(4).map(|mut bytes| bytes.get_i32())
    }

    fn i64(&mut self) -> Result<i64, Stop> {
        self.take(8).map(|mut bytes| bytes.get_i64())
    }

    fn bad(&self, what: &'static str, value: i64) -> Stop {
        let at = self.before + self.at as u64;
        Stop::Bad(SnapshotProblem::Value { what, at, value })
    }

    /// A count; nothing is allocated for it. Null counts as none.
    fn count(&mut self, what: &'static str) -> Result<usize, Stop> {
        match self.i32()? {
            -1 => Ok(0),
            value => usize::try_from(value).map_err(|_| self.bad(what, value.into())),
        }
    }

    /// A string or buffer; None is null.
    fn buffer(&mut self, what: &'static str) -> Result<Option<&'a [u8]>, Stop> {
        match self.i32()? {
            -1 => Ok(None),
            value => match usize::try_from(value) {
                Ok(length) if length <= self.max_length => self.take(length).map(Some),
                _ => Err(self.bad(what, value.into())),
            },
        }
    }

    fn text(&mut self) -> Result<Option<Str>, Stop> {
        let bytes = self.buffer("the length of a text in an ACL")?;
        Ok(bytes.map(|bytes| Str::from_java_utf8(Bytes::copy_from_slice(bytes))))
    }

    fn acl(&mut self) -> Result<Acl, Stop> {
        let perms = self.i32()?;
        let scheme = self.text()?;
        let id = Id {
            scheme,
            id: self.text()?,
        };
        Ok(Acl { perms, id })
    }

    /// True for the terminator.
    fn znode(&mut self, parts: &mut dyn Parts) -> Result<bool, Stop> {
        let path = self.buffer("the length of a path")?.unwrap_or_default();
        if path == TERMINATOR.as_bytes() {
            return Ok(true);
        }
        let data = self.buffer("the length of a znode's data")?;
        let acl = self.i64()?;
        let stat = stat_of(self.take(super::reader::STAT_SIZE)?);
        parts.znode(path, data, acl, &stat)?;
        Ok(false)
    }
}

/// Bytes of a seal.
const SEAL: usize = 13;

/// Bytes of the digest section and its seal.
const DIGEST_LEN: usize = 20 + SEAL;

/// Bytes of the section with the last zxid and its seal.
const LAST_LEN: usize = 8 + SEAL;

const BOTH_LEN: usize = DIGEST_LEN + LAST_LEN;

/// So much behind the body is looked at.
const TAIL_MAX: u64 = 4096;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;
