//! A learner that serves: log and acknowledge proposals, apply what is agreed, pass on the rest.
//!
//! Source: `Follower.processPacket`, `Observer.processPacket`.

use super::synchronization::{connects, read, warn_of_reconfiguration};
use super::{Learner, Outcome};
use crate::base::Zxid;
use crate::zab::Proposal;
use crate::zab::core::Core;
use crate::zab::io::{Effect, Role};
use crate::zab::mistake::Mistake;
use crate::zab::packet::{FromLeader, FromLearner};

impl Learner {
    /// A packet of a leader that is established.
    pub(super) fn serve(&mut self, core: &mut Core, packet: FromLeader) -> Outcome {
        match packet {
            FromLeader::Proposal { zxid, txn } => {
                let proposal = self.next(core, zxid, txn)?;
                core.take(proposal);
                if core.errs(Mistake::DeliverWhenProposed)
                    && let Some(proposal) = core.tail.pop_front()
                {
                    core.deliver(proposal);
                }
                if core.errs(Mistake::AckBeforeSync) {
                    self.acknowledge(core, zxid);
                }
                Ok(())
            }
            FromLeader::Commit(zxid) | FromLeader::CommitAndActivate { zxid, .. } => {
                warn_of_reconfiguration(&packet);
                self.commit_next(core, zxid)
            }
            FromLeader::Inform { zxid, ref txn }
            | FromLeader::InformAndActivate { zxid, ref txn, .. } => {
                warn_of_reconfiguration(&packet);
                let proposal = self.next(core, zxid, txn.clone())?;
                core.take(proposal);
                self.commit_next(core, zxid)
            }
            FromLeader::Ping { last_proposed } => {
                core.owe(Effect::TouchesWanted { last_proposed });
                Ok(())
            }
            FromLeader::Revalidated { session, valid } => {
                core.owe(Effect::Revalidated { session, valid });
                Ok(())
            }
            FromLeader::Sync => {
                core.owe(Effect::Synced);
                Ok(())
            }
            // Harmless, and Java's learner says no more.
            FromLeader::UpToDate => Ok(()),
            other => Err(format!("{other:?} in the middle of its epoch")),
        }
    }

    fn next(&self, core: &Core, zxid: Zxid, txn: bytes::Bytes) -> Result<Proposal, String> {
        let last = core.appended.max(Zxid::first_of(self.epoch));
        match connects(last, zxid) && zxid.epoch() == self.epoch {
            true => read(zxid, txn),
            false => Err(format!("the proposal of {zxid} does not follow {last}")),
        }
    }

    fn commit_next(&mut self, core: &mut Core, zxid: Zxid) -> Outcome {
        match core.tail.pop_front() {
            Some(proposal) if proposal.zxid == zxid => {
                core.deliver(proposal);
                Ok(())
            }
            Some(other) => {
                let oldest = other.zxid;
                core.tail.push_front(other);
                Err(format!(
                    "COMMIT of {zxid}, but the oldest proposal is {oldest}"
                ))
            }
            // Already agreed during the synchronization. Source: `FollowerZooKeeperServer.commit`.
            None if zxid <= core.delivered => Ok(()),
            None => Err(format!("COMMIT of {zxid}, which was not proposed")),
        }
    }

    /// Tells the leader of every proposal that has become durable. Java's leader counts each by itself.
    pub(super) fn acknowledge(&mut self, core: &mut Core, upto: Zxid) {
        if Learner::role(core) == Role::Observing {
            return;
        }
        let first = self.acked.max(Zxid::first_of(self.epoch));
        for zxid in first.0.saturating_add(1)..=upto.0 {
            self.send(core, FromLearner::Ack(Zxid(zxid)));
        }
        self.acked = self.acked.max(upto);
    }
}
