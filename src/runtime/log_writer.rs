//! The log thread: does what the disk is asked for, in order, and reports each.
//!
//! ```text
//!   commit loop --- Append, Append, SaveEpoch, Append, .. ---> one chain
//!   commit loop <--- Logged ---------- append, append, one sync
//!               <--- AcceptedEpoch --- save
//!               <--- Logged ---------- append, .., one sync
//! ```
//!
//! While one sync runs, the next batch gathers: that is the group commit, without a timer and without tuning.
//! Source: `SyncRequestProcessor`; `QuorumPeer.setAcceptedEpoch`, `Learner.syncWithLeader`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::sync::Notify;

use super::clock::Clock;
use super::durable::Durable;
use super::log_instruments::{LogInstruments, Push};
use super::mailbox::{Mailbox, Message};
use super::pulse::Pulse;
use crate::base::{Stamp, Zxid};
use crate::config::limits;
use crate::replica::{DiskOp, Input};
use crate::storage::snap_policy::SnapPolicy;
use crate::storage::txnlog::{LogWriter, Waiting};
use crate::storage::{
    Dirs, Disk, RecoverOptions, StorageError, Truncation, epochs, install, truncate_to,
};
use crate::zab::io::{Done, Input as PeerInput};

/// What waits for the log thread.
///
/// Its length is bounded by what fills it: clients while this server leads, and the leader while it does not, whose
/// link is not read while there is no room.
#[derive(Default)]
pub struct LogQueue {
    state: Mutex<State>,
    filled: Condvar,
    /// Bytes of records that are not durable yet.
    bytes: AtomicUsize,
    drained: Notify,
}

#[derive(Default)]
struct State {
    ops: Vec<DiskOp>,
    pushes: Vec<Push>,
    asleep: bool,
    stop: bool,
}

impl LogQueue {
    /// Appends `ops`, oldest first, and empties it.
    pub fn push_all(&self, ops: &mut Vec<DiskOp>, at: Stamp) {
        if ops.is_empty() {
            return;
        }
        self.bytes.fetch_add(bytes_of(ops), Ordering::Relaxed);
        let is_record = |op: &&DiskOp| matches!(op, DiskOp::Append { .. });
        let records = ops.iter().filter(is_record).count() as u64;
        let mut state = self.state.lock();
        state.ops.append(ops);
        state.pushes.push(Push { records, at });
        if state.asleep {
            self.filled.notify_one();
        }
    }

    /// Waits while more is queued than there may be.
    pub async fn has_room(&self) {
        loop {
            let drained = self.drained.notified();
            if self.bytes.load(Ordering::Acquire) <= limits::LOG_QUEUE_BYTES {
                return;
            }
            drained.await;
        }
    }

    /// Bytes of records that are not durable yet.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn done(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Release);
        self.drained.notify_waiters();
    }

    /// The thread ends once everything queued is durable.
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.filled.notify_one();
    }

    /// False when nothing will come any more.
    fn take(&self, into: &mut Vec<DiskOp>, pushes: &mut Vec<Push>) -> bool {
        let mut state = self.state.lock();
        while state.ops.is_empty() && !state.stop {
            state.asleep = true;
            self.filled.wait(&mut state);
            state.asleep = false;
        }
        std::mem::swap(&mut state.ops, into);
        std::mem::swap(&mut state.pushes, pushes);
        !into.is_empty()
    }
}

fn bytes_of(ops: &[DiskOp]) -> usize {
    let sizes = ops.iter().map(|op| match op {
        DiskOp::Append { payload, .. } => payload.len(),
        _ => 0,
    });
    sizes.sum()
}

/// The disk's chain of one server.
pub struct DiskChain {
    /// What is asked for.
    pub queue: Arc<LogQueue>,
    /// Where it is reported.
    pub mailbox: Arc<Mailbox>,
    /// The log.
    pub log: LogWriter,
    /// How far it is durable, for those who have to know. Nobody writes a snapshot while the history is cut.
    pub durable: Arc<Durable>,
    /// Where files live.
    pub disk: Arc<dyn Disk>,
    /// The folders.
    pub dirs: Dirs,
    /// How a tree is built again after a cut, and how snapshots are written.
    pub recover: RecoverOptions,
    /// When snapshots are due.
    pub policy: SnapPolicy,
    /// A sync that takes longer is warned of.
    pub slow_sync: Duration,
    /// Real time.
    pub clock: Clock,
    /// Where its times go.
    pub instruments: LogInstruments,
    /// The thread's signs of life.
    pub pulse: Arc<Pulse>,
}

impl DiskChain {
    /// Starts the thread that does what is asked for, until the queue is stopped.
    ///
    /// What cannot be written or synced ends the process: nothing after a failed sync can be believed.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(mut self) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || {
                if let Err(error) = self.run() {
                    super::stop_for_good(&format!("the disk cannot be written: {error}"));
                }
            })
    }

    fn run(&mut self) -> Result<(), StorageError> {
        let _held = self.pulse.held();
        let (mut rng, mut ops, mut pushes) = (super::entropy::rng(), Vec::new(), Vec::new());
        while self.queue.take(&mut ops, &mut pushes) {
            let now = self.clock.stamp();
            self.instruments.taken(ops.len(), &pushes, now);
            let bytes = bytes_of(&ops);
            let (mut unsynced, mut snapshot_due) = (None, false);
            for op in ops.drain(..) {
                match op {
                    DiskOp::Append { zxid, payload } => {
                        self.log.append(zxid, &payload);
                        self.instruments.appended(&payload);
                        unsynced = Some(zxid);
                        snapshot_due |= self.is_due(&mut rng);
                    }
                    other => {
                        self.sync(unsynced.take())?;
                        match &other {
                            DiskOp::Truncate { .. } | DiskOp::InstallSnapshot { .. } => {
                                self.pulse.begin_at_length(self.clock.mono());
                            }
                            _ => self.pulse.begin(self.clock.mono()),
                        }
                        let done = self.carry_out(other)?;
                        self.pulse.end();
                        self.mailbox.push(Message::Input(done));
                    }
                }
            }
            let synced = self.sync(unsynced)?;
            self.instruments.durable(&mut pushes, synced.unwrap_or(now));
            self.queue.done(bytes);
            if snapshot_due {
                self.mailbox.push(Message::SnapshotDue);
            }
        }
        Ok(())
    }

    fn is_due(&mut self, rng: &mut SmallRng) -> bool {
        let mut draw = |below: u64| rng.random_range(0..below.max(1));
        let due = self.policy.logged(self.log.size(), &mut draw);
        if due {
            self.log.roll();
        }
        due
    }

    /// Makes the log durable, if there is something new in it, and reports its end. Gives back when that was.
    fn sync(&mut self, upto: Option<Zxid>) -> Result<Option<Stamp>, StorageError> {
        let Some(upto) = upto else {
            return Ok(None);
        };
        let (clock, before) = (self.clock, self.clock.stamp());
        let mut waits = before;
        let instruments = &self.instruments;
        self.pulse.begin(clock.mono());
        self.log.sync_telling(&mut |waiting| match waiting {
            Waiting::Begins => waits = clock.stamp(),
            Waiting::Ends => instruments.waited(clock.stamp() - waits),
        })?;
        self.pulse.end();
        let (now, after) = clock.exact_now();
        self.instruments.synced(before, after, now.wall);
        let took = after - before;
        if took > self.slow_sync {
            self.instruments.too_slow();
            tracing::warn!(
                "a sync of the transaction log took {} ms, which holds up every write; \
                 is its disk busy with something else? (fsync.warningthresholdms)",
                took.as_millis()
            );
        }
        self.durable.set(upto);
        self.mailbox.push(Message::Input(Input::Logged { upto }));
        Ok(Some(after))
    }

    /// Does what is no record, and says what was done.
    fn carry_out(&mut self, op: DiskOp) -> Result<Input, StorageError> {
        let disk = &*self.disk;
        match op {
            DiskOp::Append { .. } => unreachable!("records are appended together"),
            DiskOp::SaveAcceptedEpoch(epoch) => {
                epochs::save_accepted(disk, &self.dirs, epoch)?;
                Ok(Input::Peer(PeerInput::Done(Done::AcceptedEpoch(epoch))))
            }
            DiskOp::SaveCurrentEpoch(epoch) => {
                epochs::save_current(disk, &self.dirs, epoch)?;
                Ok(Input::Peer(PeerInput::Done(Done::CurrentEpoch(epoch))))
            }
            DiskOp::Truncate { to, reload } => self.truncate(to, reload),
            DiskOp::InstallSnapshot { zxid, mut tree } => {
                let durable = self.durable.clone();
                let _alone = durable.change();
                self.log.close();
                let options = &self.recover.snapshot;
                let written = install::install(&self.disk, &self.dirs, &mut tree, zxid, options)?;
                tracing::info!(
                    "{}: the snapshot that takes the place of everything before, {} bytes",
                    written.path.display(),
                    written.bytes
                );
                self.log.continue_after(zxid);
                self.durable.set(zxid);
                Ok(Input::Installed { tree })
            }
        }
    }

    fn truncate(&mut self, to: Zxid, reload: bool) -> Result<Input, StorageError> {
        let durable = self.durable.clone();
        let _alone = durable.change();
        self.log.close();
        match truncate_to(&*self.disk, &self.dirs, to, reload, &self.recover)? {
            Truncation::Done(truncated) => {
                for path in &truncated.set_aside {
                    tracing::warn!(
                        "{}: a snapshot beyond {to}, which the leader says was never agreed on, set aside",
                        path.display()
                    );
                }
                self.log.continue_after(to);
                self.durable.set(to);
                Ok(Input::Truncated {
                    tree: truncated.tree,
                })
            }
            Truncation::NoWay(why) => {
                tracing::warn!(
                    "the log cannot be cut at {to}, everything is taken from the leader: {why}"
                );
                Ok(Input::Peer(PeerInput::Done(Done::NotTruncated)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_fills_the_queue_waits_until_enough_of_it_is_durable() {
        let queue = LogQueue::default();
        let record = |bytes: usize| DiskOp::Append {
            zxid: Zxid(1),
            payload: vec![0; bytes].into(),
        };
        let now = Stamp::default();
        queue.push_all(&mut vec![record(limits::LOG_QUEUE_BYTES)], now);
        queue.has_room().await;
        queue.push_all(&mut vec![record(1)], now);
        tokio::select! {
            biased;
            () = queue.has_room() => panic!("there is no room"),
            () = std::future::ready(()) => {}
        }
        let mut ops = Vec::new();
        assert!(queue.take(&mut ops, &mut Vec::new()));
        queue.done(bytes_of(&ops));
        queue.has_room().await;
    }
}
