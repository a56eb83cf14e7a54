//! `oxkeeper backup`: a folder of its own with everything a server knows, and more of it with each run.

pub mod data_dir;
pub mod error;
pub mod folder;
pub mod manifest;
pub mod run;
mod server;
pub mod verify;
pub mod when;

#[cfg(test)]
pub mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::error::BackupError;
use self::folder::Folder;
use self::run::Report;
use self::server::Server;
use crate::storage::Dirs;

/// Arguments of `oxkeeper backup`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  oxkeeper backup /backup/zk --data-dir /var/lib/zookeeper
  oxkeeper backup /backup/zk --server http://zk1:8080 --auth 'digest super:secret'
  oxkeeper backup list /backup/zk

The server may run meanwhile. The first run copies the newest snapshot and the transaction log behind it, each
later one into the same folder only what is new. `oxkeeper restore` makes a data folder of it again.")]
pub struct BackupArgs {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    /// Where the backup is, or shall be: a folder of its own.
    #[arg(value_name = "FOLDER", required = true)]
    folder: Option<PathBuf>,
    /// The server's dataDir; it is only read. Of oxkeeper or of Java ZooKeeper, running or stopped.
    #[arg(long, value_name = "DIR", required_unless_present = "server")]
    data_dir: Option<PathBuf>,
    /// The server's dataLogDir, where that is another folder.
    #[arg(long, value_name = "DIR", requires = "data_dir")]
    log_dir: Option<PathBuf>,
    /// Instead of a folder: the AdminServer of a running server. A Java server gives snapshots alone.
    #[arg(long, value_name = "http://HOST:PORT", conflicts_with = "data_dir")]
    server: Option<String>,
    /// What the server wants as proof: a scheme and its data. Also read from OXKEEPER_AUTH, which nobody else sees.
    #[arg(long, value_name = "digest USER:PASSWORD", requires = "server")]
    auth: Option<String>,
    /// Begin with a new copy of the newest snapshot, even where the last run could be continued.
    #[arg(long)]
    full: bool,
}

/// What can be done with a backup besides.
#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Read everything in a backup and check it against its checksums. Exit code 1 if something is wrong.
    Verify {
        /// The backup.
        folder: PathBuf,
    },
    /// Say what a backup holds, and to which positions it can be restored.
    List {
        /// The backup.
        folder: PathBuf,
        /// As JSON: the manifest.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub fn run(args: &BackupArgs) -> ExitCode {
    match carry_out(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("oxkeeper backup: {error}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(args: &BackupArgs) -> Result<ExitCode, BackupError> {
    match &args.command {
        Some(BackupCommand::Verify { folder }) => {
            let problems = verify::verify(folder)?;
            for problem in &problems {
                println!("{problem}");
            }
            if problems.is_empty() {
                println!("{}: every file is as it was written", folder.display());
                return Ok(ExitCode::SUCCESS);
            }
            Ok(ExitCode::FAILURE)
        }
        Some(BackupCommand::List { folder, json }) => {
            let manifest = verify::read(folder)?;
            match json {
                true => print!("{}", String::from_utf8_lossy(&manifest.text())),
                false => print!("{}", verify::describe(&manifest)),
            }
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let folder = args.folder.clone().unwrap_or_default();
            if let Some(server) = &args.server {
                let report = over_network(args, &folder, server)?;
                println!("{}", show(&report));
                return Ok(ExitCode::SUCCESS);
            }
            let data_dir = args.data_dir.clone().unwrap_or_default();
            let log_dir = args.log_dir.as_ref().unwrap_or(&data_dir);
            let dirs = Dirs::new(&data_dir, log_dir);
            let report = run::from_data_dir(&folder, &dirs, args.full)?;
            println!("{}", show(&report));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn over_network(args: &BackupArgs, folder: &Path, server: &str) -> Result<Report, BackupError> {
    let from_environment = || std::env::var("OXKEEPER_AUTH").ok();
    let server = Server {
        address: server.to_owned(),
        // Where everybody may do everything on the root, that is enough.
        auth: args
            .auth
            .clone()
            .or_else(from_environment)
            .unwrap_or_else(|| "ip".to_owned()),
    };
    let mut folder = Folder::open(folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| BackupError::io("start", Path::new("network"), error))?;
    runtime.block_on(server::from_server(&mut folder, &server, args.full))
}

fn show(report: &Report) -> String {
    let Report {
        begun,
        from,
        upto,
        records,
        bytes,
    } = report;
    match (begun, from) {
        (Some((chain, why)), _) => format!(
            "chain {chain} is begun ({why}): up to {upto}, {records} records, {bytes} bytes"
        ),
        (None, Some(from)) if from == upto => format!("nothing new: the backup ends at {upto}"),
        (None, from) => format!(
            "{records} records added, {bytes} bytes: the backup reaches {upto} now (before: {})",
            from.unwrap_or_default()
        ),
    }
}
