//! Names and places: files that stand where they should not, and what interrupted writes left.

use super::Folder;
use super::finding::{Finding, Fix, Kind, Severity, Step};
use crate::storage::snapshot::Compression;
use crate::storage::{Disk, StorageError, atomic, epochs, names};
use std::path::Path;

/// What is wrong with the names in the folders.
pub(super) fn examine(disk: &dyn Disk, folder: &Folder) -> Result<Vec<Finding>, StorageError> {
    let mut findings = Vec::new();
    let dirs = &folder.dirs;
    let both = dirs.data != dirs.log;
    let interrupted = disk.open(&dirs.log.join(INTENT)).is_ok();
    for dir in [&dirs.data, &dirs.log]
        .into_iter()
        .take(1 + usize::from(both))
    {
        let listed = disk.list(dir).map_err(|error| StorageError::Io {
            action: "list",
            path: dir.clone(),
            error,
        })?;
        for name in listed {
            let path = dir.join(&name);
            let stranger = match dir {
                dir if both && *dir == dirs.data && name.starts_with("log.") => Some(&dirs.log),
                dir if both && *dir == dirs.log && name.starts_with("snapshot.") => {
                    Some(&dirs.data)
                }
                _ => None,
            };
            match stranger {
                Some(home) => findings.push(misplaced(disk, &path, &home.join(&name))),
                None => findings.extend(name_finding(&path, &name, interrupted)),
            }
        }
    }
    if interrupted {
        findings.push(Finding {
            kind: Kind::InterruptedChange,
            severity: Severity::Error,
            path: dirs.log.join(INTENT),
            what: "a truncation, or the installation of a snapshot from a leader, was interrupted; Java knows nothing \
                   of it and would start with a mixture"
                .to_owned(),
            remedy: "it is completed, as oxkeeper does when it starts".to_owned(),
            fix: Some(Fix {
                steps: vec![Step::StartUp],
                loses: None,
            }),
        });
    }
    findings.extend(myid(disk, &folder.home)?);
    Ok(findings)
}

fn misplaced(disk: &dyn Disk, path: &Path, home: &Path) -> Finding {
    let free = disk.open(home).is_err();
    Finding {
        kind: Kind::MisplacedFile,
        severity: Severity::Error,
        path: path.to_path_buf(),
        what: format!(
            "it is in the wrong folder, its place is {}; no server starts. dataLogDir was set without moving the logs, \
             or is wrong",
            home.display()
        ),
        remedy: match free {
            true => "it is moved there".to_owned(),
            false => "another file of that name is there already: see which of them belongs to this server, and \
                      move the other one away"
                .to_owned(),
        },
        fix: free.then(|| Fix {
            steps: vec![Step::Move(path.to_path_buf(), home.to_path_buf())],
            loses: None,
        }),
    }
}

fn name_finding(path: &Path, name: &str, interrupted: bool) -> Option<Finding> {
    let (kind, severity, what, remedy, step) = if name.ends_with(".tmp") {
        let what = match names::parse_unfinished(name) {
            Some(_) => "an interrupted write left it; Java takes it for a snapshot",
            None => "an interrupted write left it",
        };
        let step = Step::Remove(path.to_path_buf());
        (
            Kind::LeftoverTmp,
            Severity::Warning,
            what,
            "it is removed",
            step,
        )
    } else if names::is_received(name) && !interrupted {
        let what = "a snapshot that came from a leader and was never installed";
        let step = Step::Remove(path.to_path_buf());
        (
            Kind::ReceivedSnapshot,
            Severity::Warning,
            what,
            "it is removed",
            step,
        )
    } else if name.starts_with("log.") || name.starts_with("snapshot.") {
        let exact = |zxid| {
            [Compression::None, Compression::Gz, Compression::Snappy]
                .map(|packed| names::snapshot_name(zxid, packed))
                .contains(&name.to_owned())
        };
        let own = match (names::parse_log(name), names::parse_snapshot(name)) {
            (Some(zxid), _) => Some(names::log_name(zxid) == name),
            (None, Some(zxid)) => Some(exact(zxid)),
            (None, None) => None,
        };
        let (kind, what) = match own {
            Some(true) => return None,
            Some(false) => (
                Kind::Lookalike,
                "servers take it for one of their files, though its name says that it is a copy or what a tool wrote",
            ),
            None => (
                Kind::ForeignName,
                "it is named as a server's file and has no zxid in its name; Java's clean-up removes it",
            ),
        };
        let step = Step::SetAside(path.to_path_buf());
        (
            kind,
            Severity::Warning,
            what,
            "it is renamed so that no server looks at it",
            step,
        )
    } else {
        return None;
    };
    Some(Finding {
        kind,
        severity,
        path: path.to_path_buf(),
        what: what.to_owned(),
        remedy: remedy.to_owned(),
        fix: Some(Fix {
            steps: vec![step],
            loses: None,
        }),
    })
}

/// Source: `QuorumPeerConfig.setupMyId`.
fn myid(disk: &dyn Disk, home: &Path) -> Result<Option<Finding>, StorageError> {
    let path = home.join("myid");
    let Some(bytes) = atomic::read_small(disk, &path, LONGEST)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or_default();
    if line.parse::<i64>().is_ok() {
        return Ok(None);
    }
    let id = text.split_whitespace().next().unwrap_or_default();
    let fix = id.parse::<i64>().is_ok().then(|| Fix {
        steps: vec![Step::Write(path.clone(), format!("{id}\n").into_bytes())],
        loses: None,
    });
    Ok(Some(Finding {
        kind: Kind::BadMyid,
        severity: Severity::Error,
        path,
        what: format!(
            "its first line, {line:?}, is no number; a member of an ensemble does not start"
        ),
        remedy: match &fix {
            Some(_) => format!("it is written again with {id} alone"),
            None => "write the number of this server's server.N line into it".to_owned(),
        },
        fix,
    }))
}

/// Whether a folder looks like that of a member of an ensemble.
pub(super) fn is_member(disk: &dyn Disk, folder: &Folder) -> bool {
    let dir = &folder.dirs.data;
    let files = [
        dir.join(epochs::ACCEPTED),
        dir.join(epochs::CURRENT),
        folder.home.join("myid"),
    ];
    files.iter().any(|path| disk.open(path).is_ok())
}

const INTENT: &str = "intent";

/// So much of a file is looked at, in bytes.
const LONGEST: usize = 4096;
