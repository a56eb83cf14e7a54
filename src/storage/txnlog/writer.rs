//! Appends to the log: whatever waits is written at once and synced once.

use super::reader::holds_a_record;
use crate::base::Zxid;
use crate::base::flaw::Flaw;
use crate::storage::{Disk, DiskFile, StorageError, names};
use bytes::{BufMut, BytesMut};
use jute::Wire;
use jute::persist::FileHeader;
use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

/// How logs are written.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Step in which files grow ahead of the records, in bytes; 0 for none. Java: `preAllocSize`, there in KB.
    pub preallocate_bytes: u64,
    /// Whether [`LogWriter::sync`] waits for the disk. Java: `forceSync`.
    pub force_sync: bool,
    /// A padded size, in bytes, past which the next record begins a new file. Java: `txnLogSizeLimitInKb`.
    pub size_limit_bytes: Option<u64>,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            preallocate_bytes: 64 << 20,
            force_sync: true,
            size_limit_bytes: None,
        }
    }
}

/// What one [`LogWriter::sync`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// The last record that is durable now (or written, with `force_sync` off); None if there never was one.
    pub upto: Option<Zxid>,
    /// Records written by this call.
    pub records: usize,
    /// Bytes written by this call.
    pub bytes: u64,
    /// Files begun by this call.
    pub new_files: usize,
}

/// The end of the log.
///
/// Always true:
/// 1. A file is begun by the first record after [`LogWriter::new`] and after each roll, and named after it. No file
///    that was there before is appended to.
/// 2. Records of a file are durable before the next file comes into being, so only the last file can be torn.
/// 3. After an error nothing is written any more: what the disk holds is unknown then.
///
/// Source: `FileTxnLog`. Differs from Java: folders are synced too, so that a new file cannot vanish in a crash.
pub struct LogWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: LogOptions,
    file: Option<OpenLog>,
    /// What was appended since the last sync. Only the first run may belong to the open file.
    runs: Vec<Run>,
    /// A run that was written, kept for its buffer.
    spare: BytesMut,
    waiting: usize,
    roll_next: bool,
    appended: Option<Zxid>,
    synced: Option<Zxid>,
    earlier_files_bytes: u64,
    failed: bool,
    /// The file before the open one, which a restart still needs while the snapshot between them is written.
    previous: Option<OpenLog>,
    /// The one before that, as far as the system was not told to forget it.
    old: Option<(OpenLog, u64)>,
}

/// A wait until what was written is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Everything is written; the sync begins.
    Begins,
    /// It is over.
    Ends,
}

/// Records for one file.
struct Run {
    /// Where they begin a file: its first zxid.
    begins_file: Option<Zxid>,
    bytes: BytesMut,
}

struct OpenLog {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    position: u64,
    /// Length with padding.
    len: u64,
}

impl LogWriter {
    /// A log in `dir` that continues what is there in files of its own.
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, options: LogOptions) -> LogWriter {
        LogWriter {
            disk,
            dir,
            options,
            file: None,
            runs: Vec::new(),
            spare: BytesMut::new(),
            waiting: 0,
            roll_next: true,
            appended: None,
            synced: None,
            earlier_files_bytes: 0,
            failed: false,
            previous: None,
            old: None,
        }
    }

    /// Takes a record: header, transaction and digest as encoded. It is not written before [`LogWriter::sync`].
    ///
    /// # Panics
    /// If `zxid` does not follow the one before, or `payload` is empty: both are our own doing.
    pub fn append(&mut self, zxid: Zxid, payload: &[u8]) {
        let before = self.appended;
        assert!(
            before < Some(zxid),
            "record {zxid} appended after {before:?}"
        );
        assert!(!payload.is_empty(), "record {zxid} is empty");
        let begins_file = std::mem::take(&mut self.roll_next).then_some(zxid);
        if begins_file.is_some() || self.runs.is_empty() {
            let mut bytes = std::mem::take(&mut self.spare);
            if begins_file.is_some() {
                FileHeader::LOG.write(&mut jute::Writer::for_file(&mut bytes));
            }
            self.runs.push(Run { begins_file, bytes });
        }
        if let Some(run) = self.runs.last_mut() {
            put_record(&mut run.bytes, payload);
        }
        self.waiting += 1;
        self.appended = Some(zxid);
    }

    /// Writes all that was appended and waits until it is durable: one write and one sync, one more of each where a
    /// file begins in between.
    ///
    /// # Errors
    /// What the disk says, and [`StorageError::WouldOverwrite`]. All are final: every later call fails too, as it is
    /// unknown what a failed sync has left on disk.
    /// Source: `FileTxnLog.commit`.
    pub fn sync(&mut self) -> Result<SyncReport, StorageError> {
        self.sync_telling(&mut |_| ())
    }

    /// As [`LogWriter::sync`], and tells of each wait for the disk.
    ///
    /// # Errors
    /// As [`LogWriter::sync`].
    pub fn sync_telling(
        &mut self,
        tell: &mut dyn FnMut(Waiting),
    ) -> Result<SyncReport, StorageError> {
        if self.failed {
            return Err(StorageError::Stopped {
                path: self.dir.clone(),
            });
        }
        self.failed = true;
        let mut report = SyncReport {
            records: self.waiting,
            ..SyncReport::default()
        };
        for mut run in std::mem::take(&mut self.runs) {
            report.bytes += run.bytes.len() as u64;
            if let Some(first) = run.begins_file {
                report.new_files += 1;
                self.begin_file(first)?;
            }
            self.write(&run, tell)?;
            if run.bytes.capacity() <= SPARE_MAX {
                run.bytes.clear();
                self.spare = run.bytes;
            }
        }
        self.forget_old();
        self.failed = false;
        self.waiting = 0;
        self.synced = self.appended;
        report.upto = self.synced;
        let len = self.file.as_ref().map_or(0, |log| log.len);
        if !self.roll_next
            && self
                .options
                .size_limit_bytes
                .is_some_and(|limit| len > limit)
        {
            self.earlier_files_bytes += len;
            self.roll_next = true;
        }
        Ok(report)
    }

    /// Makes the next record begin a new file, and [`LogWriter::size`] begin at 0.
    /// Source: `ZKDatabase.rollLog`.
    pub fn roll(&mut self) {
        self.roll_next = true;
        self.earlier_files_bytes = 0;
    }

    /// Lets go of the open file, so that the log can be cut; the next record begins a new one.
    ///
    /// # Panics
    /// If records wait for a sync: whether they are to be cut off is not known here.
    pub fn close(&mut self) {
        assert!(
            self.waiting == 0,
            "{} records are not written",
            self.waiting
        );
        if Flaw::WriterBehindTheCut.is_made() {
            return;
        }
        (self.previous, self.old) = (None, None);
        if let Some(log) = self.file.take()
            && !self.roll_next
        {
            self.earlier_files_bytes += log.len;
        }
        self.roll_next = true;
    }

    /// Goes on behind `last`, up to which the log was cut or a snapshot installed meanwhile.
    ///
    /// # Panics
    /// As [`LogWriter::close`].
    pub fn continue_after(&mut self, last: Zxid) {
        self.close();
        self.appended = Some(last);
        self.synced = Some(last);
    }

    /// Bytes in the files since the last [`LogWriter::roll`], with padding and with what waits for a sync.
    /// Source: `FileTxnLog.getTotalLogSize`.
    pub fn size(&self) -> u64 {
        let newest = match &self.file {
            Some(log) if !self.roll_next => log.len,
            _ => 0,
        };
        let waiting: usize = self.runs.iter().map(|run| run.bytes.len()).sum();
        let room = self
            .file
            .as_ref()
            .map_or(0, |log| log.len - log.position.min(log.len));
        self.earlier_files_bytes + newest + (waiting as u64).saturating_sub(room)
    }

    /// Records appended and not yet synced.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The last record that is durable, if this writer wrote any.
    pub fn synced(&self) -> Option<Zxid> {
        self.synced
    }

    fn begin_file(&mut self, first: Zxid) -> Result<(), StorageError> {
        let path = self.dir.join(names::log_name(first));
        if let Some(before) = self.file.take() {
            let old = self.previous.replace(before);
            self.old = old.map(|old| (old, 0));
        }
        if holds_a_record(self.disk.as_ref(), &path)? {
            return Err(StorageError::WouldOverwrite { path });
        }
        let file = self
            .disk
            .create(&path)
            .map_err(|error| StorageError::io("create", &path, error))?;
        self.file = Some(OpenLog {
            path,
            file,
            position: 0,
            len: 0,
        });
        Ok(())
    }

    /// Nobody reads old logs as a rule. Left to itself the system keeps them in memory until it runs out of it, and
    /// then takes time from whoever asks for some; a bit of that work at each sync holds nobody up.
    fn forget_old(&mut self) {
        let Some((old, done)) = &mut self.old else {
            return;
        };
        old.file.forget(*done, FORGET_AT_ONCE);
        *done += FORGET_AT_ONCE.get();
        if *done >= old.len {
            self.old = None;
        }
    }

    fn write(&mut self, run: &Run, tell: &mut dyn FnMut(Waiting)) -> Result<(), StorageError> {
        let Some(log) = &mut self.file else {
            return Err(StorageError::Stopped {
                path: self.dir.clone(),
            });
        };
        let start = log.position.max(FileHeader::SIZE as u64);
        let end = log.position + run.bytes.len() as u64;
        let len = padded_len(
            start,
            end,
            log.len.max(start),
            self.options.preallocate_bytes,
        );
        log.append(&run.bytes, len)
            .map_err(|error| StorageError::io("write", &log.path, error))?;
        if !self.options.force_sync {
            return Ok(());
        }
        let begun = run.begins_file.is_some();
        tell(Waiting::Begins);
        let synced = if begun {
            log.file.sync_all()
        } else {
            log.file.sync_data()
        };
        synced.map_err(|error| StorageError::io("sync", &log.path, error))?;
        if begun {
            self.disk
                .sync_dir(&self.dir)
                .map_err(|error| StorageError::io("sync", &self.dir, error))?;
        }
        tell(Waiting::Ends);
        Ok(())
    }
}

impl OpenLog {
    /// Writes at the end of the records and leaves the file `len` bytes long at least. The bytes come first, so that a
    /// file of zeros without a header, with which Java would not start, can only be left by a power failure.
    fn append(&mut self, bytes: &[u8], len: u64) -> io::Result<()> {
        self.file.write_at(self.position, bytes)?;
        self.position += bytes.len() as u64;
        if len > self.len.max(self.position) {
            self.file.preallocate(len)?;
        }
        self.len = len.max(self.position);
        Ok(())
    }
}

/// Told to the system at each sync.
const FORGET_AT_ONCE: NonZeroU64 = match NonZeroU64::new(4 << 20) {
    Some(bytes) => bytes,
    None => NonZeroU64::MIN,
};

/// Length of a file of `len` bytes once records go from `start` to `end`: it grows in steps, early enough that most
/// syncs need not record a new length.
/// Source: `FilePadding.calculateFileSizeWithPadding`.
fn padded_len(start: u64, end: u64, len: u64, step: u64) -> u64 {
    let mut len = len;
    for position in [start, end] {
        // The first pass is Java's; the second makes room for what Java would have padded record by record.
        let full = if position == start {
            position + MARGIN >= len
        } else {
            position > len
        };
        if step > 0 && full {
            len = if position > len {
                (position + step) / step * step
            } else {
                len + step
            };
        }
    }
    len.max(end)
}

/// A file grows when fewer than these bytes of padding are left.
const MARGIN: u64 = 4096;

/// A larger buffer is given back after a sync.
const SPARE_MAX: usize = 4 << 20;

const _: () = assert!(
    FileHeader::SIZE as u64 <= MARGIN,
    "a new file is always padded"
);

/// Appends one record to `out`.
fn put_record(out: &mut BytesMut, payload: &[u8]) {
    out.reserve(payload.len() + super::RECORD_OVERHEAD);
    out.put_i64(super::checksum(payload).into());
    out.put_i32(payload.len() as i32);
    out.put_slice(payload);
    out.put_u8(super::RECORD_END);
}
