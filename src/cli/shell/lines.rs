//! Where lines come from: a terminal with its editor, or a pipe. Either way a thread reads them, and waits to be asked.

use std::io::{BufRead, IsTerminal};
use std::sync::mpsc as blocking;

use tokio::sync::mpsc;

use super::terminal::{self, Editor};

/// What the reading thread has to say.
pub enum Input {
    /// A line as it was typed, without its end.
    Line(String),
    /// There are no more lines.
    End,
    /// The user wants to know the znodes that begin with this path.
    Complete {
        path: String,
        names: blocking::SyncSender<Vec<String>>,
    },
}

/// Lines, one for each prompt.
pub struct Lines {
    prompts: blocking::Sender<String>,
    inputs: mpsc::Receiver<Input>,
    /// Prints above a line that is being edited; none for a pipe.
    printer: Option<terminal::Printer>,
}

impl Lines {
    /// Begins to read standard input.
    pub fn open() -> Lines {
        let (inputs, taken) = mpsc::channel(1);
        let (prompts, asked) = blocking::channel::<String>();
        let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let editor = is_terminal.then(|| Editor::new(inputs.clone())).flatten();
        let printer = match editor {
            Some(mut editor) => {
                let printer = editor.printer();
                std::thread::spawn(move || {
                    while let Ok(prompt) = asked.recv() {
                        let input = editor.line(&prompt);
                        if inputs.blocking_send(input).is_err() {
                            return;
                        }
                    }
                });
                printer
            }
            None => {
                std::thread::spawn(move || {
                    while let Ok(_prompt) = asked.recv() {
                        if inputs.blocking_send(piped()).is_err() {
                            return;
                        }
                    }
                });
                None
            }
        };
        Lines {
            prompts,
            inputs: taken,
            printer,
        }
    }

    /// Whether the prompt must be printed by the caller.
    pub fn is_piped(&self) -> bool {
        self.printer.is_none()
    }

    /// Asks for the next line.
    pub fn ask(&self, prompt: &str) {
        // The thread ends only when nobody asks any more.
        let _ = self.prompts.send(prompt.to_owned());
    }

    /// What the thread says next.
    pub async fn next(&mut self) -> Input {
        self.inputs.recv().await.unwrap_or(Input::End)
    }

    /// Prints above the line that is being edited. False for a pipe, where nothing is edited.
    pub fn print_above(&mut self, text: &str) -> bool {
        match &mut self.printer {
            Some(printer) => printer.print(text),
            None => false,
        }
    }
}

/// The next line of a pipe. Bytes that are no text are replaced.
fn piped() -> Input {
    let mut line = Vec::new();
    match std::io::stdin().lock().read_until(b'\n', &mut line) {
        Ok(1..) => {
            let text = String::from_utf8_lossy(&line);
            Input::Line(text.trim_end_matches(['\n', '\r']).to_owned())
        }
        _ => Input::End,
    }
}

/// The line that is meant: a backslash stands for the character behind it. Source: `LineReaderImpl.finish` of JLine,
/// which does so wherever zkCli reads lines.
pub fn without_escapes(line: &str) -> String {
    let mut meant = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(each) = characters.next() {
        let kept = if each == '\\' {
            characters.next()
        } else {
            Some(each)
        };
        meant.extend(kept);
    }
    meant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_stands_for_the_character_behind_it() {
        assert_eq!(without_escapes(r#"set /a {\"b\":1}"#), r#"set /a {"b":1}"#);
        assert_eq!(without_escapes(r"set /a \\\b\!"), r"set /a \b!");
        assert_eq!(without_escapes("ends with one \\"), "ends with one ");
    }
}
