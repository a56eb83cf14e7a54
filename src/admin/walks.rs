//! What there may be millions of, gathered in pages: no lock is held for longer than one page takes, and the commit
//! loop is asked for one page at a time.
//!
//! So a list is not of one moment. What changes while it is made may be missing; nothing stands in it twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Admin;
use crate::base::{Mono, SessionId};
use crate::watch::Watcher;

/// Entries of a page: well below a millisecond under a guard.
const PAGE: usize = 2000;

/// Data watches, by connection.
pub struct Watches {
    /// The session of each connection, and the paths it watches; none where all its watches have fired.
    pub by_connection: Vec<(SessionId, BTreeSet<Arc<str>>)>,
}

impl Watches {
    /// The sessions that watch each path, in the order of the paths.
    pub fn by_path(&self) -> BTreeMap<&str, BTreeSet<SessionId>> {
        let mut paths: BTreeMap<&str, BTreeSet<SessionId>> = BTreeMap::new();
        for (session, watched) in &self.by_connection {
            for path in watched {
                paths.entry(path).or_default().insert(*session);
            }
        }
        paths
    }

    /// Pairs of a connection and a path.
    pub fn total(&self) -> usize {
        self.by_connection
            .iter()
            .map(|(_, paths)| paths.len())
            .sum()
    }
}

impl Admin {
    /// Every global session with its timeout in ms, ascending.
    pub fn sessions(&self) -> Vec<(SessionId, i32)> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|(id, _)| *id);
            let page = self.gate.read(|tree| tree.sessions_after(after, PAGE));
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return all;
            }
        }
    }

    /// When sessions expire, soonest first, ids ascending; `None` if the commit loop does not answer. To be called on a
    /// server that decides on that, and not on a task.
    ///
    /// Source: `SessionTrackerImpl.getSessionExpiryMap`.
    pub fn expiries(&self) -> Option<BTreeMap<Mono, Vec<SessionId>>> {
        let mut buckets: BTreeMap<Mono, Vec<SessionId>> = BTreeMap::new();
        let ids: Vec<SessionId> = self.sessions().into_iter().map(|(id, _)| id).collect();
        for page in ids.chunks(PAGE) {
            let asked = page.to_vec();
            let expiries = self.ask(move |replica| replica.expiries(&asked))?;
            for (id, expiry) in page.iter().zip(expiries) {
                if let Some(moment) = expiry {
                    buckets.entry(moment).or_default().push(*id);
                }
            }
        }
        Some(buckets)
    }

    /// The paths of ephemeral znodes by session, ascending.
    pub fn ephemerals(&self) -> BTreeMap<SessionId, BTreeSet<String>> {
        let mut all: BTreeMap<SessionId, BTreeSet<String>> = BTreeMap::new();
        let mut last = None;
        loop {
            let page = self.gate.read(|tree| tree.ephemerals_after(last, PAGE));
            let is_last = page.len() < PAGE;
            last = page.last().map(|(place, _)| *place);
            for (place, path) in page {
                all.entry(place.session()).or_default().insert(path);
            }
            if is_last {
                return all;
            }
        }
    }

    /// Every data watch of a connection with a session, in the order in which these connected.
    pub fn watches(&self) -> Watches {
        let sessions: FxHashMap<Watcher, SessionId> = self
            .gate
            .conns()
            .iter()
            .filter_map(|conn| Some((conn.id, conn.lane.get()?.session())))
            .collect();
        let mut watchers = self.gate.with_watches(crate::watch::Table::watchers);
        watchers.sort_unstable();
        let known = |who: &Watcher| sessions.get(who).map(|session| (*who, *session));
        let by_connection = watchers.iter().filter_map(known);
        Watches {
            by_connection: by_connection
                .map(|(who, session)| (session, self.watched_by(who)))
                .collect(),
        }
    }

    fn watched_by(&self, who: Watcher) -> BTreeSet<Arc<str>> {
        let mut all = BTreeSet::new();
        let mut last: Option<Arc<str>> = None;
        loop {
            let after = last.as_deref();
            let page = self
                .gate
                .with_watches(|watches| watches.paths_of(who, after, PAGE));
            let is_last = page.len() < PAGE;
            last = page.last().cloned();
            all.extend(page);
            if is_last {
                return all;
            }
        }
    }
}
