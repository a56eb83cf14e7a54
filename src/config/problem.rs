//! What is wrong, or merely odd, in a configuration; collected, so that a person sees everything at
//! once.

use std::fmt;

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The server does not start.
    Error,
    /// The server starts, but something is not as the text says.
    Warning,
}

/// One finding, printed as `zoo.cfg:4: initLimit=0: must be at least 1 tick (tickTime is 2000 ms)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the server can start all the same.
    pub severity: Severity,
    /// Name of the file; `None` for what came from a `-D` word, which the text then quotes.
    pub file: Option<String>,
    /// Line in the file, counted from 1; `None` for what is missing from it.
    pub line: Option<usize>,
    /// The key as it was written, with its value where that matters, and what is wrong with it.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.text)
    }
}

/// A configuration with which the server does not start. Prints one problem per line, errors first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// All of them, at least one an error; errors first, then by file and line.
    pub problems: Vec<Problem>,
}

impl Invalid {
    /// Those that prevent the start.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}
