//! What the server counts and what it is in its ensemble, for four-letter words and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use crate::base::{Epoch, Mono, ServerId};
use crate::metrics::Metrics;
use crate::zab::io::Role;

/// A server's place in its ensemble, as one picture. The default is that of a server without a leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnsembleStatus {
    /// What it serves as; `None` while it serves nobody, because there is no leader or it is not established yet.
    pub role: Option<Role>,
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
    /// On a leader, how long its proposals were.
    pub proposals: ProposalSizes,
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

/// Lengths of the proposals of one leadership in bytes; `None` before the first.
///
/// Source: `BufferStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProposalSizes(Option<Lengths>);

/// Of things seen so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lengths {
    last: usize,
    min: usize,
    max: usize,
}

impl ProposalSizes {
    /// One more proposal of this many bytes: header, record and digest.
    pub fn add(&mut self, bytes: usize) {
        let before = self.0.unwrap_or(Lengths {
            last: bytes,
            min: bytes,
            max: bytes,
        });
        self.0 = Some(Lengths {
            last: bytes,
            min: before.min.min(bytes),
            max: before.max.max(bytes),
        });
    }

    /// Last, least and greatest; -1 each before the first, as Java shows it.
    pub fn last_min_max(&self) -> [i64; 3] {
        let shown = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.0.map_or([-1; 3], |Lengths { last, min, max }| {
            [last, min, max].map(shown)
        })
    }
}

/// Counters of the whole server. Whoever counts adds once per batch, not once per request.
///
/// Source: `ServerStats`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Everything that is counted and measured for operators.
    pub metrics: Arc<Metrics>,
    received: AtomicU64,
    sent: AtomicU64,
    in_loop: AtomicI64,
    digest_mismatches: AtomicU64,
    latency_count: AtomicI64,
    latency_total: AtomicI64,
    latency_max: AtomicI64,
    /// One more than the least latency, so that 0 means none yet.
    latency_min_plus_one: AtomicI64,
    ensemble: RwLock<EnsembleStatus>,
}

/// Latencies of a batch of requests, in whole milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latencies {
    count: i64,
    total: i64,
    max: i64,
    min: Option<i64>,
}

impl Latencies {
    /// One request took `latency` from its reception to its reply.
    pub fn add(&mut self, latency: Duration) {
        let ms = latency.as_millis() as i64;
        self.count += 1;
        self.total += ms;
        self.max = self.max.max(ms);
        self.min = Some(self.min.map_or(ms, |min| min.min(ms)));
    }
}

/// The latencies since the start, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencySummary {
    /// Least.
    pub min: i64,
    /// Mean.
    pub avg: f64,
    /// Greatest.
    pub max: i64,
}

impl Counters {
    /// `frames` came in.
    pub fn received(&self, frames: u64) {
        self.received.fetch_add(frames, Ordering::Relaxed);
    }

    /// `frames` went out.
    pub fn sent(&self, frames: u64) {
        self.sent.fetch_add(frames, Ordering::Relaxed);
    }

    /// Frames that came in and went out.
    pub fn packets(&self) -> (u64, u64) {
        (
            self.received.load(Ordering::Relaxed),
            self.sent.load(Ordering::Relaxed),
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

    /// A transaction left the tree with another digest than its leader computed.
    pub fn digest_differed(&self) {
        self.digest_mismatches.fetch_add(1, Ordering::Relaxed);
    }

    /// How many transactions left the tree with another digest than their leader computed.
    pub fn digest_mismatches(&self) -> u64 {
        self.digest_mismatches.load(Ordering::Relaxed)
    }

    /// Requests were answered. Empties `batch`.
    pub fn answered(&self, batch: &mut Latencies) {
        let Some(min) = batch.min else { return };
        self.latency_count.fetch_add(batch.count, Ordering::Relaxed);
        if batch.total > 0 {
            self.latency_total.fetch_add(batch.total, Ordering::Relaxed);
            self.latency_max.fetch_max(batch.max, Ordering::Relaxed);
        }
        let before = self.latency_min_plus_one.load(Ordering::Relaxed);
        if before == 0 || min + 1 < before {
            self.latency_min_plus_one.store(min + 1, Ordering::Relaxed);
        }
        *batch = Latencies::default();
    }

    /// Counts latencies and packets from here on. Source: `ServerStats.reset`.
    pub fn reset(&self) {
        for counter in [&self.received, &self.sent] {
            counter.store(0, Ordering::Relaxed);
        }
        for counter in [
            &self.latency_count,
            &self.latency_total,
            &self.latency_max,
            &self.latency_min_plus_one,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Replaces the picture of the ensemble. Only the commit loop calls this, after each batch that changed it.
    pub fn publish(&self, ensemble: EnsembleStatus) {
        *self.ensemble.write() = ensemble;
    }

    /// The last picture of the ensemble that was published.
    pub fn ensemble(&self) -> EnsembleStatus {
        *self.ensemble.read()
    }

    /// The latencies since the start.
    pub fn latency(&self) -> LatencySummary {
        let count = self.latency_count.load(Ordering::Relaxed);
        let total = self.latency_total.load(Ordering::Relaxed);
        LatencySummary {
            min: (self.latency_min_plus_one.load(Ordering::Relaxed) - 1).max(0),
            avg: if count > 0 {
                total as f64 / count as f64
            } else {
                0.0
            },
            max: self.latency_max.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_proposals_are_minus_one_before_the_first() {
        let mut sizes = ProposalSizes::default();
        assert_eq!(sizes.last_min_max(), [-1, -1, -1]);
        for bytes in [36, 120, 48] {
            sizes.add(bytes);
        }
        assert_eq!(sizes.last_min_max(), [48, 36, 120]);
    }

    #[test]
    fn latencies_add_up_over_batches() {
        let counters = Counters::default();
        assert_eq!(
            counters.latency(),
            LatencySummary {
                min: 0,
                avg: 0.0,
                max: 0
            }
        );
        let mut batch = Latencies::default();
        batch.add(Duration::from_millis(2));
        batch.add(Duration::from_millis(4));
        counters.answered(&mut batch);
        batch.add(Duration::from_millis(6));
        counters.answered(&mut batch);
        assert_eq!(
            counters.latency(),
            LatencySummary {
                min: 2,
                avg: 4.0,
                max: 6
            }
        );
    }
}
