//! `oxkeeper log`: transaction logs as text or JSON, and repaired copies of them.

mod json;
mod recover;
mod text;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jute::txn::{LoggedTxn, Txn};

use super::progress::{Progress, total_size};
use crate::base::Zxid;
use crate::storage::txnlog::{Entries, Entry};
use crate::storage::{Disk, StorageError, VERSION_DIR, names};

pub(super) use json::acls;
pub use recover::{chop, recover};

/// Arguments of `oxkeeper log`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  oxkeeper log data/version-2                            every transaction of a server, as text
  oxkeeper log --json --path /app log.1 | jq .path       who wrote below /app
  oxkeeper log --from 0x100000001 --to 0x1000000ff log.*
  oxkeeper log --repair data/version-2/log.1             cut off what an interrupted write left; keeps a copy

Exit codes: 0 done, 1 a file is damaged or cannot be read, 2 not a log, or wrong arguments.")]
pub struct LogArgs {
    /// Log files, or folders of them. A server may be writing them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON object per transaction and line; data in base64.
    #[arg(long)]
    json: bool,
    /// Only from this zxid on (0x for hexadecimal).
    #[arg(long, value_name = "ZXID", value_parser = number)]
    from: Option<i64>,
    /// Only up to this zxid.
    #[arg(long, value_name = "ZXID", value_parser = number)]
    to: Option<i64>,
    /// Only what this session wrote.
    #[arg(long, value_name = "SESSION", value_parser = number)]
    session: Option<i64>,
    /// Only what touches this znode or one below it.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// As Java's toolkit: print everything (the default).
    #[arg(short, long)]
    dump: bool,
    /// As Java's toolkit: write FILE.fixed with checksums made to fit what is there; asks for each.
    #[arg(short, long, conflicts_with_all = ["json", "repair"])]
    recover: bool,
    /// With --recover: print every transaction.
    #[arg(short, long)]
    verbose: bool,
    /// With --recover: do not ask.
    #[arg(short, long)]
    yes: bool,
    /// As Java's toolkit: copy FILE up to the zxid of -z into FILE.chopped<zxid>.
    #[arg(short, long, requires = "zxid", conflicts_with_all = ["json", "recover", "repair"])]
    chop: bool,
    /// With --chop: the last zxid to keep.
    #[arg(short, long, value_name = "ZXID", value_parser = number)]
    zxid: Option<i64>,
    /// Cut off a torn end, so that a server starts again. The file as it was is kept beside it, its name beginning
    /// with aside.
    #[arg(long, conflicts_with = "json")]
    repair: bool,
    /// With --repair: cut at damage too, though whole transactions follow it, which are lost then.
    #[arg(long, requires = "repair")]
    accept_loss: bool,
}

/// Why a tool stops.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// For a person; nothing is printed if empty.
    pub text: String,
}

impl Failure {
    /// With an exit code.
    pub fn new(code: u8, text: impl Into<String>) -> Failure {
        let text = text.into();
        Failure { code, text }
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Failure {
        Failure::new(UNEXPECTED, error.to_string())
    }
}

impl From<io::Error> for Failure {
    /// Whoever reads our output may stop when they have seen enough.
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(0, ""),
            _ => Failure::new(UNEXPECTED, error.to_string()),
        }
    }
}

/// How a tool ends.
pub fn finish(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, text }) => {
            if !text.is_empty() {
                eprintln!("{text}");
            }
            ExitCode::from(code)
        }
    }
}

/// Runs the command.
pub fn run(args: &LogArgs) -> ExitCode {
    finish(run_all(args))
}

fn run_all(args: &LogArgs) -> Result<(), Failure> {
    let files = log_files(&args.files)?;
    let total = total_size(files.iter().map(PathBuf::as_path));
    let progress = Progress::while_printing(total, "reading");
    let disk = progress.disk();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut worst: Option<Failure> = None;
    for file in &files {
        let done = if args.chop {
            chop(&mut out, file, args.zxid.unwrap_or_default())
        } else if args.recover {
            progress.finish();
            recover(&mut out, disk.as_ref(), file, args.verbose, args.yes)
        } else if args.repair {
            recover::repair(&mut out, file, args.accept_loss)
        } else if args.json {
            json::dump(&mut out, disk.as_ref(), file, &args.filter())
        } else {
            if files.len() > 1 {
                writeln!(out, "==> {} <==", file.display())?;
            }
            dump(&mut out, disk.as_ref(), file, &args.filter())
        };
        if let Err(failure) = done {
            out.flush()?;
            if failure.text.is_empty() {
                return Err(failure);
            }
            progress.finish();
            if let Some(earlier) = worst.replace(failure) {
                eprintln!("{}", earlier.text);
            }
        }
    }
    progress.finish();
    out.flush()?;
    worst.map_or(Ok(()), Err)
}

impl LogArgs {
    fn filter(&self) -> Filter<'_> {
        Filter {
            from: self.from.map(Zxid),
            to: self.to.map(Zxid),
            session: self.session,
            path: self.path.as_deref(),
        }
    }
}

/// Which transactions are shown.
#[derive(Default)]
pub struct Filter<'a> {
    from: Option<Zxid>,
    to: Option<Zxid>,
    session: Option<i64>,
    path: Option<&'a str>,
}

impl Filter<'_> {
    fn shows(&self, logged: &LoggedTxn) -> bool {
        let zxid = Zxid(logged.header.zxid);
        self.from.is_none_or(|from| from <= zxid)
            && self.to.is_none_or(|to| zxid <= to)
            && self
                .session
                .is_none_or(|session| session == logged.header.client_id)
            && self.path.is_none_or(|path| touches(&logged.txn, path))
    }

    fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none() && self.session.is_none() && self.path.is_none()
    }
}

/// Whether a transaction is about `top` or something below it.
fn touches(txn: &Txn, top: &str) -> bool {
    let below = |path: &str| {
        top == "/"
            || path
                .strip_prefix(top)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match txn {
        Txn::CreateSession(_) | Txn::Error(_) | Txn::CloseSession(None) => false,
        Txn::CloseSession(Some(close)) => {
            let mut paths = close.paths.iter().flatten();
            paths.any(|path| below(path))
        }
        Txn::Multi(txns) => txns.iter().any(|txn| touches(txn, top)),
        other => path_of(other).is_some_and(below),
    }
}

/// The znode that one operation is about.
pub(super) fn path_of(txn: &Txn) -> Option<&str> {
    let path = match txn {
        Txn::Create(txn) | Txn::Create2(txn) => &txn.path,
        Txn::CreateContainer(txn) => &txn.path,
        Txn::CreateTtl(txn) => &txn.path,
        Txn::Delete(txn) | Txn::DeleteContainer(txn) => &txn.path,
        Txn::SetData(txn) | Txn::Reconfig(txn) => &txn.path,
        Txn::SetAcl(txn) => &txn.path,
        Txn::Check(txn) => &txn.path,
        Txn::CreateSession(_) | Txn::CloseSession(_) | Txn::Error(_) | Txn::Multi(_) => &None,
    };
    path.as_deref()
}

/// Prints a log as Java's toolkit does.
/// Source: `TxnLogToolkit.dump`.
pub fn dump(
    out: &mut dyn Write,
    disk: &dyn Disk,
    path: &Path,
    filter: &Filter<'_>,
) -> Result<(), Failure> {
    let mut entries = open(disk, path)?;
    text::header(out, &entries)?;
    let mut count = 0u64;
    loop {
        let (payload, right, marked) = match entries.step()? {
            Entry::End { .. } => {
                writeln!(out, "EOF reached after {count} txns.")?;
                return Ok(());
            }
            Entry::Unreasonable { offset, length } => return Err(unreasonable(offset, length)),
            Entry::Record {
                payload,
                expected,
                found,
                marked,
                ..
            } => (payload, expected == found, marked),
        };
        if !right {
            text::line(out, &payload, "CRC ERROR")?;
        }
        match LoggedTxn::read(payload.clone()) {
            Ok(logged) if !filter.shows(&logged) => {}
            Ok(_) => text::line(out, &payload, "")?,
            Err(_) if !filter.is_open() => {}
            Err(_) => text::line(out, &payload, "")?,
        }
        if !marked {
            return Err(Failure::new(UNEXPECTED, "Last transaction was partial."));
        }
        count += 1;
    }
}

/// Opens a file that has to be a log.
fn open(disk: &dyn Disk, path: &Path) -> Result<Entries, Failure> {
    let entries = Entries::open(disk, path).map_err(|_| {
        let text = format!("File doesn't exist or not readable: {}", path.display());
        Failure::new(UNEXPECTED, text)
    })?;
    if entries.header().is_none() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = format!("Invalid magic number for {name}");
        return Err(Failure::new(INVALID_INVOCATION, text));
    }
    Ok(entries)
}

fn unreasonable(offset: u64, length: i32) -> Failure {
    let text = format!("Unreasonable length = {length} at offset {offset}: the file is damaged");
    Failure::new(UNEXPECTED, text)
}

/// The files of folders, oldest first, and other names as they are.
fn log_files(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let inner = path.join(VERSION_DIR);
        let dir = if inner.is_dir() { &inner } else { path };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if let Some(first) = names::parse_log(&name)
                && name == names::log_name(first)
            {
                found.push((first, path));
            }
        }
        if found.is_empty() {
            let text = format!("{}: no file here is named log.<zxid>", dir.display());
            return Err(Failure::new(UNEXPECTED, text));
        }
        found.sort();
        files.extend(found.into_iter().map(|(_, path)| path));
    }
    Ok(files)
}

/// Numbers as `Long.decode` reads them, and hexadecimal ones of all 64 bits.
pub(super) fn number(text: &str) -> Result<i64, String> {
    let parsed = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).map(|bits| bits as i64),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("{text:?} is no number; wanted 123 or 0x7b"))
}

/// Source: `ExitCode.UNEXPECTED_ERROR`.
const UNEXPECTED: u8 = 1;

/// Source: `ExitCode.INVALID_INVOCATION`.
const INVALID_INVOCATION: u8 = 2;
