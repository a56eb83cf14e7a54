//! The order of transactions: what was agreed, once, for all servers and for ever.
//!
//! - *Integrity*: what is delivered was broadcast, once, and one zxid is one transaction.
//! - *Total order*, *agreement*, *prefix consistency*: whatever any server delivers next is what every server delivers
//!   there, and leaves the same tree.
//! - *Local primary order*: an epoch's transactions are delivered from its first on, without a gap.
//! - *Global primary order*: none of a lower epoch comes after one of a higher epoch.
//!
//! Source: Zab (DSN 2011) section 4; `Zab.tla`: `Integrity`, `Agreement`, `TotalOrder`, `LocalPrimaryOrder`,
//! `GlobalPrimaryOrder`, `PrefixConsistency`.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use jute::ErrorCode;
use jute::data::Stat;
use jute::txn::{LoggedTxn, Txn};
use rustc_hash::{FxHashMap, FxHasher};

use super::watches::Events;
use super::{Held, holds, trees};
use crate::base::{ServerId, SessionId, Zxid, path};
use crate::sim::restores;
use crate::tree::{Change, ChangeKind, Tree, TreeOptions};

/// What was agreed so far.
pub(in crate::sim) struct Order {
    /// Every transaction that any leader ever made.
    made: BTreeMap<Zxid, Made>,
    agreed: Vec<Agreed>,
    index: BTreeMap<Zxid, usize>,
    begin: Zxid,
    /// The newest zxid that a restored database held.
    reach: Zxid,
    /// The tree after all of it.
    pub(in crate::sim) tree: Tree,
    versions: BTreeMap<String, Vec<Version>>,
    /// The names of the children of each znode, summed up.
    children: BTreeMap<String, u64>,
    pub(in crate::sim) events: Events,
    /// Where a session's end stands.
    pub(in crate::sim) closed: BTreeMap<SessionId, Zxid>,
    /// Sessions that a restored database did not know; their clients may not have heard of it.
    pub(in crate::sim) restored_away: BTreeSet<SessionId>,
    /// Sessions that were over, and which a restored database knew; a client may hear of their end after that.
    pub(in crate::sim) revived: BTreeSet<SessionId>,
    pub(in crate::sim) created: BTreeMap<SessionId, Zxid>,
    /// The position of each write in the order, by session and number.
    pub(in crate::sim) writes: FxHashMap<(SessionId, i32), Zxid>,
}

/// What has a place in the order, if it is agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Made {
    /// A transaction, as logs keep it.
    Txn(Bytes),
    /// A snapshot that was sent to a leader.
    Restored(Bytes),
}

/// One transaction that was agreed on.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Agreed {
    pub(in crate::sim) zxid: Zxid,
    pub(in crate::sim) digest: u64,
    pub(in crate::sim) session: SessionId,
    pub(in crate::sim) cxid: i32,
    /// What its client must be told.
    pub(in crate::sim) err: ErrorCode,
    /// Whether it did what was asked for.
    pub(in crate::sim) took_effect: bool,
}

/// A znode from one transaction on.
struct Version {
    zxid: Zxid,
    state: Option<State>,
}

/// What a read shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sim) struct State {
    pub(in crate::sim) data: Bytes,
    pub(in crate::sim) stat: Stat,
    /// The names of its children, as [`names_hash`] sums them up.
    pub(in crate::sim) children: u64,
}

impl Order {
    pub(in crate::sim) fn new(begin: Zxid) -> Self {
        let mut tree = Tree::new(TreeOptions::default());
        tree.set_last_zxid(begin);
        Order {
            made: BTreeMap::new(),
            agreed: Vec::new(),
            index: BTreeMap::new(),
            begin,
            reach: Zxid::ZERO,
            tree,
            versions: BTreeMap::new(),
            children: BTreeMap::new(),
            events: Events::default(),
            closed: BTreeMap::new(),
            restored_away: BTreeSet::new(),
            revived: BTreeSet::new(),
            created: BTreeMap::new(),
            writes: FxHashMap::default(),
        }
    }

    /// A server writes a transaction to its log.
    pub(in crate::sim) fn logged(&mut self, server: ServerId, zxid: Zxid, txn: &Bytes) -> Held {
        self.same(server, zxid, Made::Txn(txn.clone()))
    }

    /// A leader gives a snapshot that it was sent a place in the order.
    pub(in crate::sim) fn sent(&mut self, server: ServerId, zxid: Zxid, sent: &Bytes) -> Held {
        self.same(server, zxid, Made::Restored(sent.clone()))
    }

    /// A leader sends a transaction.
    pub(in crate::sim) fn said(&mut self, server: ServerId, zxid: Zxid, txn: &Bytes) -> Held {
        self.same(server, zxid, Made::Txn(txn.clone()))
    }

    fn same(&mut self, server: ServerId, zxid: Zxid, new: Made) -> Held {
        if let Some(made) = self.made.get(&zxid) {
            return holds(*made == new, "Integrity", || {
                format!("server {server} has another transaction at {zxid} than was made there")
            });
        }
        self.made.insert(zxid, new);
        Ok(())
    }

    /// The last transaction agreed on.
    pub(in crate::sim) fn last(&self) -> Zxid {
        self.agreed.last().map_or(self.begin, |agreed| agreed.zxid)
    }

    /// Every transaction after `agreed` and up to `base` of the epoch of `base`.
    pub(in crate::sim) fn made_between(&self, agreed: Zxid, base: Zxid) -> Vec<Zxid> {
        let first = Zxid(Zxid::first_of(base.epoch()).max(agreed).0 + 1);
        match first <= base {
            true => self
                .made
                .range(first..=base)
                .map(|(zxid, _)| *zxid)
                .collect(),
            false => Vec::new(),
        }
    }

    pub(in crate::sim) fn len(&self) -> usize {
        self.agreed.len()
    }

    pub(in crate::sim) fn nth(&self, nth: usize) -> &Agreed {
        &self.agreed[nth]
    }

    pub(in crate::sim) fn at(&self, zxid: Zxid) -> Option<&Agreed> {
        self.index.get(&zxid).map(|at| &self.agreed[*at])
    }

    /// The last one at or before a position.
    pub(in crate::sim) fn up_to(&self, zxid: Zxid) -> Zxid {
        let last = self.index.range(..=zxid).next_back();
        last.map_or(self.begin, |(zxid, _)| *zxid)
    }

    /// A server delivers a transaction, after which its tree hashes to `digest`.
    pub(in crate::sim) fn delivered(&mut self, server: ServerId, zxid: Zxid, digest: u64) -> Held {
        if zxid > self.last() {
            self.agree(server, zxid)?;
        }
        let agreed = self.at(zxid).map(|agreed| agreed.digest);
        holds(agreed.is_some(), "TotalOrder", || {
            let last = self.last();
            format!("server {server} delivers {zxid}, which was not agreed on before {last} was")
        })?;
        holds(agreed == Some(digest), "PrefixConsistency", || {
            format!("server {server}: another tree after {zxid} than the first that delivered it")
        })
    }

    /// A transaction of a confirmed history: it is the next one, or one of those before.
    pub(in crate::sim) fn agree_or_find(&mut self, server: ServerId, zxid: Zxid) -> Held {
        if zxid > self.last() {
            return self.agree(server, zxid);
        }
        holds(self.at(zxid).is_some(), "Agreement", || {
            format!("the history of leader {server} has {zxid}, later leaders did without")
        })
    }

    /// The next transaction is agreed on.
    pub(in crate::sim) fn agree(&mut self, server: ServerId, zxid: Zxid) -> Held {
        let last = self.last();
        let follows = match zxid.epoch() == last.epoch() {
            true => last.next() == Some(zxid),
            false => zxid.epoch() > last.epoch() && zxid.counter() == 1,
        };
        let property = match zxid.epoch() == last.epoch() {
            true => "LocalPrimaryOrder",
            false => "GlobalPrimaryOrder",
        };
        holds(follows, property, || {
            format!("server {server} delivers {zxid} after {last}")
        })?;
        let made = match self.made.get(&zxid).cloned() {
            Some(Made::Restored(sent)) => return self.replace(zxid, &sent),
            Some(Made::Txn(txn)) => Some(txn),
            None => None,
        };
        let logged = made.and_then(|made| LoggedTxn::read(made).ok());
        let Some(logged) = logged else {
            return holds(false, "Integrity", || {
                format!("server {server} delivers {zxid}, which nobody made")
            });
        };
        self.apply(zxid, &logged)
    }

    /// A restored database is agreed on: sessions and znodes are those that it knows.
    fn replace(&mut self, zxid: Zxid, sent: &Bytes) -> Held {
        let Some(mut tree) = restores::load(sent) else {
            return holds(false, "Integrity", || format!("{zxid} is no database"));
        };
        self.reach = tree.reach();
        tree.set_last_zxid(zxid);
        let old = std::mem::replace(&mut self.tree, tree);
        for (session, _) in old.sessions() {
            self.closed.insert(session, zxid);
            self.restored_away.insert(session);
        }
        for (session, _) in self.tree.sessions() {
            if self.closed.remove(&session).is_some() {
                self.revived.insert(session);
            }
            self.restored_away.remove(&session);
            self.created.entry(session).or_insert(zxid);
        }
        let mut paths = trees::paths(&old);
        paths.extend(trees::paths(&self.tree));
        self.children = paths
            .iter()
            .map(|path| (path.clone(), children(&self.tree, path)))
            .collect();
        for path in paths {
            self.remember(zxid, &path);
        }
        self.index.insert(zxid, self.agreed.len());
        self.agreed.push(Agreed {
            zxid,
            digest: self.tree.digest(),
            session: SessionId(0),
            cxid: 0,
            err: ErrorCode::OK,
            took_effect: false,
        });
        Ok(())
    }

    fn apply(&mut self, zxid: Zxid, logged: &LoggedTxn) -> Held {
        let reach = self.reach;
        holds(
            zxid > reach,
            "Integrity: no zxid is given out again",
            || format!("{zxid} is agreed on, and the restored database reaches to {reach}"),
        )?;
        let mut changes = Vec::new();
        let (header, txn) = (&logged.header, &logged.txn);
        let applied = self.tree.apply(header, txn, &mut changes);
        let session = SessionId(header.client_id);
        let predicted = logged
            .digest
            .as_ref()
            .map(|digest| digest.tree_digest as u64);
        let digest = self.tree.digest();
        holds(
            predicted.is_none_or(|predicted| predicted == digest),
            "S1: the digest of the leader is that of the tree",
            || format!("{zxid}: predicted {predicted:?}, the tree has {digest:#x}"),
        )?;
        let err = match (txn, &applied) {
            (Txn::Error(txn), _) => ErrorCode(txn.err),
            (_, crate::tree::Applied::One(outcome)) => outcome.err,
            _ => ErrorCode::OK,
        };
        let refused = match txn {
            Txn::Multi(ops) => ops.iter().any(|op| matches!(op, Txn::Error(_))),
            _ => false,
        };
        self.remember_all(zxid, &changes);
        if let Txn::SetAcl(set) = txn
            && let Some(path) = &set.path
        {
            self.remember(zxid, path);
        }
        let is_close = matches!(txn, Txn::CloseSession(_));
        self.begin_or_end(session, zxid, txn);
        let (cxid, before) = (header.cxid, self.closed.get(&session).copied());
        holds(
            is_close || refused || session.0 == 0 || before.is_none() || err != ErrorCode::OK,
            "nothing of a session comes after its end",
            || format!("{zxid} of session {session}, which ended at {before:?}"),
        )?;
        if session.0 != 0 && cxid > 0 {
            let twice = self.writes.insert((session, cxid), zxid);
            holds(twice.is_none(), "Integrity: a request is done once", || {
                format!("session {session} {cxid} is both {zxid} and {twice:?}")
            })?;
        }
        self.index.insert(zxid, self.agreed.len());
        self.agreed.push(Agreed {
            zxid,
            digest,
            session,
            cxid,
            err,
            took_effect: err == ErrorCode::OK && !refused,
        });
        let orphans = if is_close {
            self.tree.orphan_sessions()
        } else {
            Vec::new()
        };
        holds(
            orphans.is_empty(),
            "ephemerals end with their sessions",
            || format!("after {zxid} there are ephemerals of {orphans:?}"),
        )
    }

    fn remember_all(&mut self, zxid: Zxid, changes: &[Change]) {
        for change in changes {
            let parent = parent_of(&change.path);
            if change.kind != ChangeKind::DataChanged {
                // Created or deleted: the name comes or goes.
                let name = names_hash(std::iter::once(path::name(&change.path)));
                *self.children.entry(parent.clone()).or_default() ^= name;
            }
            self.events
                .happened(zxid, change.kind, &change.path, &parent);
            self.remember(zxid, &change.path);
            if change.kind != ChangeKind::DataChanged {
                self.remember(zxid, &parent);
            }
        }
    }

    fn begin_or_end(&mut self, session: SessionId, zxid: Zxid, txn: &Txn) {
        match txn {
            Txn::CloseSession(_) => {
                self.closed.insert(session, zxid);
            }
            Txn::CreateSession(_) => {
                self.created.insert(session, zxid);
                self.closed.remove(&session);
            }
            _ => {}
        }
    }

    fn remember(&mut self, zxid: Zxid, path: &str) {
        let state = self.tree.find(path).map(|znode| {
            let children = self.children.get(path).copied().unwrap_or(0);
            State {
                data: Bytes::copy_from_slice(self.tree.data(znode).unwrap_or_default()),
                stat: self.tree.stat(znode),
                children,
            }
        });
        let versions = self.versions.entry(path.to_owned()).or_default();
        match versions.last_mut() {
            Some(last) if last.zxid == zxid => last.state = state,
            _ => versions.push(Version { zxid, state }),
        }
    }

    /// What a server that is at `zxid` shows of a znode. Only of znodes that ever changed.
    pub(in crate::sim) fn state(&self, path: &str, zxid: Zxid) -> Option<&State> {
        let versions = self.versions.get(path)?;
        let after = versions.partition_point(|version| version.zxid <= zxid);
        versions[..after].last()?.state.as_ref()
    }
}

fn children(tree: &Tree, path: &str) -> u64 {
    let znode = tree.find(path);
    znode.map_or(0, |znode| names_hash(tree.children(znode)))
}

fn parent_of(path: &str) -> String {
    let parent = path::parent(path).filter(|parent| !parent.is_empty());
    parent.unwrap_or("/").to_owned()
}

/// A number that stands for a set of names.
pub(in crate::sim) fn names_hash<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    let hash = |name: &str| {
        let mut hasher = FxHasher::default();
        name.hash(&mut hasher);
        hasher.finish()
    };
    names.map(hash).fold(0, |sum, hash| sum ^ hash)
}
