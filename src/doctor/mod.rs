//! What is wrong with a data folder, in words, and how it is put right.
//!
//! ```text
//! files --- layout, snapshots, logs, epochs ---> findings ---> steps ---> the folder
//!                          \--- tried on an Overlay, with storage::recover as the judge ---/
//! ```
//!
//! Promises:
//! 1. [`examine`] changes nothing: what it tries, it tries on an [`Overlay`].
//! 2. A fix that gives nothing up says so, and after it [`crate::storage::recover`] holds everything it could have held
//!    before. What may have been acknowledged is given up only where the caller says so.
//! 3. Files that a fix takes out of use are renamed, not removed, unless nothing in them was ever acknowledged.
//!
//! The patterns are those of `docs/known-bugs.md`; `docs/tools.md` lists them for operators.

mod epochs;
mod finding;
mod layout;
mod logs;
mod overlay;
mod snapshots;

#[cfg(test)]
mod tests;

pub use finding::{Finding, Fix, Kind, Severity, Step};
pub use overlay::Overlay;

use crate::base::Zxid;
use crate::storage::{Base, Dirs, Disk, RecoverOptions, Recovered, StorageError, names, recover};
use std::path::PathBuf;
use std::sync::Arc;

/// A server's data folder.
#[derive(Clone, Debug)]
pub struct Folder {
    /// dataDir: where `myid` is.
    pub home: PathBuf,
    /// Where the files are.
    pub dirs: Dirs,
}

/// What there is to say about a folder.
#[derive(Debug)]
pub struct Report {
    /// What was found, in the order in which it is put right.
    pub findings: Vec<Finding>,
    /// The last transaction, if the files can be read once what is permitted is fixed.
    pub last: Option<Zxid>,
    /// Znodes at that point, as Java counts them.
    pub znodes: usize,
    /// Why oxkeeper does not start on the folder as it is.
    pub refusal: Option<String>,
    /// Why it does not start once what is permitted is fixed.
    pub refusal_after: Option<String>,
}

impl Report {
    /// Whether there is nothing that anybody should care about.
    pub fn healthy(&self) -> bool {
        let note = |finding: &Finding| finding.severity == Severity::Note;
        self.refusal.is_none() && self.findings.iter().all(note)
    }
}

/// Looks at everything and changes nothing. Fixes that give something up are taken for done only if `accept_loss` says
/// so: what is found behind them depends on it.
///
/// # Errors
/// What the disk says: then there is nothing to say about the folder.
pub fn examine(
    disk: &Arc<dyn Disk>,
    folder: &Folder,
    accept_loss: bool,
) -> Result<Report, StorageError> {
    let mut doctor = Doctor {
        folder,
        tried: Arc::new(Overlay::new(disk.clone())),
        accept_loss,
        findings: Vec::new(),
        start: None,
    };
    let refusal = doctor.refusal();
    let found = layout::examine(doctor.tried.as_ref(), folder)?;
    doctor.note(found)?;
    let snapshots = snapshots::look(doctor.tried.as_ref(), &folder.dirs)?;
    let scans = logs::scan(doctor.tried.as_ref(), &folder.dirs)?;
    doctor.note(logs::judge(&scans, snapshots.newest))?;
    let problem = doctor.rehearse().as_ref().err();
    let found = snapshots::judge(&snapshots, &scans, &folder.dirs, problem);
    doctor.note(found)?;
    let (last, znodes) = doctor.look_at_tree()?;
    let refusal_after = doctor.refusal();
    Ok(Report {
        findings: doctor.findings,
        last,
        znodes,
        refusal,
        refusal_after,
    })
}

struct Doctor<'a> {
    folder: &'a Folder,
    /// The folder with all permitted fixes so far.
    tried: Arc<dyn Disk>,
    accept_loss: bool,
    findings: Vec<Finding>,
    /// How a start on `tried` ends, where that was asked since the last change.
    start: Option<Result<Recovered, StorageError>>,
}

impl Doctor<'_> {
    /// Takes findings, and tries their fixes.
    fn note(&mut self, findings: Vec<Finding>) -> Result<(), StorageError> {
        for finding in findings {
            if let Some(fix) = &finding.fix
                && (self.accept_loss || fix.loses.is_none())
            {
                for step in &fix.steps {
                    // What cannot be completed shows when a start is rehearsed.
                    if *step == Step::StartUp && self.refusal().is_some() {
                        continue;
                    }
                    self.attempt(step)?;
                }
            }
            self.findings.push(finding);
        }
        Ok(())
    }

    fn attempt(&mut self, step: &Step) -> Result<(), StorageError> {
        self.start = None;
        if let Step::Move(from, to) = step
            && self.tried.rename(from, to).is_ok()
        {
            // The overlay can do without the copy that two real disks need.
            return Ok(());
        }
        step.apply(&self.tried, &self.folder.dirs)
    }

    /// Starts a server as far as storage goes, on a copy of what was tried.
    fn rehearse(&mut self) -> &Result<Recovered, StorageError> {
        self.start.get_or_insert_with(|| {
            let copy: Arc<dyn Disk> = Arc::new(Overlay::new(self.tried.clone()));
            recover(&copy, &self.folder.dirs, &RecoverOptions::default())
        })
    }

    /// Why it does not start.
    fn refusal(&mut self) -> Option<String> {
        let start = self.rehearse();
        start.as_ref().err().map(|error| error.to_string())
    }

    /// Notes what shows only in a tree; the last zxid and the number of znodes, if there is one.
    fn look_at_tree(&mut self) -> Result<(Option<Zxid>, usize), StorageError> {
        match self.rehearse() {
            Ok(recovered) => {
                let seen = (Some(recovered.last_zxid), recovered.tree.znode_count());
                let start = self.start.take();
                let found = match &start {
                    Some(Ok(recovered)) => self.tree_findings(recovered)?,
                    _ => Vec::new(),
                };
                self.start = start;
                self.note(found)?;
                Ok(seen)
            }
            Err(error) => {
                let text = error.to_string();
                self.unexplained(text);
                Ok((None, 0))
            }
        }
    }

    fn tree_findings(&self, recovered: &Recovered) -> Result<Vec<Finding>, StorageError> {
        let dirs = &self.folder.dirs;
        let mut findings = Vec::new();
        if recovered.base == Base::NewDatabase && recovered.replayed == 0 {
            let mut note = remark(
                dirs,
                "neither a snapshot nor a transaction is here".to_owned(),
            );
            note.kind = Kind::NoData;
            note.remedy = "nothing to do: a standalone server would begin with an empty database, a member of an \
                           ensemble would get everything from its leader"
                .to_owned();
            findings.push(note);
        }
        findings.extend(dangling(recovered, dirs));
        findings.extend(orphans(recovered, dirs));
        let digest = recovered.digests.note();
        if let Some(what) = &digest {
            findings.push(Finding {
                kind: Kind::DigestMismatch,
                severity: Severity::Warning,
                path: dirs.data.clone(),
                what: what.clone(),
                remedy: "compare this server with another one, as `oxkeeper snapshot compare` does; if they differ, \
                         move version-2 away and let the leader send everything"
                    .to_owned(),
                fix: None,
            });
        }
        let notes = recovered
            .notes
            .iter()
            .filter(|note| Some(*note) != digest.as_ref());
        findings.extend(notes.map(|note| remark(dirs, note.clone())));
        if layout::is_member(self.tried.as_ref(), self.folder) {
            let last = recovered.last_zxid;
            findings.extend(epochs::examine(self.tried.as_ref(), self.folder, last)?);
        }
        Ok(findings)
    }

    /// A refusal that no finding with a fix explains.
    fn unexplained(&mut self, what: String) {
        let explained = self.findings.iter().any(|finding| {
            let waits = |fix: &Fix| fix.loses.is_some() && !self.accept_loss;
            let fixable = finding.fix.as_ref().is_none_or(waits);
            finding.severity == Severity::Error && fixable
        });
        if explained {
            return;
        }
        self.findings.push(Finding {
            kind: Kind::DoesNotStart,
            severity: Severity::Error,
            path: self.folder.dirs.data.clone(),
            what,
            remedy: "nothing that could be done without more knowledge: restore the files from a backup, or move \
                     version-2 away and let the leader of the ensemble send everything"
                .to_owned(),
            fix: None,
        });
    }
}

fn remark(dirs: &Dirs, what: String) -> Finding {
    Finding {
        kind: Kind::Remark,
        severity: Severity::Note,
        path: dirs.data.clone(),
        what,
        remedy: "nothing to do".to_owned(),
        fix: None,
    }
}

/// Source: ZOOKEEPER-4846, ZOOKEEPER-3306.
fn dangling(recovered: &Recovered, dirs: &Dirs) -> Option<Finding> {
    let count = recovered.tree.lost_acl_count();
    let Base::Snapshot(path) = &recovered.base else {
        return None;
    };
    (count > 0).then(|| Finding {
        kind: Kind::DanglingAcl,
        severity: Severity::Error,
        path: path.clone(),
        what: format!(
            "{count} znodes name an ACL list that is neither in the snapshot nor in the log; Java fails whenever one \
             of them is used"
        ),
        remedy: format!(
            "a snapshot {} is written in which nobody but the super user may do anything with them; set their ACLs as \
             that user",
            dirs.data
                .join(names::snapshot_name(
                    recovered.last_zxid,
                    crate::storage::snapshot::Compression::None
                ))
                .display()
        ),
        fix: Some(Fix {
            steps: vec![Step::Snapshot],
            loses: None,
        }),
    })
}

fn orphans(recovered: &Recovered, dirs: &Dirs) -> Option<Finding> {
    let orphans = recovered.tree.orphan_sessions();
    let znodes: usize = orphans
        .iter()
        .map(|session| recovered.tree.ephemerals(*session).count())
        .sum();
    (!orphans.is_empty()).then(|| Finding {
        kind: Kind::OrphanEphemerals,
        severity: Severity::Note,
        path: dirs.data.clone(),
        what: format!(
            "{znodes} ephemeral znodes belong to {} sessions that do not exist any more",
            orphans.len()
        ),
        remedy: "nothing to do: a server deletes them once it serves".to_owned(),
        fix: None,
    })
}
