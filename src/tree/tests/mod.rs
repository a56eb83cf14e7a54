//! The tree against tables, against a slow twin, and against what Java wrote.

mod effects;
mod frozen;
mod fuzzy;
mod history;
mod java;
mod quotas;
mod twin;

use super::acls::world;
use super::*;
use jute::txn::*;

/// A header for a transaction of `session`, at a time that follows from its zxid.
fn header(session: i64, zxid: i64, txn: &Txn) -> TxnHeader {
    TxnHeader {
        client_id: session,
        cxid: 1,
        zxid,
        time: 1_000_000 + zxid * 10,
        kind: txn.op().into(),
    }
}

fn create(path: &str, data: &str) -> CreateTxn {
    CreateTxn {
        path: Some(path.into()),
        data: Some(data.as_bytes().to_vec().into()),
        acl: Some(vec![world(31)]),
        ephemeral: false,
        parent_cversion: -1,
    }
}

fn ephemeral(path: &str) -> Txn {
    Txn::Create(CreateTxn {
        ephemeral: true,
        ..create(path, "")
    })
}

fn delete(path: &str) -> Txn {
    Txn::Delete(DeleteTxn {
        path: Some(path.into()),
    })
}

fn set_data(path: &str, data: &str, version: i32) -> Txn {
    Txn::SetData(SetDataTxn {
        path: Some(path.into()),
        data: Some(data.as_bytes().to_vec().into()),
        version,
    })
}

fn set_acl(path: &str, perms: i32, version: i32) -> Txn {
    Txn::SetAcl(SetAclTxn {
        path: Some(path.into()),
        acl: Some(vec![world(perms)]),
        version,
    })
}

fn close(paths: Option<&[&str]>) -> Txn {
    Txn::CloseSession(paths.map(|paths| CloseSessionTxn {
        paths: Some(paths.iter().map(|&path| path.into()).collect()),
    }))
}

/// Applies transactions one after the other and keeps what comes out.
struct Applier {
    tree: Tree,
    zxid: i64,
    changes: Vec<Change>,
}

impl Applier {
    fn new() -> Applier {
        Applier {
            tree: Tree::new(TreeOptions::default()),
            zxid: 0,
            changes: Vec::new(),
        }
    }

    fn apply_for(&mut self, session: i64, txn: Txn) -> Applied {
        self.zxid += 1;
        let header = header(session, self.zxid, &txn);
        self.tree.apply(&header, &txn, &mut self.changes)
    }

    fn one(&mut self, txn: Txn) -> Outcome {
        match self.apply_for(7, txn) {
            Applied::One(outcome) => outcome,
            Applied::Multi(_) => panic!("not a multi"),
        }
    }

    /// What changed since the last call, as `+` created, `-` deleted, `=` data set.
    fn heard(&mut self) -> Vec<String> {
        let mark = |kind| match kind {
            ChangeKind::Created => '+',
            ChangeKind::Deleted => '-',
            ChangeKind::DataChanged => '=',
        };
        self.changes
            .drain(..)
            .map(|change| format!("{}{}", mark(change.kind), change.path))
            .collect()
    }

    fn at(&self, path: &str) -> Znode {
        self.tree
            .find(path)
            .unwrap_or_else(|| panic!("no znode {path}"))
    }

    fn text(&self, path: &str) -> &str {
        str::from_utf8(self.tree.data(self.at(path)).unwrap()).unwrap()
    }
}
