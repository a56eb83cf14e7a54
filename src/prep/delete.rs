//! delete, and the deletion of containers and TTL znodes by the server itself.

use super::pending::{Record, key};
use super::{Case, next_version};
use crate::auth::perms;
use crate::base::path;
use crate::tree::{self, Kind};
use jute::proto::DeleteRequest;
use jute::txn::{DeleteTxn, Txn};
use jute::{ErrorCode, Str};

impl Case<'_> {
    pub(super) fn delete(&mut self, request: &DeleteRequest) -> Result<Txn, ErrorCode> {
        self.check_session()?;
        let path = request.path.as_ref().ok_or(ErrorCode::MARSHALLING_ERROR)?;
        let parent_path = deletable_parent(path)?;
        let parent = self.get(parent_path)?;
        self.check_acl(&parent.acl, perms::DELETE)?;
        let record = self.get(path)?;
        next_version(record.stat.version, request.version)?;
        if record.child_count > 0 {
            return Err(ErrorCode::NOT_EMPTY);
        }
        self.take_away(path, &record, parent_path, parent);
        Ok(Txn::Delete(DeleteTxn {
            path: Some(path.clone()),
        }))
    }

    /// No session and no permission is needed: only the server asks this.
    ///
    /// Differs from Java, which would also delete a persistent znode: between the look at the tree
    /// and this, the container may have been replaced by one.
    pub(super) fn delete_container(&mut self, path: &Str) -> Result<Txn, ErrorCode> {
        let parent_path = deletable_parent(path)?;
        let record = self.get(path)?;
        if record.child_count > 0 {
            return Err(ErrorCode::NOT_EMPTY);
        }
        match tree::kind(record.stat.ephemeral_owner, self.tree.options()) {
            Kind::Container | Kind::Ttl { .. } => {}
            Kind::Persistent | Kind::Ephemeral(_) => return Err(ErrorCode::BAD_VERSION),
        }
        let parent = self.get(parent_path)?;
        self.take_away(path, &record, parent_path, parent);
        Ok(Txn::DeleteContainer(DeleteTxn {
            path: Some(path.clone()),
        }))
    }

    /// Removes `record` at `path` and notes it on its parent.
    pub(super) fn take_away(
        &mut self,
        path: &Str,
        record: &Record,
        parent_path: &str,
        mut parent: Record,
    ) {
        parent.child_count = parent.child_count.saturating_sub(1);
        parent.stat.pzxid = parent.stat.pzxid.max(self.zxid.0);
        self.put(key(&path.share(parent_path)), parent);
        self.pending
            .remove(self.tree, self.zxid, path.clone(), record);
    }
}

/// Source: `PrepRequestProcessor.getParentPathAndValidate`.
fn deletable_parent(path: &str) -> Result<&str, ErrorCode> {
    let special = matches!(path, "/" | path::ZOOKEEPER | path::QUOTA | path::CONFIG);
    path::parent(path)
        .filter(|_| !special && !path.contains('\0'))
        .ok_or(ErrorCode::BAD_ARGUMENTS)
}
