//! Puts the tree that came from a leader in the place of everything this server had.

use super::intent::{self, Action, Intent};
use super::snapshot::{self, SnapshotOptions, Written};
use super::{Dirs, Disk, StorageError, names};
use crate::base::Zxid;
use crate::tree::Tree;
use std::sync::Arc;

/// Makes `tree` durable as a snapshot of `zxid`, then removes every log record behind it and sets aside every
/// snapshot that recovery would prefer. The log's writer must be closed, and nobody may be writing another snapshot.
///
/// Until the new snapshot is durable nothing else is touched: what this server acknowledged is not forgotten before
/// something takes its place. After a crash [`recover`](super::recover) completes or forgets it, so there is the old
/// history or the new one and no mixture.
///
/// # Errors
/// What the disk says. It is open then which of the two a start will find.
/// Source: `Learner.syncWithLeader` (SNAP), `FileTxnSnapLog.save`. Differs from Java, which keeps the log behind the
/// snapshot and clears its memory before anything is durable.
///
/// # Panics
/// If `tree` is being walked for another snapshot.
pub fn install(
    disk: &Arc<dyn Disk>,
    dirs: &Dirs,
    tree: &mut Tree,
    zxid: Zxid,
    options: &SnapshotOptions,
) -> Result<Written, StorageError> {
    intent::drop_received(disk.as_ref(), &dirs.data)?;
    tree.set_last_zxid(zxid);
    let written = snapshot::write_received(disk.clone(), &dirs.data, tree, options)?;
    assert!(written.is_some(), "nobody else knows of a received tree");
    let base = names::snapshot_name(zxid, options.compression);
    let intent = Intent {
        action: Action::Install,
        to: zxid,
        base,
    };
    intent.carry_out(disk.as_ref(), dirs)?;
    Ok(Written {
        path: dirs.data.join(&intent.base),
        zxid,
        bytes: written.map_or(0, |written| written.bytes),
    })
}

/// Zxid of the newest snapshot that took the place of everything before it, if any did: what is older in the log does
/// not lead there.
///
/// # Errors
/// What the disk says.
pub fn received(disk: &dyn Disk, dirs: &Dirs) -> Result<Option<Zxid>, StorageError> {
    intent::received(disk, dirs)
}

/// Whether a truncation or an installation was begun and is not complete: the next start of the server completes it,
/// and until then the files do not belong together.
pub fn is_interrupted(disk: &dyn Disk, dirs: &Dirs) -> bool {
    intent::is_open(disk, dirs)
}
