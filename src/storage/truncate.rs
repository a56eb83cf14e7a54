//! Gives up the end of the history, when the leader says that it was never agreed on.

use super::intent::{Action, Intent};
use super::recover::rewind;
use super::{Dirs, Disk, RecoverOptions, StorageError, names, txnlog};
use crate::base::Zxid;
use crate::tree::Tree;
use std::path::PathBuf;

/// What became of a truncation.
pub enum Truncation {
    /// The history ends where it should.
    Done(Truncated),
    /// There is no way to get there, for this reason; nothing was changed.
    NoWay(String),
}

/// A history that was cut.
pub struct Truncated {
    /// The tree at the new end, if asked for.
    pub tree: Option<Box<Tree>>,
    /// The names under which snapshots of what was given up are kept.
    pub set_aside: Vec<PathBuf>,
}

/// Makes the history end exactly at `to`, durably, and the tree too if `reload` says that it has applied more. The
/// log's writer must be closed, and nobody may be writing a snapshot.
///
/// A snapshot that holds something behind `to`, or may, is set aside: recovery would build on it. First all of what
/// is left is read; if it does not lead to `to` without a hole, nothing is changed, and the server has to get
/// everything from its leader. After a crash [`recover`](super::recover) completes what was begun.
///
/// # Errors
/// What the disk says. The truncation may then be done or not: the server must not go on.
/// Source: `FileTxnSnapLog.truncateLog`. Differs from Java, whose reload begins at a snapshot newer than the cut.
pub fn truncate_to(
    disk: &dyn Disk,
    dirs: &Dirs,
    to: Zxid,
    reload: bool,
    options: &RecoverOptions,
) -> Result<Truncation, StorageError> {
    let found = match find(disk, dirs, to, reload, options) {
        Ok(found) => found,
        Err(error @ StorageError::Io { .. }) => return Err(error),
        Err(other) => return Ok(Truncation::NoWay(other.to_string())),
    };
    let Some((base, tree)) = found else {
        return Ok(Truncation::NoWay(format!(
            "the history held here does not go through {to}"
        )));
    };
    let intent = Intent {
        action: Action::Truncate,
        to,
        base,
    };
    let set_aside = intent.carry_out(disk, dirs)?;
    Ok(Truncation::Done(Truncated {
        tree: tree.filter(|_| reload).map(Box::new),
        set_aside,
    }))
}

/// The snapshot to build on, and the tree at `to` if it had to be built; None if there is no way to `to`.
fn find(
    disk: &dyn Disk,
    dirs: &Dirs,
    to: Zxid,
    reload: bool,
    options: &RecoverOptions,
) -> Result<Option<(String, Option<Tree>)>, StorageError> {
    let snapshots = names::sorted(disk, &dirs.data, names::parse_snapshot)?;
    let name = |path: &PathBuf| names::of(path).to_owned();
    if let (false, Some((newest, path))) = (reload, snapshots.last())
        && *newest <= to
    {
        // The tree is not behind the cut, so the snapshot it was built on is not, either.
        let held = *newest == to || txnlog::holds(disk, &dirs.log, to)?;
        return Ok(held.then(|| (name(path), None)));
    }
    let rewound = rewind(disk, dirs, options, to)?;
    let exact = rewound.last_zxid == to;
    Ok(exact.then(|| (name(&rewound.base), Some(rewound.tree))))
}
