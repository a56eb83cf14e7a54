//! A server that leads: agrees on an epoch with a quorum, brings its learners to its own history, then orders.
//!
//! ```text
//!   Discovering -> Accepting -> Gathering -> Adopting -> Synchronizing -> Established
//!   a quorum       epoch        a quorum     epoch       a quorum has
//!   is here        durable      answered     durable     the history
//! ```
//!
//! Learners that come later go through the same stages on their own ([`learners::Stage`]).
//! Source: `Leader.lead`, `LearnerHandler`.

mod broadcast;
mod discovery;
mod learners;
mod synchronization;
mod syncs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::broadcast::Broadcast;
use self::learners::{Progress, Stage};
use self::syncs::Syncs;
use super::Proposal;
use super::core::Core;
use super::history::Logged;
use super::io::{Done, Effect, LearnerKind, LinkId, Place, Role};
use super::mistake::Mistake;
use super::packet::{FromLeader, FromLearner, Registration};
use crate::base::{Epoch, Mono, ServerId, SessionId, Zxid};

/// Why a leader gives up; the text is for the operator.
pub(super) type Lost = String;

/// Whether the leader goes on.
pub(super) type Outcome = Result<(), Lost>;

/// Where a leader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for a quorum to register.
    Discovering,
    /// The epoch is decided and on its way to the disk.
    Accepting,
    /// Waiting for a quorum to acknowledge the epoch.
    Gathering,
    /// The epoch's history, this server's own, is confirmed; the epoch is on its way to the disk.
    Adopting,
    /// Waiting for a quorum to have the history.
    Synchronizing,
    /// Serving.
    Established,
}

/// A registration as it came in.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub link: LinkId,
    pub kind: LearnerKind,
    pub registration: Registration,
}

/// One attempt to lead.
#[derive(Debug)]
pub(super) struct Leader {
    phase: Phase,
    /// Until a quorum has done what the phase waits for.
    deadline: Mono,
    epoch: Epoch,
    learners: BTreeMap<LinkId, Progress>,
    /// Links that claim the id of a learner that is here.
    rivals: Vec<Joined>,
    /// Voters that registered, acknowledged the epoch, or have the history, as the phase goes; this server included.
    heard_of: BTreeSet<ServerId>,
    /// Those whose votes made it leader.
    supporters: BTreeSet<ServerId>,
    /// One of them looked for another leader in time to end this attempt.
    deserted: bool,
    began: Mono,
    broadcast: Broadcast,
    syncs: Syncs,
    next_ping: Mono,
    /// Half ticks since the epoch was established.
    half_ticks: u64,
    /// Nothing is proposed any more.
    closed: bool,
}

impl Leader {
    /// Begins to lead, with nobody there yet.
    pub fn new(core: &mut Core, supporters: BTreeSet<ServerId>, now: Mono) -> Self {
        let mut leader = Leader {
            phase: Phase::Discovering,
            deadline: now + core.options.init_limit,
            epoch: Epoch(-1),
            learners: BTreeMap::new(),
            rivals: Vec::new(),
            heard_of: BTreeSet::from([core.options.me]),
            supporters,
            deserted: false,
            began: now,
            broadcast: Broadcast::new(core.history.last()),
            syncs: Syncs::default(),
            next_ping: now,
            half_ticks: 0,
            closed: false,
        };
        leader.decide_epoch(core);
        leader
    }

    /// A leader over its own log alone, established from the start.
    pub fn standalone(core: &Core) -> Self {
        Leader {
            phase: Phase::Established,
            deadline: Mono(i64::MAX),
            epoch: core.history.last().epoch(),
            learners: BTreeMap::new(),
            rivals: Vec::new(),
            heard_of: BTreeSet::from([core.options.me]),
            supporters: BTreeSet::new(),
            deserted: false,
            began: Mono(0),
            broadcast: Broadcast::new(core.history.last()),
            syncs: Syncs::default(),
            next_ping: Mono(i64::MAX),
            half_ticks: 0,
            closed: false,
        }
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn is_serving(&self) -> bool {
        self.phase == Phase::Established
    }

    /// Source: `Leader.lead`.
    pub fn place(&self) -> Place {
        let role = Role::Leading;
        match self.phase {
            Phase::Discovering | Phase::Accepting | Phase::Gathering | Phase::Adopting => {
                Place::Discovery(role)
            }
            Phase::Synchronizing => Place::Synchronization(role, None),
            Phase::Established => Place::Broadcast(role),
        }
    }

    /// Bytes of proposals that no quorum has yet.
    pub fn outstanding_bytes(&self) -> usize {
        self.broadcast.outstanding_bytes
    }

    /// Whether a voter that registers has promised a later epoch to a leader that did not make it. It would refuse
    /// this one as long as it lasts, so that it has to end: Java leaves the voter out until something else ends it.
    pub fn is_outdated_by(&self, core: &Core, joined: &Joined) -> bool {
        let Some(server) = joined.registration.server else {
            return false;
        };
        let promised = joined.registration.accepted_epoch;
        self.phase == Phase::Established
            && joined.kind == LearnerKind::Follower
            && server != core.options.me
            && core.options.quorums.is_voter(server)
            && (self.epoch < promised && promised < Epoch::LAST)
            && self
                .learners
                .values()
                .all(|learner| learner.server != server)
    }

    /// A server registered.
    pub fn joined(&mut self, core: &mut Core, joined: Joined, now: Mono) {
        let Joined {
            link,
            kind,
            ref registration,
        } = joined;
        // Without an id it is nobody's twin and nobody's voter. Source: `Leader.getEpochToPropose`, private sids.
        let server = registration.server.unwrap_or(ServerId(-1 - link.0 as i64));
        let refusal = if server == core.options.me {
            Some("it has this server's own id: two servers have the same myid".to_owned())
        } else if registration
            .config_version
            .is_some_and(|theirs| theirs > core.options.config_version)
        {
            Some("its configuration is newer than this leader's".to_owned())
        } else if registration
            .protocol_version
            .is_some_and(|version| version < super::packet::PROTOCOL_VERSION)
        {
            Some("its version is older than 3.4".to_owned())
        } else if registration.accepted_epoch >= Epoch::LAST {
            Some("it says that it has accepted the last epoch there can be".to_owned())
        } else {
            None
        };
        if let Some(why) = refusal {
            tracing::warn!(
                "server {server}: refused as a learner, {why}; it comes again by itself"
            );
            core.owe(Effect::Close { link });
            return;
        }
        let twin = self
            .learners
            .values()
            .any(|learner| learner.server == server);
        if twin && !core.errs(Mistake::TwinsWelcome) {
            // Perhaps the old connection is dead and nobody has noticed yet. The next word on it, or its end, decides.
            self.rivals.push(joined);
            self.ping_server(core, server);
            return;
        }
        let progress = Progress::new(link, server, kind, registration.accepted_epoch, now);
        self.learners.insert(link, progress);
        self.registered(core, link);
    }

    /// A packet of a learner.
    pub fn packet(
        &mut self,
        core: &mut Core,
        link: LinkId,
        packet: FromLearner,
        now: Mono,
    ) -> Outcome {
        let Some(learner) = self.learners.get_mut(&link) else {
            if self.rivals.iter().any(|rival| rival.link == link) {
                self.refuse(core, link, "it sent more than its registration");
            }
            return Ok(());
        };
        learner.heard = now;
        let server = learner.server;
        self.refuse_rivals_of(core, server);
        match packet {
            FromLearner::AckEpoch {
                last,
                current_epoch,
            } => self.epoch_acknowledged(core, link, last, current_epoch, now),
            FromLearner::Ack(zxid) => self.acknowledged(core, link, zxid, now),
            FromLearner::Ping { touched, .. } => {
                self.ping_answered(core, link, now);
                if self.is_serving() && !touched.is_empty() {
                    core.owe(Effect::Touched(touched));
                }
                Ok(())
            }
            FromLearner::Request(request) => {
                if self.serves(link) {
                    core.owe(Effect::Request { link, request });
                }
                Ok(())
            }
            FromLearner::Revalidate(touch) => {
                if self.serves(link) {
                    core.owe(Effect::Revalidate { link, touch });
                }
                Ok(())
            }
            FromLearner::FollowerInfo(_) | FromLearner::ObserverInfo(_) => {
                self.drop_learner(core, link, now, "it registered twice")
            }
        }
    }

    fn serves(&self, link: LinkId) -> bool {
        self.is_serving() && self.learners.get(&link).is_some_and(Progress::is_forwarded)
    }

    /// A connection is gone.
    pub fn lost(&mut self, core: &mut Core, link: LinkId, now: Mono) {
        self.rivals.retain(|rival| rival.link != link);
        let Some(learner) = self.learners.remove(&link) else {
            return;
        };
        if learner.is_forwarded() {
            core.owe(Effect::LearnerGone { link });
        }
        if self.phase == Phase::Discovering || self.phase == Phase::Gathering {
            // It may have gone to another leader; its word does not count until it comes again.
            self.heard_of.remove(&learner.server);
        }
        if let Some(at) = self
            .rivals
            .iter()
            .position(|rival| rival.registration.server == Some(learner.server))
        {
            let rival = self.rivals.remove(at);
            self.joined(core, rival, now);
        }
    }

    /// Closes the connection of a learner that cannot stay.
    fn drop_learner(&mut self, core: &mut Core, link: LinkId, now: Mono, why: &str) -> Outcome {
        if let Some(learner) = self.learners.get(&link) {
            tracing::warn!(
                "server {}: dropped as a learner, {why}; it comes back by itself, but if this goes on look at \
                 its log, its disk and the network between",
                learner.server
            );
        }
        core.refused = Some(why.to_owned());
        core.owe(Effect::Close { link });
        self.lost(core, link, now);
        Ok(())
    }

    fn refuse(&mut self, core: &mut Core, link: LinkId, why: &str) {
        if let Some(at) = self.rivals.iter().position(|rival| rival.link == link) {
            let rival = self.rivals.remove(at);
            let server = rival.registration.server.unwrap_or_default();
            tracing::warn!(
                "server {server}: a second learner with this id is refused, {why}; if two servers have that \
                 myid, change one"
            );
            core.owe(Effect::Close { link });
        }
    }

    fn refuse_rivals_of(&mut self, core: &mut Core, server: ServerId) {
        let rival = |rival: &&Joined| rival.registration.server == Some(server);
        while let Some(link) = self.rivals.iter().find(rival).map(|rival| rival.link) {
            self.refuse(
                core,
                link,
                "the first is alive: two servers have the same myid",
            );
        }
    }

    /// The disk has done something; the core knows of it already.
    pub fn done(&mut self, core: &mut Core, done: Done, now: Mono) -> Outcome {
        match (self.phase, done) {
            (Phase::Accepting, Done::AcceptedEpoch(_)) => self.epoch_accepted(core, now),
            (Phase::Adopting, Done::CurrentEpoch(_)) => self.epoch_adopted(core, now)?,
            (Phase::Established, Done::Installed) => {
                return Err("its database was replaced by one that was sent (restore)".to_owned());
            }
            (Phase::Established, Done::Logged { .. }) => {
                self.advance(core);
                self.feed_starved(core, now);
            }
            _ => {}
        }
        Ok(())
    }

    /// What is due.
    pub fn tick(&mut self, core: &mut Core, now: Mono) -> Outcome {
        if self.phase != Phase::Established && now >= self.deadline {
            return Err(match self.phase {
                Phase::Discovering => "no quorum registered within initLimit",
                Phase::Gathering => "no quorum acknowledged the epoch within initLimit",
                Phase::Synchronizing => "no quorum synchronized within initLimit",
                _ => "the disk did not make the epoch durable within initLimit",
            }
            .to_owned());
        }
        self.drop_silent(core, now)?;
        if self.pings() && now >= self.next_ping {
            self.next_ping = now + core.options.tick / 2;
            self.ping_all(core);
        } else {
            return Ok(());
        }
        if self.phase == Phase::Established {
            self.half_ticks += 1;
            if self.half_ticks.is_multiple_of(2) {
                self.check_quorum(core, now)?;
            }
            self.check_counter(core)?;
        }
        Ok(())
    }

    /// Whether learners have to hear from this server. Those that acknowledged NEWLEADER wait for no longer than
    /// syncLimit, while others may still take their time for the history.
    fn pings(&self) -> bool {
        matches!(self.phase, Phase::Synchronizing | Phase::Established)
    }

    /// When [`Leader::tick`] has something to do.
    pub fn deadline(&self, core: &Core) -> Mono {
        let own = match self.phase {
            Phase::Established => self.next_ping,
            Phase::Synchronizing => self.next_ping.min(self.deadline),
            _ => self.deadline,
        };
        let silent = self
            .learners
            .values()
            .filter_map(|learner| silent_at(core, learner))
            .min();
        silent.map_or(own, |silent| silent.min(own))
    }

    fn drop_silent(&mut self, core: &mut Core, now: Mono) -> Outcome {
        let silent: Vec<LinkId> = self
            .learners
            .values()
            .filter(|learner| silent_at(core, learner).is_some_and(|at| now >= at))
            .map(|learner| learner.link)
            .collect();
        for link in silent {
            self.drop_learner(
                core,
                link,
                now,
                "it was silent, or did not acknowledge a proposal, for too long",
            )?;
        }
        Ok(())
    }

    /// Source: `Leader.lead`, main loop.
    fn check_quorum(&self, core: &Core, now: Mono) -> Outcome {
        let fresh = |learner: &&Progress| {
            learner.is_synced() && learner.heard + core.options.sync_limit > now
        };
        let mut synced: BTreeSet<ServerId> = self
            .learners
            .values()
            .filter(fresh)
            .map(|learner| learner.server)
            .collect();
        synced.insert(core.options.me);
        match core.options.quorums.reached_by(&synced) {
            true => Ok(()),
            false => Err(format!(
                "only {} servers are synchronized, which is no quorum",
                synced.len()
            )),
        }
    }

    /// A voter that made this server leader looks for another one. If that is allowed to end a leadership that has
    /// no epoch yet, the next look at the deadlines does it. Whether that is decided now.
    /// Source: `Leader.reportLookingSid`, `quitLeading`.
    pub fn voter_looks_again(&mut self, core: &Core, voter: ServerId, now: Mono) -> bool {
        let waits = matches!(self.phase, Phase::Discovering | Phase::Accepting);
        if let Some(patience) = core.options.tuning.wait_for_epoch
            && waits
            && self.supporters.contains(&voter)
            && now - self.began > patience
        {
            self.deadline = now;
            return !std::mem::replace(&mut self.deserted, true);
        }
        false
    }

    /// Stops leading: what it proposed and its log holds becomes history like any other.
    pub fn abandon(self, core: &mut Core) {
        for link in self.learners.keys() {
            core.owe(Effect::Close { link: *link });
        }
        for rival in &self.rivals {
            core.owe(Effect::Close { link: rival.link });
        }
        for proposal in self.broadcast.outstanding {
            core.history.push(Logged {
                zxid: proposal.zxid,
                txn: proposal.payload.clone(),
            });
            core.tail.push_back(proposal);
        }
    }

    /// Proposes nothing from now on: what is under way is finished, and then this leadership ends.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Answers a learner that asked about a session.
    pub fn revalidated(&self, core: &mut Core, link: LinkId, session: SessionId, valid: bool) {
        self.send(core, link, FromLeader::Revalidated { session, valid });
    }

    fn send(&self, core: &mut Core, link: LinkId, packet: FromLeader) {
        if self.learners.contains_key(&link) {
            core.owe(Effect::ToLearner { link, packet });
        }
    }

    /// Everyone who follows or observes: id, kind, and whether it is synchronized.
    pub fn learner(&self, link: LinkId) -> Option<ServerId> {
        self.learners.get(&link).map(|learner| learner.server)
    }

    /// Everyone who follows or observes, and whether it is synchronized.
    pub fn learners(&self) -> impl Iterator<Item = (ServerId, LearnerKind, bool)> {
        self.learners
            .values()
            .filter(|learner| learner.is_forwarded())
            .map(|learner| (learner.server, learner.kind, learner.is_synced()))
    }

    /// Syncs that wait for a quorum.
    pub fn pending_syncs(&self) -> usize {
        self.syncs.len()
    }

    /// Proposals that are not agreed yet.
    pub fn outstanding(&self) -> &VecDeque<Proposal> {
        &self.broadcast.outstanding
    }

    /// The last proposal.
    pub fn last_proposed(&self) -> Zxid {
        self.broadcast.proposed
    }

    fn stage(&mut self, link: LinkId, stage: Stage) {
        if let Some(learner) = self.learners.get_mut(&link) {
            learner.stage = stage;
        }
    }
}

/// When a learner has been silent for too long.
fn silent_at(core: &Core, learner: &Progress) -> Option<Mono> {
    if !learner.owes_an_answer() {
        return None;
    }
    let limit = match learner.is_synced() {
        true => core.options.sync_limit,
        false => core.options.init_limit,
    };
    let silent = learner.heard + limit;
    let unacknowledged = learner
        .unacknowledged
        .map(|(_, since)| since + core.options.sync_limit);
    Some(unacknowledged.map_or(silent, |at| at.min(silent)))
}
