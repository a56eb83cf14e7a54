//! What a member of an ensemble changes in its tree on its own, without a transaction. None of it is part of the
//! digest.

use super::payload::Edit;
use super::slot::ROOT;
use super::{Tree, Znode};
use crate::base::{Zxid, path};

impl Tree {
    /// An epoch is served: its marker is the position of a tree that holds none of its transactions yet.
    ///
    /// Source: `Leader.startZkServer`, `Learner.syncWithLeader` (`zk.setZxid`, `setlastProcessedZxid`).
    pub fn begin_epoch(&mut self, marker: Zxid) {
        self.last_zxid = self.last_zxid.max(marker);
    }

    /// Puts the text of the configuration, and its version, where clients look for it.
    ///
    /// Source: `ZKDatabase.initConfigInZKDatabase`.
    pub fn set_config(&mut self, text: &[u8], version: i64, now_ms: i64) {
        self.end_abandoned_view();
        if self.locate(path::CONFIG).is_none() {
            let Some(Znode(system)) = self.find(path::ZOOKEEPER) else {
                return;
            };
            debug_assert!(system != ROOT);
            self.attach_config(system);
        }
        let Some(at) = self.locate(path::CONFIG) else {
            return;
        };
        let edit = Edit {
            mzxid: version,
            mtime: now_ms,
            version: -1,
        };
        self.replace_data(at, path::CONFIG, Some(text), Some(edit));
    }
}
