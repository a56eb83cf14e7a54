//! What stands behind `oxkeeper cli`.

use std::time::Duration;

/// Options and command of the shell, in zkCli's own form: long names behind one dash.
#[derive(Debug, clap::Args)]
pub struct CliArgs {
    /// Options, then at most one command.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "OPTIONS AND COMMAND"
    )]
    pub words: Vec<String>,
}

/// What `oxkeeper cli --help` says behind its first lines.
pub const HELP: &str = "\
Options (before the command, as zkCli has them):
  -server HOST:PORT,...[/CHROOT]   servers, and the znode to take for the root [localhost:2181]
  -timeout MS                      session timeout [30000]
  -waitforconnection               end with an error if there is no connection in that time
  -r                               be content with a server that has no quorum, for reads
  -client-configuration FILE       accepted; nothing in it is used yet

Without a command it reads them from the terminal (Tab completes commands, options and znodes; the history
is kept in ~/.oxkeeper_history) or from a pipe. With one it runs that and ends: 0 where it succeeded, 1 where
it failed, 127 for a command that does not exist. An unknown command lists them all.

Examples:
  oxkeeper cli -server zk1:2181,zk2:2181/app ls -s /
  echo 'get /config' | oxkeeper cli
  oxkeeper cli create -s /queue/task- \"payload\"";

/// The options in front of the command, and the command.
#[derive(Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Connection string.
    pub server: String,
    /// Session timeout, and how long `-waitforconnection` waits.
    pub timeout: Duration,
    pub wait: bool,
    pub read_only: bool,
    /// The command and its arguments; none for a conversation.
    pub command: Option<Vec<String>>,
}

impl Invocation {
    /// Reads the words behind `oxkeeper cli`. An option nobody knows is passed over, as Java does.
    ///
    /// # Errors
    /// An option without its argument, or a timeout that is no number.
    /// Source: `ZooKeeperMain.MyCommandOptions.parseOptions`.
    pub fn parse(words: &[String]) -> Result<Invocation, String> {
        let mut invocation = Invocation {
            server: "localhost:2181".into(),
            timeout: Duration::from_secs(30),
            wait: false,
            read_only: false,
            command: None,
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let mut argument = || {
                rest.next()
                    .ok_or_else(|| format!("Error: no argument found for option {word}"))
            };
            match word.as_str() {
                "-server" => invocation.server = argument()?.clone(),
                "-timeout" => {
                    let text = argument()?;
                    let ms: u32 = text
                        .parse()
                        .map_err(|_| format!("Error: -timeout {text}: not a number of ms"))?;
                    invocation.timeout = Duration::from_millis(ms.into());
                }
                "-client-configuration" => {
                    let file = argument()?;
                    eprintln!(
                        "oxkeeper: {file}: not used: connections are plain TCP, without TLS or SASL"
                    );
                }
                "-waitforconnection" => invocation.wait = true,
                "-r" => invocation.read_only = true,
                option if option.starts_with('-') => {}
                command => {
                    let arguments = rest.by_ref().cloned();
                    let command = std::iter::once(command.to_owned()).chain(arguments);
                    invocation.command = Some(command.collect());
                }
            }
        }
        Ok(invocation)
    }
}

/// The words of a line; quotes of either kind hold words together. Empty for an empty line.
///
/// Odd lines are cut as Java's pattern cuts them: a quote that is not closed is dropped, a line of spaces is one word.
/// Source: `ZooKeeperMain.MyCommandOptions.ARGS_PATTERN`.
pub fn split(line: &str) -> Vec<String> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
    let mut words = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let trimmed = rest.trim_start_matches(is_space);
        let spaces = &rest[..rest.len() - trimmed.len()];
        let (word, after) = match trimmed.chars().next() {
            Some(quote @ ('"' | '\'')) => match trimmed[1..].find(quote) {
                Some(end) => (trimmed[1..=end].to_owned(), &trimmed[end + 2..]),
                // The pattern takes the space before the quote for a word's beginning, or skips the quote.
                None if spaces.is_empty() => {
                    rest = &trimmed[1..];
                    continue;
                }
                None => with_space(spaces, trimmed, is_space),
            },
            Some(_) => {
                let end = trimmed.find(is_space).unwrap_or(trimmed.len());
                (trimmed[..end].to_owned(), &trimmed[end..])
            }
            None => with_space(spaces, trimmed, is_space),
        };
        words.push(word);
        rest = after.trim_start_matches(is_space);
    }
    words
}

/// The word that begins with the last of `spaces`.
fn with_space<'a>(
    spaces: &str,
    trimmed: &'a str,
    is_space: impl Fn(char) -> bool,
) -> (String, &'a str) {
    let end = trimmed.find(is_space).unwrap_or(trimmed.len());
    let space = spaces.chars().next_back().unwrap_or(' ');
    (format!("{space}{}", &trimmed[..end]), &trimmed[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(
            split("create /a 'b c' \"d 'e\""),
            ["create", "/a", "b c", "d 'e"]
        );
        assert_eq!(split("  set   /a ''  "), ["set", "/a", ""]);
        assert_eq!(split("a\"b c\""), ["a\"b", "c\""]);
        assert_eq!(split("'a'b"), ["a", "b"]);
        assert!(split("").is_empty());
    }

    #[test]
    fn odd_lines_are_cut_as_in_java() {
        assert_eq!(split("create /b \"unclosed"), ["create", "/b", "unclosed"]);
        assert_eq!(split("   "), [" "]);
        assert_eq!(split(" \"x y"), [" \"x", "y"]);
        assert_eq!(split("\""), Vec::<String>::new());
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let parsed =
            Invocation::parse(&words("-server a:1/x -r -bogus -timeout 5 ls -s /")).unwrap();
        assert_eq!(parsed.server, "a:1/x");
        assert_eq!(parsed.timeout, Duration::from_millis(5));
        assert!(parsed.read_only && !parsed.wait);
        assert_eq!(parsed.command.unwrap(), ["ls", "-s", "/"]);
        let parsed = Invocation::parse(&words("-waitforconnection")).unwrap();
        assert!(parsed.wait && parsed.command.is_none());
    }

    #[test]
    fn options_without_their_argument_are_refused() {
        assert!(Invocation::parse(&words("-server")).is_err());
        assert!(Invocation::parse(&words("-timeout soon")).is_err());
    }
}
