//! What a connection measures: added up while it takes frames, written once per batch.
//!
//! Source: `NIOServerCnxn`, `ZooKeeperServer.processConnectRequest`, `ServerStats.updateLatency`.

use std::sync::Arc;

use jute::Op;

use super::touches::touches;
use crate::base::Stamp;
use crate::metrics::{LastKey, Metrics, Run, Sampler, Stage};
use crate::replica::conn::ConnId;
use crate::replica::outbox::{Lengths, Taken};
use crate::replica::read_in;
use crate::replica::request::Request;
use crate::replica::status::Counters;

/// Bytes in front of every frame, which say how long it is.
const PREFIX: usize = 4;

/// Where the measurements of one connection go.
pub(super) struct ConnInstruments {
    metrics: Arc<Metrics>,
    counters: Arc<Counters>,
    /// Decides which requests are looked at for hot paths.
    sampler: Sampler,
    began: Stamp,
    bytes_in: u64,
    /// Operations served here since the batch began, alike ones together: those before the last, and it.
    reads: Vec<(Option<Op>, u64)>,
    run: Run<Option<Op>>,
    namespace: LastKey,
    /// Bytes in the outbox that are no answers to requests.
    others: usize,
}

impl ConnInstruments {
    /// Of the connection `conn`.
    pub fn new(counters: Arc<Counters>, conn: ConnId) -> Self {
        ConnInstruments {
            metrics: counters.metrics.clone(),
            sampler: Sampler::new(conn),
            counters,
            began: Stamp::default(),
            bytes_in: 0,
            reads: Vec::new(),
            run: Run::default(),
            namespace: LastKey::default(),
            others: 0,
        }
    }

    /// A look at the input begins.
    pub fn begin(&mut self, now: Stamp) {
        self.began = now;
        self.sampler.follow(&self.counters.hot);
    }

    /// A request came in.
    pub fn asked(&mut self, request: &Request) {
        if let Some(every) = self.sampler.take() {
            self.sample(every, request);
        }
    }

    /// Out of the way: hardly any request gets here.
    #[cold]
    fn sample(&mut self, every: u32, request: &Request) {
        let mut touched = Vec::new();
        touches(request, &mut touched);
        let now = self.began.mono();
        self.counters
            .hot
            .note(now, &mut self.sampler, every, &touched);
    }

    /// When this look at the input began.
    pub fn began(&self) -> Stamp {
        self.began
    }

    /// A frame came in.
    pub fn frame(&mut self, length: usize) {
        self.bytes_in += (PREFIX + length) as u64;
    }

    /// A four-letter word came in.
    pub fn word(&mut self) {
        self.bytes_in += PREFIX as u64;
    }

    /// A read was answered here.
    pub fn read(&mut self, op: Option<Op>, path: Option<&str>, payload: Option<u64>) {
        if let Some(run) = self.run.add(op) {
            self.reads.push(run);
        }
        if let (Some(path), Some(payload)) = (path, payload) {
            read_in(&self.metrics, &mut self.namespace, path, payload);
        }
    }

    /// An answer of `length` bytes, its prefix included, is none to a request.
    pub fn other(&mut self, length: usize) {
        self.others += length;
    }

    /// The input was looked at; `handed_over` requests go to the loop. What was answered here took until now.
    pub fn end(&mut self, handed_over: usize, now: impl FnOnce() -> Stamp) {
        let metrics = &self.metrics;
        if self.bytes_in > 0 {
            metrics.bytes_received_count.add(self.bytes_in);
            self.bytes_in = 0;
        }
        if handed_over > 0 {
            let handed_over = handed_over as u64;
            metrics.prep_processor_request_queued.add(handed_over);
        }
        let Some(last) = self.run.take() else {
            return;
        };
        self.reads.push(last);
        self.namespace.flush();
        let took = now() - self.began;
        let mut all = 0;
        for (op, count) in self.reads.drain(..) {
            all += count;
            if let Some(op) = op {
                metrics.request_seconds[op].record_many(took, count);
            }
        }
        metrics.readlatency.record_many_ms(took, all);
        metrics.stats.latency.record_many_ms(took, all);
        let each = took / u32::try_from(all).unwrap_or(u32::MAX);
        metrics.read_final_proc_time_ms.record_many_ms(each, all);
    }

    /// What the outbox held is on its way to the socket.
    pub fn sending(&mut self, taken: &Taken, bytes: usize) {
        let metrics = &self.metrics;
        if taken.notification_bytes > 0 {
            let events = taken.frames - taken.replies;
            let prefixes = events * PREFIX as u64;
            metrics
                .watch_bytes
                .add((taken.notification_bytes as u64).saturating_sub(prefixes));
        }
        if taken.replies == 0 {
            return;
        }
        let others = std::mem::take(&mut self.others);
        let replies = bytes.saturating_sub(taken.notification_bytes + others) as u64;
        if others == 0 {
            let Lengths { last, min, max } = taken.lengths;
            for length in [min, max, last] {
                metrics.stats.client_response_size.record(length);
            }
        }
        let prefixes = taken.replies * PREFIX as u64;
        metrics.response_bytes.add(replies.saturating_sub(prefixes));
    }

    /// It was written, at least in part. Answers that were made here were so a moment ago.
    pub fn sent(&self, taken: &Taken, now: impl FnOnce() -> Stamp) {
        if taken.replies > 0 && taken.filled < self.began {
            let took = now() - taken.filled;
            self.metrics.request_stage_seconds[Stage::Reply].record_many(took, taken.replies);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn fresh() -> (Arc<Metrics>, ConnInstruments) {
        let counters = Arc::new(Counters::default());
        (counters.metrics.clone(), ConnInstruments::new(counters, 1))
    }

    #[test]
    fn reads_of_a_batch_took_as_long_as_the_batch() {
        let (metrics, mut instruments) = fresh();
        instruments.begin(Stamp(1000 * MS));
        instruments.frame(10);
        instruments.frame(20);
        instruments.read(Some(Op::GetData), Some("/app/x"), Some(3));
        instruments.read(Some(Op::GetData), Some("/app/y"), None);
        instruments.read(None, None, None);
        instruments.end(0, || Stamp(1006 * MS));
        instruments.end(0, || panic!("nothing was read"));

        assert_eq!(metrics.bytes_received_count.total(), 38);
        let reads = metrics.readlatency.since_reset();
        assert_eq!((reads.count, reads.sum), (3, 18));
        assert_eq!(
            metrics.request_seconds[Op::GetData].read().at_most.last(),
            Some(&2)
        );
        let below = metrics.read_per_namespace.at("app").since_reset();
        assert_eq!((below.count, below.sum), (1, 6 + 3 + 68));
    }

    #[test]
    fn bytes_of_answers_and_events_go_without_their_prefixes() {
        let (metrics, mut instruments) = fresh();
        instruments.begin(Stamp(2 * MS));
        let taken = Taken {
            frames: 5,
            replies: 3,
            notification_bytes: 50,
            lengths: Lengths {
                last: 16,
                min: 16,
                max: 84,
            },
            filled: Stamp(MS),
            ..Taken::default()
        };
        instruments.sending(&taken, 50 + 108 + 12);
        instruments.sent(&taken, || Stamp(3 * MS));
        assert_eq!(metrics.watch_bytes.total(), 42);
        assert_eq!(metrics.response_bytes.total(), 108);
        let sizes = &metrics.stats.client_response_size;
        assert_eq!(sizes.last_min_max(), [16, 16, 84]);
        let replies = metrics.request_stage_seconds[Stage::Reply].read();
        assert_eq!(replies.at_most.last(), Some(&3));
    }
}
