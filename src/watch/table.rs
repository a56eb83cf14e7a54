//! The two tables of watches, by path and by connection. Takes no lock itself.
//!
//! ```text
//!   path text --> Place --+            +-- Owner <-- connection's number
//!                         |            |
//!                         +-> Watch <--+     one per path and connection, whatever its modes;
//!                             Watch ...      in a list of its place and in one of its owner
//! ```
//!
//! A path's text is stored once; a watch beyond the first on a path costs 28 bytes and its entry in
//! the index of pairs. Source: `WatchManager`, `DataTree` (which watches a change triggers).

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::event::EventKind;
use super::slab::{At, END, Slab};
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

/// Totals of the data watches; watches of children lists are not among them.
///
/// Source: `WatchesSummary`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Connections that have watches, or had some that all fired.
    pub watchers: usize,
    /// Paths watched.
    pub paths: usize,
    /// Pairs of the two.
    pub watches: usize,
}

const STANDARD: u8 = Mode::Standard as u8;
const PERSISTENT: u8 = Mode::Persistent as u8;
const RECURSIVE: u8 = Mode::Recursive as u8;
const ANY: u8 = STANDARD | PERSISTENT | RECURSIVE;

/// Every watch of the server.
///
/// Invariants:
/// 1. a place exists exactly while it has a watch, and a watch while it has a mode in either table;
/// 2. every watch stands in the list of its place, in the list of its owner and in `pairs`;
/// 3. an owner stays until [`Table::drop_watcher`], also without any watch;
/// 4. `recursive`, `data` and `child` count the watches that have such a mode.
#[derive(Debug, Default)]
pub struct Table {
    place_of: FxHashMap<Arc<str>, At>,
    owner_of: FxHashMap<Watcher, At>,
    pairs: FxHashMap<(At, At), At>,
    places: Slab<Place>,
    owners: Slab<Owner>,
    watches: Slab<Watch>,
    recursive: usize,
    data: usize,
    child: usize,
    selections: u64,
}

/// A path that is watched.
#[derive(Debug, Default)]
struct Place {
    path: Arc<str>,
    first: At,
    recursive: u32,
}

/// A connection that watches.
#[derive(Debug, Default)]
struct Owner {
    watcher: Watcher,
    first: At,
    data: u32,
    /// Java's data table knows this connection: a watch that fires does not make it forget.
    known: bool,
    /// Number of the last selection this owner was in.
    selected: u64,
}

/// The watches of one owner on one place.
#[derive(Debug, Default)]
struct Watch {
    place: At,
    owner: At,
    in_place: Links,
    in_owner: Links,
    data: u8,
    child: u8,
}

/// Neighbours in a list.
#[derive(Clone, Copy, Debug, Default)]
struct Links {
    prev: At,
    next: At,
}

const _: () = assert!(
    size_of::<Watch>() <= 28,
    "a server may hold millions of watches"
);

impl Watch {
    fn modes(&self, on: On) -> u8 {
        match on {
            On::Data => self.data,
            On::Child => self.child,
        }
    }
}

impl Table {
    /// Sets a watch. One that is set already stays one.
    ///
    /// Source: `WatchManager.addWatch`.
    pub fn add(&mut self, on: On, path: &str, who: Watcher, mode: Mode) {
        let (place, owner) = (self.place(path), self.owner(who));
        let at = match self.pairs.get(&(place, owner)) {
            Some(at) => *at,
            None => self.link(place, owner),
        };
        let watch = &mut self.watches[at];
        let before = watch.modes(on);
        match on {
            On::Data => watch.data |= mode as u8,
            On::Child => watch.child |= mode as u8,
        }
        if mode == Mode::Recursive && before & RECURSIVE == 0 {
            self.recursive += 1;
            self.places[place].recursive += 1;
        }
        match on {
            On::Data if before == 0 => {
                self.data += 1;
                self.owners[owner].data += 1;
                self.owners[owner].known = true;
            }
            On::Child if before == 0 => self.child += 1,
            _ => (),
        }
    }

    /// Calls `deliver` for everyone a change of `path` concerns, once per step, in Java's order of
    /// steps, and uses up the one-shot watches among theirs.
    ///
    /// Its arguments: the watcher, the event, the path of the event, and whether that is the parent
    /// of the changed znode. Source: `DataTree.createNode`, `deleteNode`, `setData`.
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
        self.selections += 1;
        self.select(On::Data, path, &mut |who| deliver(who, kind, path, false));
        if change == ChangeKind::DataChanged {
            return;
        }
        if change == ChangeKind::Deleted {
            // The same selection: a deletion is told once to whoever watches both.
            self.select(On::Child, path, &mut |who| deliver(who, kind, path, false));
        }
        let parent = path::parent(path)
            .filter(|parent| !parent.is_empty())
            .unwrap_or("/");
        self.selections += 1;
        let kind = EventKind::ChildrenChanged;
        self.select(On::Child, parent, &mut |who| {
            deliver(who, kind, parent, true)
        });
    }

    /// Names everyone who watches `path` in this table, or with a recursive watch above it, and is
    /// not in this selection yet. Uses up one-shot watches, those of who was in it too.
    ///
    /// Source: `WatchManager.triggerWatch`.
    fn select(&mut self, on: On, path: &str, name: &mut dyn FnMut(Watcher)) {
        if let Some(place) = self.place_of.get(path) {
            let mut next = self.places[*place].first;
            while next != END {
                let at = next;
                next = self.watches[at].in_place.next;
                if self.watches[at].modes(on) != 0 {
                    self.select_owner(self.watches[at].owner, name);
                    self.clear(at, on, STANDARD);
                    self.unlink_if_unused(at);
                }
            }
        }
        if on == On::Data && self.recursive > 0 {
            let mut below = path;
            while let Some(parent) = path::parent(below).filter(|_| below != "/") {
                below = if parent.is_empty() { "/" } else { parent };
                self.select_recursive(below, name);
            }
        }
    }

    fn select_recursive(&mut self, path: &str, name: &mut dyn FnMut(Watcher)) {
        let Some(place) = self.place_of.get(path).map(|at| &self.places[*at]) else {
            return;
        };
        let mut next = if place.recursive > 0 {
            place.first
        } else {
            END
        };
        while next != END {
            let watch = &self.watches[next];
            let owner = watch.owner;
            next = watch.in_place.next;
            if watch.data & RECURSIVE != 0 {
                self.select_owner(owner, name);
            }
        }
    }

    fn select_owner(&mut self, at: At, name: &mut dyn FnMut(Watcher)) {
        let owner = &mut self.owners[at];
        if owner.selected != self.selections {
            owner.selected = self.selections;
            name(owner.watcher);
        }
    }

    /// Whether `who` has a watch of `kind` on exactly `path`: 1 children, 2 data, 3 any,
    /// 4 persistent, 5 persistent recursive. Other kinds are never found.
    ///
    /// Source: `DataTree.containsWatcher`.
    pub fn contains(&self, kind: i32, path: &str, who: Watcher) -> bool {
        let Some(at) = self.find(path, who) else {
            return false;
        };
        let Watch { data, child, .. } = &self.watches[at];
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
    /// Kind 4 removes in both tables. Source: `DataTree.removeWatch`.
    pub fn remove(&mut self, kind: i32, path: &str, who: Watcher) -> bool {
        let Some(at) = self.find(path, who) else {
            return false;
        };
        let (data, child) = match kind {
            1 => (0, STANDARD),
            2 => (STANDARD, 0),
            3 => (ANY, ANY),
            4 => (PERSISTENT, PERSISTENT),
            5 => (RECURSIVE, 0),
            _ => (0, 0),
        };
        let had_data = self.watches[at].data != 0;
        let removed = self.clear(at, On::Data, data) | self.clear(at, On::Child, child);
        let owner = &mut self.owners[self.watches[at].owner];
        if had_data && owner.data == 0 {
            owner.known = false;
        }
        self.unlink_if_unused(at);
        removed
    }

    /// Forgets every watch of `who`, in time proportional to their number.
    pub fn drop_watcher(&mut self, who: Watcher) {
        let Some(owner) = self.owner_of.remove(&who) else {
            return;
        };
        let mut next = self.owners[owner].first;
        while next != END {
            let at = next;
            next = self.watches[at].in_owner.next;
            self.clear(at, On::Data, ANY);
            self.clear(at, On::Child, ANY);
            self.unlink_if_unused(at);
        }
        self.owners.take(owner);
        self.release_memory();
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Watches in both tables: one per path, table and watcher.
    ///
    /// Source: `WatchManager.size`, `DataTree.getWatchCount`.
    pub fn watch_count(&self) -> usize {
        self.data + self.child
    }

    /// About how many bytes of memory the watches take.
    pub fn memory_bytes(&self) -> usize {
        /// A watched path with its entry in the map, for paths of usual lengths.
        const PLACE: usize = size_of::<Place>() + 96;
        const OWNER: usize = size_of::<Owner>() + 24;
        const WATCH: usize = size_of::<Watch>() + 24;
        self.place_of.len() * PLACE + self.owner_of.len() * OWNER + self.pairs.len() * WATCH
    }

    /// Totals of the data watches. Source: `WatchManager.getWatchesSummary`.
    pub fn summary(&self) -> Summary {
        Summary {
            watchers: self.by_watcher().count(),
            paths: self.by_path().count(),
            watches: self.data,
        }
    }

    /// The paths each connection has data watches on; none where all have fired.
    ///
    /// Source: `WatchManager.dumpWatches`, `getWatches`.
    pub fn by_watcher(&self) -> impl Iterator<Item = (Watcher, impl Iterator<Item = &str>)> {
        let owners = self.owner_of.values().map(|at| &self.owners[*at]);
        owners.filter(|owner| owner.known).map(|owner| {
            let watches = self.list(owner.first, |watch| watch.in_owner);
            let paths = watches.filter(|watch| watch.data != 0);
            (
                owner.watcher,
                paths.map(|watch| &*self.places[watch.place].path),
            )
        })
    }

    /// The connections that have data watches on each path, never none.
    ///
    /// Source: `WatchManager.dumpWatches`, `getWatchesByPath`.
    pub fn by_path(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = Watcher>)> {
        let places = self.place_of.values().map(|at| &self.places[*at]);
        places.filter_map(|place| {
            let watches = self.list(place.first, |watch| watch.in_place);
            let mut watches = watches.filter(|watch| watch.data != 0).peekable();
            watches.peek()?;
            Some((
                &*place.path,
                watches.map(|watch| self.owners[watch.owner].watcher),
            ))
        })
    }

    /// Every connection that has data watches, or had some that all fired.
    pub fn watchers(&self) -> Vec<Watcher> {
        self.by_watcher().map(|(watcher, _)| watcher).collect()
    }

    /// At most `limit` paths that `who` has data watches on, behind the path `after` of the page before. Where that
    /// one is not watched any more, all there are.
    pub fn paths_of(&self, who: Watcher, after: Option<&str>, limit: usize) -> Vec<Arc<str>> {
        let Some(owner) = self.owner_of.get(&who) else {
            return Vec::new();
        };
        let last = after.and_then(|path| self.find(path, who));
        let (from, limit) = match (after, last) {
            (_, Some(at)) => (self.watches[at].in_owner.next, limit),
            (Some(_), None) => (self.owners[*owner].first, usize::MAX),
            (None, None) => (self.owners[*owner].first, limit),
        };
        let watches = self.list(from, |watch| watch.in_owner);
        let data = watches.filter(|watch| watch.data != 0).take(limit);
        data.map(|watch| self.places[watch.place].path.clone())
            .collect()
    }

    fn list(&self, first: At, links: fn(&Watch) -> Links) -> impl Iterator<Item = &Watch> {
        let watch = |at: At| (at != END).then(|| &self.watches[at]);
        std::iter::successors(watch(first), move |before| watch(links(before).next))
    }

    fn find(&self, path: &str, who: Watcher) -> Option<At> {
        let (place, owner) = (self.place_of.get(path)?, self.owner_of.get(&who)?);
        self.pairs.get(&(*place, *owner)).copied()
    }

    fn place(&mut self, path: &str) -> At {
        if let Some(at) = self.place_of.get(path) {
            return *at;
        }
        let path: Arc<str> = Arc::from(path);
        let at = self.places.insert(Place {
            path: path.clone(),
            first: END,
            recursive: 0,
        });
        self.place_of.insert(path, at);
        at
    }

    fn owner(&mut self, watcher: Watcher) -> At {
        *self.owner_of.entry(watcher).or_insert_with(|| {
            self.owners.insert(Owner {
                watcher,
                first: END,
                ..Owner::default()
            })
        })
    }

    /// A watch without modes, in front of both lists.
    fn link(&mut self, place: At, owner: At) -> At {
        let (after, also_after) = (self.places[place].first, self.owners[owner].first);
        let at = self.watches.insert(Watch {
            place,
            owner,
            in_place: Links {
                prev: END,
                next: after,
            },
            in_owner: Links {
                prev: END,
                next: also_after,
            },
            ..Watch::default()
        });
        if after != END {
            self.watches[after].in_place.prev = at;
        }
        if also_after != END {
            self.watches[also_after].in_owner.prev = at;
        }
        self.places[place].first = at;
        self.owners[owner].first = at;
        self.pairs.insert((place, owner), at);
        at
    }

    /// Clears modes; true if one was set. The watch stays linked.
    fn clear(&mut self, at: At, on: On, modes: u8) -> bool {
        let watch = &mut self.watches[at];
        let (place, owner) = (watch.place, watch.owner);
        let kept = match on {
            On::Data => &mut watch.data,
            On::Child => &mut watch.child,
        };
        let cleared = *kept & modes;
        *kept &= !modes;
        let is_last = cleared != 0 && *kept == 0;
        if cleared & RECURSIVE != 0 {
            self.recursive -= 1;
            self.places[place].recursive -= 1;
        }
        match on {
            On::Data if is_last => {
                self.data -= 1;
                self.owners[owner].data -= 1;
            }
            On::Child if is_last => self.child -= 1,
            _ => (),
        }
        cleared != 0
    }

    /// Restores the invariants after modes were cleared.
    fn unlink_if_unused(&mut self, at: At) {
        if self.watches[at].data | self.watches[at].child != 0 {
            return;
        }
        let Watch {
            place,
            owner,
            in_place,
            in_owner,
            ..
        } = self.watches.take(at);
        self.pairs.remove(&(place, owner));
        match in_place.prev {
            END => self.places[place].first = in_place.next,
            prev => self.watches[prev].in_place.next = in_place.next,
        }
        if in_place.next != END {
            self.watches[in_place.next].in_place.prev = in_place.prev;
        }
        match in_owner.prev {
            END => self.owners[owner].first = in_owner.next,
            prev => self.watches[prev].in_owner.next = in_owner.next,
        }
        if in_owner.next != END {
            self.watches[in_owner.next].in_owner.prev = in_owner.prev;
        }
        if self.places[place].first == END {
            let place = self.places.take(place);
            self.place_of.remove(&place.path);
        }
    }

    /// Gives back what a peak of watches left behind.
    fn release_memory(&mut self) {
        if self.owner_of.is_empty() {
            *self = Table {
                selections: self.selections,
                ..Table::default()
            };
        }
    }
}

#[cfg(test)]
mod tests;
