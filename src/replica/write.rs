//! What is agreed: apply it, tell the watchers, answer the client, serve what rode behind it.
//!
//! Source: `FinalRequestProcessor.processRequest`.

use std::time::Duration;

use jute::proto::{MultiHeader, ReplyHeader};
use jute::txn::{CreateSessionTxn, ErrorTxn, LoggedTxn, Txn, TxnDigest};
use jute::{ErrorCode, Op, OpCode, Writer};

use super::conn::Conn;
use super::lane::Lane;
use super::member::Standing;
use super::queue::{Entry, Match, Wait};
use super::slow::Slow;
use super::{Replica, handshake};
use crate::base::flaw::Flaw;
use crate::base::{Mono, Now, SessionId, Zxid};
use crate::prep::DIGEST_VERSION;
use crate::tree::{Applied, Outcome, Tree};
use crate::zab::packet::Touch;
use crate::zab::{Effect, Proposal};

/// Transactions applied under one guard, after which waiting readers get their turn. Each counts as
/// one, and each change it makes as one more.
const COST_PER_GUARD: usize = 512;

impl Replica {
    /// Applies `first` and what the peer delivers behind it, in order, a bounded amount per guard of
    /// the gate. Returns the first effect behind these that is neither theirs nor for others.
    pub(super) fn deliver(&mut self, now: Now, first: Proposal) -> Option<Effect> {
        let gate = self.gate.clone();
        let mut next = Some(Effect::Deliver(first));
        while let Some(Effect::Deliver(proposal)) = &next {
            if let Some(id) = self.waited_for(proposal) {
                self.catch_up_fully(now, id);
            }
            let mut tree = gate.write();
            let mut cost = 0;
            while let Some(effect) = next.take() {
                let Effect::Deliver(proposal) = effect else {
                    next = Some(effect);
                    break;
                };
                cost += 1 + self.apply(now, &mut tree, proposal);
                next = self.next_own();
                let waits = match &next {
                    Some(Effect::Deliver(proposal)) => self.waited_for(proposal).is_some(),
                    _ => false,
                };
                if cost > COST_PER_GUARD || waits {
                    break;
                }
            }
            drop(tree);
            self.tell_audited();
            self.wakes.wake_all();
        }
        next
    }

    /// The session of `proposal`, if it has riders to be served first.
    fn waited_for(&self, proposal: &Proposal) -> Option<SessionId> {
        let id = SessionId(proposal.txn.header.client_id);
        self.lagging.contains_key(&id).then_some(id)
    }

    /// The next effect that is not for others.
    fn next_own(&mut self) -> Option<Effect> {
        loop {
            if let Some(own) = self.pass_on_next()? {
                return Some(own);
            }
        }
    }

    fn pass_on_next(&mut self) -> Option<Option<Effect>> {
        let effect = self.peer.next_effect()?;
        Some(self.pass_on(effect))
    }

    /// Returns how many changes it made.
    fn apply(&mut self, now: Now, tree: &mut Tree, proposal: Proposal) -> usize {
        let Proposal { zxid, txn, .. } = proposal;
        let mut changes = Vec::new();
        self.measure_apply(now, &txn);
        let forgets = Flaw::EphemeralsStayOnLearners.is_made()
            && self.standing == Standing::Learning
            && matches!(txn.txn, Txn::CloseSession(_));
        let applied = match forgets {
            true => tree.apply(&txn.header, &Txn::Error(ErrorTxn { err: 0 }), &mut changes),
            false => tree.apply(&txn.header, &txn.txn, &mut changes),
        };
        let pending = self.prep.outstanding();
        self.prep.applied(zxid);
        self.measures.settled((pending, self.prep.outstanding()));
        let metrics = &self.counters.metrics;
        self.gate.trigger(&changes, zxid, metrics, &mut self.wakes);
        self.compare_digest(tree, zxid, txn.digest.as_ref());
        let id = SessionId(txn.header.client_id);
        if matches!(txn.txn, Txn::CloseSession(_)) {
            self.audit_end(id, &changes);
        }
        match self.take_entry(id, zxid, &txn) {
            Match::First(entry) => self.answer(now, tree, id, entry, &txn.txn, &applied),
            Match::Nobody => {}
            Match::Confused => self.abandon(id),
        }
        if matches!(txn.txn, Txn::CloseSession(_)) {
            self.close(id);
        } else {
            self.ride_along(now, tree, id);
        }
        changes.len()
    }

    /// Who waits for this transaction.
    fn take_entry(&mut self, id: SessionId, zxid: Zxid, txn: &LoggedTxn) -> Match {
        let learns = self.standing == Standing::Learning;
        match (self.sessions.get_mut(&id), &txn.txn) {
            (Some(session), _) if learns => session.take_forwarded(&txn.header),
            (Some(session), _) => session
                .take_committed(zxid)
                .map_or(Match::Nobody, Match::First),
            (None, Txn::CreateSession(CreateSessionTxn { timeout })) if learns => {
                self.learning.begun.push(Touch {
                    session: id,
                    timeout_ms: *timeout,
                });
                Match::Nobody
            }
            (None, _) => Match::Nobody,
        }
    }

    fn answer(
        &mut self,
        now: Now,
        tree: &Tree,
        id: SessionId,
        mut entry: Entry,
        txn: &Txn,
        applied: &Applied,
    ) {
        let Wait::Commit {
            op,
            read_only,
            asked,
            ..
        } = &mut entry.wait
        else {
            return;
        };
        let (op, read_only) = (*op, *read_only);
        if let Some(asked) = asked.take() {
            self.audit(*asked, txn, applied);
        }
        let Some(lane) = self.sessions.get(&id).map(|session| session.lane.clone()) else {
            return;
        };
        let zxid = tree.last_zxid();
        self.measures.work.own += 1;
        self.measures.answered(Some(op), &entry, true);
        self.tell_if_slow(now, id, op, zxid, &entry, applied);
        if has_moved(txn) {
            // Its client is connected to another server by now. Source: `FinalRequestProcessor`,
            // SessionMovedException.
            entry.conn.outbox.finish(&mut self.wakes);
        } else if op == Op::CreateSession {
            handshake::welcome(&entry.conn, &lane, read_only, &mut self.wakes);
        } else {
            let err = match (txn, applied) {
                (Txn::Error(txn), _) => ErrorCode(txn.err),
                (_, Applied::One(outcome)) => outcome.err,
                (_, Applied::Multi(_)) => ErrorCode::OK,
            };
            let header = ReplyHeader {
                xid: entry.xid,
                zxid: zxid.0,
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
        self.answered(at - entry.received);
        if op != Op::CreateSession {
            self.leave(&lane, &entry.conn, entry.xid);
        }
    }

    /// One more request got its answer, so long after its reception.
    pub(super) fn answered(&mut self, took: Duration) {
        self.latencies
            .record_ms(took, &self.counters.metrics.stats.latency);
    }

    fn measure_apply(&mut self, now: Now, txn: &LoggedTxn) {
        self.measures.apply(&txn.header, self.standing, now.wall);
        self.measures.changed(&txn.txn);
        let metrics = &self.measures.metrics;
        if self.standing == Standing::Leading {
            metrics.commit_count.inc();
        }
        if self.member.is_some() {
            metrics.request_commit_queued.inc();
        }
    }

    fn tell_if_slow(
        &mut self,
        now: Now,
        session: SessionId,
        op: Op,
        zxid: Zxid,
        entry: &Entry,
        applied: &Applied,
    ) {
        let took = now.mono - entry.received;
        if !self.measures.slow.is_slow(took) {
            return;
        }
        let path = match applied {
            Applied::One(outcome) => outcome.path.as_deref(),
            Applied::Multi(outcomes) => outcomes.iter().find_map(|one| one.path.as_deref()),
        };
        let stages = self.measures.stages_of_write(entry);
        self.tell_slow(
            now.mono,
            &Slow {
                session,
                op: Some(op),
                path,
                zxid,
                took,
                stages,
            },
        );
    }

    pub(super) fn tell_slow(&mut self, now: Mono, slow: &Slow<'_>) {
        self.measures.metrics.slow_requests.inc();
        self.measures.slow.tell(now, slow);
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
        self.owners.remove(&id);
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.unlag(id);
        session.lane.set_closing();
        for entry in session.queue {
            self.drop_entry(&session.lane, &entry);
        }
        if let Some(conn) = session.conn.filter(|conn| !conn.outbox.has_last_word()) {
            conn.outbox.close(&mut self.wakes);
        }
    }

    /// A difference is a bug: this tree and the leader's disagree. It is counted, told once and harms nobody's
    /// data.
    /// Source: `DataTree.compareDigest`.
    fn compare_digest(&mut self, tree: &Tree, zxid: Zxid, predicted: Option<&TxnDigest>) {
        let comparable =
            |digest: &&TxnDigest| tree.options().digest && digest.version == DIGEST_VERSION;
        let Some(predicted) = predicted.filter(comparable) else {
            return;
        };
        if predicted.tree_digest as u64 == tree.digest() {
            return;
        }
        self.counters.metrics.digest_mismatches_count.inc();
        if !self.digest_differed {
            self.digest_differed = true;
            tracing::error!(
                "{zxid}: the tree hashes to {:#x} and not to {:#x} as predicted; please report this",
                tree.digest(),
                predicted.tree_digest
            );
        }
    }
}

/// Whether the leader refused it because the session is another server's now.
pub(super) fn has_moved(txn: &Txn) -> bool {
    let moved = |txn: &Txn| matches!(txn, Txn::Error(txn) if txn.err == ErrorCode::SESSION_MOVED.0);
    match txn {
        Txn::Multi(parts) => parts.iter().any(moved),
        txn => moved(txn),
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
