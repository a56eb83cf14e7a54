//! Transactions of a log over a snapshot that may already hold some of their effects.

use super::Tree;
use jute::txn::{Txn, TxnHeader};

impl Tree {
    /// Applies a transaction of a log during recovery; what is there already or gone already is no
    /// error.
    ///
    /// Java's snapshots hold all effects up to their zxid and any of later ones. Versions, data,
    /// ACLs and stats are set to what the transaction says, a parent's cversion and pzxid only ever
    /// grow, so replaying everything from the snapshot's zxid on gives the tree that a clean
    /// history gives.
    /// Source: `FileTxnSnapLog.processTransaction`, `DataTree.processTxn`.
    pub fn replay(&mut self, header: &TxnHeader, txn: &Txn) {
        self.process(header, txn, &mut super::apply::Heard::Nobody);
    }

    /// As [`Tree::replay`], and appends what changed.
    pub fn replay_telling(
        &mut self,
        header: &TxnHeader,
        txn: &Txn,
        changes: &mut Vec<super::Change>,
    ) {
        self.process(header, txn, &mut super::apply::Heard::By(changes));
    }
}
