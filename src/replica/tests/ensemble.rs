//! Three replicas with perfect links and instant disks, and time that passes when told to. Faults beyond a crash and
//! a cut link are the simulator's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jute::data::{Acl, StatPersisted};
use jute::txn::LoggedTxn;
use rand::Rng;
use rand::rngs::SmallRng;

use super::*;
use crate::base::{Epoch, ServerId};
use crate::tree::Loader;
use crate::zab::election::{LearnerType, Patience};
use crate::zab::history::{History, HistoryLimits, Logged};
use crate::zab::io::{LearnerKind, LinkId, Tuning};
use crate::zab::packet::{FromLeader, FromLearner};
use crate::zab::quorum::{QuorumSystem, Quorums};

pub(super) const CONFIG: &[u8] = b"server.1=a\nserver.2=b\nserver.3=c\nversion=0";
const TICK: Duration = Duration::from_millis(200);

/// What survives a crash.
#[derive(Default)]
pub(super) struct Stable {
    base: Option<Tree>,
    pub log: Vec<(Zxid, Bytes)>,
    accepted: Epoch,
    current: Epoch,
}

pub(super) struct Member {
    pub replica: Replica,
    pub gate: Arc<Gate>,
    pub counters: Arc<Counters>,
    pub stable: Stable,
    snapshots: BTreeMap<LinkId, Tree>,
}

struct Link {
    dialer: u64,
    acceptor: u64,
}

pub(super) struct Ensemble {
    pub now: Now,
    pub members: BTreeMap<u64, Member>,
    down: BTreeMap<u64, Stable>,
    observers: BTreeSet<u64>,
    links: BTreeMap<LinkId, Link>,
    last_link: u64,
    conns: u64,
    inbox: VecDeque<(u64, Input)>,
    /// Packets of these kinds over the quorum port are kept back.
    pub stalled: fn(&FromLeader) -> bool,
    pub kept: Vec<(LinkId, FromLeader)>,
    /// The next request that a learner passes on never arrives.
    pub lose_next_request: bool,
    history: HistoryLimits,
    tuning: Tuning,
    /// Which server goes on next, where that is left to chance.
    pub chance: Option<SmallRng>,
}

impl Ensemble {
    /// Three voters, of which one leads.
    pub fn of_three() -> Ensemble {
        Ensemble::new(&[1, 2, 3], &[], 1000)
    }

    pub fn new(servers: &[u64], observers: &[u64], history: usize) -> Ensemble {
        Ensemble::tuned(servers, observers, history, Tuning::default())
    }

    /// The same, with settings that few operators change.
    pub fn tuned(servers: &[u64], observers: &[u64], history: usize, tuning: Tuning) -> Ensemble {
        let now = Now {
            mono: Mono(1_000_000),
            wall: WallMs(1_700_000_000_000),
        };
        let mut ensemble = Ensemble {
            now,
            members: BTreeMap::new(),
            down: servers.iter().map(|id| (*id, Stable::default())).collect(),
            observers: observers.iter().copied().collect(),
            links: BTreeMap::new(),
            last_link: 0,
            conns: 0,
            inbox: VecDeque::new(),
            stalled: |_| false,
            kept: Vec::new(),
            lose_next_request: false,
            history: HistoryLimits {
                count: history,
                bytes: 1 << 20,
            },
            tuning,
            chance: None,
        };
        for id in servers {
            ensemble.start(*id);
        }
        ensemble.settle();
        ensemble
    }

    fn peer_options(&self, id: u64) -> PeerOptions {
        let all = self.members.keys().chain(self.down.keys());
        let voters = all.filter(|id| !self.observers.contains(id));
        let voters: BTreeSet<_> = voters
            .map(|id| ServerId(*id as i64))
            .chain([ServerId(id as i64)])
            .collect();
        PeerOptions {
            tuning: self.tuning,
            me: ServerId(id as i64),
            learner: match self.observers.contains(&id) {
                true => LearnerType::Observer,
                false => LearnerType::Participant,
            },
            quorums: Quorums::new(QuorumSystem::Majority { voters }, None),
            config: Bytes::from_static(CONFIG),
            config_version: 0,
            tick: TICK,
            init_limit: TICK * 10,
            sync_limit: TICK * 5,
            patience: Patience::default(),
            history: self.history,
        }
    }

    /// Starts a server over what its disk holds.
    pub fn start(&mut self, id: u64) {
        let options = self.peer_options(id);
        let mut stable = self.down.remove(&id).unwrap();
        let mut tree = match &mut stable.base {
            Some(base) => copy(base),
            None => Tree::new(TreeOptions::default()),
        };
        let mut history = History::after(tree.last_zxid(), self.history);
        let base = tree.last_zxid();
        for (zxid, payload) in &stable.log {
            let logged = LoggedTxn::read(payload.clone()).unwrap();
            tree.replay(&logged.header, &logged.txn);
            history.push(Logged {
                zxid: *zxid,
                txn: payload.clone(),
            });
        }
        let stored = Stored {
            accepted_epoch: stable.accepted,
            current_epoch: stable.current,
            history,
            log_whole_after: base,
            trusted: true,
        };
        let gate = Arc::new(Gate::new(tree, AuthOptions::default(), 1 << 20));
        let counters = Arc::new(Counters::default());
        let replica_options = ReplicaOptions {
            server_id: id as u8,
            ..options_of(ThrottleOptions::default(), 1 << 20)
        };
        let replica = Replica::member(
            replica_options,
            gate.clone(),
            counters.clone(),
            options,
            stored,
            self.now,
        );
        let member = Member {
            replica,
            gate,
            counters,
            stable,
            snapshots: BTreeMap::new(),
        };
        self.members.insert(id, member);
        for other in self
            .members
            .keys()
            .copied()
            .filter(|other| *other != id)
            .collect::<Vec<_>>()
        {
            for (to, server) in [(id, other), (other, id)] {
                let server = ServerId(server as i64);
                self.hand(
                    to,
                    Input::Peer(PeerInput::ElectionLink { server, up: true }),
                );
            }
        }
        self.run();
    }

    /// What the disk of a server that is down held is gone.
    pub fn wipe(&mut self, id: u64) {
        self.down.insert(id, Stable::default());
    }

    /// The connection of a learner to its leader.
    pub fn link_of(&self, learner: u64) -> LinkId {
        let mut links = self.links.iter();
        *links.find(|(_, link)| link.dialer == learner).unwrap().0
    }

    /// Kills a server; others see its links break.
    pub fn crash(&mut self, id: u64) {
        let Some(member) = self.members.remove(&id) else {
            return;
        };
        for conn in member.gate.conns() {
            conn.outbox.close(&mut Wakes::default());
        }
        self.down.insert(id, member.stable);
        self.inbox.retain(|(to, _)| *to != id);
        let links: Vec<_> = self
            .links
            .iter()
            .filter(|(_, l)| l.dialer == id || l.acceptor == id)
            .map(|(l, _)| *l)
            .collect();
        for link in links {
            self.cut(link);
        }
        let server = ServerId(id as i64);
        for other in self.members.keys().copied().collect::<Vec<_>>() {
            self.hand(
                other,
                Input::Peer(PeerInput::ElectionLink { server, up: false }),
            );
        }
        self.run();
    }

    fn cut(&mut self, link: LinkId) {
        if let Some(Link { dialer, acceptor }) = self.links.remove(&link) {
            for end in [dialer, acceptor] {
                self.hand(end, Input::Peer(PeerInput::LinkLost { link }));
            }
        }
    }

    /// Breaks the connection between a learner and its leader.
    pub fn disconnect(&mut self, learner: u64) {
        let links: Vec<_> = self
            .links
            .iter()
            .filter(|(_, l)| l.dialer == learner)
            .map(|(l, _)| *l)
            .collect();
        for link in links {
            self.cut(link);
        }
        self.run();
    }

    fn hand(&mut self, to: u64, input: Input) {
        if self.members.contains_key(&to) {
            self.inbox.push_back((to, input));
        }
    }

    /// Everything that can happen without time happens.
    pub fn run(&mut self) {
        self.run_some(usize::MAX);
    }

    /// At most so many inputs are taken.
    pub fn run_some(&mut self, inputs: usize) {
        for _ in 0..inputs {
            for id in self.members.keys().copied().collect::<Vec<_>>() {
                self.collect(id);
            }
            let Some((to, input)) = self.next_input() else {
                return;
            };
            if let Some(member) = self.members.get_mut(&to) {
                member.replica.step(self.now, input);
                while member.replica.is_behind() {
                    member.replica.catch_up(self.now);
                }
                member.replica.wake();
            }
        }
    }

    /// Each server takes what it is handed in its order.
    fn next_input(&mut self) -> Option<(u64, Input)> {
        let Some(chance) = &mut self.chance else {
            return self.inbox.pop_front();
        };
        let any = chance.random_range(0..self.inbox.len().max(1));
        let (to, _) = self.inbox.get(any)?;
        let first = self.inbox.iter().position(|(other, _)| other == to)?;
        self.inbox.remove(first)
    }

    /// Hands an input to one server only, and runs.
    pub fn step(&mut self, id: u64, input: Input) {
        self.hand(id, input);
        self.run();
    }

    fn collect(&mut self, id: u64) {
        let mut outputs = Vec::new();
        self.members
            .get_mut(&id)
            .unwrap()
            .replica
            .take_outputs(&mut outputs);
        let mut logged = None;
        for output in outputs {
            if let Output::Disk(DiskOp::Append { zxid, payload }) = output {
                self.members
                    .get_mut(&id)
                    .unwrap()
                    .stable
                    .log
                    .push((zxid, payload));
                logged = Some(zxid);
                continue;
            }
            if let (Output::Disk(_), Some(upto)) = (&output, logged) {
                self.hand(id, Input::Logged { upto });
                logged = None;
            }
            self.carry_out(id, output);
        }
        if let Some(upto) = logged {
            self.hand(id, Input::Logged { upto });
        }
    }

    fn carry_out(&mut self, id: u64, output: Output) {
        match output {
            Output::Disk(op) => self.disk(id, op),
            Output::Notify { to, notification } => {
                let from = ServerId(id as i64);
                let input = PeerInput::Notification { from, notification };
                self.hand(to.0 as u64, Input::Peer(input));
            }
            Output::Dial { leader } => {
                let acceptor = leader.0 as u64;
                if !self.members.contains_key(&acceptor) {
                    return self.hand(id, Input::Peer(PeerInput::LeaderUnreachable));
                }
                self.last_link += 1;
                let link = LinkId(self.last_link);
                self.links.insert(
                    link,
                    Link {
                        dialer: id,
                        acceptor,
                    },
                );
                self.hand(id, Input::Peer(PeerInput::LeaderReached { link }));
            }
            Output::ToLeader { link, packet } => self.send_up(link, packet),
            Output::ToLearner { link, packet } => match (self.stalled)(&packet) {
                true => self.kept.push((link, packet)),
                false => self.send_down(link, packet),
            },
            Output::Close { link } => {
                let ends = self.links.remove(&link);
                if let Some(Link { dialer, acceptor }) = ends {
                    let other = if dialer == id { acceptor } else { dialer };
                    self.hand(other, Input::Peer(PeerInput::LinkLost { link }));
                }
            }
            Output::ReportDrained { link } => {
                self.hand(id, Input::Peer(PeerInput::Drained { link }))
            }
            Output::MakeSnapshot { link, .. } => {
                let member = self.members.get_mut(&id).unwrap();
                let tree = copy(&mut member.gate.write());
                let zxid = Some(tree.last_zxid());
                member.snapshots.insert(link, tree);
                self.hand(id, Input::Peer(PeerInput::SnapshotReady { link, zxid }));
            }
            Output::StreamSnapshot { link } => {
                let tree = self
                    .members
                    .get_mut(&id)
                    .unwrap()
                    .snapshots
                    .remove(&link)
                    .unwrap();
                if let Some(Link { dialer, .. }) = self.links.get(&link) {
                    let tree = Box::new(tree);
                    self.hand(*dialer, Input::SnapshotReceived { link, tree });
                }
            }
            Output::ReadLog { link, after, upto } => {
                let log = &self.members[&id].stable.log;
                let wanted = log
                    .iter()
                    .filter(|(zxid, _)| *zxid > after && *zxid <= upto);
                let records = wanted.map(|(zxid, txn)| Logged {
                    zxid: *zxid,
                    txn: txn.clone(),
                });
                let records = Some(records.collect());
                self.hand(id, Input::Peer(PeerInput::LogRead { link, records }));
            }
            Output::ProbeLog { link, learner } => {
                let log = &self.members[&id].stable.log;
                let usable = log.iter().any(|(zxid, _)| *zxid == learner);
                self.hand(id, Input::Peer(PeerInput::LogProbed { link, usable }));
            }
            Output::Discard(tree) => drop(tree),
            Output::Restored(outcome) => assert_eq!(outcome, Ok(())),
        }
    }

    fn disk(&mut self, id: u64, op: DiskOp) {
        let stable = &mut self.members.get_mut(&id).unwrap().stable;
        let done = match op {
            DiskOp::Append { .. } => unreachable!("collected"),
            DiskOp::SaveAcceptedEpoch(epoch) => {
                stable.accepted = epoch;
                Input::Peer(PeerInput::Done(Done::AcceptedEpoch(epoch)))
            }
            DiskOp::SaveCurrentEpoch(epoch) => {
                stable.current = epoch;
                Input::Peer(PeerInput::Done(Done::CurrentEpoch(epoch)))
            }
            DiskOp::Truncate { to, reload } => {
                stable.log.retain(|(zxid, _)| *zxid <= to);
                let tree = reload.then(|| {
                    let mut tree = match &mut stable.base {
                        Some(base) => copy(base),
                        None => Tree::new(TreeOptions::default()),
                    };
                    for (_, payload) in &stable.log {
                        let logged = LoggedTxn::read(payload.clone()).unwrap();
                        tree.replay(&logged.header, &logged.txn);
                    }
                    Box::new(tree)
                });
                Input::Truncated { tree }
            }
            DiskOp::InstallSnapshot { zxid, mut tree } => {
                tree.set_last_zxid(zxid);
                stable.log.clear();
                stable.base = Some(copy(&mut tree));
                Input::Installed { tree }
            }
        };
        self.hand(id, done);
    }

    fn send_up(&mut self, link: LinkId, packet: FromLearner) {
        let Some(Link { acceptor, .. }) = self.links.get(&link) else {
            return;
        };
        if matches!(packet, FromLearner::Request(_)) && std::mem::take(&mut self.lose_next_request)
        {
            return;
        }
        let input = match packet {
            FromLearner::FollowerInfo(registration) => PeerInput::Joined {
                link,
                kind: LearnerKind::Follower,
                registration,
            },
            FromLearner::ObserverInfo(registration) => PeerInput::Joined {
                link,
                kind: LearnerKind::Observer,
                registration,
            },
            packet => PeerInput::FromLearner { link, packet },
        };
        self.hand(*acceptor, Input::Peer(input));
    }

    pub fn send_down(&mut self, link: LinkId, packet: FromLeader) {
        if let Some(Link { dialer, .. }) = self.links.get(&link) {
            self.hand(*dialer, Input::Peer(PeerInput::FromLeader { link, packet }));
        }
    }

    /// What was kept back arrives.
    pub fn unstall(&mut self) {
        self.stalled = |_| false;
        for (link, packet) in std::mem::take(&mut self.kept) {
            self.send_down(link, packet);
        }
        self.run();
    }

    /// Time passes, in steps.
    pub fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(20) {
            self.now.mono = self.now.mono + Duration::from_millis(20);
            self.now.wall.0 += 20;
            for member in self.members.values_mut() {
                if self.now.mono >= member.replica.next_deadline(self.now.mono) {
                    member.replica.tick(self.now);
                }
            }
            self.run();
        }
    }

    /// As long as it takes until everyone who is up serves.
    pub fn settle(&mut self) {
        for _ in 0..500 {
            let serving = |member: &Member| member.replica.standing != Standing::Looking;
            if self.members.values().all(serving) {
                return;
            }
            self.pass(20);
        }
        panic!("not everyone serves");
    }

    pub fn leader(&self) -> u64 {
        let leads = |member: &Member| member.replica.standing == Standing::Leading;
        let mut leaders = self.members.iter().filter(|(_, member)| leads(member));
        *leaders.next().unwrap().0
    }

    /// The learners, least id first.
    pub fn learners(&self) -> Vec<u64> {
        let leader = self.leader();
        self.members
            .keys()
            .copied()
            .filter(|id| *id != leader)
            .collect()
    }

    /// A new connection to `id` that asks for a session; 0 is a new one.
    pub fn connect(&mut self, id: u64, session: SessionId) -> Arc<Conn> {
        self.connect_with(id, session, 0, &crate::session::password::of(session))
    }

    pub fn connect_with(
        &mut self,
        id: u64,
        session: SessionId,
        seen: i64,
        password: &[u8],
    ) -> Arc<Conn> {
        let conn = self.ask(id, session, seen, password);
        self.run();
        conn
    }

    /// The same; nothing else happens.
    pub fn ask(&mut self, id: u64, session: SessionId, seen: i64, password: &[u8]) -> Arc<Conn> {
        self.conns += 1;
        let remote = SocketAddr::from(([127, 0, 0, 1], 1000));
        let conn = Arc::new(Conn::new(
            self.conns,
            remote,
            auth::initial(remote.ip()),
            WallMs(0),
        ));
        self.members[&id].gate.add_conn(conn.clone());
        let request = ConnectRequest {
            fields: ConnectFields {
                timeout: 10_000,
                session_id: session.0,
                last_zxid_seen: seen,
                password: Some(password.to_vec().into()),
                ..ConnectFields::default()
            },
            read_only: None,
        };
        self.hand(
            id,
            Input::Connect {
                conn: conn.clone(),
                request,
            },
        );
        conn
    }

    /// A connection with a new session, its welcome taken.
    pub fn open(&mut self, id: u64) -> Arc<Conn> {
        let conn = self.connect(id, SessionId(0));
        assert_eq!(taken(&conn).len(), 1, "welcomed");
        conn
    }

    /// The session of `old` comes back at `id`, its welcome taken.
    pub fn move_to(&mut self, id: u64, old: &Conn) -> Arc<Conn> {
        let conn = self.connect(id, session(old));
        assert_eq!(taken(&conn).len(), 1, "welcomed");
        conn
    }

    /// The connection's socket is closed.
    pub fn hang_up(&mut self, id: u64, conn: &Arc<Conn>) {
        self.hang_up_quietly(id, conn);
        self.run();
    }

    /// The same; nothing else happens.
    pub fn hang_up_quietly(&mut self, id: u64, conn: &Arc<Conn>) {
        conn.outbox.close(&mut Wakes::default());
        self.members[&id].gate.drop_conn(conn);
        self.hand(id, Input::Gone { conn: conn.clone() });
    }

    /// Hands a request to the loop of `id`; nothing else happens.
    pub fn submit(&mut self, id: u64, conn: &Arc<Conn>, xid: i32, request: Request) {
        let lane = conn.lane.get().unwrap().clone();
        if lane.is_closing() {
            return;
        }
        lane.touch(self.now.mono);
        lane.enter();
        self.members[&id].counters.in_loop(1);
        let input = Input::Request {
            conn: conn.clone(),
            lane,
            xid,
            request,
            ids: conn.identities(),
            received: self.now.mono,
            arrived: Default::default(),
            large: None,
        };
        self.hand(id, input);
    }

    /// Hands a request to the loop of `id`, and runs.
    pub fn send(&mut self, id: u64, conn: &Arc<Conn>, xid: i32, request: Request) {
        self.submit(id, conn, xid, request);
        self.run();
    }

    pub fn exists(&self, id: u64, path: &str) -> bool {
        self.members[&id]
            .gate
            .read(|tree| tree.find(path).is_some())
    }

    /// Everyone who is up has the same tree, nothing is left waiting, and no digest differed.
    pub fn check(&self) {
        let states: BTreeSet<_> = self
            .members
            .values()
            .map(|member| member.gate.read(|tree| (tree.last_zxid(), tree.digest())))
            .collect();
        assert_eq!(states.len(), 1, "{states:x?}");
        for (id, member) in &self.members {
            assert_eq!(member.counters.outstanding(), 0, "server {id}");
            assert!(!member.replica.digest_differed, "server {id}");
        }
    }
}

/// Another tree like this one, by way of a snapshot's body.
fn copy(tree: &mut Tree) -> Tree {
    let mut frozen = tree.freeze().unwrap();
    let mut body = BytesMut::new();
    frozen.header(&mut body);
    while !frozen.emit(tree, 100, &mut body) {}
    let zxid = frozen.zxid();
    tree.thaw(frozen);
    let mut r = Reader::new(body.freeze(), 1 << 24);
    let mut loader = Loader::new(TreeOptions::default());
    for _ in 0..r.i32().unwrap() {
        loader.session(r.i64().unwrap(), r.i32().unwrap());
    }
    for _ in 0..r.i32().unwrap() {
        let id = r.i64().unwrap();
        let count = r.i32().unwrap();
        let list = (0..count).map(|_| Acl::read(&mut r).unwrap()).collect();
        loader.acl(id, list).unwrap();
    }
    loop {
        let path = r.text().unwrap().unwrap();
        if path == "/" {
            return loader.finish(zxid).unwrap();
        }
        let data = r.buffer().unwrap();
        let acl = r.i64().unwrap();
        let stat = StatPersisted::read(&mut r).unwrap();
        loader.znode(&path, data.as_deref(), acl, &stat).unwrap();
    }
}
