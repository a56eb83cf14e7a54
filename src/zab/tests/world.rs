//! Peers on a network and disks that do what a seed says. Trees are lists of zxids.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jute::txn::{ErrorTxn, LoggedTxn, Txn, TxnHeader};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::base::{Epoch, Mono, ServerId, Zxid};
use crate::zab::election::{LearnerType, Patience};
use crate::zab::history::{History, HistoryLimits, Logged};
use crate::zab::io::{Done, LearnerKind, LinkId, PeerOptions, Role, Stored, Tuning};
use crate::zab::mistake::Mistake;
use crate::zab::packet::{FromLeader, FromLearner};
use crate::zab::quorum::{QuorumSystem, Quorums};
use crate::zab::vote::Notification;
use crate::zab::{Effect, Input, Peer, Proposal};

/// What one server's disk holds.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub accepted: i64,
    pub current: i64,
    pub log: Vec<Logged>,
    /// zxid and content.
    pub snapshot: (Zxid, Vec<Zxid>),
}

#[derive(Debug)]
enum DiskOp {
    Append(Logged),
    Accepted(Epoch),
    Current(Epoch),
    Truncate(Zxid, bool),
    Install(Zxid, Vec<Zxid>),
}

#[derive(Debug)]
enum Down {
    Packet(FromLeader),
    Stream(Vec<Zxid>),
    Drained,
}

#[derive(Debug)]
struct Link {
    leader: ServerId,
    learner: ServerId,
    up: VecDeque<FromLearner>,
    down: VecDeque<Down>,
    /// Cleared on the side that knows that it is over.
    leader_has: bool,
    learner_has: bool,
    registered: bool,
}

/// One server.
#[derive(Debug)]
pub struct Server {
    pub peer: Option<Peer>,
    pub disk: Disk,
    asked: VecDeque<DiskOp>,
    /// What the tree has applied.
    pub tree: Vec<Zxid>,
    marker: Zxid,
    received: Option<(Zxid, Vec<Zxid>)>,
    pub serving: Option<(Role, Epoch)>,
    ready: BTreeMap<LinkId, Vec<Zxid>>,
    observer: bool,
}

/// Everything.
pub struct World {
    pub now: Mono,
    pub servers: BTreeMap<ServerId, Server>,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    /// The newest notification on its way.
    votes: BTreeMap<(ServerId, ServerId), Notification>,
    dials: BTreeSet<(ServerId, ServerId)>,
    /// Pairs that hear nothing: from, to.
    pub cut: BTreeSet<(ServerId, ServerId)>,
    pub rng: SmallRng,
    voters: BTreeSet<ServerId>,
    mistake: Option<Mistake>,
    /// Everything a leader told its clients, in the order of all of it.
    pub committed: Vec<Zxid>,
    leaders: BTreeMap<i64, ServerId>,
    /// Which synchronizations there were.
    pub synced: BTreeMap<&'static str, usize>,
    pub trace: VecDeque<String>,
    next_tag: i32,
    /// Of servers that start from now on.
    pub tuning: Tuning,
}

const LIMITS: HistoryLimits = HistoryLimits {
    count: 4,
    bytes: 10_000,
};

fn payload(zxid: Zxid, tag: i32) -> (LoggedTxn, Bytes) {
    let txn = Txn::Error(ErrorTxn { err: tag });
    let header = TxnHeader {
        zxid: zxid.0,
        kind: txn.op().into(),
        ..TxnHeader::default()
    };
    let logged = LoggedTxn {
        header,
        txn,
        digest: None,
    };
    let mut bytes = BytesMut::new();
    logged.write(&mut bytes);
    (logged, bytes.freeze())
}

impl World {
    pub fn new(seed: u64, voters: i64, observers: i64, mistake: Option<Mistake>) -> Self {
        let mut world = World {
            now: Mono(1000),
            servers: BTreeMap::new(),
            links: BTreeMap::new(),
            next_link: 1,
            votes: BTreeMap::new(),
            dials: BTreeSet::new(),
            cut: BTreeSet::new(),
            rng: SmallRng::seed_from_u64(seed),
            voters: (1..=voters).map(ServerId).collect(),
            mistake,
            committed: Vec::new(),
            leaders: BTreeMap::new(),
            synced: BTreeMap::new(),
            trace: VecDeque::new(),
            next_tag: 1,
            tuning: Tuning::default(),
        };
        for id in 1..=voters + observers {
            let server = Server {
                peer: None,
                disk: Disk::default(),
                asked: VecDeque::new(),
                tree: Vec::new(),
                marker: Zxid::ZERO,
                received: None,
                serving: None,
                ready: BTreeMap::new(),
                observer: id > voters,
            };
            world.servers.insert(ServerId(id), server);
        }
        for id in world.ids() {
            world.start(id);
        }
        world
    }

    pub fn ids(&self) -> Vec<ServerId> {
        self.servers.keys().copied().collect()
    }

    pub fn note(&mut self, text: String) {
        if self.trace.len() > 400 {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{:>8} {text}", self.now.0));
    }

    /// Starts a server from its disk.
    pub fn start(&mut self, id: ServerId) {
        let voters = QuorumSystem::Majority {
            voters: self.voters.clone(),
        };
        let server = self.servers.get_mut(&id).unwrap();
        let options = PeerOptions {
            tuning: self.tuning,
            me: id,
            learner: match server.observer {
                true => LearnerType::Observer,
                false => LearnerType::Participant,
            },
            quorums: Quorums::new(voters, None),
            config: Bytes::from_static(b"version=0"),
            config_version: 0,
            tick: Duration::from_millis(200),
            init_limit: Duration::from_millis(2000),
            sync_limit: Duration::from_millis(1000),
            patience: Patience {
                first: Duration::from_millis(200),
                most: Duration::from_secs(2),
            },
            history: LIMITS,
        };
        let disk = &server.disk;
        let mut history = History::after(disk.snapshot.0, LIMITS);
        server.tree = disk.snapshot.1.clone();
        for record in &disk.log {
            if record.zxid > disk.snapshot.0 {
                history.push(record.clone());
                server.tree.push(record.zxid);
            }
        }
        server.marker = history.last();
        let last_epoch = history.last().epoch().0;
        let stored = Stored {
            accepted_epoch: Epoch(disk.accepted.max(last_epoch)),
            current_epoch: Epoch(disk.current),
            history,
            log_whole_after: disk.snapshot.0,
            trusted: true,
        };
        let mut peer = Peer::new(options, stored);
        if let Some(mistake) = self.mistake {
            peer.err(mistake);
        }
        peer.start(self.now);
        server.peer = Some(peer);
        self.note(format!("{id} starts"));
        self.drain(id);
    }

    /// The process dies; what the disk had not done is lost, but records may have reached it.
    pub fn crash(&mut self, id: ServerId) {
        self.note(format!("{id} crashes"));
        let rng = &mut self.rng;
        let server = self.servers.get_mut(&id).unwrap();
        let survive = rng.random_range(0..=server.asked.len());
        for op in server.asked.drain(..survive) {
            if let DiskOp::Append(record) = op {
                server.disk.log.push(record);
            } else {
                break;
            }
        }
        server.asked.clear();
        (server.peer, server.serving, server.received) = (None, None, None);
        server.ready.clear();
        self.dials.retain(|(from, _)| *from != id);
        let links: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, l)| l.leader == id || l.learner == id)
            .map(|(k, _)| *k)
            .collect();
        for link in links {
            let l = self.links.get_mut(&link).unwrap();
            if l.leader == id {
                l.leader_has = false;
            }
            if l.learner == id {
                l.learner_has = false;
            }
        }
        for other in self.ids() {
            self.votes.remove(&(other, id));
            if other != id {
                self.step(
                    other,
                    Input::ElectionLink {
                        server: id,
                        up: false,
                    },
                );
            }
        }
    }

    pub fn step(&mut self, id: ServerId, input: Input) {
        let now = self.now;
        if let Some(peer) = self
            .servers
            .get_mut(&id)
            .and_then(|server| server.peer.as_mut())
        {
            peer.step(now, input);
            self.drain(id);
        }
    }

    /// Proposes something at `id`, if it leads.
    pub fn propose(&mut self, id: ServerId) -> bool {
        let now = self.now;
        let tag = self.next_tag;
        let Some(peer) = self
            .servers
            .get_mut(&id)
            .and_then(|server| server.peer.as_mut())
        else {
            return false;
        };
        let Some(zxid) = peer.next_zxid() else {
            return false;
        };
        self.next_tag += 1;
        let (txn, bytes) = payload(zxid, tag);
        peer.propose(
            now,
            Proposal {
                zxid,
                txn,
                payload: bytes,
            },
        );
        self.drain(id);
        true
    }

    fn drain(&mut self, id: ServerId) {
        while let Some(effect) = self
            .servers
            .get_mut(&id)
            .and_then(|s| s.peer.as_mut())
            .and_then(Peer::next_effect)
        {
            self.carry_out(id, effect);
        }
    }

    fn carry_out(&mut self, id: ServerId, effect: Effect) {
        match effect {
            Effect::Notify { to, notification } => {
                if self
                    .servers
                    .get(&to)
                    .is_some_and(|server| server.peer.is_some())
                {
                    self.votes.insert((id, to), notification);
                } else {
                    self.dials.insert((id, ServerId(-to.0)));
                }
            }
            Effect::Dial { leader } => {
                self.dials.insert((id, leader));
            }
            Effect::ToLearner { link, packet } => {
                let kind = match &packet {
                    FromLeader::Diff(_) => Some("DIFF"),
                    FromLeader::Trunc(_) => Some("TRUNC"),
                    FromLeader::Snap(_) => Some("SNAP"),
                    _ => None,
                };
                if let Some(kind) = kind {
                    *self.synced.entry(kind).or_default() += 1;
                    self.note(format!("{id} -> {link:?} {packet:?}"));
                }
                if let Some(link) = self.links.get_mut(&link) {
                    link.down.push_back(Down::Packet(packet));
                }
            }
            Effect::ToLeader { link, packet } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.up.push_back(packet);
                }
            }
            Effect::Close { link } => {
                if let Some(link) = self.links.get_mut(&link) {
                    match link.leader == id {
                        true => link.leader_has = false,
                        false => link.learner_has = false,
                    }
                }
            }
            Effect::ReportDrained { link } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.down.push_back(Down::Drained);
                }
            }
            Effect::MakeSnapshot { link, .. } => {
                let server = self.servers.get_mut(&id).unwrap();
                let zxid = server.marker;
                server.ready.insert(link, server.tree.clone());
                self.step(
                    id,
                    Input::SnapshotReady {
                        link,
                        zxid: Some(zxid),
                    },
                );
            }
            Effect::StreamSnapshot { link } => {
                let content = self
                    .servers
                    .get_mut(&id)
                    .unwrap()
                    .ready
                    .remove(&link)
                    .unwrap();
                if let Some(link) = self.links.get_mut(&link) {
                    link.down.push_back(Down::Stream(content));
                }
            }
            Effect::ReadLog { link, after, upto } => {
                let log = &self.servers[&id].disk.log;
                let records = log
                    .iter()
                    .filter(|r| r.zxid > after && r.zxid <= upto)
                    .take(3)
                    .cloned()
                    .collect();
                self.step(
                    id,
                    Input::LogRead {
                        link,
                        records: Some(records),
                    },
                );
                *self.synced.entry("from log").or_default() += 1;
            }
            Effect::ProbeLog { link, learner } => {
                let usable = learner.counter() == 0
                    || self.servers[&id].disk.log.iter().any(|r| r.zxid == learner);
                self.step(id, Input::LogProbed { link, usable });
            }
            other => self.carry_out_here(id, other),
        }
    }

    fn carry_out_here(&mut self, id: ServerId, effect: Effect) {
        let server = self.servers.get_mut(&id).unwrap();
        match effect {
            Effect::Append { zxid, payload } => server
                .asked
                .push_back(DiskOp::Append(Logged { zxid, txn: payload })),
            Effect::SaveAcceptedEpoch(epoch) => server.asked.push_back(DiskOp::Accepted(epoch)),
            Effect::SaveCurrentEpoch(epoch) => server.asked.push_back(DiskOp::Current(epoch)),
            Effect::Truncate { to, reload } => server.asked.push_back(DiskOp::Truncate(to, reload)),
            Effect::InstallSnapshot { zxid } => {
                let (at, content) = server.received.take().unwrap();
                assert_eq!(at, zxid, "the received tree is what is installed");
                server.asked.push_back(DiskOp::Install(zxid, content));
            }
            Effect::ToReceived(proposal) => {
                let (at, content) = server.received.as_mut().unwrap();
                *at = proposal.zxid;
                content.push(proposal.zxid);
            }
            Effect::Replay(proposal) => {
                server.tree.push(proposal.zxid);
                server.marker = proposal.zxid;
            }
            Effect::Deliver(proposal) => {
                server.tree.push(proposal.zxid);
                server.marker = proposal.zxid;
                if matches!(server.serving, Some((Role::Leading, _))) {
                    assert!(
                        self.committed
                            .last()
                            .is_none_or(|last| *last < proposal.zxid),
                        "{} after {:?}",
                        proposal.zxid,
                        self.committed.last()
                    );
                    self.committed.push(proposal.zxid);
                }
                self.check_prefix(id);
            }
            Effect::Looking => {
                server.serving = None;
                server.received = None;
            }
            Effect::Serving { role, epoch } => {
                server.serving = Some((role, epoch));
                server.marker = server.marker.max(Zxid::first_of(epoch));
                self.note(format!("{id} serves as {role:?} of {epoch:?}"));
                if role == Role::Leading {
                    let other = self.leaders.insert(epoch.0, id);
                    assert!(
                        other.is_none_or(|other| other == id),
                        "Leadership2: {other:?} and {id} led epoch {epoch:?}"
                    );
                }
                self.check_served(id);
            }
            Effect::TouchesWanted { last_proposed } => {
                server
                    .peer
                    .as_mut()
                    .unwrap()
                    .touches(last_proposed, Vec::new());
            }
            _ => {}
        }
    }

    /// Everything that was told to clients is in the tree of whoever begins to serve, and nothing else before it.
    fn check_served(&mut self, id: ServerId) {
        let tree = &self.servers[&id].tree;
        // A leader may be late: its quorum confirmed it, and went on to a later one before it heard.
        if let Some((Role::Leading, epoch)) = self.servers[&id].serving {
            let has: BTreeSet<Zxid> = tree.iter().copied().collect();
            for zxid in self.committed.iter().filter(|zxid| zxid.epoch() < epoch) {
                assert!(
                    has.contains(zxid),
                    "{zxid} was acknowledged and is lost on the new leader {id}"
                );
            }
        }
        self.check_prefix(id);
    }

    fn check_prefix(&self, id: ServerId) {
        let tree = &self.servers[&id].tree;
        assert!(
            tree.windows(2).all(|pair| pair[0] < pair[1]),
            "TotalOrder: tree of {id}: {tree:?}"
        );
        for (other, server) in &self.servers {
            if server.serving.is_none() || self.servers[&id].serving.is_none() {
                continue;
            }
            let common = tree.len().min(server.tree.len());
            assert_eq!(
                tree[..common],
                server.tree[..common],
                "PrefixConsistency: {id} and {other}"
            );
        }
    }

    /// Lets one thing happen. False if nothing can.
    pub fn happen(&mut self) -> bool {
        let mut choices: Vec<(u8, i64, i64)> = Vec::new();
        for (from, to) in self.votes.keys() {
            choices.push((0, from.0, to.0));
        }
        for (from, to) in &self.dials {
            choices.push((1, from.0, to.0));
        }
        for (id, link) in &self.links {
            if !link.up.is_empty() || !link.learner_has {
                choices.push((2, id.0 as i64, 0));
            }
            if !link.down.is_empty() || !link.leader_has {
                choices.push((3, id.0 as i64, 0));
            }
        }
        for (id, server) in &self.servers {
            if server.peer.is_some() && !server.asked.is_empty() {
                choices.push((4, id.0, 0));
            }
        }
        if choices.is_empty() {
            return false;
        }
        let (what, a, b) = choices[self.rng.random_range(0..choices.len())];
        match what {
            0 => self.vote(ServerId(a), ServerId(b)),
            1 => self.dial(ServerId(a), ServerId(b)),
            2 => self.up(LinkId(a as u64)),
            3 => self.down(LinkId(a as u64)),
            _ => self.disk(ServerId(a)),
        }
        true
    }

    fn vote(&mut self, from: ServerId, to: ServerId) {
        let Some(notification) = self.votes.remove(&(from, to)) else {
            return;
        };
        if self.cut.contains(&(from, to)) || self.cut.contains(&(to, from)) {
            self.step(
                from,
                Input::ElectionLink {
                    server: to,
                    up: false,
                },
            );
            return;
        }
        self.step(
            from,
            Input::ElectionLink {
                server: to,
                up: true,
            },
        );
        self.step(
            to,
            Input::ElectionLink {
                server: from,
                up: true,
            },
        );
        self.step(to, Input::Notification { from, notification });
    }

    fn dial(&mut self, from: ServerId, to: ServerId) {
        self.dials.remove(&(from, to));
        if to.0 < 0 {
            self.step(
                from,
                Input::ElectionLink {
                    server: ServerId(-to.0),
                    up: false,
                },
            );
            return;
        }
        let there = self.servers[&to].peer.is_some();
        if !there || self.cut.contains(&(from, to)) || self.cut.contains(&(to, from)) {
            return self.step(from, Input::LeaderUnreachable);
        }
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let made = Link {
            leader: to,
            learner: from,
            up: VecDeque::new(),
            down: VecDeque::new(),
            leader_has: true,
            learner_has: true,
            registered: false,
        };
        self.links.insert(link, made);
        self.step(from, Input::LeaderReached { link });
    }

    fn up(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let (learner, leader) = (link.learner, link.leader);
        if self.cut.contains(&(learner, leader)) {
            return;
        }
        let Some(packet) = link.up.pop_front() else {
            if link.leader_has {
                link.leader_has = false;
                if link.registered {
                    self.step(leader, Input::LinkLost { link: id });
                }
            }
            return self.forget(id);
        };
        if !link.leader_has {
            return;
        }
        let input = match packet {
            FromLearner::FollowerInfo(registration) => {
                link.registered = true;
                Input::Joined {
                    link: id,
                    kind: LearnerKind::Follower,
                    registration,
                }
            }
            FromLearner::ObserverInfo(registration) => {
                link.registered = true;
                Input::Joined {
                    link: id,
                    kind: LearnerKind::Observer,
                    registration,
                }
            }
            packet => Input::FromLearner { link: id, packet },
        };
        self.step(leader, input);
    }

    fn down(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let (learner, leader) = (link.learner, link.leader);
        if self.cut.contains(&(leader, learner)) {
            return;
        }
        let Some(packet) = link.down.pop_front() else {
            if link.learner_has {
                link.learner_has = false;
                self.step(learner, Input::LinkLost { link: id });
            }
            return self.forget(id);
        };
        if !link.learner_has {
            return;
        }
        match packet {
            Down::Drained => {
                if link.leader_has {
                    self.step(leader, Input::Drained { link: id });
                }
            }
            Down::Stream(content) => {
                if let Some((_, received)) = self
                    .servers
                    .get_mut(&learner)
                    .and_then(|s| s.received.as_mut())
                {
                    *received = content;
                    self.step(learner, Input::SnapshotReceived { link: id });
                }
            }
            Down::Packet(packet) => {
                if let FromLeader::Snap(zxid) = packet {
                    self.servers.get_mut(&learner).unwrap().received = Some((zxid, Vec::new()));
                }
                self.step(learner, Input::FromLeader { link: id, packet });
            }
        }
    }

    fn forget(&mut self, id: LinkId) {
        if self
            .links
            .get(&id)
            .is_some_and(|link| !link.leader_has && !link.learner_has)
        {
            self.links.remove(&id);
        }
    }

    fn disk(&mut self, id: ServerId) {
        let batch = self.rng.random_range(1..4);
        let server = self.servers.get_mut(&id).unwrap();
        let mut upto = None;
        while let Some(DiskOp::Append(_)) = server.asked.front() {
            let Some(DiskOp::Append(record)) = server.asked.pop_front() else {
                break;
            };
            upto = Some(record.zxid);
            server.disk.log.push(record);
            if server.asked.len().is_multiple_of(batch) {
                break;
            }
        }
        if let Some(upto) = upto {
            return self.step(id, Input::Done(Done::Logged { upto }));
        }
        let Some(op) = server.asked.pop_front() else {
            return;
        };
        let done = match op {
            DiskOp::Append(_) => return,
            DiskOp::Accepted(epoch) => {
                server.disk.accepted = epoch.0;
                Done::AcceptedEpoch(epoch)
            }
            DiskOp::Current(epoch) => {
                server.disk.current = epoch.0;
                Done::CurrentEpoch(epoch)
            }
            DiskOp::Truncate(to, reload) => {
                let holds =
                    to == server.disk.snapshot.0 || server.disk.log.iter().any(|r| r.zxid == to);
                if !holds || (reload && server.disk.snapshot.0 > to) {
                    Done::NotTruncated
                } else {
                    server.disk.log.retain(|r| r.zxid <= to);
                    if reload {
                        server.tree.retain(|zxid| *zxid <= to);
                        server.marker = to;
                    }
                    Done::Truncated
                }
            }
            DiskOp::Install(zxid, content) => {
                server.disk.log.retain(|r| r.zxid <= zxid);
                server.disk.snapshot = (zxid, content.clone());
                server.tree = content;
                server.marker = zxid;
                Done::Installed
            }
        };
        self.step(id, Input::Done(done));
    }

    /// Lets time pass, and does what is due then.
    pub fn wait(&mut self, at_most: Duration) {
        let mut until = self.now + at_most;
        for server in self.servers.values() {
            if let Some(at) = server.peer.as_ref().and_then(Peer::next_deadline) {
                until = until.min(at);
            }
        }
        self.now = self.now.max(until);
        for id in self.ids() {
            let now = self.now;
            if let Some(peer) = self
                .servers
                .get_mut(&id)
                .and_then(|server| server.peer.as_mut())
            {
                peer.tick(now);
                self.drain(id);
            }
        }
    }

    /// Breaks the connections of `id`.
    pub fn break_links(&mut self, id: ServerId) {
        for link in self.links.values_mut() {
            if link.leader == id || link.learner == id {
                link.up.clear();
                link.down.clear();
            }
        }
        let links: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, l)| l.leader == id || l.learner == id)
            .map(|(k, _)| *k)
            .collect();
        for id in links {
            let Some(link) = self.links.remove(&id) else {
                continue;
            };
            if link.leader_has && link.registered {
                self.step(link.leader, Input::LinkLost { link: id });
            }
            if link.learner_has {
                self.step(link.learner, Input::LinkLost { link: id });
            }
        }
    }

    /// Lets everything happen that can, and time pass, until all servers serve and have the same tree.
    pub fn converge(&mut self) {
        self.cut.clear();
        for id in self.ids() {
            if self.servers[&id].peer.is_none() {
                self.start(id);
            }
        }
        let deadline = self.now + Duration::from_secs(30);
        while self.now < deadline {
            for _ in 0..2000 {
                if !self.happen() {
                    break;
                }
            }
            let serving = self.servers.values().all(|server| server.serving.is_some());
            let first = self
                .servers
                .values()
                .next()
                .map(|server| server.tree.clone());
            let equal = self
                .servers
                .values()
                .all(|server| Some(&server.tree) == first.as_ref());
            let leader = self
                .servers
                .iter()
                .find(|(_, s)| matches!(s.serving, Some((Role::Leading, _))))
                .map(|(id, _)| *id);
            if serving
                && equal
                && self
                    .committed
                    .last()
                    .is_none_or(|last| first.is_some_and(|tree| tree.contains(last)))
                && let Some(leader) = leader
                && self.propose(leader)
            {
                for _ in 0..2000 {
                    if !self.happen() {
                        break;
                    }
                }
                let last = self.committed.last().copied();
                let all = self
                    .servers
                    .values()
                    .all(|server| server.tree.last().copied() == last);
                if all && last.is_some() {
                    return;
                }
            }
            self.wait(Duration::from_millis(50));
        }
        let states: Vec<_> = self
            .servers
            .iter()
            .map(|(id, s)| {
                (
                    id,
                    s.serving,
                    s.tree.len(),
                    s.peer.as_ref().map(|p| (p.state(), p.leader())),
                )
            })
            .collect();
        panic!("no recovery within 30 s: {states:?}");
    }
}
