//! Arguments, and which command they mean.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use super::shell::{self, CliArgs};
use super::{
    ask, backup, bench, config, doctor, log, purge, restore, server, snapshot, status, top,
    upstream,
};
use crate::admin;

/// A server that takes the place of Apache ZooKeeper.
///
/// Without a command: a standalone server on port 2181 with its data in ./data.
#[derive(Debug, Parser)]
#[command(name = "oxkeeper", version, arg_required_else_help = false)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a server, as `zkServer.sh start-foreground` does.
    Server(server::ServerArgs),
    /// Talk to servers with zkCli's commands: one given here, or many from a terminal or a pipe.
    #[command(after_long_help = shell::HELP, after_help = shell::HELP)]
    Cli(CliArgs),
    /// Ask a server with a four-letter word, such as srvr, and print what it answers.
    Ask {
        /// The word.
        word: String,
        /// Host and client port.
        #[arg(value_name = "HOST:PORT", default_value = "127.0.0.1:2181")]
        server: String,
    },
    /// Check a configuration before a server is started with it, or print what every key is for.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Say how servers are: what each is, how far, and how busy. Ours and Java's alike.
    Status(status::StatusArgs),
    /// Watch servers on the terminal: how busy each is, its sessions, the hottest paths and the slowest stages.
    Top(top::TopArgs),
    /// Print a script that completes this program's arguments in a shell.
    #[command(after_help = "Example: oxkeeper completions bash > /etc/bash_completion.d/oxkeeper")]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Back up a server's data to a folder, more of it with each run; verify and list backups.
    Backup(backup::BackupArgs),
    /// Restore a backup into a data folder, up to its end, a zxid or a time.
    Restore(restore::RestoreArgs),
    /// Show, filter, recover or repair transaction logs, as Java's zkTxnLogToolkit.sh does and more.
    Log(log::LogArgs),
    /// Show, summarize or compare snapshots, as Java's zkSnapShotToolkit.sh and its kin do and more.
    Snapshot(snapshot::SnapshotArgs),
    /// Remove old snapshots and logs, as zkCleanup.sh does.
    Purge(purge::PurgeArgs),
    /// Say what is wrong with a data folder, Java's or ours, and put it right.
    Doctor(doctor::DoctorArgs),
    /// Put servers under load, Java's or ours, and report how fast they answer.
    #[command(after_long_help = bench::HELP, after_help = bench::HELP)]
    Bench(bench::BenchArgs),
    /// Stand in for a class of Java's that a script starts.
    #[command(hide = true, disable_help_flag = true)]
    Upstream(upstream::UpstreamArgs),
    /// Print the version as four-letter words show it.
    Version,
}

/// The arguments; `bench` has zkCli's way of naming servers, too, which is a long name behind one dash.
fn words() -> impl Iterator<Item = OsString> {
    let is_bench = std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "bench");
    std::env::args_os().map(move |word| match is_bench && word == "-server" {
        true => "--server".into(),
        false => word,
    })
}

/// Runs the program.
pub fn main() -> ExitCode {
    match Args::parse_from(words()).command {
        None => server::run(&server::ServerArgs::default()),
        Some(Command::Server(args)) => server::run(&args),
        Some(Command::Cli(args)) => shell::run(args),
        Some(Command::Ask { word, server }) => ask::run(&word, &server),
        Some(Command::Config(command)) => config::run(&command),
        Some(Command::Status(args)) => status::run(&args),
        Some(Command::Top(args)) => top::run(&args),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "oxkeeper", &mut script);
            print!("{}", String::from_utf8_lossy(&script));
            ExitCode::SUCCESS
        }
        Some(Command::Backup(args)) => backup::run(&args),
        Some(Command::Restore(args)) => restore::run(&args),
        Some(Command::Log(args)) => log::run(&args),
        Some(Command::Snapshot(args)) => snapshot::run(&args),
        Some(Command::Purge(args)) => purge::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Upstream(args)) => upstream::run(&args),
        Some(Command::Version) => {
            println!("{}", admin::version());
            ExitCode::SUCCESS
        }
    }
}
