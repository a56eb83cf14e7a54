//! The entries of a log file as they stand, whether their checksums are right or not: for tools that look at files.

use super::{RECORD_END, RECORD_HEAD, RECORD_OVERHEAD, checksum};
use crate::storage::{Disk, DiskFile, StorageError};
use bytes::{Buf, Bytes};
use jute::persist::FileHeader;
use std::path::{Path, PathBuf};

/// What stands where a record may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A stretch of bytes that claims to be a record.
    Record {
        /// Where it begins, in bytes.
        offset: u64,
        /// The checksum that stands before it.
        expected: u64,
        /// The checksum of what is there.
        found: u64,
        /// Header, transaction, maybe a digest, if the checksum is right.
        payload: Bytes,
        /// Whether the mark behind it is there: false where the file ends before it or something else stands there.
        marked: bool,
    },
    /// A length of zero, or the end of the file.
    End {
        /// Where it was found, in bytes.
        offset: u64,
        /// Whether the file ends in the middle of something.
        cut: bool,
    },
    /// A length that cannot be.
    Unreasonable {
        /// Where the record would begin, in bytes.
        offset: u64,
        /// The length.
        length: i32,
    },
}

/// Walks over a log file the way Java's tools do, also one that a server is writing.
///
/// Source: `TxnLogToolkit.dump`. Differs from Java: a length is refused only if it is negative; nothing is allocated
/// for bytes that are not there.
pub struct Entries {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    at: u64,
    window: Vec<u8>,
    /// Where `window` begins in the file.
    start: u64,
    header: Option<(i32, i64)>,
}

impl Entries {
    /// Opens a log file; [`Entries::header`] says whether it is one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Entries, StorageError> {
        let file = disk
            .open(path)
            .map_err(|error| StorageError::io("open", path, error))?;
        let mut entries = Entries {
            file,
            path: path.to_path_buf(),
            at: 0,
            window: Vec::new(),
            start: 0,
            header: None,
        };
        let mut head = entries.bytes(0, FileHeader::SIZE)?;
        if head.len() == FileHeader::SIZE && head.get_i32() == FileHeader::LOG.magic {
            entries.header = Some((head.get_i32(), head.get_i64()));
            entries.at = FileHeader::SIZE as u64;
        }
        Ok(entries)
    }

    /// Version and dbid of the file's header; None for a file that does not begin as a log.
    pub fn header(&self) -> Option<(i32, i64)> {
        self.header
    }

    /// What comes next; not to be called again after anything but a marked record.
    ///
    /// # Errors
    /// What the disk says.
    pub fn step(&mut self) -> Result<Entry, StorageError> {
        let first = self.entry()?;
        match &first {
            Entry::Record {
                expected,
                found,
                marked,
                ..
            } if expected != found || !marked => {
                // A server may be writing this very record: look at the file again, not at what was read ahead.
                self.window.clear();
            }
            _ => {
                self.advance(&first);
                return Ok(first);
            }
        }
        let again = self.entry()?;
        self.advance(&again);
        Ok(again)
    }

    fn advance(&mut self, entry: &Entry) {
        if let Entry::Record { payload, .. } = entry {
            self.at += (payload.len() + RECORD_OVERHEAD) as u64;
        }
    }

    fn entry(&mut self) -> Result<Entry, StorageError> {
        let offset = self.at;
        let mut head = self.bytes(offset, RECORD_HEAD)?;
        if head.len() < RECORD_HEAD {
            let cut = !head.is_empty();
            return Ok(Entry::End { offset, cut });
        }
        let (expected, length) = (head.get_u64(), head.get_i32());
        let Ok(size) = usize::try_from(length) else {
            return Ok(Entry::Unreasonable { offset, length });
        };
        if size == 0 {
            return Ok(Entry::End { offset, cut: false });
        }
        let left = self.size()?.saturating_sub(offset + RECORD_HEAD as u64);
        if left < size as u64 {
            return Ok(Entry::End { offset, cut: true });
        }
        let bytes = self.bytes(offset + RECORD_HEAD as u64, size + 1)?;
        let marked = bytes.get(size) == Some(&RECORD_END);
        let payload = Bytes::copy_from_slice(&bytes[..size.min(bytes.len())]);
        Ok(Entry::Record {
            offset,
            expected,
            found: checksum(&payload).into(),
            payload,
            marked,
        })
    }

    fn size(&self) -> Result<u64, StorageError> {
        let size = self.file.size();
        size.map_err(|error| StorageError::io("read", &self.path, error))
    }

    /// The bytes at `offset`, fewer where the file ends.
    fn bytes(&mut self, offset: u64, count: usize) -> Result<&[u8], StorageError> {
        let have = self.start + self.window.len() as u64;
        if offset < self.start || have < offset + count as u64 {
            let left = self.size()?.saturating_sub(offset);
            let room = usize::try_from(left).unwrap_or(usize::MAX);
            self.window.resize(count.max(CHUNK).min(room), 0);
            self.start = offset;
            let read = self.file.read_at(offset, &mut self.window);
            let read = read.map_err(|error| StorageError::io("read", &self.path, error))?;
            self.window.truncate(read);
        }
        let from = (offset - self.start) as usize;
        let upto = (from + count).min(self.window.len());
        Ok(&self.window[from.min(upto)..upto])
    }
}

/// Bytes read at once.
const CHUNK: usize = 1 << 20;
