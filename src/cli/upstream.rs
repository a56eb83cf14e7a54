//! What the scripts in `bin/` start instead of Java's classes: the same arguments, usage texts and exit codes.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::log::{self, Failure, finish};
use super::progress::{Progress, total_size};
use super::purge;
use super::snapshot::{self, Thresholds};

/// Arguments of `oxkeeper upstream`.
#[derive(Debug, Args)]
pub struct UpstreamArgs {
    /// Name of the class, without its package.
    class: String,
    /// Its arguments, as the class takes them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Runs what the class would have done.
pub fn run(args: &UpstreamArgs) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let words: Vec<&str> = args.args.iter().map(String::as_str).collect();
    let done = match args.class.as_str() {
        "TxnLogToolkit" => toolkit(&mut out, &words),
        "SnapshotFormatter" => formatter(&mut out, &words),
        "SnapshotRecursiveSummary" => summary(&mut out, &words),
        "SnapshotComparer" => comparer(&mut out, &words),
        "PurgeTxnLog" => purge_txn_log(&mut out, &words),
        other => Err(Failure::new(2, format!("{other}: no such class here"))),
    };
    finish(match out.flush() {
        Err(error) if done.is_ok() => Err(error.into()),
        _ => done,
    })
}

/// Source: `TxnLogToolkit.parseCommandLine`.
fn toolkit(out: &mut dyn Write, words: &[&str]) -> Result<(), Failure> {
    let parsed = match Words::parse(TOOLKIT_OPTIONS, words) {
        Ok(parsed) => parsed,
        Err(text) => {
            eprintln!("{text}\n");
            write!(out, "{TOOLKIT_USAGE}")?;
            return Err(Failure::new(1, ""));
        }
    };
    if parsed.has("h") {
        write!(out, "{TOOLKIT_USAGE}")?;
        return Ok(());
    }
    let Some(file) = parsed.rest.first().map(Path::new) else {
        write!(out, "{TOOLKIT_USAGE}")?;
        return Err(Failure::new(1, ""));
    };
    if let (true, Some(zxid)) = (parsed.has("c"), parsed.value("z")) {
        let zxid = log::number(zxid).map_err(|text| Failure::new(1, text))?;
        if zxid >= 0 {
            return log::chop(out, file, zxid);
        }
    }
    let progress = Progress::while_printing(total_size([file]), "reading");
    let disk = progress.disk();
    match parsed.has("r") {
        true => {
            progress.finish();
            log::recover(out, disk.as_ref(), file, parsed.has("v"), parsed.has("y"))
        }
        false => log::dump(out, disk.as_ref(), file, &log::Filter::default()),
    }
}

/// Source: `SnapshotFormatter.main`.
fn formatter(out: &mut dyn Write, words: &[&str]) -> Result<(), Failure> {
    let (mut data, mut json, mut file) = (false, false, None);
    let mut left = words.iter();
    for word in left.by_ref() {
        match *word {
            "-d" => data = true,
            "-json" => json = true,
            name => {
                file = Some(Path::new(name));
                break;
            }
        }
    }
    let Some(file) = file.filter(|_| left.next().is_none()) else {
        return Err(Failure::new(2, FORMATTER_USAGE));
    };
    snapshot::refuse_no_file(file)?;
    match (data, json) {
        (true, true) => Err(Failure::new(
            2,
            "Cannot specify both data dump (-d) and json mode (-json) in same call",
        )),
        (_, true) => snapshot::ncdu(out, file),
        (data, false) => snapshot::details(out, file, data),
    }
}

/// Source: `SnapshotRecursiveSummary.main`.
fn summary(out: &mut dyn Write, words: &[&str]) -> Result<(), Failure> {
    let [file, start, depth] = words else {
        return Err(Failure::new(2, SUMMARY_USAGE));
    };
    let Ok(depth) = depth.parse() else {
        return Err(Failure::new(2, SUMMARY_USAGE));
    };
    snapshot::summarize(out, Path::new(file), start, depth, false)
}

/// Source: `SnapshotComparer.compareSnapshots`.
fn comparer(out: &mut dyn Write, words: &[&str]) -> Result<(), Failure> {
    let parsed = Words::parse(COMPARER_OPTIONS, words).and_then(|parsed| {
        let missing: Vec<&str> = ["l", "r", "b", "n"]
            .into_iter()
            .filter(|option| parsed.value(option).is_none())
            .collect();
        match missing[..] {
            [] => Ok(parsed),
            [one] => Err(format!("Missing required option: {one}")),
            _ => Err(format!("Missing required options: {}", missing.join(", "))),
        }
    });
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(text) => {
            eprintln!("{text}");
            write!(out, "{COMPARER_USAGE}")?;
            return Err(Failure::new(2, ""));
        }
    };
    let value = |option: &str| parsed.value(option).unwrap_or_default();
    let threshold = |option: &str| {
        let text = value(option);
        let number = text.parse::<i32>().map(i64::from);
        number.map_err(|_| Failure::new(1, format!("For input string: \"{text}\"")))
    };
    let thresholds = Thresholds {
        bytes: threshold("b")?,
        nodes: threshold("n")?,
        debug: parsed.has("d"),
        interactive: parsed.has("i"),
    };
    writeln!(out, "Successfully parsed options!")?;
    let (left, right) = (Path::new(value("l")), Path::new(value("r")));
    snapshot::compare(out, left, right, &thresholds, false)
}

/// Source: `PurgeTxnLog.main`.
fn purge_txn_log(out: &mut dyn Write, words: &[&str]) -> Result<(), Failure> {
    let (logs, snapshots, option, count) = match *words {
        [dir, option, count] => (dir, dir, option, count),
        [logs, snapshots, option, count] => (logs, snapshots, option, count),
        _ => return usage_of_purge(out),
    };
    let (logs, snapshots) = (Path::new(logs), Path::new(snapshots));
    let checked = purge::refuse_missing(logs)
        .and_then(|()| purge::refuse_missing(snapshots))
        .and_then(|()| purge::parse_count(count));
    if let Err(failure) = checked {
        eprintln!("{}", failure.text);
        return usage_of_purge(out);
    }
    if option != "-n" {
        return usage_of_purge(out);
    }
    purge::purge(logs, snapshots, count)
}

fn usage_of_purge(out: &mut dyn Write) -> Result<(), Failure> {
    write!(out, "{PURGE_USAGE}")?;
    Err(Failure::new(1, ""))
}

/// An option: its letter, its name, whether a value follows.
type Opt = (&'static str, &'static str, bool);

/// Arguments taken apart as commons-cli does: letters may be run together, names abbreviated and given with one or two
/// dashes, values come behind a blank, an = or right behind the letter.
struct Words<'a> {
    options: BTreeMap<&'static str, &'a str>,
    rest: Vec<&'a str>,
}

impl<'a> Words<'a> {
    /// # Errors
    /// The message of commons-cli. Source: `DefaultParser`.
    fn parse(known: &[Opt], words: &[&'a str]) -> Result<Words<'a>, String> {
        let mut parsed = Words {
            options: BTreeMap::new(),
            rest: Vec::new(),
        };
        let mut left = words.iter().copied();
        while let Some(word) = left.next() {
            if word == "--" {
                parsed.rest.extend(left);
                break;
            }
            let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) else {
                parsed.rest.push(word);
                continue;
            };
            let name = name.strip_prefix('-').unwrap_or(name);
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (name, None),
            };
            if let Some((letter, _, takes_value)) = find(known, name, word)? {
                let value = match (takes_value, value) {
                    (true, None) => left
                        .next()
                        .ok_or(format!("Missing argument for option: {letter}"))?,
                    (_, value) => value.unwrap_or_default(),
                };
                parsed.options.insert(letter, value);
                continue;
            }
            parsed.letters(known, word, &mut left)?;
        }
        Ok(parsed)
    }

    /// Letters that are run together.
    fn letters(
        &mut self,
        known: &[Opt],
        word: &'a str,
        left: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        let unknown = || format!("Unrecognized option: {word}");
        let letters = word.strip_prefix('-').unwrap_or(word);
        if letters.starts_with('-') {
            return Err(unknown());
        }
        for (at, letter) in letters.char_indices() {
            let option = known.iter().find(|(short, ..)| short.starts_with(letter));
            let Some(&(short, _, takes_value)) = option else {
                return Err(unknown());
            };
            let rest = &letters[at + letter.len_utf8()..];
            if !takes_value {
                self.options.insert(short, "");
                continue;
            }
            let value = match rest.is_empty() {
                false => rest,
                true => left
                    .next()
                    .ok_or(format!("Missing argument for option: {short}"))?,
            };
            self.options.insert(short, value);
            break;
        }
        Ok(())
    }

    fn has(&self, option: &str) -> bool {
        self.options.contains_key(option)
    }

    fn value(&self, option: &str) -> Option<&'a str> {
        self.options.get(option).copied()
    }
}

/// The option of that letter or name, which may be abbreviated.
fn find(known: &[Opt], name: &str, word: &str) -> Result<Option<Opt>, String> {
    let exact = known
        .iter()
        .find(|(short, long, _)| *short == name || *long == name);
    if let Some(option) = exact {
        return Ok(Some(*option));
    }
    let mut alike = known
        .iter()
        .filter(|(_, long, _)| name.len() > 1 && long.starts_with(name));
    match (alike.next(), alike.next()) {
        (Some(option), None) => Ok(Some(*option)),
        (Some((_, one, _)), Some((_, other, _))) => Err(format!(
            "Ambiguous option: '{word}'  (could be: '{one}', '{other}')"
        )),
        (None, _) => Ok(None),
    }
}

const TOOLKIT_OPTIONS: &[Opt] = &[
    ("h", "help", false),
    ("r", "recover", false),
    ("v", "verbose", false),
    ("d", "dump", false),
    ("y", "yes", false),
    ("c", "chop", false),
    ("z", "zxid", true),
];

const TOOLKIT_USAGE: &str = "\
usage: TxnLogToolkit [-dhrvc] <txn_log_file_name> (-z <zxid>)
 -c,--chop         Chop mode. Chop txn file to a zxid.
 -d,--dump         Dump mode. Dump all entries of the log file with printing the content of a nodepath (default)
 -h,--help         Print help message
 -r,--recover      Recovery mode. Re-calculate CRC for broken entries.
 -v,--verbose      Be verbose in recovery mode: print all entries, not just fixed ones.
 -y,--yes          Non-interactive mode: repair all CRC errors without asking
 -z,--zxid <arg>   Used with chop. Zxid to which to chop.
";

const FORMATTER_USAGE: &str = "\
USAGE: SnapshotFormatter [-d|-json] snapshot_file
       -d dump the data for each znode
       -json dump znode info in json format";

const SUMMARY_USAGE: &str = "\
USAGE:


SnapshotRecursiveSummary  <snapshot_file>  <starting_node>  <max_depth>


snapshot_file:    path to the zookeeper snapshot
starting_node:    the path in the zookeeper tree where the traversal should begin
max_depth:        defines the depth where the tool still writes to the output. 0 means there is no depth limit, every \
non-leaf node's stats will be displayed, 1 means it will only contain the starting node's and it's children's stats, \
2 ads another level and so on. This ONLY affects the level of details displayed, NOT the calculation.";

const COMPARER_OPTIONS: &[Opt] = &[
    ("l", "left", true),
    ("r", "right", true),
    ("b", "bytes", true),
    ("n", "nodes", true),
    ("d", "debug", false),
    ("i", "interactive", false),
];

const COMPARER_USAGE: &str = "\
usage: java -cp <classPath> org.apache.zookeeper.server.SnapshotComparer
 -b,--bytes <BYTETHRESHOLD>   (Required) The node data delta size threshold, in bytes, for printing the node.
 -d,--debug                   Use debug output.
 -i,--interactive             Enter interactive mode.
 -l,--left <LEFT>             (Required) The left snapshot file.
 -n,--nodes <NODETHRESHOLD>   (Required) The descendant node delta size threshold, in nodes, for printing the node.
 -r,--right <RIGHT>           (Required) The right snapshot file.
";

const PURGE_USAGE: &str = "\
Usage:
PurgeTxnLog dataLogDir [snapDir] -n count
\tdataLogDir -- path to the txn log directory
\tsnapDir -- path to the snapshot directory
\tcount -- the number of old snaps/logs you want to keep, value should be greater than or equal to 3
";
