//! The two epoch files, against each other and against the end of the log.

use super::Folder;
use super::finding::{Finding, Fix, Kind, Severity, Step};
use crate::base::{Epoch, Zxid};
use crate::storage::{Disk, StorageError, epochs};

/// What is wrong with the files, for a history that ends at `last`.
///
/// Source: `QuorumPeer.loadDataBase`.
pub(super) fn examine(
    disk: &dyn Disk,
    folder: &Folder,
    last: Zxid,
) -> Result<Vec<Finding>, StorageError> {
    let dir = &folder.dirs.data;
    let of_log = Epoch(last.epoch().0.max(0));
    let mut findings = Vec::new();
    let mut bad = false;
    let mut stored = [None, None];
    for (slot, name) in stored.iter_mut().zip([epochs::ACCEPTED, epochs::CURRENT]) {
        match epochs::read(disk, dir, name) {
            Ok(epoch) => *slot = epoch,
            Err(StorageError::EpochFile { path, found }) => {
                bad = true;
                findings.push(Finding {
                    kind: Kind::BadEpochFile,
                    severity: Severity::Error,
                    path,
                    what: format!(
                        "it holds {found:?}, which is no epoch; no member of an ensemble starts"
                    ),
                    remedy: String::new(),
                    fix: None,
                });
            }
            Err(error) => return Err(error),
        }
    }
    let [accepted, current] = stored;
    if bad {
        let epoch = of_log
            .max(accepted.unwrap_or_default())
            .max(current.unwrap_or_default());
        findings
            .iter_mut()
            .for_each(|finding| mend_bad(finding, epoch));
        return Ok(findings);
    }
    for (stored, name) in stored.iter().zip([epochs::ACCEPTED, epochs::CURRENT]) {
        if stored.is_none() {
            findings.push(Finding {
                kind: Kind::MissingEpochFile,
                severity: Severity::Note,
                path: dir.join(name),
                what: "it is missing".to_owned(),
                remedy: format!("nothing to do: a server writes it with epoch {}", of_log.0),
                fix: None,
            });
        }
    }
    let (accepted, current) = (accepted.unwrap_or(of_log), current.unwrap_or(of_log));
    findings.extend(compare(folder, accepted, current, last, of_log));
    Ok(findings)
}

fn mend_bad(finding: &mut Finding, epoch: Epoch) {
    let is_accepted = finding.path.ends_with(epochs::ACCEPTED);
    let step = match is_accepted {
        true => Step::Accept(epoch),
        false => Step::Current(epoch),
    };
    let loses = "a promise that this server may have given to a leader of a later epoch".to_owned();
    finding.remedy = format!(
        "it is written with {}, as the log and the other file say. That gives up {loses}: do it only while the other \
         members are healthy. Better restore the file, or move version-2 away and let the leader send everything",
        epoch.0
    );
    finding.fix = Some(Fix {
        steps: vec![step],
        loses: Some(loses),
    });
}

fn compare(
    folder: &Folder,
    accepted: Epoch,
    current: Epoch,
    last: Zxid,
    of_log: Epoch,
) -> Vec<Finding> {
    let dir = &folder.dirs.data;
    let mut findings = Vec::new();
    if of_log > accepted {
        let loses = "the knowledge which later epochs this server accepted".to_owned();
        findings.push(Finding {
            kind: Kind::AcceptedEpochBehindLog,
            severity: Severity::Error,
            path: dir.join(epochs::ACCEPTED),
            what: format!(
                "it says {}, but the log goes to {last}, in epoch {}: they do not belong together, as if restored from \
                 copies of different age; no member of an ensemble starts",
                accepted.0, of_log.0
            ),
            remedy: format!(
                "both epochs are set to {}. That gives up {loses}: do it only while the other members are healthy. \
                 Better restore both from one copy, or move version-2 away and let the leader send everything",
                of_log.0
            ),
            fix: Some(Fix {
                steps: vec![Step::Accept(of_log), Step::Current(of_log)],
                loses: Some(loses),
            }),
        });
        return findings;
    }
    if of_log > current {
        findings.push(Finding {
            kind: Kind::CurrentEpochBehindLog,
            severity: Severity::Error,
            path: dir.join(epochs::CURRENT),
            what: format!(
                "it says {}, but the log goes to {last}, in epoch {}: the power failed after the history of that \
                 epoch was saved and before its number was; Java does not start, oxkeeper does",
                current.0, of_log.0
            ),
            remedy: format!("it is set to {}, which this server has accepted", of_log.0),
            fix: Some(Fix {
                steps: vec![Step::Current(of_log)],
                loses: None,
            }),
        });
    }
    let current = current.max(of_log);
    if accepted < current {
        findings.push(Finding {
            kind: Kind::AcceptedEpochBehindCurrent,
            severity: Severity::Error,
            path: dir.join(epochs::ACCEPTED),
            what: format!(
                "it says {}, less than the current epoch {}, which cannot be without having been accepted; Java does \
                 not start, oxkeeper does",
                accepted.0, current.0
            ),
            remedy: format!("it is raised to {}; to promise more is never wrong", current.0),
            fix: Some(Fix {
                steps: vec![Step::Accept(current)],
                loses: None,
            }),
        });
    }
    findings
}
