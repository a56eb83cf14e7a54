//! Backups of data folders: what they add, when they begin anew, and what they do with odd ends.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jute::data::{Acl, Id};
use jute::txn::*;

use super::error::BackupError;
use super::manifest::Manifest;
use super::run::{Report, from_data_dir};
use super::verify::verify;
use crate::base::Zxid;
use crate::storage::snapshot::{SnapshotOptions, write_tree};
use crate::storage::txnlog::{LogOptions, LogWriter};
use crate::storage::{self, Dirs, Disk, OsDisk, RecoverOptions};
use crate::tree::Tree;

/// A server in miniature on real files: it writes, and remembers the digest after each transaction.
pub struct Server {
    pub dirs: Dirs,
    pub tree: Tree,
    pub log: LogWriter,
    pub zxid: Zxid,
    pub digests: BTreeMap<Zxid, u64>,
}

/// Time in the header of a transaction, ms since 1970.
pub fn time_at(zxid: Zxid) -> i64 {
    1_700_000_000_000 + zxid.0
}

impl Server {
    pub fn start(home: &Path) -> Server {
        let dirs = Dirs::new(home, home);
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let recovered = storage::recover(&disk, &dirs, &RecoverOptions::default()).unwrap();
        assert_eq!(recovered.digests.mismatched, 0);
        let options = LogOptions {
            preallocate_bytes: 16 << 10,
            force_sync: false,
            size_limit_bytes: None,
        };
        Server {
            log: LogWriter::new(disk, dirs.log.clone(), options),
            zxid: recovered.last_zxid,
            digests: BTreeMap::from([(recovered.last_zxid, recovered.tree.digest())]),
            tree: recovered.tree,
            dirs,
        }
    }

    pub fn write(&mut self, path: &str) {
        let parent = self
            .tree
            .find(crate::base::path::parent(path).unwrap())
            .unwrap();
        let parent_cversion = self.tree.persisted(parent).cversion + 1;
        let id = Id {
            scheme: Some("world".into()),
            id: Some("anyone".into()),
        };
        self.zxid = self.zxid.next().unwrap();
        let txn = Txn::Create2(CreateTxn {
            path: Some(path.into()),
            data: Some(Bytes::copy_from_slice(path.as_bytes())),
            acl: Some(vec![Acl { perms: 31, id }]),
            ephemeral: false,
            parent_cversion,
        });
        let header = TxnHeader {
            client_id: 0x77,
            cxid: 1,
            zxid: self.zxid.0,
            time: time_at(self.zxid),
            kind: txn.op().into(),
        };
        self.tree.apply(&header, &txn, &mut Vec::new());
        let digest = Some(TxnDigest {
            version: 2,
            tree_digest: self.tree.digest() as i64,
        });
        let mut payload = BytesMut::new();
        LoggedTxn {
            header,
            txn,
            digest,
        }
        .write(&mut payload);
        self.log.append(self.zxid, &payload);
        self.digests.insert(self.zxid, self.tree.digest());
    }

    /// Writes so many and syncs.
    pub fn write_some(&mut self, prefix: &str, count: usize) {
        for n in 0..count {
            self.write(&format!("/{prefix}{n}"));
        }
        self.log.sync().unwrap();
    }

    pub fn snapshot(&mut self) {
        self.log.roll();
        write_tree(
            Arc::new(OsDisk),
            &self.dirs.data,
            &mut self.tree,
            &SnapshotOptions::default(),
        )
        .unwrap();
    }

    fn backup(&self, folder: &Path) -> Report {
        from_data_dir(folder, &self.dirs, false).unwrap()
    }
}

fn chains(folder: &Path) -> usize {
    Manifest::read(folder).unwrap().unwrap().chains.len()
}

#[test]
fn each_run_adds_only_what_is_new() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(home.path());
    server.write_some("a", 10);
    let first = server.backup(backup.path());
    assert_eq!((first.records, first.upto), (10, Zxid(10)));
    assert!(first.begun.is_some());
    let nothing = server.backup(backup.path());
    assert_eq!(
        (nothing.records, nothing.bytes, nothing.begun),
        (0, 0, None)
    );
    server.write_some("b", 5);
    server.snapshot();
    server.write_some("c", 5);
    let second = server.backup(backup.path());
    assert_eq!((second.records, second.upto), (10, Zxid(20)));
    assert_eq!(chains(backup.path()), 1);
    assert_eq!(verify(backup.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_purged_log_begins_another_chain() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(home.path());
    server.write_some("a", 5);
    server.backup(backup.path());
    server.write_some("b", 5);
    server.snapshot();
    server.write_some("c", 5);
    fs::remove_file(server.dirs.log.join("log.1")).unwrap();
    let report = server.backup(backup.path());
    assert!(report.begun.unwrap().1.contains("does not hold"));
    assert_eq!((report.records, chains(backup.path())), (5, 2));
    server.write_some("d", 5);
    assert_eq!(server.backup(backup.path()).records, 5);
    assert_eq!(verify(backup.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn another_history_of_the_same_length_begins_another_chain() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(home.path());
    server.write_some("a", 5);
    server.backup(backup.path());
    let other = tempfile::tempdir().unwrap();
    let mut other = Server::start(other.path());
    other.write_some("b", 8);
    let report = other.backup(backup.path());
    assert!(report.begun.unwrap().1.contains("another one"));
    other.write_some("c", 1);
    assert_eq!(other.backup(backup.path()).records, 1);
}

#[test]
fn a_server_that_went_back_begins_another_chain() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(home.path());
    server.write_some("a", 9);
    server.backup(backup.path());
    drop(server);
    storage::txnlog::truncate(&OsDisk, &Dirs::new(home.path(), home.path()).log, Zxid(5)).unwrap();
    let server = Server::start(home.path());
    let report = server.backup(backup.path());
    assert!(report.begun.unwrap().1.contains("ends at 0x5"));
    assert_eq!(report.upto, Zxid(5));
}

#[test]
fn a_torn_end_is_left_out_and_comes_later() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(home.path());
    server.write_some("a", 5);
    let log = server.dirs.log.join("log.1");
    let whole = fs::read(&log).unwrap();
    let end = whole.iter().rposition(|byte| *byte == b'B').unwrap();
    fs::write(&log, &whole[..end - 3]).unwrap();
    assert_eq!(server.backup(backup.path()).upto, Zxid(4));
    fs::write(&log, &whole).unwrap();
    let report = server.backup(backup.path());
    assert_eq!(
        (report.records, report.upto, report.begun),
        (1, Zxid(5), None)
    );
}

#[test]
fn a_damaged_log_is_refused_and_the_backup_stays_as_it_was() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(home.path());
    server.write_some("a", 5);
    server.backup(backup.path());
    server.write_some("b", 5);
    let log = server.dirs.log.join("log.1");
    let mut bytes = fs::read(&log).unwrap();
    let end = bytes.iter().rposition(|byte| *byte == b'B').unwrap();
    bytes[end - 40] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let before = Manifest::read(backup.path()).unwrap();
    let refused = from_data_dir(backup.path(), &server.dirs, false);
    assert!(
        matches!(refused, Err(BackupError::Storage(_))),
        "{refused:?}"
    );
    assert_eq!(Manifest::read(backup.path()).unwrap(), before);
    assert_eq!(verify(backup.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn every_flipped_byte_is_found() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(home.path());
    server.write_some("a", 3);
    server.backup(backup.path());
    for name in ["snapshot.0", "log.1"] {
        let path = backup.path().join("1/version-2").join(name);
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(17) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            fs::write(&path, &bytes).unwrap();
            assert!(!verify(backup.path()).unwrap().is_empty(), "{name} at {at}");
        }
        fs::write(&path, &whole).unwrap();
    }
    fs::remove_file(backup.path().join("1/version-2/log.1")).unwrap();
    assert_eq!(verify(backup.path()).unwrap().len(), 1);
}

#[test]
fn a_folder_with_other_things_is_left_alone() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(home.path());
    fs::write(backup.path().join("photo.jpg"), "x").unwrap();
    let refused = from_data_dir(backup.path(), &server.dirs, false);
    assert!(matches!(refused, Err(BackupError::NoBackupFolder { .. })));
    // Nor is a server's own folder taken for one.
    let refused = from_data_dir(home.path(), &server.dirs, false);
    assert!(matches!(refused, Err(BackupError::NoBackupFolder { .. })));
}

#[test]
fn what_a_killed_run_left_is_removed() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(home.path());
    server.write_some("a", 3);
    server.backup(backup.path());
    let files = backup.path().join("1/version-2");
    fs::write(files.join("log.4"), "half").unwrap();
    fs::write(files.join("log.5.tmp"), "half").unwrap();
    fs::create_dir_all(backup.path().join("2/version-2")).unwrap();
    fs::write(backup.path().join("manifest.json.tmp"), "half").unwrap();
    server.write_some("b", 2);
    assert_eq!(server.backup(backup.path()).records, 2);
    assert!(!files.join("log.5.tmp").exists() && !backup.path().join("2").exists());
    assert_eq!(verify(backup.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_replaced_history_begins_another_chain() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(home.path());
    server.write_some("a", 5);
    server.backup(backup.path());
    let mut received = Tree::new(crate::tree::TreeOptions::default());
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    server.log.close();
    let options = SnapshotOptions::default();
    storage::install::install(&disk, &server.dirs, &mut received, Zxid(5), &options).unwrap();
    let report = server.backup(backup.path());
    assert!(report.begun.unwrap().1.contains("replaced"));
    assert_eq!(server.backup(backup.path()).begun, None);
}
