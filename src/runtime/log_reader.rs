//! The thread that reads the log back for learners, so that nobody waits for it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::mailbox::{Mailbox, Message};
use crate::base::Zxid;
use crate::config::limits;
use crate::storage::txnlog::cursor::{self, LogCursor};
use crate::storage::{Dirs, Disk};
use crate::zab::history::Logged;
use crate::zab::io::{Input as PeerInput, LinkId};

/// Something to look up in the log.
#[derive(Clone, Copy, Debug)]
pub enum LogJob {
    /// The records after one position and up to another.
    Read {
        /// The learner's connection.
        link: LinkId,
        /// Not this one.
        after: Zxid,
        /// This one included.
        upto: Zxid,
    },
    /// Whether reading on from there is possible and costs less than a snapshot.
    Probe {
        /// The learner's connection.
        link: LinkId,
        /// Where its log ends.
        learner: Zxid,
    },
}

/// What the thread needs.
pub struct LogReading {
    /// Where files live.
    pub disk: Arc<dyn Disk>,
    /// The folders.
    pub dirs: Dirs,
    /// Where answers go.
    pub mailbox: Arc<Mailbox>,
    /// Share of the size of a snapshot up to which the log is read instead; None is never.
    pub snapshot_size_factor: Option<f64>,
}

impl LogReading {
    /// Starts the thread. It takes one job after the other and ends when the sender is dropped.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(self) -> io::Result<(Sender<LogJob>, JoinHandle<()>)> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new().name("log-read".into());
        Ok((sender, thread.spawn(move || self.run(&receiver))?))
    }

    fn run(&self, jobs: &Receiver<LogJob>) {
        let mut cursors = BTreeMap::new();
        while let Ok(job) = jobs.recv() {
            let answer = match job {
                LogJob::Read { link, after, upto } => {
                    if cursors.len() > CURSORS_MAX {
                        cursors.clear();
                    }
                    let cursor = cursors.entry(link).or_insert_with(LogCursor::new);
                    PeerInput::LogRead {
                        link,
                        records: self.read(cursor, after, upto),
                    }
                }
                LogJob::Probe { link, learner } => PeerInput::LogProbed {
                    link,
                    usable: self.probe(learner),
                },
            };
            self.mailbox.push(Message::peer(answer));
        }
    }

    fn read(&self, cursor: &mut LogCursor, after: Zxid, upto: Zxid) -> Option<Vec<Logged>> {
        let most = limits::LOG_READ_BYTES;
        match cursor.read_after(&*self.disk, &self.dirs, after, upto, most) {
            Ok(records) => {
                let logged = records.into_iter().map(|(zxid, txn)| Logged { zxid, txn });
                Some(logged.collect())
            }
            Err(error) => {
                tracing::warn!(
                    "a learner cannot be fed from the log and is let go: {error}; it comes back and gets a snapshot, \
                     but check the log on this server with its disk"
                );
                None
            }
        }
    }

    fn probe(&self, learner: Zxid) -> bool {
        let Some(factor) = self.snapshot_size_factor else {
            return false;
        };
        cursor::probe(&*self.disk, &self.dirs, learner, factor).unwrap_or_else(|error| {
            tracing::warn!("a learner gets a snapshot, since the log cannot be read: {error}; check the log on \
                this server and its disk");
            false
        })
    }
}

/// Places in the log that are remembered, each of another learner.
const CURSORS_MAX: usize = 64;
