//! An operator sends a snapshot to a server while the ensemble runs: one of its own, or one of another ensemble whose
//! epochs are later. To the leader, as the documentation says, or to another one, which has to refuse.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jute::data::{Acl, Id};
use jute::txn::{CreateTxn, Txn, TxnHeader};
use rand::Rng;

use super::World;
use super::check::holds;
use super::disk::SimDisk;
use super::machine::{snapshot_options, tree_options};
use super::requests::FOLDERS;
use crate::base::{Epoch, ServerId, Zxid};
use crate::replica::{DiskOp, Input, RestoreRefused};
use crate::storage::snapshot::{self, Compression};
use crate::storage::{Dirs, Disk, names};
use crate::tree::Tree;

/// A restore that a server was asked for.
pub(super) struct Restore {
    /// The snapshot.
    sent: Bytes,
    /// Where the server wants to put it.
    at: Option<Zxid>,
}

impl World {
    /// Sends a snapshot to `server`.
    pub(super) fn restore(&mut self, server: ServerId) {
        let sent = match self.rng.random_bool(0.3) {
            true => self.foreign_snapshot(),
            false => self.own_snapshot(),
        };
        let tree = sent.as_ref().and_then(load);
        let (Some(sent), Some(tree)) = (sent, tree) else {
            return;
        };
        let Some(boot) = self.running(server).map(|process| process.boot) else {
            return;
        };
        if self.restores.contains_key(&server) {
            return;
        }
        self.seen.count("fault: restore");
        self.note(|| {
            format!(
                "server {server} is sent {tree:?}, which reaches to {}",
                tree.reach()
            )
        });
        self.restores.insert(server, Restore { sent, at: None });
        let tree = Box::new(tree);
        self.put_in(server, boot, Input::Restore { tree });
    }

    /// A snapshot that some server has.
    fn own_snapshot(&mut self) -> Option<Bytes> {
        let mut files = Vec::new();
        for machine in self.servers.values() {
            let disk = machine.disk();
            let found = names::sorted(disk.as_ref(), &machine.dirs.data, names::parse_snapshot);
            files.extend(
                found
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(_, path)| (machine, path)),
            );
        }
        let nth = self.rng.random_range(0..files.len().max(1));
        let (machine, path) = files.get(nth)?;
        machine.disk.get(path).map(Bytes::from)
    }

    /// A snapshot of an ensemble that has seen more elections.
    fn foreign_snapshot(&mut self) -> Option<Bytes> {
        let epoch = self.checks.order.last().epoch().0 + self.rng.random_range(1..6);
        let marker = Zxid::first_of(Epoch(epoch));
        let mut tree = Tree::new(tree_options());
        for (nth, folder) in FOLDERS.iter().enumerate() {
            let txn = Txn::Create(CreateTxn {
                path: Some((*folder).into()),
                data: Some(Bytes::from_static(b"foreign")),
                acl: vec![anyone()].into(),
                ephemeral: false,
                parent_cversion: -1,
            });
            let header = TxnHeader {
                zxid: marker.0 + 1 + nth as i64,
                kind: txn.op().into(),
                ..TxnHeader::default()
            };
            tree.apply(&header, &txn, &mut Vec::new());
        }
        let (disk, dirs) = (SimDisk::new(0), Dirs::new(Path::new("/f"), Path::new("/f")));
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        dirs.prepare(&disk, true).ok()?;
        let options = snapshot_options();
        let written = snapshot::write_tree(shared, &dirs.data, &mut tree, &options).ok()??;
        disk.get(&written.path).map(Bytes::from)
    }

    /// A server asks its disk for something: of a leader's database it is what was sent, and the order has it.
    pub(super) fn disk_is_asked(&mut self, server: ServerId, op: &DiskOp) {
        let sent = self.running(server);
        if sent.is_some_and(|process| process.replica.stores_what_was_sent())
            && let DiskOp::InstallSnapshot { zxid, .. } = op
            && let Some(restore) = self.restores.get_mut(&server)
        {
            restore.at = Some(*zxid);
            let held = self.checks.order.sent(server, *zxid, &restore.sent);
            self.checks.note(held);
            self.note(|| format!("server {server} stores what it was sent at {zxid}"));
        }
        self.checks.asked(server, op);
    }

    /// The operator is answered.
    pub(super) fn was_restored(&mut self, server: ServerId, outcome: Result<(), RestoreRefused>) {
        let restore = self.restores.remove(&server);
        self.note(|| format!("server {server} was sent a database: {outcome:?}"));
        self.seen.count(match outcome {
            Ok(()) => "restored",
            Err(RestoreRefused::NotLeading(_)) => "restore refused by a learner",
            Err(RestoreRefused::Lost) => "restore lost to another leader",
            Err(RestoreRefused::NoLeader) => "restore refused without a leader",
            Err(RestoreRefused::Undecided) => "restore undecided",
            Err(_) => "restore refused for another reason",
        });
        if outcome.is_ok() {
            let at = restore.and_then(|restore| restore.at);
            let agreed = at.is_some_and(|at| self.checks.order.at(at).is_some());
            let held = holds(agreed, "nothing acknowledged is lost", || {
                format!("server {server} answers that {at:?} was restored, and nobody agreed on it")
            });
            self.checks.note(held);
        }
    }
}

/// What a server makes of bytes that were sent.
pub(super) fn load(sent: &Bytes) -> Option<Tree> {
    let none = Compression::None;
    let loaded = snapshot::check(sent.clone(), none, Zxid::ZERO, tree_options()).ok()?;
    let zxid = loaded.last_zxid.unwrap_or_default();
    let mut tree = loaded.tree;
    tree.set_last_zxid(zxid);
    tree.take_journal();
    Some(tree)
}

fn anyone() -> Acl {
    Acl {
        perms: 31,
        id: Id {
            scheme: Some("world".into()),
            id: Some("anyone".into()),
        },
    }
}
