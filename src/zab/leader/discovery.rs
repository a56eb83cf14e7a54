//! A quorum agrees on an epoch that is higher than every one it has accepted, and that nobody in it knows more.
//!
//! Source: `Leader.getEpochToPropose`, `Leader.waitForEpochAck`; zab.md 4.

use super::learners::Stage;
use super::{Leader, Outcome, Phase};
use crate::base::{Epoch, Mono, Zxid};
use crate::zab::core::Core;
use crate::zab::io::LinkId;
use crate::zab::mistake::Mistake;
use crate::zab::packet::{FromLeader, PROTOCOL_VERSION};

impl Leader {
    /// A learner is here.
    pub(super) fn registered(&mut self, core: &mut Core, link: LinkId) {
        match self.phase {
            Phase::Discovering => {
                if let Some(learner) = self.learners.get(&link) {
                    self.heard_of.insert(learner.server);
                }
                self.decide_epoch(core);
            }
            Phase::Accepting => {}
            _ => self.inform(core, link),
        }
    }

    /// Decides on the epoch once a quorum is here.
    pub(super) fn decide_epoch(&mut self, core: &mut Core) {
        if self.phase != Phase::Discovering || !self.reached(core) {
            return;
        }
        let accepted = self.learners.values().map(|learner| learner.accepted);
        let mut highest = accepted.fold(core.accepted, Epoch::max);
        if !core.errs(Mistake::RestoredEpochsForgotten) {
            // No zxid that the tree holds is given out again.
            highest = highest.max(core.tree_epoch);
        }
        self.epoch = Epoch(highest.0 + 1);
        self.phase = Phase::Accepting;
        core.save_accepted(self.epoch);
    }

    /// The epoch is durable here: now others may hear of it.
    pub(super) fn epoch_accepted(&mut self, core: &mut Core, now: Mono) {
        self.phase = Phase::Gathering;
        self.deadline = now + core.options.init_limit;
        self.heard_of = [core.options.me].into();
        let links: Vec<LinkId> = self.learners.keys().copied().collect();
        for link in links {
            self.inform(core, link);
        }
        self.confirm(core);
    }

    fn inform(&mut self, core: &mut Core, link: LinkId) {
        self.stage(link, Stage::Informed);
        let packet = FromLeader::LeaderInfo {
            epoch: self.epoch,
            protocol_version: PROTOCOL_VERSION,
        };
        self.send(core, link, packet);
    }

    /// A learner will accept no lower epoch any more.
    pub(super) fn epoch_acknowledged(
        &mut self,
        core: &mut Core,
        link: LinkId,
        last: Zxid,
        current: Option<Epoch>,
        now: Mono,
    ) -> Outcome {
        let Some(learner) = self.learners.get_mut(&link) else {
            return Ok(());
        };
        if learner.stage != Stage::Informed {
            return self.drop_learner(core, link, now, "ACKEPOCH without a question");
        }
        learner.stage = Stage::Acknowledged { last };
        let server = learner.server;
        match self.phase {
            Phase::Gathering => {
                if current.is_some_and(|epoch| (epoch, last) > (core.current, core.history.last()))
                {
                    return self.drop_learner(
                        core,
                        link,
                        now,
                        "it has more than this leader, which must not lead it",
                    );
                }
                if current.is_some() && last != Zxid(-1) {
                    self.heard_of.insert(server);
                }
                self.confirm(core);
            }
            Phase::Synchronizing | Phase::Established => self.synchronize(core, link),
            _ => {}
        }
        Ok(())
    }

    /// A quorum has nothing that this server does not have: its history is the epoch's.
    fn confirm(&mut self, core: &mut Core) {
        if self.phase == Phase::Gathering && self.reached(core) {
            self.phase = Phase::Adopting;
            core.save_current(self.epoch);
        }
    }

    /// The epoch is adopted: synchronize everyone who waits for it.
    pub(super) fn epoch_adopted(&mut self, core: &mut Core, now: Mono) -> Outcome {
        self.phase = Phase::Synchronizing;
        self.deadline = now + core.options.init_limit;
        self.next_ping = now + core.options.tick / 2;
        self.heard_of = [core.options.me].into();
        let waiting = self
            .learners
            .values()
            .filter(|learner| matches!(learner.stage, Stage::Acknowledged { .. }));
        let links: Vec<LinkId> = waiting.map(|learner| learner.link).collect();
        for link in links {
            self.synchronize(core, link);
        }
        self.establish(core, now);
        Ok(())
    }

    /// Whether those heard of are a quorum.
    pub(super) fn reached(&self, core: &Core) -> bool {
        if core.errs(Mistake::ObserversCount) {
            return self.heard_of.len() > core.options.quorums.voters().len() / 2;
        }
        core.options.quorums.reached_by(&self.heard_of)
    }
}
