//! A server under a leader: finds it, takes over its history, then logs and applies what it orders.
//!
//! ```text
//!   Dialling -> Registered -> Accepting -> Opening -> Truncating | Receiving -> Synchronizing
//!                                                                                  | NEWLEADER
//!                    Serving  <--UPTODATE--  Answered  <--  Saving(epoch)  <--  Storing(history)
//! ```
//!
//! Every arrow out of Accepting, Truncating, Storing and Saving is a report of the disk; packets that come meanwhile
//! wait in `backlog`. So the order *history durable, epoch durable, answer* is the order of the states.
//! Source: `Learner.registerWithLeader`, `Learner.syncWithLeader`, `Follower`, `Observer`.

mod broadcast;
mod synchronization;

use std::collections::VecDeque;

use super::Proposal;
use super::core::Core;
use super::election::LearnerType;
use super::io::{Done, Effect, LinkId, Place, Role, SyncWay};
use super::mistake::Mistake;
use super::packet::{Forwarded, FromLeader, FromLearner, Registration, Touch};
use crate::base::{Epoch, Mono, ServerId, Zxid};

/// Why a learner gives up its leader; the text is for the operator.
pub(super) type Lost = String;

/// Whether the learner goes on.
pub(super) type Outcome = Result<(), Lost>;

/// Where a learner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for a connection.
    Dialling,
    /// Registered; waiting for LEADERINFO.
    Registered,
    /// The leader's epoch is on its way to the disk.
    Accepting {
        /// What to answer: None if the epoch was accepted before.
        answer: Option<Epoch>,
    },
    /// The epoch is acknowledged; waiting for DIFF, TRUNC or SNAP.
    Opening,
    /// The disk cuts the log.
    Truncating,
    /// A snapshot arrives.
    Receiving,
    /// What this server misses arrives.
    Synchronizing,
    /// NEWLEADER has come; its history is on its way to the disk.
    Storing {
        /// What must be durable.
        upto: Zxid,
    },
    /// The epoch is on its way to the disk.
    Saving,
    /// NEWLEADER is acknowledged; waiting for UPTODATE.
    Answered,
    /// Serving.
    Serving,
}

/// One attempt to follow, or observe, a leader.
#[derive(Debug)]
pub(super) struct Learner {
    leader: ServerId,
    phase: Phase,
    link: Option<LinkId>,
    epoch: Epoch,
    /// When the leader was last heard.
    heard: Mono,
    /// Packets that came while the disk was asked for something they have to wait for.
    backlog: VecDeque<FromLeader>,
    /// With a received snapshot: what that tree holds by now. The log is untouched until it is installed.
    received: Option<Zxid>,
    /// Proposals that came behind a snapshot and are not known to be agreed.
    undecided: VecDeque<Proposal>,
    /// Everything up to here was agreed before or during the synchronization.
    agreed: Zxid,
    /// In which way it gets its leader's history.
    way: Option<SyncWay>,
    /// The last proposal acknowledged; those agreed before NEWLEADER need no word of their own.
    acked: Zxid,
}

impl Learner {
    /// Begins to look for `leader`.
    pub fn new(core: &mut Core, leader: ServerId, now: Mono) -> Self {
        core.owe(Effect::Dial { leader });
        Learner {
            leader,
            phase: Phase::Dialling,
            link: None,
            epoch: Epoch(-1),
            heard: now,
            backlog: VecDeque::new(),
            received: None,
            undecided: VecDeque::new(),
            agreed: Zxid::ZERO,
            way: None,
            acked: Zxid::ZERO,
        }
    }

    pub fn leader(&self) -> ServerId {
        self.leader
    }

    pub fn link(&self) -> Option<LinkId> {
        self.link
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn is_serving(&self) -> bool {
        self.phase == Phase::Serving
    }

    /// Source: `Follower.followLeader`, `Observer.observeLeader`, `Learner.syncWithLeader`.
    pub fn place(&self, core: &Core) -> Place {
        let role = Learner::role(core);
        match self.phase {
            Phase::Dialling | Phase::Registered | Phase::Accepting { .. } => Place::Discovery(role),
            Phase::Serving => Place::Broadcast(role),
            _ => Place::Synchronization(role, self.way),
        }
    }

    /// The connection is there: register.
    pub fn reached(&mut self, core: &mut Core, link: LinkId, now: Mono) {
        if self.phase != Phase::Dialling {
            core.owe(Effect::Close { link });
            return;
        }
        self.link = Some(link);
        self.heard = now;
        self.phase = Phase::Registered;
        let options = &core.options;
        let registration = Registration::new(core.accepted, options.me, options.config_version);
        let packet = match options.learner {
            LearnerType::Participant => FromLearner::FollowerInfo(registration),
            LearnerType::Observer => FromLearner::ObserverInfo(registration),
        };
        self.send(core, packet);
    }

    /// A packet of the leader.
    pub fn packet(&mut self, core: &mut Core, packet: FromLeader, now: Mono) -> Outcome {
        self.heard = now;
        self.backlog.push_back(packet);
        self.work(core)
    }

    /// Takes what waits, as far as the disk allows.
    fn work(&mut self, core: &mut Core) -> Outcome {
        while !self.waits_for_disk() {
            let Some(packet) = self.backlog.pop_front() else {
                break;
            };
            self.take(core, packet)?;
        }
        Ok(())
    }

    fn waits_for_disk(&self) -> bool {
        matches!(
            self.phase,
            Phase::Accepting { .. }
                | Phase::Truncating
                | Phase::Receiving
                | Phase::Storing { .. }
                | Phase::Saving
        )
    }

    fn take(&mut self, core: &mut Core, packet: FromLeader) -> Outcome {
        match self.phase {
            Phase::Registered => self.leader_info(core, packet),
            Phase::Opening => self.opening(core, packet),
            Phase::Synchronizing | Phase::Answered => self.synchronize(core, packet),
            Phase::Serving => self.serve(core, packet),
            phase => Err(format!("{packet:?} while {phase:?}")),
        }
    }

    /// Source: `Learner.registerWithLeader`.
    fn leader_info(&mut self, core: &mut Core, packet: FromLeader) -> Outcome {
        let FromLeader::LeaderInfo { epoch, .. } = packet else {
            return Err(format!("it begins with {packet:?} and not with LEADERINFO"));
        };
        if epoch >= Epoch::LAST {
            return Err("its epoch is the last there can be".to_owned());
        }
        self.epoch = epoch;
        if epoch > core.accepted {
            self.phase = Phase::Accepting {
                answer: Some(core.current),
            };
            if core.errs(Mistake::AcceptedEpochOnlyInMemory) {
                core.accepted = epoch;
                return self.accepted(core);
            }
            core.save_accepted(epoch);
            Ok(())
        } else if epoch == core.accepted {
            self.phase = Phase::Accepting { answer: None };
            self.accepted(core)
        } else {
            let accepted = core.accepted.0;
            Err(format!(
                "its epoch {} is older than {accepted}, which this server accepted",
                epoch.0
            ))
        }
    }

    fn accepted(&mut self, core: &mut Core) -> Outcome {
        let Phase::Accepting { answer } = self.phase else {
            return Ok(());
        };
        self.phase = Phase::Opening;
        let last = match core.distrusts_log {
            true => Zxid::ZERO,
            false => core.history.last(),
        };
        let packet = FromLearner::AckEpoch {
            last,
            current_epoch: answer,
        };
        self.send(core, packet);
        self.work(core)
    }

    /// The stream behind SNAP is complete.
    pub fn snapshot_received(&mut self, core: &mut Core, now: Mono) -> Outcome {
        if self.phase != Phase::Receiving {
            return Err(format!("a snapshot while {:?}", self.phase));
        }
        self.heard = now;
        self.phase = Phase::Synchronizing;
        self.work(core)
    }

    /// The disk has done something; the core knows of it already.
    pub fn done(&mut self, core: &mut Core, done: Done) -> Outcome {
        match (self.phase, done) {
            (Phase::Accepting { .. }, Done::AcceptedEpoch(_)) => return self.accepted(core),
            (Phase::Truncating, Done::Truncated) => {
                self.phase = Phase::Synchronizing;
                self.agreed = core.appended;
            }
            (Phase::Truncating, Done::NotTruncated) => match core.distrusts_log {
                true => {
                    return Err("the log cannot be cut where the leader wants it; \
                         this server asks for a snapshot instead"
                        .to_owned());
                }
                false => {
                    self.phase = Phase::Synchronizing;
                    self.agreed = core.appended;
                }
            },
            (Phase::Storing { upto }, Done::Logged { .. }) if core.logged >= upto => {
                self.stored(core)
            }
            (Phase::Storing { .. }, Done::Installed) => self.stored(core),
            (Phase::Saving, Done::CurrentEpoch(_)) => self.saved(core)?,
            (Phase::Serving, Done::Logged { upto }) => self.acknowledge(core, upto),
            _ => {}
        }
        self.work(core)
    }

    /// Whether the leader has been silent for too long. The connection's owner watches over a snapshot that arrives,
    /// and over the dialling.
    pub fn deadline(&self, core: &Core) -> Option<Mono> {
        let limit = match self.phase {
            Phase::Dialling | Phase::Receiving => return None,
            Phase::Answered | Phase::Serving => core.options.sync_limit,
            _ => core.options.init_limit,
        };
        Some(self.heard + limit)
    }

    /// Gives up the leader.
    pub fn abandon(self, core: &mut Core) {
        if let Some(link) = self.link {
            core.owe(Effect::Close { link });
        }
    }

    /// Passes a client's request on.
    pub fn forward(&mut self, core: &mut Core, request: Forwarded) {
        self.send(core, FromLearner::Request(request));
    }

    /// Asks the leader about a session.
    pub fn revalidate(&mut self, core: &mut Core, touch: Touch) {
        self.send(core, FromLearner::Revalidate(touch));
    }

    /// Answers a ping.
    pub fn touches(&mut self, core: &mut Core, last_proposed: Zxid, touched: Vec<Touch>) {
        self.send(
            core,
            FromLearner::Ping {
                last_proposed,
                touched,
            },
        );
    }

    fn send(&self, core: &mut Core, packet: FromLearner) {
        if let Some(link) = self.link {
            core.owe(Effect::ToLeader { link, packet });
        }
    }

    fn role(core: &Core) -> Role {
        match core.options.learner {
            LearnerType::Participant => Role::Following,
            LearnerType::Observer => Role::Observing,
        }
    }
}
