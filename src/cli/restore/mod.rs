//! `oxkeeper restore`: a data folder out of a backup, to its end, to a position or to a time.

mod whole;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::whole::{Options, Restored, Target};
use crate::base::Zxid;
use crate::cli::backup::error::BackupError;
use crate::cli::backup::{manifest, verify, when};
use crate::runtime::restored::Homes;

/// Arguments of `oxkeeper restore`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  oxkeeper restore /backup/zk --data-dir /var/lib/zookeeper
  oxkeeper restore /backup/zk --data-dir /var/lib/zookeeper --time 2026-11-21T20:15:00Z

An ensemble: stop every member, restore the same position into each, start them all. See docs/backup.md.")]
pub struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// dataDir of the server that gets it: new or empty, its server stopped.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// dataLogDir of the server, where that is another folder.
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// Restore up to this transaction, such as 0x100000abc, and nothing behind it.
    #[arg(long, value_name = "ZXID", value_parser = zxid, conflicts_with = "time")]
    zxid: Option<Zxid>,
    /// Restore up to the last transaction at or before this time, such as 2026-11-21T20:15:00Z (UTC unless it names
    /// a zone).
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<i64>,
    /// Restore though the folder holds a database; that is kept as version-2.replaced-1.
    #[arg(long)]
    force: bool,
    /// Write this server's id into myid, too.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u8).range(1..))]
    myid: Option<u8>,
}

fn zxid(text: &str) -> Result<Zxid, String> {
    manifest::parse_zxid(text)
        .ok_or_else(|| "a zxid is wanted in hex, such as 0x100000abc".to_owned())
}

fn time(text: &str) -> Result<i64, String> {
    when::parse(text)
        .ok_or_else(|| "a time is wanted such as 2026-11-21T20:15:00Z, or ms since 1970".to_owned())
}

/// Runs the command.
pub fn run(args: &RestoreArgs) -> ExitCode {
    match carry_out(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oxkeeper restore: {error}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(args: &RestoreArgs) -> Result<(), BackupError> {
    let manifest = verify::read(&args.folder)?;
    let target = match (args.zxid, args.time) {
        (Some(zxid), _) => Target::Zxid(zxid),
        (None, Some(ms)) => Target::Time(ms),
        (None, None) => Target::Latest,
    };
    let plan = whole::plan(&args.folder, &manifest, target)?;
    let homes = Homes {
        data: args.data_dir.clone(),
        log: args
            .log_dir
            .clone()
            .unwrap_or_else(|| args.data_dir.clone()),
    };
    let options = Options {
        homes,
        force: args.force,
        myid: args.myid,
    };
    let restored = whole::restore(&args.folder, &manifest, &plan, &options)?;
    println!("{}", show(&restored));
    Ok(())
}

fn show(restored: &Restored) -> String {
    let Restored {
        upto,
        znodes,
        digest,
        digest_mismatches,
        accepted_epoch,
        kept,
    } = restored;
    let mut text = format!(
        "restored up to {upto}: {znodes} znodes, digest {digest:#x}, accepted epoch {accepted_epoch}"
    );
    if *digest_mismatches > 0 {
        text.push_str(&format!(
            "\n{digest_mismatches} digests in the log are not those of the tree; a Java server with another locale \
             explains it"
        ));
    }
    for path in kept {
        text.push_str(&format!("\nwhat was there before: {}", path.display()));
    }
    text
}
