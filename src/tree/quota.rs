//! Quotas: which paths have one, what their texts say, and counting.
//!
//! The quota of `/a` lives below `/zookeeper/quota/a`: a znode with the limits and one with what is
//! used. Clients create both; the limits' coming and going turns the quota on and off, and the
//! server keeps the other's data.

use super::{Tree, Znode};
use crate::base::path::{self, LIMITS_NAME, QUOTA, STATS_NAME};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A quota that applies to some path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The path it is set on.
    pub path: String,
    /// The znode with the limits.
    pub limits: Option<Znode>,
    /// The znode with what is used.
    pub stats: Option<Znode>,
}

/// The numbers in the data of limits and stats, by key.
/// Source: `StatsTrack`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsTrack(BTreeMap<String, i64>);

impl StatsTrack {
    /// Reads `key=value` pairs between commas or semicolons. None for what Java would not read:
    /// null, or a pair without a value, or a value that is no number.
    pub fn parse(data: Option<&[u8]>) -> Option<StatsTrack> {
        let text = String::from_utf8_lossy(data?);
        let mut track = StatsTrack::default();
        if text.is_empty() {
            return Some(track);
        }
        let mut pairs: Vec<&str> = separated(&text);
        while pairs.last().is_some_and(|pair| pair.is_empty()) {
            pairs.pop();
        }
        for pair in pairs {
            let mut parts: Vec<&str> = pair.split('=').collect();
            while parts.last().is_some_and(|part| part.is_empty()) {
                parts.pop();
            }
            let value = match parts.get(1)? {
                &"" => -1,
                number => number.parse().ok()?,
            };
            track.0.insert(parts[0].to_owned(), value);
        }
        Some(track)
    }

    /// Znodes, or how many there may be; -1 where the text does not say.
    pub fn count(&self) -> i64 {
        self.get("count")
    }

    /// Bytes of data, or how many there may be; -1 where the text does not say.
    pub fn bytes(&self) -> i64 {
        self.get("bytes")
    }

    /// Znodes there must never be more of; -1 for no such limit.
    pub fn count_hard_limit(&self) -> i64 {
        self.get("countHardLimit")
    }

    /// Bytes there must never be more of; -1 for no such limit.
    pub fn byte_hard_limit(&self) -> i64 {
        self.get("byteHardLimit")
    }

    fn get(&self, key: &str) -> i64 {
        self.0.get(key).copied().unwrap_or(-1)
    }

    fn set(&mut self, count: i64, bytes: i64) {
        self.0.insert("count".to_owned(), count);
        self.0.insert("bytes".to_owned(), bytes);
    }
}

/// Splits at runs of separators.
fn separated(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut parts = Vec::new();
    while let Some(at) = rest.find([',', ';']) {
        parts.push(&rest[..at]);
        rest = rest[at..].trim_start_matches([',', ';']);
    }
    parts.push(rest);
    parts
}

impl fmt::Display for StatsTrack {
    /// Old readers know `count` and `bytes` only and stop at the stray `=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count={},bytes={}", self.count(), self.bytes())?;
        let others = self
            .0
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "count" | "bytes"));
        for (nth, (key, value)) in others.enumerate() {
            let stray = if nth == 0 { "=" } else { "" };
            write!(f, "{stray};{key}={value}")?;
        }
        Ok(())
    }
}

/// The paths with a quota.
/// Source: `PathTrie`.
#[derive(Default)]
pub(super) struct Active(BTreeSet<String>);

impl Active {
    /// The nearest one at or above `path`. A quota on the root is none.
    fn nearest<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let mut at = path;
        while !at.is_empty() {
            if self.0.contains(at) {
                return Some(at);
            }
            at = path::parent(at)?;
        }
        None
    }
}

/// The path whose quota the znode `path` named `name` belongs to.
fn limited_by<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let inside = path.strip_prefix(QUOTA)?;
    let limited = inside.strip_suffix(name)?.strip_suffix('/')?;
    (limited.starts_with('/') && limited != "/").then_some(limited)
}

fn stats_path(limited: &str) -> String {
    format!("{QUOTA}{limited}/{STATS_NAME}")
}

impl Tree {
    /// The quota that counts for `path`: the nearest at or above it.
    /// Source: `DataTree.getMaxPrefixWithQuota`.
    pub fn quota_of(&self, path: &str) -> Option<Quota> {
        let limited = self.quotas.nearest(path)?;
        Some(Quota {
            path: limited.to_owned(),
            limits: self.find(&format!("{QUOTA}{limited}/{LIMITS_NAME}")),
            stats: self.find(&stats_path(limited)),
        })
    }

    /// Every quota, by path.
    pub fn quotas(&self) -> impl Iterator<Item = Quota> {
        self.quotas.0.iter().filter_map(|path| self.quota_of(path))
    }

    /// A znode was created with that much data.
    pub(super) fn quota_created(&mut self, path: &str, bytes: i64) {
        if let Some(limited) = limited_by(path, LIMITS_NAME) {
            self.quotas.0.insert(limited.to_owned());
        }
        if let Some(limited) = limited_by(path, STATS_NAME) {
            self.recount(limited);
        }
        self.quota_moved(path, 1, bytes);
    }

    /// A znode was deleted with that much data.
    pub(super) fn quota_deleted(&mut self, path: &str, bytes: i64) {
        if let Some(limited) = limited_by(path, LIMITS_NAME) {
            self.quotas.0.remove(limited);
        }
        self.quota_moved(path, -1, -bytes);
    }

    /// The subtree of a quota became larger or smaller.
    /// Source: `DataTree.updateQuotaStat`.
    pub(super) fn quota_moved(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(limited) = self.quotas.nearest(path) else {
            return;
        };
        let Some(at) = self.locate(&stats_path(limited)) else {
            return;
        };
        let Some(mut track) = StatsTrack::parse(self.slab.get(at).data()) else {
            self.recount(limited);
            return;
        };
        track.set(
            track.count().wrapping_add(count),
            track.bytes().wrapping_add(bytes),
        );
        self.write_stats(at, limited, &track);
    }

    /// Writes what is really there into the stats of a quota.
    /// Source: `DataTree.updateQuotaForPath`.
    fn recount(&mut self, limited: &str) {
        let Some(at) = self.locate(&stats_path(limited)) else {
            return;
        };
        let (mut count, mut bytes) = (0, 0);
        if let Some(top) = self.locate(limited) {
            for znode in self.subtree(top) {
                count += 1;
                bytes += self.slab.get(znode).data_len() as i64;
            }
        }
        let mut track = StatsTrack::default();
        track.set(count, bytes);
        self.write_stats(at, limited, &track);
    }

    /// Neither version nor mzxid move.
    fn write_stats(&mut self, at: u32, limited: &str, track: &StatsTrack) {
        let text = track.to_string();
        self.replace_data(at, &stats_path(limited), Some(text.as_bytes()), None);
    }

    /// Finds every quota and counts anew.
    /// Source: `DataTree.setupQuota`.
    pub(super) fn recount_quotas(&mut self) {
        let Some(top) = self.locate(QUOTA) else {
            return;
        };
        let limits = self
            .subtree(top)
            .filter(|&at| self.slab.get(at).name() == LIMITS_NAME);
        let paths: Vec<String> = limits.map(|at| self.path_of(Znode(at))).collect();
        for path in paths {
            if let Some(limited) = limited_by(&path, LIMITS_NAME) {
                self.recount(limited);
                self.quotas.0.insert(limited.to_owned());
            }
        }
    }
}
