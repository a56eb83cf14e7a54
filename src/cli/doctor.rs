//! `oxkeeper doctor`: what is wrong with a data folder, and, where it is told to, putting it right.

mod copy;
mod running;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::log::{Failure, finish};
use super::progress::Progress;
use crate::doctor::{self, Finding, Folder, Report, Severity};
use crate::runtime::data_lock::DataLock;
use crate::storage::{Dirs, Disk, OsDisk, VERSION_DIR};

/// Arguments of `oxkeeper doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  oxkeeper doctor /var/lib/zookeeper               look, change nothing
  oxkeeper doctor --fix /var/lib/zookeeper         copy the folder, then put right what gives nothing up
  oxkeeper doctor --log-dir /fast/datalog /var/lib/zookeeper

The folder may be Java's or ours. Exit codes: 0 healthy, 1 something is wrong (and was not put right), 2 nothing can be
said or done: no such folder, unreadable files, or --fix while a server is running.")]
pub struct DoctorArgs {
    /// dataDir: the folder with version-2 and myid.
    dir: PathBuf,
    /// dataLogDir, where it is another folder.
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// Put right what was found, after the folder was copied and the copy is on disk.
    #[arg(long)]
    fix: bool,
    /// Also do what may give up transactions or promises; each finding says what.
    #[arg(long)]
    accept_loss: bool,
    /// Where the copy goes: a new folder. Beside DIR if not given.
    #[arg(long, value_name = "DIR", requires = "fix")]
    copy_to: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &DoctorArgs) -> ExitCode {
    finish(look(args))
}

fn look(args: &DoctorArgs) -> Result<(), Failure> {
    let home = data_folder(&args.dir)?;
    let logs = match &args.log_dir {
        Some(dir) => data_folder(dir)?,
        None => home.clone(),
    };
    let folder = Folder {
        dirs: Dirs::new(&home, &logs),
        home,
    };
    let running = running::server_on(&folder.dirs, &folder.home);
    let before = examine(&folder, args.accept_loss)?;
    let todo = before
        .findings
        .iter()
        .filter(|finding| permitted(finding, args));
    if !args.fix || todo.clone().next().is_none() {
        tell(args, &folder, &before, running.as_deref(), None);
        return verdict(&before);
    }
    if let Some(running) = &running {
        tell(args, &folder, &before, Some(running), None);
        let text = format!("{running}: stop it first; nothing was changed");
        return Err(Failure::new(CANNOT, text));
    }
    let copy = fix(args, &folder, todo.cloned().collect())?;
    let after = examine(&folder, args.accept_loss)?;
    let done = Done {
        copy,
        after: &after,
    };
    tell(args, &folder, &before, None, Some(&done));
    verdict(&after)
}

/// What was done about the findings.
struct Done<'a> {
    copy: PathBuf,
    after: &'a Report,
}

fn permitted(finding: &Finding, args: &DoctorArgs) -> bool {
    let fix = finding.fix.as_ref();
    fix.is_some_and(|fix| args.accept_loss || fix.loses.is_none())
}

fn verdict(report: &Report) -> Result<(), Failure> {
    match report.healthy() {
        true => Ok(()),
        false => Err(Failure::new(FINDINGS, "")),
    }
}

/// The folder that holds version-2, for that folder or version-2 itself.
fn data_folder(dir: &Path) -> Result<PathBuf, Failure> {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    if absolute.join(VERSION_DIR).is_dir() {
        return Ok(absolute);
    }
    match absolute.parent() {
        Some(parent) if absolute.ends_with(VERSION_DIR) && absolute.is_dir() => {
            Ok(parent.to_path_buf())
        }
        _ => {
            let text = format!(
                "{}: no folder of a server, there is no {VERSION_DIR} in it",
                absolute.display()
            );
            Err(Failure::new(CANNOT, text))
        }
    }
}

fn examine(folder: &Folder, accept_loss: bool) -> Result<Report, Failure> {
    let progress = Progress::new(0, "looking");
    let report = doctor::examine(&progress.disk(), folder, accept_loss);
    progress.finish();
    report.map_err(|error| Failure::new(CANNOT, error.to_string()))
}

/// Copies the folder, then takes the steps. Returns where the copy is.
fn fix(args: &DoctorArgs, folder: &Folder, todo: Vec<Finding>) -> Result<PathBuf, Failure> {
    let refuse = |error: &dyn std::fmt::Display| Failure::new(CANNOT, error.to_string());
    let known = files(&folder.dirs);
    let mut locks = vec![DataLock::take(&folder.dirs.data).map_err(|error| refuse(&error))?];
    if folder.dirs.log != folder.dirs.data {
        locks.push(DataLock::take(&folder.dirs.log).map_err(|error| refuse(&error))?);
    }
    let copy = copy::keep(folder, args.copy_to.as_deref())
        .map_err(|text| Failure::new(CANNOT, format!("{text}; nothing was changed")))?;
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    for finding in &todo {
        for step in finding.fix.iter().flat_map(|fix| &fix.steps) {
            step.apply(&disk, &folder.dirs).map_err(|error| {
                let text = format!("{error}; the folder as it was is in {}", copy.display());
                Failure::new(CANNOT, text)
            })?;
        }
    }
    drop(locks);
    give_to_owner(&folder.dirs, &known);
    Ok(copy)
}

fn files(dirs: &Dirs) -> BTreeSet<PathBuf> {
    let entries = [&dirs.data, &dirs.log].map(std::fs::read_dir);
    let entries = entries.into_iter().flatten().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// New files belong to whoever owns the folder, so that the server can use them though root wrote them.
fn give_to_owner(dirs: &Dirs, known: &BTreeSet<PathBuf>) {
    for path in files(dirs).difference(known) {
        let owner = path.parent().and_then(|dir| std::fs::metadata(dir).ok());
        if let Some(owner) = owner
            && let Err(error) = std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
        {
            eprintln!("{}: {error}; give it to the server's user", path.display());
        }
    }
}

fn tell(
    args: &DoctorArgs,
    folder: &Folder,
    report: &Report,
    running: Option<&str>,
    done: Option<&Done<'_>>,
) {
    match args.json {
        true => println!("{}", object(args, folder, report, running, done)),
        false => print(args, folder, report, running, done),
    }
}

fn object(
    args: &DoctorArgs,
    folder: &Folder,
    report: &Report,
    running: Option<&str>,
    done: Option<&Done<'_>>,
) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            let loses = finding.fix.as_ref().and_then(|fix| fix.loses.as_deref());
            json!({
                "kind": finding.kind.name(),
                "severity": word(finding.severity),
                "path": finding.path,
                "what": finding.what,
                "remedy": finding.remedy,
                "fixable": finding.fix.is_some(),
                "loses": loses,
                "fixed": done.is_some() && permitted(finding, args),
            })
        })
        .collect();
    let shown = done.map_or(report, |done| done.after);
    json!({
        "dataDir": folder.dirs.data,
        "dataLogDir": folder.dirs.log,
        "running": running,
        "healthy": shown.healthy(),
        "lastZxid": shown.last.map(|last| last.to_string()),
        "znodes": shown.znodes,
        "starts": shown.refusal.is_none(),
        "refusal": shown.refusal,
        "copy": done.map(|done| &done.copy),
        "findings": findings,
    })
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn print(
    args: &DoctorArgs,
    folder: &Folder,
    report: &Report,
    running: Option<&str>,
    done: Option<&Done<'_>>,
) {
    println!("{}", folder.dirs.data.display());
    if folder.dirs.log != folder.dirs.data {
        println!("{} (logs)", folder.dirs.log.display());
    }
    if let Some(running) = running {
        println!("{running}: what is being written now may look damaged; stop it to be sure");
    }
    for finding in &report.findings {
        println!(
            "\n{} {}: {}",
            word(finding.severity),
            finding.kind.name(),
            finding.path.display()
        );
        println!("  found:  {}", finding.what);
        let label = match (&finding.fix, done.is_some() && permitted(finding, args)) {
            (_, true) => "  done:   ",
            (Some(fix), false) if fix.loses.is_some() => "  --fix --accept-loss:  ",
            (Some(_), false) => "  --fix:  ",
            (None, false) => "  advice: ",
        };
        println!("{label}{}", finding.remedy);
    }
    println!();
    let shown = done.map_or(report, |done| done.after);
    if let Some(last) = shown.last {
        println!("The last transaction is {last}; {} znodes.", shown.znodes);
    }
    match &shown.refusal {
        None => println!("oxkeeper starts on this folder."),
        Some(refusal) => println!("oxkeeper does not start on this folder: {refusal}"),
    }
    if let Some(done) = done {
        println!("The folder as it was: {}", done.copy.display());
    } else if report.healthy() {
        println!("Healthy.");
    } else if report.findings.iter().any(|finding| finding.fix.is_some()) {
        println!("--fix copies the folder first; without it, nothing is changed.");
    }
}

/// Exit code where something is wrong.
const FINDINGS: u8 = 1;

/// Exit code where nothing can be said or done.
const CANNOT: u8 = 2;
