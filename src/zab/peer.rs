//! One server of an ensemble: what it is at the moment, and how that changes. Nothing else is decided here.
//!
//! ```text
//!                 +----------- a leader is lost, or quorum is ----------+
//!                 v                                                     |
//!   Draining -> Looking -> Leading(Leader) | Learning(Learner) ---------+
//! ```
//! Between two roles the disk finishes what it was asked for: a vote speaks of what is durable, and of all of it.
//! Source: `QuorumPeer.run`.

use std::time::Duration;

use super::Proposal;
use super::core::Core;
use super::election::{self, Decision, Election, LearnerType};
use super::history::{History, HistoryLimits};
use super::io::{Done, Effect, Input, LearnerKind, LinkId, PeerOptions, Place, Stored};
use super::leader::{Joined, Leader};
use super::learner::Learner;
use super::mistake::Mistake;
use super::packet::{Forwarded, Touch};
use super::quorum::{QuorumSystem, Quorums};
use super::timer::Timers;
use super::vote::{Notification, ServerState};
use crate::base::{Epoch, Mono, ServerId, SessionId, Zxid};

/// Registrations that wait for this server to know whether it leads.
const PARKED_MAX: usize = 64;

/// How long a server waits at most before it looks for a leader again after attempts that failed.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// One server, as far as the protocol goes.
///
/// After every call the effects are to be drained fully ([`Peer::next_effect`]).
#[derive(Debug)]
pub struct Peer {
    core: Core,
    election: Election,
    timers: Timers,
    state: State,
    /// Learners that came while this server did not know yet whether it leads.
    parked: Vec<Joined>,
    /// Attempts in a row that ended before anyone was served.
    failures: u32,
    /// Attempts to lead that end because a voter looks for another leader.
    desertions: u64,
    /// The epoch that the election was told of since the last one.
    established: Option<Epoch>,
    /// Why the last role ended.
    failure: Option<String>,
}

#[derive(Debug)]
enum State {
    /// Not started.
    Idle,
    /// The last role is over; the disk is still busy with it, or the pause after a failure is not over.
    Draining {
        until: Mono,
    },
    /// There is an election.
    Looking,
    Leading(Leader),
    Learning(Learner),
    /// On its own: leads without learners and without elections.
    Standalone(Leader),
}

impl Peer {
    /// A member of an ensemble, not started.
    pub fn new(options: PeerOptions, stored: Stored) -> Self {
        let core = Core::new(options, stored);
        let options = &core.options;
        let election = Election::new(
            options.me,
            options.learner,
            options.quorums.clone(),
            options.patience,
            core.position(),
        );
        Peer {
            core,
            election,
            timers: Timers::default(),
            state: State::Idle,
            parked: Vec::new(),
            failures: 0,
            desertions: 0,
            established: None,
            failure: None,
        }
    }

    /// A leader with a quorum of one, whose log ends at `last`, all of it applied. It serves at once and counts on
    /// past the end of an epoch, as Java's does (`ZooKeeperServer.getNextZxid`).
    pub fn standalone(last: Zxid) -> Self {
        let me = ServerId(1);
        let limits = HistoryLimits { count: 0, bytes: 0 };
        let voters = QuorumSystem::Majority {
            voters: [me].into(),
        };
        let options = PeerOptions {
            tuning: crate::zab::io::Tuning::default(),
            me,
            learner: LearnerType::Participant,
            quorums: Quorums::new(voters, None),
            config: bytes::Bytes::new(),
            config_version: 0,
            tick: Duration::from_secs(2),
            init_limit: Duration::ZERO,
            sync_limit: Duration::ZERO,
            patience: election::Patience::default(),
            history: limits,
        };
        let stored = Stored {
            accepted_epoch: last.epoch(),
            current_epoch: last.epoch(),
            history: History::after(last, limits),
            log_whole_after: last,
            trusted: true,
        };
        let mut peer = Peer::new(options, stored);
        peer.state = State::Standalone(Leader::standalone(&peer.core));
        peer
    }

    /// Puts a known mistake back.
    #[cfg(any(test, feature = "sim"))]
    pub fn err(&mut self, mistake: Mistake) {
        self.core.mistake = Some(mistake);
    }

    /// Lets the counter of an epoch end early.
    #[cfg(any(test, feature = "sim"))]
    pub fn end_counters_at(&mut self, counter: u32) {
        self.core.last_counter = counter;
    }

    /// Begins the first election.
    pub fn start(&mut self, now: Mono) {
        if matches!(self.state, State::Idle) {
            self.look(now);
            self.settle(now);
        }
    }

    /// Takes one input. Times must not go back.
    pub fn step(&mut self, now: Mono, input: Input) {
        let outcome = self.take(now, input);
        self.judge(now, outcome);
        self.settle(now);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Mono) {
        while let Some(timer) = self.timers.expired(now) {
            self.election.step(now, election::Input::Timer(timer));
            self.elect(now);
        }
        let outcome = match &mut self.state {
            State::Leading(leader) => leader.tick(&mut self.core, now),
            State::Learning(learner) => match learner.deadline(&self.core) {
                Some(deadline) if now >= deadline => Err("it was silent for too long".to_owned()),
                _ => Ok(()),
            },
            _ => Ok(()),
        };
        self.judge(now, outcome);
        self.settle(now);
    }

    /// When [`Peer::tick`] has something to do; None if nothing is to be waited for.
    pub fn next_deadline(&self) -> Option<Mono> {
        let own = match &self.state {
            State::Leading(leader) => Some(leader.deadline(&self.core)),
            State::Learning(learner) => learner.deadline(&self.core),
            State::Draining { until } if self.core.disk_is_idle() => Some(*until),
            _ => None,
        };
        [own, self.timers.earliest()].into_iter().flatten().min()
    }

    /// What is owed next.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.core.effects.pop_front()
    }

    fn take(&mut self, now: Mono, input: Input) -> Result<(), String> {
        match input {
            Input::Notification { from, notification } => {
                // Reconfiguration is not built: a newer configuration changes nothing here.
                let newer = None;
                let input = election::Input::Notification {
                    from,
                    notification,
                    newer,
                };
                self.election.step(now, input);
                self.elect(now);
                Ok(())
            }
            Input::ElectionLink { server, up } => {
                self.election
                    .step(now, election::Input::Link { server, up });
                self.elect(now);
                Ok(())
            }
            Input::Joined {
                link,
                kind,
                registration,
            } => {
                let joined = Joined {
                    link,
                    kind,
                    registration,
                };
                self.join(now, joined)
            }
            Input::LinkLost { link } => self.link_lost(now, link),
            Input::Done(done) => self.done(now, done),
            input => self.hand_on(now, input),
        }
    }

    /// What only a leader, or only a learner, can use; others are late, and nothing to worry about.
    fn hand_on(&mut self, now: Mono, input: Input) -> Result<(), String> {
        let core = &mut self.core;
        match (&mut self.state, input) {
            (State::Leading(leader), Input::FromLearner { link, packet }) => {
                leader.packet(core, link, packet, now)
            }
            (State::Leading(leader), Input::Drained { link }) => {
                leader.drained(core, link);
                Ok(())
            }
            (State::Leading(leader), Input::SnapshotReady { link, zxid }) => {
                leader.snapshot_ready(core, link, zxid, now)
            }
            (State::Leading(leader), Input::LogRead { link, records }) => {
                leader.log_read(core, link, records, now)
            }
            (State::Leading(leader), Input::LogProbed { link, usable }) => {
                leader.log_probed(core, link, usable);
                Ok(())
            }
            (State::Learning(learner), Input::LeaderReached { link }) => {
                learner.reached(core, link, now);
                Ok(())
            }
            (State::Learning(learner), Input::LeaderUnreachable) if learner.link().is_none() => {
                Err("its quorum port cannot be reached".to_owned())
            }
            (State::Learning(learner), Input::FromLeader { link, packet })
                if learner.link() == Some(link) =>
            {
                learner.packet(core, packet, now)
            }
            (State::Learning(learner), Input::SnapshotReceived { link })
                if learner.link() == Some(link) =>
            {
                learner.snapshot_received(core, now)
            }
            (_, Input::LeaderReached { link }) => {
                core.owe(Effect::Close { link });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn join(&mut self, now: Mono, joined: Joined) -> Result<(), String> {
        match &mut self.state {
            State::Leading(leader) if leader.is_outdated_by(&self.core, &joined) => {
                let promised = joined.registration.accepted_epoch.0;
                self.parked.push(joined);
                return Err(format!(
                    "a voter has promised epoch {promised} to somebody and can only follow a later leadership"
                ));
            }
            State::Leading(leader) => leader.joined(&mut self.core, joined, now),
            State::Learning(_) | State::Standalone(_) => {
                self.core.owe(Effect::Close { link: joined.link })
            }
            State::Idle | State::Draining { .. } | State::Looking => {
                let server = joined.registration.server;
                if let Some(at) = self
                    .parked
                    .iter()
                    .position(|other| other.registration.server == server)
                {
                    // The newest connection of a server is the one it is waiting on.
                    let link = self.parked.remove(at).link;
                    self.core.owe(Effect::Close { link });
                }
                match self.parked.len() < PARKED_MAX {
                    true => self.parked.push(joined),
                    false => self.core.owe(Effect::Close { link: joined.link }),
                }
            }
        }
        Ok(())
    }

    fn link_lost(&mut self, now: Mono, link: LinkId) -> Result<(), String> {
        self.parked.retain(|joined| joined.link != link);
        match &mut self.state {
            State::Leading(leader) => leader.lost(&mut self.core, link, now),
            State::Learning(learner) if learner.link() == Some(link) => {
                return Err("its connection was lost".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    fn done(&mut self, now: Mono, done: Done) -> Result<(), String> {
        self.core.done(done);
        match &mut self.state {
            State::Leading(leader) | State::Standalone(leader) => {
                leader.done(&mut self.core, done, now)
            }
            State::Learning(learner) => learner.done(&mut self.core, done),
            _ => Ok(()),
        }
    }

    /// Gives up leading or following, if that is what this server does, and looks for a leader again.
    pub fn step_down(&mut self, now: Mono, why: &str) {
        self.judge(now, Err(why.to_owned()));
        self.settle(now);
    }

    /// As a leader: proposes nothing any more, so that what is under way comes to its end. Only the end of this
    /// leadership opens it again.
    pub fn close(&mut self) {
        if let State::Leading(leader) = &mut self.state {
            leader.close();
        }
    }

    /// As a leader that is [settled](Peer::is_settled): lets a database from elsewhere take the place of everything
    /// before. It gets the next position of this epoch, like a transaction that is in this log alone, and is owed to
    /// the disk as [`Effect::InstallSnapshot`]; once it is durable this leadership ends. Whoever leads next has it,
    /// and so has everybody, or has not, and it is cut off: this server is to be elected for it. False if this server
    /// does not lead, or may not propose.
    pub fn supersede(&mut self) -> bool {
        let State::Leading(leader) = &self.state else {
            return false;
        };
        let Some(zxid) = leader.successor(&self.core) else {
            return false;
        };
        self.core.install(zxid);
        true
    }

    /// No zxid in the tree is newer than `reach`. A leadership that begins from now on has a later epoch, so that
    /// none of them is given out again.
    pub fn tree_reaches(&mut self, reach: Zxid) {
        let most = Epoch(Epoch::LAST.0 - 2);
        self.core.tree_epoch = self.core.tree_epoch.max(reach.epoch().min(most));
    }

    /// Whether the tree has everything that this server's log has, and all of that is durable: nothing is under way.
    pub fn is_settled(&self) -> bool {
        let core = &self.core;
        let all = core.delivered == core.appended && core.logged == core.appended;
        all && core.tail.is_empty() && core.disk_is_idle() && self.outstanding() == 0
    }

    /// Gives up the role that cannot go on.
    fn judge(&mut self, now: Mono, outcome: Result<(), String>) {
        let Err(why) = outcome else {
            return;
        };
        let state = std::mem::replace(&mut self.state, State::Looking);
        let served = match state {
            State::Leading(leader) => {
                tracing::warn!(
                    "no longer leading epoch {}: {why}; clients are cut off until there is a leader again",
                    leader.epoch().0
                );
                let served = leader.is_serving();
                leader.abandon(&mut self.core);
                served
            }
            State::Learning(learner) => {
                tracing::warn!(
                    "no longer under leader {}: {why}; clients are cut off until there is a leader again",
                    learner.leader()
                );
                let served = learner.is_serving();
                learner.abandon(&mut self.core);
                served
            }
            other => {
                self.state = other;
                return;
            }
        };
        self.failures = if served {
            0
        } else {
            self.failures.saturating_add(1)
        };
        self.failure = Some(why);
        self.core.owe(Effect::Looking);
        let pause = Duration::from_millis(50 * u64::from(self.failures.saturating_sub(1)))
            .min(BACK_OFF_MAX);
        let until = now + pause.max(self.observers_pause());
        self.state = State::Draining { until };
    }

    /// An observer waits a moment, each its own, so that a thousand of them do not come at once.
    /// Source: `QuorumPeer.run`, `Observer.waitForReconnectDelay`.
    fn observers_pause(&self) -> Duration {
        let options = &self.core.options;
        match options.learner {
            LearnerType::Participant => Duration::ZERO,
            LearnerType::Observer => {
                let spread = (options.me.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                let most =
                    u64::try_from(options.tuning.observer_pause.as_millis()).unwrap_or(u64::MAX);
                Duration::from_millis(spread % most.max(1))
            }
        }
    }

    /// Looks for a leader once the disk is idle and the pause is over.
    fn settle(&mut self, now: Mono) {
        if let State::Draining { until } = self.state
            && now >= until
            && (self.core.disk_is_idle() || self.core.errs(Mistake::VoteBeforeDiskIsIdle))
        {
            self.look(now);
        }
        self.note_serving(now);
        self.core.check();
    }

    fn look(&mut self, now: Mono) {
        self.state = State::Looking;
        self.established = None;
        let position = self.core.position();
        self.election.step(now, election::Input::Look(position));
        self.elect(now);
    }

    /// Carries out what the election wants.
    fn elect(&mut self, now: Mono) {
        while let Some(effect) = self.election.next_effect() {
            match effect {
                election::Effect::Send { to, vote } => {
                    let config = self.core.options.config.clone();
                    let notification =
                        Notification::new(vote.state, vote.choice, vote.round, config);
                    self.core.owe(Effect::Notify { to, notification });
                }
                election::Effect::SetTimer { timer, at } => self.timers.set(timer, at),
                election::Effect::StopTimer(timer) => self.timers.stop(timer),
                election::Effect::Decided(decision) => self.decided(now, &decision),
                // Its acknowledgements stand: they speak of its disk.
                election::Effect::LookingAgain(voter) => {
                    if let State::Leading(leader) = &mut self.state {
                        self.desertions +=
                            u64::from(leader.voter_looks_again(&self.core, voter, now));
                    }
                }
                // Never handed in.
                election::Effect::NewerConfig { .. } => {}
            }
        }
    }

    fn decided(&mut self, now: Mono, decision: &Decision) {
        let leader = decision.vote.choice.leader;
        tracing::info!(
            "election round {} is decided: server {leader} leads, this server is {:?}",
            self.election.round(),
            decision.state
        );
        if decision.state == ServerState::Leading {
            let mut leader = Leader::new(&mut self.core, decision.supporters.clone(), now);
            for joined in std::mem::take(&mut self.parked) {
                leader.joined(&mut self.core, joined, now);
            }
            self.state = State::Leading(leader);
        } else {
            for joined in std::mem::take(&mut self.parked) {
                self.core.owe(Effect::Close { link: joined.link });
            }
            self.state = State::Learning(Learner::new(&mut self.core, leader, now));
        }
    }

    /// Tells the election of an epoch that is served from now on: those who ask are told of it.
    fn note_serving(&mut self, now: Mono) {
        let serves = self.is_serving() && !matches!(self.state, State::Standalone(_));
        if serves && self.established != Some(self.epoch()) {
            self.failures = 0;
            self.established = Some(self.epoch());
            self.election
                .step(now, election::Input::Established(self.epoch()));
            self.elect(now);
        }
    }
}

/// What the server asks of the protocol.
impl Peer {
    /// The zxid that the next proposal gets; None while this server must not propose.
    pub fn next_zxid(&self) -> Option<Zxid> {
        match &self.state {
            State::Leading(leader) => leader.next_zxid(&self.core),
            State::Standalone(leader) => Some(Zxid(leader.last_proposed().0.wrapping_add(1))),
            _ => None,
        }
    }

    /// Puts `proposal` into the order.
    ///
    /// # Panics
    /// If its zxid is not [`Peer::next_zxid`]: a bug of ours that would tear the order.
    pub fn propose(&mut self, now: Mono, proposal: Proposal) {
        assert_eq!(
            Some(proposal.zxid),
            self.next_zxid(),
            "proposals are contiguous"
        );
        if let State::Leading(leader) | State::Standalone(leader) = &mut self.state {
            leader.propose(&mut self.core, proposal, now);
        }
    }

    /// As a leader: takes a sync of a learner, or of a local client (None).
    pub fn sync(&mut self, whose: Option<LinkId>) {
        if let State::Leading(leader) | State::Standalone(leader) = &mut self.state {
            leader.sync(&mut self.core, whose);
        }
    }

    /// As a leader: makes sure by a quorum that no other leader was established yet; [`Effect::Confirmed`] tells.
    pub fn confirm(&mut self) {
        if let State::Leading(leader) | State::Standalone(leader) = &mut self.state {
            leader.make_sure(&mut self.core);
        }
    }

    /// As a leader: answers [`Effect::Revalidate`].
    pub fn revalidated(&mut self, link: LinkId, session: SessionId, valid: bool) {
        if let State::Leading(leader) = &self.state {
            leader.revalidated(&mut self.core, link, session, valid);
        }
    }

    /// As a learner: passes a client's request on to the leader.
    pub fn forward(&mut self, request: Forwarded) {
        if let State::Learning(learner) = &mut self.state {
            learner.forward(&mut self.core, request);
        }
    }

    /// As a learner: asks the leader about a session.
    pub fn revalidate(&mut self, touch: Touch) {
        if let State::Learning(learner) = &mut self.state {
            learner.revalidate(&mut self.core, touch);
        }
    }

    /// As a learner: answers [`Effect::TouchesWanted`].
    pub fn touches(&mut self, last_proposed: Zxid, touched: Vec<Touch>) {
        if let State::Learning(learner) = &mut self.state {
            learner.touches(&mut self.core, last_proposed, touched);
        }
    }

    /// What this server is.
    pub fn state(&self) -> ServerState {
        match &self.state {
            State::Leading(_) | State::Standalone(_) => ServerState::Leading,
            State::Learning(_) if self.core.options.learner == LearnerType::Observer => {
                ServerState::Observing
            }
            State::Learning(_) => ServerState::Following,
            _ => ServerState::Looking,
        }
    }

    /// Whether clients are served.
    pub fn is_serving(&self) -> bool {
        match &self.state {
            State::Leading(leader) | State::Standalone(leader) => leader.is_serving(),
            State::Learning(learner) => learner.is_serving(),
            _ => false,
        }
    }

    /// Who leads, as far as this server knows.
    pub fn leader(&self) -> Option<ServerId> {
        match &self.state {
            State::Leading(_) | State::Standalone(_) => Some(self.core.options.me),
            State::Learning(learner) => Some(learner.leader()),
            _ => None,
        }
    }

    /// Where this server stands, for operators.
    pub fn place(&self) -> Place {
        match &self.state {
            State::Leading(leader) | State::Standalone(leader) => leader.place(),
            State::Learning(learner) => learner.place(&self.core),
            State::Idle | State::Draining { .. } | State::Looking => Place::Election,
        }
    }

    /// How many attempts to lead were given up, since the last call, because a voter looks for another leader.
    pub fn take_desertions(&mut self) -> u64 {
        std::mem::take(&mut self.desertions)
    }

    /// As a leader: bytes of the proposals that are not agreed yet.
    pub fn outstanding_bytes(&self) -> usize {
        match &self.state {
            State::Leading(leader) | State::Standalone(leader) => leader.outstanding_bytes(),
            _ => 0,
        }
    }

    /// The epoch this server takes part in, or took part in last.
    pub fn epoch(&self) -> Epoch {
        match &self.state {
            State::Leading(leader) | State::Standalone(leader) => leader.epoch(),
            State::Learning(learner) => learner.epoch(),
            _ => self.core.current,
        }
    }

    /// The epochs as they are, or are about to be, on this server's disk: accepted, current.
    pub fn epochs(&self) -> (Epoch, Epoch) {
        (self.core.accepted, self.core.current)
    }

    /// Why this server stopped leading, or following, the last time; the text is for the operator.
    pub fn last_failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Why this server, leading, dropped a learner the last time that it was the learner's fault, or its silence.
    pub fn last_refusal(&self) -> Option<&str> {
        self.core.refused.as_deref()
    }

    /// As a leader: who is behind a connection.
    pub fn learner(&self, link: LinkId) -> Option<ServerId> {
        match &self.state {
            State::Leading(leader) => leader.learner(link),
            _ => None,
        }
    }

    /// As a leader: everyone who follows or observes, and whether it is synchronized.
    pub fn learners(&self) -> Vec<(ServerId, LearnerKind, bool)> {
        match &self.state {
            State::Leading(leader) => leader.learners().collect(),
            _ => Vec::new(),
        }
    }

    /// As a leader: syncs that wait for a quorum.
    pub fn pending_syncs(&self) -> usize {
        match &self.state {
            State::Leading(leader) => leader.pending_syncs(),
            _ => 0,
        }
    }

    /// As a leader: proposals that are not agreed yet.
    pub fn outstanding(&self) -> usize {
        match &self.state {
            State::Leading(leader) | State::Standalone(leader) => leader.outstanding().len(),
            _ => 0,
        }
    }

    /// The newest proposal this server knows of, durable or not.
    pub fn last_proposed(&self) -> Zxid {
        match &self.state {
            State::Leading(leader) | State::Standalone(leader) => leader.last_proposed(),
            _ => self.core.appended,
        }
    }

    /// The last record that is durable in this server's log.
    pub fn last_logged(&self) -> Zxid {
        self.core.logged
    }
}
