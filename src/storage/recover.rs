//! From files to a tree: the newest snapshot that loads, then every log record behind it.

use super::snapshot::{self, SnapshotOptions};
use super::txnlog::{End, LogReader, Record, Step, cut_file};
use super::{Dirs, Disk, StorageError, intent, names};
use crate::base::Zxid;
use crate::base::flaw::Flaw;
use crate::tree::{Tree, TreeOptions};
use bytes::Bytes;
use jute::txn::{LoggedTxn, Txn};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to recover.
#[derive(Clone, Debug)]
pub struct RecoverOptions {
    /// How the tree reads owners, and whether digests are compared.
    pub tree: TreeOptions,
    /// Whether missing folders are made. Java: `zookeeper.datadir.autocreate`.
    pub create_dirs: bool,
    /// Whether an empty database may begin without the marker `initialize`. Java: `zookeeper.db.autocreate`.
    pub create_database: bool,
    /// Whether logs without any snapshot are applied to an empty tree. Java: `zookeeper.snapshot.trust.empty`.
    pub trust_empty_snapshot: bool,
    /// How the snapshot is written that a new database begins with.
    pub snapshot: SnapshotOptions,
    /// How many records of the end of the log are handed out.
    pub tail_count: usize,
    /// How many bytes of payload these may have together.
    pub tail_bytes: usize,
}

impl Default for RecoverOptions {
    fn default() -> Self {
        RecoverOptions {
            tree: TreeOptions::default(),
            create_dirs: true,
            create_database: true,
            trust_empty_snapshot: false,
            snapshot: SnapshotOptions::default(),
            tail_count: 0,
            tail_bytes: 0,
        }
    }
}

/// What the tree was built on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// That snapshot.
    Snapshot(PathBuf),
    /// Nothing: a new database. A snapshot of it was written.
    NewDatabase,
    /// Logs alone, trusted to be whole. A snapshot of the result was written.
    TrustedLogs,
    /// Nothing, and an empty database may not begin: this server has to get its data from others.
    Missing,
}

/// Digests of the tree compared with those in the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DigestReport {
    /// How many were compared.
    pub compared: u64,
    /// How many differed. Other locales and options of a Java server explain it; it is no error.
    pub mismatched: u64,
    /// The first that differed.
    pub first_mismatch: Option<Zxid>,
}

impl DigestReport {
    /// What a person should know, if any differed.
    pub fn note(&self) -> Option<String> {
        let DigestReport {
            compared,
            mismatched,
            ..
        } = self;
        let first = self.first_mismatch?;
        Some(format!(
            "the tree's digest differs from the logged one after {mismatched} of {compared} transactions, first after \
             {first}; a Java server with another locale or other options explains this, damage would too"
        ))
    }
}

/// What the files held.
pub struct Recovered {
    /// The tree.
    pub tree: Tree,
    /// The end of the history; -1 with [`Base::Missing`].
    pub last_zxid: Zxid,
    /// What the tree was built on.
    pub base: Base,
    /// Where the replay began: the log holds everything behind it. What is older may have holes, where a server
    /// received a snapshot.
    pub base_zxid: Zxid,
    /// The end of the log as far as [`RecoverOptions::tail_count`] and [`RecoverOptions::tail_bytes`] permit: the
    /// payloads of the last records behind the base, in strictly ascending order.
    pub tail: Vec<(Zxid, Bytes)>,
    /// Files that were passed over, with the reason.
    pub skipped: Vec<(PathBuf, String)>,
    /// Log records applied to the base.
    pub replayed: u64,
    /// Digests that were compared.
    pub digests: DigestReport,
    /// What a person should know, in sentences.
    pub notes: Vec<String>,
}

/// Completes a truncation or an installation that was interrupted, finds back to the last durable state, then tidies
/// up what a crash left.
///
/// # Errors
/// Whatever stands between the files and all that was acknowledged; no more of the files is changed then.
/// Source: `FileTxnSnapLog.restore`, `fastForwardFromEdits`. Differs from Java: nothing is deleted from the tree, no
/// snapshot is taken of what was loaded, and a history with a hole does not start.
pub fn recover(
    disk: &Arc<dyn Disk>,
    dirs: &Dirs,
    options: &RecoverOptions,
) -> Result<Recovered, StorageError> {
    recover_telling(disk, dirs, options, &mut || ())
}

/// As [`recover`]; says when the snapshot is loaded and the log's turn comes.
///
/// # Errors
/// As [`recover`].
pub fn recover_telling(
    disk: &Arc<dyn Disk>,
    dirs: &Dirs,
    options: &RecoverOptions,
    snapshot_loaded: &mut dyn FnMut(),
) -> Result<Recovered, StorageError> {
    dirs.prepare(disk.as_ref(), options.create_dirs)?;
    let marker = dirs.initialize_marker();
    let marked = disk.open(&marker).is_ok();
    let notes = intent::resume(disk.as_ref(), dirs, &options.tree)?;
    let mut start = Start::find(disk.as_ref(), dirs, options, Zxid(i64::MAX))?;
    snapshot_loaded();
    let logs = names::sorted(disk.as_ref(), &dirs.log, names::parse_log)?;
    let mut replay = Replay::new(disk.as_ref(), &mut start, options, Zxid(i64::MAX));
    replay.notes = notes;
    match &start.base {
        Base::Snapshot(_) => replay.run(logs_behind(&logs, replay.base))?,
        _ if options.trust_empty_snapshot => replay.run(&logs)?,
        _ => refuse_records(disk.as_ref(), dirs, &logs, &start, &mut replay)?,
    }
    replay.finish(&start)?;
    if !matches!(start.base, Base::Snapshot(_)) {
        start.base = match replay.replayed {
            0 if marked || options.create_database => Base::NewDatabase,
            0 => Base::Missing,
            _ => Base::TrustedLogs,
        };
    }
    let mut recovered = replay.into_recovered(disk.as_ref(), &dirs.log, start)?;
    if matches!(recovered.base, Base::NewDatabase | Base::TrustedLogs) {
        let tree = &mut recovered.tree;
        snapshot::write_tree(disk.clone(), &dirs.data, tree, &options.snapshot)?;
    }
    if marked {
        disk.remove(&marker)
            .map_err(|error| StorageError::io("remove", &marker, error))?;
    }
    Ok(recovered)
}

/// What the files hold up to a zxid.
pub struct Rewound {
    /// The tree as it was there.
    pub tree: Tree,
    /// Its last zxid; less than what was asked for if there is nothing in between.
    pub last_zxid: Zxid,
    /// The snapshot it was built on.
    pub base: PathBuf,
    /// Digests that were compared.
    pub digests: DigestReport,
}

/// Builds the tree as it was at `to`, or as shortly before as the files allow. Changes nothing.
///
/// # Errors
/// As [`recover`]; without a snapshot that is known to hold nothing behind `to`, [`StorageError::NothingToCut`].
pub fn rewind(
    disk: &dyn Disk,
    dirs: &Dirs,
    options: &RecoverOptions,
    to: Zxid,
) -> Result<Rewound, StorageError> {
    let mut start = Start::find(disk, dirs, options, to)?;
    let Base::Snapshot(base) = start.base.clone() else {
        return Err(StorageError::NothingToCut {
            dir: dirs.data.clone(),
            to,
        });
    };
    let logs = names::sorted(disk, &dirs.log, names::parse_log)?;
    let mut replay = Replay::new(disk, &mut start, options, to);
    if replay.base < to {
        replay.run(logs_behind(&logs, replay.base))?;
    }
    replay.finish(&start)?;
    Ok(Rewound {
        last_zxid: replay.last,
        digests: replay.digests,
        tree: replay.tree,
        base,
    })
}

/// The snapshot to begin with.
struct Start {
    tree: Option<Tree>,
    base: Base,
    zxid: Zxid,
    digest: Option<(Zxid, u64)>,
    skipped: Vec<(PathBuf, String)>,
    /// The newest snapshot that was passed over.
    newest_skipped: Option<(Zxid, PathBuf, String)>,
    /// Whether there are newer snapshots, usable or not.
    fell_back: bool,
    /// The newest snapshot that was received: the log has a hole right before it.
    received: Zxid,
    ttl_znodes: u64,
}

impl Start {
    /// The newest snapshot that loads and holds nothing behind `upto`.
    /// Source: `FileSnap.deserialize`.
    fn find(
        disk: &dyn Disk,
        dirs: &Dirs,
        options: &RecoverOptions,
        upto: Zxid,
    ) -> Result<Self, StorageError> {
        let mut start = Start {
            tree: None,
            base: Base::Missing,
            zxid: Zxid::ZERO,
            digest: None,
            skipped: Vec::new(),
            newest_skipped: None,
            fell_back: false,
            received: intent::received(disk, dirs)?.unwrap_or(Zxid::ZERO),
            ttl_znodes: 0,
        };
        let mut failed = false;
        for (zxid, path) in names::sorted(disk, &dirs.data, names::parse_snapshot)?
            .into_iter()
            .rev()
        {
            if zxid > upto {
                start.fell_back = true;
                continue;
            }
            let reason = match snapshot::looks_complete(disk, &path) {
                Ok(false) => "it is empty or was not written to its end".to_owned(),
                Ok(true) => match snapshot::read(disk, &path, zxid, options.tree.clone()) {
                    Ok(loaded) if may_hold_more(&loaded, zxid, upto) => {
                        format!("it may hold something behind {upto}")
                    }
                    Ok(loaded) => {
                        start.take(zxid, path, loaded);
                        return Ok(start);
                    }
                    Err(problem) => {
                        failed = true;
                        problem.to_string()
                    }
                },
                Err(error) => {
                    failed = true;
                    error.to_string()
                }
            };
            if start.newest_skipped.is_none() {
                start.newest_skipped = Some((zxid, path.clone(), reason.clone()));
            }
            start.skipped.push((path, reason));
            start.fell_back = true;
        }
        if failed {
            return Err(StorageError::NoSnapshotLoads {
                dir: dirs.data.clone(),
                reasons: start.reasons(),
            });
        }
        start.tree = Some(Tree::new(options.tree.clone()));
        Ok(start)
    }

    fn take(&mut self, zxid: Zxid, path: PathBuf, loaded: snapshot::Loaded) {
        self.tree = Some(loaded.tree);
        self.zxid = zxid;
        self.digest = loaded.digest;
        self.ttl_znodes = loaded.ttl_znodes;
        self.base = Base::Snapshot(path);
    }

    fn reasons(&self) -> Vec<String> {
        let reason = |(path, reason): &(PathBuf, String)| format!("{}: {reason}", path.display());
        self.skipped.iter().map(reason).collect()
    }
}

/// Whether a snapshot can hold effects of something behind `upto`: Java's go on growing while they are written, and
/// those of older versions do not say how far.
fn may_hold_more(loaded: &snapshot::Loaded, zxid: Zxid, upto: Zxid) -> bool {
    let digest = loaded.digest.map(|(zxid, _)| zxid);
    let known = digest.max(loaded.last_zxid);
    let silent = known.is_none() && zxid != Zxid::ZERO && upto != Zxid(i64::MAX);
    silent || known > Some(upto)
}

/// The log file that holds what follows `base`, if it was begun before, and all later ones.
/// Source: `FileTxnLog.getLogFiles`.
fn logs_behind(logs: &[(Zxid, PathBuf)], base: Zxid) -> &[(Zxid, PathBuf)] {
    let later = logs.partition_point(|(first, _)| *first <= base);
    &logs[later.saturating_sub(1)..]
}

/// Without a snapshot there may be no record, only what a crash leaves of a first file.
fn refuse_records(
    disk: &dyn Disk,
    dirs: &Dirs,
    logs: &[(Zxid, PathBuf)],
    start: &Start,
    replay: &mut Replay<'_>,
) -> Result<(), StorageError> {
    let mut last = None;
    for (_, path) in logs {
        let mut reader = LogReader::open(disk, path)?;
        loop {
            match reader.step()? {
                Step::Record(record) => last = last.max(Some(record.zxid)),
                Step::End(end) => {
                    replay.note_end(path, end);
                    break;
                }
            }
        }
    }
    match last {
        None => Ok(()),
        Some(last) => Err(StorageError::LogsWithoutSnapshot {
            logs: dirs.log.clone(),
            snapshots: dirs.data.clone(),
            last,
            reasons: start.reasons(),
        }),
    }
}

/// The end of a file that an interrupted write left.
struct Torn {
    path: PathBuf,
    offset: u64,
    what: String,
    /// The end of the history before it.
    after: Zxid,
}

/// Applies log files to the tree.
struct Replay<'a> {
    disk: &'a dyn Disk,
    tree: Tree,
    base: Zxid,
    /// The end of the history so far.
    last: Zxid,
    /// What is behind it does not count.
    upto: Zxid,
    tail: Tail,
    /// Why the first record need not follow `base`, or must do so more strictly.
    trusted: bool,
    fell_back: bool,
    /// A digest that is still to be compared, from the snapshot.
    awaited: Option<(Zxid, u64)>,
    replayed: u64,
    ttl_znodes: u64,
    digests: DigestReport,
    /// Torn ends since the last record; whether they are harmless shows only behind them.
    torn: Vec<Torn>,
    /// Torn ends with a history that goes on behind them.
    accepted: Vec<Torn>,
    notes: Vec<String>,
}

impl<'a> Replay<'a> {
    fn new(
        disk: &'a dyn Disk,
        start: &mut Start,
        options: &RecoverOptions,
        upto: Zxid,
    ) -> Replay<'a> {
        let tree = start
            .tree
            .take()
            .unwrap_or_else(|| Tree::new(TreeOptions::default()));
        let mut replay = Replay {
            disk,
            tree,
            base: start.zxid,
            last: start.zxid,
            upto,
            tail: Tail {
                records: VecDeque::new(),
                bytes: 0,
                count_max: options.tail_count,
                bytes_max: options.tail_bytes,
            },
            trusted: !matches!(start.base, Base::Snapshot(_)),
            fell_back: start.fell_back,
            awaited: start.digest.take().filter(|(zxid, _)| *zxid >= start.zxid),
            replayed: 0,
            ttl_znodes: start.ttl_znodes,
            digests: DigestReport::default(),
            torn: Vec::new(),
            accepted: Vec::new(),
            notes: Vec::new(),
        };
        replay.compare_awaited();
        replay
    }

    fn run(&mut self, logs: &[(Zxid, PathBuf)]) -> Result<(), StorageError> {
        let wanted = match Flaw::LastLogNotRead.is_made() {
            true => logs.len().saturating_sub(1),
            false => logs.len(),
        };
        for (_, path) in &logs[..wanted] {
            let mut reader = LogReader::open(self.disk, path)?;
            loop {
                match reader.step()? {
                    Step::Record(record) if record.zxid > self.upto => return Ok(()),
                    Step::Record(record) => self.record(&reader, record)?,
                    Step::End(end) => {
                        self.note_end(path, end);
                        break;
                    }
                }
                if self.last == self.upto {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn note_end(&mut self, path: &Path, end: End) {
        if let End::Torn { offset, what } = end {
            if Flaw::TornRecordCounts.is_made() {
                self.last = Zxid(self.last.0 + 1);
                self.tail.push(self.last, Bytes::new());
            }
            let (path, after) = (path.to_path_buf(), self.last);
            self.torn.push(Torn {
                path,
                offset,
                what,
                after,
            });
        }
    }

    fn record(&mut self, reader: &LogReader, record: Record) -> Result<(), StorageError> {
        if record.zxid > self.base || self.trusted {
            self.check_order(reader, &record)?;
            let Record {
                offset, payload, ..
            } = record;
            let logged = LoggedTxn::read(payload.clone())
                .map_err(|error| reader.damaged_at(offset, self.last, format!("{error}")))?;
            if record.zxid > self.last {
                self.tail.push(record.zxid, payload);
            }
            self.apply(&logged);
        }
        self.accepted.append(&mut self.torn);
        Ok(())
    }

    /// Refuses a hole in the history.
    fn check_order(&mut self, reader: &LogReader, record: &Record) -> Result<(), StorageError> {
        let (last, found) = (self.last, record.zxid);
        if found < last {
            let path = reader.path().display();
            self.notes.push(format!(
                "{path}: the record at offset {} has zxid {found}, less than {last} before it; applied as Java does",
                record.offset
            ));
        }
        let first = self.replayed == 0;
        let follows = found <= last || found.0 == last.0.wrapping_add(1);
        let new_epoch = found.epoch() > last.epoch();
        // A snapshot that is not the newest must be followed by what the newer ones held.
        let begins_epoch = found.counter() == 1 || !self.fell_back;
        if follows || (new_epoch && begins_epoch) {
            return Ok(());
        }
        if first && self.trusted {
            self.notes.push(format!(
                "the logs begin at {found}; what came before is not there, and \
                 snapshot.trust.empty says that this is fine"
            ));
            return Ok(());
        }
        if let Some(torn) = self.torn.first() {
            return Err(StorageError::DamagedLog {
                path: torn.path.clone(),
                offset: torn.offset,
                after: last,
                what: format!("{}, and the next file begins only at {found}", torn.what),
            });
        }
        let context = if first {
            " (a snapshot)".to_owned()
        } else {
            String::new()
        };
        let (path, offset) = (reader.path().to_path_buf(), record.offset);
        Err(StorageError::Gap {
            path,
            offset,
            after: last,
            found,
            context,
        })
    }

    fn apply(&mut self, logged: &LoggedTxn) {
        let zxid = Zxid(logged.header.zxid);
        self.tree.replay(&logged.header, &logged.txn);
        self.replayed += 1;
        self.last = self.last.max(zxid);
        if matches!(logged.txn, Txn::CreateTtl(_)) {
            self.ttl_znodes += 1;
        }
        // Up to the digest of a fuzzy snapshot the tree is a mixture that no server ever had.
        let fuzzy = self.awaited.is_some_and(|(awaited, _)| zxid < awaited);
        match &logged.digest {
            Some(digest) if digest.version == DIGEST_VERSION && !fuzzy => {
                self.compare(zxid, digest.tree_digest as u64);
            }
            _ => {}
        }
        self.compare_awaited();
    }

    fn compare_awaited(&mut self) {
        if let Some((zxid, digest)) = self.awaited.filter(|(zxid, _)| *zxid <= self.last) {
            self.awaited = None;
            if zxid == self.last {
                self.compare(zxid, digest);
            }
        }
    }

    fn compare(&mut self, zxid: Zxid, expected: u64) {
        if !self.tree.options().digest {
            return;
        }
        self.digests.compared += 1;
        if self.tree.digest() != expected {
            self.digests.mismatched += 1;
            self.digests.first_mismatch.get_or_insert(zxid);
        }
    }

    /// The last checks before anything is changed.
    fn finish(&mut self, start: &Start) -> Result<(), StorageError> {
        // Older files lead up to some point before a snapshot that was received, and not on from it.
        let past_received = |zxid: Zxid| start.zxid < start.received && start.received <= zxid;
        if let Some((zxid, path, reason)) = &start.newest_skipped
            && (*zxid > self.last || past_received(*zxid))
        {
            return Err(StorageError::BehindSnapshot {
                path: path.clone(),
                reason: reason.clone(),
                reached: self.last,
            });
        }
        for (path, reason) in &start.skipped {
            self.notes.push(format!(
                "{} was passed over: {reason}. Nothing is lost, the logs reach further",
                path.display()
            ));
        }
        if let Some((zxid, _)) = self.awaited {
            self.notes.push(format!(
                "the snapshot holds effects up to {zxid}, but the logs end at {}: some writes may be there in part",
                self.last
            ));
        }
        self.notes.extend(self.digests.note());
        if self.ttl_znodes > 0 && !self.tree.options().extended_types {
            self.notes.push(format!(
                "{} znodes with a time to live were created here; they are kept, but do not expire while \
                 zookeeper.extendedTypesEnabled is false",
                self.ttl_znodes
            ));
        }
        Ok(())
    }

    /// Cuts off and removes what interrupted writes left, newest first, so that a crash in here changes nothing.
    fn into_recovered(
        mut self,
        disk: &dyn Disk,
        log_dir: &Path,
        start: Start,
    ) -> Result<Recovered, StorageError> {
        for torn in std::mem::take(&mut self.torn).into_iter().rev() {
            let Torn {
                path,
                offset,
                what,
                after,
            } = torn;
            if offset == 0 {
                remove_empty(disk, log_dir, &path, &mut self.notes)?;
                continue;
            }
            cut_file(disk, &path, offset)?;
            self.notes.push(format!(
                "{}: cut off at offset {offset}, after zxid {after}: {what}. An interrupted write leaves this; it was \
                 not acknowledged",
                path.display()
            ));
        }
        for torn in std::mem::take(&mut self.accepted) {
            let Torn {
                path,
                offset,
                what,
                after,
            } = torn;
            if offset == 0 {
                remove_empty(disk, log_dir, &path, &mut self.notes)?;
                continue;
            }
            self.notes.push(format!(
                "{}: ends at offset {offset}, after zxid {after}, with an interrupted write ({what}); the next file \
                 continues there",
                path.display()
            ));
        }
        let base_zxid = match start.base {
            Base::Snapshot(_) => self.base,
            _ => self.last,
        };
        let missing = start.base == Base::Missing;
        if missing {
            self.tree.set_last_zxid(NO_DATA);
        }
        Ok(Recovered {
            last_zxid: if missing { NO_DATA } else { self.last },
            tree: self.tree,
            base: start.base,
            base_zxid,
            tail: self.tail.records.into(),
            skipped: start.skipped,
            replayed: self.replayed,
            digests: self.digests,
            notes: self.notes,
        })
    }
}

/// The last records of the log.
struct Tail {
    records: VecDeque<(Zxid, Bytes)>,
    bytes: usize,
    count_max: usize,
    bytes_max: usize,
}

impl Tail {
    fn push(&mut self, zxid: Zxid, payload: Bytes) {
        if self.count_max == 0 {
            return;
        }
        self.bytes += payload.len();
        self.records.push_back((zxid, payload));
        while self.records.len() > self.count_max || self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.records.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
        }
    }
}

/// Removes a log file that holds nothing, not even a header; Java would not start with it.
fn remove_empty(
    disk: &dyn Disk,
    dir: &Path,
    path: &Path,
    notes: &mut Vec<String>,
) -> Result<(), StorageError> {
    disk.remove(path)
        .map_err(|error| StorageError::io("remove", path, error))?;
    disk.sync_dir(dir)
        .map_err(|error| StorageError::io("sync", dir, error))?;
    notes.push(format!(
        "{}: removed, it was begun but never written",
        path.display()
    ));
    Ok(())
}

/// Versions of digests that can be compared.
const DIGEST_VERSION: i32 = 2;

/// The zxid of a server that may have lost its data. Source: `FileTxnSnapLog.restore`.
const NO_DATA: Zxid = Zxid(-1);
