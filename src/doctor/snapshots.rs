//! Snapshots: which of them load, and what becomes of those that do not.

use super::finding::{Finding, Fix, Kind, Severity, Step};
use super::logs::Scan;
use crate::base::Zxid;
use crate::storage::snapshot::{self, looks_complete};
use crate::storage::{Dirs, Disk, StorageError, names};
use crate::tree::{Loader, TreeOptions};
use std::path::PathBuf;

/// A snapshot that cannot be used.
pub(super) struct Bad {
    path: PathBuf,
    kind: Kind,
    why: String,
}

/// What the folder holds of snapshots.
#[derive(Default)]
pub(super) struct Found {
    /// The newest that loads.
    pub newest: Option<Zxid>,
    /// Those that do not, newest first.
    pub bad: Vec<Bad>,
}

/// Tries all snapshots, one after the other.
pub(super) fn look(disk: &dyn Disk, dirs: &Dirs) -> Result<Found, StorageError> {
    let mut found = Found::default();
    for (zxid, path) in names::sorted(disk, &dirs.data, names::parse_snapshot)?
        .into_iter()
        .rev()
    {
        if !looks_complete(disk, &path)? {
            found.bad.push(Bad {
                path,
                kind: Kind::IncompleteSnapshot,
                why: "it is empty or was not written to its end".to_owned(),
            });
            continue;
        }
        let options = TreeOptions {
            digest: false,
            ..TreeOptions::default()
        };
        let mut loader = Loader::new(options);
        let read = snapshot::visit(disk, &path, &mut loader)
            .map_err(|problem| problem.to_string())
            .and_then(|_| loader.finish(zxid).map_err(|error| error.to_string()));
        match read {
            Ok(_) => found.newest = found.newest.max(Some(zxid)),
            Err(why) => found.bad.push(Bad {
                path,
                kind: Kind::BadSnapshot,
                why,
            }),
        }
    }
    Ok(found)
}

/// What becomes of bad snapshots; `behind` is what recovery says where it does not get by without them.
pub(super) fn judge(
    found: &Found,
    scans: &[Scan],
    dirs: &Dirs,
    problem: Option<&StorageError>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let none_loads = found.newest.is_none();
    let loses = match problem {
        Some(StorageError::BehindSnapshot { reached, .. }) => Some(format!(
            "what was written between {reached}, where the other files end, and this snapshot"
        )),
        _ => None,
    };
    for bad in &found.bad {
        let only = none_loads && scans.iter().all(|scan| scan.first().is_none());
        let remedy = match (&loses, only) {
            (_, true) => {
                "nothing else is here to start from: restore it from a backup, or move version-2 away and let the \
                 leader of the ensemble send everything"
                    .to_owned()
            }
            (Some(loses), _) => format!(
                "it is set aside. That gives up {loses}; a member of an ensemble had better get everything from its \
                 leader, with its version-2 moved away"
            ),
            (None, _) => "it is set aside; the other files hold everything without it".to_owned(),
        };
        findings.push(Finding {
            kind: bad.kind,
            severity: match loses.is_some() || none_loads {
                true => Severity::Error,
                false => Severity::Warning,
            },
            path: bad.path.clone(),
            what: bad.why.clone(),
            remedy,
            fix: (!only).then(|| Fix {
                steps: vec![Step::SetAside(bad.path.clone())],
                loses: loses.clone(),
            }),
        });
    }
    if none_loads && let Some(first) = scans.iter().find_map(Scan::first) {
        findings.push(no_snapshot(dirs, first));
    }
    findings
}

fn no_snapshot(dirs: &Dirs, first: Zxid) -> Finding {
    let whole = matches!(first, Zxid(1) | Zxid(FIRST_OF_ENSEMBLE));
    let loses = "whatever was written before the logs begin".to_owned();
    Finding {
        kind: Kind::NoSnapshot,
        severity: Severity::Error,
        path: dirs.data.clone(),
        what: format!(
            "there are logs, which begin at {first}, and no usable snapshot to apply them to; no server starts"
        ),
        remedy: match whole {
            true => "the logs go back to the very first write: the snapshot of an empty database is put in front of \
                     them"
                .to_owned(),
            false => format!(
                "the snapshot of an empty database is put in front of them. That gives up {loses}: restore the \
                 snapshots instead if there is a backup, or move version-2 away and let the leader send everything"
            ),
        },
        fix: Some(Fix {
            steps: vec![Step::EmptySnapshot],
            loses: (!whole).then_some(loses),
        }),
    }
}

/// The first transaction of an ensemble that was never anything else.
const FIRST_OF_ENSEMBLE: i64 = 1 << 32 | 1;
