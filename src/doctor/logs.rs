//! Logs: scanned whole, damage and all, then judged by what the newest snapshot covers.

use super::finding::{Finding, Fix, Kind, Severity, Step};
use crate::base::Zxid;
use crate::storage::txnlog::{End, LogReader, Step as LogStep};
use crate::storage::{Dirs, Disk, StorageError, names};
use jute::txn::{LoggedTxn, Txn};
use std::path::{Path, PathBuf};

/// All there is in a log file.
pub(super) struct Scan {
    path: PathBuf,
    named: Zxid,
    runs: Vec<Run>,
    ending: Ending,
    /// Why Java would not read a record, and which.
    odd: Vec<(Zxid, &'static str)>,
}

/// Whole records with nothing missing between them.
struct Run {
    /// What parts it from the one before.
    behind: Break,
    offset: u64,
    first: Zxid,
    last: Zxid,
    count: u64,
}

enum Break {
    /// It begins the file.
    Start,
    /// Bytes that are no record.
    Damage(Damage),
    /// Nothing, but zxids are missing.
    Hole,
}

struct Damage {
    offset: u64,
    what: String,
    /// Whether some sector between it and the next record is still zero, as if it had never been written.
    never_written: bool,
}

enum Ending {
    Clean,
    Torn {
        offset: u64,
        what: String,
    },
    /// No whole record follows.
    Damaged(Damage),
}

/// Reads all logs, oldest first.
pub(super) fn scan(disk: &dyn Disk, dirs: &Dirs) -> Result<Vec<Scan>, StorageError> {
    let files = names::sorted(disk, &dirs.log, names::parse_log)?;
    let scan = |(named, path): (Zxid, PathBuf)| scan_file(disk, named, path);
    files.into_iter().map(scan).collect()
}

fn scan_file(disk: &dyn Disk, named: Zxid, path: PathBuf) -> Result<Scan, StorageError> {
    let mut reader = LogReader::open(disk, &path)?;
    let mut scan = Scan {
        path,
        named,
        runs: Vec::new(),
        ending: Ending::Clean,
        odd: Vec::new(),
    };
    let mut next = Some(Break::Start);
    loop {
        let (offset, what) = match reader.step() {
            Ok(LogStep::Record(record)) => match LoggedTxn::read(record.payload) {
                Ok(logged) => {
                    scan.note_odd(&logged, record.zxid);
                    scan.add(record.offset, record.zxid, next.take());
                    continue;
                }
                Err(error) => {
                    next = Some(Break::Damage(Damage {
                        offset: record.offset,
                        what: error.to_string(),
                        never_written: false,
                    }));
                    continue;
                }
            },
            Ok(LogStep::End(End::Clean { .. })) => {
                if let Some(Break::Damage(damage)) = next {
                    scan.ending = Ending::Damaged(damage);
                }
                return Ok(scan);
            }
            Ok(LogStep::End(End::Torn { offset, what })) => {
                scan.ending = Ending::Torn { offset, what };
                return Ok(scan);
            }
            Err(StorageError::DamagedLog { offset, what, .. }) => (offset, what),
            Err(error) => return Err(error),
        };
        let follows = reader.find_record(offset + 1)?;
        let mut damage = Damage {
            offset,
            what,
            never_written: false,
        };
        let Some(at) = follows else {
            scan.ending = Ending::Damaged(damage);
            return Ok(scan);
        };
        damage.never_written = a_sector_is_zero(disk, &scan.path, offset, at)?;
        next = Some(Break::Damage(damage));
        reader = LogReader::open_at(disk, &scan.path, at)?;
    }
}

impl Scan {
    fn add(&mut self, offset: u64, zxid: Zxid, behind: Option<Break>) {
        let behind = match (behind, self.runs.last_mut()) {
            (Some(behind), _) => behind,
            (None, Some(run)) if follows(run.last, zxid) => {
                run.last = run.last.max(zxid);
                run.count += 1;
                return;
            }
            (None, _) => Break::Hole,
        };
        self.runs.push(Run {
            behind,
            offset,
            first: zxid,
            last: zxid,
            count: 1,
        });
    }

    fn note_odd(&mut self, logged: &LoggedTxn, zxid: Zxid) {
        let why = match &logged.txn {
            Txn::Check(_) => "a check outside of a multi",
            Txn::CloseSession(None) if logged.digest.is_some() => {
                "the end of a session without its ephemerals"
            }
            _ => return,
        };
        self.odd.push((zxid, why));
    }

    fn is_whole(&self) -> bool {
        let starts = |run: &Run| matches!(run.behind, Break::Start);
        matches!(self.ending, Ending::Clean) && self.runs.iter().all(starts)
    }

    /// The first record of this file, of which there may be none.
    pub(super) fn first(&self) -> Option<Zxid> {
        self.runs.first().map(|run| run.first)
    }
}

/// Whether nothing is missing between two records.
fn follows(last: Zxid, next: Zxid) -> bool {
    next <= last || next.0 == last.0.wrapping_add(1) || next.epoch() > last.epoch()
}

fn a_sector_is_zero(
    disk: &dyn Disk,
    path: &Path,
    from: u64,
    upto: u64,
) -> Result<bool, StorageError> {
    let read = || {
        let file = disk.open(path)?;
        let mut at = from;
        let mut sector = [0; SECTOR as usize];
        while at < upto {
            let end = (at / SECTOR + 1) * SECTOR;
            let part = &mut sector[..(end.min(upto) - at) as usize];
            let count = file.read_at(at, part)?;
            // Four bytes or less may be the upper half of a checksum.
            if count > 4 && part[..count].iter().all(|byte| *byte == 0) {
                return Ok(true);
            }
            at = end;
        }
        Ok(false)
    };
    read().map_err(|error| StorageError::Io {
        action: "read",
        path: path.to_path_buf(),
        error,
    })
}

/// What the logs need, given that a snapshot holds everything up to `base`.
pub(super) fn judge(scans: &[Scan], base: Option<Zxid>) -> Vec<Finding> {
    let later = scans.partition_point(|scan| base.is_some_and(|base| scan.named <= base));
    let needed = later.saturating_sub(1);
    let mut judge = Judge {
        scans,
        base,
        last: base,
        moved: None,
        findings: Vec::new(),
    };
    for scan in &scans[..needed] {
        judge.old(scan);
    }
    for index in needed..scans.len() {
        if !judge.file(index) {
            break;
        }
    }
    let mut findings = judge.findings;
    findings.extend(scans.iter().filter_map(odd));
    findings
}

struct Judge<'a> {
    scans: &'a [Scan],
    base: Option<Zxid>,
    /// The end of the history so far.
    last: Option<Zxid>,
    /// The file that a part of the current one is copied to, and from which offset on.
    moved: Option<(PathBuf, u64)>,
    findings: Vec<Finding>,
}

impl Judge<'_> {
    /// A file that ends before the newest snapshot.
    fn old(&mut self, scan: &Scan) {
        if scan.is_whole() {
            return;
        }
        let empty = scan.runs.is_empty() && matches!(scan.ending, Ending::Torn { .. });
        let hole = scan
            .runs
            .iter()
            .any(|run| matches!(run.behind, Break::Hole));
        let torn = matches!(scan.ending, Ending::Torn { .. }) && scan.runs.len() == 1;
        if hole || torn {
            // A snapshot that was received leaves a hole; a torn end was never acknowledged.
            return;
        }
        let (kind, step) = match empty {
            true => (Kind::EmptyLog, Step::Remove(scan.path.clone())),
            false => (Kind::DamagedOldLog, Step::SetAside(scan.path.clone())),
        };
        self.findings.push(Finding {
            kind,
            severity: Severity::Warning,
            path: scan.path.clone(),
            what: match empty {
                true => "it was begun and never written".to_owned(),
                false => format!(
                    "damaged ({}), but everything in it is in a newer snapshot as well",
                    scan.damage()
                ),
            },
            remedy: match empty {
                true => "it is removed".to_owned(),
                false => "it is set aside: renamed so that no server reads it".to_owned(),
            },
            fix: Some(Fix {
                steps: vec![step],
                loses: None,
            }),
        });
    }

    /// Whether a file is damaged where the snapshot holds everything, and nothing of it is needed.
    fn is_needless(&self, index: usize) -> bool {
        let (scan, Some(base)) = (&self.scans[index], self.base) else {
            return false;
        };
        let next = self.scans[index + 1..].iter().find_map(Scan::first);
        let header = |run: &Run| matches!(&run.behind, Break::Damage(damage) if damage.offset == 0);
        let damaged = |run: &Run| matches!(run.behind, Break::Damage(_)) && !header(run);
        let inside = scan.runs.iter().any(damaged);
        let at_end = matches!(scan.ending, Ending::Damaged(_));
        scan.runs.iter().all(|run| run.last <= base)
            && (inside || at_end)
            && (!at_end || next.is_some_and(|next| follows(base, next)))
    }

    /// Where a place of a file is once what was decided about the file is done.
    fn place(&self, scan: &Scan, offset: u64) -> (PathBuf, u64) {
        match &self.moved {
            Some((target, from)) => (target.clone(), offset - from + HEADER),
            None => (scan.path.clone(), offset),
        }
    }

    /// False once what follows cannot be kept anyway.
    fn file(&mut self, index: usize) -> bool {
        let scans = self.scans;
        let scan = &scans[index];
        self.moved = None;
        if self.is_needless(index) {
            self.old(scan);
            return true;
        }
        for (at, run) in scan.runs.iter().enumerate() {
            if matches!(&run.behind, Break::Damage(damage) if damage.offset == 0)
                && run.offset == HEADER
            {
                self.findings.push(bad_header(scan));
            }
            if self.base.is_some_and(|base| run.last <= base) {
                continue;
            }
            let covered = self
                .base
                .is_some_and(|base| follows_closely(base, run.first));
            match &run.behind {
                Break::Damage(damage) if damage.offset == 0 && run.offset == HEADER => {}
                Break::Hole if covered => {}
                Break::Damage(_) if covered => {
                    let target = scan.path.with_file_name(names::log_name(run.first));
                    self.findings.push(extract(scan, run, &target));
                    self.moved = Some((target, run.offset));
                }
                Break::Damage(damage) => {
                    self.cut(index, at, damage.offset, Some(damage));
                    return false;
                }
                Break::Hole => {
                    self.cut(index, at, run.offset, None);
                    return false;
                }
                Break::Start => {}
            }
            let joined = at > 0 || self.last.is_none_or(|last| follows(last, run.first));
            if !joined {
                self.cut(index, at, run.offset, None);
                return false;
            }
            self.last = self.last.max(Some(run.last));
        }
        self.ending(index)
    }

    fn ending(&mut self, index: usize) -> bool {
        let scan = &self.scans[index];
        let next = self.scans[index + 1..].iter().find_map(Scan::first);
        let goes_on = match (next, self.last) {
            (Some(next), Some(last)) => follows(last, next),
            (Some(_), None) => false,
            (None, _) => false,
        };
        match &scan.ending {
            Ending::Clean => {}
            Ending::Torn { offset: 0, .. } => self.findings.push(Finding {
                kind: Kind::EmptyLog,
                severity: Severity::Error,
                path: scan.path.clone(),
                what: "it was begun and never written; Java may not start on it".to_owned(),
                remedy: "it is removed; nothing in it was acknowledged".to_owned(),
                fix: lossless(vec![Step::Remove(scan.path.clone())]),
            }),
            Ending::Torn { offset, what } => self.findings.push(Finding {
                kind: Kind::TornLog,
                severity: Severity::Warning,
                path: scan.path.clone(),
                what: format!(
                    "it ends at offset {offset}{} with an interrupted write ({what})",
                    self.after()
                ),
                remedy: "the end is cut off; whoever wrote it has not acknowledged it".to_owned(),
                fix: lossless(vec![self.cut_step(scan, *offset)]),
            }),
            Ending::Damaged(damage) if goes_on => {
                let step = match damage.offset {
                    0 => Step::SetAside(scan.path.clone()),
                    offset => self.cut_step(scan, offset),
                };
                self.findings.push(Finding {
                    kind: Kind::DamagedLog,
                    severity: Severity::Error,
                    path: scan.path.clone(),
                    what: format!(
                        "damaged at offset {}{} ({}), but the next file goes on right there",
                        damage.offset,
                        self.after(),
                        damage.what
                    ),
                    remedy: "the damaged part is cut off; no transaction is missing".to_owned(),
                    fix: lossless(vec![step]),
                });
            }
            Ending::Damaged(damage) => {
                self.cut(index, scan.runs.len(), damage.offset, Some(damage));
                return false;
            }
        }
        true
    }

    fn cut_step(&self, scan: &Scan, offset: u64) -> Step {
        let (path, offset) = self.place(scan, offset);
        Step::Cut(path, offset)
    }

    fn after(&self) -> String {
        let after = |last: Zxid| format!(", after zxid {last},");
        self.last.map_or(String::new(), after)
    }

    /// Gives up everything from a place in a file on.
    fn cut(&mut self, index: usize, run: usize, offset: u64, damage: Option<&Damage>) {
        let scan = &self.scans[index];
        let lost: Vec<&Run> = scan.runs[run..]
            .iter()
            .chain(self.scans[index + 1..].iter().flat_map(|scan| &scan.runs))
            .collect();
        let count: u64 = lost.iter().map(|run| run.count).sum();
        let kind = match damage {
            None => Kind::LogHole,
            Some(damage) if damage.never_written => Kind::RecordsBehindTorn,
            Some(_) => Kind::DamagedLog,
        };
        let keep = offset > HEADER && run + usize::from(damage.is_some()) > 0;
        let mut steps = vec![
            match keep && (run > 0 || damage.is_some_and(|d| d.offset > HEADER)) {
                true => Step::Cut(scan.path.clone(), offset),
                false => Step::SetAside(scan.path.clone()),
            },
        ];
        let later = self.scans[index + 1..].iter();
        steps.extend(later.rev().map(|scan| Step::SetAside(scan.path.clone())));
        let begins = lost.first().map(|run| run.first);
        let what = match (kind, damage) {
            (Kind::LogHole, _) => format!(
                "transactions are missing: the history ends{}, and the record at offset {offset} is {}",
                self.after(),
                begins.unwrap_or_default()
            ),
            (_, Some(damage)) => {
                let shape = match kind {
                    Kind::RecordsBehindTorn => {
                        "; a sector there was never written, as a power failure leaves it that hits a disk while it \
                         writes in an order of its own"
                    }
                    _ => "",
                };
                format!(
                    "damaged at offset {offset}{} ({}){shape}",
                    self.after(),
                    damage.what
                )
            }
            (_, None) => String::new(),
        };
        let loses = match (begins, lost.last()) {
            (Some(first), Some(last)) => format!(
                "{count} transactions, {first} to {}, and what is missing before them",
                last.last
            ),
            _ => "the transaction that stood there".to_owned(),
        };
        self.findings.push(Finding {
            kind,
            severity: Severity::Error,
            path: scan.path.clone(),
            what,
            remedy: format!(
                "the log is cut there and what follows set aside. That gives up {loses}. {}",
                advice(kind)
            ),
            fix: Some(Fix {
                steps,
                loses: Some(loses),
            }),
        });
    }
}

fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::RecordsBehindTorn => {
            "If the power failed, none of it was acknowledged, as all of it would have been synced before. If not, it \
             may have been: then a member of an ensemble had better get everything from its leader, with its \
             version-2 moved away, and a standalone server its file from a backup."
        }
        _ => {
            "It may have been acknowledged: a member of an ensemble had better get everything from its leader, with \
             its version-2 moved away, and a standalone server its files from a backup."
        }
    }
}

impl Scan {
    fn damage(&self) -> String {
        let inside = self.runs.iter().find_map(|run| match &run.behind {
            Break::Damage(damage) => Some(damage),
            Break::Start | Break::Hole => None,
        });
        let damage = match (&self.ending, inside) {
            (_, Some(damage)) | (Ending::Damaged(damage), None) => damage,
            (Ending::Torn { what, .. }, None) => return what.clone(),
            (Ending::Clean, None) => return String::new(),
        };
        format!("at offset {}: {}", damage.offset, damage.what)
    }
}

/// Whether `first` needs nothing between itself and the snapshot.
fn follows_closely(base: Zxid, first: Zxid) -> bool {
    first <= base || first.0 == base.0.wrapping_add(1)
}

fn lossless(steps: Vec<Step>) -> Option<Fix> {
    Some(Fix { steps, loses: None })
}

fn bad_header(scan: &Scan) -> Finding {
    Finding {
        kind: Kind::BadLogHeader,
        severity: Severity::Error,
        path: scan.path.clone(),
        what: "the 16 bytes that begin every log are damaged, all records are whole".to_owned(),
        remedy: "the header is written again".to_owned(),
        fix: lossless(vec![Step::Header(scan.path.clone())]),
    }
}

fn extract(scan: &Scan, run: &Run, target: &Path) -> Finding {
    Finding {
        kind: Kind::DamagedOldLog,
        severity: Severity::Error,
        path: scan.path.clone(),
        what: format!(
            "damaged before offset {} ({}), where everything is in a snapshot as well; no server starts on it",
            run.offset,
            scan.damage()
        ),
        remedy: format!(
            "what follows is copied to {}, and the file set aside; no transaction is lost",
            target.display()
        ),
        fix: lossless(vec![
            Step::Extract(scan.path.clone(), run.offset, target.to_path_buf()),
            Step::SetAside(scan.path.clone()),
        ]),
    }
}

fn odd(scan: &Scan) -> Option<Finding> {
    let (zxid, why) = scan.odd.first()?;
    Some(Finding {
        kind: Kind::JavaCannotRead,
        severity: Severity::Note,
        path: scan.path.clone(),
        what: format!(
            "{} records, the first at {zxid}, are of a kind that a Java server does not read ({why}); ours does",
            scan.odd.len()
        ),
        remedy: "nothing to do here; before Java is to start on this folder, let oxkeeper write a snapshot and purge"
            .to_owned(),
        fix: None,
    })
}

/// What a disk writes in one piece.
const SECTOR: u64 = 512;

/// Bytes of a file's header.
const HEADER: u64 = 16;
