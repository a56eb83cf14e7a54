//! What the commit loop measures: how long runs of alike messages took. The clock is read when the kind of work
//! changes, not for each message.

use std::sync::Arc;
use std::time::Duration;

use super::mailbox::Message;
use crate::base::Stamp;
use crate::metrics::{Metrics, Stage};
use crate::replica::{Input, Work};
use crate::zab::io::Input as PeerInput;
use crate::zab::packet::FromLearner;

/// What a message makes the loop do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something is asked for: to be judged, or passed on.
    Asking,
    /// Everything else, by which transactions come to be applied.
    Settling,
}

impl Kind {
    /// The kind of `message`.
    pub fn of(message: &Message) -> Kind {
        match message {
            Message::Input(
                Input::Request { .. }
                | Input::Connect { .. }
                | Input::Peer(PeerInput::FromLearner {
                    packet: FromLearner::Request(_),
                    ..
                }),
            ) => Kind::Asking,
            _ => Kind::Settling,
        }
    }
}

/// Where the times of the loop go.
pub struct LoopInstruments {
    metrics: Arc<Metrics>,
    kind: Kind,
    since: Stamp,
    /// What was done in this round, and how long it took to judge and to settle.
    work: Work,
    judging: Duration,
    settling: Duration,
}

impl LoopInstruments {
    /// Nothing is measured yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        LoopInstruments {
            metrics,
            kind: Kind::Settling,
            since: Stamp::default(),
            work: Work::default(),
            judging: Duration::ZERO,
            settling: Duration::ZERO,
        }
    }

    /// A round begins with so many messages.
    pub fn round(&mut self, messages: usize, now: Stamp) {
        if messages > 0 {
            self.metrics
                .prep_processor_queue_size
                .record(messages as u64);
        }
        self.since = now;
    }

    /// Whether the next message is of another kind, so that [`LoopInstruments::turn`] wants to know the time.
    pub fn turns(&mut self, next: Kind) -> bool {
        std::mem::replace(&mut self.kind, next) != next
    }

    /// What was done since the last turn took until `now`.
    pub fn turn(&mut self, work: Work, now: Stamp) {
        let took = now - self.since;
        self.since = now;
        if work.applied > 0 {
            self.settling += took;
        } else if work.judged > 0 {
            self.judging += took;
        }
        self.work += work;
    }

    /// The round is over.
    ///
    /// Source: `PrepRequestProcessor.pRequest`, `CommitProcessor.run`.
    pub fn end(&mut self) {
        let metrics = &self.metrics;
        let Work {
            judged,
            applied,
            own,
            riders,
        } = std::mem::take(&mut self.work);
        let judging = std::mem::take(&mut self.judging);
        let settling = std::mem::take(&mut self.settling);
        if judged > 0 {
            let each = share(judging, judged);
            metrics.request_stage_seconds[Stage::Prep].record_many(each, judged);
            metrics.prep_process_time.record_many_ms(each, judged);
        }
        if applied == 0 {
            return;
        }
        let each = share(settling, applied);
        metrics.request_stage_seconds[Stage::Apply].record_many(each, applied);
        metrics
            .write_final_proc_time_ms
            .record_many_ms(each, applied);
        metrics
            .write_batch_time_in_commit_processor
            .record_ms(settling);
        metrics.commit_process_time.record_ms(settling);
        metrics.write_commit_proc_issued.record(applied);
        metrics.read_commit_proc_issued.record(riders);
        metrics
            .local_write_committed_time_ms
            .record_many_ms(settling, own);
        metrics
            .server_write_committed_time_ms
            .record_many_ms(settling, applied.saturating_sub(own));
    }
}

fn share(took: Duration, of: u64) -> Duration {
    took / u32::try_from(of).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_shared_among_what_was_done_in_it() {
        let metrics = Arc::new(Metrics::default());
        let mut instruments = LoopInstruments::new(metrics.clone());
        let at = |ms: u64| Stamp(ms * 1_000_000);
        instruments.round(5, at(1000));
        assert!(instruments.turns(Kind::Asking) && !instruments.turns(Kind::Asking));
        let judged = Work {
            judged: 4,
            ..Work::default()
        };
        instruments.turn(judged, at(1020));
        let applied = Work {
            applied: 3,
            own: 1,
            riders: 2,
            ..Work::default()
        };
        instruments.turn(applied, at(1050));
        instruments.turn(Work::default(), at(2000));
        instruments.end();

        let of = |summary: &crate::metrics::Summary| {
            let shown = summary.since_reset();
            (shown.count, shown.sum)
        };
        assert_eq!(of(&metrics.prep_processor_queue_size), (1, 5));
        assert_eq!(of(&metrics.prep_process_time), (4, 20));
        assert_eq!(of(&metrics.write_final_proc_time_ms), (3, 30));
        assert_eq!(of(&metrics.write_commit_proc_issued), (1, 3));
        assert_eq!(of(&metrics.local_write_committed_time_ms), (1, 30));
        assert_eq!(of(&metrics.server_write_committed_time_ms), (2, 60));
        assert_eq!(of(&metrics.read_commit_proc_issued), (1, 2));
    }
}
