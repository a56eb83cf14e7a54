//! The snapshot thread: walks a frozen view into a file, a few hundred znodes at a time, while writes go on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use bytes::BytesMut;

use super::mailbox::{Mailbox, Message};
use crate::replica::gate::Gate;
use crate::storage::snapshot::{SnapshotOptions, SnapshotWriter, Written};
use crate::storage::{Disk, StorageError};
use crate::tree::Frozen;

/// What the thread needs.
pub struct Snapshotter {
    /// Where files live.
    pub disk: Arc<dyn Disk>,
    /// The folder of snapshots.
    pub dir: PathBuf,
    /// How they are written.
    pub options: SnapshotOptions,
    /// The tree they are of.
    pub gate: Arc<Gate>,
    /// Where the end of each is told.
    pub mailbox: Arc<Mailbox>,
}

impl Snapshotter {
    /// Starts the thread. It takes one frozen view after the other and ends when the sender is dropped.
    ///
    /// A snapshot that cannot be written is not fatal: the log holds everything, and the next one may succeed.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(self) -> io::Result<(Sender<Frozen>, JoinHandle<()>)> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new().name("snapshot".into());
        Ok((sender, thread.spawn(move || self.run(&receiver))?))
    }

    fn run(&self, views: &Receiver<Frozen>) {
        while let Ok(mut frozen) = views.recv() {
            let zxid = frozen.zxid();
            match self.write(&mut frozen) {
                Ok(None) => tracing::info!(
                    "the snapshot at {zxid} is given up: the leader sent another tree meanwhile"
                ),
                Ok(Some(written)) => {
                    let path = written.path.display();
                    tracing::info!("{path}: snapshot written, {} bytes", written.bytes);
                }
                Err(error) => tracing::error!(
                    "the snapshot at {zxid} could not be written: {error}; the log keeps \
                     everything since the last good one, and the next is tried when due"
                ),
            }
            self.mailbox.push(Message::SnapshotDone(frozen));
        }
    }

    /// None if the tree was replaced under the walk.
    fn write(&self, frozen: &mut Frozen) -> Result<Option<Written>, StorageError> {
        let zxid = frozen.zxid();
        let digest = self
            .gate
            .read(|tree| tree.options().digest)
            .then(|| frozen.digest());
        let disk = self.disk.clone();
        let mut writer = SnapshotWriter::begin(disk, &self.dir, zxid, digest, &self.options)?;
        let mut out = BytesMut::new();
        frozen.header(&mut out);
        loop {
            let emitted = self.gate.read(|tree| {
                let is_same = frozen.is_of(tree);
                is_same.then(|| frozen.emit(tree, ZNODES_PER_GUARD, &mut out))
            });
            let Some(done) = emitted else {
                return Ok(None);
            };
            writer.body(&out)?;
            out.clear();
            if done {
                return writer.finish().map(Some);
            }
        }
    }
}

/// Znodes walked under one guard of the gate: about 100 µs.
const ZNODES_PER_GUARD: usize = 400;
