//! Orders: gives out zxids, counts who has what, and says what is agreed.
//!
//! A learner's acknowledgements come in order and each says that everything before it is durable there, too. So one
//! number per voter is all there is to count, and what is agreed is always a prefix.
//! Source: `Leader.propose`, `Leader.processAck`, `Leader.tryToCommit`.

use std::collections::{BTreeMap, VecDeque};

use super::learners::Progress;
use super::{Leader, Outcome};
use crate::base::{Epoch, Mono, ServerId, Zxid};
use crate::zab::Proposal;
use crate::zab::core::Core;
use crate::zab::io::{Effect, LearnerKind, LinkId};
use crate::zab::mistake::Mistake;
use crate::zab::packet::FromLeader;

/// The order of one epoch.
#[derive(Debug)]
pub(super) struct Broadcast {
    pub proposed: Zxid,
    pub committed: Zxid,
    /// In `(committed, proposed]`, oldest first.
    pub outstanding: VecDeque<Proposal>,
    /// Their payloads together.
    pub outstanding_bytes: usize,
    /// How far each other voter's disk is.
    pub acks: BTreeMap<ServerId, Zxid>,
}

impl Broadcast {
    pub fn new(last: Zxid) -> Self {
        Broadcast {
            proposed: last,
            committed: last,
            outstanding: VecDeque::new(),
            outstanding_bytes: 0,
            acks: BTreeMap::new(),
        }
    }

    /// A new epoch.
    pub fn begin(&mut self, marker: Zxid) {
        *self = Broadcast::new(marker);
    }
}

impl Leader {
    /// The zxid of the next proposal; None while there must be none.
    pub fn next_zxid(&self, core: &Core) -> Option<Zxid> {
        let used_up = self.broadcast.proposed.counter() >= core.last_counter;
        if used_up && core.errs(Mistake::CounterRunsOver) {
            return Some(Zxid::first_of(Epoch(self.epoch.0 + 1)));
        }
        let next = Zxid(self.broadcast.proposed.0.wrapping_add(1));
        (self.is_serving() && !used_up && !self.closed).then_some(next)
    }

    /// The position of a database that takes the place of everything before: as a proposal would get it. None while
    /// there must be no proposal.
    pub fn successor(&self, core: &Core) -> Option<Zxid> {
        let used_up = self.broadcast.proposed.counter() >= core.last_counter;
        if core.errs(Mistake::RestoreInPlace) {
            return Some(core.logged);
        }
        let next = self.broadcast.proposed.next()?;
        (self.is_serving() && !used_up).then_some(next)
    }

    /// Puts a proposal into the order.
    pub fn propose(&mut self, core: &mut Core, proposal: Proposal, now: Mono) {
        self.broadcast.proposed = proposal.zxid;
        core.append(&proposal);
        let only_synced = core.errs(Mistake::ProposalsOnlyToSynced);
        for learner in self.learners.values_mut() {
            let gets = match only_synced {
                true => learner.is_synced(),
                false => learner.is_forwarded(),
            };
            if gets && learner.kind == LearnerKind::Follower {
                if learner.is_live() {
                    learner.unacknowledged.get_or_insert((proposal.zxid, now));
                }
                core.owe(Effect::ToLearner {
                    link: learner.link,
                    packet: FromLeader::Proposal {
                        zxid: proposal.zxid,
                        txn: proposal.payload.clone(),
                    },
                });
            }
        }
        self.broadcast.outstanding_bytes += proposal.payload.len();
        self.broadcast.outstanding.push_back(proposal);
        if core.errs(Mistake::OwnAckBeforeSync) {
            self.advance(core);
        }
    }

    /// An ACK.
    pub(super) fn acknowledged(
        &mut self,
        core: &mut Core,
        link: LinkId,
        zxid: Zxid,
        now: Mono,
    ) -> Outcome {
        if zxid == Zxid::first_of(self.epoch) {
            self.new_leader_acknowledged(core, link, now);
            return Ok(());
        }
        let Some(learner) = self.learners.get_mut(&link) else {
            return Ok(());
        };
        if zxid.counter() == 0 || zxid.epoch() != self.epoch || !learner.is_forwarded() {
            tracing::debug!(
                "server {}: its ACK of {zxid} says nothing here",
                learner.server
            );
            return Ok(());
        }
        if zxid > self.broadcast.proposed {
            return self.drop_learner(core, link, now, "it acknowledged what was never proposed");
        }
        if learner
            .unacknowledged
            .is_some_and(|(oldest, _)| oldest <= zxid)
        {
            let proposed = self.broadcast.proposed;
            learner.unacknowledged = (zxid < proposed).then_some((proposed, now));
        }
        if learner.kind == LearnerKind::Follower {
            let server = learner.server;
            let acked = self.broadcast.acks.entry(server).or_default();
            *acked = zxid.max(*acked);
            self.advance(core);
        }
        Ok(())
    }

    /// Agrees on what a quorum has.
    pub(super) fn advance(&mut self, core: &mut Core) {
        while let Some(first) = self.broadcast.outstanding.front() {
            if !self.quorum_has(core, first.zxid) {
                break;
            }
            if let Some(proposal) = self.broadcast.outstanding.pop_front() {
                self.broadcast.outstanding_bytes -= proposal.payload.len();
                self.commit(core, proposal);
            }
        }
        self.complete_syncs(core);
    }

    fn quorum_has(&self, core: &Core, zxid: Zxid) -> bool {
        let has = |server: ServerId| match server == core.options.me {
            true => core.logged >= zxid || core.errs(Mistake::OwnAckBeforeSync),
            false => self
                .broadcast
                .acks
                .get(&server)
                .is_some_and(|acked| *acked >= zxid),
        };
        core.options.quorums.reached_if(has)
    }

    fn commit(&mut self, core: &mut Core, proposal: Proposal) {
        let zxid = proposal.zxid;
        self.broadcast.committed = zxid;
        core.remember(&proposal);
        for learner in self
            .learners
            .values_mut()
            .filter(|learner| learner.is_forwarded())
        {
            let packet = match learner.kind {
                LearnerKind::Follower => FromLeader::Commit(zxid),
                LearnerKind::Observer => FromLeader::Inform {
                    zxid,
                    txn: proposal.payload.clone(),
                },
            };
            let link = learner.link;
            if let Some(packet) = learner.agreed(zxid, packet) {
                core.owe(Effect::ToLearner { link, packet });
            }
        }
        core.deliver(proposal);
    }

    /// Steps down before the counter of the epoch is used up.
    pub(super) fn check_counter(&self, core: &Core) -> Outcome {
        let used_up = self.broadcast.proposed.counter() >= core.last_counter
            && self.broadcast.outstanding.is_empty();
        match used_up && self.epoch == self.broadcast.proposed.epoch() {
            true => Err(
                "the zxid counter of this epoch is nearly used up; an election begins the next one"
                    .to_owned(),
            ),
            false => Ok(()),
        }
    }

    pub(super) fn ping_all(&mut self, core: &mut Core) {
        let last_proposed = self.broadcast.proposed;
        for learner in self
            .learners
            .values_mut()
            .filter(|learner| learner.is_forwarded())
        {
            ping(core, learner, last_proposed);
        }
    }

    pub(super) fn ping_server(&mut self, core: &mut Core, server: ServerId) {
        let last_proposed = self.broadcast.proposed;
        for learner in self.learners.values_mut() {
            if learner.server == server && learner.is_forwarded() {
                ping(core, learner, last_proposed);
            }
        }
    }
}

/// A learner that was not told UPTODATE yet takes a ping for a sign of life and does not answer it: it is not counted.
/// Source: `Learner.syncWithLeader`, which passes over it.
fn ping(core: &mut Core, learner: &mut Progress, last_proposed: Zxid) {
    learner.pings_sent += u64::from(learner.is_live());
    core.owe(Effect::ToLearner {
        link: learner.link,
        packet: FromLeader::Ping { last_proposed },
    });
}
