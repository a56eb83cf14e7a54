//! Snapshots between disk, links and memory. Storage cannot stream them yet: a learner that needs one is refused.

use std::io;
use std::path::Path;

use bytes::{Bytes, BytesMut};

use super::peer_links::{SnapshotSink, SnapshotSource};
use crate::storage::StorageError;
use crate::tree::Tree;

/// A finished file on its way to a learner.
pub struct SnapshotFile;

impl SnapshotFile {
    /// Opens the file; it may be purged from then on.
    ///
    /// # Errors
    /// What the disk says, or that it is no snapshot.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let error = io::ErrorKind::Unsupported.into();
        Err(StorageError::Io {
            action: "stream",
            path: path.into(),
            error,
        })
    }
}

impl SnapshotSource for SnapshotFile {
    fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        Ok(None)
    }
}

/// A tree in the making from what a leader sends.
pub struct Receiving;

impl SnapshotSink for Receiving {
    fn feed(&mut self, _: &mut BytesMut) -> Result<Option<Box<Tree>>, StorageError> {
        let error = io::ErrorKind::Unsupported.into();
        Err(StorageError::Io {
            action: "receive",
            path: "snapshot".into(),
            error,
        })
    }
}
