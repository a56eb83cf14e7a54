//! From the first word about what this server misses to UPTODATE.
//!
//! With DIFF and TRUNC everything goes to the log as it comes. Whatever happens then, the log is a prefix of the
//! leader's history, or the server's own with nothing missing that it ever acknowledged and that was agreed.
//!
//! With SNAP the log stays as it is, and what follows is applied to the received tree, which nobody sees, until
//! NEWLEADER has come; then one durable step replaces everything. A server that forgot its log for a snapshot that is
//! older than what it had acknowledged would take away a word that a quorum may rest on.
//! Source: `Learner.syncWithLeader`; zab.md 5.4.

use bytes::Bytes;
use jute::txn::LoggedTxn;

use super::{Learner, Outcome, Phase};
use crate::base::Zxid;
use crate::zab::Proposal;
use crate::zab::core::Core;
use crate::zab::io::{Effect, SyncWay};
use crate::zab::mistake::Mistake;
use crate::zab::packet::{FromLeader, FromLearner};

impl Learner {
    /// DIFF, TRUNC or SNAP.
    pub(super) fn opening(&mut self, core: &mut Core, packet: FromLeader) -> Outcome {
        self.agreed = core.appended;
        self.way = match packet {
            FromLeader::Diff(_) => Some(SyncWay::Diff),
            FromLeader::Trunc(_) => Some(SyncWay::Trunc),
            FromLeader::Snap(_) => Some(SyncWay::Snap),
            _ => None,
        };
        match packet {
            // Position 0, as which it registered, was taken for the truth by a leader that has nothing either.
            FromLeader::Diff(_) if core.distrusts_log && core.appended > Zxid::ZERO => {
                return Err("DIFF, where only a snapshot helps".to_owned());
            }
            FromLeader::Diff(_) => self.phase = Phase::Synchronizing,
            FromLeader::Trunc(to) if to < core.appended => {
                self.phase = Phase::Truncating;
                core.truncate(to);
            }
            // More than this server has; it keeps what it has, and what follows must connect.
            FromLeader::Trunc(_) => self.phase = Phase::Synchronizing,
            FromLeader::Snap(zxid) => {
                self.phase = Phase::Receiving;
                self.received = Some(zxid);
            }
            other => return Err(format!("{other:?} in the place of DIFF, TRUNC or SNAP")),
        }
        Ok(())
    }

    /// Everything between the opening and UPTODATE.
    pub(super) fn synchronize(&mut self, core: &mut Core, packet: FromLeader) -> Outcome {
        let answered = self.phase == Phase::Answered;
        match packet {
            FromLeader::Proposal { zxid, txn } => self.propose(core, zxid, txn),
            FromLeader::Commit(zxid) | FromLeader::CommitAndActivate { zxid, .. } => {
                warn_of_reconfiguration(&packet);
                self.commit(core, zxid)
            }
            FromLeader::Inform { zxid, ref txn }
            | FromLeader::InformAndActivate { zxid, ref txn, .. } => {
                warn_of_reconfiguration(&packet);
                if core.errs(Mistake::ObserverDropsDuringSync) {
                    return Ok(());
                }
                self.propose(core, zxid, txn.clone())?;
                self.commit(core, zxid)
            }
            FromLeader::NewLeader { zxid, .. } if !answered => self.new_leader(core, zxid),
            FromLeader::UpToDate if answered => {
                self.up_to_date(core);
                Ok(())
            }
            // A ping is a sign of life, not answered before this server serves: a leader counts from UPTODATE on. And
            // nobody here has asked for the others yet.
            FromLeader::Ping { .. } | FromLeader::Revalidated { .. } | FromLeader::Sync => Ok(()),
            other => Err(format!("{other:?} during the synchronization")),
        }
    }

    fn propose(&mut self, core: &mut Core, zxid: Zxid, txn: Bytes) -> Outcome {
        let last = match self.received {
            Some(received) => self.undecided.back().map_or(received, |last| last.zxid),
            None => core.appended,
        };
        if zxid <= last {
            // A fuzzy snapshot holds it, or it was sent twice.
            return Ok(());
        }
        let proposal = read(zxid, txn)?;
        if !connects(last, zxid) {
            return Err(format!("{zxid} does not follow {last}"));
        }
        if zxid.epoch() > self.epoch {
            return Err(format!("{zxid} in the history of epoch {}", self.epoch.0));
        }
        match self.received {
            Some(_) => self.undecided.push_back(proposal),
            None => core.take(proposal),
        }
        Ok(())
    }

    fn commit(&mut self, core: &mut Core, zxid: Zxid) -> Outcome {
        let Some(received) = self.received else {
            if zxid > core.appended {
                return Err(format!("COMMIT of {zxid}, which was not proposed"));
            }
            self.agreed = self.agreed.max(zxid);
            return Ok(());
        };
        if zxid <= received {
            return Ok(());
        }
        match self.undecided.pop_front() {
            Some(proposal) if proposal.zxid == zxid => {
                self.received = Some(zxid);
                core.owe(Effect::ToReceived(proposal));
                Ok(())
            }
            other => Err(format!(
                "COMMIT of {zxid}, but the oldest proposal is {:?}",
                other.map(|p| p.zxid)
            )),
        }
    }

    /// The history is complete: make it durable, then the epoch, then answer.
    fn new_leader(&mut self, core: &mut Core, zxid: Zxid) -> Outcome {
        if zxid != Zxid::first_of(self.epoch) {
            return Err(format!("NEWLEADER of {zxid} in epoch {}", self.epoch.0));
        }
        if core.errs(Mistake::AnswerBeforeEpoch) {
            self.send(core, FromLearner::Ack(zxid));
        }
        if core.errs(Mistake::EpochBeforeHistory) {
            core.save_current(self.epoch);
        }
        // What comes from here on is acknowledged one by one, agreed or not: Java's leader waits for it.
        // Source: `LearnerHandler.SyncLimitCheck`.
        self.acked = self.received.unwrap_or(self.agreed);
        if let Some(received) = self.received.take() {
            self.agreed = received;
            self.phase = Phase::Storing { upto: received };
            core.install(received);
            return Ok(());
        }
        self.phase = Phase::Storing {
            upto: core.appended,
        };
        if core.logged >= core.appended {
            self.stored(core);
        }
        Ok(())
    }

    /// The history is durable.
    pub(super) fn stored(&mut self, core: &mut Core) {
        self.phase = Phase::Saving;
        core.save_current(self.epoch);
    }

    /// The epoch is durable.
    pub(super) fn saved(&mut self, core: &mut Core) -> Outcome {
        self.phase = Phase::Answered;
        for proposal in std::mem::take(&mut self.undecided) {
            core.take(proposal);
        }
        if !core.errs(Mistake::AnswerBeforeEpoch) {
            self.send(core, FromLearner::Ack(Zxid::first_of(self.epoch)));
        }
        Ok(())
    }

    /// A quorum has the history: everything agreed so far goes to the tree, then this server serves.
    fn up_to_date(&mut self, core: &mut Core) {
        self.phase = Phase::Serving;
        self.send(core, FromLearner::Ack(Zxid::first_of(self.epoch)));
        core.replay(self.agreed);
        core.owe(Effect::Serving {
            role: Learner::role(core),
            epoch: self.epoch,
        });
        self.acknowledge(core, core.logged);
    }
}

/// Reads a proposal.
///
/// # Errors
/// Bytes that make no transaction, or one of another zxid.
pub(super) fn read(zxid: Zxid, payload: Bytes) -> Result<Proposal, String> {
    let txn = LoggedTxn::read(payload.clone())
        .map_err(|error| format!("the proposal of {zxid} cannot be read: {error}"))?;
    match Zxid(txn.header.zxid) == zxid {
        true => Ok(Proposal {
            zxid,
            txn: Box::new(txn),
            payload,
        }),
        false => Err(format!(
            "the proposal of {zxid} holds {}",
            Zxid(txn.header.zxid)
        )),
    }
}

/// Whether nothing is missing between two transactions, as far as their numbers can tell.
pub(super) fn connects(last: Zxid, next: Zxid) -> bool {
    match next.epoch().cmp(&last.epoch()) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => last.0.checked_add(1) == Some(next.0),
        // Where the epoch of the first transaction here began is for the leader to know.
        std::cmp::Ordering::Greater => next.counter() > 0,
    }
}

/// Reconfiguration is not built: its transaction is applied, the members stay as configured.
pub(super) fn warn_of_reconfiguration(packet: &FromLeader) {
    if let FromLeader::CommitAndActivate { zxid, .. } | FromLeader::InformAndActivate { zxid, .. } =
        packet
    {
        tracing::warn!(
            "{zxid}: the ensemble was reconfigured, which this server does not follow: \
             give it the new configuration and restart it"
        );
    }
}
