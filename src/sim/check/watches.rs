//! Watch order: a client is told of a change before it can see the change or anything later; no one-shot watch is
//! lost, and none fires for nothing.
//!
//! Source: ZooKeeper programmer's guide, "What ZooKeeper Guarantees about Watches".

use std::collections::BTreeMap;

use crate::base::Zxid;
use crate::tree::ChangeKind;
use crate::watch::EventKind;

/// What a watch is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) enum Watched {
    /// A znode that is there: its data and its end.
    Data,
    /// A znode that is not there: its beginning.
    Exists,
    /// The children of a znode that is there, and its end.
    Children,
}

/// Everything that watches on one thing would have fired for, in order.
type Fired = Vec<(Zxid, EventKind)>;

/// All that ever fired a watch.
#[derive(Default)]
pub(in crate::sim) struct Events {
    data: BTreeMap<String, Fired>,
    children: BTreeMap<String, Fired>,
}

impl Events {
    pub(super) fn happened(&mut self, zxid: Zxid, kind: ChangeKind, path: &str, parent: &str) {
        let event = match kind {
            ChangeKind::Created => EventKind::Created,
            ChangeKind::Deleted => EventKind::Deleted,
            ChangeKind::DataChanged => EventKind::DataChanged,
        };
        let data = self.data.entry(path.to_owned()).or_default();
        data.push((zxid, event));
        if kind == ChangeKind::DataChanged {
            return;
        }
        if kind == ChangeKind::Deleted {
            let own = self.children.entry(path.to_owned()).or_default();
            own.push((zxid, event));
        }
        let above = self.children.entry(parent.to_owned()).or_default();
        above.push((zxid, EventKind::ChildrenChanged));
    }

    /// The first thing after `since` that fires a watch.
    pub(in crate::sim) fn first(
        &self,
        on: Watched,
        path: &str,
        since: Zxid,
    ) -> Option<(Zxid, EventKind)> {
        let fired = match on {
            Watched::Data | Watched::Exists => self.data.get(path)?,
            Watched::Children => self.children.get(path)?,
        };
        let at = fired.partition_point(|(zxid, _)| *zxid <= since);
        fired.get(at).copied()
    }
}
