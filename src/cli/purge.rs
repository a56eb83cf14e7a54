//! `oxkeeper purge`: removes snapshots and logs that newer snapshots make needless.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use clap::Args;

use super::java_text::date_medium;
use super::log::{Failure, finish};
use crate::storage::{Dirs, OsDisk, purge};

/// Arguments of `oxkeeper purge`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  oxkeeper purge /var/lib/zookeeper -n 3
  oxkeeper purge /fast/datalog /var/lib/zookeeper -n 10

Kept are the COUNT newest complete snapshots, the log that the oldest of them needs, and all later ones. A server may be
running. Exit codes: 0 done, also if there was nothing to do; 1 wrong arguments, or a file cannot be removed.")]
pub struct PurgeArgs {
    /// dataLogDir; dataDir where they are the same.
    #[arg(value_name = "DATALOGDIR")]
    logs: PathBuf,
    /// dataDir, where it is another one.
    #[arg(value_name = "SNAPDIR")]
    snapshots: Option<PathBuf>,
    /// How many snapshots to keep, at least 3.
    #[arg(short = 'n', long, value_name = "COUNT")]
    count: String,
}

/// Runs the command.
pub fn run(args: &PurgeArgs) -> ExitCode {
    let snapshots = args.snapshots.as_deref().unwrap_or(&args.logs);
    let done = purge(&args.logs, snapshots, &args.count);
    if done.is_ok() {
        let dirs = Dirs::new(snapshots, &args.logs);
        let missing = [&dirs.log, &dirs.data].map(|dir| (!dir.is_dir()).then_some(dir));
        if let [Some(dir), Some(_)] = missing {
            eprintln!(
                "{} does not exist, nothing was to be removed. Name the folder that zoo.cfg names",
                dir.display()
            );
        }
    }
    finish(done)
}

/// Checks the arguments as Java does, then removes.
/// Source: `PurgeTxnLog.main`, `PurgeTxnLog.purge`. Differs from Java: missing folders are not made, and files without
/// a zxid in their names are left alone.
pub fn purge(logs: &Path, snapshots: &Path, count: &str) -> Result<(), Failure> {
    refuse_missing(logs)?;
    refuse_missing(snapshots)?;
    let count = parse_count(count)?;
    let dirs = Dirs::new(snapshots, logs);
    if !dirs.log.is_dir() && !dirs.data.is_dir() {
        return Ok(());
    }
    dirs.prepare(&OsDisk, false)?;
    let ages = ages(&dirs);
    let removed = purge::purge(&OsDisk, &dirs, count)?;
    for path in removed {
        let date = date_medium(ages.get(&path).copied().unwrap_or_default());
        println!("Removing file: {date}\t{}", path.display());
    }
    Ok(())
}

/// When the files were last written, in ms.
fn ages(dirs: &Dirs) -> BTreeMap<PathBuf, i64> {
    let mut ages = BTreeMap::new();
    let entries = [&dirs.data, &dirs.log].map(std::fs::read_dir);
    for entry in entries.into_iter().flatten().flatten().flatten() {
        let modified = entry.metadata().and_then(|data| data.modified());
        let since = modified.map(|time| time.duration_since(UNIX_EPOCH).unwrap_or_default());
        let age = since.unwrap_or_default().as_millis() as i64;
        ages.insert(entry.path(), age);
    }
    ages
}

/// Source: `PurgeTxnLog.validateAndGetFile`.
pub fn refuse_missing(path: &Path) -> Result<(), Failure> {
    let shown = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let shown = shown.display();
    match path.metadata() {
        Ok(what) if what.is_dir() => Ok(()),
        // Java ends with a stack trace when it makes a folder in there.
        Ok(_) => Err(Failure::new(1, format!("Path '{shown}' is not a folder."))),
        Err(_) => Err(Failure::new(1, format!("Path '{shown}' does not exist. "))),
    }
}

/// Source: `PurgeTxnLog.validateAndGetCount`.
pub fn parse_count(text: &str) -> Result<usize, Failure> {
    match text.parse::<i32>() {
        Err(_) => Err(Failure::new(
            1,
            format!("'{text}' can not be parsed to integer."),
        )),
        Ok(count) => match usize::try_from(count) {
            Ok(count) if count >= LEAST => Ok(count),
            _ => Err(Failure::new(
                1,
                "count should be greater than or equal to 3",
            )),
        },
    }
}

/// Source: `PurgeTxnLog.purge`.
const LEAST: usize = 3;
