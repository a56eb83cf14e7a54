//! Snapshots between disk, links and memory.

use std::io;
use std::path::Path;

use bytes::{Bytes, BytesMut};

use super::peer_links::{SnapshotSink, SnapshotSource};
use crate::base::Zxid;
use crate::storage::Disk;
use crate::storage::snapshot::SnapshotProblem;
use crate::storage::snapshot::stream::{SnapBody, SnapParser};
use crate::tree::{Tree, TreeOptions};

/// A finished file on its way to a learner.
pub struct SnapshotFile(SnapBody);

impl SnapshotFile {
    /// Opens the file; it may be purged from then on. `field_limit` bounds each string or buffer in it, in bytes.
    ///
    /// # Errors
    /// What the disk says, or that it is no snapshot.
    pub fn open(disk: &dyn Disk, path: &Path, field_limit: usize) -> Result<Self, SnapshotProblem> {
        SnapBody::open(disk, path, field_limit).map(SnapshotFile)
    }
}

impl SnapshotSource for SnapshotFile {
    fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        let mut piece = BytesMut::new();
        while piece.len() < PIECE_BYTES {
            match self.0.next_part().map_err(io::Error::other)? {
                Some(part) => piece.extend_from_slice(&part),
                None => break,
            }
        }
        Ok((!piece.is_empty()).then(|| piece.freeze()))
    }
}

/// A tree in the making from what a leader sends.
pub struct Receiving(SnapParser);

impl Receiving {
    /// For the snapshot of `zxid`. `field_limit` bounds each string or buffer in it, in bytes.
    pub fn new(zxid: Zxid, options: TreeOptions, field_limit: usize) -> Self {
        Receiving(SnapParser::new(zxid, options, field_limit))
    }
}

impl SnapshotSink for Receiving {
    fn feed(&mut self, bytes: &mut BytesMut) -> Result<Option<Box<Tree>>, SnapshotProblem> {
        Ok(self.0.feed(bytes)?.map(Box::new))
    }
}

/// What is read at once.
const PIECE_BYTES: usize = 256 << 10;
