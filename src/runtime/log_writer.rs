//! The log thread: append whatever is queued, sync once, report how far the log is durable.
//!
//! While one sync runs, the next batch gathers: that is the group commit, without a timer and without tuning.
//! Source: `SyncRequestProcessor`.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use rand::Rng;

use super::clock::Clock;
use super::mailbox::{Mailbox, Message};
use crate::base::Zxid;
use crate::replica::Input;
use crate::storage::StorageError;
use crate::storage::snap_policy::SnapPolicy;
use crate::storage::txnlog::LogWriter;

/// Records waiting for the log thread.
#[derive(Default)]
pub struct LogQueue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    records: Vec<(Zxid, Bytes)>,
    asleep: bool,
    stop: bool,
}

impl LogQueue {
    /// Appends `records`, oldest first, and empties it.
    pub fn push_all(&self, records: &mut Vec<(Zxid, Bytes)>) {
        if records.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        state.records.append(records);
        if state.asleep {
            self.filled.notify_one();
        }
    }

    /// The thread ends once everything queued is durable.
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.filled.notify_one();
    }

    /// False when nothing will come any more.
    fn take(&self, into: &mut Vec<(Zxid, Bytes)>) -> bool {
        let mut state = self.state.lock();
        while state.records.is_empty() && !state.stop {
            state.asleep = true;
            self.filled.wait(&mut state);
            state.asleep = false;
        }
        std::mem::swap(&mut state.records, into);
        !into.is_empty()
    }
}

/// Starts the thread that owns `log`.
///
/// A sync that takes longer than `slow_sync` is warned of. A record that cannot be written or synced ends the process:
/// nothing after a failed sync can be believed.
///
/// # Errors
/// If the thread cannot be started.
pub fn start(
    queue: Arc<LogQueue>,
    mailbox: Arc<Mailbox>,
    log: LogWriter,
    policy: SnapPolicy,
    slow_sync: Duration,
    clock: Clock,
) -> io::Result<JoinHandle<()>> {
    let mut writer = Writer {
        queue,
        mailbox,
        log,
        policy,
        slow_sync,
        clock,
    };
    std::thread::Builder::new()
        .name("log".into())
        .spawn(move || {
            if let Err(error) = writer.run() {
                super::stop_for_good(&format!("the transaction log cannot be written: {error}"));
            }
        })
}

struct Writer {
    queue: Arc<LogQueue>,
    mailbox: Arc<Mailbox>,
    log: LogWriter,
    policy: SnapPolicy,
    slow_sync: Duration,
    clock: Clock,
}

impl Writer {
    fn run(&mut self) -> Result<(), StorageError> {
        let mut rng = super::entropy::rng();
        let mut draw = |below: u64| rng.random_range(0..below.max(1));
        let mut records = Vec::new();
        while self.queue.take(&mut records) {
            let mut snapshot_due = false;
            let mut upto = None;
            for (zxid, payload) in records.drain(..) {
                self.log.append(zxid, &payload);
                upto = Some(zxid);
                if self.policy.logged(self.log.size(), &mut draw) {
                    self.log.roll();
                    snapshot_due = true;
                }
            }
            self.sync()?;
            if let Some(upto) = upto {
                self.mailbox.push(Message::Input(Input::Logged { upto }));
            }
            if snapshot_due {
                self.mailbox.push(Message::SnapshotDue);
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        let before = self.clock.mono();
        self.log.sync()?;
        let took = self.clock.mono() - before;
        if took > self.slow_sync {
            tracing::warn!(
                "a sync of the transaction log took {} ms, which holds up every write; \
                 is its disk busy with something else? (fsync.warningthresholdms)",
                took.as_millis()
            );
        }
        Ok(())
    }
}
