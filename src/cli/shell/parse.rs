//! Options of a command, cut as Apache's commons-cli cuts them, with its words for what is wrong.
//!
//! Options may stand anywhere, join behind one dash (`-sw`), and take their argument from the same word (`-v3`,
//! `-v=3`) or the next. Source: `org.apache.commons.cli.DefaultParser`, as far as options without long names go.

use super::failure::Failure;
use super::table::{Command, Opt};

/// A command's words: its arguments, the command itself first, and its options.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Words that are no options; the command's name first.
    pub args: Vec<String>,
    options: Vec<(&'static str, Option<String>)>,
}

impl Parsed {
    /// Whether the option was given.
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| *option == name)
    }

    /// The option's first argument.
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut found = self.options.iter().filter(|(option, _)| *option == name);
        found.find_map(|(_, value)| value.as_deref())
    }
}

/// Cuts `words`, of which the first is the command.
///
/// # Errors
/// An option nobody knows, one without its argument, two of a group, or none of a group that needs one.
pub fn parse(command: &Command, words: &[String]) -> Result<Parsed, Failure> {
    let mut cutter = Cutter {
        command,
        parsed: Parsed::default(),
        waiting: None,
        selected: None,
        only_arguments: false,
    };
    for word in words {
        cutter.word(word)?;
    }
    cutter.end()
}

struct Cutter<'a> {
    command: &'a Command,
    parsed: Parsed,
    /// The option whose argument is due.
    waiting: Option<&'static str>,
    /// Which option of the group was given.
    selected: Option<&'static str>,
    only_arguments: bool,
}

impl Cutter<'_> {
    fn word(&mut self, word: &str) -> Result<(), Failure> {
        if self.only_arguments {
            self.parsed.args.push(word.to_owned());
        } else if word == "--" {
            self.only_arguments = true;
        } else if self.waiting.is_some() && self.is_argument(word) {
            self.take_value(without_quotes(word));
        } else if word.starts_with('-') && word != "-" && !word.starts_with("--") {
            return self.option(word);
        } else {
            return self.other(word);
        }
        Ok(())
    }

    fn end(self) -> Result<Parsed, Failure> {
        self.nothing_waits()?;
        match self.command.group {
            Some(group) if group.required && self.selected.is_none() => {
                let names = group.options.iter();
                let names: Vec<_> = names
                    .map(|opt| format!("-{} {}", opt.name, opt.help))
                    .collect();
                let names = names.join(", ");
                Err(complaint(
                    "MissingOption",
                    &format!("Missing required option: [{names}]"),
                ))
            }
            _ => Ok(self.parsed),
        }
    }

    fn find(&self, name: &str) -> Option<&'static Opt> {
        let grouped = self.command.group.iter().flat_map(|group| group.options);
        let mut all = self.command.options.iter().chain(grouped);
        all.find(|option| option.name == name)
    }

    /// Whether the word can be the argument that an option waits for.
    fn is_argument(&self, word: &str) -> bool {
        let Some(body) = word.strip_prefix('-').filter(|body| !body.is_empty()) else {
            return true;
        };
        let name = body.split('=').next().unwrap_or(body);
        let first = name.chars().next().map(String::from).unwrap_or_default();
        let is_option = self.find(name).is_some() || self.find(&first).is_some();
        !is_option || word.parse::<f64>().is_ok()
    }

    fn option(&mut self, word: &str) -> Result<(), Failure> {
        let body = &word[1..];
        if let Some((name, value)) = body.split_once('=') {
            return match self.find(name) {
                Some(option) if option.argument && name.chars().count() == 1 => {
                    self.take(option)?;
                    self.take_value(value);
                    Ok(())
                }
                _ => self.other(word),
            };
        }
        match self.find(body) {
            Some(option) => self.take(option),
            None if body.chars().count() == 1 => self.other(word),
            None => self.joined(word, body),
        }
    }

    /// Several options behind one dash, the last maybe with its argument.
    fn joined(&mut self, word: &str, body: &str) -> Result<(), Failure> {
        for (at, name) in body.char_indices() {
            let Some(option) = self.find(name.encode_utf8(&mut [0; 4])) else {
                return self.other(word);
            };
            self.take(option)?;
            let rest = &body[at + name.len_utf8()..];
            if self.waiting.is_some() && !rest.is_empty() {
                self.take_value(rest);
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, option: &'static Opt) -> Result<(), Failure> {
        self.nothing_waits()?;
        let group = self.command.group.filter(|group| {
            let mut options = group.options.iter();
            options.any(|grouped| grouped.name == option.name)
        });
        if group.is_some() {
            match self.selected {
                Some(selected) if selected != option.name => {
                    let text = format!(
                        "The option '{}' was specified but an option from this group has already been selected: \
                         '{selected}'",
                        option.name
                    );
                    return Err(complaint("AlreadySelected", &text));
                }
                _ => self.selected = Some(option.name),
            }
        }
        self.parsed.options.push((option.name, None));
        self.waiting = option.argument.then_some(option.name);
        Ok(())
    }

    fn take_value(&mut self, value: &str) {
        self.waiting = None;
        if let Some((_, last)) = self.parsed.options.last_mut() {
            *last = Some(value.to_owned());
        }
    }

    fn other(&mut self, word: &str) -> Result<(), Failure> {
        if word.starts_with('-') && word.len() > 1 {
            let text = format!("Unrecognized option: {word}");
            return Err(complaint("UnrecognizedOption", &text));
        }
        self.parsed.args.push(word.to_owned());
        Ok(())
    }

    fn nothing_waits(&self) -> Result<(), Failure> {
        match self.waiting {
            None => Ok(()),
            Some(name) => {
                let text = format!("Missing argument for option: {name}");
                Err(complaint("MissingArgument", &text))
            }
        }
    }
}

/// An exception as zkCli prints it: with the name of its class.
fn complaint(kind: &str, text: &str) -> Failure {
    Failure::new(format!("org.apache.commons.cli.{kind}Exception: {text}"))
}

fn without_quotes(word: &str) -> &str {
    let inner = word
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('"') => inner,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::shell::table;

    fn parsed(line: &str) -> Result<Parsed, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let command = table::find(&words[0]).unwrap();
        parse(command, &words).map_err(|failure| failure.text)
    }

    #[test]
    fn options_stand_anywhere_and_take_their_argument_in_each_form() {
        for line in [
            "set -v 3 /a x",
            "set /a -v3 x",
            "set /a x -v=3",
            "set -sv3 /a x",
            "set -v -- /a x",
        ] {
            let wanted = if line.contains("--") { None } else { Some("3") };
            match parsed(line) {
                Ok(parsed) => {
                    assert_eq!(parsed.value("v"), wanted, "{line}");
                    assert_eq!(parsed.args, ["set", "/a", "x"], "{line}");
                }
                Err(text) => assert!(wanted.is_none(), "{line}: {text}"),
            }
        }
        let negative = parsed("setquota -n -5 /q").unwrap();
        assert_eq!(negative.value("n"), Some("-5"));
        assert!(parsed("ls -sR /").unwrap().has("R"));
        assert_eq!(parsed("set /a -- -5").unwrap().args, ["set", "/a", "-5"]);
    }

    #[test]
    fn complaints_are_those_of_commons_cli() {
        for (line, text) in [
            (
                "ls -z /",
                "UnrecognizedOptionException: Unrecognized option: -z",
            ),
            (
                "set /a -5",
                "UnrecognizedOptionException: Unrecognized option: -5",
            ),
            (
                "ls --help",
                "UnrecognizedOptionException: Unrecognized option: --help",
            ),
            (
                "create -t",
                "MissingArgumentException: Missing argument for option: t",
            ),
            (
                "setquota -n 5 -b 6 /b",
                "AlreadySelectedException: The option 'b' was specified but an option from this group has already \
                 been selected: 'n'",
            ),
            (
                "setquota /b",
                "MissingOptionException: Missing required option: [-n num soft quota, -b bytes soft quota, -N num \
                 hard quota, -B bytes hard quota]",
            ),
        ] {
            let said = parsed(line).unwrap_err();
            assert_eq!(said, format!("org.apache.commons.cli.{text}"), "{line}");
        }
    }
}
