//! create, create2, createContainer, createTTL.

use super::pending::{Record, key};
use super::{Case, quota};
use crate::auth::perms;
use crate::base::path;
use crate::tree::{self, AclList, Kind, digest};
use jute::data::{Acl, StatPersisted};
use jute::proto::{CreateRequest, CreateTtlRequest};
use jute::txn::{CreateContainerTxn, CreateTtlTxn, CreateTxn, Txn};
use jute::{Buffer, ErrorCode, Op, Str};

/// What the four requests say.
pub(super) struct Wanted<'a> {
    op: Op,
    path: Option<&'a Str>,
    data: &'a Buffer,
    acl: Option<&'a [Acl]>,
    flags: i32,
    /// ms; -1 where the request has none.
    ttl: i64,
}

impl<'a> From<(Op, &'a CreateRequest)> for Wanted<'a> {
    fn from((op, request): (Op, &'a CreateRequest)) -> Self {
        Wanted {
            op,
            path: request.path.as_ref(),
            data: &request.data,
            acl: request.acl.as_deref(),
            flags: request.flags,
            ttl: -1,
        }
    }
}

impl<'a> From<&'a CreateTtlRequest> for Wanted<'a> {
    fn from(request: &'a CreateTtlRequest) -> Self {
        Wanted {
            op: Op::CreateTtl,
            path: request.path.as_ref(),
            data: &request.data,
            acl: request.acl.as_deref(),
            flags: request.flags,
            ttl: request.ttl,
        }
    }
}

/// What the flags ask for.
/// Source: `CreateMode`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mode {
    lives: Lives,
    sequential: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lives {
    Forever,
    WithSession,
    WhileUsed,
    ForTtl,
}

impl Mode {
    fn from_flags(flags: i32) -> Option<Mode> {
        let (lives, sequential) = match flags {
            0 => (Lives::Forever, false),
            1 => (Lives::WithSession, false),
            2 => (Lives::Forever, true),
            3 => (Lives::WithSession, true),
            4 => (Lives::WhileUsed, false),
            5 => (Lives::ForTtl, false),
            6 => (Lives::ForTtl, true),
            _ => return None,
        };
        Some(Mode { lives, sequential })
    }

    fn fits(self, op: Op) -> bool {
        match self.lives {
            Lives::Forever | Lives::WithSession => matches!(op, Op::Create | Op::Create2),
            Lives::WhileUsed => op == Op::CreateContainer,
            Lives::ForTtl => op == Op::CreateTtl,
        }
    }
}

impl Case<'_> {
    /// Source: `PrepRequestProcessor.pRequest2TxnCreate`.
    pub(super) fn create(&mut self, wanted: Wanted<'_>) -> Result<Txn, ErrorCode> {
        let (mode, owner) = self.check_mode(&wanted)?;
        let asked = wanted.path.ok_or(ErrorCode::MARSHALLING_ERROR)?;
        let parent_path = path::parent(asked)
            .filter(|_| !asked.contains('\0'))
            .ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let acl = self.fix_up(wanted.acl)?;
        let mut parent = self.get(parent_path)?;
        self.check_acl(&parent.acl, perms::CREATE)?;
        let created = if mode.sequential {
            Str::from(format!("{asked}{:010}", parent.stat.cversion))
        } else {
            asked.clone()
        };
        if !path::is_valid(&created) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        if self.pending.exists(self.tree, &created) {
            return Err(ErrorCode::NODE_EXISTS);
        }
        let parent_kind = tree::kind(parent.stat.ephemeral_owner, self.tree.options());
        if matches!(parent_kind, Kind::Ephemeral(_)) {
            return Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
        }
        if quota::is_of_root(&created) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        self.check_quota(&created, i64::from(len(wanted.data)), 1)?;

        let parent_cversion = parent.stat.cversion.wrapping_add(1);
        let shared_acl = share(&acl, &parent.acl);
        self.add_child(&mut parent, parent_cversion);
        self.put(key(&asked.share(parent_path)), parent);
        self.put_new(owner, mode, wanted.data, &created, shared_acl);
        Ok(txn(&wanted, mode, created, acl, parent_cversion))
    }

    /// Everything that is checked before the path is looked at. The owner value goes with the mode.
    /// Source: `PrepRequestProcessor.validateCreateRequest`, `EphemeralType.validateTTL`.
    fn check_mode(&self, wanted: &Wanted<'_>) -> Result<(Mode, i64), ErrorCode> {
        let mode = Mode::from_flags(wanted.flags).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let owner = match mode.lives {
            Lives::ForTtl if !self.tree.options().extended_types => {
                return Err(ErrorCode::UNIMPLEMENTED);
            }
            Lives::ForTtl => tree::ttl_owner(wanted.ttl),
            _ if wanted.ttl >= 0 => None,
            Lives::Forever => Some(0),
            Lives::WithSession => Some(self.caller.session.0),
            Lives::WhileUsed => Some(tree::CONTAINER),
        };
        let owner = owner
            .filter(|_| mode.fits(wanted.op))
            .ok_or(ErrorCode::BAD_ARGUMENTS)?;
        match self.check_session() {
            // An ephemeral needs a session that every server knows.
            Err(ErrorCode::UNKNOWN_SESSION) if mode.lives == Lives::WithSession => {
                Err(ErrorCode::SESSION_EXPIRED)
            }
            checked => checked.map(|()| (mode, owner)),
        }
    }

    /// As the tree does it: the counter never goes down, so past 2^31 - 1 it stays, and pzxid with
    /// it.
    ///
    /// Differs from Java: there a create that is judged before the last one is applied sees the
    /// counter wrapped to a negative number, a later one sees it stuck.
    fn add_child(&self, parent: &mut Record, cversion: i32) {
        parent.child_count = parent.child_count.saturating_add(1);
        if cversion > parent.stat.cversion {
            parent.stat.cversion = cversion;
            parent.stat.pzxid = self.zxid.0;
        }
    }

    fn put_new(&mut self, owner: i64, mode: Mode, data: &Buffer, path: &Str, acl: AclList) {
        let stat = StatPersisted {
            czxid: self.zxid.0,
            mzxid: self.zxid.0,
            pzxid: self.zxid.0,
            ctime: self.now.0,
            mtime: self.now.0,
            ephemeral_owner: owner,
            ..StatPersisted::default()
        };
        let crc = if self.tree.options().digest {
            digest::path_data_crc(path, data.as_deref())
        } else {
            0
        };
        let record = Record::new(stat, acl, len(data), crc);
        if mode.lives == Lives::WithSession {
            let session = self.caller.session;
            self.pending
                .put_ephemeral(self.tree, self.zxid, session, path.clone(), record);
        } else {
            self.put(path.clone(), record);
        }
    }
}

fn txn(wanted: &Wanted<'_>, mode: Mode, path: Str, acl: Vec<Acl>, parent_cversion: i32) -> Txn {
    let (path, data, acl) = (Some(path), wanted.data.clone(), Some(acl));
    let ephemeral = mode.lives == Lives::WithSession;
    match (mode.lives, wanted.op) {
        (Lives::WhileUsed, _) => Txn::CreateContainer(CreateContainerTxn {
            path,
            data,
            acl,
            parent_cversion,
        }),
        (Lives::ForTtl, _) => Txn::CreateTtl(CreateTtlTxn {
            path,
            data,
            acl,
            parent_cversion,
            ttl: wanted.ttl,
        }),
        (_, Op::Create2) => Txn::Create2(CreateTxn {
            path,
            data,
            acl,
            ephemeral,
            parent_cversion,
        }),
        _ => Txn::Create(CreateTxn {
            path,
            data,
            acl,
            ephemeral,
            parent_cversion,
        }),
    }
}

/// Most children have their parent's ACL; those share its list.
pub(super) fn share(acl: &[Acl], known: &AclList) -> AclList {
    if acl == &known[..] {
        known.clone()
    } else {
        AclList::from(acl)
    }
}

/// Bytes of `data`.
pub(super) fn len(data: &Buffer) -> u32 {
    data.as_ref().map_or(0, |data| data.len() as u32)
}
