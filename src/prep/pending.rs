//! What is judged but not applied: the tree as it will be, by path, over the tree as it is.
//!
//! Invariants:
//! 1. A path without an entry is in the tree exactly as it will be once everything judged is
//!    applied.
//! 2. `changes` names every write of an entry in the order of zxids; an entry carries the zxid of
//!    its last write, and goes when the change with that zxid is applied. So forgetting costs what
//!    writing did.
//! 3. `digest` is the tree's digest after the last change; without any change the tree's own
//!    counts.
//! 4. The root is "" here, whatever the request called it.
//!
//! Source: `ZooKeeperServer.outstandingChanges`, `PrepRequestProcessor.getRecordForPath`,
//! `rollbackPendingChanges`.

use crate::base::{SessionId, Zxid};
use crate::tree::{AclList, Tree, digest};
use jute::Str;
use jute::data::StatPersisted;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;

/// A znode as it will be.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// What files keep of it.
    pub stat: StatPersisted,
    /// Direct children.
    pub child_count: i32,
    /// Bytes of data, 0 for null.
    pub data_len: u32,
    /// crc32(path‖data); 0 while digests are off.
    pub crc: u32,
    /// Who may do what.
    pub acl: AclList,
    /// What it adds to the tree's digest as `stat` was when this value was read.
    digest: u64,
}

impl Record {
    /// A znode that does not exist yet, so adds nothing to the digest so far.
    pub fn new(stat: StatPersisted, acl: AclList, data_len: u32, crc: u32) -> Self {
        Record {
            stat,
            child_count: 0,
            data_len,
            crc,
            acl,
            digest: 0,
        }
    }
}

/// The overlay.
#[derive(Debug, Default)]
pub(super) struct Pending {
    entries: FxHashMap<Str, Entry>,
    changes: VecDeque<(Zxid, Str)>,
    digest: u64,
    /// Creations of ephemerals, in order; some are deleted again or undone.
    ephemerals: VecDeque<(Zxid, SessionId, Str)>,
    closing: FxHashSet<SessionId>,
    closes: VecDeque<(Zxid, SessionId)>,
    undo: Option<Undo>,
}

#[derive(Clone, Debug)]
struct Entry {
    zxid: Zxid,
    /// None: it will be gone.
    record: Option<Record>,
}

/// What brings the overlay back to before a multi.
#[derive(Debug)]
struct Undo {
    entries: Vec<(Str, Option<Entry>)>,
    changes: usize,
    digest: u64,
}

impl Pending {
    /// The znode at `path` as it will be, or None if it will not exist.
    pub fn get(&self, tree: &Tree, path: &str) -> Option<Record> {
        let path = root_as_empty(path);
        if let Some(entry) = self.entries.get(path) {
            return entry.record.clone();
        }
        let znode = tree.find(path)?;
        let (stat, crc) = (tree.persisted(znode), tree.path_data_crc(znode));
        let counted = tree.options().digest && digest::counts(path);
        Some(Record {
            digest: if counted {
                digest::znode_digest(crc, &stat)
            } else {
                0
            },
            stat,
            child_count: tree.child_count(znode),
            data_len: tree.data(znode).map_or(0, |data| data.len() as u32),
            crc,
            acl: tree.acl(znode).clone(),
        })
    }

    /// Whether there will be a znode at `path`.
    pub fn exists(&self, tree: &Tree, path: &str) -> bool {
        let path = root_as_empty(path);
        match self.entries.get(path) {
            Some(entry) => entry.record.is_some(),
            None => tree.find(path).is_some(),
        }
    }

    /// The znode at `path` becomes `record`, which came from [`Pending::get`] or is new.
    pub fn put(&mut self, tree: &Tree, zxid: Zxid, path: Str, mut record: Record) {
        let before = record.digest;
        if tree.options().digest && digest::counts(&path) {
            record.digest = digest::znode_digest(record.crc, &record.stat);
        }
        self.change(tree, before, record.digest);
        self.write(zxid, path, Some(record));
    }

    /// As [`Pending::put`] for a new ephemeral of `session`.
    pub fn put_ephemeral(
        &mut self,
        tree: &Tree,
        zxid: Zxid,
        session: SessionId,
        path: Str,
        record: Record,
    ) {
        self.ephemerals.push_back((zxid, session, path.clone()));
        self.put(tree, zxid, path, record);
    }

    /// The znode at `path`, which was `record`, will be gone.
    pub fn remove(&mut self, tree: &Tree, zxid: Zxid, path: Str, record: &Record) {
        self.change(tree, record.digest, 0);
        self.write(zxid, path, None);
    }

    /// What the tree will hash to.
    pub fn digest(&self, tree: &Tree) -> u64 {
        if self.changes.is_empty() {
            tree.digest()
        } else {
            self.digest
        }
    }

    /// Ephemerals `session` will own: those in the tree first, in its order, then those not yet
    /// there, in theirs.
    pub fn ephemerals_of(&self, tree: &Tree, session: SessionId) -> Vec<Str> {
        let owned = |entry: &Entry| {
            let record = entry.record.as_ref();
            record.is_some_and(|record| record.stat.ephemeral_owner == session.0)
        };
        let mut paths: Vec<Str> = tree
            .ephemerals(session)
            .filter(|path| self.entries.get(path.as_str()).is_none_or(owned))
            .map(Str::from)
            .collect();
        let new = self
            .ephemerals
            .iter()
            .filter(|(_, owner, _)| *owner == session);
        let mut new = new.peekable();
        if new.peek().is_some() {
            // A path may be created, deleted and created again, in the tree too.
            let mut seen: FxHashSet<Str> = paths.iter().cloned().collect();
            for (_, _, path) in new {
                if self.entries.get(path).is_some_and(owned) && seen.insert(path.clone()) {
                    paths.push(path.clone());
                }
            }
        }
        paths
    }

    /// From here on nothing of `session` may be accepted.
    pub fn close(&mut self, zxid: Zxid, session: SessionId) {
        self.closing.insert(session);
        self.closes.push_back((zxid, session));
    }

    /// Whether the end of `session` is judged but not applied.
    pub fn is_closing(&self, session: SessionId) -> bool {
        !self.closing.is_empty() && self.closing.contains(&session)
    }

    /// Starts to note what [`Pending::roll_back`] needs.
    pub fn begin(&mut self, tree: &Tree) {
        assert!(self.undo.is_none(), "a multi inside a multi");
        self.undo = Some(Undo {
            entries: Vec::new(),
            changes: self.changes.len(),
            digest: self.digest(tree),
        });
    }

    /// What was written since [`Pending::begin`] stays.
    pub fn commit(&mut self) {
        self.undo = None;
    }

    /// Everything is as it was at [`Pending::begin`].
    pub fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        for (path, before) in undo.entries.into_iter().rev() {
            match before {
                Some(entry) => self.entries.insert(path, entry),
                None => self.entries.remove(&path),
            };
        }
        self.changes.truncate(undo.changes);
        self.digest = undo.digest;
    }

    /// Forgets what the tree now holds: every change up to `upto`.
    pub fn applied(&mut self, upto: Zxid) {
        while self.changes.front().is_some_and(|(zxid, _)| *zxid <= upto) {
            let Some((_, path)) = self.changes.pop_front() else {
                break;
            };
            if self
                .entries
                .get(&path)
                .is_some_and(|entry| entry.zxid <= upto)
            {
                self.entries.remove(&path);
            }
        }
        while self
            .ephemerals
            .front()
            .is_some_and(|(zxid, _, _)| *zxid <= upto)
        {
            self.ephemerals.pop_front();
        }
        while self.closes.front().is_some_and(|(zxid, _)| *zxid <= upto) {
            let Some((_, session)) = self.closes.pop_front() else {
                break;
            };
            self.closing.remove(&session);
        }
        assert!(
            !self.changes.is_empty() || self.entries.is_empty(),
            "{} entries outlive their changes up to {upto}",
            self.entries.len()
        );
    }

    /// Number of changes judged but not applied.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    fn change(&mut self, tree: &Tree, before: u64, after: u64) {
        self.digest = self.digest(tree).wrapping_sub(before).wrapping_add(after);
    }

    fn write(&mut self, zxid: Zxid, path: Str, record: Option<Record>) {
        self.changes.push_back((zxid, path.clone()));
        let entry = Entry { zxid, record };
        match &mut self.undo {
            None => drop(self.entries.insert(path, entry)),
            Some(undo) => {
                let before = self.entries.insert(path.clone(), entry);
                undo.entries.push((path, before));
            }
        }
    }
}

/// Java keeps the root under "" and "/", and mixes them up when both are pending; here it has one
/// name.
fn root_as_empty(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

/// The name under which a change of `path` is noted.
pub(super) fn key(path: &Str) -> Str {
    if path == "/" {
        Str::default()
    } else {
        path.clone()
    }
}
