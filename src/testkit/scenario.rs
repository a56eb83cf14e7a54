//! Tests as text files: commands, and the trace they produced.
//!
//! ```text
//! # What is being shown, and why it is right.
//! server 1 zxid=0x100000004
//! boot 1
//! ----
//! the trace of both commands, without empty lines
//!
//! run 200ms
//! ----
//! ...
//! ```
//!
//! Lines up to `----` are commands, one a line, run in order; what follows up to an empty line is
//! what they wrote. A line that starts with `#` is a comment, except inside a trace. With
//! `OXKEEPER_REWRITE_SCENARIOS` set in the environment, traces that differ are written back to the
//! files instead of failing the test: the diff is then the review.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Set in the environment, it makes [`run_folder`] accept what it sees.
pub const REWRITE: &str = "OXKEEPER_REWRITE_SCENARIOS";

/// One command: a name, then words, of which some are `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The first word.
    pub name: String,
    /// The words after it without a `=`, in order.
    pub words: Vec<String>,
    /// The others.
    pub pairs: Vec<(String, String)>,
}

impl Command {
    /// Reads a line that is not empty.
    pub fn parse(line: &str) -> Self {
        let mut parts = line.split_whitespace();
        let name = parts.next().unwrap_or_default().to_owned();
        let (mut words, mut pairs) = (Vec::new(), Vec::new());
        for part in parts {
            match part.split_once('=') {
                Some((key, value)) => pairs.push((key.to_owned(), value.to_owned())),
                None => words.push(part.to_owned()),
            }
        }
        Command { name, words, pairs }
    }

    /// The value of `key`, if it is given.
    pub fn value(&self, key: &str) -> Option<&str> {
        let pair = self.pairs.iter().find(|(name, _)| name == key);
        pair.map(|(_, value)| value.as_str())
    }

    /// The value of `key` as a number, decimal or after `0x` hexadecimal, or `default`.
    ///
    /// # Panics
    /// If it is not a number.
    pub fn number(&self, key: &str, default: i64) -> i64 {
        self.value(key).map_or(default, number)
    }

    /// The words as numbers.
    ///
    /// # Panics
    /// If one is not a number.
    pub fn numbers(&self) -> Vec<i64> {
        self.words.iter().map(|word| number(word)).collect()
    }
}

/// A number, decimal or after `0x` hexadecimal.
///
/// # Panics
/// If it is none.
pub fn number(text: &str) -> i64 {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("{text:?} is not a number"))
}

/// Runs every `.txt` file of a folder, given from the root of the package, in the order of their
/// names. `fresh` makes what runs the commands of one file; that writes lines to the trace it is
/// given.
///
/// # Panics
/// If a trace is not the expected one (unless [`REWRITE`] is set), or there are no files.
pub fn run_folder<R: FnMut(&Command, &mut String)>(folder: &str, mut fresh: impl FnMut() -> R) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    assert!(!files.is_empty(), "no scenarios in {folder:?}");
    let rewrite = std::env::var_os(REWRITE).is_some();
    let mut failed = String::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let produced = replay(&text, fresh());
        if produced == text {
            continue;
        }
        if rewrite {
            fs::write(&path, &produced).unwrap();
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            writeln!(failed, "{name}: {}", first_difference(&text, &produced)).unwrap();
        }
    }
    assert!(failed.is_empty(), "{failed}set {REWRITE} to accept");
}

/// The text of a scenario with the traces that its commands produce.
fn replay(text: &str, mut runner: impl FnMut(&Command, &mut String)) -> String {
    let (mut produced, mut trace) = (String::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "----" {
            let expected = lines.by_ref().take_while(|line| !line.is_empty());
            expected.for_each(drop);
            produced += "----\n";
            produced += &std::mem::take(&mut trace);
            produced += "\n";
            continue;
        }
        produced += line;
        produced += "\n";
        if !line.is_empty() && !line.starts_with('#') {
            runner(&Command::parse(line), &mut trace);
        }
    }
    assert!(trace.is_empty(), "a trace without ---- : {trace}");
    // No empty line at the end of the file.
    produced.truncate(produced.trim_end().len());
    produced + "\n"
}

fn first_difference(expected: &str, produced: &str) -> String {
    let (mut wanted, mut got) = (expected.lines(), produced.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (wanted.next(), got.next()) {
            (None, None) => return "only its line ends differ".to_owned(),
            (wanted, got) if wanted == got => {}
            (wanted, got) => {
                let shown = |line: Option<&str>| line.unwrap_or("the end").to_owned();
                return format!(
                    "line {number}\n  wanted: {}\n  got:    {}",
                    shown(wanted),
                    shown(got)
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_replaced_by_what_the_commands_write() {
        let text = "# why\nadd 1 2\nadd by=0x10\n----\nold\nlines\n\n# more\nadd 4\n----\n";
        let produced = replay(text, |command, trace| {
            let sum: i64 = command.numbers().iter().sum();
            writeln!(trace, "{}", sum + command.number("by", 0)).unwrap();
        });
        assert_eq!(
            produced,
            "# why\nadd 1 2\nadd by=0x10\n----\n3\n16\n\n# more\nadd 4\n----\n4\n"
        );
        assert_eq!(
            first_difference(text, &produced),
            "line 5\n  wanted: old\n  got:    3"
        );
    }

    #[test]
    fn commands_that_write_nothing_leave_an_empty_trace() {
        assert_eq!(replay("x\n----\n", |_, _| ()), "x\n----\n");
    }

    #[test]
    fn a_command_has_words_and_pairs() {
        let command = Command::parse("server 1 zxid=0x2 down");
        assert_eq!(command.name, "server");
        assert_eq!(command.words, ["1", "down"]);
        assert_eq!(command.value("zxid"), Some("0x2"));
        assert_eq!(command.number("epoch", 7), 7);
    }
}
