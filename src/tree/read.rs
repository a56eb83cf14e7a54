//! What readers ask of a tree.

use super::owners::looks_like_ttl;
use super::slot::{NONE, ROOT, Slot};
use super::{AclList, Ephemeral, Kind, Tree, TreeOptions, Znode, index, kind};
use crate::base::{SessionId, Zxid};
use jute::data::{Stat, StatPersisted};
use std::ops::Bound;

/// Where [`Tree::count_descendants`] stands between two calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct DescendantWalk {
    counted: usize,
    next: Option<(u32, i64)>,
}

impl Tree {
    /// What it was made with.
    pub fn options(&self) -> &TreeOptions {
        &self.options
    }

    /// The last transaction applied.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Moves to a zxid without a transaction, as a new epoch does.
    pub fn set_last_zxid(&mut self, zxid: Zxid) {
        self.last_zxid = zxid;
    }

    /// No zxid in the tree is newer: neither its position nor that of any change that a znode remembers. A tree that
    /// was written while changes went on, or that comes from elsewhere, may reach beyond its position.
    pub fn reach(&self) -> Zxid {
        self.loaded_reach.max(self.last_zxid)
    }

    /// The digest of all znodes, 0 where the options turn it off.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The digests at the last transactions whose zxid is a multiple of 128, oldest first; at most 1024.
    /// Source: `DataTree.getDigestLog`.
    pub fn noted_digests(&self) -> impl Iterator<Item = (Zxid, u64)> {
        self.noted.iter().copied()
    }

    /// Znodes as Java counts them, where the root counts twice.
    /// Source: `DataTree.getNodeCount`.
    pub fn znode_count(&self) -> usize {
        self.slab.live() + 1
    }

    /// Lengths of all paths in UTF-16 units and of all data in bytes.
    /// Source: `DataTree.cachedApproximateDataSize`.
    pub fn data_size(&self) -> u64 {
        self.data_size
    }

    /// Ephemeral znodes of all sessions.
    pub fn ephemeral_count(&self) -> usize {
        self.owners.ephemeral_count()
    }

    /// The znode at `path`; "" is the root too, and what is not a path is nowhere.
    pub fn find(&self, path: &str) -> Option<Znode> {
        self.locate(path).map(Znode)
    }

    pub(super) fn locate(&self, path: &str) -> Option<u32> {
        if matches!(path, "" | "/") {
            return Some(ROOT);
        }
        let names = path.strip_prefix('/')?.split('/');
        names
            .into_iter()
            .try_fold(ROOT, |at, name| self.child(at, name))
    }

    pub(super) fn child(&self, parent: u32, name: &str) -> Option<u32> {
        self.index.find(index::hash(parent, name), |at| {
            let slot = self.slab.get(at);
            slot.parent == parent && slot.name() == name
        })
    }

    /// The stat a client sees.
    pub fn stat(&self, znode: Znode) -> Stat {
        self.visible(znode.0)
    }

    pub(super) fn visible(&self, at: u32) -> Stat {
        let slot = self.slab.get(at);
        match kind(slot.owner(), &self.options) {
            Kind::Ephemeral(session) => self.slab.visible(at, session.0),
            _ => self.slab.visible(at, 0),
        }
    }

    /// The stat as files keep it.
    pub fn persisted(&self, znode: Znode) -> StatPersisted {
        self.slab.persisted(znode.0)
    }

    /// What keeps the znode.
    pub fn kind(&self, znode: Znode) -> Kind {
        kind(self.slot(znode).owner(), &self.options)
    }

    /// Its data, None for null.
    pub fn data(&self, znode: Znode) -> Option<&[u8]> {
        self.slot(znode).data()
    }

    /// Its ACL.
    pub fn acl(&self, znode: Znode) -> &AclList {
        self.acls.list(self.slot(znode).acl)
    }

    /// Znodes loaded with an ACL list that was nowhere: nobody but super may do anything with them.
    pub fn lost_acl_count(&self) -> u64 {
        self.acls.lost_users()
    }

    /// How many children it has.
    pub fn child_count(&self, znode: Znode) -> i32 {
        self.slab.family(znode.0).children as i32
    }

    /// CRC-32 of its path and data, 0 where the options turn digests off.
    pub fn path_data_crc(&self, znode: Znode) -> u32 {
        self.slot(znode).crc
    }

    /// The names of its children, the youngest first.
    pub fn children(&self, znode: Znode) -> impl Iterator<Item = &str> {
        let mut at = self.slab.family(znode.0).first_child;
        std::iter::from_fn(move || {
            let slot = (at != NONE).then(|| self.slab.get(at))?;
            at = slot.next;
            Some(slot.name())
        })
    }

    /// All znodes below it. Costs their number, but for the root.
    /// Source: `DataTree.getAllChildrenNumber`.
    pub fn descendant_count(&self, znode: Znode) -> usize {
        if znode.0 == ROOT {
            return self.slab.live() - 1;
        }
        self.subtree(znode.0).count() - 1
    }

    /// As [`Tree::descendant_count`], at most `limit` znodes at a time; None if it is to be called
    /// again with the same
    /// `walk`. What changes between two calls is counted or not, but if the very znode the walk
    /// stands at is deleted, it starts again and goes through.
    pub fn count_descendants(
        &self,
        top: Znode,
        walk: &mut DescendantWalk,
        limit: usize,
    ) -> Option<usize> {
        if top.0 == ROOT {
            return Some(self.slab.live() - 1);
        }
        let (mut at, mut left) = match walk.next {
            None => (top.0, limit),
            Some((at, czxid)) if self.is_still(at, czxid) => (at, limit),
            Some(_) => {
                walk.counted = 0;
                (top.0, usize::MAX)
            }
        };
        while at != NONE {
            if left == 0 {
                walk.next = Some((at, self.slab.get(at).czxid));
                return None;
            }
            left -= 1;
            walk.counted += 1;
            at = self.after(at, top.0);
        }
        Some(walk.counted - 1)
    }

    /// Whether the znode that `czxid` created is where it was.
    fn is_still(&self, at: u32, czxid: i64) -> bool {
        let slot = self.slab.get(at);
        slot.payload.is_some() && slot.czxid == czxid
    }

    /// The znode and all below it, parents first.
    pub(super) fn subtree(&self, top: u32) -> impl Iterator<Item = u32> {
        let mut at = top;
        std::iter::from_fn(move || {
            let here = (at != NONE).then_some(at)?;
            at = self.after(here, top);
            Some(here)
        })
    }

    /// The slot after `at` in the walk over the subtree of `top`.
    fn after(&self, at: u32, top: u32) -> u32 {
        let mut slot = self.slab.get(at);
        let first_child = self.slab.family(at).first_child;
        if first_child != NONE {
            return first_child;
        }
        let mut at = at;
        while at != top {
            if slot.next != NONE {
                return slot.next;
            }
            at = slot.parent;
            slot = self.slab.get(at);
        }
        NONE
    }

    /// Full paths of the ephemeral znodes of a session.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = String> {
        self.owners.of(session).map(|at| self.path_of(Znode(at)))
    }

    /// Sessions and their timeouts in ms, by ascending id.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32)> {
        self.sessions
            .iter()
            .map(|(&id, &timeout)| (SessionId(id), timeout))
    }

    /// At most `limit` sessions and their timeouts in ms whose ids are above `after`, ascending.
    pub fn sessions_after(&self, after: Option<SessionId>, limit: usize) -> Vec<(SessionId, i32)> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.0));
        let rest = self.sessions.range((from, Bound::Unbounded));
        let found = rest.map(|(&id, &timeout)| (SessionId(id), timeout));
        found.take(limit).collect()
    }

    /// Full paths of at most `limit` ephemerals, by session; `after` is the last one of the page before. Where
    /// something changes between pages, it may be missing or stand twice.
    pub fn ephemerals_after(
        &self,
        after: Option<Ephemeral>,
        limit: usize,
    ) -> Vec<(Ephemeral, String)> {
        let found = self
            .owners
            .after(after.map(|Ephemeral(session, slot)| (session.0, slot)));
        found
            .take(limit)
            .map(|(session, slot)| {
                (
                    Ephemeral(SessionId(session), slot),
                    self.path_of(Znode(slot)),
                )
            })
            .collect()
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// About how many bytes of memory the znodes take: what each takes in the tables, and paths and data. Names are
    /// kept only once, so it is rather less.
    pub fn memory_bytes(&self) -> u64 {
        /// In the index, and in the lists of slots.
        const BESIDE: usize = 16;
        u64::from(self.slab.len()) * (size_of::<super::slot::Slot>() + BESIDE) as u64
            + self.data_size()
    }

    /// The timeout of a session in ms, None if there is no such session.
    pub fn session_timeout(&self, session: SessionId) -> Option<i32> {
        self.sessions.get(&session.0).copied()
    }

    /// Sessions that own ephemerals and are no sessions, ascending. They are to be closed by a
    /// transaction.
    ///
    /// An owner that extended types would read as a time to live is none of them, so that znodes
    /// outlive a start without that option.
    pub fn orphan_sessions(&self) -> Vec<SessionId> {
        let known = |id: &SessionId| self.sessions.contains_key(&id.0) || looks_like_ttl(id.0);
        self.owners.sessions().filter(|id| !known(id)).collect()
    }

    /// What may be deleted once it is empty.
    pub fn containers_and_ttls(&self) -> impl Iterator<Item = Znode> {
        self.owners.containers_and_ttls().map(Znode)
    }

    /// The path, `/` for the root.
    pub fn path_of(&self, znode: Znode) -> String {
        if znode.0 == ROOT {
            return "/".to_owned();
        }
        let mut names = Vec::new();
        let mut slot = self.slot(znode);
        while slot.parent != NONE {
            names.push(slot.name());
            slot = self.slab.get(slot.parent);
        }
        let mut path = String::with_capacity(names.iter().map(|name| name.len() + 1).sum());
        for name in names.into_iter().rev() {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    fn slot(&self, znode: Znode) -> &Slot {
        self.slab.get(znode.0)
    }
}
