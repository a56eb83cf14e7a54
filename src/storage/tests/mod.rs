//! Tests of storage as a whole: Java's files, damage, crashes, and bugs that others had.

mod bugs;
mod chain;
mod crash;
mod cursor;
mod damage;
mod epochs;
mod forget;
mod golden;
mod install;
mod stream;
mod truncate;

use super::snapshot::{self, Compression, SnapshotOptions};
use super::txnlog::{LogOptions, LogWriter};
use super::*;
use crate::base::Zxid;
use crate::sim::disk::SimDisk;
use crate::tree::{Tree, TreeOptions};
use bytes::{Bytes, BytesMut};
use jute::data::{Acl, Id};
use jute::txn::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of `tests/golden/storage`.
fn golden(name: &str) -> Bytes {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/storage");
    std::fs::read(folder.join(name)).unwrap().into()
}

fn extended() -> TreeOptions {
    TreeOptions {
        extended_types: true,
        ..TreeOptions::default()
    }
}

fn dirs() -> Dirs {
    Dirs::new(Path::new("/d"), Path::new("/d"))
}

fn in_folder(name: &str) -> PathBuf {
    dirs().data.join(name)
}

fn options() -> RecoverOptions {
    RecoverOptions {
        tree: extended(),
        ..RecoverOptions::default()
    }
}

fn recover_sim(disk: &SimDisk) -> Result<Recovered, StorageError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    recover(&disk, &dirs(), &options())
}

fn small_logs() -> LogOptions {
    LogOptions {
        preallocate_bytes: 16 << 10,
        ..LogOptions::default()
    }
}

fn log_of(disk: &SimDisk) -> LogWriter {
    LogWriter::new(Arc::new(disk.clone()), dirs().log, small_logs())
}

/// Every znode with all that is kept of it, and the sessions.
fn picture(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec!["/".to_owned()];
    while let Some(path) = todo.pop() {
        let znode = tree.find(&path).unwrap();
        let (data, acl, stat) = (tree.data(znode), tree.acl(znode), tree.persisted(znode));
        lines.push(format!("{path} {data:?} {acl:?} {stat:?}"));
        let prefix = if path == "/" { "" } else { &path };
        todo.extend(tree.children(znode).map(|name| format!("{prefix}/{name}")));
    }
    lines.sort();
    lines.extend(tree.sessions().map(|session| format!("{session:?}")));
    lines.push(format!("{} {:#x}", tree.last_zxid(), tree.digest()));
    lines
}

fn anyone() -> Option<Vec<Acl>> {
    let id = Id {
        scheme: Some("world".into()),
        id: Some("anyone".into()),
    };
    Some(vec![Acl { perms: 31, id }])
}

/// A server in miniature: applies transactions, logs them, remembers what the tree was like after each.
struct Server {
    disk: SimDisk,
    tree: Tree,
    log: LogWriter,
    zxid: Zxid,
    history: BTreeMap<Zxid, u64>,
}

impl Server {
    /// On a new disk, or on one where the last server stopped.
    fn start(disk: &SimDisk) -> Result<Server, StorageError> {
        let recovered = recover_sim(disk)?;
        assert_eq!(recovered.digests.mismatched, 0, "{:?}", recovered.notes);
        Ok(Server {
            disk: disk.clone(),
            log: log_of(disk),
            zxid: recovered.last_zxid,
            tree: recovered.tree,
            history: BTreeMap::new(),
        })
    }

    fn write(&mut self, txn: Txn) {
        self.zxid = self.zxid.next().unwrap();
        self.write_as(self.zxid, txn);
    }

    fn write_as(&mut self, zxid: Zxid, txn: Txn) {
        let header = TxnHeader {
            client_id: 0x77,
            cxid: zxid.counter() as i32,
            zxid: zxid.0,
            time: 1_700_000_000_000 + zxid.0,
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
        self.log.append(zxid, &payload);
        self.history.insert(zxid, self.tree.digest());
    }

    fn create(&mut self, path: &str, data: &[u8]) {
        let parent = self
            .tree
            .find(crate::base::path::parent(path).unwrap())
            .unwrap();
        let parent_cversion = self.tree.persisted(parent).cversion + 1;
        self.write(Txn::Create2(CreateTxn {
            path: Some(path.into()),
            data: Some(Bytes::copy_from_slice(data)),
            acl: anyone(),
            ephemeral: false,
            parent_cversion,
        }));
    }

    fn set(&mut self, path: &str, data: &[u8]) {
        let version = self.tree.persisted(self.tree.find(path).unwrap()).version + 1;
        let data = Some(Bytes::copy_from_slice(data));
        self.write(Txn::SetData(SetDataTxn {
            path: Some(path.into()),
            data,
            version,
        }));
    }

    fn sync(&mut self) {
        self.log.sync().unwrap();
    }

    fn snapshot(&mut self) -> Result<(), StorageError> {
        self.log.roll();
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let written = snapshot::write_tree(
            disk,
            &dirs().data,
            &mut self.tree,
            &SnapshotOptions::default(),
        )?;
        assert_eq!(written.map(|written| written.zxid), Some(self.zxid));
        Ok(())
    }
}

/// A disk with a log of `records` creates on which the server stopped.
fn disk_with_log(records: usize) -> SimDisk {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for n in 0..records {
        server.create(&format!("/z{n}"), format!("data of {n}").as_bytes());
    }
    server.sync();
    disk
}
