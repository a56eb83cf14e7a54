//! `oxkeeper snapshot`: what is in a snapshot, how much lies where, and what changed between two.

mod compare;
mod formatter;
mod summary;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

pub use compare::{Thresholds, compare};
pub use formatter::{details, ncdu};
pub use summary::summarize;

use super::log::{Failure, finish};
use super::progress::{Progress, total_size};
use crate::base::{Zxid, java_map};
use crate::storage::{Disk, names, snapshot};
use crate::tree::{Loader, Tree, TreeOptions, Znode};

/// Arguments of `oxkeeper snapshot`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  oxkeeper snapshot data/version-2/snapshot.1f             every znode with its stat
  oxkeeper snapshot --json -d snapshot.1f.gz | jq .path    one object per line, with data
  oxkeeper snapshot --ncdu snapshot.1f | ncdu -f -         browse what takes the space
  oxkeeper snapshot summary snapshot.1f /app 2
  oxkeeper snapshot compare -l old -r new --bytes 1000 --nodes 10

Exit codes: 0 done, 1 the snapshot is damaged, 2 wrong arguments or no such file."
)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    command: Option<SnapshotCommand>,
    /// A snapshot, also a compressed one (.gz, .snappy).
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// With the data of each znode, in base64.
    #[arg(short, long)]
    data: bool,
    /// One JSON object per session, ACL list and znode, in the order of the file.
    #[arg(long, conflicts_with = "ncdu")]
    json: bool,
    /// As Java's -json: one document for the disk usage browser ncdu.
    #[arg(long, conflicts_with = "data")]
    ncdu: bool,
}

#[derive(Debug, Subcommand)]
enum SnapshotCommand {
    /// How many znodes and bytes lie below each znode that has children, as Java's SnapshotRecursiveSummary.
    Summary {
        /// A snapshot.
        file: PathBuf,
        /// The znode to begin with.
        #[arg(default_value = "/")]
        start: String,
        /// Levels to print; 0 for all.
        #[arg(default_value_t = 0)]
        depth: i32,
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// What grew and shrank from one snapshot to another, as Java's SnapshotComparer.
    Compare {
        /// The older snapshot.
        #[arg(short, long)]
        left: PathBuf,
        /// The newer snapshot.
        #[arg(short, long)]
        right: PathBuf,
        /// Only what changed by more bytes than this.
        #[arg(short, long, default_value_t = 0)]
        bytes: i32,
        /// Only what changed by more znodes than this.
        #[arg(short, long, default_value_t = 0)]
        nodes: i32,
        /// Print what is compared and what is left out, too.
        #[arg(short, long)]
        debug: bool,
        /// Level by level, or the znode that is asked for.
        #[arg(short, long)]
        interactive: bool,
        /// One JSON object per difference.
        #[arg(long, conflicts_with_all = ["debug", "interactive"])]
        json: bool,
    },
}

/// Runs the command.
pub fn run(args: &SnapshotArgs) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = dispatch(&mut out, args);
    finish(match out.flush() {
        Err(error) if done.is_ok() => Err(error.into()),
        _ => done,
    })
}

fn dispatch(out: &mut dyn Write, args: &SnapshotArgs) -> Result<(), Failure> {
    match (&args.command, &args.file) {
        (
            Some(SnapshotCommand::Summary {
                file,
                start,
                depth,
                json,
            }),
            _,
        ) => summarize(out, file, start, *depth, *json),
        (
            Some(SnapshotCommand::Compare {
                left,
                right,
                bytes,
                nodes,
                debug,
                interactive,
                json,
            }),
            _,
        ) => {
            let thresholds = Thresholds {
                bytes: (*bytes).into(),
                nodes: (*nodes).into(),
                debug: *debug,
                interactive: *interactive,
            };
            compare(out, left, right, &thresholds, *json)
        }
        (None, Some(file)) if args.json => formatter::json(out, file, args.data),
        (None, Some(file)) if args.ncdu => ncdu(out, file),
        (None, Some(file)) => details(out, file, args.data),
        (None, None) => Ok(()),
    }
}

/// A snapshot in memory, and what is wrong with the file though all of it could be read.
struct Read {
    tree: Tree,
    damage: Option<String>,
}

impl Read {
    fn verdict(self) -> Result<(), Failure> {
        self.damage
            .map_or(Ok(()), |text| Err(Failure::new(1, text)))
    }
}

/// Differs from Java's tools, which do not look at checksums: what can be shown is shown, then the damage is told.
fn read(path: &Path) -> Result<Read, Failure> {
    with_progress(path, Progress::new, |disk| {
        let mut loader = Loader::new(TreeOptions {
            digest: false,
            ..TreeOptions::default()
        });
        let damage = match snapshot::visit(disk, path, &mut loader) {
            Ok(_) => None,
            Err(problem @ snapshot::SnapshotProblem::Checksum { .. }) => {
                Some(format!("{}: {problem}", path.display()))
            }
            Err(problem) => {
                return Err(Failure::new(1, format!("{}: {problem}", path.display())));
            }
        };
        let tree = loader.finish(Zxid(name_zxid(path)));
        let tree = tree.map_err(|error| Failure::new(1, format!("{}: {error}", path.display())))?;
        Ok(Read { tree, damage })
    })
}

fn with_progress<T>(
    path: &Path,
    bar: fn(u64, &str) -> Progress,
    work: impl FnOnce(&dyn Disk) -> T,
) -> T {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let progress = bar(total_size([path]), &format!("reading {name}"));
    work(progress.disk().as_ref())
}

/// Refuses what is no file. Source: `ZKUtil.validateFileInput`.
pub fn refuse_no_file(path: &Path) -> Result<(), Failure> {
    let shown = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let shown = shown.display();
    let text = match std::fs::metadata(path) {
        Err(_) => format!("File '{shown}' does not exist."),
        Ok(data) if data.is_dir() => format!("'{shown}' is a directory. it must be a file."),
        Ok(_) if std::fs::File::open(path).is_err() => {
            format!("Read permission is denied on the file '{shown}'")
        }
        Ok(_) => return Ok(()),
    };
    Err(Failure::new(2, text))
}

/// The zxid in a file's name, -1 if there is none. Source: `Util.getZxidFromName`.
fn name_zxid(path: &Path) -> i64 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    names::parse_snapshot(&name).map_or(-1, |zxid| zxid.0)
}

/// A znode on a walk over a tree.
struct Visit {
    path: String,
    znode: Znode,
    level: usize,
    children: usize,
}

/// Walks over `start` and what is below it, parents first, children in the order in which Java goes through them. None
/// if there is no such znode.
fn walk<'a>(tree: &'a Tree, start: &str) -> Option<impl Iterator<Item = Visit> + use<'a>> {
    let mut waiting = vec![(start.to_owned(), tree.find(start)?, 0)];
    Some(std::iter::from_fn(move || {
        let (path, znode, level) = waiting.pop()?;
        let mut names: Vec<&str> = tree.children(znode).collect();
        names.reverse();
        java_map::sort_texts(&mut names, CHILDREN_SLOTS);
        let above = path.strip_suffix('/').unwrap_or(&path);
        for name in names.iter().rev() {
            let below = format!("{above}/{name}");
            if let Some(child) = tree.find(&below) {
                waiting.push((below, child, level + 1));
            }
        }
        let children = names.len();
        Some(Visit {
            path,
            znode,
            level,
            children,
        })
    }))
}

/// Java makes a set of children with so much room. Source: `DataNode.addChild`.
const CHILDREN_SLOTS: usize = 8;
