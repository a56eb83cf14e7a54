//! Values of keys, from zoo.cfg and from system properties together, with Java's rules for which
//! wins and what a bad one means; collects every problem on the way.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{self, Key, Kind, Scope, Support};
use super::numbers;
use super::problem::{Problem, Severity};
use super::raw::{RawConfig, RawFault};

/// A value that was written somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub value: String,
    /// Line in zoo.cfg, or `None` for a `-D` word.
    pub line: Option<usize>,
    /// As a person wrote it: `snapCount=1` or `-Dzookeeper.snapCount=1`.
    pub written: String,
}

/// zoo.cfg and the system properties as Java sees them.
///
/// 1. A key of zoo.cfg that has no meaning of its own has become the property `zookeeper.<key>`,
///    over any `-D` of that name.
/// 2. Each key asked for is noted, so that [`finish`](Self::finish) can name those nobody asked
///    for.
pub(super) struct Lookup<'a> {
    file: &'a str,
    raw: &'a RawConfig,
    properties: BTreeMap<String, Found>,
    asked: BTreeSet<&'static str>,
    problems: Vec<Problem>,
}

impl<'a> Lookup<'a> {
    pub fn new(file: &'a str, raw: &'a RawConfig, system: &[(String, String)]) -> Self {
        let mut properties = BTreeMap::new();
        for (name, value) in system {
            let written = quoted(&format!("-D{name}"), value);
            properties.insert(
                name.clone(),
                Found {
                    value: value.clone(),
                    line: None,
                    written,
                },
            );
        }
        let mut lookup = Self {
            file,
            raw,
            properties,
            asked: BTreeSet::new(),
            problems: Vec::new(),
        };
        lookup.note_command_line();
        for entry in raw.entries() {
            let key = keys::find(&entry.key);
            if key.is_some_and(|key| matches!(key.scope, Scope::Named | Scope::NamedOrProperty)) {
                continue;
            }
            let found = Found {
                value: entry.value.clone(),
                line: Some(entry.line),
                written: quoted(&entry.key, &entry.value),
            };
            let name = format!("zookeeper.{}", entry.key);
            if let Some(old) = lookup
                .properties
                .insert(name, found)
                .filter(|o| o.line.is_none())
            {
                let winner = quoted(&entry.key, &entry.value);
                let text = format!("{winner}: overrides {}, as in Java", old.written);
                lookup.push(Severity::Warning, Some(entry.line), text);
            }
        }
        lookup.note_file();
        lookup
    }

    /// Names and values of all properties, by name; secrets as `...`.
    pub fn shown_properties(&self) -> Vec<(String, String)> {
        let shown = self.properties.iter().map(|(name, found)| {
            let short = name.strip_prefix("zookeeper.").unwrap_or(name);
            let value = match is_secret(short) {
                true => "...".to_owned(),
                false => found.value.clone(),
            };
            (name.clone(), value)
        });
        shown.collect()
    }

    /// Names the `-D` words that mean nothing.
    fn note_command_line(&mut self) {
        let mut texts = Vec::new();
        for (name, found) in &self.properties {
            let short = name.strip_prefix("zookeeper.");
            let why = match short.map_or_else(|| keys::find(name), keys::find) {
                Some(key) if key.scope == Scope::Named && short.is_some() => {
                    format!("is not read from a property; write {} in zoo.cfg", key.name)
                }
                Some(key) if key.scope == Scope::Bare && short.is_some() => {
                    format!("nothing reads this property; write -D{}", key.name)
                }
                Some(_) if short.is_some() => continue,
                Some(key) if matches!(key.scope, Scope::Bare | Scope::PropertyOrBare) => continue,
                Some(key) if key.scope != Scope::Named => {
                    format!(
                        "nothing reads this property; write -Dzookeeper.{}",
                        key.name
                    )
                }
                _ => match short.and_then(keys::suggest) {
                    Some(meant) => format!("unknown property, did you mean zookeeper.{meant}?"),
                    None if short.is_some() => "unknown property".to_owned(),
                    None => "a property that has no meaning here".to_owned(),
                },
            };
            texts.push(format!("{}: {why}", found.written));
        }
        for text in texts {
            self.push(Severity::Warning, None, text);
        }
    }

    /// Names the lines of zoo.cfg that mean nothing.
    fn note_file(&mut self) {
        for fault in self.raw.faults() {
            match fault {
                RawFault::MalformedUnicode { line } => {
                    let text =
                        "malformed \\u escape: four hexadecimal digits must follow".to_owned();
                    self.push(Severity::Error, Some(*line), text);
                }
                RawFault::Superseded { key, line, by } => {
                    let text = format!("{key}: has no effect, it is given again in line {by}");
                    self.push(Severity::Warning, Some(*line), text);
                }
            }
        }
        for entry in self.raw.entries() {
            let name = &entry.key;
            let why = match (keys::find(name), keys::suggest(name)) {
                (Some(key), _) if key.scope == Scope::Bare => {
                    format!(
                        "has no effect in a file, as in Java; pass -D{name}={}",
                        entry.value
                    )
                }
                (Some(_), _) => continue,
                (None, Some(meant)) => format!("unknown key, did you mean {meant}?"),
                (None, None) => "unknown key".to_owned(),
            };
            self.push(
                Severity::Warning,
                Some(entry.line),
                format!("{name}: {why}"),
            );
        }
    }

    /// What is written for a key; also notes that it was asked for.
    pub fn find(&mut self, name: &str) -> Option<Found> {
        let key = row(name);
        self.asked.insert(key.name);
        self.written(key)
    }

    fn written(&self, key: &Key) -> Option<Found> {
        let named = || {
            self.raw.get(key.name).map(|entry| Found {
                value: entry.value.clone(),
                line: Some(entry.line),
                written: quoted(&entry.key, &entry.value),
            })
        };
        let property = || {
            self.properties
                .get(&format!("zookeeper.{}", key.name))
                .cloned()
        };
        let bare = || self.properties.get(key.name).cloned();
        match key.scope {
            Scope::Named => named(),
            Scope::NamedOrProperty => named().or_else(property),
            Scope::Property => property(),
            Scope::PropertyOrBare => property().or_else(bare),
            Scope::Bare => bare(),
        }
    }

    /// A text, written or by default; an empty default is `None`.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let default = row(name).default;
        let written = self.find(name).map(|found| found.value);
        written.or_else(|| (!default.is_empty()).then(|| default.to_owned()))
    }

    /// A number, written or by default; 0 where there is no default.
    pub fn number(&mut self, name: &str) -> i64 {
        let default = numbers::parse_decimal(row(name).default).unwrap_or(0);
        self.written_number(name).unwrap_or(default)
    }

    /// A number, if one is written. A bad one is an error for a named key, else a warning and as
    /// good as none.
    pub fn written_number(&mut self, name: &str) -> Option<i64> {
        let key = row(name);
        let named = matches!(key.scope, Scope::Named | Scope::NamedOrProperty);
        let found = self.find(name)?;
        let number = match key.kind {
            Kind::Int if named => numbers::parse_decimal_i32(&found.value).map(i64::from),
            Kind::Long if named => numbers::parse_decimal(&found.value),
            Kind::Int => numbers::decode_i32(&found.value).map(i64::from),
            Kind::Decimal | Kind::StrictDecimal => numbers::parse_decimal(&found.value),
            _ => numbers::decode(&found.value),
        };
        if number.is_none() && (named || key.kind == Kind::StrictDecimal) {
            let text = format!("{}: must be a number{}", found.written, unit(key));
            self.push(Severity::Error, found.line, text);
        } else if number.is_none() {
            let instead = if key.default.is_empty() {
                "the default"
            } else {
                key.default
            };
            let text = format!(
                "{}: not a number, {instead} is used, as in Java",
                found.written
            );
            self.push(Severity::Warning, found.line, text);
        }
        number
    }

    /// A number that cannot be below zero here; Java takes a negative one as it takes zero.
    pub fn count(&mut self, name: &str) -> u64 {
        u64::try_from(self.number(name)).unwrap_or(0)
    }

    /// A fraction; what a bad one is depends on the kind.
    pub fn real(&mut self, name: &str) -> f64 {
        let key = row(name);
        let default = key.default.parse().unwrap_or_default();
        let Some(found) = self.find(name) else {
            return default;
        };
        match found.value.trim().parse() {
            Ok(real) => real,
            Err(_) if key.kind == Kind::Ratio => {
                let text = format!(
                    "{}: not a number, {} is used, as in Java",
                    found.written, key.default
                );
                self.push(Severity::Warning, found.line, text);
                default
            }
            Err(_) => {
                let text = format!("{}: must be a number", found.written);
                self.push(Severity::Error, found.line, text);
                default
            }
        }
    }

    /// A yes or no. For a named key only `true` and `false` will do; for a property all but `true`
    /// is false.
    pub fn flag(&mut self, name: &str) -> bool {
        let key = row(name);
        let default = key.default == "true";
        let Some(found) = self.find(name) else {
            return default;
        };
        if let Some(flag) = numbers::parse_strict_bool(&found.value) {
            return flag;
        }
        let written_in_file = key.scope == Scope::NamedOrProperty && found.line.is_some();
        if key.scope == Scope::Named || written_in_file {
            let text = format!("{}: must be true or false", found.written);
            self.push(Severity::Error, found.line, text);
            return default;
        }
        let text = format!("{}: not true, so it is false, as in Java", found.written);
        self.push(Severity::Warning, found.line, text);
        false
    }

    /// Checks and names all that is written but was not asked for, in zoo.cfg and in properties.
    pub fn finish(mut self) -> Vec<Problem> {
        for key in keys::all().iter().filter(|key| !key.is_family()) {
            if self.asked.contains(key.name) || self.written(key).is_none() {
                continue;
            }
            let wanted = match key.kind {
                Kind::Text => true,
                Kind::Bool => self.flag(key.name),
                Kind::Real | Kind::Ratio => self.real(key.name).is_finite(),
                _ => self.number(key.name) != i64::MIN,
            };
            if let Some(found) = self.written(key).filter(|_| wanted) {
                self.name_unsupported(key, &found);
            }
        }
        for (key, found) in self.members() {
            self.name_unsupported(key, &found);
        }
        self.problems.sort_by(|a, b| {
            (a.severity, &a.file, a.line, &a.text).cmp(&(b.severity, &b.file, b.line, &b.text))
        });
        self.problems.dedup();
        self.problems
    }

    /// What is written for members of families.
    fn members(&self) -> Vec<(&'static Key, Found)> {
        let named = self.raw.entries().iter().filter_map(|entry| {
            let key = keys::find(&entry.key).filter(|key| key.is_family())?;
            let written = quoted(&entry.key, &entry.value);
            let named = key.scope == Scope::Named;
            let found = Found {
                value: entry.value.clone(),
                line: Some(entry.line),
                written,
            };
            named.then_some((key, found))
        });
        let properties = self.properties.iter().filter_map(|(name, found)| {
            let key = keys::find(name.strip_prefix("zookeeper.")?)?;
            (key.is_family() && key.scope == Scope::Property).then(|| (key, found.clone()))
        });
        named.chain(properties).collect()
    }

    fn name_unsupported(&mut self, key: &Key, found: &Found) {
        let why = match key.support {
            Support::Honoured | Support::Ensemble => return,
            Support::NoEffect(why) => format!("no effect here: {why}"),
            Support::NotYet(what) => format!("ignored: {what} is not built yet"),
        };
        self.push(
            Severity::Warning,
            found.line,
            format!("{}: {why}", shown(key, &found.written)),
        );
    }

    /// A problem with what is written for a key, or with the lack of it.
    pub fn about(&mut self, severity: Severity, name: &str, why: &str) {
        let found = self.written(row(name));
        let line = found.as_ref().and_then(|found| found.line);
        match found {
            Some(found) if found.line.is_none() => {
                self.push(severity, None, format!("{}: {why}", found.written));
            }
            found => {
                let subject = found.map_or_else(|| name.to_owned(), |found| found.written);
                self.push_in(self.file, severity, line, format!("{subject}: {why}"));
            }
        }
    }

    /// [`about`](Self::about), preventing the start.
    pub fn error(&mut self, name: &str, why: &str) {
        self.about(Severity::Error, name, why);
    }

    /// [`about`](Self::about), for the record.
    pub fn warn(&mut self, name: &str, why: &str) {
        self.about(Severity::Warning, name, why);
    }

    /// A finding whose text already quotes what it is about; without a line it is about a `-D`
    /// word.
    pub fn push(&mut self, severity: Severity, line: Option<usize>, text: String) {
        let file = line.map(|_| self.file.to_owned());
        self.problems.push(Problem {
            severity,
            file,
            line,
            text,
        });
    }

    /// A finding about a file, with or without a line.
    pub fn push_in(&mut self, file: &str, severity: Severity, line: Option<usize>, text: String) {
        self.problems.push(Problem {
            severity,
            file: Some(file.to_owned()),
            line,
            text,
        });
    }

    /// zoo.cfg itself.
    pub fn raw(&self) -> &'a RawConfig {
        self.raw
    }
}

/// The row of a key that the code asks for by name.
fn row(name: &str) -> &'static Key {
    match keys::find(name) {
        Some(key) => key,
        None => unreachable!("{name} is asked for, but not in the table of keys"),
    }
}

fn unit(key: &Key) -> String {
    if key.unit.is_empty() {
        String::new()
    } else {
        format!(" of {}", key.unit)
    }
}

fn is_secret(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("password") || name.ends_with("superDigest")
}

/// What a person wrote, without the values of secrets: problems end up in logs.
fn quoted(name: &str, value: &str) -> String {
    if is_secret(name) {
        format!("{name}=...")
    } else {
        format!("{name}={value}")
    }
}

/// The key alone where the value explains nothing.
fn shown(key: &Key, written: &str) -> String {
    match (key.kind, written.split_once('=')) {
        (Kind::Text, Some((name, _))) if !key.is_family() => name.to_owned(),
        _ => written.to_owned(),
    }
}
