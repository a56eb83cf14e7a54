//! How a learner is brought to its leader's history: pure, and small enough to distrust.
//!
//! Everything here speaks of the leader's *log*: its initial history until the epoch is established, and what was
//! committed from then on. Proposals that are not committed yet follow the plan to voters, whatever it says.
//!
//! Why truncating and continuing are safe, although only positions are compared: an epoch has one leader, and its
//! transactions follow that leader's initial history. So two logs that hold transactions of one epoch are equal up to
//! where the first of them ends in that epoch; and a server that synchronized in an epoch which a quorum established
//! has that epoch's initial history, which every later leader also has. The property test below plays such histories.
//! Source: `LearnerHandler.syncFollower`, `LearnerHandler.queueCommittedProposals`.

use super::history::History;
use crate::base::Zxid;

/// The first packet of a synchronization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The learner keeps all it has. The zxid goes on the wire and means nothing to a learner.
    Diff(Zxid),
    /// The learner cuts its log after this position. What it acknowledged beyond must not count any more: its disk
    /// forgets it. With proposals behind it this is TRUNC+DIFF.
    Trunc(Zxid),
    /// The learner drops all it has for a snapshot.
    Snap,
}

/// Where the transactions behind the opening are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The history alone.
    Memory,
    /// The log up to where the history begins, then the history. The reader of the log must see that nothing is
    /// missing within an epoch, and must give up the link otherwise.
    LogThenMemory,
}

/// How to synchronize one learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncPlan {
    /// What comes first.
    pub opening: Opening,
    /// Everything committed after this position follows. For a snapshot: at least its own zxid.
    pub resume_after: Zxid,
    /// Where that is read from.
    pub source: Source,
}

/// What the leader's log on disk can say about a learner that the history does not reach back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogReach {
    /// The log is known to hold everything after this position, up to where the history begins. Never older than the
    /// newest snapshot that came from another server: such a snapshot leaves a hole in the log.
    pub whole_after: Zxid,
    /// Whether the log holds a transaction with the learner's last zxid.
    pub holds_learner: bool,
}

impl SyncPlan {
    /// The plan for a learner whose log ends at `learner`.
    ///
    /// `current` is what this leader reports as its own position: the end of its history, or the marker of its epoch
    /// once it is established and nothing was committed in it. `log` is only looked at where the history does not
    /// reach back to the learner (see [`SyncPlan::needs_log`]), and is None where reading the log would cost more
    /// than a snapshot.
    ///
    /// Differs from Java in four places, none of which a learner can tell from a leader with another cache:
    /// 1. A position is not compared with a cache that has a hole, so nothing is ever truncated to the edge of one.
    /// 2. The position right before the cache is as good as one inside.
    /// 3. A learner at the marker of an older epoch, beyond the end of our history, gets DIFF and no snapshot.
    /// 4. TRUNC to the marker of an epoch, which no log holds, is a snapshot: Java's `FileTxnLog.truncate` would keep
    ///    the first record behind it.
    pub fn choose(
        learner: Zxid,
        current: Zxid,
        history: &History,
        log: Option<LogReach>,
    ) -> SyncPlan {
        let last = history.last();
        if learner == current {
            return SyncPlan::diff(learner, learner, Source::Memory);
        }
        // Position 0 is also the word of a learner that does not trust what it has.
        if learner == Zxid::ZERO || last == Zxid::ZERO {
            return SyncPlan::snapshot(current);
        }
        if learner > last && !is_marker(learner) {
            if is_marker(last) {
                return SyncPlan::snapshot(current);
            }
            return SyncPlan {
                opening: Opening::Trunc(last),
                resume_after: last,
                source: Source::Memory,
            };
        }
        if learner >= history.base() {
            return match is_marker(learner) || history.holds(learner) {
                true => SyncPlan::diff(last, learner, Source::Memory),
                false => SyncPlan::snapshot(current),
            };
        }
        match log {
            Some(log)
                if learner >= log.whole_after && (is_marker(learner) || log.holds_learner) =>
            {
                SyncPlan::diff(last, learner, Source::LogThenMemory)
            }
            _ => SyncPlan::snapshot(current),
        }
    }

    /// Whether the log on disk may spare a snapshot to a learner whose log ends at `learner`.
    pub fn needs_log(learner: Zxid, history: &History) -> bool {
        learner != Zxid::ZERO && learner < history.base()
    }

    fn diff(upto: Zxid, resume_after: Zxid, source: Source) -> SyncPlan {
        SyncPlan {
            opening: Opening::Diff(upto),
            resume_after,
            source,
        }
    }

    /// A snapshot for a learner of a leader whose position is `current`.
    pub fn snapshot(current: Zxid) -> SyncPlan {
        SyncPlan {
            opening: Opening::Snap,
            resume_after: current,
            source: Source::Memory,
        }
    }
}

/// Whether a position is that of an epoch and of no transaction: a learner that synchronized in that epoch, was told
/// that a quorum had, and logged nothing since.
fn is_marker(zxid: Zxid) -> bool {
    zxid.counter() == 0
}

#[cfg(test)]
#[path = "sync_plan_tests.rs"]
mod tests;
