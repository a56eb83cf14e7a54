//! Text of a configuration file -> keys with values and line numbers. No meaning is given to any
//! key here.
//!
//! The syntax is that of Java's properties files, byte for byte: bytes are ISO-8859-1 characters,
//! `\uXXXX` is one UTF-16 unit, a `\` at the end of a line joins the next one to it, `#` and `!`
//! begin a comment, and the first `=`, `:` or blank that is not escaped ends the key. Keys and
//! values are trimmed the way the server does it afterwards.
//! Source: `java.util.Properties.load`, `QuorumPeerConfig.parseProperties`.

use std::collections::BTreeMap;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while};
use nom::combinator::{eof, opt, value};
use nom::sequence::terminated;
use nom::{IResult, Parser};

/// One `key=value` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEntry {
    /// The key, unescaped and trimmed; may be empty.
    pub key: String,
    /// The value, unescaped and trimmed; may be empty.
    pub value: String,
    /// Line on which the entry begins, counted from 1.
    pub line: usize,
}

/// Something in a file that cannot be read as an entry, or will not be used as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawFault {
    /// `\u` without four hexadecimal digits. Java refuses the whole file.
    MalformedUnicode {
        /// Line on which the entry begins.
        line: usize,
    },
    /// The key is given again further down, which wins.
    Superseded {
        /// The key.
        key: String,
        /// Line of the entry that has no effect.
        line: usize,
        /// Line of the entry that wins.
        by: usize,
    },
}

/// A configuration file as its entries.
///
/// 1. No two entries have the same key: of several, the last one is here.
/// 2. Entries are in the order of their lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawConfig {
    entries: Vec<RawEntry>,
    faults: Vec<RawFault>,
}

impl RawConfig {
    /// Reads a file. Any bytes are accepted; what Java would refuse is among the
    /// [`faults`](Self::faults).
    pub fn parse(text: &[u8]) -> Self {
        let mut raw = Self::default();
        for (line, logical) in logical_lines(text) {
            match split_entry(&logical) {
                Some((key, value)) => raw.entries.push(RawEntry { key, value, line }),
                None => raw.faults.push(RawFault::MalformedUnicode { line }),
            }
        }
        let winners: BTreeMap<String, usize> = raw
            .entries
            .iter()
            .map(|entry| (entry.key.clone(), entry.line))
            .collect();
        let faults = &mut raw.faults;
        raw.entries.retain(|RawEntry { key, line, .. }| {
            let by = winners.get(key).copied().unwrap_or(*line);
            if by != *line {
                faults.push(RawFault::Superseded {
                    key: key.clone(),
                    line: *line,
                    by,
                });
            }
            by == *line
        });
        raw
    }

    /// The entries, in the order of their lines.
    pub fn entries(&self) -> &[RawEntry] {
        &self.entries
    }

    /// What could not be used, in the order of discovery.
    pub fn faults(&self) -> &[RawFault] {
        &self.faults
    }

    /// The entry with this key.
    pub fn get(&self, key: &str) -> Option<&RawEntry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// The first line of a `myid` file, without its end of line; `None` when the file is empty. Nothing
/// is trimmed: a trailing blank is an error later on, as it is in Java. Source:
/// `QuorumPeerConfig.setupMyId`.
pub fn myid_line(text: &[u8]) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let first = text
        .split(|&byte| byte == b'\n' || byte == b'\r')
        .next()
        .unwrap_or_default();
    Some(String::from_utf8_lossy(first).into_owned())
}

/// Trims as `java.lang.String.trim`: everything up to and including the blank, control characters
/// too.
pub(super) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// Lines joined by their final backslashes, each with the number of its first line; comments and
/// blank lines are gone.
fn logical_lines(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, Vec<u8>)> = None;
    let mut rest = text;
    let mut number = 0;
    while !rest.is_empty() {
        let Ok((after, natural)) = natural_line(rest) else {
            break;
        };
        number += 1;
        rest = after;
        let content = after_blanks(natural);
        let (start, mut logical) = open.take().unwrap_or((number, Vec::new()));
        if logical.is_empty() && (content.first().is_none_or(|byte| b"#!".contains(byte))) {
            continue;
        }
        logical.extend_from_slice(content);
        // A line that was joined and is blank itself ends the entry: only content can ask for more.
        let backslashes = content
            .iter()
            .rev()
            .take_while(|&&byte| byte == b'\\')
            .count();
        if backslashes % 2 == 1 {
            logical.pop();
            open = Some((start, logical));
        } else {
            lines.push((start, logical));
        }
    }
    lines.extend(open.filter(|(_, logical)| !logical.is_empty()));
    lines
}

/// One line and its end (`\n`, `\r`, `\r\n` or the end of the text).
fn natural_line(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let end = alt((tag(&b"\r\n"[..]), tag(&b"\n"[..]), tag(&b"\r"[..]), eof));
    terminated(take_till(|byte| byte == b'\n' || byte == b'\r'), end).parse(input)
}

/// What a key, a separator or a value may be surrounded by.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x0c')
}

fn after_blanks(input: &[u8]) -> &[u8] {
    let skipped: IResult<&[u8], &[u8]> = take_while(is_blank).parse(input);
    skipped.map_or(input, |(rest, _)| rest)
}

/// Key and value of a logical line; `None` when an escape is malformed.
fn split_entry(logical: &[u8]) -> Option<(String, String)> {
    let (value, key) = key_and_separator(logical).ok()?;
    let (key, value) = (unescape(key)?, unescape(value)?);
    Some((java_trim(&key).to_owned(), java_trim(&value).to_owned()))
}

fn key_and_separator(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let mark = opt(alt((tag(&b"="[..]), tag(&b":"[..]))));
    let separator = value((), (take_while(is_blank), mark, take_while(is_blank)));
    terminated(key, separator).parse(input)
}

/// Bytes up to the first separator that no backslash precedes.
fn key(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let mut escaped = false;
    let ends = move |byte: u8| {
        let end = !escaped && (is_blank(byte) || byte == b'=' || byte == b':');
        escaped = byte == b'\\' && !escaped;
        end
    };
    let length = input.iter().copied().position(ends).unwrap_or(input.len());
    Ok((&input[length..], &input[..length]))
}

/// Resolves escapes; `None` for a `\u` without four hexadecimal digits. Halves of surrogate pairs
/// that have lost their other half become U+FFFD.
fn unescape(escaped: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            units.push(u16::from(byte));
            continue;
        }
        let Some(byte) = bytes.next() else { break };
        units.push(match byte {
            b'u' => {
                let mut unit = 0;
                for _ in 0..4 {
                    let digit = char::from(bytes.next()?).to_digit(16)?;
                    unit = unit << 4 | digit as u16;
                }
                unit
            }
            b't' => u16::from(b'\t'),
            b'r' => u16::from(b'\r'),
            b'n' => u16::from(b'\n'),
            b'f' => 0x0c,
            other => u16::from(other),
        });
    }
    let decoded = char::decode_utf16(units);
    Some(
        decoded
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, String, usize)> {
        let raw = RawConfig::parse(text.as_bytes());
        raw.entries
            .into_iter()
            .map(|e| (e.key, e.value, e.line))
            .collect()
    }

    fn entry(key: &str, value: &str, line: usize) -> (String, String, usize) {
        (key.to_owned(), value.to_owned(), line)
    }

    #[test]
    fn equals_colon_and_blank_end_a_key() {
        let expected = [
            entry("a", "1", 1),
            entry("b", "2", 2),
            entry("c", "3", 3),
            entry("d", "= 4", 4),
        ];
        assert_eq!(read("a=1\nb:2\nc 3\nd = = 4"), expected);
        assert_eq!(read("k\t \x0c:\tv=w:x "), [entry("k", "v=w:x", 1)]);
        assert_eq!(read("lonely"), [entry("lonely", "", 1)]);
        assert_eq!(read("=v"), [entry("", "v", 1)]);
    }

    #[test]
    fn comments_and_blank_lines_are_not_entries() {
        assert_eq!(
            read("# a\n  ! b=1\n\n \t\r\nc=1 # not a comment"),
            [entry("c", "1 # not a comment", 5)]
        );
        assert_eq!(read("# continued \\\na=1"), [entry("a", "1", 2)]);
    }

    #[test]
    fn every_kind_of_line_end_counts_as_one_line() {
        assert_eq!(
            read("a=1\rb=2\r\nc=3\nd=4"),
            [
                entry("a", "1", 1),
                entry("b", "2", 2),
                entry("c", "3", 3),
                entry("d", "4", 4)
            ]
        );
    }

    #[test]
    fn a_final_backslash_joins_the_next_line_without_its_indentation() {
        assert_eq!(
            read("a=1,\\\n   2,\\\r\n\t3\nb=4"),
            [entry("a", "1,2,3", 1), entry("b", "4", 4)]
        );
        assert_eq!(
            read("a=1\\\\\nb=2"),
            [entry("a", "1\\", 1), entry("b", "2", 2)]
        );
        assert_eq!(
            read("a=1\\\n\nb=2"),
            [entry("a", "1", 1), entry("b", "2", 3)]
        );
        assert_eq!(read("a=1\\\n#x"), [entry("a", "1#x", 1)]);
        assert_eq!(read("a=1\\"), [entry("a", "1", 1)]);
        assert_eq!(read("\\\n#x\na=1"), [entry("a", "1", 3)]);
        assert_eq!(read("\\\n\\\nb=1"), [entry("b", "1", 1)]);
    }

    #[test]
    fn a_windows_path_needs_its_backslashes_doubled() {
        assert_eq!(
            read("dataDir=C:\\zk\\data"),
            [entry("dataDir", "C:zkdata", 1)]
        );
        assert_eq!(
            read("dataDir=C:\\\\zk\\\\data"),
            [entry("dataDir", "C:\\zk\\data", 1)]
        );
    }

    #[test]
    fn escaped_separators_belong_to_the_key() {
        assert_eq!(read("a\\=b\\:c\\ d=e"), [entry("a=b:c d", "e", 1)]);
    }

    #[test]
    fn bytes_are_latin_1_and_unicode_escapes_are_utf_16_units() {
        let raw = RawConfig::parse(b"dataDir=/d\xe9p\xf4t\nb=\\u20ac\\ud83d\\ude00\nc=\\ud83d");
        let values: Vec<_> = raw.entries().iter().map(|e| e.value.as_str()).collect();
        assert_eq!(
            values,
            ["/d\u{e9}p\u{f4}t", "\u{20ac}\u{1f600}", "\u{fffd}"]
        );
    }

    #[test]
    fn a_malformed_unicode_escape_is_a_fault_with_its_line() {
        for text in ["x=1\na=\\u12g4", "x=1\na=\\u123", "x=1\n\\u=b"] {
            let raw = RawConfig::parse(text.as_bytes());
            assert_eq!(
                raw.faults(),
                [RawFault::MalformedUnicode { line: 2 }],
                "{text}"
            );
        }
    }

    #[test]
    fn of_duplicates_the_last_wins_and_the_others_are_named() {
        let raw = RawConfig::parse(b"a=1\nb=2\na=3");
        assert_eq!(raw.get("a").map(|e| e.value.as_str()), Some("3"));
        assert_eq!(raw.entries().len(), 2);
        let superseded = RawFault::Superseded {
            key: "a".to_owned(),
            line: 1,
            by: 3,
        };
        assert_eq!(raw.faults(), [superseded]);
    }

    #[test]
    fn myid_is_its_first_line_untrimmed() {
        assert_eq!(myid_line(b"3\r\nmore"), Some("3".to_owned()));
        assert_eq!(myid_line(b"3 \n"), Some("3 ".to_owned()));
        assert_eq!(myid_line(b"\n"), Some(String::new()));
        assert_eq!(myid_line(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            text in proptest::collection::vec(any::<u8>(), 0..400)
        ) {
            RawConfig::parse(&text);
            myid_line(&text);
        }

        #[test]
        fn any_mix_of_the_special_bytes_is_read(text in "[a-b=: \t\\\\u0#!\r\n]{0,60}") {
            let raw = RawConfig::parse(text.as_bytes());
            let lines: Vec<_> = raw.entries().iter().map(|e| e.line).collect();
            prop_assert!(lines.is_sorted());
        }
    }
}
