//! Reads that ride behind a write of their session, a bounded amount of work per guard.
//!
//! ```text
//!   write applied -> light riders at once, under its guard
//!                 -> the rest lags: chunk by chunk under guards of their own, between the
//!                    rounds of the loop, while the client takes its replies
//! ```
//!
//! Transactions of other sessions may be applied between two chunks, the session's own next one may
//! not.

use std::sync::Arc;

use super::Replica;
use super::lane::Lane;
use super::queue::{Entry, Wait};
use super::read::Read;
use super::slow::Slow;
use crate::base::{Now, SessionId, Zxid};
use crate::config::limits::RIDERS_PER_GUARD;
use crate::tree::Tree;

/// Why a session has riders left whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lag {
    /// The guard has been held long enough for them.
    Due,
    /// Their client does not take its replies. So many requests of the session wait for that, and
    /// are not counted as work of the server meanwhile.
    Full(usize),
}

/// What one guard may be used for.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    /// Riders.
    count: usize,
    /// Whether one that may be a lot of work is among them; it is the last then.
    heavy: bool,
    /// Whether to fill outboxes beyond their bound.
    any_backlog: bool,
}

impl Replica {
    /// Queues a rider; serves it if nothing of its session is before it.
    pub(super) fn ride(&mut self, now: Now, id: SessionId, entry: Entry) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.queue.push_back(entry);
        if session.queue.len() == 1 {
            self.catch_up_one(now, id, false);
        } else if let Some(Lag::Full(parked)) = self.lagging.get(&id).copied() {
            self.unlag(id);
            self.lag(id, Lag::Full(parked + 1));
        }
    }

    /// Serves light riders of `id` under the guard of the write they follow.
    pub(super) fn ride_along(&mut self, now: Now, tree: &Tree, id: SessionId) {
        let allowance = Allowance {
            count: RIDERS_PER_GUARD,
            heavy: false,
            any_backlog: false,
        };
        self.serve_riders(now, tree, id, allowance);
    }

    /// Goes on with what waits: lets in requests that the throttle holds, and serves a chunk of
    /// every session that lags, each under a guard of its own. To be called once per round of the
    /// loop.
    pub fn catch_up(&mut self, now: Now) {
        self.looked = now.mono;
        if self.throttle.waiting() > 0 {
            self.let_in(now);
            self.drain(now);
        }
        if self.lagging.is_empty() {
            return;
        }
        let due: Vec<SessionId> = self
            .lagging
            .iter()
            .filter_map(|(id, lag)| (*lag == Lag::Due).then_some(*id))
            .collect();
        for id in due {
            self.catch_up_one(now, id, false);
            self.wakes.wake_all();
        }
    }

    /// Whether [`Replica::catch_up`] has something to do at once.
    pub fn is_behind(&self) -> bool {
        self.lagging.values().any(|lag| *lag == Lag::Due)
    }

    /// Serves all riders of `id` that stand before its next transaction, which is about to be
    /// applied.
    pub(super) fn catch_up_fully(&mut self, now: Now, id: SessionId) {
        while self.lagging.contains_key(&id) {
            self.catch_up_one(now, id, true);
            self.wakes.wake_all();
        }
    }

    /// A connection of the session took what it is owed, or is gone: its riders go on.
    pub(super) fn drained(&mut self, id: SessionId) {
        if self.unlag(id) {
            self.lagging.insert(id, Lag::Due);
        }
    }

    /// The session does not lag for now. False if it did not before.
    pub(super) fn unlag(&mut self, id: SessionId) -> bool {
        let lag = self.lagging.remove(&id);
        if let Some(Lag::Full(parked)) = lag {
            self.counters.in_loop(parked as i64);
            self.throttle.resumed(parked);
        }
        lag.is_some()
    }

    fn lag(&mut self, id: SessionId, lag: Lag) {
        if let Lag::Full(parked) = lag {
            self.counters.in_loop(-(parked as i64));
            self.throttle.parked(parked);
        }
        self.lagging.insert(id, lag);
    }

    pub(super) fn catch_up_one(&mut self, now: Now, id: SessionId, any_backlog: bool) {
        let allowance = Allowance {
            count: RIDERS_PER_GUARD,
            heavy: true,
            any_backlog,
        };
        self.unlag(id);
        let gate = self.gate.clone();
        gate.read(|tree| self.serve_riders(now, tree, id, allowance));
    }

    /// Serves what of the session stands before its next write, as far as `allowance` goes; notes
    /// if that is not all.
    fn serve_riders(&mut self, now: Now, tree: &Tree, id: SessionId, allowance: Allowance) {
        let mut left = allowance.count;
        while let Some(session) = self.sessions.get_mut(&id) {
            let Some(mut entry) = session.take_rider() else {
                return;
            };
            let lane = session.lane.clone();
            let heavy = entry.is_heavy();
            let backlog = self.options.reply_backlog_bytes;
            let lag = if left == 0 || (heavy && !allowance.heavy) {
                Some(Lag::Due)
            } else if !allowance.any_backlog && !entry.conn.outbox.has_room(backlog) {
                Some(Lag::Full(session.queue.len() + 1))
            } else if self.serve_rider(now, tree, &lane, &mut entry) {
                left = if heavy { 0 } else { left - 1 };
                None
            } else {
                Some(Lag::Due)
            };
            if let (Some(lag), Some(session)) = (lag, self.sessions.get_mut(&id)) {
                session.queue.push_front(entry);
                self.lag(id, lag);
                return;
            }
        }
    }

    /// False if the rider needs another guard.
    fn serve_rider(&mut self, now: Now, tree: &Tree, lane: &Arc<Lane>, entry: &mut Entry) -> bool {
        let Wait::Rider {
            ids,
            request,
            progress,
        } = &mut entry.wait
        else {
            return true;
        };
        let read = Read {
            gate: &self.gate,
            tree,
            conn: &entry.conn,
            session: lane.session(),
            ids,
            xid: entry.xid,
        };
        let Some(zxid) = read.run(request, progress, &mut self.wakes) else {
            return false;
        };
        let (op, received) = (request.op(), entry.received);
        let took = now.mono - received;
        if let (Some(payload), Some(path)) = (progress.payload(), request.path()) {
            self.measures.read(path, payload);
        }
        let is_slow = self.measures.slow.is_slow(took);
        let path = request.path().filter(|_| is_slow).map(str::to_owned);
        self.measures.answered(op, entry, false);
        let stats = &entry.conn.stats;
        stats.answered(op, entry.xid, zxid, received, now.mono);
        self.answered(now.mono - received);
        self.leave(lane, &entry.conn, entry.xid);
        if is_slow {
            let stages = self.measures.stages_of_read(entry);
            self.tell_slow(
                now.mono,
                &Slow {
                    session: lane.session(),
                    op,
                    path: path.as_deref(),
                    zxid: Zxid(zxid),
                    took,
                    stages,
                },
            );
        }
        true
    }
}
