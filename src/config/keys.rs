//! What is known about every key: its type, default and unit, where it may be written, and what
//! becomes of it.

use super::table::{KEYS, MANUAL_NAMES};

/// One key, or a family of keys (`server.N`, `authProvider.*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// As written in zoo.cfg, that is without `zookeeper.`; a family ends in `.N` or `.*`.
    pub name: &'static str,
    /// Where it may be written.
    pub scope: Scope,
    /// What its values look like.
    pub kind: Kind,
    /// Value in effect when nothing is written; empty for none. It is parsed like a written one.
    pub default: &'static str,
    /// Unit of the value; empty for none.
    pub unit: &'static str,
    /// What becomes of it.
    pub support: Support,
}

/// Where a key may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In zoo.cfg only.
    Named,
    /// In zoo.cfg, or as `-Dzookeeper.<name>`, which zoo.cfg overrides.
    NamedOrProperty,
    /// As `-Dzookeeper.<name>`; written in zoo.cfg, it becomes that property and overrides it.
    Property,
    /// As [`Property`](Self::Property) or, failing that, as `-D<name>`.
    PropertyOrBare,
    /// As `-D<name>` only: in zoo.cfg it would become a property that nothing reads.
    Bare,
}

/// What the values of a key look like. Numbers of named keys are decimal and a bad one stops the
/// start; numbers of properties are decoded ([`Int`](Self::Int), [`Long`](Self::Long)) and a bad
/// one means the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// 32-bit number.
    Int,
    /// 64-bit number.
    Long,
    /// Decimal number also as a property; a bad one means the default.
    Decimal,
    /// Decimal number also as a property; a bad one stops the start.
    StrictDecimal,
    /// Decimal fraction; a bad one stops the start.
    Real,
    /// Decimal fraction; a bad one means the default.
    Ratio,
    /// `true` or `false` in any case. For a named key anything else stops the start, for a property
    /// it is false.
    Bool,
}

/// What becomes of a key that is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It means what it means to Java.
    Honoured,
    /// It is about the other servers of an ensemble; a standalone server has no use for it, here as
    /// in Java. What becomes of it in a member is in `member.rs`; what only changes how Java does its work has no
    /// effect and is not mentioned.
    Ensemble,
    /// Accepted and without effect; the text says why.
    NoEffect(&'static str),
    /// Accepted and without effect so far; the text names what is not built yet. `security.rs` has
    /// those that stop the start instead.
    NotYet(&'static str),
}

impl Key {
    /// Whether the name stands for many keys.
    pub fn is_family(&self) -> bool {
        self.name.ends_with(".*") || self.name.ends_with(".N")
    }

    /// Whether `name`, without `zookeeper.`, is this key or of this family. The families of `group`
    /// and `weight` are recognised by these words alone. Source:
    /// `QuorumPeerConfig.parseDynamicConfig`.
    pub fn matches(&self, name: &str) -> bool {
        match self.name {
            "group.N" => name.starts_with("group"),
            "weight.N" => name.starts_with("weight"),
            _ if self.is_family() => name.starts_with(self.name.trim_end_matches(['N', '*'])),
            _ => name == self.name,
        }
    }

    /// Whether it may stand in zoo.cfg.
    pub fn is_for_files(&self) -> bool {
        self.scope != Scope::Bare
    }
}

/// All keys, grouped as in `zoo.cfg.example`.
pub fn all() -> &'static [Key] {
    KEYS
}

/// The key with this name, without `zookeeper.`; a family only where no single key has the name.
pub fn find(name: &str) -> Option<&'static Key> {
    let single = KEYS.iter().find(|key| key.name == name);
    single.or_else(|| KEYS.iter().find(|key| key.is_family() && key.matches(name)))
}

/// What somebody who wrote an unknown name in zoo.cfg probably meant: a heading of Java's manual
/// that is not the key, a property with its prefix, or a slip of the pen.
pub fn suggest(name: &str) -> Option<&'static str> {
    if let Some((_, key)) = MANUAL_NAMES.iter().find(|(manual, _)| *manual == name) {
        return Some(key);
    }
    if let Some(key) = name.strip_prefix("zookeeper.").and_then(find) {
        return Some(key.name);
    }
    let allowed = if name.len() < 6 { 1 } else { 2 };
    let distances = KEYS
        .iter()
        .filter(|key| key.is_for_files() && !key.is_family())
        .map(|key| {
            (
                distance(&name.to_lowercase(), &key.name.to_lowercase()),
                key.name,
            )
        });
    distances
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, key)| key)
}

/// Fewest insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > 2 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let replaced = above[j] + usize::from(l != r);
            let mut best = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::numbers;

    #[test]
    fn no_name_stands_twice_in_the_table() {
        let names: BTreeSet<_> = all().iter().map(|key| key.name).collect();
        assert_eq!(names.len(), all().len());
    }

    #[test]
    fn every_default_is_of_its_own_kind() {
        for key in all().iter().filter(|key| !key.default.is_empty()) {
            let fits = match key.kind {
                Kind::Text => true,
                Kind::Int => numbers::decode_i32(key.default).is_some(),
                Kind::Long => numbers::decode(key.default).is_some(),
                Kind::Decimal | Kind::StrictDecimal => {
                    numbers::parse_decimal(key.default).is_some()
                }
                Kind::Real | Kind::Ratio => key.default.parse::<f64>().is_ok(),
                Kind::Bool => numbers::parse_strict_bool(key.default).is_some(),
            };
            assert!(fits, "{key:?}");
        }
    }

    #[test]
    fn slips_headings_of_the_manual_and_prefixes_are_recognised() {
        let table = [
            ("tickTme", Some("tickTime")),
            ("datadir", Some("dataDir")),
            ("clientProt", Some("clientPort")),
            ("snapcount", Some("snapCount")),
            (
                "requestThrottleLimit",
                Some("request_throttle_max_requests"),
            ),
            ("zookeeper.snapCount", Some("snapCount")),
            ("my.own.key", None),
            ("x", None),
        ];
        for (written, meant) in table {
            assert_eq!(suggest(written), meant, "{written}");
        }
        for (_, key) in MANUAL_NAMES {
            assert!(find(key).is_some(), "{key}");
        }
    }

    #[test]
    fn families_catch_their_members_only() {
        assert_eq!(find("server.12").map(|key| key.name), Some("server.N"));
        assert_eq!(find("groups").map(|key| key.name), Some("group.N"));
        assert_eq!(
            find("metricsProvider.className").map(|key| key.name),
            Some("metricsProvider.className")
        );
        assert_eq!(
            find("metricsProvider.x").map(|key| key.name),
            Some("metricsProvider.*")
        );
        assert_eq!(find("servers"), None);
    }
}
