//! A folder for each pattern, with exactly that damage: it is found, nothing is changed by looking, and after the fix a
//! server starts with everything that was promised.

use super::*;
use crate::sim::disk::SimDisk;
use crate::storage::snapshot::{self, SnapshotOptions};
use crate::storage::txnlog::{LogOptions, LogReader, LogWriter, Step as LogStep};
use crate::tree::{Tree, TreeOptions};
use bytes::{Bytes, BytesMut};
use jute::data::{Acl, Id};
use jute::txn::*;
use std::path::Path;

/// A server that writes; what it wrote is then damaged.
struct Patient {
    disk: SimDisk,
    tree: Tree,
    log: LogWriter,
    zxid: Zxid,
}

fn folder() -> Folder {
    Folder {
        home: PathBuf::from("/d"),
        dirs: Dirs::new(Path::new("/d"), Path::new("/d")),
    }
}

fn file(name: &str) -> PathBuf {
    folder().dirs.data.join(name)
}

impl Patient {
    fn new() -> Patient {
        let disk = SimDisk::new(1);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let dirs = folder().dirs;
        let recovered = recover(&shared, &dirs, &RecoverOptions::default()).unwrap();
        let options = LogOptions {
            preallocate_bytes: 16 << 10,
            ..LogOptions::default()
        };
        Patient {
            log: LogWriter::new(shared, dirs.log, options),
            tree: recovered.tree,
            zxid: Zxid::ZERO,
            disk,
        }
    }

    /// With a snapshot at 0x3 and logs from 0x1 and 0x4 on, the last transaction being 0x6.
    fn with_two_logs() -> Patient {
        let mut patient = Patient::new();
        patient.create(3);
        patient.snapshot();
        patient.create(3);
        patient
    }

    fn create(&mut self, count: usize) {
        for _ in 0..count {
            let zxid = self.zxid.next().unwrap();
            self.create_as(zxid, 40);
        }
        self.log.sync().unwrap();
    }

    fn create_as(&mut self, zxid: Zxid, size: usize) {
        self.zxid = zxid;
        let acl = Acl {
            perms: 1,
            id: Id {
                scheme: Some("world".into()),
                id: Some("anyone".into()),
            },
        };
        let parent = self.tree.find("/").unwrap();
        let parent_cversion = self.tree.persisted(parent).cversion + 1;
        self.write(Txn::Create2(CreateTxn {
            path: Some(format!("/z{:x}", zxid.0).as_str().into()),
            data: Some(vec![7; size].into()),
            acl: Some(vec![acl]),
            ephemeral: false,
            parent_cversion,
        }));
    }

    fn write(&mut self, txn: Txn) {
        let header = TxnHeader {
            client_id: 0x77,
            cxid: 1,
            zxid: self.zxid.0,
            time: 1_700_000_000_000,
            kind: txn.op().into(),
        };
        self.tree.apply(&header, &txn, &mut Vec::new());
        let digest = Some(TxnDigest {
            version: 2,
            tree_digest: self.tree.digest() as i64,
        });
        let logged = LoggedTxn {
            header,
            txn,
            digest,
        };
        let mut payload = BytesMut::new();
        logged.write(&mut payload);
        self.log.append(self.zxid, &payload);
    }

    fn snapshot(&mut self) {
        self.log.roll();
        let disk = Arc::new(self.disk.clone());
        let dir = folder().dirs.data;
        snapshot::write_tree(disk, &dir, &mut self.tree, &SnapshotOptions::default()).unwrap();
    }

    fn get(&self, name: &str) -> Vec<u8> {
        self.disk.get(&file(name)).unwrap()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        self.disk.put(&file(name), bytes);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.get(name);
        change(&mut bytes);
        self.put(name, &bytes);
    }

    /// Offsets of the records of a log, and where they end.
    fn offsets(&self, name: &str) -> Vec<usize> {
        let mut reader = LogReader::open(&self.disk, &file(name)).unwrap();
        let mut offsets = Vec::new();
        while let LogStep::Record(record) = reader.step().unwrap() {
            offsets.push(record.offset as usize);
        }
        offsets.push(reader.offset() as usize);
        offsets
    }

    fn look(&self, accept_loss: bool) -> Report {
        let before = self.disk.changes();
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let report = examine(&disk, &folder(), accept_loss).unwrap();
        assert_eq!(self.disk.changes(), before, "looking changed something");
        report
    }

    fn kinds(&self) -> Vec<Kind> {
        let findings = self.look(false).findings;
        findings.iter().map(|finding| finding.kind).collect()
    }

    /// Fixes everything that may be fixed; looks again.
    fn fix(&self, accept_loss: bool) -> Report {
        let before = self.look(accept_loss);
        assert_eq!(before.refusal_after, None, "{before:#?}");
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        for finding in &before.findings {
            let fix = finding.fix.as_ref();
            if let Some(fix) = fix.filter(|fix| accept_loss || fix.loses.is_none()) {
                for step in &fix.steps {
                    step.apply(&disk, &folder().dirs).unwrap();
                }
            }
        }
        self.disk.reboot();
        let after = self.look(accept_loss);
        assert!(after.healthy(), "{after:#?}");
        assert_eq!((after.last, after.znodes), (before.last, before.znodes));
        after
    }

    /// Finds exactly that, fixes it, and loses nothing.
    fn mends(&self, kind: Kind) {
        assert_eq!(self.kinds(), [kind], "{:#?}", self.look(false));
        let after = self.fix(false);
        assert_eq!(after.last, Some(self.zxid));
        assert_eq!(after.znodes, self.tree.znode_count());
    }

    /// Finds exactly that, leaves it alone unless loss is accepted, and ends at `last` then.
    fn mends_with_loss(&self, kind: Kind, last: Zxid) {
        assert_eq!(self.kinds(), [kind], "{:#?}", self.look(false));
        let refused = self.look(false);
        assert!(!refused.healthy());
        let loses = |finding: &Finding| finding.fix.as_ref().is_some_and(|fix| fix.loses.is_some());
        assert!(refused.findings.iter().all(loses), "{refused:#?}");
        assert_eq!(self.fix(true).last, Some(last));
    }
}

#[test]
fn a_healthy_folder_is_healthy() {
    let patient = Patient::with_two_logs();
    let report = patient.look(false);
    assert!(report.findings.is_empty(), "{report:#?}");
    assert_eq!(report.last, Some(Zxid(6)));
    assert!(report.healthy());
}

#[test]
fn a_new_folder_is_healthy() {
    assert!(Patient::new().look(false).findings.is_empty());
}

#[test]
fn what_interrupted_writes_left_is_removed() {
    let patient = Patient::with_two_logs();
    patient.put("snapshot.5.tmp", b"ZKSN");
    patient.mends(Kind::LeftoverTmp);
    patient.put("currentEpoch.tmp", b"9");
    patient.mends(Kind::LeftoverTmp);
    patient.put("received.snapshot.9", b"");
    patient.mends(Kind::ReceivedSnapshot);
}

#[test]
fn files_that_look_like_a_servers_are_set_aside() {
    let patient = Patient::with_two_logs();
    let log = patient.get("log.4");
    patient.put("log.4.fixed", &log);
    patient.mends(Kind::Lookalike);
    assert_eq!(patient.get("aside.log.4.fixed"), log);
    patient.put("snapshot.old", b"");
    patient.mends(Kind::ForeignName);
}

#[test]
fn a_log_among_the_snapshots_is_moved_home() {
    let patient = Patient::with_two_logs();
    let apart = Folder {
        home: PathBuf::from("/d"),
        dirs: Dirs::new(Path::new("/d"), Path::new("/logs")),
    };
    patient.disk.create_dir(&apart.dirs.log).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(patient.disk.clone());
    let report = examine(&disk, &apart, false).unwrap();
    let kinds: Vec<Kind> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::MisplacedFile, Kind::MisplacedFile]);
    assert!(report.refusal.is_some());
    assert_eq!(report.last, Some(Zxid(6)));
    for finding in &report.findings {
        for step in &finding.fix.as_ref().unwrap().steps {
            step.apply(&disk, &apart.dirs).unwrap();
        }
    }
    let after = examine(&disk, &apart, false).unwrap();
    assert!(after.healthy(), "{after:#?}");
}

#[test]
fn an_interrupted_truncation_is_completed() {
    let patient = Patient::with_two_logs();
    patient.put("intent", b"truncate 3 snapshot.3\nlog.4\n");
    assert_eq!(patient.kinds(), [Kind::InterruptedChange]);
    assert_eq!(patient.fix(false).last, Some(Zxid(3)));
}

#[test]
fn an_id_with_blanks_around_it_is_written_again() {
    let patient = Patient::with_two_logs();
    patient.disk.put(Path::new("/d/myid"), b" 3 \n");
    patient.put("acceptedEpoch", b"0");
    patient.put("currentEpoch", b"0");
    patient.mends(Kind::BadMyid);
    assert_eq!(patient.disk.get(Path::new("/d/myid")).unwrap(), b"3\n");
    patient.disk.put(Path::new("/d/myid"), b"three\n");
    assert_eq!(patient.kinds(), [Kind::BadMyid]);
    assert!(patient.look(false).findings[0].fix.is_none());
}

#[test]
fn a_log_that_was_begun_and_never_written_is_removed() {
    for bytes in [&b""[..], &[0; 5000], b"ZKLG\0\0"] {
        let patient = Patient::with_two_logs();
        patient.put("log.7", bytes);
        patient.mends(Kind::EmptyLog);
    }
    let patient = Patient::with_two_logs();
    patient.put("log.1", b"");
    patient.mends(Kind::EmptyLog);
}

#[test]
fn a_torn_end_is_cut_off() {
    let mut patient = Patient::with_two_logs();
    let end = patient.offsets("log.4")[3];
    patient.create_as(Zxid(7), 2000);
    patient.log.sync().unwrap();
    patient.change("log.4", |bytes| bytes.truncate(end + 700));
    patient.zxid = Zxid(6);
    assert_eq!(patient.kinds(), [Kind::TornLog]);
    assert_eq!(patient.fix(false).last, Some(Zxid(6)));
    assert_eq!(patient.get("log.4").len(), end);
}

#[test]
fn records_behind_a_sector_that_was_never_written_are_given_up_only_with_consent() {
    let mut patient = Patient::with_two_logs();
    let from = patient.offsets("log.4")[3];
    for zxid in 7..9 {
        patient.create_as(Zxid(zxid), 3000);
    }
    patient.log.sync().unwrap();
    let sector = (from / 512 + 2) * 512;
    patient.change("log.4", |bytes| bytes[sector..sector + 512].fill(0));
    patient.mends_with_loss(Kind::RecordsBehindTorn, Zxid(6));
}

#[test]
fn a_flipped_bit_amid_the_log_is_given_up_only_with_consent() {
    let patient = Patient::with_two_logs();
    let at = patient.offsets("log.4")[1] + 40;
    patient.change("log.4", |bytes| bytes[at] ^= 1);
    patient.mends_with_loss(Kind::DamagedLog, Zxid(4));
}

#[test]
fn damage_before_the_newest_snapshot_costs_nothing() {
    let patient = Patient::with_two_logs();
    let at = patient.offsets("log.1")[1] + 40;
    patient.change("log.1", |bytes| bytes[at] ^= 1);
    patient.mends(Kind::DamagedOldLog);
    assert!(patient.disk.get(&file("aside.log.1")).is_some());

    // The same in the file that goes on behind the snapshot.
    let mut patient = Patient::new();
    patient.create(3);
    let disk = Arc::new(patient.disk.clone());
    let dir = folder().dirs.data;
    snapshot::write_tree(disk, &dir, &mut patient.tree, &SnapshotOptions::default()).unwrap();
    patient.create(3);
    let at = patient.offsets("log.1")[1] + 40;
    patient.change("log.1", |bytes| bytes[at] ^= 1);
    patient.mends(Kind::DamagedOldLog);
    assert!(patient.disk.get(&file("log.3")).is_some());
}

#[test]
fn a_damaged_header_is_written_again() {
    let patient = Patient::with_two_logs();
    patient.change("log.4", |bytes| bytes[0] = b'X');
    patient.mends(Kind::BadLogHeader);
}

#[test]
fn a_missing_log_is_a_hole() {
    let mut patient = Patient::with_two_logs();
    patient.log.roll();
    patient.create(2);
    patient.log.roll();
    patient.create(2);
    patient.disk.remove(&file("log.7")).unwrap();
    patient.mends_with_loss(Kind::LogHole, Zxid(6));
    assert!(patient.disk.get(&file("aside.log.9")).is_some());
}

#[test]
fn a_hole_between_the_snapshot_and_the_log_is_found() {
    let mut patient = Patient::with_two_logs();
    patient.log.roll();
    patient.create(2);
    patient.disk.remove(&file("log.4")).unwrap();
    patient.disk.remove(&file("log.1")).unwrap();
    patient.mends_with_loss(Kind::LogHole, Zxid(3));
}

#[test]
fn a_new_epoch_is_no_hole() {
    let mut patient = Patient::with_two_logs();
    patient.create_as(Zxid(0x2_0000_0001), 1);
    patient.log.sync().unwrap();
    assert!(patient.look(false).findings.is_empty());
}

#[test]
fn a_record_that_java_cannot_read_is_worth_a_note() {
    let mut patient = Patient::with_two_logs();
    patient.zxid = Zxid(7);
    patient.write(Txn::Check(CheckVersionTxn {
        path: Some("/z1".into()),
        version: 1,
    }));
    patient.log.sync().unwrap();
    let report = patient.look(false);
    assert_eq!(patient.kinds(), [Kind::JavaCannotRead]);
    assert!(report.healthy());
}

#[test]
fn a_bad_snapshot_that_the_logs_replace_is_set_aside() {
    for (damage, kind) in [
        (0, Kind::IncompleteSnapshot),
        (200, Kind::IncompleteSnapshot),
        (usize::MAX, Kind::BadSnapshot),
    ] {
        let patient = Patient::with_two_logs();
        patient.change("snapshot.3", |bytes| match damage {
            usize::MAX => bytes[100] ^= 1,
            len => bytes.truncate(len),
        });
        patient.mends(kind);
        assert!(patient.disk.get(&file("aside.snapshot.3")).is_some());
    }
}

#[test]
fn a_bad_snapshot_that_nothing_replaces_is_given_up_only_with_consent() {
    let patient = Patient::with_two_logs();
    patient.change("snapshot.3", |bytes| bytes[100] ^= 1);
    patient.disk.remove(&file("log.1")).unwrap();
    patient.disk.remove(&file("log.4")).unwrap();
    patient.mends_with_loss(Kind::BadSnapshot, Zxid(0));
}

#[test]
fn a_folder_with_nothing_but_a_bad_snapshot_is_beyond_help() {
    let patient = Patient::with_two_logs();
    for name in ["log.1", "log.4", "snapshot.0"] {
        patient.disk.remove(&file(name)).unwrap();
    }
    patient.change("snapshot.3", |bytes| bytes[100] ^= 1);
    let report = patient.look(true);
    assert_eq!(patient.kinds(), [Kind::BadSnapshot]);
    assert!(report.findings[0].fix.is_none());
    assert!(report.refusal_after.is_some());
}

#[test]
fn logs_from_the_first_write_on_need_no_snapshot() {
    let patient = Patient::with_two_logs();
    patient.disk.remove(&file("snapshot.0")).unwrap();
    patient.disk.remove(&file("snapshot.3")).unwrap();
    patient.mends(Kind::NoSnapshot);
    let patient = Patient::with_two_logs();
    for name in ["snapshot.0", "snapshot.3", "log.1"] {
        patient.disk.remove(&file(name)).unwrap();
    }
    let report = patient.look(false);
    assert_eq!(report.findings[0].kind, Kind::NoSnapshot);
    assert!(report.findings[0].fix.as_ref().unwrap().loses.is_some());
}

#[test]
fn a_folder_without_data_gets_a_note() {
    let patient = Patient::new();
    patient.disk.remove(&file("snapshot.0")).unwrap();
    assert_eq!(patient.kinds(), [Kind::NoData]);
    assert!(patient.look(false).healthy());
}

/// With the last transaction in epoch 2.
fn member(accepted: &str, current: &str) -> Patient {
    let mut patient = Patient::with_two_logs();
    patient.create_as(Zxid(0x2_0000_0001), 1);
    patient.log.sync().unwrap();
    patient.put("acceptedEpoch", accepted.as_bytes());
    patient.put("currentEpoch", current.as_bytes());
    patient
}

#[test]
fn epochs_are_made_to_agree_with_the_log() {
    assert!(member("2", "2").look(false).findings.is_empty());
    let patient = member("2", "1");
    patient.mends(Kind::CurrentEpochBehindLog);
    assert_eq!(patient.get("currentEpoch"), b"2");
    let patient = member("2", "3");
    patient.mends(Kind::AcceptedEpochBehindCurrent);
    assert_eq!(patient.get("acceptedEpoch"), b"3");
}

#[test]
fn epochs_that_may_hold_a_promise_are_written_only_with_consent() {
    let last = Zxid(0x2_0000_0001);
    member("1", "1").mends_with_loss(Kind::AcceptedEpochBehindLog, last);
    let patient = member("5", "two");
    patient.mends_with_loss(Kind::BadEpochFile, last);
    assert_eq!(patient.get("currentEpoch"), b"5");
    let patient = member("", "2");
    patient.mends_with_loss(Kind::BadEpochFile, last);
}

#[test]
fn a_missing_epoch_file_is_worth_a_note() {
    let patient = member("2", "2");
    patient.disk.remove(&file("currentEpoch")).unwrap();
    assert_eq!(patient.kinds(), [Kind::MissingEpochFile]);
    assert!(patient.look(false).healthy());
}

#[test]
fn an_acl_that_is_nowhere_becomes_one_that_permits_nothing() {
    let mut patient = Patient::new();
    patient.create(2);
    patient.snapshot();
    // The only line of the table gets another id.
    patient.change("snapshot.2", |bytes| {
        let table = 16 + 4 + 4;
        bytes[table + 7] = 99;
        let end = bytes.len();
        reseal(bytes, end);
    });
    assert_eq!(patient.kinds(), [Kind::DanglingAcl]);
    let after = patient.fix(false);
    assert_eq!(after.last, Some(Zxid(2)));
}

/// Puts right the checksums of a snapshot with both sections behind its body.
fn reseal(bytes: &mut [u8], end: usize) {
    for seal in [end - 54 - 13, end - 21 - 13, end - 13] {
        let sum = i64::from(simd_adler32::adler32(&&bytes[..seal]));
        bytes[seal..seal + 8].copy_from_slice(&sum.to_be_bytes());
    }
}

#[test]
fn a_tree_that_differs_from_its_digest_is_told_and_left_alone() {
    let mut patient = Patient::with_two_logs();
    // As if another server's log had been put in the place of this one's.
    patient.tree = Tree::new(TreeOptions::default());
    patient.create(1);
    assert_eq!(patient.kinds(), [Kind::DigestMismatch]);
    assert!(!patient.look(false).healthy());
}

#[test]
fn ephemerals_without_a_session_are_worth_a_note() {
    let mut patient = Patient::with_two_logs();
    patient.zxid = Zxid(7);
    let parent = patient.tree.find("/").unwrap();
    let parent_cversion = patient.tree.persisted(parent).cversion + 1;
    patient.write(Txn::Create2(CreateTxn {
        path: Some("/e".into()),
        data: Some(Bytes::new()),
        acl: None,
        ephemeral: true,
        parent_cversion,
    }));
    patient.log.sync().unwrap();
    assert_eq!(patient.kinds(), [Kind::OrphanEphemerals]);
    assert!(patient.look(false).healthy());
}

#[test]
fn any_flipped_byte_leaves_something_to_say_and_nothing_to_fear() {
    let patient = Patient::with_two_logs();
    for name in ["log.4", "snapshot.3", "log.1"] {
        let whole = patient.get(name);
        for at in (0..whole.len().min(600)).step_by(7) {
            patient.change(name, |bytes| bytes[at] ^= 0x20);
            let report = patient.look(true);
            assert_eq!(report.refusal_after, None, "{name} at {at}: {report:#?}");
            patient.put(name, &whole);
        }
    }
}

#[test]
fn names_of_findings_are_words() {
    assert_eq!(Kind::RecordsBehindTorn.name(), "records-behind-torn");
    assert_eq!(Kind::BadMyid.name(), "bad-myid");
}
