//! A tree from the parts of a snapshot.

use super::slot::{NONE, ROOT};
use super::{Tree, TreeOptions};
use crate::base::{Zxid, path};
use jute::data::{Acl, StatPersisted};

/// Takes a snapshot's sessions, ACL lists and znodes in the order of the file.
pub struct Loader {
    tree: Tree,
    /// The parent found last: files keep siblings together.
    parent: Option<(String, u32)>,
}

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
        Loader {
            tree: Tree::bare(options),
            parent: None,
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
    /// No parent, the same path again, no path at all, or an id as in [`Loader::acl`].
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
        if path.is_empty() {
            if self.tree.slab.len() > 0 {
                return Err(LoadError::Twice(path.to_owned()));
            }
            let acl = self.tree.acls.resolve(acl);
            self.tree.attach(NONE, "", "", data, acl, stat);
            return Ok(());
        }
        let name = path::name(path);
        let above = path::parent(path).filter(|&above| above != "/" && !name.is_empty());
        let above = above.ok_or_else(|| LoadError::NotAPath(path.to_owned()))?;
        let parent = self
            .parent(above)
            .ok_or_else(|| LoadError::NoParent(path.to_owned()))?;
        if self.tree.child(parent, name).is_some() {
            return Err(LoadError::Twice(path.to_owned()));
        }
        let acl = self.tree.acls.resolve(acl);
        self.tree.attach(parent, path, name, data, acl, stat);
        Ok(())
    }

    fn parent(&mut self, path: &str) -> Option<u32> {
        if let Some((known, at)) = &self.parent
            && known == path
        {
            return Some(*at);
        }
        let at = (self.tree.slab.len() > 0)
            .then(|| self.tree.locate(path))
            .flatten()?;
        self.parent = Some((path.to_owned(), at));
        Some(at)
    }

    /// The tree, as of `zxid`. Quotas are counted anew, ACL lists nobody uses are dropped, and what
    /// 3.4 did not have yet is added.
    ///
    /// # Errors
    /// No root.
    /// Source: `DataTree.deserialize`.
    pub fn finish(self, zxid: Zxid) -> Result<Tree, LoadError> {
        let mut tree = self.tree;
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
