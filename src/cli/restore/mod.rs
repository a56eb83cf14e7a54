//! `oxkeeper restore`: a data folder out of a backup, to its end, to a position or to a time.

mod subtree;
mod whole;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::subtree::{Done, Existing, Wish};
use self::whole::{Options, Plan, Restored, Target};
use crate::base::Zxid;
use crate::cli::backup::error::BackupError;
use crate::cli::backup::{manifest, verify, when};
use crate::runtime::restored::Homes;

/// Arguments of `oxkeeper restore`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  oxkeeper restore /backup/zk --data-dir /var/lib/zookeeper
  oxkeeper restore /backup/zk --data-dir /var/lib/zookeeper --time 2026-11-21T20:15:00Z

  oxkeeper restore /backup/zk --subtree /app --into zk1:2181,zk2:2181/app-yesterday --dry-run

An ensemble: stop every member, restore the same position into each, start them all. See docs/backup.md.")]
pub struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// dataDir of the server that gets it: new or empty, its server stopped.
    #[arg(long, value_name = "DIR", required_unless_present = "subtree")]
    data_dir: Option<PathBuf>,
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
    #[arg(long, requires = "data_dir")]
    force: bool,
    /// Write this server's id into myid, too.
    #[arg(long, value_name = "ID", requires = "data_dir", value_parser = clap::value_parser!(u8).range(1..))]
    myid: Option<u8>,
    #[command(flatten)]
    subtree: SubtreeArgs,
}

/// Restoring one subtree into an ensemble that lives.
#[derive(Debug, Args)]
struct SubtreeArgs {
    /// Instead of everything: this znode and all below it, into a living ensemble (--into). Ephemeral znodes are left
    /// out.
    #[arg(
        long,
        value_name = "PATH",
        requires = "into",
        conflicts_with = "data_dir"
    )]
    subtree: Option<String>,
    /// Servers of that ensemble, and where the subtree shall be if not where it was.
    #[arg(long, value_name = "HOST:PORT,...[/TARGET]", requires = "subtree")]
    into: Option<String>,
    /// What to do about znodes that exist.
    #[arg(long, value_enum, default_value = "fail", requires = "subtree")]
    existing: Existing,
    /// Say what would be done, and write nothing.
    #[arg(long, requires = "subtree")]
    dry_run: bool,
    /// Znodes that are created together.
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 100,
        requires = "subtree"
    )]
    batch: usize,
    /// Who to be there: a scheme and its data. Also read from OXKEEPER_AUTH, which nobody else sees.
    #[arg(long, value_name = "digest USER:PASSWORD", requires = "subtree")]
    auth: Option<String>,
}

impl SubtreeArgs {
    fn wish(&self) -> Result<Option<Wish>, String> {
        let (Some(subtree), Some(into)) = (&self.subtree, &self.into) else {
            return Ok(None);
        };
        let (servers, target) = subtree::split(into, subtree)?;
        let auth = self
            .auth
            .clone()
            .or_else(|| std::env::var("OXKEEPER_AUTH").ok());
        let auth = match auth {
            None => None,
            Some(auth) => {
                let words = auth.split_once(' ');
                let (scheme, data) =
                    words.ok_or("--auth wants a scheme and its data: 'digest USER:PASSWORD'")?;
                Some((scheme.to_owned(), data.to_owned()))
            }
        };
        Ok(Some(Wish {
            subtree: subtree.clone(),
            servers,
            target,
            existing: self.existing,
            dry_run: self.dry_run,
            batch: self.batch,
            auth,
        }))
    }
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
    let wish = match args.subtree.wish() {
        Ok(wish) => wish,
        Err(what) => {
            eprintln!("oxkeeper restore: {what}");
            return ExitCode::from(2);
        }
    };
    match carry_out(args, wish.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oxkeeper restore: {error}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(args: &RestoreArgs, wish: Option<&Wish>) -> Result<(), BackupError> {
    let manifest = verify::read(&args.folder)?;
    let target = match (args.zxid, args.time) {
        (Some(zxid), _) => Target::Zxid(zxid),
        (None, Some(ms)) => Target::Time(ms),
        (None, None) => Target::Latest,
    };
    let plan = whole::plan(&args.folder, &manifest, target)?;
    if let Some(wish) = wish {
        println!("{}", restore_subtree(&args.folder, &plan, wish)?);
        return Ok(());
    }
    let data = args.data_dir.clone().unwrap_or_default();
    let homes = Homes {
        log: args.log_dir.clone().unwrap_or_else(|| data.clone()),
        data,
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

fn restore_subtree(folder: &Path, plan: &Plan, wish: &Wish) -> Result<String, BackupError> {
    let rewound = whole::read(folder, plan)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| BackupError::io("start", Path::new("network"), error))?;
    let done = runtime.block_on(subtree::restore(&rewound.tree, wish))?;
    let would = if wish.dry_run { "would be " } else { "" };
    let Done {
        created,
        overwritten,
        skipped,
        ephemerals,
    } = done;
    Ok(format!(
        "{} of {} to {}: {created} znodes {would}created, {overwritten} {would}overwritten, {skipped} {would}left as \
         they are; {ephemerals} ephemeral ones are not restored",
        wish.subtree, rewound.last_zxid, wish.target
    ))
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
