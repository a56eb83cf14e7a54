//! Sessions begin and end.

use super::Case;
use crate::base::path;
use jute::Str;
use jute::txn::{CloseSessionTxn, CreateSessionTxn, Txn};

impl Case<'_> {
    pub(super) fn create_session(&self, timeout: i32) -> Txn {
        Txn::CreateSession(CreateSessionTxn { timeout })
    }

    /// Deletes all ephemerals the session will own, pending ones too, and lets nothing more of it
    /// pass.
    ///
    /// Differs from Java: the children also leave the pending child count of their parents.
    pub(super) fn close_session(&mut self) -> Txn {
        let session = self.caller.session;
        let paths = self.pending.ephemerals_of(self.tree, session);
        for path in &paths {
            self.end_ephemeral(path);
        }
        self.pending.close(self.zxid, session);
        Txn::CloseSession(Some(CloseSessionTxn { paths: Some(paths) }))
    }

    fn end_ephemeral(&mut self, path: &Str) {
        let parent_path = path::parent(path).unwrap_or_default();
        let (Ok(record), Ok(parent)) = (self.get(path), self.get(parent_path)) else {
            return;
        };
        self.take_away(path, &record, parent_path, parent);
    }
}
