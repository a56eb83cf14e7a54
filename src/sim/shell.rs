//! What stands around a replica: the chain of the disk, the snapshot thread, the reader of logs. Each does its work
//! with the real storage functions at the end of a seeded delay, or in the middle of a power failure.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rand::Rng;

use super::boot::log_options;
use super::machine::{Message, recover_options, snapshot_options};
use super::net::{ACCEPTOR, DIALLER, Wire, shown};
use super::queue::Event;
use super::{Us, World};
use crate::base::{ServerId, Zxid};
use crate::replica::gate::Gate;
use crate::replica::{DiskOp, Input, Output};
use crate::storage::snap_policy::SnapPolicy;
use crate::storage::snapshot::SnapshotWriter;
use crate::storage::snapshot::stream::{SIGNATURE, SnapBody};
use crate::storage::txnlog::{LogWriter, cursor};
use crate::storage::{Dirs, Disk, StorageError, Truncation, epochs, install, purge, truncate_to};
use crate::tree::{Frozen, Tree};
use crate::zab::history::Logged;
use crate::zab::io::{Done, Input as PeerInput, LinkId};

/// The chain of the disk: one thing after the other; appends that stand together are synced together.
pub(super) struct Chain {
    disk: Arc<dyn Disk>,
    dirs: Dirs,
    waiting: VecDeque<DiskOp>,
    busy: Option<Batch>,
    log: LogWriter,
    policy: SnapPolicy,
    /// How far the log is durable: no snapshot may claim more.
    durable: Zxid,
    slip: Option<Slip>,
}

/// A mistake of what stands around a replica, to be made on purpose. Ids are those of ZOOKEEPER's bug tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slip {
    /// 4785: records are reported before they are synced.
    LogBeforeSync,
    /// 3701: a truncation is reported and not done.
    TruncateNothing,
    /// 2872: a received snapshot is reported and not written.
    InstallNothing,
    /// 2307, 2354: epochs are reported and not written.
    EpochsInMemory,
    /// 2247, 4882: a sync that failed is taken for done.
    FailedSyncIgnored,
}

enum Batch {
    Appends(Vec<(Zxid, Bytes)>),
    One(DiskOp),
}

/// What the disk has done.
enum Outcome {
    Logged { upto: Zxid, snapshot_due: bool },
    Done(Done),
    Truncated(Zxid, Option<Box<Tree>>),
    Installed(Zxid, PathBuf, Box<Tree>),
}

impl Chain {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dirs: Dirs,
        log: LogWriter,
        policy: SnapPolicy,
        durable: Zxid,
        slip: Option<Slip>,
    ) -> Self {
        Chain {
            disk,
            dirs,
            waiting: VecDeque::new(),
            busy: None,
            log,
            policy,
            durable,
            slip,
        }
    }

    /// Takes the next batch. False if there is none, or one is in work.
    fn begin(&mut self) -> bool {
        if self.busy.is_some() {
            return false;
        }
        let mut records = Vec::new();
        while let Some(DiskOp::Append { .. }) = self.waiting.front() {
            if let Some(DiskOp::Append { zxid, payload }) = self.waiting.pop_front() {
                records.push((zxid, payload));
            }
        }
        self.busy = match records.is_empty() {
            false => Some(Batch::Appends(records)),
            true => self.waiting.pop_front().map(Batch::One),
        };
        self.busy.is_some()
    }

    /// Does what is in work.
    fn perform(
        &mut self,
        draw: &mut dyn FnMut(u64) -> u64,
    ) -> Result<Option<Outcome>, StorageError> {
        let (disk, dirs) = (&self.disk, &self.dirs);
        Ok(Some(match self.busy.take() {
            None => return Ok(None),
            Some(Batch::Appends(records)) => {
                let mut outcome = (Zxid::ZERO, false);
                if self.slip == Some(Slip::LogBeforeSync) {
                    self.log.sync()?;
                }
                for (zxid, payload) in records {
                    self.log.append(zxid, &payload);
                    outcome.0 = zxid;
                    if self.policy.logged(self.log.size(), draw) {
                        self.log.roll();
                        outcome.1 = true;
                    }
                }
                if self.slip != Some(Slip::LogBeforeSync)
                    && let Err(error) = self.log.sync()
                {
                    if self.slip != Some(Slip::FailedSyncIgnored) {
                        return Err(error);
                    }
                    self.log = LogWriter::new(disk.clone(), dirs.log.clone(), log_options());
                }
                self.durable = outcome.0;
                let (upto, snapshot_due) = outcome;
                Outcome::Logged { upto, snapshot_due }
            }
            Some(Batch::One(op)) => match op {
                DiskOp::Append { .. } => unreachable!("appends are taken together"),
                DiskOp::SaveAcceptedEpoch(epoch) => {
                    if self.slip != Some(Slip::EpochsInMemory) {
                        epochs::save_accepted(disk.as_ref(), dirs, epoch)?;
                    }
                    Outcome::Done(Done::AcceptedEpoch(epoch))
                }
                DiskOp::SaveCurrentEpoch(epoch) => {
                    if self.slip != Some(Slip::EpochsInMemory) {
                        epochs::save_current(disk.as_ref(), dirs, epoch)?;
                    }
                    Outcome::Done(Done::CurrentEpoch(epoch))
                }
                DiskOp::Truncate { to, reload } => self.truncate(to, reload)?,
                DiskOp::InstallSnapshot { zxid, mut tree } => {
                    self.log.sync()?;
                    self.log.close();
                    if self.slip == Some(Slip::InstallNothing) {
                        self.log.continue_after(zxid);
                        return Ok(Some(Outcome::Installed(zxid, PathBuf::new(), tree)));
                    }
                    let written =
                        install::install(disk, dirs, &mut tree, zxid, &snapshot_options())?;
                    self.log.continue_after(zxid);
                    self.durable = zxid;
                    tree.take_journal();
                    Outcome::Installed(zxid, written.path, tree)
                }
            },
        }))
    }

    fn truncate(&mut self, to: Zxid, reload: bool) -> Result<Outcome, StorageError> {
        self.log.sync()?;
        self.log.close();
        if self.slip == Some(Slip::TruncateNothing) && !reload {
            self.log.continue_after(to);
            return Ok(Outcome::Truncated(to, None));
        }
        let options = recover_options();
        match truncate_to(self.disk.as_ref(), &self.dirs, to, reload, &options)? {
            Truncation::Done(truncated) => {
                self.log.continue_after(to);
                self.durable = to;
                let mut tree = truncated.tree;
                if let Some(tree) = &mut tree {
                    // What it holds was looked at when it was delivered, or is not agreed on yet.
                    tree.take_journal();
                }
                Ok(Outcome::Truncated(to, tree))
            }
            Truncation::NoWay(_) => Ok(Outcome::Done(Done::NotTruncated)),
        }
    }

    /// The power fails while this is in work: the disk counts the changes until it is off.
    pub(super) fn interrupted(&mut self) {
        let _ = self.perform(&mut |_| 0);
    }

    /// Whether a snapshot of `zxid` may be finished. The marker of an epoch is in no log.
    fn holds(&self, zxid: Zxid) -> bool {
        zxid.counter() == 0 || zxid <= self.durable
    }

    /// Whether what is in work changes the history under a snapshot.
    fn rewrites(&self) -> bool {
        let rewriting =
            |op: &DiskOp| matches!(op, DiskOp::Truncate { .. } | DiskOp::InstallSnapshot { .. });
        matches!(&self.busy, Some(Batch::One(op)) if rewriting(op))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.busy.is_none() && self.waiting.is_empty()
    }
}

/// The snapshot thread: one walk at a time, and the files that wait to be sent.
pub(super) struct Snapshots {
    disk: Arc<dyn Disk>,
    dirs: Dirs,
    gate: Arc<Gate>,
    walk: Option<Walk>,
    wanted: Vec<(LinkId, Zxid)>,
    ready: BTreeMap<LinkId, PathBuf>,
    newest: Option<(Zxid, PathBuf)>,
}

struct Walk {
    frozen: Frozen,
    writer: SnapshotWriter,
    /// All of it is written; what is missing is the end of the log.
    whole: bool,
}

impl Snapshots {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dirs: Dirs,
        gate: Arc<Gate>,
        newest: Option<(Zxid, PathBuf)>,
    ) -> Self {
        Snapshots {
            disk,
            dirs,
            gate,
            walk: None,
            wanted: Vec::new(),
            ready: BTreeMap::new(),
            newest,
        }
    }

    /// The power fails while a file is being written.
    pub(super) fn interrupted(&mut self) {
        if let Some(mut walk) = self.walk.take() {
            let mut out = BytesMut::new();
            if !walk.whole {
                self.gate.read(|tree| {
                    walk.frozen.is_of(tree) && walk.frozen.emit(tree, CHUNK, &mut out)
                });
            }
            let _ = walk.writer.body(&out);
        }
    }
}

/// Something to read from a log.
#[derive(Debug)]
pub(super) enum LogJob {
    Read {
        link: LinkId,
        after: Zxid,
        upto: Zxid,
    },
    Probe {
        link: LinkId,
        learner: Zxid,
    },
}

/// Bytes of a snapshot that travel together.
const PIECE: usize = 400;
/// Znodes per chunk of a walk.
const CHUNK: usize = 8;

impl World {
    /// Does what a replica owes.
    pub(super) fn carry_out(&mut self, server: ServerId, output: Output) {
        match output {
            Output::Disk(op) => {
                self.disk_is_asked(server, &op);
                if let Some(process) = self.running(server) {
                    process.chain.waiting.push_back(op);
                }
                self.start_disk(server);
            }
            Output::Notify { to, notification } => self.notify(server, to, notification),
            Output::Dial { leader } => self.dial(server, leader),
            Output::ToLearner { link, packet } => {
                self.checked(|checks| checks.leader_says(server, link, &packet));
                self.note(|| format!("link {}: leader {server} says {}", link.0, shown(&packet)));
                self.send_packet(link, ACCEPTOR, &packet.encode());
            }
            Output::ToLeader { link, packet } => {
                self.checked(|checks| checks.learner_says(server, &packet));
                self.note(|| format!("link {}: learner {server} says {packet:?}", link.0));
                self.send_packet(link, DIALLER, &packet.encode());
            }
            Output::Close { link } => {
                if let Some(end) = self.end_of(link, server) {
                    self.note(|| format!("link {}: server {server} closes", link.0));
                    self.close_end(link.0, end);
                }
            }
            Output::ReportDrained { link } => {
                if let Some(end) = self.end_of(link, server) {
                    self.want_drained(link, end);
                }
            }
            Output::MakeSnapshot { link, at_least } => self.want_snapshot(server, link, at_least),
            Output::StreamSnapshot { link } => self.stream(server, link),
            Output::ReadLog { link, after, upto } => {
                self.read_log(server, LogJob::Read { link, after, upto });
            }
            Output::ProbeLog { link, learner } => {
                self.read_log(server, LogJob::Probe { link, learner });
            }
            Output::Restored(outcome) => self.was_restored(server, outcome),
            Output::Discard(_) => {}
        }
    }

    pub(super) fn running(&mut self, server: ServerId) -> Option<&mut super::machine::Process> {
        self.servers.get_mut(&server)?.process.as_mut()
    }

    fn start_disk(&mut self, server: ServerId) {
        let Some(process) = self.running(server) else {
            return;
        };
        if !process.chain.begin() {
            return;
        }
        let boot = process.boot;
        let (least, most) = self.plan.sync_time;
        let took = self.rng.random_range(least..=most);
        let stalled_until = self.servers[&server].stalled_until;
        let at = (self.now + took).max(stalled_until + took);
        self.queue.push(at, Event::Disk { server, boot });
    }

    /// The disk is done with what was in work.
    pub(super) fn disk_done(&mut self, server: ServerId, boot: u64) {
        let (now, stalled) = (self.now, self.servers[&server].stalled_until);
        let mut rng = self.rng.clone();
        let Some(process) = self.process(server, boot) else {
            return;
        };
        if stalled > now {
            self.queue.push(stalled, Event::Disk { server, boot });
            return;
        }
        if process.chain.rewrites() && process.snapshots.walk.is_some() {
            // Whoever writes a snapshot is waited for.
            self.queue.push(now + 3_000, Event::Disk { server, boot });
            return;
        }
        let mut draw = |below: u64| rng.random_range(0..below.max(1));
        let outcome = process.chain.perform(&mut draw);
        self.rng = rng;
        match outcome {
            Err(error) => {
                self.abort(server, &error.to_string());
                return;
            }
            Ok(Some(outcome)) => self.report(server, boot, outcome),
            Ok(None) => {}
        }
        self.start_disk(server);
    }

    fn report(&mut self, server: ServerId, boot: u64, outcome: Outcome) {
        match outcome {
            Outcome::Logged { upto, snapshot_due } => {
                self.checks.done(server, Done::Logged { upto });
                self.put_in(server, boot, Input::Logged { upto });
                if snapshot_due {
                    self.put_message(server, boot, Message::SnapshotDue);
                }
            }
            Outcome::Done(done) => {
                if done == Done::NotTruncated {
                    self.seen.count("TRUNC that cannot be done");
                }
                self.checks.done(server, done);
                self.put_in(server, boot, Input::Peer(PeerInput::Done(done)));
            }
            Outcome::Truncated(to, tree) => {
                let newest = self
                    .process(server, boot)
                    .map(|process| &mut process.snapshots.newest);
                if let Some(newest) = newest {
                    newest.take_if(|(zxid, _)| *zxid > to);
                }
                self.seen.count(match tree.is_some() {
                    true => "TRUNC with the tree",
                    false => "TRUNC of the log alone",
                });
                self.checks.done(server, Done::Truncated);
                self.put_in(server, boot, Input::Truncated { tree });
            }
            Outcome::Installed(zxid, path, tree) => {
                if let Some(process) = self.process(server, boot) {
                    process.snapshots.newest = Some((zxid, path));
                }
                self.checks.installed(server, zxid);
                self.put_in(server, boot, Input::Installed { tree });
            }
        }
    }

    // Snapshots.

    pub(super) fn snapshot_due(&mut self, server: ServerId) {
        let Some(process) = self.running(server) else {
            return;
        };
        if process.snapshots.walk.is_some() {
            return;
        }
        let Some(frozen) = process.replica.freeze() else {
            return;
        };
        let zxid = frozen.zxid();
        let digest = Some(frozen.digest());
        let (disk, dir) = (process.snapshots.disk.clone(), &process.snapshots.dirs.data);
        let boot = process.boot;
        match SnapshotWriter::begin(disk, dir, zxid, digest, &snapshot_options()) {
            Ok(mut writer) => {
                let mut out = BytesMut::new();
                frozen.header(&mut out);
                if writer.body(&out).is_err() {
                    self.snapshot_failed(server, boot, Some(frozen));
                    return;
                }
                let walk = Some(Walk {
                    frozen,
                    writer,
                    whole: false,
                });
                if let Some(process) = self.running(server) {
                    process.snapshots.walk = walk;
                }
                self.walk_on(server, boot);
            }
            Err(_) => self.snapshot_failed(server, boot, Some(frozen)),
        }
    }

    fn walk_on(&mut self, server: ServerId, boot: u64) {
        let stalled = self.servers[&server].stalled_until;
        let at = (self.now + self.rng.random_range(100..5_000)).max(stalled);
        self.queue.push(at, Event::Snapshot { server, boot });
    }

    fn snapshot_failed(&mut self, server: ServerId, boot: u64, frozen: Option<Frozen>) {
        self.seen.count("snapshot failed");
        if let Some(frozen) = frozen {
            self.put_message(server, boot, Message::SnapshotDone(frozen));
        }
        let Some(process) = self.process(server, boot) else {
            return;
        };
        for (link, _) in std::mem::take(&mut process.snapshots.wanted) {
            let ready = PeerInput::SnapshotReady { link, zxid: None };
            self.put_in(server, boot, Input::Peer(ready));
        }
    }

    /// A walk goes on by a chunk.
    pub(super) fn snapshot_goes_on(&mut self, server: ServerId, boot: u64) {
        let Some(process) = self.process(server, boot) else {
            return;
        };
        let gate = process.gate.clone();
        let Some(mut walk) = process.snapshots.walk.take() else {
            return;
        };
        let mut out = BytesMut::new();
        let emitted = gate.read(|tree| {
            let is_same = walk.frozen.is_of(tree);
            is_same.then(|| walk.whole || walk.frozen.emit(tree, CHUNK, &mut out))
        });
        let zxid = walk.frozen.zxid();
        let written = match emitted {
            None => {
                self.seen.count("snapshot given up: the tree was replaced");
                drop(walk.writer);
                self.put_message(server, boot, Message::SnapshotDone(walk.frozen));
                self.next_wanted(server, boot);
                return;
            }
            Some(done) => {
                walk.whole = done;
                walk.writer.body(&out).map(|()| done)
            }
        };
        let holds = process.chain.holds(zxid);
        match written.map(|done| done && holds) {
            Ok(false) => {
                if let Some(process) = self.process(server, boot) {
                    process.snapshots.walk = Some(walk);
                }
                self.walk_on(server, boot);
            }
            Ok(true) => {
                let Walk { frozen, writer, .. } = walk;
                let finished = writer.finish();
                self.put_message(server, boot, Message::SnapshotDone(frozen));
                match finished {
                    Ok(written) => {
                        self.seen.count("snapshot written");
                        self.note(|| format!("server {server} has a snapshot of {zxid}"));
                        if let Some(process) = self.process(server, boot) {
                            process.snapshots.newest = Some((zxid, written.path));
                        }
                        self.purge(server);
                        self.next_wanted(server, boot);
                    }
                    Err(_) => self.snapshot_failed(server, boot, None),
                }
            }
            Err(_) => self.snapshot_failed(server, boot, Some(walk.frozen)),
        }
    }

    fn purge(&mut self, server: ServerId) {
        if !self.rng.random_bool(0.3) {
            return;
        }
        let machine = &self.servers[&server];
        if let Ok(removed) = purge::purge(&machine.disk, &machine.dirs, 3) {
            self.seen.add("files purged", removed.len() as u64);
        }
    }

    fn want_snapshot(&mut self, server: ServerId, link: LinkId, at_least: Zxid) {
        let Some(process) = self.running(server) else {
            return;
        };
        let boot = process.boot;
        process.snapshots.wanted.push((link, at_least));
        self.next_wanted(server, boot);
    }

    /// Hands out the newest snapshot to all for whom it is new enough; begins another one for the rest.
    fn next_wanted(&mut self, server: ServerId, boot: u64) {
        let Some(process) = self.process(server, boot) else {
            return;
        };
        let snapshots = &mut process.snapshots;
        let newest = snapshots.newest.clone();
        let newest = newest.filter(|(_, path)| snapshots.disk.open(path).is_ok());
        let mut reports = Vec::new();
        snapshots.wanted.retain(|(link, at_least)| match &newest {
            Some((zxid, path)) if zxid >= at_least => {
                snapshots.ready.insert(*link, path.clone());
                reports.push((*link, *zxid));
                false
            }
            _ => true,
        });
        let more = !snapshots.wanted.is_empty() && snapshots.walk.is_none();
        for (link, zxid) in reports {
            let zxid = Some(zxid);
            let ready = PeerInput::SnapshotReady { link, zxid };
            self.put_in(server, boot, Input::Peer(ready));
        }
        if more {
            self.put_message(server, boot, Message::SnapshotDue);
        }
    }

    /// Sends the body of a snapshot file.
    fn stream(&mut self, server: ServerId, link: LinkId) {
        let Some(process) = self.running(server) else {
            return;
        };
        let Some(path) = process.snapshots.ready.remove(&link) else {
            self.fail(
                "a snapshot is ready before it is sent",
                &format!("{link:?}"),
            );
            return;
        };
        let disk = process.snapshots.disk.clone();
        self.seen.count("snapshot sent");
        let mut body = match SnapBody::open(disk.as_ref(), &path, usize::MAX >> 1) {
            Ok(body) => body,
            Err(_) => {
                self.seen.count("snapshot gone before it was sent");
                self.reset_link(link.0);
                return;
            }
        };
        loop {
            match body.next_part() {
                Ok(Some(mut part)) => {
                    while !part.is_empty() {
                        let piece = part.split_to(part.len().min(PIECE));
                        self.send(link.0, ACCEPTOR, Wire::Body(piece));
                    }
                }
                Ok(None) => {
                    let end = Wire::Body(Bytes::from_static(SIGNATURE));
                    self.send(link.0, ACCEPTOR, end);
                    return;
                }
                Err(_) => {
                    self.reset_link(link.0);
                    return;
                }
            }
        }
    }

    // The reader of the log.

    fn read_log(&mut self, server: ServerId, job: LogJob) {
        let Some(process) = self.running(server) else {
            return;
        };
        let boot = process.boot;
        let at = self.now + self.rng.random_range(100..20_000);
        self.queue.push(at, Event::Log { server, boot, job });
    }

    /// A log was read.
    pub(super) fn log_read(&mut self, server: ServerId, boot: u64, job: LogJob) {
        let machine = &self.servers[&server];
        let (disk, dirs) = (machine.disk(), &machine.dirs);
        let input = match job {
            LogJob::Read { link, after, upto } => {
                let read = cursor::read_after(disk.as_ref(), dirs, after, upto, READ_BYTES);
                let records = read.ok().map(|records| {
                    let logged = |(zxid, txn)| Logged { zxid, txn };
                    records.into_iter().map(logged).collect()
                });
                PeerInput::LogRead { link, records }
            }
            LogJob::Probe { link, learner } => {
                let factor = self.plan.snapshot_size_factor;
                let usable = cursor::probe(disk.as_ref(), dirs, learner, factor);
                let usable = usable.unwrap_or(false);
                PeerInput::LogProbed { link, usable }
            }
        };
        self.seen.count(match input {
            PeerInput::LogRead { .. } => "log read for a learner",
            PeerInput::LogProbed { usable: true, .. } => "log usable for a learner",
            _ => "log not usable for a learner",
        });
        self.put_in(server, boot, Input::Peer(input));
    }

    // Dialling.

    fn dial(&mut self, server: ServerId, leader: ServerId) {
        self.dials += 1;
        let dial = self.dials;
        let at = self.now + self.delay(server, leader) * 2;
        let Some(process) = self.running(server) else {
            return;
        };
        process.dial = Some((dial, leader, 0));
        let boot = process.boot;
        self.queue.push(at, Event::Dial { server, boot, dial });
    }

    /// A connection is tried; a few times, as Java does.
    pub(super) fn dialled(&mut self, server: ServerId, boot: u64, dial: u64) {
        let Some(process) = self.process(server, boot) else {
            return;
        };
        let Some((_, leader, tries)) = process.dial.filter(|(number, ..)| *number == dial) else {
            return;
        };
        let input = match self.connect(server, leader) {
            Some(link) => {
                self.note(|| format!("link {}: server {server} reached {leader}", link.0));
                PeerInput::LeaderReached { link }
            }
            None if tries < DIAL_TRIES => {
                if let Some(process) = self.process(server, boot) {
                    process.dial = Some((dial, leader, tries + 1));
                }
                let at = self.now + DIAL_PAUSE;
                self.queue.push(at, Event::Dial { server, boot, dial });
                return;
            }
            None => PeerInput::LeaderUnreachable,
        };
        if let Some(process) = self.process(server, boot) {
            process.dial = None;
        }
        self.put_in(server, boot, Input::Peer(input));
    }
}

/// Bytes of the log read at once.
const READ_BYTES: usize = 2_000;
/// Source: `Learner.connectToLeader`.
const DIAL_TRIES: u32 = 5;
/// `zookeeper.leaderConnectDelayDuringRetryMs`.
const DIAL_PAUSE: Us = 100_000;
