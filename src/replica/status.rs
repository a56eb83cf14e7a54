//! What the server counts and what it is in its ensemble, for four-letter words and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::base::{Epoch, Mono, ServerId};
use crate::metrics::{HotPaths, Metrics};
use crate::zab::io::{Place, Role};

/// A server's place in its ensemble, as one picture. The default is that of a server without a leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnsembleStatus {
    /// What it serves as; `None` while it serves nobody, because there is no leader or it is not established yet.
    pub role: Option<Role>,
    /// Where it stands in the protocol.
    pub place: Place,
    /// Who leads, as far as this server knows.
    pub leader: Option<ServerId>,
    /// The epoch that is served.
    pub epoch: Epoch,
    /// When this role began.
    pub since: Mono,
    /// On a leader, who follows it.
    pub learners: LearnerCounts,
    /// On a leader, syncs that wait for a quorum.
    pub pending_syncs: usize,
}

/// Connections to a leader. Source: `Leader.getLearners`, `getForwardingFollowers`, `getNonVotingFollowers`,
/// `getObservingLearners`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnerCounts {
    /// All of them, in whatever phase.
    pub connected: usize,
    /// Those that registered as followers and get proposals, whether they vote or not.
    pub followers: usize,
    /// Of these, those that do not vote.
    pub non_voting_followers: usize,
    /// Those that registered as observers and get what is committed.
    pub observers: usize,
}

/// What a server's parts share about it: what is counted for operators, and what they steer by.
#[derive(Debug, Default)]
pub struct Counters {
    /// Everything that is counted and measured for operators. Whoever counts does so once per batch where that is as
    /// easy, not once per request.
    pub metrics: Arc<Metrics>,
    /// Where this server's clients read and write most.
    pub hot: HotPaths,
    in_loop: AtomicI64,
    /// As a leader: bytes of proposals that no quorum has yet.
    proposed_bytes: AtomicUsize,
    restores: AtomicBool,
    ensemble: RwLock<EnsembleStatus>,
}

/// The latencies since the start or the last `srst`, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencySummary {
    /// Least.
    pub min: u64,
    /// Mean.
    pub avg: f64,
    /// Greatest.
    pub max: u64,
}

impl Counters {
    /// Frames that came in and went out since the start or the last `srst`.
    pub fn packets(&self) -> (u64, u64) {
        let stats = &self.metrics.stats;
        (
            stats.packets_received.since_reset(),
            stats.packets_sent.since_reset(),
        )
    }

    /// `requests` were handed to the loop (or left it, if negative).
    pub fn in_loop(&self, requests: i64) {
        self.in_loop.fetch_add(requests, Ordering::Relaxed);
    }

    /// Requests the loop has not answered yet.
    pub fn outstanding(&self) -> i64 {
        self.in_loop.load(Ordering::Relaxed).max(0)
    }

    /// As a leader, `bytes` of proposals have no quorum yet. Only the commit loop calls this.
    pub fn propose(&self, bytes: usize) {
        if self.proposed_bytes() != bytes {
            self.proposed_bytes.store(bytes, Ordering::Relaxed);
        }
    }

    /// Bytes of proposals that no quorum has yet.
    pub fn proposed_bytes(&self) -> usize {
        self.proposed_bytes.load(Ordering::Relaxed)
    }

    /// A restore begins or ends. Only the commit loop calls this.
    pub fn restore(&self, is_on: bool) {
        self.restores.store(is_on, Ordering::Relaxed);
    }

    /// Whether this server is being restored: it cuts clients off, or is about to, and agrees to nothing.
    pub fn restores(&self) -> bool {
        self.restores.load(Ordering::Relaxed)
    }

    /// Replaces the picture of the ensemble. Only the commit loop calls this, after each batch that changed it.
    pub fn publish(&self, ensemble: EnsembleStatus) {
        *self.ensemble.write() = ensemble;
    }

    /// The last picture of the ensemble that was published.
    pub fn ensemble(&self) -> EnsembleStatus {
        *self.ensemble.read()
    }

    /// The latencies since the start or the last `srst`.
    pub fn latency(&self) -> LatencySummary {
        let latency = self.metrics.stats.latency.since_reset();
        LatencySummary {
            min: latency.min,
            avg: latency.avg(),
            max: latency.max,
        }
    }
}
