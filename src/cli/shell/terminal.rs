//! The line editor: history, completion, colours.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::mpsc as blocking;
use std::time::Duration;

use rustyline::completion::Completer;
use rustyline::config::{BellStyle, ColorMode, CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Context, ExternalPrinter, Helper};
use tokio::sync::mpsc;

use super::lines::Input;
use super::print::colours_wanted;
use super::table::{self, COMMANDS};

/// Reads lines from a terminal.
pub struct Editor {
    editor: rustyline::Editor<Assistant, FileHistory>,
    history: Option<PathBuf>,
}

/// Prints above the line that is being edited.
pub struct Printer(Box<dyn ExternalPrinter + Send>);

impl Printer {
    /// Whether it was printed.
    pub fn print(&mut self, text: &str) -> bool {
        self.0.print(text.to_owned()).is_ok()
    }
}

impl Editor {
    /// An editor on the terminal, with the lines of earlier sessions. None where there can be none.
    pub fn new(questions: mpsc::Sender<Input>) -> Option<Editor> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .bell_style(BellStyle::None)
            .color_mode(match colours_wanted() {
                true => ColorMode::Enabled,
                false => ColorMode::Disabled,
            })
            .max_history_size(HISTORY_LINES)
            .ok()?
            .build();
        let mut editor = rustyline::Editor::with_config(config).ok()?;
        editor.set_helper(Some(Assistant { questions }));
        let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(HISTORY_FILE));
        if let Some(file) = &history {
            // The first session finds none.
            let _ = editor.load_history(file);
        }
        Some(Editor { editor, history })
    }

    /// What prints above the line.
    pub fn printer(&mut self) -> Option<Printer> {
        let printer = self.editor.create_external_printer().ok()?;
        Some(Printer(Box::new(printer)))
    }

    /// The next line. Ctrl-C drops what was typed, Ctrl-D on an empty line is the end.
    pub fn line(&mut self, prompt: &str) -> Input {
        match self.editor.readline(prompt) {
            Ok(line) => {
                self.remember(&line);
                Input::Line(line)
            }
            Err(ReadlineError::Interrupted) => Input::Line(String::new()),
            Err(_) => Input::End,
        }
    }

    /// Keeps a line for the next session; not one with a password in it.
    fn remember(&mut self, line: &str) {
        if line.is_empty() || line.trim_start().starts_with("addauth") {
            return;
        }
        let _ = self.editor.add_history_entry(line);
        if let Some(file) = &self.history {
            // A home that cannot be written to is no reason to stop.
            let _ = self.editor.append_history(file);
        }
    }
}

/// Completes, hints and colours.
struct Assistant {
    questions: mpsc::Sender<Input>,
}

impl Assistant {
    /// znodes that begin with `path`; none where the server takes too long.
    fn znodes(&self, path: &str) -> Vec<String> {
        let (names, told) = blocking::sync_channel(1);
        let question = Input::Complete {
            path: path.to_owned(),
            names,
        };
        match self.questions.blocking_send(question) {
            Ok(()) => told.recv_timeout(COMPLETION).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..pos];
        let start = typed.rfind(' ').map_or(0, |space| space + 1);
        let word = &typed[start..];
        let names = match word {
            path if path.starts_with('/') => self.znodes(path),
            word => words(typed[..start].split_whitespace().next(), word),
        };
        Ok((start, names))
    }
}

/// Commands, or options and fixed arguments of the command in front, that begin with `word`.
fn words(command: Option<&str>, word: &str) -> Vec<String> {
    let all: Vec<String> = match command {
        None => COMMANDS
            .iter()
            .map(|command| command.name.to_owned())
            .collect(),
        Some("printwatches") => ["on", "off"].map(String::from).to_vec(),
        Some(name) => {
            let command = table::find(name);
            let options = command.into_iter().flat_map(table::Command::all_options);
            options.map(|option| format!("-{}", option.name)).collect()
        }
    };
    let fitting = all.into_iter().filter(|name| name.starts_with(word));
    fitting.map(|name| name + " ").collect()
}

/// The use of a command, shown behind its name and never taken over.
struct Usage(&'static str);

impl Hint for Usage {
    fn display(&self) -> &str {
        self.0
    }
    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Hinter for Assistant {
    type Hint = Usage;

    fn hint(&self, line: &str, pos: usize, _context: &Context<'_>) -> Option<Usage> {
        let name = line[..pos]
            .strip_suffix(' ')
            .filter(|_| pos == line.len())?;
        table::find(name).map(|command| Usage(command.usage))
    }
}

impl Highlighter for Assistant {
    /// The state in the prompt: green with a connection, yellow while there is none, red at the end.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        _default: bool,
    ) -> Cow<'b, str> {
        let parts = prompt.split_once('(').and_then(|(before, rest)| {
            let (state, after) = rest.split_once(')')?;
            Some((before, state, after))
        });
        let Some((before, state, after)) = parts else {
            return Cow::Borrowed(prompt);
        };
        let colour = match state {
            "CONNECTED" | "CONNECTEDREADONLY" => 32,
            "CONNECTING" => 33,
            _ => 31,
        };
        Cow::Owned(format!("{before}(\x1b[{colour}m{state}\x1b[0m){after}"))
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[2m{hint}\x1b[0m"))
    }
}

impl Validator for Assistant {}
impl Helper for Assistant {}

/// In the home folder.
const HISTORY_FILE: &str = ".oxkeeper_history";
const HISTORY_LINES: usize = 1000;
/// How long Tab waits for the server.
const COMPLETION: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_complete_first_and_their_options_behind_them() {
        assert_eq!(words(None, "getA"), ["getAcl ", "getAllChildrenNumber "]);
        assert_eq!(words(Some("create"), "-"), ["-c ", "-e ", "-s ", "-t "]);
        assert_eq!(words(Some("printwatches"), "o"), ["on ", "off "]);
        assert_eq!(words(Some("setquota"), "-B"), ["-B "]);
        assert!(words(Some("nonsense"), "-").is_empty());
    }
}
