//! One server, whole, without sockets, files, clocks or threads.
//!
//! ```text
//!   connections, log, timers          Replica
//!   Input ---------- step(now, ..) --->  handshake | queue -> prep -> zab | zab -> tree, watches, outboxes
//!   disk, links     <-- take_outputs --  what is to be done, in order
//!   sleeping tasks  <-- wake -----------  after the gate is released
//! ```
//!
//! It routes and decides nothing itself: who may have a session is `handshake`'s, what a write does
//! is `prep`'s, the order is `zab`'s, what is true is the tree's.

pub mod conn;
pub mod gate;
mod handshake;
mod io;
pub mod lane;
pub mod large;
pub mod membership;
pub mod outbox;
mod queue;
mod read;
mod reaper;
pub mod request;
mod riders;
pub mod status;
mod throttle;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;

use self::conn::Conn;
use self::gate::Gate;
use self::lane::Lane;
use self::large::LargeRequest;
use self::outbox::Wakes;
use self::queue::{Entry, Session, Wait};
use self::reaper::Reaper;
use self::request::Request;
use self::riders::Lag;
use self::status::{Counters, Latencies};
use self::throttle::Throttle;
use crate::auth::Identities;
use crate::base::{Mono, Now, SessionId, Zxid};
use crate::prep::{Prep, PrepOptions, WriteRequest};
use crate::session::{IdSource, Tracker};
use crate::tree::Frozen;
use crate::zab::{Effect, Peer};

pub use self::io::{DiskOp, Input, Output};
pub use self::read::{Progress, Read};
pub use self::reaper::ReaperOptions;
pub use self::throttle::ThrottleOptions;

/// What a server is told once, at its start.
#[derive(Clone, Debug)]
pub struct ReplicaOptions {
    /// Length of a tick: sessions expire in steps of it.
    pub tick: Duration,
    /// Shortest session timeout a client can get.
    pub min_session_timeout: Duration,
    /// Longest session timeout a client can get.
    pub max_session_timeout: Duration,
    /// Top byte of new session ids.
    pub server_id: u8,
    /// How writes are judged.
    pub prep: PrepOptions,
    /// When containers and TTL znodes go.
    pub reaper: ReaperOptions,
    /// When requests wait.
    pub throttle: ThrottleOptions,
    /// Unsent bytes of a client from which on no further replies of its reads are made.
    pub reply_backlog_bytes: usize,
}

/// One server.
pub struct Replica {
    options: ReplicaOptions,
    gate: Arc<Gate>,
    counters: Arc<Counters>,
    peer: Peer,
    prep: Prep,
    tracker: Tracker,
    ids: IdSource,
    reaper: Reaper,
    sessions: FxHashMap<SessionId, Session>,
    looked: Mono,
    throttle: Throttle,
    lagging: BTreeMap<SessionId, Lag>,
    outputs: Vec<Output>,
    scratch: BytesMut,
    wakes: Wakes,
    latencies: Latencies,
    digest_differed: bool,
}

impl Replica {
    /// A standalone server over the recovered tree behind `gate`. Every session of the tree starts
    /// with its stored timeout, counted from `now`. Ephemerals whose session is unknown are
    /// proposed for deletion, so that the log tells of it (Java deletes them silently).
    pub fn standalone(
        options: ReplicaOptions,
        gate: Arc<Gate>,
        counters: Arc<Counters>,
        now: Now,
    ) -> Self {
        let mut tracker = Tracker::new(options.tick);
        let mut sessions = FxHashMap::default();
        let (prep, last, orphans) = gate.read(|tree| {
            for (id, timeout_ms) in tree.sessions() {
                let timeout = Duration::from_millis(timeout_ms.max(0) as u64);
                tracker.track(id, timeout, now.mono);
                let lane = Arc::new(Lane::new(id, timeout, now.mono));
                sessions.insert(id, Session::new(lane));
            }
            (
                Prep::new(options.prep.clone(), tree),
                tree.last_zxid(),
                tree.orphan_sessions(),
            )
        });
        let mut replica = Replica {
            ids: IdSource::new(options.server_id, now.mono.0),
            reaper: Reaper::new(options.reaper, now.mono),
            peer: Peer::standalone(last),
            looked: now.mono,
            throttle: Throttle::new(options.throttle),
            lagging: BTreeMap::new(),
            options,
            gate,
            counters,
            prep,
            tracker,
            sessions,
            outputs: Vec::new(),
            scratch: BytesMut::new(),
            wakes: Wakes::default(),
            latencies: Latencies::default(),
            digest_differed: false,
        };
        for session in orphans {
            replica.propose(
                now,
                session,
                0,
                &no_identities(),
                &WriteRequest::CloseSession,
            );
        }
        replica
    }

    /// Takes one input. Afterwards [`Replica::take_outputs`] may have more.
    pub fn step(&mut self, now: Now, input: Input) {
        if self.throttle.holds(&input) {
            self.throttle.hold(input);
        } else {
            self.take(now, input);
        }
        self.let_in(now);
    }

    fn take(&mut self, now: Now, input: Input) {
        match input {
            Input::Connect { conn, request } => self.connect(now, conn, &request),
            Input::Request {
                conn,
                lane,
                xid,
                request,
                ids,
                received,
                large,
            } => {
                self.request(now, conn, &lane, xid, request, ids, received, large);
            }
            Input::Gone { conn } => self.gone(&conn),
            Input::Drained { conn } => {
                if let Some(lane) = conn.lane.get() {
                    self.drained(lane.session());
                }
            }
            Input::Logged { upto } => {
                let done = crate::zab::io::Done::Logged { upto };
                self.peer.step(now.mono, crate::zab::Input::Done(done));
                self.deliver(now);
            }
            Input::Peer(_)
            | Input::SnapshotReceived { .. }
            | Input::Truncated { .. }
            | Input::Installed { .. } => {
                unreachable!("a server on its own has no peers and asks its disk for records only")
            }
        }
    }

    /// Does what is due: expires sessions, deletes containers and TTL znodes. To be called after
    /// every queued input was taken, so that a session heard of in time is not expired by a late
    /// look.
    pub fn tick(&mut self, now: Now) {
        if let Some(deadline) = self.tracker.next_deadline() {
            // Nobody could be heard while this process stood still; nobody is expired for it.
            if now.mono - deadline > self.options.tick {
                self.tracker.shift(now.mono - self.looked);
            }
        }
        self.looked = now.mono;
        let sessions = &self.sessions;
        let last_heard = |id| {
            sessions
                .get(&id)
                .map(|session: &Session| session.lane.last_heard())
        };
        for id in self.tracker.expire(now.mono, last_heard) {
            tracing::info!("session {id}: expired, no sign of life within its timeout");
            if let Some(session) = self.sessions.get(&id) {
                session.lane.set_closing();
            }
            self.propose(now, id, 0, &no_identities(), &WriteRequest::CloseSession);
        }
        if let Some(path) = self.reaper.take(now, &self.gate) {
            tracing::debug!("{path}: container or TTL znode is due for deletion");
            let request = WriteRequest::DeleteContainer(path);
            self.propose(now, SessionId(0), 0, &no_identities(), &request);
        }
    }

    /// When [`Replica::tick`] has something to do; `now` where it has to look again after a while.
    pub fn next_deadline(&self, now: Mono) -> Mono {
        let others = [
            self.tracker.next_deadline(),
            self.throttle.next_deadline(now),
        ];
        let reaper = self.reaper.next_deadline();
        others.into_iter().flatten().fold(reaper, Mono::min)
    }

    /// Moves what is to be done, oldest first, to `into`.
    pub fn take_outputs(&mut self, into: &mut Vec<Output>) {
        into.append(&mut self.outputs);
    }

    /// Wakes the connections that have something new, and publishes what was counted.
    pub fn wake(&mut self) {
        self.wakes.wake_all();
        self.counters.answered(&mut self.latencies);
    }

    /// Whether everything accepted is applied and, to clients that take their replies, answered.
    pub fn is_idle(&self) -> bool {
        self.peer.outstanding() == 0 && self.throttle.waiting() == 0 && !self.is_behind()
    }

    /// A view of the tree as it is now, for a snapshot. None while another is being written.
    pub fn freeze(&mut self) -> Option<Frozen> {
        self.gate.write().freeze()
    }

    /// Ends a view that [`Replica::freeze`] gave.
    pub fn thaw(&mut self, frozen: Frozen) {
        self.gate.write().thaw(frozen);
    }

    /// Sessions that are tracked.
    pub fn session_count(&self) -> usize {
        self.tracker.len()
    }

    #[allow(clippy::too_many_arguments)] // they are the fields of one input
    fn request(
        &mut self,
        now: Now,
        conn: Arc<Conn>,
        lane: &Arc<Lane>,
        xid: i32,
        request: Request,
        ids: Identities,
        received: Mono,
        large: Option<LargeRequest>,
    ) {
        let id = lane.session();
        if lane.is_closing() || !self.sessions.contains_key(&id) {
            // The session is over: dropped without an answer, as Java does. That the connection is
            // over is no reason: a client may hang up right behind its last write.
            self.leave(lane, &conn, xid);
            return;
        }
        let to = conn.clone();
        let entry = |wait| Entry {
            conn: to,
            xid,
            received,
            wait,
            large,
        };
        match request {
            Request::Read(request) => {
                let progress = Progress::default();
                let wait = Wait::Rider {
                    ids,
                    request,
                    progress,
                };
                self.ride(now, id, entry(wait));
            }
            Request::Write(request) => {
                if matches!(request, WriteRequest::CloseSession) {
                    lane.set_closing();
                }
                let Some(zxid) = self.peer.next_zxid() else {
                    self.leave(lane, &conn, xid);
                    return;
                };
                let op = op_of(&request);
                self.propose(now, id, xid, &ids, &request);
                let wait = Wait::Commit {
                    zxid,
                    op,
                    read_only: None,
                };
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.queue.push_back(entry(wait));
                }
            }
        }
    }

    /// Judges `request`, gives it the next zxid and owes it to the log.
    fn propose(
        &mut self,
        now: Now,
        session: SessionId,
        cxid: i32,
        ids: &Identities,
        request: &WriteRequest,
    ) {
        if matches!(request, WriteRequest::CloseSession) {
            self.tracker.mark_closing(session);
        }
        let Some(zxid) = self.peer.next_zxid() else {
            return;
        };
        let caller = crate::prep::Caller { session, cxid, ids };
        let (prep, tracker) = (&mut self.prep, &self.tracker);
        let txn = self
            .gate
            .read(|tree| prep.judge(tree, tracker, caller, request, zxid, now.wall));
        txn.write(&mut self.scratch);
        let payload = self.scratch.split().freeze();
        self.peer
            .propose(now.mono, crate::zab::Proposal { zxid, txn, payload });
        while let Some(effect) = self.peer.next_effect() {
            match effect {
                Effect::Append { zxid, payload } => self.append(zxid, payload),
                other => unreachable!("{other:?} of a server on its own that proposes"),
            }
        }
    }

    fn append(&mut self, zxid: Zxid, payload: Bytes) {
        self.outputs
            .push(Output::Disk(DiskOp::Append { zxid, payload }));
    }

    fn gone(&mut self, conn: &Arc<Conn>) {
        let Some(lane) = conn.lane.get() else { return };
        if let Some(session) = self.sessions.get_mut(&lane.session()) {
            session.conn.take_if(|current| current.id == conn.id);
        }
        self.drained(lane.session());
    }
}

/// For what the server does on its own.
fn no_identities() -> Identities {
    Identities::from([])
}

fn op_of(request: &WriteRequest) -> jute::Op {
    use jute::Op;
    match request {
        WriteRequest::Create(op, _) => *op,
        WriteRequest::CreateTtl(_) => Op::CreateTtl,
        WriteRequest::Delete(_) => Op::Delete,
        WriteRequest::SetData(_) => Op::SetData,
        WriteRequest::SetAcl(_) => Op::SetAcl,
        WriteRequest::Multi(_) => Op::Multi,
        WriteRequest::Reconfig(_) => Op::Reconfig,
        WriteRequest::DeleteContainer(_) => Op::DeleteContainer,
        WriteRequest::CreateSession { .. } => Op::CreateSession,
        WriteRequest::CloseSession => Op::CloseSession,
    }
}
