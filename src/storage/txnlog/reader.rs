//! Reads a log file record by record, and tells an interrupted write from damage where the records end.

use super::{RECORD_END, RECORD_HEAD, RECORD_OVERHEAD, checksum};
use crate::base::Zxid;
use crate::storage::{Disk, DiskFile, MemoryFile, StorageError};
use bytes::{Buf, Bytes, BytesMut};
use jute::persist::FileHeader;
use jute::txn::LoggedTxn;
use simd_adler32::Adler32;
use std::io;
use std::path::{Path, PathBuf};

/// A record whose checksum is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it begins in its file, in bytes.
    pub offset: u64,
    /// Its position in the order, from its header.
    pub zxid: Zxid,
    /// Header, transaction, maybe a digest.
    pub payload: Bytes,
}

/// How a file ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With its last record, or with zeros behind it.
    Clean {
        /// Where the records end, in bytes.
        offset: u64,
    },
    /// With something that an interrupted write left behind.
    Torn {
        /// Where the records end, in bytes; 0 if not even the file's header is there.
        offset: u64,
        /// What was found there.
        what: String,
    },
}

/// The next thing in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A record.
    Record(Record),
    /// No more records.
    End(End),
}

/// A log file, read from front to end in large chunks.
///
/// Source: `FileTxnLog.FileTxnIterator`.
pub struct LogReader {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    len: u64,
    /// Where `buf` begins in the file, and the next record in both.
    at: u64,
    buf: BytesMut,
    last: Zxid,
}

impl LogReader {
    /// Opens a log file.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<LogReader, StorageError> {
        let file = disk
            .open(path)
            .map_err(|error| StorageError::io("open", path, error))?;
        LogReader::new(file, path.to_path_buf())
    }

    /// Reads an open file; `path` is for messages.
    ///
    /// # Errors
    /// What the disk says.
    pub fn new(file: Box<dyn DiskFile>, path: PathBuf) -> Result<LogReader, StorageError> {
        let len = file
            .size()
            .map_err(|error| StorageError::io("read", &path, error))?;
        Ok(LogReader {
            file,
            path,
            len,
            at: 0,
            buf: BytesMut::new(),
            last: Zxid::ZERO,
        })
    }

    /// Opens a log file at a place where [`LogReader::offset`] has been; 0 is the front.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open_at(disk: &dyn Disk, path: &Path, offset: u64) -> Result<LogReader, StorageError> {
        let mut reader = LogReader::open(disk, path)?;
        reader.len = reader.len.max(offset);
        reader.at = offset;
        Ok(reader)
    }

    /// Where the first whole record at `from` or behind it begins, for whoever wants to know what follows damage: a
    /// guess where the file is so full of what may be records that not all of it is looked at.
    ///
    /// # Errors
    /// What the disk says.
    pub fn find_record(&self, from: u64) -> Result<Option<u64>, StorageError> {
        Ok(match self.rest(from)? {
            Rest::Record(offset) => Some(offset),
            Rest::Zeros | Rest::Garbage => None,
        })
    }

    /// Where the next record begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next record, or how the file ends. Not to be called again after an end or an error.
    ///
    /// # Errors
    /// [`StorageError::DamagedLog`], and what the disk says.
    pub fn step(&mut self) -> Result<Step, StorageError> {
        if self.at == 0 && !self.skip_header()? {
            return self.torn_or_damaged("the header of the file is missing".into(), true);
        }
        self.fill(RECORD_HEAD as u64)?;
        if self.buf.len() < RECORD_HEAD {
            if self.buf.iter().all(|byte| *byte == 0) {
                return Ok(Step::End(End::Clean { offset: self.at }));
            }
            let what = format!("the last record ends after {} bytes", self.buf.len());
            return self.torn_or_damaged(what, true);
        }
        let expected = (&self.buf[..8]).get_u64();
        let length = (&self.buf[8..RECORD_HEAD]).get_i32();
        match u32::try_from(length) {
            Ok(0) => self.end_or_zeros(),
            Ok(length) => self.record(expected, length),
            Err(_) => Err(self.damaged(format!("a record of length {length}"))),
        }
    }

    /// Whether the header was there.
    fn skip_header(&mut self) -> Result<bool, StorageError> {
        self.fill(FileHeader::SIZE as u64)?;
        let magic = FileHeader::LOG.magic.to_be_bytes();
        let size = self.buf.len().min(FileHeader::SIZE);
        let header = &self.buf[..size];
        if header.iter().all(|byte| *byte == 0) {
            return Ok(false);
        }
        let known = size.min(magic.len());
        if header[..known] != magic[..known] {
            return Err(self.damaged("not a transaction log: it does not begin with ZKLG".into()));
        }
        if size < FileHeader::SIZE {
            return Ok(false);
        }
        self.advance(FileHeader::SIZE);
        Ok(true)
    }

    fn record(&mut self, expected: u64, length: u32) -> Result<Step, StorageError> {
        let total = u64::from(length) + RECORD_OVERHEAD as u64;
        let left = self.len - self.at;
        if total > left {
            let what = format!("a record of {total} bytes of which {left} are there");
            return self.torn_or_damaged(what, true);
        }
        self.fill(total)?;
        let total = total as usize;
        if self.buf.len() < total {
            return self.torn_or_damaged("the file became shorter".into(), true);
        }
        let found = u64::from(checksum(&self.buf[RECORD_HEAD..total - 1]));
        if found != expected || self.buf[total - 1] != RECORD_END {
            let what = if found == expected {
                format!(
                    "the record ends with {:#04x}, not with 'B'",
                    self.buf[total - 1]
                )
            } else {
                format!("the checksum of the record is {found:#x}, not {expected:#x}")
            };
            let torn = a_sector_is_zero(self.at, &self.buf[..total]);
            return self.torn_or_damaged(what, torn);
        }
        let Some(zxid) = zxid_of(&self.buf[RECORD_HEAD..total - 1]) else {
            return Err(self.damaged(format!("a record of {length} bytes has no full header")));
        };
        let offset = self.at;
        self.at += total as u64;
        let mut record = self.buf.split_to(total).freeze();
        record.advance(RECORD_HEAD);
        record.truncate(length as usize);
        self.last = zxid;
        Ok(Step::Record(Record {
            offset,
            zxid,
            payload: record,
        }))
    }

    /// A length of zero: padding, or a sector that was never written.
    fn end_or_zeros(&mut self) -> Result<Step, StorageError> {
        match self.rest(self.at)? {
            Rest::Zeros => Ok(Step::End(End::Clean { offset: self.at })),
            Rest::Garbage | Rest::Record(_) => {
                let end_of_length = self.at + RECORD_HEAD as u64;
                let sector_end = end_of_length.next_multiple_of(SECTOR);
                self.fill(sector_end - self.at)?;
                let start = (sector_end - SECTOR).saturating_sub(self.at) as usize;
                let end = self.buf.len().min((sector_end - self.at) as usize);
                let torn = self.buf[start..end].iter().all(|byte| *byte == 0);
                self.torn_or_damaged("zeros where a record should begin".into(), torn)
            }
        }
    }

    /// The end, if `torn` says that the bytes look like an interrupted write and nothing whole follows.
    fn torn_or_damaged(&self, what: String, torn: bool) -> Result<Step, StorageError> {
        if let Rest::Record(next) = self.rest(self.at + 1)? {
            return Err(self.damaged(format!(
                "{what}, and a whole record follows at offset {next}"
            )));
        }
        if self.is_whole_but_for_its_length()? {
            return Err(self.damaged(format!("{what}; all of it is there, its length is wrong")));
        }
        if !torn {
            return Err(self.damaged(what));
        }
        Ok(Step::End(End::Torn {
            offset: self.at,
            what,
        }))
    }

    /// Whether the last byte that is not zero ends a payload with the checksum that stands here.
    fn is_whole_but_for_its_length(&self) -> Result<bool, StorageError> {
        let mut window = [0; RECORD_HEAD];
        if self.read_at(self.at, &mut window)? < RECORD_HEAD || window[..8] == [0; 8] {
            return Ok(false);
        }
        let expected = (&window[..8]).get_u64();
        let start = self.at + RECORD_HEAD as u64;
        // The last byte of all is compared with the end mark, so the sum over everything before it is what counts.
        let (mut adler, mut at, mut zeros) = (Adler32::new(), start, 0u64);
        let mut held: Option<u8> = None;
        let mut sum = None;
        let mut chunk = self.chunk(start, 0);
        while zeros < LOOKAHEAD {
            let count = self.read_at(at, &mut chunk)?;
            if count == 0 {
                break;
            }
            at += count as u64;
            let part = &chunk[..count];
            let Some(last) = part.iter().rposition(|byte| *byte != 0) else {
                zeros += count as u64;
                continue;
            };
            if let Some(mark) = held {
                adler.write(&[mark]);
                write_zeros(&mut adler, zeros);
            } else {
                write_zeros(&mut adler, zeros);
            }
            adler.write(&part[..last]);
            held = Some(part[last]);
            sum = Some(adler.finish());
            zeros = (count - last - 1) as u64;
        }
        Ok(held == Some(RECORD_END) && sum.map(u64::from) == Some(expected))
    }

    /// What stands from `from` on, up to the end or to so many zeros that nothing can follow.
    fn rest(&self, from: u64) -> Result<Rest, StorageError> {
        let mut rest = Rest::Zeros;
        let (mut zeros, mut budget) = (0, SCAN_MAX);
        let mut chunk = self.chunk(from, RECORD_HEAD);
        let mut at = from;
        while zeros < LOOKAHEAD {
            let count = self.read_at(at, &mut chunk)?;
            let part = &chunk[..count];
            if part.iter().all(|byte| *byte == 0) {
                zeros += count as u64;
            } else {
                rest = Rest::Garbage;
                zeros = 0;
                // Positions whose head is within this chunk; the next one begins with what is left over.
                for (index, head) in part.windows(RECORD_HEAD).enumerate() {
                    let position = at + index as u64;
                    if self.begins_record(position, head, &mut budget)? {
                        return Ok(Rest::Record(position));
                    }
                }
            }
            if count < chunk.len() {
                break;
            }
            at += (count - RECORD_HEAD + 1) as u64;
        }
        Ok(rest)
    }

    /// Whether a whole record, later than what was read, begins at `at` with `head`.
    fn begins_record(&self, at: u64, head: &[u8], budget: &mut u64) -> Result<bool, StorageError> {
        // The upper half of a checksum is zero, and no payload is shorter than a header or longer than the file.
        if head[..4] != [0; 4] || head[8] > 0x7f {
            return Ok(false);
        }
        let length = u64::from((&head[8..]).get_u32());
        let end = at + RECORD_HEAD as u64 + length;
        if length < TXN_HEADER || end >= self.len {
            return Ok(false);
        }
        let mut mark = [0; 1];
        if self.read_at(end, &mut mark)? != 1 || mark[0] != RECORD_END {
            return Ok(false);
        }
        if length > *budget {
            // Too much to look at; that something follows is the safe assumption.
            return Ok(true);
        }
        *budget -= length;
        let (mut adler, mut position) = (Adler32::new(), at + RECORD_HEAD as u64);
        let mut part = vec![0; CHUNK.min(length as usize)];
        while position < end {
            let want = part.len().min((end - position) as usize);
            let count = self.read_at(position, &mut part[..want])?;
            if count == 0 {
                return Ok(false);
            }
            adler.write(&part[..count]);
            position += count as u64;
        }
        Ok(u64::from(adler.finish()) == (&head[..8]).get_u64())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        let read = self.file.read_at(offset, buf);
        read.map_err(|error| StorageError::io("read", &self.path, error))
    }

    /// Room to read from `from` on, no more than the file has; `more` bytes beyond the usual size.
    fn chunk(&self, from: u64, more: usize) -> Vec<u8> {
        let left = usize::try_from(self.len.saturating_sub(from)).unwrap_or(usize::MAX);
        vec![0; (CHUNK + more).min(left.max(RECORD_OVERHEAD))]
    }

    /// Makes `want` bytes available in `buf`, or all that are left.
    fn fill(&mut self, want: u64) -> Result<(), StorageError> {
        let want = want.min(self.len - self.at) as usize;
        while self.buf.len() < want {
            let have = self.buf.len();
            let position = self.at + have as u64;
            let more = (want - have).max(CHUNK).min((self.len - position) as usize);
            self.buf.resize(have + more, 0);
            let count = self.file.read_at(position, &mut self.buf[have..]);
            let count = count.map_err(|error| StorageError::io("read", &self.path, error))?;
            self.buf.truncate(have + count);
            if count == 0 {
                self.len = position;
                break;
            }
        }
        Ok(())
    }

    fn advance(&mut self, count: usize) {
        self.buf.advance(count);
        self.at += count as u64;
    }

    fn damaged(&self, what: String) -> StorageError {
        self.damaged_at(self.at, self.last, what)
    }

    /// Damage that shows only to whoever decodes a record.
    pub(in crate::storage) fn damaged_at(
        &self,
        offset: u64,
        after: Zxid,
        what: String,
    ) -> StorageError {
        StorageError::DamagedLog {
            path: self.path.clone(),
            offset,
            after,
            what,
        }
    }
}

/// What follows a place in a file.
enum Rest {
    Zeros,
    Garbage,
    /// A whole record begins there.
    Record(u64),
}

/// Whether the part of `record` in one of the disk's sectors is all zero, as if that sector had never been written.
/// The record begins at `offset` in its file.
fn a_sector_is_zero(offset: u64, record: &[u8]) -> bool {
    let mut rest = record;
    let mut at = offset;
    while !rest.is_empty() {
        let room = (SECTOR - at % SECTOR) as usize;
        let (part, later) = rest.split_at(room.min(rest.len()));
        // A part of four bytes or less at the front holds nothing but the upper half of the checksum, always zero.
        let says_something = at != offset || part.len() > 4;
        if says_something && part.iter().all(|byte| *byte == 0) {
            return true;
        }
        at += part.len() as u64;
        rest = later;
    }
    false
}

fn write_zeros(adler: &mut Adler32, count: u64) {
    let zeros = [0; 4096];
    let mut left = count;
    while left > 0 {
        let now = left.min(zeros.len() as u64);
        adler.write(&zeros[..now as usize]);
        left -= now;
    }
}

/// The zxid in the header of a payload; None if it is too short for a header.
fn zxid_of(payload: &[u8]) -> Option<Zxid> {
    (payload.len() as u64 >= TXN_HEADER).then(|| Zxid((&payload[12..20]).get_i64()))
}

/// Whether a file exists and holds a record, or damage that may have been one.
///
/// # Errors
/// What the disk says.
pub(super) fn holds_a_record(disk: &dyn Disk, path: &Path) -> Result<bool, StorageError> {
    let mut reader = match LogReader::open(disk, path) {
        Err(StorageError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(false);
        }
        other => other?,
    };
    match reader.step() {
        Ok(Step::End(_)) => Ok(false),
        Ok(Step::Record(_)) | Err(StorageError::DamagedLog { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Reads a log that is in memory and decodes every record; returns them with how the file ends.
///
/// # Errors
/// [`StorageError::DamagedLog`], also for a payload that does not decode.
pub fn scan(bytes: Bytes) -> Result<(Vec<LoggedTxn>, End), StorageError> {
    let mut reader = LogReader::new(Box::new(MemoryFile(bytes)), PathBuf::from("log"))?;
    let mut txns: Vec<LoggedTxn> = Vec::new();
    loop {
        match reader.step()? {
            Step::End(end) => return Ok((txns, end)),
            Step::Record(record) => {
                let after = txns.last().map_or(Zxid::ZERO, |txn| Zxid(txn.header.zxid));
                let txn = LoggedTxn::read(record.payload)
                    .map_err(|error| reader.damaged_at(record.offset, after, error.to_string()))?;
                txns.push(txn);
            }
        }
    }
}

/// What a disk writes in one piece.
const SECTOR: u64 = 512;

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// So many zeros end a file: more than the largest record that a server of default settings writes.
const LOOKAHEAD: u64 = 1 << 20;

/// Bytes that are checked for being a record behind a torn place.
const SCAN_MAX: u64 = 64 << 20;

/// Bytes of a TxnHeader.
const TXN_HEADER: u64 = 32;
