//! A tree from the parts of a snapshot.

use super::index;
use super::slot::{NONE, ROOT};
use super::{Tree, TreeOptions, Znode};
use crate::base::flaw::Flaw;
use crate::base::{Zxid, path};
use jute::data::{Acl, StatPersisted};

/// Takes a snapshot's sessions, ACL lists and znodes in the order of the file.
pub struct Loader {
    tree: Tree,
    /// The znode taken last, and the lengths of the paths of it and those above it, with their
    /// slots: files are depth-first, so the next one's parent is among them.
    last: String,
    above: Vec<(usize, u32)>,
    /// Slots to be indexed together.
    unindexed: Vec<(u64, u32)>,
}

/// Slots that are indexed at once.
const BATCH: usize = 64;

/// Why a snapshot makes no tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A znode before its parent, or without one.
    #[error("znode {0} has no parent before it")]
    NoParent(String),
    /// The same path twice.
    #[error("znode {0} stands there twice")]
    Twice(String),
    /// Text that is no path.
    #[error("{0:?} is no path of a znode")]
    NotAPath(String),
    /// No znode with the empty path.
    #[error("there is no root")]
    NoRoot,
    /// Such an id cannot be given out again.
    #[error("ACL id {0} is out of range")]
    AclId(i64),
}

impl Loader {
    /// Nothing yet.
    pub fn new(options: TreeOptions) -> Loader {
        let mut tree = Tree::bare(options);
        tree.index.grow_fast(true, |_| 0);
        Loader {
            tree,
            last: String::new(),
            above: Vec::new(),
            unindexed: Vec::with_capacity(BATCH),
        }
    }

    /// A session and its timeout in ms.
    pub fn session(&mut self, id: i64, timeout: i32) {
        self.tree.sessions.insert(id, timeout);
    }

    /// A line of the ACL table.
    ///
    /// # Errors
    /// The highest possible id, after which there is no next.
    pub fn acl(&mut self, id: i64, list: Vec<Acl>) -> Result<(), LoadError> {
        if id == i64::MAX {
            return Err(LoadError::AclId(id));
        }
        self.tree.acls.define(id, list);
        Ok(())
    }

    /// A znode, the root with the empty path first. An `acl` that has no line permits nothing until
    /// the log says more.
    ///
    /// # Errors
    /// No parent, no path at all, an id as in [`Loader::acl`], or the same path again: this one or one
    /// of the last before it, as they are looked up together.
    pub fn znode(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: i64,
        stat: &StatPersisted,
    ) -> Result<(), LoadError> {
        if acl == i64::MAX {
            return Err(LoadError::AclId(acl));
        }
        let forgotten;
        let stat = match Flaw::CountersNotRestored.is_made() {
            true => {
                forgotten = StatPersisted {
                    cversion: 0,
                    ..stat.clone()
                };
                &forgotten
            }
            false => stat,
        };
        if path.is_empty() {
            if self.tree.slab.len() > 0 {
                return Err(LoadError::Twice(path.to_owned()));
            }
            let acl = self.tree.acls.resolve(acl);
            let at = self.tree.attach(NONE, "", "", data, acl, stat);
            self.above.push((0, at));
            return Ok(());
        }
        let name = path::name(path);
        let above = path::parent(path).filter(|&above| above != "/" && !name.is_empty());
        let above = above.ok_or_else(|| LoadError::NotAPath(path.to_owned()))?;
        let parent = self
            .parent(above)?
            .ok_or_else(|| LoadError::NoParent(path.to_owned()))?;
        if path != path::CONFIG {
            let newest = stat.czxid.max(stat.mzxid).max(stat.pzxid);
            self.tree.loaded_reach = self.tree.loaded_reach.max(Zxid(newest));
        }
        let acl = self.tree.acls.resolve(acl);
        let at = self
            .tree
            .attach_unindexed(parent, path, name, data, acl, stat);
        self.above.push((path.len(), at));
        self.last.replace_range(above.len().., &path[above.len()..]);
        self.unindexed.push((index::hash(parent, name), at));
        if self.unindexed.len() == BATCH {
            self.index()?;
        }
        Ok(())
    }

    /// The slot of `path`, which then is the last of `above`, and `last` begins with it.
    fn parent(&mut self, path: &str) -> Result<Option<u32>, LoadError> {
        while self.above.last().is_some_and(|(len, _)| *len > path.len()) {
            self.above.pop();
        }
        if let Some((len, at)) = self.above.last()
            && *len == path.len()
            && self.last.as_bytes().starts_with(path.as_bytes())
        {
            return Ok(Some(*at));
        }
        self.index()?;
        if self.tree.slab.len() == 0 {
            return Ok(None);
        }
        let found = self.tree.locate(path);
        if let Some(at) = found {
            self.above = vec![(path.len(), at)];
            path.clone_into(&mut self.last);
        }
        Ok(found)
    }

    /// Makes all slots so far findable.
    fn index(&mut self) -> Result<(), LoadError> {
        let slab = &self.tree.slab;
        let same = |a: u32, b: u32| {
            let (a, b) = (slab.get(a), slab.get(b));
            a.parent == b.parent && a.name() == b.name()
        };
        let index = &mut self.tree.index;
        let added = index.insert_all(&self.unindexed, same, |at| slab.hash_of(at));
        self.unindexed.clear();
        added.map_err(|at| LoadError::Twice(self.tree.path_of(Znode(at))))
    }

    /// The tree, as of `zxid`. Quotas are counted anew, ACL lists nobody uses are dropped, and what
    /// 3.4 did not have yet is added.
    ///
    /// # Errors
    /// No root, or a path that stood there twice.
    /// Source: `DataTree.deserialize`.
    pub fn finish(mut self, zxid: Zxid) -> Result<Tree, LoadError> {
        self.index()?;
        let mut tree = self.tree;
        let slab = &tree.slab;
        tree.index.grow_fast(false, |at| slab.hash_of(at));
        if tree.slab.len() == 0 {
            return Err(LoadError::NoRoot);
        }
        if let (Some(system), None) = (tree.child(ROOT, "zookeeper"), tree.locate(path::CONFIG)) {
            tree.attach_config(system);
        }
        tree.recount_quotas();
        tree.acls.purge_unused();
        tree.last_zxid = zxid;
        Ok(tree)
    }
}
