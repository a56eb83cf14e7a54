//! The log thread: append whatever is queued, sync once, report how far the log is durable.
//!
//! While one sync runs, the next batch gathers: that is the group commit, without a timer and without tuning.
//! Source: `SyncRequestProcessor`.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::clock::Clock;
use super::mailbox::{Mailbox, Message};
use crate::base::Zxid;
use crate::replica::Input;
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
/// A record that cannot be written or synced ends the process: nothing after a failed sync can be believed.
///
/// # Errors
/// If the thread cannot be started.
pub fn start(
    queue: Arc<LogQueue>,
    mailbox: Arc<Mailbox>,
    log: LogWriter,
    policy: SnapPolicy,
    clock: Clock,
) -> io::Result<JoinHandle<()>> {
    let mut writer = Writer { queue, mailbox, log, policy, clock };
    std::thread::Builder::new().name("log".into()).spawn(move || {
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
    clock: Clock,
}
