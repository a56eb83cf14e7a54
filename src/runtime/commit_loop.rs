//! The commit loop's thread: gather inputs, step the replica, hand records to the log, wake who has
//! news.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use super::clock::Clock;
use super::log_writer::LogQueue;
use super::mailbox::{Mailbox, Message};
use crate::replica::{Output, Replica};
use crate::tree::Frozen;

/// What the thread owns.
pub struct CommitLoop {
    /// The server.
    pub replica: Replica,
    /// What it hears.
    pub mailbox: Arc<Mailbox>,
    /// Where records go.
    pub log: Arc<LogQueue>,
    /// Where frozen views go.
    pub snapshots: Sender<Frozen>,
    /// Real time.
    pub clock: Clock,
}

impl CommitLoop {
    /// Starts the thread. It ends after [`Message::Stop`], once everything accepted before it is
    /// applied.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(self) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new()
            .name("commit".into())
            .spawn(move || self.run())
    }

    fn run(mut self) {
        let (mut messages, mut outputs, mut records) = (Vec::new(), Vec::new(), Vec::new());
        let mut stopping = false;
        loop {
            // What the replica owes from its start, or from the last round.
            self.replica.take_outputs(&mut outputs);
            records.extend(outputs.drain(..).filter_map(Output::into_record));
            self.log.push_all(&mut records);
            self.replica.wake();
            if stopping && self.replica.is_idle() {
                return;
            }
            let patience = match self.replica.is_behind() {
                true => Duration::ZERO,
                false => self.patience(),
            };
            self.mailbox.take(&mut messages, patience);
            let now = self.clock.now();
            for message in messages.drain(..) {
                match message {
                    Message::Input(input) => self.replica.step(now, input),
                    Message::Peer(_) | Message::SnapshotReceived { .. } => unreachable!(),
                    Message::SnapshotDue => self.snapshot(),
                    Message::SnapshotDone(frozen) => self.replica.thaw(frozen),
                    Message::Stop => stopping = true,
                }
            }
            let now = self.clock.now();
            if !stopping && now.mono >= self.replica.next_deadline(now.mono) {
                self.replica.tick(now);
            }
            self.replica.catch_up(now);
        }
    }

    fn patience(&self) -> Duration {
        let now = self.clock.mono();
        (self.replica.next_deadline(now) - now).min(PATIENCE)
    }

    fn snapshot(&mut self) {
        match self.replica.freeze() {
            // The thread outlives this one; without it no view is taken any more and nothing is
            // lost.
            Some(frozen) => {
                if let Err(unsent) = self.snapshots.send(frozen) {
                    self.replica.thaw(unsent.0);
                }
            }
            None => tracing::warn!("a snapshot is due while the last one is still being written"),
        }
    }
}

/// The loop looks at its deadlines at least this often.
const PATIENCE: Duration = Duration::from_secs(1);
