//! The two tables of watches, by path and by connection. Takes no lock itself.
//!
//! Source: `WatchManager`, `DataTree` (which watches a change triggers, and in which order).

use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

use super::event::EventKind;
use crate::base::path;
use crate::tree::ChangeKind;

/// Whoever watches: a connection's number.
pub type Watcher = u64;

/// How long a watch lasts and how far it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// One event, then it is gone.
    Standard = 1,
    /// Events of this very path, until removed.
    Persistent = 2,
    /// Events of this path and everything below it, until removed; no changes of children lists.
    Recursive = 4,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The znode: exists and getData.
    Data,
    /// Its list of children: getChildren.
    Child,
}

/// Every watch of the server.
///
/// Invariants: a path has an entry exactly while somebody watches it; a watcher's set names exactly the paths it has
/// a watch on, in either table; `recursive` counts the recursive watches.
#[derive(Debug, Default)]
pub struct Table {
    by_path: FxHashMap<Arc<str>, Entry>,
    by_watcher: FxHashMap<Watcher, FxHashSet<Arc<str>>>,
    recursive: usize,
}

/// The watches on one path: per watcher a set of mode bits, in each table.
#[derive(Debug, Default)]
struct Entry {
    data: FxHashMap<Watcher, u8>,
    child: FxHashMap<Watcher, u8>,
}

impl Entry {
    fn table(&mut self, on: On) -> &mut FxHashMap<Watcher, u8> {
        match on {
            On::Data => &mut self.data,
            On::Child => &mut self.child,
        }
    }

    fn modes(&self, on: On, who: Watcher) -> u8 {
        let table = match on {
            On::Data => &self.data,
            On::Child => &self.child,
        };
        table.get(&who).copied().unwrap_or(0)
    }

    fn has(&self, who: Watcher) -> bool {
        self.data.contains_key(&who) || self.child.contains_key(&who)
    }

    fn is_empty(&self) -> bool {
        self.data.is_empty() && self.child.is_empty()
    }
}

const STANDARD: u8 = Mode::Standard as u8;
const PERSISTENT: u8 = Mode::Persistent as u8;
const RECURSIVE: u8 = Mode::Recursive as u8;
const ANY: u8 = STANDARD | PERSISTENT | RECURSIVE;

impl Table {
    /// Sets a watch. One that is set already stays one.
    pub fn add(&mut self, on: On, path: &str, who: Watcher, mode: Mode) {
        let path = match self.by_path.get_key_value(path) {
            Some((known, _)) => known.clone(),
            None => Arc::from(path),
        };
        let modes = self
            .by_path
            .entry(path.clone())
            .or_default()
            .table(on)
            .entry(who)
            .or_default();
        if mode == Mode::Recursive && *modes & RECURSIVE == 0 {
            self.recursive += 1;
        }
        *modes |= mode as u8;
        self.by_watcher.entry(who).or_default().insert(path);
    }

    /// Calls `deliver` for everyone a change of `path` concerns, once each per step, in Java's order of steps, and
    /// uses up the one-shot watches among theirs. Its arguments: the watcher, the event, the path of the event, and
    /// whether that is the parent of the changed znode.
    pub fn trigger(
        &mut self,
        change: ChangeKind,
        path: &str,
        deliver: &mut dyn FnMut(Watcher, EventKind, &str, bool),
    ) {
        let kind = match change {
            ChangeKind::Created => EventKind::Created,
            ChangeKind::Deleted => EventKind::Deleted,
            ChangeKind::DataChanged => EventKind::DataChanged,
        };
        let told = self.select(On::Data, path);
        told.iter().for_each(|who| deliver(*who, kind, path, false));
        if change == ChangeKind::DataChanged {
            return;
        }
        if change == ChangeKind::Deleted {
            for who in self.select(On::Child, path) {
                if !told.contains(&who) {
                    deliver(who, kind, path, false);
                }
            }
        }
        let parent = match path::parent(path) {
            Some("") | None => "/",
            Some(parent) => parent,
        };
        for who in self.select(On::Child, parent) {
            deliver(who, EventKind::ChildrenChanged, parent, true);
        }
    }

    /// Everyone who watches `path` in this table, or with a recursive watch above it. Uses up one-shot watches.
    fn select(&mut self, on: On, path: &str) -> Vec<Watcher> {
        let mut selected: Vec<Watcher> = Vec::new();
        if let Some(entry) = self.by_path.get_mut(path) {
            selected.extend(entry.table(on).keys());
            if entry.table(on).values().any(|modes| modes & STANDARD != 0) {
                self.use_up(on, path, &selected);
            }
        }
        if on == On::Data && self.recursive > 0 && path != "/" {
            let direct = selected.len();
            let mut above = path::parent(path);
            while let Some(ancestor) = above {
                let entry = self
                    .by_path
                    .get(if ancestor.is_empty() { "/" } else { ancestor });
                for (who, modes) in entry.iter().flat_map(|entry| &entry.data) {
                    if modes & RECURSIVE != 0 && !selected.contains(who) {
                        selected.push(*who);
                    }
                }
                above = if ancestor.is_empty() {
                    None
                } else {
                    path::parent(ancestor)
                };
            }
            debug_assert!(selected.len() >= direct);
        }
        selected
    }

    fn use_up(&mut self, on: On, path: &str, watchers: &[Watcher]) {
        for who in watchers {
            self.clear(on, path, *who, STANDARD);
        }
        self.forget_if_unwatched(path, watchers);
    }

    /// Clears mode bits; true if one was set.
    fn clear(&mut self, on: On, path: &str, who: Watcher, bits: u8) -> bool {
        let Some(entry) = self.by_path.get_mut(path) else {
            return false;
        };
        let Some(modes) = entry.table(on).get_mut(&who) else {
            return false;
        };
        let cleared = *modes & bits;
        if cleared & RECURSIVE != 0 {
            self.recursive -= 1;
        }
        *modes &= !bits;
        if *modes == 0 {
            entry.table(on).remove(&who);
        }
        cleared != 0
    }

    /// Restores the invariants after bits of these watchers on `path` were cleared.
    fn forget_if_unwatched(&mut self, path: &str, watchers: &[Watcher]) {
        let Some(entry) = self.by_path.get(path) else {
            return;
        };
        for who in watchers {
            if !entry.has(*who) {
                if let Some(paths) = self.by_watcher.get_mut(who) {
                    paths.remove(path);
                    if paths.is_empty() {
                        self.by_watcher.remove(who);
                    }
                }
            }
        }
        if entry.is_empty() {
            self.by_path.remove(path);
        }
    }

    /// Whether `who` has a watch of `kind` on exactly `path`: 1 children, 2 data, 3 any, 4 persistent, 5 persistent
    /// recursive. Other kinds are never found.
    ///
    /// Source: `DataTree.containsWatcher`.
    pub fn contains(&self, kind: i32, path: &str, who: Watcher) -> bool {
        let Some(entry) = self.by_path.get(path) else {
            return false;
        };
        let (data, child) = (entry.modes(On::Data, who), entry.modes(On::Child, who));
        match kind {
            1 => child & STANDARD != 0,
            2 => data & STANDARD != 0,
            3 => data | child != 0,
            4 => data & PERSISTENT != 0,
            5 => data & RECURSIVE != 0,
            _ => false,
        }
    }

    /// Removes the watches of `kind`, as for [`Table::contains`]; false if there was none.
    ///
    /// Source: `DataTree.removeWatch`.
    pub fn remove(&mut self, kind: i32, path: &str, who: Watcher) -> bool {
        let (data, child) = match kind {
            1 => (0, STANDARD),
            2 => (STANDARD, 0),
            3 => (ANY, ANY),
            4 => (PERSISTENT, PERSISTENT),
            5 => (RECURSIVE, 0),
            _ => (0, 0),
        };
        let removed =
            self.clear(On::Data, path, who, data) | self.clear(On::Child, path, who, child);
        if removed {
            self.forget_if_unwatched(path, &[who]);
        }
        removed
    }

    /// Forgets every watch of `who`, in time proportional to their number.
    pub fn drop_watcher(&mut self, who: Watcher) {
        for path in self.by_watcher.remove(&who).unwrap_or_default() {
            self.clear(On::Data, &path, who, ANY);
            self.clear(On::Child, &path, who, ANY);
            if self.by_path.get(&path).is_some_and(Entry::is_empty) {
                self.by_path.remove(&path);
            }
        }
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// Watches in both tables: one per path, table and watcher.
    ///
    /// Source: `WatchManager.size`, `DataTree.getWatchCount`.
    pub fn watch_count(&self) -> usize {
        self.by_path
            .values()
            .map(|entry| entry.data.len() + entry.child.len())
            .sum()
    }
}

#[cfg(test)]
mod tests;
