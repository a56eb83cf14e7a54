//! Copies of logs in which something is put right: Java's two ways, and the cut that lets a server start again.

use std::fs::{self, File};
use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jute::persist::FileHeader;
use jute::txn::LoggedTxn;

use super::{Failure, INVALID_INVOCATION, UNEXPECTED, open, text, unreasonable};
use crate::base::Zxid;
use crate::storage::txnlog::{End, Entries, Entry, LogReader, Step};
use crate::storage::{Disk, OsDisk, StorageError, names};

/// Writes `FILE.fixed` with the checksums of what is there, and asks before each unless `yes`.
/// Source: `TxnLogToolkit`, recovery mode. Differs from Java: the file is synced.
pub fn recover(
    out: &mut dyn Write,
    disk: &dyn Disk,
    path: &Path,
    verbose: bool,
    yes: bool,
) -> Result<(), Failure> {
    let fixed_path = beside(path, ".fixed");
    if fs::metadata(path).is_ok() && fixed_path.exists() {
        let text = format!(
            "Recovery file {} already exists or not writable",
            fixed_path.display()
        );
        return Err(Failure::new(UNEXPECTED, text));
    }
    let mut entries = open(disk, path)?;
    let mut fixed = Copy::begin(&fixed_path, &entries)?;
    text::header(out, &entries)?;
    let (mut count, mut repaired) = (0u64, 0u64);
    loop {
        let (payload, mut expected, found, marked) = match entries.step()? {
            Entry::End { .. } => break,
            Entry::Unreasonable { offset, length } => return Err(unreasonable(offset, length)),
            Entry::Record {
                payload,
                expected,
                found,
                marked,
                ..
            } => (payload, expected, found, marked),
        };
        if expected != found {
            let prefix = if yes { "CRC FIXED" } else { "CRC ERROR" };
            text::line(out, &payload, prefix)?;
            if yes || ask(out)? {
                expected = found;
                repaired += 1;
            }
        }
        if verbose {
            text::line(out, &payload, "")?;
        }
        if !marked {
            return Err(Failure::new(UNEXPECTED, "Last transaction was partial."));
        }
        fixed.record(expected, &payload)?;
        count += 1;
    }
    writeln!(out, "EOF reached after {count} txns.")?;
    fixed.finish(true)?;
    writeln!(
        out,
        "Recovery file {} has been written with {repaired} fixed CRC error(s)",
        fixed_path.display()
    )?;
    Ok(())
}

/// Source: `TxnLogToolkit.askForFix`.
fn ask(out: &mut dyn Write) -> Result<bool, Failure> {
    let mut answers = io::stdin().lock();
    loop {
        write!(out, "Would you like to fix it (Yes/No/Abort) ? ")?;
        out.flush()?;
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            return Err(Failure::new(
                UNEXPECTED,
                "no answer; use -y to fix everything",
            ));
        }
        match line
            .trim_start()
            .chars()
            .next()
            .map(|c| c.to_ascii_uppercase())
        {
            Some('Y') => return Ok(true),
            Some('N') => return Ok(false),
            Some('A') => return Err(Failure::new(0, "Recovery aborted.")),
            _ => {}
        }
    }
}

/// Copies the records up to `to` into `FILE.chopped<zxid>`. Whatever becomes of it, the tool ends well, as Java's.
/// Source: `TxnLogToolkit.chop`, `LogChopper.chop`.
pub fn chop(out: &mut dyn Write, path: &Path, to: i64) -> Result<(), Failure> {
    if File::open(path).is_err() {
        let text = format!("File doesn't exist or not readable: {}", path.display());
        return Err(Failure::new(UNEXPECTED, text));
    }
    let problem = match chop_to(out, path, Zxid(to)) {
        Ok(true) => return Ok(()),
        Ok(false) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("Failed to chop {name}")
        }
        Err(failure) => failure.text,
    };
    writeln!(out, "Got exception: {problem}")?;
    Ok(())
}

/// False if there was nothing to chop.
fn chop_to(out: &mut dyn Write, path: &Path, to: Zxid) -> Result<bool, Failure> {
    let target = beside(path, &format!(".chopped{}", to.0));
    let mut entries = Entries::open(&OsDisk, path)?;
    if entries.header().is_none() {
        eprintln!("Invalid magic number in txn log file");
        return Ok(false);
    }
    text::header(out, &entries)?;
    let mut copy = Copy::begin(&target, &entries)?;
    let (mut count, mut has_zxid, mut previous) = (0u64, false, None);
    loop {
        let payload = match entries.step()? {
            Entry::End { .. } => {
                writeln!(out, "EOF reached after {count} txns.")?;
                copy.finish(false)?;
                return Ok(false);
            }
            Entry::Unreasonable { offset, length } => return Err(unreasonable(offset, length)),
            Entry::Record {
                expected, found, ..
            } if expected != found => {
                let text = format!("CRC doesn't match {expected} vs {found}");
                return Err(Failure::new(UNEXPECTED, text));
            }
            Entry::Record { marked: false, .. } => {
                writeln!(out, "Last transaction was partial.")?;
                return Err(Failure::new(UNEXPECTED, "Last transaction was partial."));
            }
            Entry::Record { payload, .. } => payload,
        };
        let logged = LoggedTxn::read(payload.clone())
            .map_err(|error| Failure::new(UNEXPECTED, error.to_string()))?;
        let zxid = Zxid(logged.header.zxid);
        has_zxid |= zxid == to;
        tell_gap(out, previous, zxid)?;
        previous = Some(zxid);
        if zxid > to {
            if count == 0 || !has_zxid {
                writeln!(out, "This log does not contain zxid {:x}", to.0)?;
                copy.finish(false)?;
                return Ok(false);
            }
            writeln!(out, "Chopping at {:x} new log has {count} records", to.0)?;
            copy.finish(false)?;
            return Ok(true);
        }
        copy.record(expected_of(&payload), &payload)?;
        count += 1;
    }
}

fn expected_of(payload: &Bytes) -> u64 {
    simd_adler32::adler32(&payload.as_ref()).into()
}

fn tell_gap(out: &mut dyn Write, previous: Option<Zxid>, zxid: Zxid) -> io::Result<()> {
    let Some(previous) = previous.filter(|previous| zxid.0 != previous.0.wrapping_add(1)) else {
        return Ok(());
    };
    let kind = match zxid.epoch() == previous.epoch() {
        true => "intra",
        false if zxid.counter() != 1 => "inter",
        false => return Ok(()),
    };
    writeln!(
        out,
        "There is {kind}-epoch gap between {:x} and {:x}",
        previous.0, zxid.0
    )
}

/// Cuts off what follows the last whole record, after a copy was made and synced.
pub(super) fn repair(out: &mut dyn Write, path: &Path, accept_loss: bool) -> Result<(), Failure> {
    refuse_others(path)?;
    let mut reader = LogReader::open(&OsDisk, path)?;
    let mut last = None;
    let (offset, what) = loop {
        match reader.step() {
            Ok(Step::Record(record)) => last = Some(record.zxid),
            Ok(Step::End(End::Clean { .. })) => {
                writeln!(out, "{}: whole, nothing to repair", path.display())?;
                return Ok(());
            }
            Ok(Step::End(End::Torn { offset, what })) => break (offset, what),
            Err(StorageError::DamagedLog { offset, what, .. }) if accept_loss => {
                break (offset, what);
            }
            Err(StorageError::DamagedLog {
                offset,
                after,
                what,
                ..
            }) => {
                let text = format!(
                    "{}: damaged at offset {offset}, after zxid {after}: {what}\nWhole transactions may follow the \
                     damage; `--accept-loss` cuts them off too. Look at them first with `oxkeeper log`, or copy them \
                     with `oxkeeper log --recover`.",
                    path.display()
                );
                return Err(Failure::new(UNEXPECTED, text));
            }
            Err(error) => return Err(error.into()),
        }
    };
    let kept = keep_copy(path)?;
    let cut = || {
        let file = File::options().write(true).open(path)?;
        file.set_len(offset)?;
        file.sync_all()
    };
    cut().map_err(|error| Failure::new(UNEXPECTED, format!("{}: {error}", path.display())))?;
    let after = last.map_or("its header".to_owned(), |zxid| format!("zxid {zxid}"));
    writeln!(
        out,
        "{}: cut off at offset {offset}, after {after}: {what}\nThe file as it was: {}",
        path.display(),
        kept.display()
    )?;
    if offset == 0 {
        writeln!(
            out,
            "Nothing is left in it; a server removes it when it starts"
        )?;
    }
    Ok(())
}

/// A log may have lost its header, but what is not even named like one is some other file.
fn refuse_others(path: &Path) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match names::parse_log(&name) {
        Some(_) => Ok(()),
        None => open(&OsDisk, path).map(|_| ()),
    }
}

/// Copies a file beside itself, durably, under a name that no server takes for one of its own.
fn keep_copy(path: &Path) -> Result<PathBuf, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let free = (0..)
        .map(|n| path.with_file_name(names::aside_name(&name, n)))
        .find(|path| !path.exists())
        .unwrap_or_default();
    let copy = || {
        fs::copy(path, &free)?;
        File::open(&free)?.sync_all()?;
        OsDisk.sync_dir(path.parent().unwrap_or(Path::new("")))
    };
    match copy() {
        Ok(()) => Ok(free),
        Err(error) => {
            let _ = fs::remove_file(&free);
            let text = format!("{}: {error}; nothing was changed", free.display());
            Err(Failure::new(INVALID_INVOCATION, text))
        }
    }
}

/// `path` with something behind its name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// A log file that is being written.
struct Copy {
    file: BufWriter<File>,
    position: u64,
}

impl Copy {
    fn begin(path: &Path, entries: &Entries) -> io::Result<Copy> {
        let (version, dbid) = entries.header().unwrap_or_default();
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&FileHeader::LOG.magic.to_be_bytes())?;
        file.write_all(&version.to_be_bytes())?;
        file.write_all(&dbid.to_be_bytes())?;
        let position = FileHeader::SIZE as u64;
        Ok(Copy { file, position })
    }

    fn record(&mut self, checksum: u64, payload: &[u8]) -> io::Result<()> {
        self.file.write_all(&checksum.to_be_bytes())?;
        self.file.write_all(&(payload.len() as i32).to_be_bytes())?;
        self.file.write_all(payload)?;
        self.file.write_all(b"B")?;
        self.position += payload.len() as u64 + 13;
        Ok(())
    }

    /// Syncs the file, padded with zeros to the next step of Java's if asked.
    fn finish(mut self, pad: bool) -> io::Result<()> {
        self.file.flush()?;
        let file = self.file.get_ref();
        if pad && self.position > FileHeader::SIZE as u64 {
            let steps = self.position.saturating_sub(1) / STEP + 1;
            file.set_len(FileHeader::SIZE as u64 + steps * STEP)?;
        }
        file.sync_all()
    }
}

/// Java's files grow in steps of so many bytes. Source: `FilePadding.preAllocSize`.
const STEP: u64 = 64 << 20;
