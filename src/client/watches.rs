//! Which watches the session has, so that a new connection can ask for them again.

use std::collections::BTreeSet;

use jute::proto::SetWatches2;
use jute::{ErrorCode, Str, Wire};

use super::session::EventKind;

/// What addWatch asks for. Source: `AddWatchMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchMode {
    /// The znode and its list of children, until removed.
    Persistent,
    /// The znode and all below it, until removed.
    PersistentRecursive,
}

/// What removeWatches takes away. Source: `Watcher.WatcherType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum RemoveKind {
    /// Of getChildren.
    Children = 1,
    /// Of getData and exists.
    Data = 2,
    /// All of them.
    Any = 3,
    /// Of addWatch.
    Persistent = 4,
    /// Of addWatch, recursive.
    PersistentRecursive = 5,
}

/// What a request's success means for the session's watches; paths are the server's.
#[derive(Debug)]
pub(super) enum Change {
    /// getData with a watch: on success, on the znode.
    Data(Str),
    /// exists with a watch: whether the znode is there decides.
    Exists(Str),
    /// getChildren with a watch.
    Child(Str),
    /// addWatch.
    Add(Str, WatchMode),
    /// removeWatches; `local`: whatever the server says.
    Remove {
        path: Str,
        kind: RemoveKind,
        local: bool,
    },
}

/// Server paths with a watch, by kind.
#[derive(Debug, Default)]
pub(super) struct Watches {
    data: BTreeSet<Str>,
    exist: BTreeSet<Str>,
    child: BTreeSet<Str>,
    persistent: BTreeSet<Str>,
    recursive: BTreeSet<Str>,
}

impl Watches {
    /// Notes what a request with result `code` set. Source: `WatchRegistration.register`.
    pub fn register(&mut self, change: Change, code: ErrorCode) {
        match (change, code) {
            (Change::Data(path) | Change::Exists(path), ErrorCode::OK) => self.data.insert(path),
            (Change::Exists(path), ErrorCode::NO_NODE) => self.exist.insert(path),
            (Change::Child(path), ErrorCode::OK) => self.child.insert(path),
            (Change::Add(path, WatchMode::Persistent), ErrorCode::OK) => {
                self.persistent.insert(path)
            }
            (Change::Add(path, WatchMode::PersistentRecursive), ErrorCode::OK) => {
                self.recursive.insert(path)
            }
            _ => false,
        };
    }

    /// Forgets what was removed; the events that tell of it, or the code that the caller sees instead.
    /// Source: `ZKWatchManager.removeWatcher`.
    pub fn remove(
        &mut self,
        path: &str,
        kind: RemoveKind,
        local: bool,
        code: ErrorCode,
    ) -> Result<Vec<EventKind>, ErrorCode> {
        let any = kind == RemoveKind::Any;
        let mut sets = Vec::new();
        if any || kind == RemoveKind::Children {
            sets.push((&mut self.child, EventKind::ChildWatchRemoved));
        }
        if any || kind == RemoveKind::Data {
            sets.push((&mut self.data, EventKind::DataWatchRemoved));
            sets.push((&mut self.exist, EventKind::DataWatchRemoved));
        }
        if any || kind == RemoveKind::Persistent {
            sets.push((&mut self.persistent, EventKind::PersistentWatchRemoved));
        }
        if any || kind == RemoveKind::PersistentRecursive {
            sets.push((&mut self.recursive, EventKind::PersistentWatchRemoved));
        }
        if !sets.iter().any(|(set, _)| set.contains(path)) {
            return Err(ErrorCode::NO_WATCHER);
        }
        if code != ErrorCode::OK && !local {
            return Err(code);
        }
        let mut removed: Vec<EventKind> = sets
            .into_iter()
            .filter_map(|(set, event)| set.remove(path).then_some(event))
            .collect();
        removed.dedup();
        Ok(removed)
    }

    /// Whether anybody here watches for this event; one-shot watches end with it.
    /// Source: `ZKWatchManager.materialize`.
    pub fn trigger(&mut self, kind: EventKind, path: &str) -> bool {
        let mut fired = self.persistent.contains(path);
        if matches!(kind, EventKind::NodeChildrenChanged) {
            return fired | self.child.remove(path);
        }
        fired |= self.data.remove(path) | self.exist.remove(path);
        if matches!(kind, EventKind::NodeDeleted) {
            fired |= self.child.remove(path);
        }
        fired || (!self.recursive.is_empty() && self.has_recursive_above(path))
    }

    fn has_recursive_above(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| &path[..at.max(1)]);
        ends.chain([path])
            .any(|above| self.recursive.contains(above))
    }

    /// The requests that set all of them on a new connection, none larger than it should be.
    pub fn again(&self, relative_zxid: i64) -> Vec<SetWatches2> {
        type List = fn(&mut SetWatches2) -> &mut Option<Vec<Str>>;
        let kinds: [(&BTreeSet<Str>, List); 5] = [
            (&self.data, |w| &mut w.data_watches),
            (&self.exist, |w| &mut w.exist_watches),
            (&self.child, |w| &mut w.child_watches),
            (&self.persistent, |w| &mut w.persistent_watches),
            (&self.recursive, |w| &mut w.persistent_recursive_watches),
        ];
        let empty = SetWatches2 {
            relative_zxid,
            data_watches: Some(Vec::new()),
            exist_watches: Some(Vec::new()),
            child_watches: Some(Vec::new()),
            persistent_watches: Some(Vec::new()),
            persistent_recursive_watches: Some(Vec::new()),
        };
        let mut batches = Vec::new();
        let mut batch = empty.clone();
        let mut size = 0;
        for (set, list) in kinds {
            for path in set {
                list(&mut batch).get_or_insert_default().push(path.clone());
                size += path.len() + 4;
                if size >= BATCH_BYTES {
                    batches.push(std::mem::replace(&mut batch, empty.clone()));
                    size = 0;
                }
            }
        }
        if batch.size() > empty.size() {
            batches.push(batch);
        }
        batches
    }
}

/// Bytes of paths in one setWatches. Source: `ClientCnxn.SET_WATCHES_MAX_LENGTH`.
const BATCH_BYTES: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(change: Change) -> Watches {
        let mut watches = Watches::default();
        watches.register(change, ErrorCode::OK);
        watches
    }

    #[test]
    fn one_shot_watches_end_with_their_event_and_persistent_ones_stay() {
        let mut watches = registered(Change::Data("/a".into()));
        assert!(!watches.trigger(EventKind::NodeChildrenChanged, "/a"));
        assert!(watches.trigger(EventKind::NodeDataChanged, "/a"));
        assert!(!watches.trigger(EventKind::NodeDataChanged, "/a"));
        let mut watches = registered(Change::Add("/".into(), WatchMode::PersistentRecursive));
        for _ in 0..2 {
            assert!(watches.trigger(EventKind::NodeCreated, "/a/b"));
            assert!(!watches.trigger(EventKind::NodeChildrenChanged, "/a"));
        }
    }

    #[test]
    fn recursive_watches_cover_what_is_below_and_nothing_beside() {
        let mut watches = registered(Change::Add("/a".into(), WatchMode::PersistentRecursive));
        assert!(watches.trigger(EventKind::NodeCreated, "/a"));
        assert!(watches.trigger(EventKind::NodeCreated, "/a/b/c"));
        assert!(!watches.trigger(EventKind::NodeCreated, "/ab"));
        assert!(!watches.trigger(EventKind::NodeCreated, "/"));
    }

    #[test]
    fn a_watch_on_a_missing_znode_waits_for_its_creation() {
        let mut watches = Watches::default();
        watches.register(Change::Exists("/a".into()), ErrorCode::NO_NODE);
        watches.register(Change::Data("/b".into()), ErrorCode::NO_NODE);
        let [batch] = &watches.again(7)[..] else {
            panic!("one request");
        };
        assert_eq!(batch.exist_watches, Some(vec!["/a".into()]));
        assert_eq!(batch.data_watches, Some(vec![]));
        assert!(watches.trigger(EventKind::NodeCreated, "/a"));
        assert!(watches.again(7).is_empty());
    }

    #[test]
    fn removing_says_which_kinds_went_and_refuses_what_is_not_there() {
        let mut watches = registered(Change::Data("/a".into()));
        watches.register(Change::Child("/a".into()), ErrorCode::OK);
        let gone = watches.remove("/a", RemoveKind::Children, false, ErrorCode::OK);
        assert_eq!(gone, Ok(vec![EventKind::ChildWatchRemoved]));
        let gone = watches.remove("/a", RemoveKind::Children, false, ErrorCode::OK);
        assert_eq!(gone, Err(ErrorCode::NO_WATCHER));
        let gone = watches.remove("/a", RemoveKind::Any, false, ErrorCode::CONNECTION_LOSS);
        assert_eq!(gone, Err(ErrorCode::CONNECTION_LOSS));
        let gone = watches.remove("/a", RemoveKind::Any, true, ErrorCode::CONNECTION_LOSS);
        assert_eq!(gone, Ok(vec![EventKind::DataWatchRemoved]));
    }

    #[test]
    fn many_watches_are_set_again_in_several_requests() {
        let mut watches = Watches::default();
        for number in 0..3000 {
            let path = format!("/{number:0100}");
            watches.register(Change::Child(path.as_str().into()), ErrorCode::OK);
        }
        let batches = watches.again(1);
        assert_eq!(batches.len(), 3);
        let all: usize = batches
            .iter()
            .flat_map(|b| &b.child_watches)
            .map(Vec::len)
            .sum();
        assert_eq!(all, 3000);
    }
}
