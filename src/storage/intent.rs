//! What is being done to several files at once, noted so that a start after a crash can complete it.
//!
//! ```text
//! <dataLogDir>/version-2/intent       "truncate <zxid> <snapshot>\n"  the log ends there, <snapshot> is the newest
//!                                     "install <zxid> <snapshot>\n"   as before; <snapshot> was received
//! <dataLogDir>/version-2/installed    "<zxid>\n"                      the newest snapshot that was received
//! <dataDir>/version-2/received.*      a received snapshot, complete and durable before its intent is
//! <dataDir>/version-2/aside.*         snapshots of a history that was given up, kept and not used
//! ```
//!
//! Zxids are hex, as in the names of files. An intent is written when everything it needs is durable and before
//! anything is changed, so it can always be completed; where a received snapshot cannot be read any more, nothing was
//! changed yet, and it is forgotten. Below its first line stand the names of the logs and snapshots that are to go.
//! Java knows none of these names and reads none of these files: where another one would have to go, a Java server was
//! started on the folder meanwhile and went on in its own way, and the intent is forgotten, too.

use super::snapshot;
use super::txnlog::truncate;
use super::{Dirs, Disk, StorageError, atomic, names};
use crate::base::Zxid;
use crate::tree::TreeOptions;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Something that changes several files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Intent {
    pub action: Action,
    /// Where the log ends afterwards.
    pub to: Zxid,
    /// Name of the snapshot that is the newest afterwards.
    pub base: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Truncate,
    Install,
}

impl Intent {
    /// Notes the intent durably, then does it. Returns which snapshots were set aside.
    pub fn carry_out(&self, disk: &dyn Disk, dirs: &Dirs) -> Result<Vec<PathBuf>, StorageError> {
        let action = match self.action {
            Action::Truncate => TRUNCATE,
            Action::Install => INSTALL,
        };
        let mut text = format!("{action} {:x} {}\n", self.to.0, self.base);
        for name in self.to_go(disk, dirs)? {
            text.push_str(&name);
            text.push('\n');
        }
        atomic::replace(disk, &dirs.log, INTENT, text.as_bytes())?;
        self.complete(disk, dirs)
    }

    /// Does what is noted, from wherever it was interrupted.
    fn complete(&self, disk: &dyn Disk, dirs: &Dirs) -> Result<Vec<PathBuf>, StorageError> {
        if self.action == Action::Install {
            let from = dirs.data.join(names::received_name(&self.base));
            if disk.open(&from).is_ok() {
                disk.rename(&from, &dirs.data.join(&self.base))
                    .map_err(|error| StorageError::io("rename", &from, error))?;
            }
            atomic::sync_dir(disk, &dirs.data)?;
        }
        let set_aside = set_aside_newer(disk, &dirs.data, &self.base)?;
        truncate(disk, &dirs.log, self.to)?;
        match self.action {
            Action::Install => {
                let text = format!("{:x}\n", self.to.0);
                atomic::replace(disk, &dirs.log, INSTALLED, text.as_bytes())?;
            }
            Action::Truncate if received(disk, dirs)? > Some(self.to) => {
                atomic::remove(disk, &dirs.log, INSTALLED)?;
            }
            Action::Truncate => {}
        }
        atomic::remove(disk, &dirs.log, INTENT)?;
        Ok(set_aside)
    }

    /// Names of the logs and snapshots that get in the way.
    fn to_go(&self, disk: &dyn Disk, dirs: &Dirs) -> Result<BTreeSet<String>, StorageError> {
        let logs = names::sorted(disk, &dirs.log, names::parse_log)?;
        let logs = logs.into_iter().filter(|(first, _)| *first > self.to);
        let newer = newer_than(disk, &dirs.data, &self.base)?;
        let paths = logs.map(|(_, path)| path).chain(newer);
        Ok(paths.map(|path| names::of(&path).to_owned()).collect())
    }

    /// The intent, and the names of what is to go.
    fn parse(text: &str) -> Option<(Intent, BTreeSet<String>)> {
        let (first, names) = text.split_once('\n')?;
        let mut words = first.split(' ');
        let action = match words.next()? {
            TRUNCATE => Action::Truncate,
            INSTALL => Action::Install,
            _ => return None,
        };
        let to = Zxid(i64::from_str_radix(words.next()?, 16).ok()?);
        let base = words.next()?.to_owned();
        names::parse_snapshot(&base)?;
        let whole = words.next().is_none() && (names.is_empty() || names.ends_with('\n'));
        let names = names.lines().map(str::to_owned).collect();
        whole.then_some((Intent { action, to, base }, names))
    }
}

/// Completes what was interrupted, or forgets it where nothing was changed yet; returns what a person should know.
pub(super) fn resume(
    disk: &dyn Disk,
    dirs: &Dirs,
    options: &TreeOptions,
) -> Result<Vec<String>, StorageError> {
    let mut notes = Vec::new();
    let path = dirs.log.join(INTENT);
    if let Some(bytes) = atomic::read_small(disk, &path, LONGEST)? {
        let text = String::from_utf8_lossy(&bytes);
        let Some((intent, known)) = Intent::parse(&text) else {
            let found = text.into_owned();
            return Err(StorageError::Intent { path, found });
        };
        let what = match intent.action {
            Action::Truncate => format!("a truncation to {}", intent.to),
            Action::Install => format!("the installation of a received snapshot of {}", intent.to),
        };
        match why_not(disk, dirs, &intent, &known, options)? {
            Some(reason) => {
                atomic::remove(disk, &dirs.log, INTENT)?;
                notes.push(format!(
                    "{what} is dropped: {reason}; this server goes on with what it had before"
                ));
            }
            None => {
                intent.complete(disk, dirs)?;
                notes.push(format!("{what} was interrupted and is completed"));
            }
        }
    }
    drop_received(disk, &dirs.data)?;
    Ok(notes)
}

/// Why an intent must not be completed: somebody went on without it, or its snapshot is nowhere, or was received, has
/// not got its name yet, and cannot be read any more.
fn why_not(
    disk: &dyn Disk,
    dirs: &Dirs,
    intent: &Intent,
    known: &BTreeSet<String>,
    options: &TreeOptions,
) -> Result<Option<String>, StorageError> {
    if let Some(other) = intent.to_go(disk, dirs)?.difference(known).next() {
        return Ok(Some(format!("another server wrote {other} meanwhile")));
    }
    let received = dirs.data.join(names::received_name(&intent.base));
    if intent.action == Action::Install && disk.open(&received).is_ok() {
        let problem = snapshot::read(disk, &received, intent.to, options.clone()).err();
        return Ok(problem.map(|problem| problem.to_string()));
    }
    let gone = disk.open(&dirs.data.join(&intent.base)).is_err();
    Ok(gone.then(|| format!("{} is not there", intent.base)))
}

/// Removes snapshots that were received without being installed.
pub(super) fn drop_received(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    let names = disk
        .list(dir)
        .map_err(|error| StorageError::io("list", dir, error))?;
    for name in names.iter().filter(|name| names::is_received(name)) {
        atomic::remove(disk, dir, name)?;
    }
    Ok(())
}

/// Whether a truncation or an installation was begun and is not complete.
pub(super) fn is_open(disk: &dyn Disk, dirs: &Dirs) -> bool {
    disk.open(&dirs.log.join(INTENT)).is_ok()
}

/// Zxid of the newest snapshot that was received: the log may have a hole before it, and none behind it.
pub(super) fn received(disk: &dyn Disk, dirs: &Dirs) -> Result<Option<Zxid>, StorageError> {
    let path = dirs.log.join(INSTALLED);
    let Some(bytes) = atomic::read_small(disk, &path, LONGEST)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    match i64::from_str_radix(text.trim_end_matches('\n'), 16) {
        Ok(zxid) => Ok(Some(Zxid(zxid))),
        Err(_) => {
            let found = text.into_owned();
            Err(StorageError::Intent { path, found })
        }
    }
}

/// Snapshots that recovery would prefer to `base`, newest first.
fn newer_than(disk: &dyn Disk, dir: &Path, base: &str) -> Result<Vec<PathBuf>, StorageError> {
    let Some(zxid) = names::parse_snapshot(base) else {
        return Ok(Vec::new());
    };
    let snapshots = names::sorted(disk, dir, names::parse_snapshot)?;
    let newer = snapshots
        .into_iter()
        .rev()
        .filter(|(other, path)| *other >= zxid && names::of(path) != base);
    Ok(newer.map(|(_, path)| path).collect())
}

/// Gives every snapshot that recovery would prefer to `base` a name under which nobody looks for it.
fn set_aside_newer(disk: &dyn Disk, dir: &Path, base: &str) -> Result<Vec<PathBuf>, StorageError> {
    let taken = disk
        .list(dir)
        .map_err(|error| StorageError::io("list", dir, error))?;
    let mut moved = Vec::new();
    for path in newer_than(disk, dir, base)? {
        let free = (0..)
            .map(|n| names::aside_name(names::of(&path), n))
            .find(|name| !taken.contains(name));
        let to = dir.join(free.unwrap_or_default());
        disk.rename(&path, &to)
            .map_err(|error| StorageError::io("rename", &path, error))?;
        moved.push(to);
    }
    if !moved.is_empty() {
        atomic::sync_dir(disk, dir)?;
    }
    Ok(moved)
}

const INTENT: &str = "intent";
const INSTALLED: &str = "installed";
const TRUNCATE: &str = "truncate";
const INSTALL: &str = "install";

/// So much of a file is looked at, in bytes.
const LONGEST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_says_what_and_where_and_what_has_to_go() {
        let text = "install 10000000a snapshot.10000000a.gz\nlog.10000000b\nsnapshot.10000000c\n";
        let (intent, to_go) = Intent::parse(text).unwrap();
        assert_eq!(to_go.len(), 2);
        assert_eq!(
            (intent.action, intent.to, &*intent.base),
            (
                Action::Install,
                Zxid(0x1_0000_000a),
                "snapshot.10000000a.gz"
            )
        );
        for odd in [
            "",
            "install 1 snapshot.1",
            "install 1\n",
            "move 1 snapshot.1\n",
            "truncate x snapshot.1\n",
            "truncate 1 log.1\n",
            "truncate 1 snapshot.1 snapshot.2\n",
            "truncate 1 snapshot.1\nlog.2\nlog.",
        ] {
            assert_eq!(Intent::parse(odd), None, "{odd:?}");
        }
    }
}
