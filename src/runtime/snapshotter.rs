//! The snapshot thread: walks a frozen view into a file, a few hundred znodes at a time, while writes go on, and finds
//! finished files for learners.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use bytes::BytesMut;
use tokio::sync::oneshot;

use super::clock::Clock;
use super::durable::Durable;
use super::mailbox::{Mailbox, Message};
use super::memory;
use super::peer_links::PeerLinks;
use super::snapshot_streams::SnapshotFile;
use crate::base::Zxid;
use crate::metrics::Metrics;
use crate::replica::gate::Gate;
use crate::storage::snapshot::{SnapshotOptions, SnapshotWriter, Written, stream};
use crate::storage::{Dirs, Disk, StorageError};
use crate::tree::{Frozen, Tree};
use crate::zab::io::{Input as PeerInput, LinkId};

/// Somebody who wants to know what was written, if it was.
pub type Asked = oneshot::Sender<Option<Written>>;

/// Something for the thread to do.
pub enum SnapshotJob {
    /// Write this view, and tell those who asked for it.
    Write(Frozen, Vec<Asked>),
    /// Find a finished snapshot for a learner, none older than this.
    Offer {
        /// The learner's connection.
        link: LinkId,
        /// Which will do.
        at_least: Zxid,
    },
    /// Drop a tree that was replaced.
    Discard(Box<Tree>),
}

/// What the thread needs.
pub struct Snapshotter {
    /// Where files live.
    pub disk: Arc<dyn Disk>,
    /// The folders.
    pub dirs: Dirs,
    /// How they are written.
    pub options: SnapshotOptions,
    /// The tree they are of.
    pub gate: Arc<Gate>,
    /// How far the log is on disk.
    pub durable: Arc<Durable>,
    /// Where the end of each is told.
    pub mailbox: Arc<Mailbox>,
    /// Longest string or buffer in a snapshot, in bytes.
    pub field_limit: usize,
    /// Learners, if this server may have any.
    pub peers: Option<PeerLinks>,
    /// Where its times go.
    pub metrics: Arc<Metrics>,
    /// Real time.
    pub clock: Clock,
    /// Learners that wait for a snapshot, and since how many attempts.
    pub waiting: Vec<Waiting>,
}

/// A learner that waits for a snapshot.
pub struct Waiting {
    link: LinkId,
    at_least: Zxid,
    attempts: u32,
}

impl Snapshotter {
    /// Starts the thread. It takes one job after the other and ends when the sender is dropped.
    ///
    /// A snapshot that cannot be written is not fatal: the log holds everything, and the next one may succeed.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(self) -> io::Result<(Sender<SnapshotJob>, JoinHandle<()>)> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new().name("snapshot".into());
        Ok((sender, thread.spawn(move || self.run(&receiver))?))
    }

    fn run(mut self, jobs: &Receiver<SnapshotJob>) {
        while let Ok(job) = jobs.recv() {
            match job {
                SnapshotJob::Write(frozen, asked) => {
                    self.write(frozen, asked);
                    self.waiting
                        .iter_mut()
                        .for_each(|waiting| waiting.attempts += 1);
                    self.offer();
                }
                SnapshotJob::Offer { link, at_least } => {
                    self.waiting.push(Waiting {
                        link,
                        at_least,
                        attempts: 0,
                    });
                    self.offer();
                }
                SnapshotJob::Discard(tree) => {
                    drop(tree);
                    memory::give_back();
                }
            }
        }
    }

    /// Gives finished snapshots to those that wait, and asks for a new one if none will do.
    fn offer(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            let zxid = match self.find(&waiting) {
                Ok(None) if waiting.attempts < ATTEMPTS => {
                    self.waiting.push(waiting);
                    continue;
                }
                Ok(found) => found,
                Err(error) => {
                    tracing::error!(
                        "a learner waits for a snapshot that cannot be made: {error}; make room in dataDir, or \
                         repair it: until then the learner cannot join"
                    );
                    None
                }
            };
            let link = waiting.link;
            let ready = PeerInput::SnapshotReady { link, zxid };
            self.mailbox.push(Message::peer(ready));
        }
        if !self.waiting.is_empty() {
            self.mailbox.push(Message::SnapshotDue);
        }
    }

    /// Opens the newest snapshot for a learner, if it will do: from then on it may be purged.
    fn find(&self, waiting: &Waiting) -> Result<Option<Zxid>, String> {
        let disk = &*self.disk;
        let newest = stream::newest(disk, &self.dirs, waiting.at_least)
            .map_err(|error| error.to_string())?;
        let (Some((zxid, path)), Some(peers)) = (newest, &self.peers) else {
            return Ok(None);
        };
        let file = SnapshotFile::open(disk, &path, self.field_limit)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        peers.snapshot_ready(waiting.link, Box::new(file));
        Ok(Some(zxid))
    }

    fn write(&self, mut frozen: Frozen, asked: Vec<Asked>) {
        let _alone = self.durable.files();
        let (zxid, began) = (frozen.zxid(), self.clock.stamp());
        let written = self.write_file(&mut frozen);
        for asked in asked {
            let written = written.as_ref().ok().cloned().flatten();
            // Whoever asked may have gone away.
            let _ = asked.send(written);
        }
        match written {
            Ok(None) => tracing::info!("the snapshot at {zxid} is given up: the history changes"),
            Ok(Some(written)) => {
                self.metrics
                    .snapshottime
                    .record_ms(self.clock.stamp() - began);
                let path = written.path.display();
                tracing::info!("{path}: snapshot written, {} bytes", written.bytes);
            }
            Err(error) => tracing::error!(
                "the snapshot at {zxid} could not be written: {error}; the log keeps \
                 everything since the last good one, and the next is tried when due: make room in dataDir, or \
                     repair it"
            ),
        }
        // Told before anybody may change the history: a view does not outlive its tree.
        self.mailbox.push(Message::SnapshotDone(frozen));
    }

    /// None if the tree went back meanwhile, or another takes its place.
    fn write_file(&self, frozen: &mut Frozen) -> Result<Option<Written>, StorageError> {
        let zxid = frozen.zxid();
        let digest = self
            .gate
            .read(|tree| tree.options().digest)
            .then(|| frozen.digest());
        let (disk, dir) = (self.disk.clone(), &self.dirs.data);
        let mut writer = SnapshotWriter::begin(disk, dir, zxid, digest, &self.options)?;
        let mut out = BytesMut::new();
        frozen.header(&mut out);
        loop {
            let step = self.gate.read(|tree| {
                let is_there = frozen.is_of(tree) && !self.durable.changes();
                is_there.then(|| frozen.emit(tree, ZNODES_PER_GUARD, &mut out))
            });
            let Some(done) = step else {
                return Ok(None);
            };
            writer.body(&out)?;
            out.clear();
            if done {
                break;
            }
        }
        let is_logged = self.durable.wait_for(zxid);
        match is_logged && self.gate.read(|tree| frozen.is_of(tree)) {
            true => writer.finish().map(Some),
            false => Ok(None),
        }
    }
}

/// Snapshots that are written for a learner: the first may have begun before it came.
const ATTEMPTS: u32 = 2;

/// Znodes walked under one guard of the gate: about 100 µs.
const ZNODES_PER_GUARD: usize = 400;
