//! Several elections on a virtual network in virtual time.
//!
//! The network delivers in order after one millisecond unless [`Faults`] say otherwise. What is
//! sent to a server that is down comes back as a broken link; what is sent across a cut vanishes. A
//! server that boots gets the last message that each of the others ever sent to it, as the election
//! port does with a new connection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;

use crate::base::{Epoch, Mono, ServerId, Zxid};
use crate::zab::election::{
    Decision, Effect, Election, Input, LearnerType, NewerConfig, Patience, Position,
};
use crate::zab::quorum::Quorums;
use crate::zab::timer::{Timer, Timers};
use crate::zab::vote::{Choice, Notification, ServerState, Vote};

pub struct World {
    pub now: Mono,
    pub servers: BTreeMap<ServerId, Server>,
    pub quorums: Quorums,
    /// Pairs, in the direction of sending, between which everything is lost without a sign.
    pub cut: BTreeSet<(ServerId, ServerId)>,
    pub faults: Option<Faults>,
    /// What happened, a line each.
    pub trace: String,
    /// Every decision, in order.
    pub decisions: Vec<(ServerId, Decision)>,
    /// Who ever voted for whom in which round, and how far the voter's history reached.
    pub votes_cast: BTreeMap<(ServerId, ServerId, i64), Position>,
    coming: BTreeMap<(Mono, u64), Event>,
    sequence: u64,
    last_sent: BTreeMap<(ServerId, ServerId), Vote>,
}

pub struct Server {
    pub learner: LearnerType,
    /// What survives a crash.
    pub position: Position,
    /// None while it is down.
    pub election: Option<Election>,
    timers: Timers,
}

/// What a bad network does to a message, each with a probability.
pub struct Faults {
    pub rng: SmallRng,
    pub loss: f64,
    pub duplication: f64,
    /// Most milliseconds on the way; messages overtake each other.
    pub delay: i64,
}

enum Event {
    Message {
        from: ServerId,
        to: ServerId,
        vote: Vote,
        newer: Option<NewerConfig>,
    },
    Link {
        at: ServerId,
        server: ServerId,
        up: bool,
    },
}

impl World {
    pub fn new(quorums: Quorums) -> Self {
        World {
            now: Mono(0),
            servers: BTreeMap::new(),
            quorums,
            cut: BTreeSet::new(),
            faults: None,
            trace: String::new(),
            decisions: Vec::new(),
            votes_cast: BTreeMap::new(),
            coming: BTreeMap::new(),
            sequence: 0,
            last_sent: BTreeMap::new(),
        }
    }

    /// Adds a server that is down.
    pub fn add(&mut self, id: ServerId, learner: LearnerType, position: Position) {
        let server = Server {
            learner,
            position,
            election: None,
            timers: Timers::default(),
        };
        self.servers.insert(id, server);
    }

    /// Starts a server: links come up in both directions, with the last message of each old one.
    pub fn boot(&mut self, id: ServerId) {
        let quorums = self.quorums.clone();
        let server = self.servers.get_mut(&id).unwrap();
        server.election = Some(Election::new(
            id,
            server.learner,
            quorums,
            Patience::default(),
            server.position,
        ));
        for other in self.up() {
            let cut = |a, b| self.cut.contains(&(a, b));
            if other == id || cut(other, id) || cut(id, other) {
                continue;
            }
            self.link(id, other, true);
            self.link(other, id, true);
            if let Some(last) = self.last_sent.get(&(other, id)).copied() {
                self.note(&format!("{other} -> {id}  again {}", shown(&last)));
                self.transmit(other, id, last, None);
            }
        }
        self.look(id);
    }

    /// Ends a server without a word; the others see their links break.
    pub fn kill(&mut self, id: ServerId) {
        let server = self.servers.get_mut(&id).unwrap();
        server.election = None;
        server.timers = Timers::default();
        self.last_sent.retain(|(from, _), _| *from != id);
        for other in self.up() {
            self.link(other, id, false);
        }
    }

    /// A server has lost its leader, or has none yet.
    pub fn look(&mut self, id: ServerId) {
        let position = self.servers[&id].position;
        self.step(id, Input::Look(position));
    }

    pub fn up(&self) -> Vec<ServerId> {
        let up = self
            .servers
            .iter()
            .filter(|(_, server)| server.election.is_some());
        up.map(|(id, _)| *id).collect()
    }

    pub fn state(&self, id: ServerId) -> Option<ServerState> {
        self.servers[&id].election.as_ref().map(Election::state)
    }

    /// Whom a server follows, or leads as.
    pub fn leader_of(&self, id: ServerId) -> Option<ServerId> {
        let election = self.servers[&id].election.as_ref();
        election
            .filter(|election| election.state() != ServerState::Looking)
            .map(|election| election.current_vote().choice.leader)
    }

    /// Hands `input` to a server that is up and does what comes of it.
    pub fn step(&mut self, id: ServerId, input: Input) {
        let now = self.now;
        let server = self.servers.get_mut(&id).unwrap();
        let Some(election) = &mut server.election else {
            return;
        };
        election.step(now, input);
        let mut effects = Vec::new();
        while let Some(effect) = election.next_effect() {
            effects.push(effect);
        }
        if let Some(proposal) = election.proposal() {
            let cast = (id, proposal.leader, election.round());
            self.votes_cast.entry(cast).or_insert(server.position);
        }
        for alike in effects.chunk_by(|one, next| sent(one).is_some() && sent(one) == sent(next)) {
            self.trace_sends(id, alike);
            for effect in alike {
                self.act(id, effect.clone());
            }
        }
    }

    /// The next thing that happens at or before `until`; false if there is none. Time is `until`
    /// then.
    pub fn next(&mut self, until: Mono) -> bool {
        let timers = self
            .servers
            .iter()
            .filter_map(|(id, server)| Some((server.timers.earliest()?, *id)));
        let timer = timers.min().filter(|(at, _)| *at <= until);
        let event = self.coming.keys().next().copied();
        let event = event.filter(|(at, _)| *at <= until);
        match (event, timer) {
            (Some(key), timer) if timer.is_none_or(|(at, _)| key.0 <= at) => {
                self.now = self.now.max(key.0);
                let event = self.coming.remove(&key).unwrap();
                self.happen(event);
            }
            (_, Some((at, id))) => {
                self.now = self.now.max(at);
                let expired = self.servers.get_mut(&id).unwrap().timers.expired(self.now);
                self.step(id, Input::Timer(expired.unwrap()));
            }
            _ => {
                self.now = until;
                return false;
            }
        }
        true
    }

    pub fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.next(until) {}
    }

    /// Until nothing is on its way and nobody is about to decide. Servers may still be looking.
    pub fn run_until_quiet(&mut self) {
        let deciding = |server: &Server| server.timers.clone().expired(Mono(i64::MAX));
        let busy = |world: &World| {
            let mut servers = world.servers.values();
            !world.coming.is_empty() || servers.any(|s| deciding(s) == Some(Timer::FinalizeWait))
        };
        while busy(self) {
            assert!(self.next(self.now + Duration::from_secs(100)));
        }
    }

    /// Puts a message on its way as if `from` had sent it.
    pub fn transmit(
        &mut self,
        from: ServerId,
        to: ServerId,
        vote: Vote,
        newer: Option<NewerConfig>,
    ) {
        if self.cut.contains(&(from, to)) {
            return;
        }
        let (mut copies, mut delays) = (1, [1, 1]);
        if let Some(faults) = &mut self.faults {
            if faults.rng.random_bool(faults.loss) {
                copies = 0;
            } else if faults.rng.random_bool(faults.duplication) {
                copies = 2;
            }
            delays = delays.map(|_| faults.rng.random_range(1..=faults.delay));
        }
        for delay in delays.into_iter().take(copies) {
            let event = Event::Message {
                from,
                to,
                vote,
                newer,
            };
            self.schedule(delay, event);
        }
    }

    pub fn note(&mut self, text: &str) {
        writeln!(self.trace, "{:>6} {text}", self.now.0).unwrap();
    }

    fn link(&mut self, at: ServerId, server: ServerId, up: bool) {
        self.schedule(1, Event::Link { at, server, up });
    }

    fn schedule(&mut self, delay: i64, event: Event) {
        self.sequence += 1;
        assert!(
            self.coming.len() < 5_000,
            "servers keep answering each other"
        );
        self.coming
            .insert((Mono(self.now.0 + delay), self.sequence), event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Message {
                from,
                to,
                vote,
                newer,
            } => {
                let notification = Notification {
                    state: vote.state.into(),
                    choice: vote.choice,
                    round: vote.round,
                    version: vote.version,
                    config: None,
                };
                let input = Input::Notification {
                    from,
                    notification,
                    newer,
                };
                self.step(to, input);
            }
            // The state of the link by now, not as it was when the news left.
            Event::Link { at, server, up } => {
                let alive = self.servers[&server].election.is_some();
                if up == alive {
                    self.step(at, Input::Link { server, up });
                }
            }
        }
    }

    fn act(&mut self, id: ServerId, effect: Effect) {
        match effect {
            Effect::Send { to, vote } => self.send(id, to, vote),
            Effect::SetTimer { timer, at } => self.timers(id).set(timer, at),
            Effect::StopTimer(timer) => self.timers(id).stop(timer),
            Effect::Decided(decision) => {
                let vote = decision.vote;
                if decision.supporters.contains(&id) {
                    let cast = (id, vote.choice.leader, vote.round);
                    let position = self.servers[&id].position;
                    self.votes_cast.entry(cast).or_insert(position);
                }
                let supporters: Vec<_> = decision
                    .supporters
                    .iter()
                    .map(ToString::to_string)
                    .collect();
                let quorum = supporters.join(" ");
                self.note(&format!(
                    "{id} {} {}  round={} by {{{quorum}}}",
                    state_name(decision.state),
                    vote.choice.leader,
                    vote.round
                ));
                self.decisions.push((id, decision));
            }
            Effect::LookingAgain(other) => {
                self.note(&format!("{id} sees {other} looking again"));
            }
            Effect::NewerConfig { from, rebuild } => {
                let what = if rebuild {
                    "stops to take over"
                } else {
                    "takes over"
                };
                self.note(&format!("{id} {what} the newer configuration of {from}"));
            }
        }
    }

    fn timers(&mut self, id: ServerId) -> &mut Timers {
        &mut self.servers.get_mut(&id).unwrap().timers
    }

    fn send(&mut self, from: ServerId, to: ServerId, vote: Vote) {
        self.last_sent.insert((from, to), vote);
        let cast = (from, vote.choice.leader, vote.round);
        let position = self.servers[&from].position;
        self.votes_cast.entry(cast).or_insert(position);
        let Some(server) = self.servers.get(&to) else {
            return;
        };
        if server.election.is_some() {
            self.transmit(from, to, vote, None);
        } else {
            self.link(from, to, false);
        }
    }

    /// One line for the same thing sent to several servers.
    fn trace_sends(&mut self, from: ServerId, alike: &[Effect]) {
        let Some(vote) = sent(&alike[0]) else {
            return;
        };
        let mut to = String::new();
        for effect in alike {
            if let Effect::Send { to: server, .. } = effect {
                write!(to, " {server}").unwrap();
            }
        }
        self.note(&format!("{from} ->{to}  {}", shown(&vote)));
    }
}

fn sent(effect: &Effect) -> Option<Vote> {
    match effect {
        Effect::Send { vote, .. } => Some(*vote),
        _ => None,
    }
}

pub fn position(epoch: i64, zxid: i64) -> Position {
    Position {
        zxid: Zxid(zxid),
        epoch: Epoch(epoch),
    }
}

pub fn choice(epoch: i64, zxid: i64, leader: i64) -> Choice {
    Choice {
        epoch: Epoch(epoch),
        zxid: Zxid(zxid),
        leader: ServerId(leader),
    }
}

fn shown(n: &Vote) -> String {
    let Choice {
        epoch,
        zxid,
        leader,
    } = n.choice;
    let vote = match (leader.0, zxid.0) {
        (i64::MIN, i64::MIN) => "nobody".to_owned(),
        (i64::MIN, _) => format!("(epoch {}, {zxid}, nobody)", epoch.0),
        _ => format!("(epoch {}, {zxid}, server {leader})", epoch.0),
    };
    format!("{} round={} vote={vote}", state_name(n.state), n.round)
}

pub fn state_name(state: ServerState) -> &'static str {
    match state {
        ServerState::Looking => "LOOKING",
        ServerState::Following => "FOLLOWING",
        ServerState::Leading => "LEADING",
        ServerState::Observing => "OBSERVING",
    }
}
