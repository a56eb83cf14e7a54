//! What a server counts and measures: every metric of Java ZooKeeper under its name, and some of our own.
//!
//! ```text
//!   replica, runtime, client_port --- record ---> Metrics (fields are the handles: nothing is looked up)
//!   admin::monitor (mntr)         <--- each ---   every metric with its declaration
//!   admin::prometheus (/metrics)  <--- each ---
//! ```
//!
//! [`Metrics`] and [`Gauges`] are declared once, in `table.rs`: name, kind and help text. Recording takes no lock: it
//! adds to atomics that grow. Views (since the last `srst`, the last minutes) are differences to earlier states
//! and are worked out by whoever asks.
//!
//! Java's metrics that have no counterpart here are declared all the same, so that dashboards find them; their
//! declaration says [`Origin::Silent`] and they stay at zero.

mod counter;
mod declare;
mod gauge;
mod histogram;
mod hot;
mod number;
mod run;
mod spread;
mod summary;
mod table;

use std::sync::atomic::{AtomicI64, Ordering};

use crate::base::Mono;

pub use counter::{Counter, CounterSet, Keyed};
pub use declare::{Declared, Kind, Origin, Reading};
pub use gauge::{Fraction, Sizes};
pub use histogram::{BOUNDS, ByOp, ByStage, Histogram, Stage, Times};
pub use hot::{HotList, HotPath, HotPaths, HotPicture, Sampler, Touch};
pub use number::Number;
pub use run::Run;
pub use summary::{Batch, LastKey, Lately, SinceReset, Summary, SummarySet};
pub use table::{Gauges, Metrics};

/// Keys of one set: clients choose namespaces, and each costs a few kilobytes.
pub const SET_KEYS: usize = 512;

/// What comes under more keys than there may be. No namespace has a slash in its name.
pub const OTHER_KEYS: &str = "/";

/// What the gauges of a server are made of. These are Java's `ServerStats`: `srst` sets them back for every reader.
#[derive(Debug, Default)]
pub struct ServerStats {
    /// From a request's reception to its answer, in milliseconds, all requests of this server's clients.
    pub latency: Summary,
    /// Frames from clients, four-letter words among them.
    pub packets_received: Counter,
    /// Frames to clients, events and answers to four-letter words among them.
    pub packets_sent: Counter,
    /// Lengths of answers to clients, in bytes.
    pub client_response_size: Sizes,
    /// On a leader: lengths of its proposals, in bytes: header, record and digest. Begins anew with each leadership.
    pub proposal_size: Sizes,
    /// Authentications that failed. Stays over `srst`, as in Java.
    pub auth_failed: Counter,
    /// How likely the connection throttle drops the next one, 0 to 1.
    pub connection_drop_probability: Fraction,
    /// Syncs of the transaction log that took longer than `fsync.warningthresholdms`. Stays over `srst`, as in Java.
    pub fsync_threshold_exceeded: Counter,
}

/// Moves the windows of all summaries on.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// When the next step is due, in milliseconds of [`Mono`]; 0: nobody asked yet.
    due: AtomicI64,
}

impl Metrics {
    /// Moves the windows of the quantiles on, as far as the time has come. To be called every two minutes and before
    /// the quantiles are read; more often does no harm.
    pub fn tick(&self, now: Mono) {
        let step = summary::STEP.as_millis() as i64;
        let due = self.windows.due.load(Ordering::Relaxed);
        if due == 0 {
            self.windows.due.store(now.0 + step, Ordering::Relaxed);
            return;
        }
        if now.0 < due {
            return;
        }
        let late = (now.0 - due) / step;
        let next = due + (late + 1) * step;
        let moved =
            self.windows
                .due
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        if moved.is_err() {
            return; // someone else does it
        }
        let steps = usize::try_from(late)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        for _ in 0..steps.min(summary::STEPS) {
            self.each(&mut |_, reading| reading.step());
        }
    }

    /// What `srst` does: every counter and summary begins anew where [`Counter::since_reset`] and
    /// [`Summary::since_reset`] are shown. Prometheus, which wants counters to grow, sees no change in them.
    ///
    /// With `stats_only` these stay as they are and only [`ServerStats`] begin anew: what Java does where Prometheus is
    /// the provider.
    ///
    /// Source: `ServerStats.reset`, `DefaultMetricsProvider.resetAllValues`.
    pub fn reset(&self, stats_only: bool) {
        let stats = &self.stats;
        stats.latency.reset();
        stats.packets_received.reset();
        stats.packets_sent.reset();
        stats.client_response_size.reset();
        if !stats_only {
            self.each(&mut |_, reading| reading.reset());
        }
    }
}

#[cfg(test)]
mod tests;
