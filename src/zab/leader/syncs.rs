//! Syncs: promises that what is read next is no older than what was agreed when the sync arrived.
//!
//! Java answers a sync without asking anyone, so a leader that was deposed and does not know it yet confirms what is
//! long outdated. Here a sync ends once a quorum has answered a ping that was sent after it arrived: then no other
//! leader was established at that time. One round of pings serves every sync that waits for it.
//!
//! The server itself may want to know the same: whether what it does not know is nowhere.
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
    whose: Whose,
    /// Everything proposed before it must be agreed: Java's learners rely on it for the order of their replies.
    after: Zxid,
    /// The round that must have ended.
    round: u64,
}

/// Who waits for the end of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// A client of a learner.
    Learner(LinkId),
    /// A client of this server.
    Client,
    /// This server: it is in doubt whether it still leads.
    Doubt,
}

impl Syncs {
    /// Syncs of clients that wait.
    pub fn len(&self) -> usize {
        let asked = |sync: &&Sync| sync.whose != Whose::Doubt;
        self.pending.iter().filter(asked).count()
    }
}

impl Leader {
    /// Takes a sync of a learner, or of a local client (None).
    pub fn sync(&mut self, core: &mut Core, link: Option<LinkId>) {
        let learner = link.and_then(|link| self.learners.get_mut(&link));
        if let Some(learner) = learner {
            learner.syncs.push_back(self.broadcast.proposed);
        }
        let asks = !core.errs(Mistake::SyncWithoutRound);
        self.wait_for_round(core, link.map_or(Whose::Client, Whose::Learner), asks);
    }

    /// Takes a doubt: whether this server leads now, and all that it has proposed is agreed.
    pub fn make_sure(&mut self, core: &mut Core) {
        if core.errs(Mistake::RefuseWithoutRound) {
            return core.owe(Effect::Confirmed);
        }
        self.wait_for_round(core, Whose::Doubt, true);
    }

    fn wait_for_round(&mut self, core: &mut Core, whose: Whose, asks: bool) {
        let asks = asks && !core.options.quorums.reached_by(&[core.options.me].into());
        let idle = self.syncs.begun == self.syncs.ended;
        if asks && idle {
            self.begin_round(core);
        }
        // A round that is under way may have been answered before this one arrived.
        let later = asks && !idle;
        let round = self.syncs.begun + u64::from(later);
        let after = self.broadcast.proposed;
        self.syncs.pending.push_back(Sync {
            whose,
            after,
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
            let Syncs { pending, ended, .. } = &self.syncs;
            if pending.iter().rev().any(|sync| sync.round > *ended) {
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
                Whose::Client => core.owe(Effect::Synced),
                Whose::Doubt => core.owe(Effect::Confirmed),
                Whose::Learner(link) => self.answer_sync(core, link),
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
