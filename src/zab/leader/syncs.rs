//! Syncs: promises that what is read next is no older than what was agreed when the sync arrived.
//!
//! Java answers a sync without asking anyone, so a leader that was deposed and does not know it yet confirms what is
//! long outdated. Here a sync ends once a quorum has answered a ping that was sent after it arrived: then no other
//! leader was established at that time. One round of pings serves every sync that waits for it.
//! Source: zab.md 6.6; `Leader.processSync`, `Leader.sendSync`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Leader;
use crate::base::{Mono, ServerId, Zxid};
use crate::zab::core::Core;
use crate::zab::io::{Effect, LinkId};
use crate::zab::mistake::Mistake;
use crate::zab::packet::FromLeader;

/// The syncs that wait, and the round of pings under way.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    /// Oldest first.
    pending: VecDeque<Sync>,
    /// The last round that began; they count from 1.
    begun: u64,
    /// The last round that ended.
    ended: u64,
    /// Who has answered in the round under way.
    answered: BTreeSet<ServerId>,
    /// Which ping of each link belongs to the round.
    wanted: BTreeMap<LinkId, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Sync {
    /// A learner's, or a local client's.
    whose: Option<LinkId>,
    /// Everything proposed before it must be agreed: Java's learners rely on it for the order of their replies.
    after: Zxid,
    /// The round that must have ended.
    round: u64,
}

impl Syncs {
    pub fn len(&self) -> usize {
        self.pending.len()
    }
}

impl Leader {
    /// Takes a sync.
    pub fn sync(&mut self, core: &mut Core, whose: Option<LinkId>) {
        let learner = whose.and_then(|link| self.learners.get_mut(&link));
        if let Some(learner) = learner {
            learner.syncs.push_back(self.broadcast.proposed);
        }
        let alone = core.options.quorums.reached_by(&[core.options.me].into());
        if self.syncs.begun == self.syncs.ended && !alone && !core.errs(Mistake::SyncWithoutRound) {
            self.begin_round(core);
            self.syncs.pending.push_back(Sync {
                whose,
                after: self.broadcast.proposed,
                round: self.syncs.begun,
            });
            return;
        }
        let asks = !alone && !core.errs(Mistake::SyncWithoutRound);
        // A round that is under way may have been answered before this sync arrived.
        let round = self.syncs.begun + u64::from(asks);
        self.syncs.pending.push_back(Sync {
            whose,
            after: self.broadcast.proposed,
            round,
        });
        self.complete_syncs(core);
    }

    fn begin_round(&mut self, core: &mut Core) {
        self.syncs.begun += 1;
        self.syncs.answered = [core.options.me].into();
        self.ping_all(core);
        let pinged = self
            .learners
            .values()
            .filter(|learner| learner.is_forwarded());
        self.syncs.wanted = pinged
            .map(|learner| (learner.link, learner.pings_sent))
            .collect();
    }

    /// A learner answered a ping.
    pub(super) fn ping_answered(&mut self, core: &mut Core, link: LinkId, _: Mono) {
        let Some(learner) = self.learners.get_mut(&link) else {
            return;
        };
        learner.pings_answered += 1;
        // Who came after the round began was sent no ping before it: any answer of theirs counts.
        let wanted = self.syncs.wanted.get(&link).copied().unwrap_or(0);
        if learner.is_synced() && learner.pings_answered >= wanted {
            self.syncs.answered.insert(learner.server);
        }
        if self.syncs.begun > self.syncs.ended
            && core.options.quorums.reached_by(&self.syncs.answered)
        {
            self.syncs.ended = self.syncs.begun;
            self.syncs.wanted.clear();
            if self
                .syncs
                .pending
                .back()
                .is_some_and(|sync| sync.round > self.syncs.ended)
            {
                self.begin_round(core);
            }
            self.complete_syncs(core);
        }
    }

    /// Ends the syncs that nothing is missing for, in their order.
    pub(super) fn complete_syncs(&mut self, core: &mut Core) {
        let (ended, committed) = (self.syncs.ended, self.broadcast.committed);
        let done = |sync: &Sync| sync.round <= ended && sync.after <= committed;
        while self.syncs.pending.front().is_some_and(done) {
            let Some(sync) = self.syncs.pending.pop_front() else {
                break;
            };
            match sync.whose {
                None => core.owe(Effect::Synced),
                Some(link) => self.answer_sync(core, link),
            }
        }
    }

    fn answer_sync(&mut self, core: &mut Core, link: LinkId) {
        let Some(learner) = self.learners.get_mut(&link) else {
            return;
        };
        let behind = learner.synced();
        for packet in std::iter::once(FromLeader::Sync).chain(behind) {
            core.owe(Effect::ToLearner { link, packet });
        }
    }
}
