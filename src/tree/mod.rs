//! The znodes: what every server of an ensemble holds, equal after equal transactions.
//!
//! One writer applies transactions in zxid order ([`Tree::apply`] for those being committed,
//! [`Tree::replay`] for those of a log during recovery); any number of readers look, between two
//! writes, through a [`Znode`], and no read allocates. A transaction is seen whole or not at all,
//! and its zxid becomes [`Tree::last_zxid`] after its effects. Nothing here asks for time or
//! chance, and no order that shows depends on a hash.
//!
//! [`Tree::freeze`] gives a view of one zxid that a snapshot is written from while the tree goes on
//! changing.

mod acls;
mod apply;
pub mod digest;
mod freeze;
mod index;
mod load;
mod local;
mod owners;
mod payload;
pub mod quota;
mod read;
mod replay;
mod slab;
mod slot;
mod write;

#[cfg(test)]
mod tests;

pub use freeze::Frozen;
pub use load::{LoadError, Loader};
pub use owners::{CONTAINER, MAX_TTL, kind, ttl_owner};
pub use quota::{Quota, StatsTrack};
pub use read::DescendantWalk;

use crate::base::{SessionId, Zxid, path};
use acls::{Acls, OPEN};
use index::Index;
use jute::data::{Acl, Stat, StatPersisted};
use jute::{ErrorCode, Op, Str};
use owners::Owners;
use slab::Slab;
use slot::NONE;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// An ACL list that all znodes with the same one share.
pub type AclList = Arc<[Acl]>;

/// How owner values are read and whether digests are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeOptions {
    /// `zookeeper.extendedTypesEnabled`: whether an owner can be a time to live. Default false.
    pub extended_types: bool,
    /// `zookeeper.emulate353TTLNodes`: whether those of 3.5.3 count too. Default false.
    pub emulate_353_ttl: bool,
    /// `zookeeper.digest.enabled`: whether the tree's digest is kept. Default true.
    pub digest: bool,
}

impl Default for TreeOptions {
    fn default() -> Self {
        TreeOptions {
            extended_types: false,
            emulate_353_ttl: false,
            digest: true,
        }
    }
}

/// A znode that was found. Means nothing after the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Znode(u32);

/// The place of a znode among those of its session, to go on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ephemeral(SessionId, u32);

impl Ephemeral {
    /// Whose it is.
    pub fn session(self) -> SessionId {
        self.0
    }
}

/// What keeps a znode, or ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Until it is deleted.
    Persistent,
    /// Until that session closes.
    Ephemeral(SessionId),
    /// Until its last child is gone for a while.
    Container,
    /// Until it had no child and no setData for a while.
    Ttl {
        /// That while.
        ms: i64,
    },
}

/// What a watch may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The znode is new.
    Created,
    /// The znode is gone.
    Deleted,
    /// The znode's data was set, maybe to the same.
    DataChanged,
}

/// One effect of a transaction that watches hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which znode.
    pub path: Str,
    /// Who may know: the znode's ACL, for a deleted one its last.
    pub acl: AclList,
    /// Who may know that the parent's children changed; for [`ChangeKind::DataChanged`] the same as
    /// `acl`.
    pub parent_acl: AclList,
}

/// The result of one operation of a transaction.
/// Source: `DataTree.ProcessTxnResult`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// OK, the code of an error transaction, or what kept this one from being applied.
    pub err: ErrorCode,
    /// The type of the transaction; [`Op::Error`] for every op of a failed multi.
    pub op: Op,
    /// The znode it was about.
    pub path: Option<Str>,
    /// What clients see right after create2, createContainer, createTTL, setData, reconfig or
    /// setACL.
    pub stat: Option<Stat>,
}

/// What applying a transaction gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Anything but a multi.
    One(Outcome),
    /// Its ops in order. A failed multi has 0 before the op that failed, its code, and
    /// [`ErrorCode::RUNTIME_INCONSISTENCY`] behind it.
    Multi(Vec<Outcome>),
}

/// All znodes and sessions of one server at one zxid.
pub struct Tree {
    options: TreeOptions,
    slab: Slab,
    index: Index,
    acls: Acls,
    owners: Owners,
    quotas: quota::Active,
    sessions: BTreeMap<i64, i32>,
    last_zxid: Zxid,
    /// The newest zxid of any znode that was loaded.
    loaded_reach: Zxid,
    digest: u64,
    /// Digests at every 128th transaction, oldest first.
    noted: VecDeque<(Zxid, u64)>,
    data_size: u64,
    /// Number of freezes so far; slots made since the last one carry it.
    stamp: u32,
    view: Option<freeze::View>,
    /// What was applied, and the digest after it.
    #[cfg(any(test, feature = "sim"))]
    journal: Vec<(Zxid, u64)>,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree at {}", self.last_zxid)
    }
}

impl Tree {
    /// The tree of a database that never saw a transaction: the root, `/zookeeper`, its `quota` and
    /// its `config`, all stats zero but for the config's ACL version of -1.
    /// Source: `DataTree()`.
    pub fn new(options: TreeOptions) -> Tree {
        let mut tree = Tree::bare(options);
        let zero = StatPersisted::default();
        let root = tree.attach(NONE, "", "", Some(b""), OPEN, &zero);
        let system = tree.attach(root, path::ZOOKEEPER, "zookeeper", Some(b""), OPEN, &zero);
        tree.attach(system, path::QUOTA, "quota", Some(b""), OPEN, &zero);
        tree.attach_config(system);
        tree
    }

    /// Not even a root.
    fn bare(options: TreeOptions) -> Tree {
        Tree {
            options,
            slab: Slab::default(),
            index: Index::new(),
            acls: Acls::new(),
            owners: Owners::default(),
            quotas: quota::Active::default(),
            sessions: BTreeMap::new(),
            last_zxid: Zxid::ZERO,
            loaded_reach: Zxid::ZERO,
            digest: 0,
            noted: VecDeque::new(),
            data_size: 0,
            stamp: 0,
            view: None,
            #[cfg(any(test, feature = "sim"))]
            journal: Vec::new(),
        }
    }

    /// Source: `DataTree.addConfigNode`.
    fn attach_config(&mut self, system: u32) {
        let acl = self.acls.intern(Some(&[acls::world(1)]));
        let stat = StatPersisted {
            aversion: -1,
            ..StatPersisted::default()
        };
        self.attach(system, path::CONFIG, "config", Some(b""), acl, &stat);
    }
}
