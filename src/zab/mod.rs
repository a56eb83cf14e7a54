//! The ordering protocol, without sockets, files, clocks or threads.
//!
//! ```text
//!   commit loop                         Peer
//!   a judged transaction  --- propose --->
//!   the log's progress    --- logged  --->
//!   log, commit sink      <-- next_effect -- Append, Deliver     (drain fully after every call)
//! ```
//!
//! A standalone server is a leader with a quorum of one: its own log. A proposal is delivered once the log says that
//! everything up to it is durable, never before, and strictly in zxid order.
//! Source: Zab (DSN 2011); `Leader.propose`, `Leader.tryToCommit`; for a quorum of one, `SyncRequestProcessor`.

pub mod election;
mod error;
pub mod history;
pub mod io;
pub mod packet;
pub mod quorum;
pub mod sync_plan;
pub mod timer;
pub mod vote;

pub use error::LinkError;

use std::collections::VecDeque;

use bytes::Bytes;
use jute::txn::LoggedTxn;

use crate::base::Zxid;

/// A transaction with its place in the order.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Where it stands.
    pub zxid: Zxid,
    /// What it does, decoded.
    pub txn: LoggedTxn,
    /// The same as the log and the wire carry it.
    pub payload: Bytes,
}

/// What the peer owes after a call; to be drained in order.
#[derive(Debug)]
pub enum Effect {
    /// Write `payload` to the log and report [`Peer::logged`] once it is durable.
    Append {
        /// zxid of the record.
        zxid: Zxid,
        /// The record.
        payload: Bytes,
    },
    /// Apply this transaction: it is durable and agreed.
    Deliver(Proposal),
}

/// A leader with a quorum of one.
///
/// Invariants, in this order at all times: `delivered <= logged <= proposed`; `outstanding` holds exactly the
/// proposals in `(delivered, proposed]`, oldest first.
#[derive(Debug)]
pub struct Peer {
    proposed: Zxid,
    logged: Zxid,
    delivered: Zxid,
    outstanding: VecDeque<Proposal>,
    effects: VecDeque<Effect>,
}

impl Peer {
    /// A peer whose log ends at `last`, all of it applied.
    pub fn standalone(last: Zxid) -> Self {
        Peer {
            proposed: last,
            logged: last,
            delivered: last,
            outstanding: VecDeque::new(),
            effects: VecDeque::new(),
        }
    }

    /// The zxid the next proposal gets. A server on its own simply counts on past the end of an epoch, as Java's
    /// does (`ZooKeeperServer.getNextZxid`).
    pub fn next_zxid(&self) -> Zxid {
        Zxid(self.proposed.0.wrapping_add(1))
    }

    /// zxid of the newest proposal, durable or not.
    pub fn last_proposed(&self) -> Zxid {
        self.proposed
    }

    /// Proposals not delivered yet.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Puts `proposal` into the order.
    ///
    /// # Panics
    /// If its zxid is not [`Peer::next_zxid`]: a bug of ours that would tear the order.
    pub fn propose(&mut self, proposal: Proposal) {
        assert_eq!(proposal.zxid, self.next_zxid(), "proposals are contiguous");
        self.proposed = proposal.zxid;
        let payload = proposal.payload.clone();
        self.effects.push_back(Effect::Append {
            zxid: proposal.zxid,
            payload,
        });
        self.outstanding.push_back(proposal);
    }

    /// Everything up to `upto` is durable in the log.
    ///
    /// # Panics
    /// If the log claims more than was proposed.
    pub fn logged(&mut self, upto: Zxid) {
        let proposed = self.proposed;
        assert!(
            upto <= proposed,
            "log reports {upto}, but only {proposed} was proposed"
        );
        self.logged = self.logged.max(upto);
        while self
            .outstanding
            .front()
            .is_some_and(|first| first.zxid <= self.logged)
        {
            let Some(proposal) = self.outstanding.pop_front() else {
                break;
            };
            self.delivered = proposal.zxid;
            self.effects.push_back(Effect::Deliver(proposal));
        }
        self.check();
    }

    /// What is owed next.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Asserts the invariants of the type.
    fn check(&self) {
        assert!(
            self.delivered <= self.logged && self.logged <= self.proposed,
            "{self:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use jute::txn::{ErrorTxn, Txn, TxnHeader};

    use super::*;

    fn proposal(zxid: Zxid) -> Proposal {
        let txn = Txn::Error(ErrorTxn { err: -101 });
        let header = TxnHeader {
            zxid: zxid.0,
            kind: txn.op().into(),
            ..TxnHeader::default()
        };
        Proposal {
            zxid,
            txn: LoggedTxn {
                header,
                txn,
                digest: None,
            },
            payload: Bytes::new(),
        }
    }

    fn delivered(peer: &mut Peer) -> Vec<i64> {
        std::iter::from_fn(|| peer.next_effect())
            .filter_map(|effect| match effect {
                Effect::Deliver(proposal) => Some(proposal.zxid.0),
                Effect::Append { .. } => None,
            })
            .collect()
    }

    #[test]
    fn nothing_is_delivered_before_it_is_durable() {
        let mut peer = Peer::standalone(Zxid(7));
        for _ in 0..3 {
            peer.propose(proposal(peer.next_zxid()));
        }
        assert_eq!(delivered(&mut peer), []);
        peer.logged(Zxid(9));
        assert_eq!(delivered(&mut peer), [8, 9]);
        peer.logged(Zxid(9));
        assert_eq!(delivered(&mut peer), []);
        peer.logged(Zxid(10));
        assert_eq!(delivered(&mut peer), [10]);
    }

    #[test]
    fn a_standalone_server_counts_past_the_end_of_an_epoch() {
        let peer = Peer::standalone(Zxid(0xffff_ffff));
        assert_eq!(peer.next_zxid(), Zxid(0x1_0000_0000));
    }
}
