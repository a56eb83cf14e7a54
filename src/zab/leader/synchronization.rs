//! Brings one learner to the leader's history, then lets it take part.
//!
//! What a learner gets is the leader's log: its initial history, and what was committed since; then what is proposed
//! and not yet agreed; then NEWLEADER, which promises that all of this has come before.
//! Source: `LearnerHandler.syncFollower`, `Leader.startForwarding`; zab.md 5.

use super::learners::{Stage, Sync, Waits};
use super::{Leader, Outcome, Phase};
use crate::base::{Mono, Zxid};
use crate::zab::core::Core;
use crate::zab::history::Logged;
use crate::zab::io::{Effect, LearnerKind, LinkId};
use crate::zab::mistake::Mistake;
use crate::zab::packet::FromLeader;
use crate::zab::sync_plan::{LogReach, Opening, SyncPlan};

impl Leader {
    /// Begins to synchronize a learner that acknowledged the epoch.
    pub(super) fn synchronize(&mut self, core: &mut Core, link: LinkId) {
        let Some(learner) = self.learners.get_mut(&link) else {
            return;
        };
        let Stage::Acknowledged { last } = learner.stage else {
            return;
        };
        // Whatever it acknowledged over an older connection may be cut off, or lost with its disk; it will say again
        // what it still has.
        if !core.errs(Mistake::AcksSurviveTruncation) {
            self.broadcast.acks.remove(&learner.server);
        }
        if SyncPlan::needs_log(last, &core.history) && last >= core.log_whole_after {
            learner.stage = Stage::Probing { last };
            core.owe(Effect::ProbeLog {
                link,
                learner: last,
            });
        } else {
            self.open(core, link, last, None);
        }
    }

    /// The log on disk was asked about a learner's position.
    pub fn log_probed(&mut self, core: &mut Core, link: LinkId, usable: bool) {
        let stage = self.learners.get(&link).map(|learner| learner.stage);
        if let Some(Stage::Probing { last }) = stage {
            let reach = usable.then_some(LogReach {
                whole_after: core.log_whole_after,
                holds_learner: true,
            });
            self.open(core, link, last, reach);
        }
    }

    /// Says how the learner is synchronized, and does it.
    fn open(&mut self, core: &mut Core, link: LinkId, last: Zxid, log: Option<LogReach>) {
        let plan = match core.errs(Mistake::NoTruncation) && last > core.history.last() {
            true => SyncPlan::choose(self.position(core), self.position(core), &core.history, log),
            false => SyncPlan::choose(last, self.position(core), &core.history, log),
        };
        let plan = match core.errs(Mistake::MemoryTakenForWhole) && plan.opening == Opening::Snap {
            true => SyncPlan {
                opening: Opening::Diff(core.history.last()),
                resume_after: last.max(core.history.base()),
                ..plan
            },
            false => plan,
        };
        let plan = match core.options.tuning.force_snapshot {
            true => SyncPlan::snapshot(self.position(core)),
            false => plan,
        };
        if !self.has_room_for(core, link, plan.opening) {
            return self.send_away(core, link);
        }
        let server = self
            .learners
            .get(&link)
            .map(|learner| learner.server)
            .unwrap_or_default();
        tracing::info!(
            "server {server}: has everything up to {last}, gets {:?}",
            plan.opening
        );
        match plan.opening {
            Opening::Diff(zxid) => self.send(core, link, FromLeader::Diff(zxid)),
            Opening::Trunc(zxid) => self.send(core, link, FromLeader::Trunc(zxid)),
            Opening::Snap => {
                self.stage(link, Stage::Snapshotting);
                let at_least = core.history.base().min(core.delivered);
                core.owe(Effect::MakeSnapshot { link, at_least });
                return;
            }
        }
        self.feed(core, link, plan.resume_after);
    }

    /// Counts a synchronization. False if there are too many of its kind and this learner is one that can wait.
    /// Source: `LearnerSyncThrottler.beginSync`; participants are exempt.
    fn has_room_for(&mut self, core: &Core, link: LinkId, opening: Opening) -> bool {
        let tuning = &core.options.tuning;
        let (sync, most) = match opening {
            Opening::Snap => (Sync::Snapshot, tuning.snapshots_at_once),
            Opening::Diff(_) | Opening::Trunc(_) => (Sync::Transactions, tuning.diffs_at_once),
        };
        let running = self
            .learners
            .values()
            .filter(|learner| learner.sync == Some(sync))
            .count();
        let Some(learner) = self.learners.get_mut(&link) else {
            return false;
        };
        let voter = core.options.quorums.is_voter(learner.server);
        learner.sync = Some(sync);
        voter || running < most
    }

    fn send_away(&mut self, core: &mut Core, link: LinkId) {
        if let Some(learner) = self.learners.remove(&link) {
            tracing::info!(
                "server {}: too many learners synchronize at once; it is to come again",
                learner.server
            );
            core.owe(Effect::Close { link });
        }
    }

    /// What this leader reports as its own position.
    fn position(&self, core: &Core) -> Zxid {
        match self.phase {
            Phase::Established => core.history.last().max(Zxid::first_of(self.epoch)),
            _ => core.history.last(),
        }
    }

    /// A snapshot for a learner is ready, or cannot be had.
    pub fn snapshot_ready(
        &mut self,
        core: &mut Core,
        link: LinkId,
        zxid: Option<Zxid>,
        now: Mono,
    ) -> Outcome {
        let stage = self.learners.get(&link).map(|learner| learner.stage);
        if stage != Some(Stage::Snapshotting) {
            return Ok(());
        }
        let Some(zxid) = zxid else {
            return self.drop_learner(core, link, now, "no snapshot could be made for it");
        };
        self.send(core, link, FromLeader::Snap(zxid));
        core.owe(Effect::StreamSnapshot { link });
        self.make_room(core, link, zxid);
        Ok(())
    }

    /// Waits until the learner has taken most of what was sent.
    fn make_room(&mut self, core: &mut Core, link: LinkId, sent: Zxid) {
        let waits = Waits::Room;
        self.stage(link, Stage::Feeding { sent, waits });
        core.owe(Effect::ReportDrained { link });
    }

    /// The learner's queue has room.
    pub fn drained(&mut self, core: &mut Core, link: LinkId) {
        let stage = self.learners.get(&link).map(|learner| learner.stage);
        if let Some(Stage::Feeding {
            sent,
            waits: Waits::Room,
        }) = stage
        {
            self.feed(core, link, sent);
        }
    }

    /// Own disk has caught up: goes on with learners that wait for it.
    pub(super) fn feed_starved(&mut self, core: &mut Core, _: Mono) {
        let starved = |stage| match stage {
            Stage::Feeding {
                sent,
                waits: Waits::Disk,
            } => Some(sent),
            _ => None,
        };
        let starved: Vec<(LinkId, Zxid)> = self
            .learners
            .values()
            .filter_map(|learner| Some((learner.link, starved(learner.stage)?)))
            .collect();
        for (link, sent) in starved {
            self.feed(core, link, sent);
        }
    }

    /// Sends what follows `sent`: all of it if memory reaches back that far, or else a part from the log.
    fn feed(&mut self, core: &mut Core, link: LinkId, sent: Zxid) {
        if sent >= core.history.base() {
            return self.catch_up(core, link, sent);
        }
        let upto = core.logged.min(core.history.last());
        let waits = match upto > sent {
            true => Waits::Read,
            false => Waits::Disk,
        };
        self.stage(link, Stage::Feeding { sent, waits });
        if waits == Waits::Read {
            let after = sent;
            core.owe(Effect::ReadLog { link, after, upto });
        }
    }

    /// Records for a learner that is being fed.
    pub fn log_read(
        &mut self,
        core: &mut Core,
        link: LinkId,
        records: Option<Vec<Logged>>,
        now: Mono,
    ) -> Outcome {
        let stage = self.learners.get(&link).map(|learner| learner.stage);
        let Some(Stage::Feeding {
            waits: Waits::Read, ..
        }) = stage
        else {
            return Ok(());
        };
        let records = records.unwrap_or_default();
        let Some(last) = records.last().map(|record| record.zxid) else {
            // It may have been purged, or be damaged: whoever comes gets a snapshot instead.
            core.log_whole_after = core.log_whole_after.max(core.history.base());
            return self.drop_learner(core, link, now, "the log cannot be read for it");
        };
        for record in records {
            self.send_agreed(core, link, &record);
        }
        self.make_room(core, link, last);
        Ok(())
    }

    fn send_agreed(&self, core: &mut Core, link: LinkId, record: &Logged) {
        let (zxid, txn) = (record.zxid, record.txn.clone());
        self.send(core, link, FromLeader::Proposal { zxid, txn });
        if !core.errs(Mistake::SyncWithoutCommits) {
            self.send(core, link, FromLeader::Commit(zxid));
        }
    }

    /// Sends the rest and NEWLEADER, all at once: from here on the learner misses nothing.
    fn catch_up(&mut self, core: &mut Core, link: LinkId, sent: Zxid) {
        let promise = FromLeader::NewLeader {
            zxid: Zxid::first_of(self.epoch),
            config: Some(core.options.config.clone()),
        };
        if core.errs(Mistake::NewLeaderTooEarly) {
            self.send(core, link, promise.clone());
        }
        let rest: Vec<Logged> = core.history.newer_than(sent).cloned().collect();
        for record in &rest {
            self.send_agreed(core, link, record);
        }
        let Some(learner) = self.learners.get_mut(&link) else {
            return;
        };
        learner.stage = Stage::Promised;
        if learner.kind == LearnerKind::Follower && !core.errs(Mistake::ProposalsOnlyToSynced) {
            for proposal in &self.broadcast.outstanding {
                let (zxid, txn) = (proposal.zxid, proposal.payload.clone());
                core.owe(Effect::ToLearner {
                    link,
                    packet: FromLeader::Proposal { zxid, txn },
                });
                if core.errs(Mistake::AgreedTooEarly) {
                    let packet = FromLeader::Commit(zxid);
                    core.owe(Effect::ToLearner { link, packet });
                }
            }
        }
        if !core.errs(Mistake::NewLeaderTooEarly) {
            self.send(core, link, promise);
        }
    }

    /// A learner has the history.
    pub(super) fn new_leader_acknowledged(&mut self, core: &mut Core, link: LinkId, now: Mono) {
        let Some(learner) = self.learners.get_mut(&link) else {
            return;
        };
        // The second one, after UPTODATE, says nothing new.
        if learner.stage != Stage::Promised {
            return;
        }
        learner.stage = Stage::Synced;
        learner.sync = None;
        self.heard_of.insert(learner.server);
        match self.phase {
            Phase::Established => self.admit(core, link, now),
            _ => self.establish(core, now),
        }
    }

    /// Begins to order once a quorum has the history.
    pub(super) fn establish(&mut self, core: &mut Core, now: Mono) {
        let reached = self.reached(core) || core.errs(Mistake::ServeBeforeQuorum);
        if self.phase != Phase::Synchronizing || !reached {
            return;
        }
        self.phase = Phase::Established;
        self.next_ping = now;
        self.broadcast.begin(Zxid::first_of(self.epoch));
        match core.errs(Mistake::InitialHistoryNotDelivered) {
            true => core.forget_tail(),
            false => core.replay(core.appended),
        }
        core.owe(Effect::Serving {
            role: crate::zab::io::Role::Leading,
            epoch: self.epoch,
        });
        let synced = self
            .learners
            .values()
            .filter(|learner| learner.stage == Stage::Synced);
        let links: Vec<LinkId> = synced.map(|learner| learner.link).collect();
        for link in links {
            self.admit(core, link, now);
        }
    }

    fn admit(&mut self, core: &mut Core, link: LinkId, now: Mono) {
        self.send(core, link, FromLeader::UpToDate);
        if let Some(learner) = self.learners.get_mut(&link) {
            learner.stage = Stage::Live;
            let outstanding = self.broadcast.outstanding.back();
            learner.unacknowledged = match learner.kind {
                LearnerKind::Follower => outstanding.map(|proposal| (proposal.zxid, now)),
                LearnerKind::Observer => None,
            };
        }
    }
}
