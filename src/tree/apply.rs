//! Transactions to effects: one match over every type.

use super::payload::Edit;
use super::slot::NONE;
use super::{AclList, Applied, CONTAINER, Change, ChangeKind, Outcome, Tree, Znode, ttl_owner};
use crate::base::flaw::Flaw;
use crate::base::{SessionId, Zxid, path};
use jute::data::{Acl, Stat, StatPersisted};
use jute::txn::{CloseSessionTxn, CreateTxn, SetAclTxn, SetDataTxn, Txn, TxnHeader};
use jute::{Buffer, ErrorCode, Op, Str};

/// Who is told of changes.
pub(super) enum Heard<'a> {
    /// The watches, later.
    By(&'a mut Vec<Change>),
    /// During recovery there are no watches.
    Nobody,
}

impl Heard<'_> {
    fn of(&mut self, change: impl FnOnce() -> Change) {
        if let Heard::By(changes) = self {
            changes.push(change());
        }
    }
}

/// What a create makes, whatever its type.
struct NewZnode<'a> {
    path: &'a Option<Str>,
    data: &'a Buffer,
    acl: &'a Option<Vec<Acl>>,
    owner: i64,
    parent_cversion: i32,
}

/// What an op gives where it works.
#[derive(Default)]
struct Done {
    path: Option<Str>,
    stat: Option<Stat>,
}

/// `DataTree.DIGEST_LOG_INTERVAL`, in zxids.
const NOTED_EVERY: i64 = 128;
/// `DataTree.DIGEST_LOG_LIMIT`.
const NOTED_AT_MOST: usize = 1024;

impl Tree {
    /// Takes the positions of what was applied since the last call, each with the digest after it.
    #[cfg(any(test, feature = "sim"))]
    pub fn take_journal(&mut self) -> Vec<(Zxid, u64)> {
        std::mem::take(&mut self.journal)
    }

    /// Applies a committed transaction and appends what watches must hear, in Java's order.
    ///
    /// Whoever ordered it judged it, so that an error here other than that of an error transaction
    /// means that this tree and the orderer's differ; the tree stays whole then, too.
    /// Source: `DataTree.processTxn`.
    pub fn apply(&mut self, header: &TxnHeader, txn: &Txn, changes: &mut Vec<Change>) -> Applied {
        let applied = self.process(header, txn, &mut Heard::By(changes));
        self.note_digest(Zxid(header.zxid));
        applied
    }

    /// Keeps the digest of every 128th transaction, so that servers can be compared. Not those of a replay: over a
    /// snapshot that was written while the tree changed they mean nothing.
    /// Source: `DataTree.logZxidDigest`.
    fn note_digest(&mut self, zxid: Zxid) {
        if zxid.0 % NOTED_EVERY != 0 {
            return;
        }
        if self.noted.len() == NOTED_AT_MOST {
            self.noted.pop_front();
        }
        self.noted.push_back((zxid, self.digest));
    }

    pub(super) fn process(
        &mut self,
        header: &TxnHeader,
        txn: &Txn,
        heard: &mut Heard<'_>,
    ) -> Applied {
        self.end_abandoned_view();
        let applied = match txn {
            #[cfg(any(test, feature = "sim"))]
            Txn::Multi(txns)
                if Flaw::PositionAmidMulti.is_made()
                    && matches!(heard, Heard::Nobody)
                    && self.journal.is_empty() =>
            {
                // As if the snapshot below had been taken behind its first part, and were named after it.
                Applied::Multi(self.multi(header, &txns[..txns.len().min(1)], heard))
            }
            Txn::Multi(txns) => Applied::Multi(self.multi(header, txns, heard)),
            txn => Applied::One(self.one(header, txn, heard)),
        };
        self.last_zxid = self.last_zxid.max(Zxid(header.zxid));
        #[cfg(any(test, feature = "sim"))]
        self.journal.push((Zxid(header.zxid), self.digest));
        applied
    }

    fn multi(&mut self, header: &TxnHeader, txns: &[Txn], heard: &mut Heard<'_>) -> Vec<Outcome> {
        let is_error = |txn: &Txn| matches!(txn, Txn::Error(_));
        let Some(failed) = txns.iter().position(is_error) else {
            return txns
                .iter()
                .map(|txn| self.one(header, txn, heard))
                .collect();
        };
        let outcome = |(nth, txn): (usize, &Txn)| Outcome {
            err: match txn {
                Txn::Error(error) => ErrorCode(error.err),
                _ if nth < failed => ErrorCode::OK,
                _ => ErrorCode::RUNTIME_INCONSISTENCY,
            },
            op: Op::Error,
            path: None,
            stat: None,
        };
        txns.iter().enumerate().map(outcome).collect()
    }

    fn one(&mut self, header: &TxnHeader, txn: &Txn, heard: &mut Heard<'_>) -> Outcome {
        let op = txn.op();
        match self.effects(header, txn, heard) {
            Ok(Done { path, stat }) => Outcome {
                err: ErrorCode::OK,
                op,
                path,
                stat,
            },
            Err(err) => Outcome {
                err,
                op,
                path: path_of(txn).cloned(),
                stat: None,
            },
        }
    }

    fn effects(
        &mut self,
        header: &TxnHeader,
        txn: &Txn,
        heard: &mut Heard<'_>,
    ) -> Result<Done, ErrorCode> {
        let path = path_of(txn).cloned();
        let stat = match txn {
            Txn::Create(create) => {
                self.create(header, plain(header, create), heard)?;
                None
            }
            Txn::Create2(create) => Some(self.create(header, plain(header, create), heard)?),
            Txn::CreateContainer(create) => {
                let znode = NewZnode {
                    path: &create.path,
                    data: &create.data,
                    acl: &create.acl,
                    owner: CONTAINER,
                    parent_cversion: create.parent_cversion,
                };
                Some(self.create(header, znode, heard)?)
            }
            Txn::CreateTtl(create) => {
                // Java dies of a time to live that does not fit, so no tree contains what this
                // would make.
                let znode = NewZnode {
                    path: &create.path,
                    data: &create.data,
                    acl: &create.acl,
                    owner: ttl_owner(create.ttl).ok_or(ErrorCode::BAD_ARGUMENTS)?,
                    parent_cversion: create.parent_cversion,
                };
                Some(self.create(header, znode, heard)?)
            }
            Txn::Delete(delete) | Txn::DeleteContainer(delete) => {
                let path = delete.path.as_ref().ok_or(ErrorCode::NO_NODE)?;
                self.delete(path, header.zxid, heard)?;
                None
            }
            Txn::SetData(set) | Txn::Reconfig(set) => Some(self.set_data(header, set, heard)?),
            Txn::SetAcl(set) => Some(self.set_acl(set)?),
            Txn::CreateSession(create) => {
                self.sessions.insert(header.client_id, create.timeout);
                None
            }
            Txn::CloseSession(close) => {
                self.close_session(header, close.as_ref(), heard);
                None
            }
            Txn::Error(error) => return Err(ErrorCode(error.err)),
            // Judged when it was ordered. A multi cannot contain a multi.
            Txn::Check(_) | Txn::Multi(_) => None,
        };
        Ok(Done { path, stat })
    }

    /// Source: `DataTree.createNode`.
    fn create(
        &mut self,
        header: &TxnHeader,
        znode: NewZnode<'_>,
        heard: &mut Heard<'_>,
    ) -> Result<Stat, ErrorCode> {
        let path = znode.path.as_ref().ok_or(ErrorCode::NO_NODE)?;
        let above = path::parent(path).ok_or(ErrorCode::NO_NODE)?;
        let name = path::name(path);
        let exists = self.locate(path);
        // "/" is the only name of the root with a slash, and "//a" is not below it.
        let parent = self
            .locate(above)
            .filter(|_| above != "/")
            .ok_or(ErrorCode::NO_NODE)?;
        if let Some(at) = exists {
            self.create_again(at, &znode);
            self.child_created(parent, above, znode.parent_cversion, header.zxid);
            return Err(ErrorCode::NODE_EXISTS);
        }
        if name.is_empty() {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        self.child_created(parent, above, znode.parent_cversion, header.zxid);
        let acl = self.acls.intern(znode.acl.as_deref());
        let stat = StatPersisted {
            czxid: header.zxid,
            mzxid: header.zxid,
            pzxid: header.zxid,
            ctime: header.time,
            mtime: header.time,
            ephemeral_owner: znode.owner,
            ..StatPersisted::default()
        };
        let data = znode.data.as_deref();
        let at = self.attach(parent, path, name, data, acl, &stat);
        let visible = self.visible(at);
        self.quota_created(path, data.map_or(0, <[u8]>::len) as i64);
        heard.of(|| Change {
            kind: ChangeKind::Created,
            path: path.clone(),
            acl: self.acl_of(at),
            parent_acl: self.acl_of(parent),
        });
        Ok(visible)
    }

    /// What a snapshot contains already is brought to the transaction's ACL: the file may hold an
    /// id that came after its table.
    fn create_again(&mut self, at: u32, znode: &NewZnode<'_>) {
        self.save(at);
        let acl = self.acls.intern(znode.acl.as_deref());
        let before = std::mem::replace(&mut self.slab.get_mut(at).acl, acl);
        self.acls.release(before);
    }

    /// Counts a creation below `at`, unless it is counted already.
    /// Source: `DataTree.createNode`, `DataTree.setCversionPzxid`.
    fn child_created(&mut self, at: u32, path: &str, cversion: i32, zxid: i64) {
        let current = self.slab.family(at).cversion;
        let cversion = match cversion {
            -1 => current.wrapping_add(1),
            other => other,
        };
        if cversion > current {
            self.update_family(at, path, |family| {
                family.cversion = cversion;
                family.pzxid = zxid;
            });
        }
    }

    /// Source: `DataTree.deleteNode`.
    fn delete(&mut self, path: &Str, zxid: i64, heard: &mut Heard<'_>) -> Result<(), ErrorCode> {
        let above = path::parent(path).ok_or(ErrorCode::NO_NODE)?;
        let parent = self
            .locate(above)
            .filter(|_| above != "/")
            .ok_or(ErrorCode::NO_NODE)?;
        if matches!(path.as_str(), "" | "/") {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        if zxid > self.slab.family(parent).pzxid {
            self.update_family(parent, above, |family| family.pzxid = zxid);
        }
        let at = self
            .child(parent, path::name(path))
            .ok_or(ErrorCode::NO_NODE)?;
        self.delete_below(at, heard);
        self.delete_one(at, path, heard);
        Ok(())
    }

    /// Deletes what is still below a znode that goes away: children of a later znode of the same
    /// path, which a fuzzy snapshot caught and the log is about to create. Java leaves them
    /// unreachable.
    fn delete_below(&mut self, top: u32, heard: &mut Heard<'_>) {
        while self.slab.family(top).first_child != NONE {
            let mut at = top;
            while self.slab.family(at).first_child != NONE {
                at = self.slab.family(at).first_child;
            }
            let path = Str::from(self.path_of(Znode(at)));
            self.delete_one(at, &path, heard);
        }
    }

    fn delete_one(&mut self, at: u32, path: &Str, heard: &mut Heard<'_>) {
        let slot = self.slab.get(at);
        let (parent, bytes) = (slot.parent, slot.data_len() as i64);
        heard.of(|| Change {
            kind: ChangeKind::Deleted,
            path: path.clone(),
            acl: self.acl_of(at),
            parent_acl: self.acl_of(parent),
        });
        self.detach(at, path);
        self.quota_deleted(path, bytes);
    }

    /// Source: `DataTree.setData`.
    fn set_data(
        &mut self,
        header: &TxnHeader,
        set: &SetDataTxn,
        heard: &mut Heard<'_>,
    ) -> Result<Stat, ErrorCode> {
        let path = set.path.as_ref().ok_or(ErrorCode::NO_NODE)?;
        let at = self.locate(path).ok_or(ErrorCode::NO_NODE)?;
        let before = self.slab.get(at).data_len() as i64;
        let edit = Edit {
            mzxid: header.zxid,
            mtime: header.time,
            version: set.version,
        };
        self.replace_data(at, path, set.data.as_deref(), Some(edit));
        let visible = self.visible(at);
        let after = self.slab.get(at).data_len() as i64;
        self.quota_moved(path, 0, after - before);
        heard.of(|| Change {
            kind: ChangeKind::DataChanged,
            path: path.clone(),
            acl: self.acl_of(at),
            parent_acl: self.acl_of(at),
        });
        Ok(visible)
    }

    /// Source: `DataTree.setACL`.
    fn set_acl(&mut self, set: &SetAclTxn) -> Result<Stat, ErrorCode> {
        let path = set.path.as_ref().ok_or(ErrorCode::NO_NODE)?;
        let at = self.locate(path).ok_or(ErrorCode::NO_NODE)?;
        self.update(at, path, |slot| slot.aversion = set.version);
        // Released first, as in Java: a list that only this znode has comes back under a new id.
        self.acls.release(self.slab.get(at).acl);
        let acl = self.acls.intern(set.acl.as_deref());
        self.slab.get_mut(at).acl = acl;
        Ok(self.visible(at))
    }

    /// Deletes what the transaction lists, then whatever else the session owns.
    /// Source: `DataTree.killSession`.
    fn close_session(
        &mut self,
        header: &TxnHeader,
        close: Option<&CloseSessionTxn>,
        heard: &mut Heard<'_>,
    ) {
        let session = SessionId(header.client_id);
        let listed = close
            .and_then(|close| close.paths.as_deref())
            .unwrap_or_default();
        let keeps_pzxid = Flaw::ReplayedEndsKeepPzxid.is_made() && matches!(heard, Heard::Nobody);
        let zxid = if keeps_pzxid { 0 } else { header.zxid };
        for path in listed {
            // Gone already where a snapshot caught the deletion.
            let _ = self.delete(path, zxid, heard);
        }
        let others: Vec<u32> = self.owners.of(session).collect();
        for at in others {
            let path = Str::from(self.path_of(Znode(at)));
            let _ = self.delete(&path, zxid, heard);
        }
        self.sessions.remove(&session.0);
    }

    fn acl_of(&self, at: u32) -> AclList {
        self.acls.list(self.slab.get(at).acl).clone()
    }
}

fn plain<'a>(header: &TxnHeader, create: &'a CreateTxn) -> NewZnode<'a> {
    NewZnode {
        path: &create.path,
        data: &create.data,
        acl: &create.acl,
        owner: if create.ephemeral {
            header.client_id
        } else {
            0
        },
        parent_cversion: create.parent_cversion,
    }
}

/// The znode a transaction is about.
fn path_of(txn: &Txn) -> Option<&Str> {
    match txn {
        Txn::Create(create) | Txn::Create2(create) => create.path.as_ref(),
        Txn::CreateContainer(create) => create.path.as_ref(),
        Txn::CreateTtl(create) => create.path.as_ref(),
        Txn::Delete(delete) | Txn::DeleteContainer(delete) => delete.path.as_ref(),
        Txn::SetData(set) | Txn::Reconfig(set) => set.path.as_ref(),
        Txn::SetAcl(set) => set.path.as_ref(),
        Txn::Check(check) => check.path.as_ref(),
        Txn::CreateSession(_) | Txn::CloseSession(_) | Txn::Error(_) | Txn::Multi(_) => None,
    }
}
