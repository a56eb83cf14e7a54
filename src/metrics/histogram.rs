//! Histograms: times by fixed bounds, which Prometheus can add up over servers.

use std::ops::Index;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jute::Op;

use super::counter::{Line, SHARDS, own_shard};

/// Upper bounds of the buckets, in nanoseconds: from 10 microseconds to 10 seconds. One more bucket has no bound.
pub const BOUNDS: [u64; 19] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Times of one kind. Recording is two additions to lines that other threads rarely touch.
#[derive(Debug, Default)]
pub struct Histogram {
    shards: [Line<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// A histogram at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// How many were at most as long as each bound; the last is how many there were at all.
    pub at_most: [u64; BOUNDS.len() + 1],
    /// All of them together, in seconds.
    pub seconds: f64,
}

impl Histogram {
    /// One more of this length.
    pub fn record(&self, took: Duration) {
        self.record_many(took, 1);
    }

    /// `count` more of this length.
    pub fn record_many(&self, took: Duration, count: u64) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let shard = &self.shards[own_shard()].0;
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos);
        shard.counts[bucket].fetch_add(count, Ordering::Relaxed);
        let all = nanos.saturating_mul(count);
        shard.nanos.fetch_add(all, Ordering::Relaxed);
    }

    /// Everything since the start.
    pub fn read(&self) -> Times {
        let mut times = Times::default();
        let mut nanos = 0;
        for Line(shard) in &self.shards {
            for (sum, count) in times.at_most.iter_mut().zip(&shard.counts) {
                *sum += count.load(Ordering::Relaxed);
            }
            nanos += shard.nanos.load(Ordering::Relaxed);
        }
        let mut below = 0;
        for count in &mut times.at_most {
            below += *count;
            *count = below;
        }
        times.seconds = nanos as f64 / 1e9;
        times
    }
}

/// A part of a request's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Every request that goes through the commit loop: from its frame to the loop taking it.
    Queue,
    /// Writes of a leader: judging them and making a transaction of them.
    Prep,
    /// Proposals: from handing them to the log to their being durable on this server.
    Log,
    /// Proposals of a leader: from proposing them to a quorum having them.
    Quorum,
    /// Transactions: from being committed to being applied to the tree, with watches triggered and answers made.
    Apply,
    /// Answers: from being made to being written to the socket.
    Reply,
}

/// One histogram for each [`Stage`].
#[derive(Debug, Default)]
pub struct ByStage([Histogram; 6]);

impl ByStage {
    const STAGES: [(Stage, &'static str); 6] = [
        (Stage::Queue, "queue"),
        (Stage::Prep, "prep"),
        (Stage::Log, "log"),
        (Stage::Quorum, "quorum"),
        (Stage::Apply, "apply"),
        (Stage::Reply, "reply"),
    ];

    /// Every stage's name and histogram.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        Self::STAGES
            .into_iter()
            .map(|(stage, name)| (name, &self[stage]))
    }
}

impl Index<Stage> for ByStage {
    type Output = Histogram;
    fn index(&self, stage: Stage) -> &Histogram {
        &self.0[stage as usize]
    }
}

/// One histogram for each operation that clients send.
#[derive(Debug, Default)]
pub struct ByOp([Histogram; OPS.len() + 1]);

/// In the spelling of Java's logs. Source: `Request.op2String`.
const OPS: [(Op, &str); 29] = [
    (Op::Create, "create"),
    (Op::Create2, "create2"),
    (Op::CreateTtl, "createTTL"),
    (Op::CreateContainer, "createContainer"),
    (Op::Delete, "delete"),
    (Op::DeleteContainer, "deleteContainer"),
    (Op::Exists, "exists"),
    (Op::GetData, "getData"),
    (Op::SetData, "setData"),
    (Op::GetAcl, "getACL"),
    (Op::SetAcl, "setACL"),
    (Op::GetChildren, "getChildren"),
    (Op::GetChildren2, "getChildren2"),
    (Op::GetAllChildrenNumber, "getAllChildrenNumber"),
    (Op::GetEphemerals, "getEphemerals"),
    (Op::Check, "check"),
    (Op::Multi, "multi"),
    (Op::MultiRead, "multiRead"),
    (Op::Sync, "sync"),
    (Op::Ping, "ping"),
    (Op::Reconfig, "reconfig"),
    (Op::AddWatch, "addWatch"),
    (Op::CheckWatches, "checkWatches"),
    (Op::RemoveWatches, "removeWatches"),
    (Op::SetWatches, "setWatches"),
    (Op::SetWatches2, "setWatches2"),
    (Op::WhoAmI, "whoAmI"),
    (Op::CreateSession, "createSession"),
    (Op::CloseSession, "closeSession"),
];

impl ByOp {
    /// Every operation's name and histogram; last, that of everything else.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        let names = OPS.iter().map(|(_, name)| *name).chain(["other"]);
        names.zip(&self.0)
    }
}

impl Index<Op> for ByOp {
    type Output = Histogram;
    fn index(&self, op: Op) -> &Histogram {
        &self.0[place(op)]
    }
}

/// Where `op` is in [`OPS`], found when the program is built.
fn place(op: Op) -> usize {
    /// Operations have numbers from -11 to 107.
    const OFFSET: i32 = 11;
    const PLACES: [u8; 120] = {
        let mut places = [OPS.len() as u8; 120];
        let mut at = 0;
        while at < OPS.len() {
            places[(OPS[at].0 as i32 + OFFSET) as usize] = at as u8;
            at += 1;
        }
        places
    };
    let number = usize::try_from(op as i32 + OFFSET).unwrap_or(usize::MAX);
    PLACES
        .get(number)
        .map_or(OPS.len(), |place| usize::from(*place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_the_longest_of_its_bucket() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_micros(10));
        histogram.record(Duration::from_nanos(10_001));
        histogram.record_many(Duration::from_secs(11), 2);
        let times = histogram.read();
        assert_eq!(times.at_most[..3], [1, 2, 2]);
        assert_eq!(times.at_most[18..], [2, 4]);
        assert!((times.seconds - 22.000_020_001).abs() < 1e-9);
    }

    #[test]
    fn every_operation_has_its_own_histogram_under_its_name() {
        let by_op = ByOp::default();
        for (at, (op, _)) in OPS.into_iter().enumerate() {
            by_op[op].record_many(Duration::ZERO, at as u64 + 1);
        }
        by_op[Op::Error].record_many(Duration::ZERO, 100);
        let counts = by_op
            .all()
            .map(|(name, one)| (name, one.read().at_most[19]));
        let mut expected: Vec<_> = (1..)
            .zip(OPS)
            .map(|(count, (_, name))| (name, count))
            .collect();
        expected.push(("other", 100));
        assert_eq!(counts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_stage_has_its_own_histogram_under_its_name() {
        let by_stage = ByStage::default();
        by_stage[Stage::Reply].record(Duration::ZERO);
        let last = by_stage.all().last().unwrap();
        assert_eq!((last.0, last.1.read().at_most[19]), ("reply", 1));
    }
}
