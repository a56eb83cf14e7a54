//! What the log thread measures: once per batch, whatever its size.
//!
//! Source: `SyncRequestProcessor`, `FileTxnLog.commit`, `AckRequestProcessor`, `SendAckRequestProcessor`.

use std::sync::Arc;
use std::time::Duration;

use jute::txn::LoggedTxn;

use crate::base::{Stamp, WallMs};
use crate::metrics::{Batch, Metrics, Stage};

/// Records that were handed to the log together.
#[derive(Clone, Copy, Debug)]
pub struct Push {
    /// How many.
    pub records: u64,
    /// When.
    pub at: Stamp,
}

/// Where a batch's times go.
pub struct LogInstruments {
    metrics: Arc<Metrics>,
    /// Acknowledgements go to other servers, or for this one's vote.
    in_ensemble: bool,
    /// Time stamps of the records appended since the last sync, as their leader gave them.
    stamped: Vec<i64>,
    appended: u64,
    began: Stamp,
}

impl LogInstruments {
    /// For a log of a member of an ensemble, or of a server on its own.
    pub fn new(metrics: Arc<Metrics>, in_ensemble: bool) -> Self {
        LogInstruments {
            metrics,
            in_ensemble,
            stamped: Vec::new(),
            appended: 0,
            began: Stamp::default(),
        }
    }

    /// Everything queued was taken.
    pub fn taken(&mut self, ops: usize, pushes: &[Push], now: Stamp) {
        let metrics = &self.metrics;
        metrics.sync_processor_queue_size.record(ops as u64);
        for push in pushes {
            let waited = now - push.at;
            metrics.sync_processor_request_queued.add(push.records);
            metrics
                .sync_processor_queue_time_ms
                .record_many_ms(waited, push.records);
        }
        self.began = now;
    }

    /// A record was appended.
    pub fn appended(&mut self, payload: &[u8]) {
        self.appended += 1;
        if self.in_ensemble
            && let Some(time) = LoggedTxn::time_in(payload)
        {
            self.stamped.push(time);
        }
    }

    /// The disk was waited for.
    pub fn waited(&self, took: Duration) {
        self.metrics.fsynctime.record_ms(took);
        self.metrics.fsync_seconds.record(took);
    }

    /// Everything appended is durable. `before` is when writing it began.
    pub fn synced(&mut self, before: Stamp, after: Stamp, wall: WallMs) {
        let metrics = &self.metrics;
        let records = std::mem::take(&mut self.appended);
        let each = (before - self.began) / u32::try_from(records.max(1)).unwrap_or(u32::MAX);
        metrics.sync_process_time.record_many_ms(each, records);
        metrics.sync_processor_batch_size.record(records);
        metrics
            .sync_processor_queue_flush_time_ms
            .record_ms(after - before);
        let mut acks = Batch::default();
        for time in self.stamped.drain(..) {
            // Leader and this server may not agree on the time.
            if let Ok(latency) = u64::try_from(wall.0 - time) {
                acks.record(latency, &metrics.proposal_ack_creation_latency);
            }
        }
        acks.flush(&metrics.proposal_ack_creation_latency);
        self.began = after;
    }

    /// A sync took longer than it should.
    pub fn too_slow(&self) {
        self.metrics.stats.fsync_threshold_exceeded.inc();
    }

    /// Everything taken is durable.
    pub fn durable(&self, pushes: &mut Vec<Push>, now: Stamp) {
        for push in pushes.drain(..) {
            let took = now - push.at;
            self.metrics.request_stage_seconds[Stage::Log].record_many(took, push.records);
            self.metrics
                .sync_processor_queue_and_flush_time_ms
                .record_many_ms(took, push.records);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use jute::txn::{Txn, TxnHeader};

    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn every_record_of_a_batch_is_measured_from_its_push_to_the_end_of_the_sync() {
        let metrics = Arc::new(Metrics::default());
        let mut instruments = LogInstruments::new(metrics.clone(), true);
        let header = TxnHeader {
            time: 1000,
            ..TxnHeader::default()
        };
        let txn = LoggedTxn {
            header,
            txn: Txn::CloseSession(None),
            digest: None,
        };
        let mut payload = BytesMut::new();
        txn.write(&mut payload);
        let at = |ms: u64| Stamp(ms * MS);
        let push = |records, ms| Push {
            records,
            at: at(ms),
        };
        let mut pushes = vec![push(2, 10), push(1, 14)];
        instruments.taken(3, &pushes, at(20));
        (0..3).for_each(|_| instruments.appended(&payload));
        instruments.waited(Duration::from_millis(5));
        instruments.synced(at(21), at(30), WallMs(1007));
        instruments.durable(&mut pushes, at(30));

        let of = |summary: &crate::metrics::Summary| {
            let shown = summary.since_reset();
            (shown.count, shown.sum)
        };
        assert_eq!(of(&metrics.sync_processor_queue_time_ms), (3, 10 + 10 + 6));
        assert_eq!(
            of(&metrics.sync_processor_queue_and_flush_time_ms),
            (3, 20 + 20 + 16)
        );
        assert_eq!(of(&metrics.sync_processor_batch_size), (1, 3));
        assert_eq!(of(&metrics.sync_processor_queue_flush_time_ms), (1, 9));
        assert_eq!(of(&metrics.fsynctime), (1, 5));
        assert_eq!(of(&metrics.proposal_ack_creation_latency), (3, 21));
        assert_eq!(metrics.sync_processor_request_queued.total(), 3);
        assert!(pushes.is_empty());
    }
}
