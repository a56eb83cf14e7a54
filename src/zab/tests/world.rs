//! Peers on a network and disks that do what a seed, or a script, says. Trees are lists of transactions.
//!
//! Every effect is checked against [`Promises`] as it comes; a broken one panics. Two servers may have the same id, so
//! servers are told apart by their *place*: a [`ServerId`] that is their id unless somebody gave that one away twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use jute::{Op, OpCode};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::disk::{Disk, DiskOp, Entry, entry, logged, proposal};
use super::promises::Promises;
use crate::base::{Epoch, Mono, ServerId, SessionId, Zxid};
use crate::zab::election::{LearnerType, Patience};
use crate::zab::history::{HistoryLimits, Logged};
use crate::zab::io::{Done, LearnerKind, LinkId, PeerOptions, Role, Tuning};
use crate::zab::mistake::Mistake;
use crate::zab::packet::{Forwarded, FromLeader, FromLearner};
use crate::zab::quorum::{QuorumSystem, Quorums};
use crate::zab::vote::{Notification, ServerState};
use crate::zab::{Effect, Input, Peer};

/// What travels from a leader to a learner.
#[derive(Debug)]
enum Down {
    Packet(FromLeader),
    Stream(Vec<Entry>),
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
    /// Nothing passes any more, and a side that was not told does not know.
    dead: bool,
}

impl Link {
    fn joins(&self, id: ServerId) -> bool {
        self.leader == id || self.learner == id
    }
}

/// One server.
#[derive(Debug)]
pub struct Server {
    /// What it calls itself.
    me: ServerId,
    observer: bool,
    pub peer: Option<Peer>,
    pub disk: Disk,
    pub asked: VecDeque<DiskOp>,
    /// What the tree has applied.
    pub tree: Vec<Entry>,
    marker: Zxid,
    received: Option<(Zxid, Vec<Entry>)>,
    pub serving: Option<(Role, Epoch)>,
    ready: BTreeMap<LinkId, Vec<Entry>>,
    /// How often its disk does nothing when it could, in percent.
    pub slowness: u32,
    /// How often its disk finds no way to cut the log, in percent.
    pub refuses: u32,
    /// Its log cannot be read for learners, though it can be probed.
    pub unreadable: bool,
}

/// Something that can happen next.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Vote(ServerId, ServerId),
    Refused(ServerId, ServerId),
    Dial(ServerId, ServerId),
    Up(LinkId),
    Down(LinkId),
    Disk(ServerId),
}

/// Everything.
pub struct World {
    pub now: Mono,
    pub servers: BTreeMap<ServerId, Server>,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    /// The newest notification on its way.
    votes: BTreeMap<(ServerId, ServerId), Notification>,
    refused: BTreeSet<(ServerId, ServerId)>,
    dials: BTreeSet<(ServerId, ServerId)>,
    /// Pairs that hear nothing: from, to.
    pub cut: BTreeSet<(ServerId, ServerId)>,
    pub rng: SmallRng,
    /// The first thing that can happen happens, instead of any.
    pub calm: bool,
    quorums: Quorums,
    pub history: HistoryLimits,
    /// Of servers that start from now on.
    pub tuning: Tuning,
    pub mistake: Option<Mistake>,
    pub last_counter: u32,
    pub promises: Promises,
    /// Which synchronizations there were, and other things that ought to happen in some run.
    pub seen: BTreeMap<&'static str, usize>,
    /// What happened, for people; `script` keeps all of it.
    pub trace: VecDeque<String>,
    pub script: Option<String>,
    next_tag: i32,
}

impl World {
    /// A world without servers.
    pub fn empty(seed: u64, voters: i64) -> Self {
        let voters = (1..=voters).map(ServerId).collect();
        World {
            now: Mono(1000),
            servers: BTreeMap::new(),
            links: BTreeMap::new(),
            next_link: 1,
            votes: BTreeMap::new(),
            refused: BTreeSet::new(),
            dials: BTreeSet::new(),
            cut: BTreeSet::new(),
            rng: SmallRng::seed_from_u64(seed),
            calm: false,
            quorums: Quorums::new(QuorumSystem::Majority { voters }, None),
            history: HistoryLimits {
                count: 4,
                bytes: 10_000,
            },
            tuning: Tuning::default(),
            mistake: None,
            last_counter: u32::MAX,
            promises: Promises::default(),
            seen: BTreeMap::new(),
            trace: VecDeque::new(),
            script: None,
            next_tag: 1,
        }
    }

    /// Voters and observers that start from empty disks.
    pub fn new(seed: u64, voters: i64, observers: i64) -> Self {
        let mut world = World::empty(seed, voters);
        for id in (1..=voters + observers).map(ServerId) {
            world.add(id, id, Disk::default());
            world.start(id);
        }
        world
    }

    /// Puts a server at `place`, not started.
    pub fn add(&mut self, place: ServerId, me: ServerId, disk: Disk) {
        let server = Server {
            me,
            observer: !self.quorums.is_voter(me),
            peer: None,
            disk,
            asked: VecDeque::new(),
            tree: Vec::new(),
            marker: Zxid::ZERO,
            received: None,
            serving: None,
            ready: BTreeMap::new(),
            slowness: 0,
            refuses: 0,
            unreadable: false,
        };
        self.servers.insert(place, server);
    }

    pub fn ids(&self) -> Vec<ServerId> {
        self.servers.keys().copied().collect()
    }

    pub fn note(&mut self, text: String) {
        if let Some(script) = &mut self.script {
            *script += &text;
            script.push('\n');
        }
        if self.trace.len() > 400 {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{:>8} {text}", self.now.0));
    }

    pub fn server(&mut self, id: ServerId) -> &mut Server {
        self.servers.get_mut(&id).unwrap()
    }

    fn peer(&mut self, id: ServerId) -> Option<&mut Peer> {
        self.servers.get_mut(&id)?.peer.as_mut()
    }

    /// Who serves as a leader; more than one may think so.
    pub fn leaders(&self) -> Vec<ServerId> {
        let leads = |server: &Server| matches!(server.serving, Some((Role::Leading, _)));
        let leaders = self.servers.iter().filter(|(_, server)| leads(server));
        leaders.map(|(id, _)| *id).collect()
    }

    fn places(&self, me: ServerId) -> Vec<ServerId> {
        let named = self.servers.iter().filter(|(_, server)| server.me == me);
        named.map(|(place, _)| *place).collect()
    }

    /// Starts a server from its disk.
    pub fn start(&mut self, id: ServerId) {
        let (quorums, limits, tuning) = (self.quorums.clone(), self.history, self.tuning);
        let (mistake, now, last_counter) = (self.mistake, self.now, self.last_counter);
        let server = self.server(id);
        let options = PeerOptions {
            tuning,
            me: server.me,
            learner: match server.observer {
                true => LearnerType::Observer,
                false => LearnerType::Participant,
            },
            quorums,
            config: Bytes::from_static(b"version=0"),
            config_version: 0,
            tick: Duration::from_millis(200),
            init_limit: Duration::from_millis(2000),
            sync_limit: Duration::from_millis(1000),
            patience: Patience {
                first: Duration::from_millis(200),
                most: Duration::from_secs(2),
            },
            history: limits,
        };
        let stored = server.disk.stored(limits);
        server.tree = server.disk.contents();
        server.marker = stored.history.last();
        let mut peer = Peer::new(options, stored);
        if let Some(mistake) = mistake {
            peer.err(mistake);
        }
        peer.end_counters_at(last_counter.min(0xffff_ff00));
        peer.start(now);
        server.peer = Some(peer);
        self.note(format!("{id} starts"));
        self.drain(id);
    }

    /// The process dies. What its disk was asked for may have been done, in its order, without a report.
    pub fn crash(&mut self, id: ServerId) {
        self.note(format!("{id} crashes"));
        let most = self.server(id).asked.len();
        let survive = match self.calm {
            true => 0,
            false => self.rng.random_range(0..=most),
        };
        for _ in 0..survive {
            self.perform(id);
        }
        let server = self.server(id);
        server.asked.clear();
        (server.peer, server.serving, server.received) = (None, None, None);
        server.ready.clear();
        let me = server.me;
        self.promises.forgets_syncs(id);
        self.dials.retain(|(from, _)| *from != id);
        for link in self.links.values_mut().filter(|link| link.joins(id)) {
            link.leader_has &= link.leader != id;
            link.learner_has &= link.learner != id;
        }
        for other in self.ids() {
            self.votes.remove(&(other, id));
            self.votes.remove(&(id, other));
            if other != id {
                self.election_link(other, me, false);
            }
        }
    }

    /// The power fails everywhere and comes back.
    pub fn power_loss(&mut self) {
        for id in self.ids() {
            if self.servers[&id].peer.is_some() {
                self.crash(id);
            }
        }
        self.links.clear();
        self.votes.clear();
        for id in self.ids() {
            self.start(id);
        }
    }

    fn election_link(&mut self, id: ServerId, server: ServerId, up: bool) {
        self.step(id, Input::ElectionLink { server, up });
    }

    pub fn step(&mut self, id: ServerId, input: Input) {
        let now = self.now;
        if let Some(peer) = self.peer(id) {
            peer.step(now, input);
            self.drain(id);
        }
    }

    /// Proposes something at `id`, if it leads.
    pub fn propose(&mut self, id: ServerId) -> bool {
        let (now, tag, last_counter) = (self.now, self.next_tag, self.last_counter);
        let Some(zxid) = self.peer(id).and_then(|peer| peer.next_zxid()) else {
            return false;
        };
        self.next_tag += 1;
        self.promises.proposes((zxid, tag), last_counter);
        if let Some(peer) = self.peer(id) {
            peer.propose(now, proposal((zxid, tag)));
        }
        self.drain(id);
        true
    }

    /// If `id` leads, it wants to be sure of it.
    pub fn doubt(&mut self, id: ServerId) {
        if let Some((Role::Leading, _)) = self.servers[&id].serving {
            self.promises.doubt_begins(id);
            if let Some(peer) = self.peer(id) {
                peer.confirm();
            }
            self.drain(id);
        }
    }

    /// A client of `id` asks for a write, or for a sync, if it is served.
    pub fn ask(&mut self, id: ServerId, op: Op) {
        let Some((role, _)) = self.servers[&id].serving else {
            return;
        };
        if op == Op::Sync {
            self.promises.sync_begins(id);
        }
        match (role, op) {
            (Role::Leading, Op::Sync) => {
                if let Some(peer) = self.peer(id) {
                    peer.sync(None);
                }
            }
            (Role::Leading, _) => {
                self.propose(id);
            }
            _ => {
                let request = Forwarded {
                    session: SessionId(1),
                    cxid: 1,
                    op: OpCode::from(op),
                    body: Bytes::new(),
                    auth_info: None,
                };
                if let Some(peer) = self.peer(id) {
                    peer.forward(request);
                }
            }
        }
        self.drain(id);
    }

    /// A snapshot of what this server has delivered becomes durable; with `purge`, what the one before it
    /// holds leaves the log.
    pub fn snapshot(&mut self, id: ServerId, purge: bool) {
        let server = self.server(id);
        if server.serving.is_none() || !server.asked.is_empty() {
            return;
        }
        let before = server.disk.snapshot.0;
        server.disk.snapshot = (server.marker, server.tree.clone());
        if purge {
            server.disk.log.retain(|(zxid, _)| *zxid > before);
            server.disk.purged = before;
        }
    }

    /// A server loses its disk, if all the others have whatever may count.
    pub fn wipe(&mut self, id: ServerId) -> bool {
        let last = self.promises.visible.last().copied();
        let accepted = self.servers[&id].disk.accepted;
        let spare = |(other, server): (&ServerId, &Server)| {
            let outstanding = server.peer.as_ref().map_or(0, Peer::outstanding);
            *other == id
                || server.observer
                || (server.disk.accepted >= accepted
                    && server.disk.current == server.disk.accepted
                    && server.serving.is_some()
                    && last.is_none_or(|last| server.disk.holds(&last))
                    && server.asked.is_empty()
                    && outstanding == 0)
        };
        if !self.servers.iter().all(spare) {
            return false;
        }
        self.break_links(id, 0);
        if self.servers[&id].peer.is_some() {
            self.crash(id);
        }
        self.note(format!("{id} loses its disk"));
        self.server(id).disk = Disk::default();
        true
    }

    fn drain(&mut self, id: ServerId) {
        while let Some(effect) = self.peer(id).and_then(Peer::next_effect) {
            self.carry_out(id, effect);
        }
    }

    fn carry_out(&mut self, id: ServerId, effect: Effect) {
        match effect {
            Effect::Notify { to, notification } => self.notify(id, to, notification),
            Effect::Dial { leader } => {
                self.note(format!("{id} follows {leader}"));
                for place in self.places(leader) {
                    self.dials.insert((id, place));
                }
            }
            Effect::ToLearner { link, packet } => self.down_goes(id, link, packet),
            Effect::ToLeader { link, packet } => self.up_goes(id, link, packet),
            Effect::Close { link } => {
                if let Some(link) = self.links.get_mut(&link) {
                    match link.leader == id {
                        true => link.leader_has = false,
                        false => link.learner_has = false,
                    }
                }
                let refusal = self.peer(id).and_then(|peer| peer.last_refusal());
                if let Some(why) = refusal.map(str::to_owned) {
                    self.promises.gives_up(id, &why);
                }
            }
            Effect::ReportDrained { link } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.down.push_back(Down::Drained);
                }
            }
            Effect::MakeSnapshot { link, at_least } => {
                let server = self.server(id);
                let zxid = server.marker;
                assert!(
                    zxid >= at_least,
                    "{zxid} is all there is, {at_least} is wanted"
                );
                server.ready.insert(link, server.tree.clone());
                let zxid = Some(zxid);
                self.step(id, Input::SnapshotReady { link, zxid });
            }
            Effect::StreamSnapshot { link } => {
                let content = self.server(id).ready.remove(&link).unwrap();
                if let Some(link) = self.links.get_mut(&link) {
                    link.down.push_back(Down::Stream(content));
                }
            }
            Effect::ReadLog { link, after, upto } => {
                let disk = &self.servers[&id].disk;
                let wanted = disk
                    .log
                    .iter()
                    .filter(|(zxid, _)| *zxid > after && *zxid <= upto);
                let records: Vec<Logged> = wanted.take(3).map(logged).collect();
                let lost = after < disk.purged || self.servers[&id].unreadable;
                assert!(
                    lost || !records.is_empty(),
                    "{id} finds nothing between {after} and {upto}"
                );
                let records = (!lost).then_some(records);
                self.step(id, Input::LogRead { link, records });
                *self.seen.entry("from log").or_default() += 1;
            }
            Effect::ProbeLog { link, learner } => {
                let disk = &self.servers[&id].disk;
                let usable = disk.log.iter().any(|(zxid, _)| match learner.counter() {
                    0 => *zxid < learner,
                    _ => *zxid == learner,
                });
                self.step(id, Input::LogProbed { link, usable });
            }
            Effect::Request { link, request } => match request.op.op() {
                Some(Op::Sync) => {
                    if let Some(peer) = self.peer(id) {
                        peer.sync(Some(link));
                    }
                }
                _ => {
                    self.propose(id);
                }
            },
            other => self.carry_out_here(id, other),
        }
    }

    fn notify(&mut self, id: ServerId, to: ServerId, notification: Notification) {
        let server = &self.servers[&id];
        // An observer that asks is told the outcome of the last round.
        let own = notification.choice.leader == server.me && self.quorums.is_voter(to);
        if notification.state.state() == Some(ServerState::Looking) && own {
            let choice = notification.choice;
            assert_eq!(choice.epoch.0, server.disk.current, "{id} votes for itself");
            assert!(
                server.disk.ends_at(choice.zxid),
                "{id} votes for itself at {}",
                choice.zxid
            );
        }
        for place in self.places(to) {
            if place == id {
                continue;
            }
            match self.servers[&place].peer.is_some() {
                true => {
                    self.votes.insert((id, place), notification.clone());
                }
                false => {
                    self.refused.insert((id, place));
                }
            }
        }
    }

    fn down_goes(&mut self, id: ServerId, link: LinkId, packet: FromLeader) {
        let disk = &self.servers[&id].disk;
        if let FromLeader::LeaderInfo { epoch, .. } = &packet {
            assert!(disk.accepted >= epoch.0, "E1: {id} tells of {epoch:?}");
        }
        let kind = match &packet {
            FromLeader::Diff(_) => "DIFF",
            FromLeader::Trunc(_) => "TRUNC",
            FromLeader::Snap(_) => "SNAP",
            _ => "",
        };
        if !kind.is_empty() {
            *self.seen.entry(kind).or_default() += 1;
        }
        let Some(there) = self.links.get_mut(&link) else {
            return;
        };
        let learner = there.learner;
        let text = show_from_leader(&packet);
        there.down.push_back(Down::Packet(packet));
        if let Some(text) = text {
            self.note(format!("{id} -> {learner} {text}"));
        }
    }

    fn up_goes(&mut self, id: ServerId, link: LinkId, packet: FromLearner) {
        let server = &self.servers[&id];
        match &packet {
            FromLearner::AckEpoch { last, .. } => {
                let epoch = server.peer.as_ref().map_or(Epoch(-1), Peer::epoch);
                assert!(
                    server.disk.accepted >= epoch.0,
                    "E1: {id} acknowledges {epoch:?}"
                );
                let honest = *last == Zxid::ZERO || server.disk.ends_at(*last);
                assert!(honest, "{id} acknowledges an epoch with {last}");
            }
            FromLearner::Ack(zxid) if zxid.counter() == 0 => {
                self.promises
                    .acknowledges_epoch(id, zxid.epoch(), &server.disk);
            }
            FromLearner::Ack(zxid) => {
                let held = server.disk.last() >= *zxid;
                assert!(held, "D1: {id} acknowledges {zxid}");
            }
            _ => {}
        }
        let Some(there) = self.links.get_mut(&link) else {
            return;
        };
        let leader = there.leader;
        let text = show_from_learner(&packet);
        there.up.push_back(packet);
        if let Some(text) = text {
            self.note(format!("{id} -> {leader} {text}"));
        }
    }

    fn carry_out_here(&mut self, id: ServerId, effect: Effect) {
        let server = self.servers.get_mut(&id).unwrap();
        match effect {
            Effect::Append { zxid, payload } => {
                server
                    .asked
                    .push_back(DiskOp::Append(entry(zxid, &payload)));
            }
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
                content.push(entry(proposal.zxid, &proposal.payload));
            }
            Effect::Replay(proposal) => {
                server.tree.push(entry(proposal.zxid, &proposal.payload));
                server.marker = proposal.zxid;
            }
            Effect::Deliver(proposal) => {
                let entry = entry(proposal.zxid, &proposal.payload);
                server.tree.push(entry);
                server.marker = proposal.zxid;
                let leads = matches!(server.serving, Some((Role::Leading, _)));
                if leads {
                    let disks = self.servers.iter().map(|(id, server)| (*id, &server.disk));
                    self.promises.agrees(id, entry, &self.quorums, disks);
                }
                self.promises.delivers(id, &self.servers[&id].tree);
                self.note(format!("{id} delivers {}", show(entry.0)));
            }
            Effect::Looking => {
                (server.serving, server.received) = (None, None);
                let why = server.peer.as_ref().and_then(Peer::last_failure);
                let why = why.unwrap_or_default().to_owned();
                self.promises.forgets_syncs(id);
                self.promises.gives_up(id, &why);
                self.note(format!("{id} gives up: {why}"));
            }
            Effect::Serving { role, epoch } => {
                server.serving = Some((role, epoch));
                server.marker = server.marker.max(Zxid::first_of(epoch));
                let tree = &self.servers[&id].tree;
                self.promises.serves(id, role, epoch, tree, &self.quorums);
                let last = tree.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
                self.note(format!(
                    "{id} {role:?} in epoch {} with {}",
                    epoch.0,
                    show(last)
                ));
            }
            Effect::TouchesWanted { last_proposed } => {
                if let Some(peer) = server.peer.as_mut() {
                    peer.touches(last_proposed, Vec::new());
                }
            }
            Effect::Synced => {
                self.promises.sync_ends(id, &self.servers[&id].tree);
                self.note(format!("{id} answers a sync"));
            }
            Effect::Confirmed => {
                self.promises.doubt_ends(id, &self.servers[&id].tree);
                self.note(format!("{id} is sure that it leads"));
            }
            _ => {}
        }
    }

    /// Lets one thing happen. False if nothing can.
    pub fn happen(&mut self) -> bool {
        let choices = self.choices();
        if choices.is_empty() {
            return false;
        }
        let at = match self.calm {
            true => 0,
            false => self.rng.random_range(0..choices.len()),
        };
        match choices[at] {
            Choice::Vote(from, to) => self.vote(from, to),
            Choice::Refused(from, to) => {
                self.refused.remove(&(from, to));
                let me = self.servers[&to].me;
                self.election_link(from, me, false);
            }
            Choice::Dial(from, to) => self.dial(from, to),
            Choice::Up(link) => self.up(link),
            Choice::Down(link) => self.down(link),
            Choice::Disk(id) => self.disk(id),
        }
        true
    }

    fn choices(&self) -> Vec<Choice> {
        let mut choices: Vec<Choice> = Vec::new();
        choices.extend(self.votes.keys().map(|(from, to)| Choice::Vote(*from, *to)));
        choices.extend(
            self.refused
                .iter()
                .map(|(from, to)| Choice::Refused(*from, *to)),
        );
        choices.extend(self.dials.iter().map(|(from, to)| Choice::Dial(*from, *to)));
        for (id, link) in &self.links {
            let open = |from, to| !self.calm || !self.cut.contains(&(from, to));
            let (learner, leader) = (link.learner, link.leader);
            if (!link.up.is_empty() || (!link.learner_has && !link.dead)) && open(learner, leader) {
                choices.push(Choice::Up(*id));
            }
            if (!link.down.is_empty() || (!link.leader_has && !link.dead)) && open(leader, learner)
            {
                choices.push(Choice::Down(*id));
            }
        }
        let busy = self.servers.iter().filter(|(_, server)| {
            server.peer.is_some() && !server.asked.is_empty() && !(self.calm && server.slowness > 0)
        });
        choices.extend(busy.map(|(id, _)| Choice::Disk(*id)));
        choices
    }

    fn vote(&mut self, from: ServerId, to: ServerId) {
        let Some(notification) = self.votes.remove(&(from, to)) else {
            return;
        };
        let (sender, receiver) = (self.servers[&from].me, self.servers[&to].me);
        if self.cut.contains(&(from, to)) {
            // Perhaps the sender notices.
            if self.calm || self.rng.random_bool(0.5) {
                self.election_link(from, receiver, false);
            }
            return;
        }
        self.election_link(from, receiver, true);
        self.election_link(to, sender, true);
        let from = sender;
        self.step(to, Input::Notification { from, notification });
    }

    fn dial(&mut self, from: ServerId, to: ServerId) {
        // The first place with this id that answers is the one.
        let me = self.servers[&to].me;
        self.dials.remove(&(from, to));
        let there = self.servers[&to].peer.is_some();
        if !there || self.cut.contains(&(from, to)) || self.cut.contains(&(to, from)) {
            if !self
                .dials
                .iter()
                .any(|(id, other)| *id == from && self.servers[other].me == me)
            {
                self.step(from, Input::LeaderUnreachable);
            }
            return;
        }
        self.dials.retain(|(id, _)| *id != from);
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
            dead: false,
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
            if link.leader_has && !link.dead {
                link.leader_has = false;
                if link.registered {
                    self.step(leader, Input::LinkLost { link: id });
                }
            }
            return self.forget(id);
        };
        if !link.leader_has || link.dead {
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
            if link.learner_has && !link.dead {
                link.learner_has = false;
                self.step(learner, Input::LinkLost { link: id });
            }
            return self.forget(id);
        };
        let (learner_has, leader_has) = (link.learner_has && !link.dead, link.leader_has);
        match packet {
            // What was queued is gone from the queue, whether anyone got it or not.
            Down::Drained if leader_has => self.step(leader, Input::Drained { link: id }),
            Down::Stream(content) if learner_has => {
                if let Some((_, received)) = &mut self.server(learner).received {
                    *received = content;
                    self.step(learner, Input::SnapshotReceived { link: id });
                }
            }
            Down::Packet(packet) if learner_has => {
                if let FromLeader::Snap(zxid) = packet {
                    self.server(learner).received = Some((zxid, Vec::new()));
                }
                self.step(learner, Input::FromLeader { link: id, packet });
            }
            _ => {}
        }
    }

    fn forget(&mut self, id: LinkId) {
        let over = |link: &Link| !link.leader_has && (!link.learner_has || link.dead);
        if self.links.get(&id).is_some_and(over) {
            self.links.remove(&id);
        }
    }

    fn disk(&mut self, id: ServerId) {
        let slowness = self.servers[&id].slowness;
        if self.rng.random_range(0..100) < slowness {
            return;
        }
        let batch = match self.calm {
            true => usize::MAX,
            false => self.rng.random_range(1..4),
        };
        let mut done = self.perform(id);
        for _ in 1..batch {
            let next = self.servers[&id].asked.front();
            if matches!(
                (&done, next),
                (Some(Done::Logged { .. }), Some(DiskOp::Append(_)))
            ) {
                done = self.perform(id);
            } else {
                break;
            }
        }
        if let Some(done) = done {
            self.step(id, Input::Done(done));
        }
    }

    /// Does the oldest thing a disk was asked for.
    fn perform(&mut self, id: ServerId) -> Option<Done> {
        let refuses = self.servers[&id].refuses;
        let refuses = refuses > 0 && self.rng.random_range(0..100) < refuses;
        let server = self.server(id);
        let op = server.asked.pop_front()?;
        let done = server.disk.perform(&op, refuses);
        match (&op, done) {
            (DiskOp::Truncate(to, true), Done::Truncated) => {
                server.tree.retain(|(zxid, _)| zxid <= to);
                server.marker = *to;
            }
            (DiskOp::Install(zxid, content), _) => {
                server.tree.clone_from(content);
                server.marker = *zxid;
            }
            (DiskOp::Current(epoch), _) => {
                let leads = |peer: &Peer| peer.state() == ServerState::Leading;
                let leads = server.peer.as_ref().is_some_and(leads);
                match leads {
                    true => self.promises.begins(id, *epoch, &self.servers[&id].disk),
                    false => self.promises.adopts(id, *epoch, &self.servers[&id].disk),
                }
            }
            _ => {}
        }
        if done == Done::NotTruncated {
            *self.seen.entry("NotTruncated").or_default() += 1;
        }
        let text = match &op {
            DiskOp::Append((zxid, _)) => format!("has {}", show(*zxid)),
            DiskOp::Accepted(epoch) => format!("has accepted epoch {}", epoch.0),
            DiskOp::Current(epoch) => format!("has current epoch {}", epoch.0),
            DiskOp::Truncate(to, _) if done == Done::Truncated => {
                format!("is cut after {}", show(*to))
            }
            DiskOp::Truncate(to, _) => format!("cannot be cut after {}", show(*to)),
            DiskOp::Install(zxid, _) => format!("has a snapshot of {}", show(*zxid)),
        };
        self.note(format!("{id} disk {text}"));
        Some(done)
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
            if let Some(peer) = self.peer(id) {
                peer.tick(now);
                self.drain(id);
            }
        }
    }

    /// Breaks the connections of `id`: both sides learn of it (0), or the leader (1), or the learner (2).
    pub fn break_links(&mut self, id: ServerId, who: u32) {
        let broken = self.links.iter().filter(|(_, link)| link.joins(id));
        for id in broken.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.break_link(id, who);
        }
    }

    /// Breaks some connection of a learner that is not served yet.
    pub fn break_synchronization(&mut self, who: u32) {
        let young = |link: &Link| link.registered && self.servers[&link.learner].serving.is_none();
        let link = self
            .links
            .iter()
            .find(|(_, link)| young(link) && !link.dead);
        if let Some(id) = link.map(|(id, _)| *id) {
            self.break_link(id, who);
        }
    }

    fn break_link(&mut self, id: LinkId, who: u32) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.dead = true;
        link.up.clear();
        link.down.retain(|packet| matches!(packet, Down::Drained));
        let (leader, learner) = (link.leader, link.learner);
        // Who reads a snapshot watches over it.
        let who = match self.servers[&learner].received {
            Some(_) if who == 1 => 0,
            _ => who,
        };
        let tell_leader = who != 2 && std::mem::take(&mut link.leader_has) && link.registered;
        let tell_learner = who != 1 && std::mem::take(&mut link.learner_has);
        if tell_leader {
            self.step(leader, Input::LinkLost { link: id });
        }
        if tell_learner {
            self.step(learner, Input::LinkLost { link: id });
        }
        self.forget(id);
    }

    /// Nothing passes between `id` and the others any more.
    pub fn isolate(&mut self, id: ServerId) {
        for other in self.ids() {
            self.cut.extend([(id, other), (other, id)]);
        }
    }

    /// Everything that was cut, is down, or slow, works again.
    pub fn heal(&mut self) {
        self.cut.clear();
        for id in self.ids() {
            let server = self.server(id);
            (server.slowness, server.refuses) = (0, 0);
            if server.peer.is_none() {
                self.start(id);
            }
        }
    }

    /// Lets everything happen that can, and time pass, until all servers serve and have the same tree, and a write and
    /// a sync at every server get through.
    pub fn converge(&mut self) {
        self.heal();
        let deadline = self.now + Duration::from_secs(30);
        while self.now < deadline {
            self.settle();
            let leader = self.leaders().first().copied();
            if self.is_even()
                && let Some(leader) = leader
                && self.propose(leader)
            {
                for id in self.ids() {
                    self.ask(id, Op::Sync);
                    self.doubt(id);
                }
                self.settle();
                let answered = |id: &ServerId| self.promises.syncs_of(*id) == 0;
                if self.is_even() && self.ids().iter().all(answered) {
                    return;
                }
            }
            self.wait(Duration::from_millis(50));
        }
        let states = self.servers.iter().map(|(id, server)| {
            let peer = server.peer.as_ref();
            let leader = peer.map(|peer| (peer.state(), peer.leader()));
            (
                id,
                server.serving,
                server.tree.len(),
                leader,
                self.promises.syncs_of(*id),
            )
        });
        panic!("no recovery within 30 s: {:?}", states.collect::<Vec<_>>());
    }

    fn settle(&mut self) {
        for _ in 0..2000 {
            if !self.happen() {
                break;
            }
        }
    }

    /// Whether all serve and have everything that is visible.
    fn is_even(&self) -> bool {
        let even =
            |server: &Server| server.serving.is_some() && server.tree == self.promises.visible;
        self.servers.values().all(even)
    }
}

/// A position as `epoch:counter`.
pub fn show(zxid: Zxid) -> String {
    format!("{}:{}", zxid.epoch().0, zxid.counter())
}

fn show_from_leader(packet: &FromLeader) -> Option<String> {
    Some(match packet {
        FromLeader::Proposal { zxid, .. } => format!("PROPOSAL {}", show(*zxid)),
        FromLeader::Commit(zxid) => format!("COMMIT {}", show(*zxid)),
        FromLeader::Inform { zxid, .. } => format!("INFORM {}", show(*zxid)),
        FromLeader::NewLeader { zxid, .. } => format!("NEWLEADER {}", show(*zxid)),
        FromLeader::UpToDate => "UPTODATE".to_owned(),
        FromLeader::Diff(zxid) => format!("DIFF {}", show(*zxid)),
        FromLeader::Trunc(zxid) => format!("TRUNC {}", show(*zxid)),
        FromLeader::Snap(zxid) => format!("SNAP {}", show(*zxid)),
        FromLeader::LeaderInfo { epoch, .. } => format!("LEADERINFO {}", epoch.0),
        FromLeader::Sync => "SYNC".to_owned(),
        _ => return None,
    })
}

fn show_from_learner(packet: &FromLearner) -> Option<String> {
    Some(match packet {
        FromLearner::FollowerInfo(info) => format!("FOLLOWERINFO {}", info.accepted_epoch.0),
        FromLearner::ObserverInfo(info) => format!("OBSERVERINFO {}", info.accepted_epoch.0),
        FromLearner::AckEpoch {
            last,
            current_epoch,
        } => {
            let current = current_epoch.map_or("-".to_owned(), |epoch| epoch.0.to_string());
            format!("ACKEPOCH {} current={current}", show(*last))
        }
        FromLearner::Ack(zxid) => format!("ACK {}", show(*zxid)),
        FromLearner::Request(_) => "REQUEST".to_owned(),
        _ => return None,
    })
}
