//! What a server measures of its requests while it steps.
//!
//! Times come with [`Replica::set_stamp`](super::Replica::set_stamp), once for many requests: nothing is read from a
//! clock here, and without that call every time is zero. What many threads share is written once per round of the
//! loop; what repeats is added up before.

use std::collections::{BTreeMap, VecDeque};
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use jute::Op;
use jute::txn::{LoggedTxn, Txn, TxnHeader};

use super::member::Standing;
use super::queue::Entry;
use super::slow::{SlowRequests, Stages};
use crate::base::{Mono, ServerId, Stamp, WallMs, Zxid};
use crate::metrics::{Batch, LastKey, Metrics, Run, Stage};
use crate::prep::Exceeded;
use crate::zab::io::{LinkId, Role};
use crate::zab::packet::FromLeader;

/// What was done since the last look, for whoever knows how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Writes judged.
    pub judged: u64,
    /// Transactions applied.
    pub applied: u64,
    /// Of these, writes of this server's clients.
    pub own: u64,
    /// Reads answered behind writes of their session.
    pub riders: u64,
}

impl AddAssign for Work {
    fn add_assign(&mut self, more: Work) {
        self.judged += more.judged;
        self.applied += more.applied;
        self.own += more.own;
        self.riders += more.riders;
    }
}

/// Where the measurements of one server go. What a set is told is seen at the next [`Measures::flush`].
#[derive(Debug)]
pub(super) struct Measures {
    pub metrics: Arc<Metrics>,
    pub slow: SlowRequests,
    pub work: Work,
    at: Stamp,
    runs: Runs,
    /// The namespace that was written to last.
    written: LastKey,
    /// The one that was read in last.
    read: LastKey,
    /// Positions handed to the log, each the last one at its time, oldest first.
    appended: VecDeque<(Zxid, Stamp)>,
    /// Positions that became durable here, likewise.
    logged: VecDeque<(Zxid, Stamp)>,
    without_leader: Option<Mono>,
    electing: Option<Mono>,
    synchronizing: Option<Mono>,
    /// Learners that are being brought up to date, and whether by a snapshot.
    syncing: BTreeMap<LinkId, bool>,
    /// How far each server's acknowledgements are recorded, in steps of [`ACKS_PER_RECORD`].
    acks: BTreeMap<ServerId, i64>,
    queued_changes: u64,
    removed_changes: u64,
    passed_on: u64,
    quotas: Seldom,
}

/// Lets one line a second through, and counts the others.
#[derive(Debug, Default)]
struct Seldom {
    last: Option<Mono>,
    unsaid: u64,
}

impl Seldom {
    /// Whether it is time for a line, and how many were left out before it.
    fn turn(&mut self, now: Mono) -> Option<u64> {
        const BETWEEN: Duration = Duration::from_secs(1);
        if self.last.is_some_and(|last| now - last < BETWEEN) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// One acknowledgement of so many is recorded.
const ACKS_PER_RECORD: i64 = 1000;

/// Values on their way to metrics. Requests that came together mostly measure the same.
#[derive(Debug, Default)]
struct Runs {
    queue: Run<Duration>,
    answers: Run<Answer>,
    applied: Run<Applied>,
    proposal: Batch,
}

/// What an answer is recorded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    op: Option<Op>,
    is_update: bool,
    took: Duration,
    waited: Duration,
}

/// What a transaction is recorded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Applied {
    standing: Standing,
    since_proposed: Option<Duration>,
    /// In milliseconds.
    age: Option<u64>,
}

fn record_queue(metrics: &Metrics, (waited, count): (Duration, u64)) {
    metrics.request_stage_seconds[Stage::Queue].record_many(waited, count);
    metrics
        .prep_processor_queue_time_ms
        .record_many_ms(waited, count);
}

fn record_answers(metrics: &Metrics, (answer, count): (Answer, u64)) {
    let (took, waited) = (answer.took, answer.waited);
    if let Some(op) = answer.op {
        metrics.request_seconds[op].record_many(took, count);
    }
    if answer.is_update {
        metrics.updatelatency.record_many_ms(took, count);
        metrics
            .write_commitproc_time_ms
            .record_many_ms(waited, count);
    } else {
        metrics.readlatency.record_many_ms(took, count);
        metrics
            .read_commitproc_time_ms
            .record_many_ms(waited, count);
    }
}

fn record_applied(metrics: &Metrics, (applied, count): (Applied, u64)) {
    if let Some(took) = applied.since_proposed {
        metrics.request_stage_seconds[Stage::Quorum].record_many(took, count);
    }
    let Some(age) = applied.age else { return };
    metrics.propagation_latency.record_many(age, count);
    match applied.standing {
        Standing::Learning => metrics.commit_propagation_latency.record_many(age, count),
        Standing::Leading => metrics.quorum_ack_latency.record_many(age, count),
        Standing::Alone | Standing::Looking => {}
    }
}

impl Measures {
    pub fn new(metrics: Arc<Metrics>, slow: Option<Duration>) -> Self {
        Measures {
            metrics,
            slow: SlowRequests::new(slow),
            work: Work::default(),
            at: Stamp::default(),
            runs: Runs::default(),
            written: LastKey::default(),
            read: LastKey::default(),
            appended: VecDeque::new(),
            logged: VecDeque::new(),
            without_leader: None,
            electing: None,
            synchronizing: None,
            syncing: BTreeMap::new(),
            acks: BTreeMap::new(),
            queued_changes: 0,
            removed_changes: 0,
            quotas: Seldom::default(),
            passed_on: 0,
        }
    }

    /// From now on this is the time.
    pub fn set_stamp(&mut self, at: Stamp) {
        self.at = at;
    }

    /// The time of the present inputs.
    pub fn at(&self) -> Stamp {
        self.at
    }

    /// Hands everything over that was added up.
    pub fn flush(&mut self, now: Mono) {
        let (metrics, runs) = (&self.metrics, &mut self.runs);
        if let Some(run) = runs.queue.take() {
            record_queue(metrics, run);
        }
        if let Some(run) = runs.answers.take() {
            record_answers(metrics, run);
        }
        if let Some(run) = runs.applied.take() {
            record_applied(metrics, run);
        }
        runs.proposal.flush(&metrics.proposal_latency);
        self.written.flush();
        self.read.flush();
        if self.queued_changes > 0 {
            let queued = std::mem::take(&mut self.queued_changes);
            metrics.outstanding_changes_queued.add(queued);
        }
        if self.removed_changes > 0 {
            let removed = std::mem::take(&mut self.removed_changes);
            metrics.outstanding_changes_removed.add(removed);
        }
        let passed_on = std::mem::take(&mut self.passed_on);
        metrics
            .learner_request_processor_queue_size
            .record_many(0, passed_on);
        self.slow.settle(now);
    }

    /// The loop took a request that arrived at `arrived`.
    pub fn took(&mut self, arrived: Stamp) {
        if let Some(run) = self.runs.queue.add(self.at - arrived) {
            record_queue(&self.metrics, run);
        }
    }

    /// A request got its answer.
    pub fn answered(&mut self, op: Option<Op>, entry: &Entry, is_update: bool) {
        let answer = Answer {
            op,
            is_update,
            took: self.at - entry.arrived,
            waited: self.at - entry.taken,
        };
        if let Some(run) = self.runs.answers.add(answer) {
            record_answers(&self.metrics, run);
        }
        self.work.riders += u64::from(!is_update);
        if entry.conn.outbox.is_closed() {
            self.metrics.stale_replies.inc();
        }
    }

    /// A record goes to the log.
    pub fn append(&mut self, zxid: Zxid) {
        note(&mut self.appended, zxid, self.at);
    }

    /// A server has everything up to `zxid`, this leader among them. Few are recorded, as many as Java does where
    /// `leader.ackLoggingFrequency` is not written.
    ///
    /// Source: `Leader.processAck`.
    pub fn acknowledged(&mut self, server: ServerId, zxid: Zxid) {
        if zxid.0 / ACKS_PER_RECORD == self.acks.get(&server).copied().unwrap_or_default() {
            return;
        }
        self.acks.insert(server, zxid.0 / ACKS_PER_RECORD);
        let at = self.appended.partition_point(|(last, _)| *last < zxid);
        if let Some((_, proposed)) = self.appended.get(at) {
            let latency = &self.metrics.ack_latency;
            latency
                .at(&server.to_string())
                .record_ms(self.at - *proposed);
        }
    }

    /// A write was judged while `pending` changes of znodes were, and now are, not applied.
    pub fn judged(&mut self, pending: (usize, usize)) {
        self.work.judged += 1;
        self.queued_changes += pending.1.saturating_sub(pending.0) as u64;
    }

    /// Changes of znodes were applied, so that fewer are pending.
    pub fn settled(&mut self, pending: (usize, usize)) {
        self.removed_changes += pending.0.saturating_sub(pending.1) as u64;
    }

    /// A request goes to the leader; none ever waits for that here.
    pub fn passed_on(&mut self) {
        self.passed_on += 1;
    }

    /// A write goes beyond a limit. Source: `ZooKeeperServer.checkQuota`, `updateQuotaExceededMetrics`.
    pub fn beyond_quota(&mut self, now: Mono, exceeded: &Exceeded) {
        if exceeded.is_hard
            && let Some(namespace) = namespace(&exceeded.path)
        {
            let set = &self.metrics.quota_exceeded_error_per_namespace;
            set.at(namespace).inc();
        }
        if let Some(unsaid) = self.quotas.turn(now) {
            match unsaid {
                0 => tracing::warn!("{exceeded}"),
                unsaid => tracing::warn!("{exceeded} ({unsaid} more since the last such line)"),
            }
        }
    }

    /// Everything up to `upto` is durable here.
    pub fn log(&mut self, upto: Zxid) {
        note(&mut self.logged, upto, self.at);
    }

    /// A transaction is about to be applied by a server of this standing.
    pub fn apply(&mut self, header: &TxnHeader, standing: Standing, wall: WallMs) {
        self.work.applied += 1;
        let zxid = Zxid(header.zxid);
        for marks in [&mut self.appended, &mut self.logged] {
            while marks.front().is_some_and(|(last, _)| *last < zxid) {
                marks.pop_front();
            }
        }
        let proposed = self.appended.front().filter(|_| standing.orders());
        let applied = Applied {
            standing,
            since_proposed: proposed.map(|(_, proposed)| self.at - *proposed),
            // Leader and this server may not agree on the time.
            age: u64::try_from(wall.0 - header.time).ok(),
        };
        if let Some(run) = self.runs.applied.add(applied) {
            record_applied(&self.metrics, run);
        }
    }

    /// Where the time of the write went that is applied now.
    pub fn stages_of_write(&self, entry: &Entry) -> Stages {
        let appended = self.appended.front().map_or(entry.taken, |mark| mark.1);
        let logged = self.logged.front().map_or(self.at, |mark| mark.1);
        Stages::Write {
            queue: entry.taken - entry.arrived,
            order: appended - entry.taken,
            log: logged - appended,
            quorum: self.at - logged,
        }
    }

    /// Where the time of the read went that is answered now.
    pub fn stages_of_read(&self, entry: &Entry) -> Stages {
        Stages::Read {
            queue: entry.taken - entry.arrived,
            behind: self.at - entry.taken,
        }
    }

    /// A leader is looked for.
    pub fn look(&mut self, now: Mono) {
        self.metrics.looking_count.inc();
        self.without_leader.get_or_insert(now);
        self.electing.get_or_insert(now);
        self.synchronizing = None;
        self.appended.clear();
        self.logged.clear();
        self.syncing.clear();
        self.acks.clear();
    }

    /// A leader is found, or was known before.
    pub fn elected(&mut self, now: Mono) {
        if let Some(since) = self.electing.take() {
            self.metrics.election_time.record_ms(now - since);
        }
    }

    /// The leader's first word on what this server gets.
    fn synchronize(&mut self, now: Mono) {
        self.synchronizing.get_or_insert(now);
    }

    /// This server serves.
    pub fn serve(&mut self, now: Mono, role: Role) {
        self.elected(now);
        let metrics = &self.metrics;
        if let Some(since) = self.without_leader.take() {
            metrics.unavailable_time.record_ms(now - since);
            if role == Role::Leading {
                metrics.leader_unavailable_time.record_ms(now - since);
            }
        }
        if let Some(since) = self.synchronizing.take() {
            match role {
                Role::Following => metrics.follower_sync_time.record_ms(now - since),
                Role::Observing => metrics.observer_sync_time.record_ms(now - since),
                Role::Leading => {}
            }
        }
    }

    /// A packet of the leader came in; `serves`: after the synchronization.
    pub fn hear(&mut self, now: Mono, wall: WallMs, packet: &FromLeader, serves: bool) {
        match packet {
            FromLeader::Diff(_) | FromLeader::Trunc(_) | FromLeader::Snap(_) => {
                self.synchronize(now);
            }
            FromLeader::Proposal { txn, .. } if serves => {
                let metrics = &self.metrics;
                metrics.learner_proposal_received_count.inc();
                let stamped = LoggedTxn::time_in(txn);
                let age = stamped.and_then(|time| u64::try_from(wall.0 - time).ok());
                if let Some(age) = age {
                    self.runs.proposal.record(age, &metrics.proposal_latency);
                }
            }
            FromLeader::Commit(_) | FromLeader::Inform { .. } if serves => {
                self.metrics.learner_commit_received_count.inc();
            }
            _ => {}
        }
    }

    /// A packet goes to a learner.
    pub fn tell(&mut self, link: LinkId, packet: &FromLeader) {
        match packet {
            FromLeader::Snap(_) => self.begin_sync(link, true),
            FromLeader::Diff(_) | FromLeader::Trunc(_) => self.begin_sync(link, false),
            FromLeader::NewLeader { .. } => self.end_sync(link),
            _ => {}
        }
    }

    /// Source: `LearnerHandler.run`.
    fn begin_sync(&mut self, link: LinkId, by_snapshot: bool) {
        self.syncing.insert(link, by_snapshot);
        match by_snapshot {
            true => self.metrics.snap_count.inc(),
            false => self.metrics.diff_count.inc(),
        }
        self.record_syncing(by_snapshot);
    }

    fn end_sync(&mut self, link: LinkId) {
        if let Some(by_snapshot) = self.syncing.remove(&link) {
            self.record_syncing(by_snapshot);
        }
    }

    fn record_syncing(&self, by_snapshot: bool) {
        let under_way = self.syncing.values().filter(|way| **way == by_snapshot);
        let under_way = under_way.count() as u64;
        match by_snapshot {
            true => self.metrics.inflight_snap_count.record(under_way),
            false => self.metrics.inflight_diff_count.record(under_way),
        }
    }

    /// A learner's connection is over.
    pub fn forget(&mut self, link: LinkId) {
        self.syncing.remove(&link);
    }

    /// Something at `path` was read.
    pub fn read(&mut self, path: &str, payload: u64) {
        read_in(&self.metrics, &mut self.read, path, payload);
    }

    /// Something below `path` was written. Source: `DataTree.updateWriteStat`.
    pub fn wrote(&mut self, path: &str, data: usize) {
        if let Some(namespace) = namespace(path) {
            let set = &self.metrics.write_per_namespace;
            set.record(&mut self.written, namespace, utf16(path) + data as u64);
        }
    }

    /// A transaction changed the tree. Source: `DataTree.createNode`, `deleteNode`, `setData`.
    pub fn changed(&mut self, txn: &Txn) {
        let bytes = |data: &Option<bytes::Bytes>| data.as_ref().map_or(0, bytes::Bytes::len);
        let (path, data) = match txn {
            Txn::Create(create) | Txn::Create2(create) => (&create.path, bytes(&create.data)),
            Txn::CreateContainer(create) => (&create.path, bytes(&create.data)),
            Txn::CreateTtl(create) => (&create.path, bytes(&create.data)),
            Txn::Delete(delete) | Txn::DeleteContainer(delete) => (&delete.path, 0),
            Txn::SetData(set) | Txn::Reconfig(set) => (&set.path, bytes(&set.data)),
            Txn::Multi(parts) => {
                if !parts.iter().any(|part| matches!(part, Txn::Error(_))) {
                    parts.iter().for_each(|part| self.changed(part));
                }
                return;
            }
            Txn::CloseSession(Some(close)) => {
                let paths = close.paths.as_deref().unwrap_or_default();
                paths.iter().for_each(|path| self.wrote(path, 0));
                return;
            }
            _ => return,
        };
        if let Some(path) = path {
            self.wrote(path, data);
        }
    }
}

fn note(marks: &mut VecDeque<(Zxid, Stamp)>, zxid: Zxid, at: Stamp) {
    match marks.back_mut() {
        Some((last, when)) if *when == at => *last = zxid,
        _ => marks.push_back((zxid, at)),
    }
}

/// The first component of `path`; none of the root. Source: `PathUtils.getTopNamespace`.
pub fn namespace(path: &str) -> Option<&str> {
    // Every request comes here, and most first components are short: a look at each byte is the least work.
    let path = path.strip_prefix('/')?;
    let first = path.bytes().take_while(|byte| *byte != b'/').count();
    path.get(..first).filter(|first| !first.is_empty())
}

/// Length as Java counts it.
pub fn utf16(text: &str) -> u64 {
    match text.is_ascii() {
        true => text.len() as u64,
        false => text.encode_utf16().count() as u64,
    }
}

/// What a read adds to the namespace it reads in: path, payload and the length of a stat.
///
/// Source: `DataTree.updateReadStat`.
pub fn read_in(metrics: &Metrics, last: &mut LastKey, path: &str, payload: u64) {
    const STAT: u64 = 68;
    if let Some(namespace) = namespace(path) {
        let bytes = utf16(path) + payload + STAT;
        metrics.read_per_namespace.record(last, namespace, bytes);
    }
}

#[cfg(test)]
mod tests;
