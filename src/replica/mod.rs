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
//! is `prep`'s, the order is `zab`'s, what is true is the tree's. A server on its own leads an
//! ensemble of one; `leading` and `learning` are what a member does for clients besides.

mod auditing;
pub mod body;
pub mod conn;
mod doubts;
mod effects;
pub mod gate;
mod handshake;
mod io;
pub mod lane;
pub mod large;
mod leading;
mod learning;
mod measures;
mod member;
pub mod membership;
pub mod outbox;
mod queue;
mod read;
mod reaper;
pub mod request;
mod restore;
mod riders;
mod slow;
pub mod status;
mod throttle;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustc_hash::FxHashMap;

use self::conn::Conn;
use self::doubts::Doubts;
use self::gate::Gate;
use self::lane::Lane;
use self::large::LargeRequest;
use self::leading::Owner;
use self::learning::Learning;
use self::measures::Measures;
use self::member::{Membership, Received, Standing};
use self::outbox::Wakes;
use self::queue::{Entry, Mark, Session, Wait};
use self::reaper::Reaper;
use self::request::{ReadRequest, Request};
use self::restore::Restoring;
use self::riders::Lag;
use self::status::{Counters, EnsembleStatus};
use self::throttle::Throttle;
use crate::audit::Event as AuditEvent;
use crate::auth::Identities;
use crate::base::{Mono, Now, ServerId, SessionId, Stamp};
use crate::metrics::Batch;
use crate::prep::{Prep, PrepOptions, WriteRequest};
use crate::session::{IdSource, Tracker};
use crate::tree::{Frozen, Tree};
use crate::zab::Peer;
use crate::zab::io::{Done, Input as PeerInput, PeerOptions, Stored};
use crate::zab::packet::FromLearner;

pub use self::io::{DiskOp, Input, Output, RestoreRefused};
pub use self::measures::{Work, read_in};
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
    /// A request that takes longer is logged with its stages; None: none is.
    pub slow_request: Option<Duration>,
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
    standing: Standing,
    /// None: no member of an ensemble.
    member: Option<Membership>,
    /// As a leader: whose clients the sessions are.
    owners: FxHashMap<SessionId, Owner>,
    /// As a leader: sessions that it does not know.
    doubts: Doubts,
    learning: Learning,
    /// Lanes of the syncs that are not complete, in the order in which they will be.
    syncs: VecDeque<Arc<Lane>>,
    received: Option<Received>,
    /// The tree is about to go back: no snapshot is taken of what it is.
    going_back: bool,
    /// The database is about to be replaced by one that somebody sent.
    restoring: Restoring,
    ensemble: EnsembleStatus,
    outputs: Vec<Output>,
    scratch: BytesMut,
    wakes: Wakes,
    latencies: Batch,
    digest_differed: bool,
    /// Not told yet.
    audited: Vec<AuditEvent>,
    measures: Measures,
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
        let (last, orphans) = gate.read(|tree| (tree.last_zxid(), tree.orphan_sessions()));
        let peer = Peer::standalone(last);
        let mut replica = Replica::new(options, gate, counters, peer, now);
        replica.standing = Standing::Alone;
        let gate = replica.gate.clone();
        gate.read(|tree| replica.track_all(now, tree));
        replica.close_orphans(now, orphans);
        replica.drain(now);
        replica
    }

    /// A member of an ensemble over the recovered tree behind `gate`, which has applied all of
    /// `stored`'s log. It serves nobody before there is a leader.
    pub fn member(
        mut options: ReplicaOptions,
        gate: Arc<Gate>,
        counters: Arc<Counters>,
        peer_options: PeerOptions,
        stored: Stored,
        now: Now,
    ) -> Self {
        let membership = Membership {
            config: peer_options.config.clone(),
            config_version: peer_options.config_version,
            voters: peer_options.quorums.voters(),
            leader_serves: peer_options.tuning.leader_serves,
        };
        gate.join_ensemble();
        // Reconfiguration is not built: it is answered as where it is off.
        options.prep.reconfig_enabled = false;
        let mut peer = Peer::new(peer_options, stored);
        peer.tree_reaches(gate.read(Tree::reach));
        let mut replica = Replica::new(options, gate, counters, peer, now);
        replica.member = Some(membership);
        replica.measures.look(now.mono);
        replica.peer.start(now.mono);
        replica.drain(now);
        replica
    }

    fn new(
        options: ReplicaOptions,
        gate: Arc<Gate>,
        counters: Arc<Counters>,
        peer: Peer,
        now: Now,
    ) -> Self {
        let slow_request = options.slow_request;
        Replica {
            ids: IdSource::new(options.server_id, now.mono.0),
            reaper: Reaper::new(options.reaper, now.mono),
            tracker: Tracker::new(options.tick),
            prep: gate.read(|tree| Prep::new(options.prep.clone(), tree)),
            throttle: Throttle::new(options.throttle),
            looked: now.mono,
            peer,
            options,
            gate,
            measures: Measures::new(counters.metrics.clone(), slow_request),
            counters,
            sessions: FxHashMap::default(),
            lagging: BTreeMap::new(),
            standing: Standing::Looking,
            member: None,
            owners: FxHashMap::default(),
            doubts: Doubts::default(),
            learning: Learning::default(),
            syncs: VecDeque::new(),
            received: None,
            going_back: false,
            restoring: Restoring::default(),
            ensemble: EnsembleStatus::default(),
            outputs: Vec::new(),
            scratch: BytesMut::new(),
            wakes: Wakes::default(),
            latencies: Batch::default(),
            digest_differed: false,
            audited: Vec::new(),
        }
    }

    /// The protocol core, to be looked at.
    #[cfg(any(test, feature = "sim"))]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether the next thing that the disk installs is what was sent to this server, as a leader.
    #[cfg(any(test, feature = "sim"))]
    pub fn stores_what_was_sent(&self) -> bool {
        self.restoring.is_at_the_disk()
    }

    /// Puts a known mistake back.
    #[cfg(any(test, feature = "sim"))]
    pub fn err(&mut self, mistake: crate::zab::mistake::Mistake) {
        self.peer.err(mistake);
    }

    /// Takes one input. Afterwards [`Replica::take_outputs`] may have more.
    pub fn step(&mut self, now: Now, input: Input) {
        let Some(input) = self.restoring.let_in(input) else {
            return;
        };
        if self.throttle.holds(&input) {
            if self.throttle.is_full() {
                self.measures.metrics.request_throttle_wait_count.inc();
            }
            self.throttle.hold(input);
        } else {
            self.take(now, input);
            self.drain(now);
        }
        if self.throttle.waiting() > 0 {
            self.let_in(now);
            self.drain(now);
        }
        self.go_on_restoring(now);
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
                arrived,
                large,
            } => {
                self.request(
                    now, conn, &lane, xid, request, ids, received, arrived, large,
                );
            }
            Input::Gone { conn } => self.gone(&conn),
            Input::Drained { conn } => {
                if let Some(lane) = conn.lane.get() {
                    self.drained(lane.session());
                }
            }
            Input::Logged { upto } => {
                self.measures.log(upto);
                if let (Standing::Leading, Some(me)) = (self.standing, self.peer.leader()) {
                    self.measures.acknowledged(me, upto);
                }
                self.done(now, Done::Logged { upto });
            }
            Input::Peer(input) => {
                match &input {
                    PeerInput::LinkLost { link } => {
                        self.forget_received(*link);
                        self.measures.forget(*link);
                    }
                    PeerInput::FromLearner {
                        link,
                        packet: FromLearner::Ack(zxid),
                    } => {
                        if let Some(server) = self.peer.learner(*link) {
                            self.measures.acknowledged(server, *zxid);
                        }
                    }
                    PeerInput::FromLeader { packet, .. } => {
                        let serves = self.standing == Standing::Learning;
                        self.measures.hear(now.mono, now.wall, packet, serves);
                    }
                    PeerInput::Done(Done::NotTruncated) => self.going_back = false,
                    _ => {}
                }
                self.peer.step(now.mono, input);
            }
            Input::SnapshotReceived { link, tree } => {
                self.receive(link, tree);
                self.peer
                    .step(now.mono, PeerInput::SnapshotReceived { link });
            }
            Input::Truncated { tree } => {
                self.lose_restored();
                if let Some(tree) = tree {
                    self.replace_tree(tree);
                }
                self.going_back = false;
                self.done(now, Done::Truncated);
            }
            Input::Restore { tree } => self.restore(now, tree),
            Input::Installed { tree } if self.restoring.is_at_the_disk() => {
                self.restored(now, tree);
            }
            Input::Installed { tree } => {
                self.lose_restored();
                self.peer.tree_reaches(tree.reach());
                self.replace_tree(tree);
                self.done(now, Done::Installed);
            }
        }
    }

    fn done(&mut self, now: Now, done: Done) {
        self.peer.step(now.mono, PeerInput::Done(done));
    }

    /// Does what is due: expires sessions, deletes containers and TTL znodes. To be called after
    /// every queued input was taken, so that a session heard of in time is not expired by a late
    /// look.
    pub fn tick(&mut self, now: Now) {
        if self.restoring.is_installing() {
            return;
        }
        self.go_on_restoring(now);
        if self.member.is_some() {
            self.peer.tick(now.mono);
            self.drain(now);
        }
        if self.standing.orders() {
            self.expire(now);
            self.reap(now);
            self.drain(now);
        }
    }

    fn expire(&mut self, now: Now) {
        if let Some(deadline) = self.tracker.next_deadline() {
            // Nobody could be heard while this process stood still; nobody is expired for it.
            if now.mono - deadline > self.options.tick {
                self.tracker.shift(now.mono - self.looked);
            }
        }
        self.looked = now.mono;
        let (sessions, owners) = (&self.sessions, &self.owners);
        let last_heard = |id| last_heard(sessions, owners, id);
        for id in self.tracker.expire(now.mono, last_heard) {
            tracing::info!("session {id}: expired, no sign of life within its timeout");
            self.measures.metrics.stale_sessions_expired.inc();
            if let Some(session) = self.sessions.get(&id) {
                session.lane.set_closing();
            }
            self.order_own(now, id, &WriteRequest::CloseSession);
        }
    }

    fn reap(&mut self, now: Now) {
        if let Some(path) = self.reaper.take(now, &self.gate) {
            tracing::debug!("{path}: container or TTL znode is due for deletion");
            let request = WriteRequest::DeleteContainer(path);
            self.order_own(now, SessionId(0), &request);
        }
    }

    /// When [`Replica::tick`] has something to do; `now` where it has to look again after a while.
    /// Far away if there is nothing to wait for.
    pub fn next_deadline(&self, now: Mono) -> Mono {
        let orders = self.standing.orders();
        let own = [
            self.tracker.next_deadline().filter(|_| orders),
            Some(self.reaper.next_deadline()).filter(|_| orders),
            self.throttle.next_deadline(now),
            self.peer
                .next_deadline()
                .filter(|_| !self.restoring.is_installing()),
            self.restoring.deadline(),
        ];
        let far = now + Duration::from_secs(3600);
        own.into_iter().flatten().fold(far, Mono::min)
    }

    /// Moves what is to be done, oldest first, to `into`.
    pub fn take_outputs(&mut self, into: &mut Vec<Output>) {
        into.append(&mut self.outputs);
    }

    /// Wakes the connections that have something new, and publishes what was counted.
    pub fn wake(&mut self) {
        self.tell_audited();
        self.measures.flush(self.looked);
        self.wakes.wake_all();
        self.latencies.flush(&self.counters.metrics.stats.latency);
        self.publish_ensemble();
    }

    /// Whether everything accepted is applied and, to clients that take their replies, answered.
    pub fn is_idle(&self) -> bool {
        let open = match self.standing {
            Standing::Alone => self.peer.outstanding(),
            // Others have what it passed on, or the log has; nobody waits for it here any more.
            _ => 0,
        };
        open == 0 && self.throttle.waiting() == 0 && !self.is_behind()
    }

    /// A view of the tree as it is now, for a snapshot. None while another is being written, or the
    /// tree is about to go back.
    pub fn freeze(&mut self) -> Option<Frozen> {
        match self.going_back {
            true => None,
            false => self.gate.write().freeze(),
        }
    }

    /// Ends a view that [`Replica::freeze`] gave.
    pub fn thaw(&mut self, frozen: Frozen) {
        self.gate.write().thaw(frozen);
    }

    /// Sessions that live, as far as this server decides on that: a learner does not.
    pub fn session_count(&self) -> usize {
        self.tracker.len()
    }

    /// When each of these sessions expires if nobody hears of it any more; `None` for one that is unknown or closing.
    /// On a learner, who does not decide on that, for all of them.
    ///
    /// Source: `SessionTrackerImpl.getSessionExpiryMap`.
    pub fn expiries(&self, ids: &[SessionId]) -> Vec<Option<Mono>> {
        let expiry = |id: &SessionId| {
            let tracked = self.tracker.deadline(*id)?;
            let heard = last_heard(&self.sessions, &self.owners, *id);
            Some(heard.map_or(tracked, |(heard, timeout)| {
                self.tracker.bucket(heard + timeout)
            }))
        };
        ids.iter().map(expiry).collect()
    }

    /// From now on this is the time, to measure with.
    pub fn set_stamp(&mut self, stamp: Stamp) {
        self.measures.set_stamp(stamp);
        self.wakes.set_stamp(stamp);
    }

    /// What was done since this was asked last.
    pub fn take_work(&mut self) -> Work {
        std::mem::take(&mut self.measures.work)
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
        arrived: Stamp,
        large: Option<LargeRequest>,
    ) {
        self.measures.took(arrived);
        let taken = self.measures.at();
        let id = lane.session();
        let session = self.sessions.get(&id);
        let Some(session) = session.filter(|session| Arc::ptr_eq(&session.lane, lane)) else {
            // It is over, or goes on under another leader: dropped without an answer, as Java does.
            self.leave(lane, &conn, xid);
            return;
        };
        if lane.is_closing() {
            // That the connection is over is no reason: a client may hang up right behind its last
            // write.
            self.leave(lane, &conn, xid);
            return;
        }
        if session.holder != Some(conn.id) {
            self.leave(lane, &conn, xid);
            return;
        }
        let behind_sync = session.syncs > 0;
        let entry = |wait| Entry {
            conn: conn.clone(),
            xid,
            received,
            arrived,
            taken,
            wait,
            large,
        };
        match request {
            Request::Read(ReadRequest::Sync(path)) if self.standing != Standing::Alone => {
                self.queue(id, entry(Wait::Sync { ids, path }));
                self.sync(id, xid);
            }
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
                let op = op_of(&request);
                let asked = auditing::asked(&self.gate, id, &conn, &ids, &request);
                let commit = |mark| Wait::Commit {
                    mark,
                    op,
                    read_only: None,
                    asked,
                };
                if self.standing == Standing::Learning {
                    self.queue(id, entry(commit(Mark::Forwarded)));
                    self.forward(id, xid, op, body::of(&request), Some(&ids));
                } else if behind_sync {
                    self.queue(id, entry(Wait::Held { ids, request }));
                } else {
                    let mark = self.order(now, id, xid, &ids, Owner::Here, &request);
                    self.queue(id, entry(commit(mark)));
                }
            }
        }
    }

    fn queue(&mut self, id: SessionId, entry: Entry) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.queue.push_back(entry);
        }
    }

    fn votes(&self, server: ServerId) -> bool {
        let member = self.member.as_ref();
        member.is_some_and(|member| member.voters.contains(&server))
    }

    fn gone(&mut self, conn: &Arc<Conn>) {
        let Some(lane) = conn.lane.get() else { return };
        if let Some(session) = self.sessions.get_mut(&lane.session()) {
            session.conn.take_if(|current| current.id == conn.id);
        }
        self.drained(lane.session());
    }
}

/// Of the clients of learners, the learners tell.
fn last_heard(
    sessions: &FxHashMap<SessionId, Session>,
    owners: &FxHashMap<SessionId, Owner>,
    id: SessionId,
) -> Option<(Mono, Duration)> {
    let session = sessions.get(&id)?;
    let is_here = !matches!(owners.get(&id), Some(Owner::Link(_)));
    is_here.then(|| session.lane.last_heard())
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
