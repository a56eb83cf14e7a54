//! What is agreed: apply it, tell the watchers, answer the client, serve what rode behind it.
//!
//! Source: `FinalRequestProcessor.processRequest`.

use jute::proto::{MultiHeader, ReplyHeader};
use jute::txn::{Txn, TxnDigest};
use jute::{ErrorCode, Op, OpCode, Writer};

use super::conn::Conn;
use super::lane::Lane;
use super::queue::{Entry, Wait};
use super::{Replica, handshake};
use crate::base::{Now, SessionId, Zxid};
use crate::tree::{Applied, Outcome, Tree};
use crate::zab::{Effect, Proposal};

/// Transactions applied under one guard, after which waiting readers get their turn. Each counts as
/// one, and each change it makes as one more.
const COST_PER_GUARD: usize = 512;

impl Replica {
    /// Applies what the peer delivers, in order, a bounded amount per guard of the gate.
    pub(super) fn deliver(&mut self, now: Now) {
        let gate = self.gate.clone();
        let mut next = self.next_delivery();
        while next.is_some() {
            if let Some(id) = self.waited_for(next.as_ref()) {
                self.catch_up_fully(now, id);
            }
            let mut tree = gate.write();
            let mut cost = 0;
            while let Some(proposal) = next.take() {
                cost += 1 + self.apply(now, &mut tree, proposal);
                next = self.next_delivery();
                if cost > COST_PER_GUARD || self.waited_for(next.as_ref()).is_some() {
                    break;
                }
            }
            drop(tree);
            self.wakes.wake_all();
        }
    }

    /// The session of `proposal`, if it has riders to be served first.
    fn waited_for(&self, proposal: Option<&Proposal>) -> Option<SessionId> {
        let id = SessionId(proposal?.txn.header.client_id);
        self.lagging.contains_key(&id).then_some(id)
    }

    fn next_delivery(&mut self) -> Option<Proposal> {
        loop {
            match self.peer.next_effect()? {
                Effect::Deliver(proposal) => return Some(proposal),
                Effect::Append { zxid, payload } => self.append(zxid, payload),
                other => unreachable!("{other:?} of a server on its own"),
            }
        }
    }

    /// Returns how many changes it made.
    fn apply(&mut self, now: Now, tree: &mut Tree, proposal: Proposal) -> usize {
        let Proposal { zxid, txn, .. } = proposal;
        let mut changes = Vec::new();
        let applied = tree.apply(&txn.header, &txn.txn, &mut changes);
        self.prep.applied(zxid);
        self.gate.trigger(&changes, zxid, &mut self.wakes);
        self.compare_digest(tree, zxid, txn.digest.as_ref());
        let id = SessionId(txn.header.client_id);
        let committed = self
            .sessions
            .get_mut(&id)
            .and_then(|s| s.take_committed(zxid));
        if let Some(entry) = committed {
            self.answer(now, tree, id, entry, &txn.txn, &applied);
        }
        if matches!(txn.txn, Txn::CloseSession(_)) {
            self.close(id);
        } else {
            self.ride_along(now, tree, id);
        }
        changes.len()
    }

    fn answer(
        &mut self,
        now: Now,
        tree: &Tree,
        id: SessionId,
        entry: Entry,
        txn: &Txn,
        applied: &Applied,
    ) {
        let Wait::Commit {
            zxid,
            op,
            read_only,
        } = entry.wait
        else {
            return;
        };
        let Some(lane) = self.sessions.get(&id).map(|session| session.lane.clone()) else {
            return;
        };
        if op == Op::CreateSession {
            handshake::welcome(&entry.conn, &lane, read_only, &mut self.wakes);
        } else {
            let err = match (txn, applied) {
                (Txn::Error(txn), _) => ErrorCode(txn.err),
                (_, Applied::One(outcome)) => outcome.err,
                (_, Applied::Multi(_)) => ErrorCode::OK,
            };
            let header = ReplyHeader {
                xid: entry.xid,
                zxid: tree.last_zxid().0,
                err,
            };
            entry.conn.outbox.reply(&mut self.wakes, |out| {
                Writer::for_client(out).framed(|w| {
                    w.put(&header);
                    if err == ErrorCode::OK {
                        body(w, applied);
                    }
                });
            });
        }
        if op == Op::CloseSession {
            entry.conn.outbox.finish(&mut self.wakes);
        }
        let shown = (!matches!(txn, Txn::Error(_))).then_some(op);
        let at = now.mono;
        entry
            .conn
            .stats
            .answered(shown, entry.xid, zxid.0, entry.received, at);
        self.latencies.add(at - entry.received);
        if op != Op::CreateSession {
            self.leave(&lane, &entry.conn, entry.xid);
        }
    }

    /// The one place where a request leaves the loop, whatever ended it; its answer is in the
    /// outbox by now.
    pub(super) fn leave(&mut self, lane: &Lane, conn: &Conn, xid: i32) {
        self.throttle.finished();
        self.uncount(lane, conn, xid);
    }

    /// As [`Replica::leave`], for a request that was never let in.
    pub(super) fn uncount(&mut self, lane: &Lane, conn: &Conn, xid: i32) {
        conn.stats.request_done(xid);
        self.counters.in_loop(-1);
        if !lane.leave() {
            return;
        }
        // A connection may hold frames back until this: one that took the answer before the count
        // went down, or one that the session has moved to since. No answer is there to wake it.
        if let Some(session) = self.sessions.get(&lane.session())
            && let Some(conn) = &session.conn
        {
            conn.outbox.wake(&mut self.wakes);
        }
    }

    /// The session is closed: nothing of it is left behind, and its connection ends. A client that
    /// asked for it has its answer queued; one whose session expired is cut off without a word.
    fn close(&mut self, id: SessionId) {
        self.tracker.remove(id);
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.unlag(id);
        session.lane.set_closing();
        for entry in session.queue {
            self.leave(&session.lane, &entry.conn, entry.xid);
        }
        if let Some(conn) = session.conn.filter(|conn| !conn.outbox.has_last_word()) {
            conn.outbox.close(&mut self.wakes);
        }
    }

    /// A difference is a bug of ours: prep and tree disagree. It is told once and harms nobody's
    /// data.
    fn compare_digest(&mut self, tree: &Tree, zxid: Zxid, predicted: Option<&TxnDigest>) {
        let Some(predicted) = predicted.filter(|_| tree.options().digest) else {
            return;
        };
        if predicted.tree_digest as u64 != tree.digest() && !self.digest_differed {
            self.digest_differed = true;
            tracing::error!(
                "{zxid}: the tree hashes to {:#x} and not to {:#x} as predicted; please report this",
                tree.digest(),
                predicted.tree_digest
            );
        }
    }
}

/// What follows the header of a successful write.
fn body(w: &mut Writer<'_>, applied: &Applied) {
    match applied {
        Applied::One(outcome) => result(w, outcome),
        Applied::Multi(outcomes) => {
            for outcome in outcomes {
                multi_result(w, outcome);
            }
            w.put(&MultiHeader::END);
        }
    }
}

fn result(w: &mut Writer<'_>, outcome: &Outcome) {
    match outcome.op {
        Op::Create => w.text(outcome.path.as_deref()),
        Op::Create2 | Op::CreateContainer | Op::CreateTtl => {
            w.text(outcome.path.as_deref());
            w.put(&outcome.stat.clone().unwrap_or_default());
        }
        Op::SetData | Op::SetAcl => w.put(&outcome.stat.clone().unwrap_or_default()),
        _ => {}
    }
}

/// In a multi, containers and TTL znodes are answered as create2, and every failure carries its
/// code twice.
fn multi_result(w: &mut Writer<'_>, outcome: &Outcome) {
    if outcome.op == Op::Error {
        w.put(&MultiHeader {
            op: OpCode(-1),
            done: false,
            err: outcome.err.0,
        });
        w.i32(outcome.err.0);
        return;
    }
    let shown = match outcome.op {
        Op::CreateContainer | Op::CreateTtl => Op::Create2,
        op => op,
    };
    w.put(&MultiHeader {
        op: shown.into(),
        done: false,
        err: 0,
    });
    result(w, outcome);
}
