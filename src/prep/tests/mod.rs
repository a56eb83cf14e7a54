//! A small world of one tree, some sessions and a pipeline, and what its tests say about judging.

mod errors;
mod histories;
mod java_log;
mod pipeline;

use super::*;
use crate::tree::{Applied, TreeOptions};
use bytes::Bytes;
use jute::data::Id;
use jute::proto::{CheckVersionRequest, MultiOp};
use jute::txn::CreateTxn;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

/// Sessions that may write, and those that are closing.
#[derive(Default)]
pub(super) struct Live(BTreeMap<SessionId, bool>);

impl Sessions for Live {
    fn check(&self, session: SessionId) -> Result<(), ErrorCode> {
        match self.0.get(&session) {
            None => Err(ErrorCode::UNKNOWN_SESSION),
            Some(true) => Err(ErrorCode::SESSION_EXPIRED),
            Some(false) => Ok(()),
        }
    }
}

/// A server without anything around it.
pub(super) struct World {
    pub tree: Tree,
    pub prep: Prep,
    pub live: Live,
    pub ids: Identities,
    zxid: i64,
    queue: VecDeque<LoggedTxn>,
}

pub(super) const ALICE: SessionId = SessionId(0x1_0000_0001);
pub(super) const BOB: SessionId = SessionId(0x1_0000_0002);
pub(super) const CLOSING: SessionId = SessionId(0x1_0000_0003);
pub(super) const STRANGER: SessionId = SessionId(0x1_0000_0004);

impl World {
    pub fn new() -> World {
        World::with(TreeOptions::default(), PrepOptions::default())
    }

    pub fn with(tree: TreeOptions, prep: PrepOptions) -> World {
        let tree = Tree::new(tree);
        World {
            prep: Prep::new(prep, &tree),
            tree,
            live: Live([(ALICE, false), (BOB, false), (CLOSING, true)].into()),
            ids: auth::initial(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            zxid: 0,
            queue: VecDeque::new(),
        }
    }

    /// Judges and leaves pending.
    pub fn judge(&mut self, session: SessionId, request: &WriteRequest) -> LoggedTxn {
        self.zxid += 1;
        let caller = Caller {
            session,
            cxid: 7,
            ids: &self.ids,
        };
        let (zxid, now) = (Zxid(self.zxid), WallMs(1_000_000 + self.zxid));
        let txn = self
            .prep
            .judge(&self.tree, &self.live, caller, request, zxid, now);
        assert_eq!(txn.header.zxid, self.zxid);
        assert_eq!(txn.header.time, now.0);
        assert_eq!(txn.header.client_id, session.0);
        assert_eq!(txn.header.cxid, 7);
        assert_eq!(txn.header.kind, txn.txn.op().into());
        self.queue.push_back(txn.clone());
        txn
    }

    /// Applies the oldest pending transaction, which must hash as it said.
    pub fn apply_one(&mut self) -> bool {
        let Some(txn) = self.queue.pop_front() else {
            return false;
        };
        let outcomes = match self.tree.apply(&txn.header, &txn.txn, &mut Vec::new()) {
            Applied::One(outcome) => vec![outcome.err.0],
            Applied::Multi(outcomes) => outcomes.iter().map(|outcome| outcome.err.0).collect(),
        };
        let judged = match &txn.txn {
            Txn::Multi(_) => codes(&txn),
            _ => vec![code(&txn)],
        };
        assert_eq!(outcomes, judged, "{txn:?}");
        if let Some(digest) = &txn.digest {
            let (said, got) = (digest.tree_digest as u64, self.tree.digest());
            assert_eq!(said, got, "digest after {txn:?}");
        }
        self.prep.applied(Zxid(txn.header.zxid));
        true
    }

    pub fn apply_all(&mut self) {
        while self.apply_one() {}
        assert_eq!(self.prep.outstanding(), 0);
    }

    /// Judges, applies, and expects success.
    pub fn done(&mut self, request: WriteRequest) {
        let txn = self.judge(ALICE, &request);
        assert_eq!(code(&txn), 0, "{request:?}");
        self.apply_all();
    }

    /// The code a request gets.
    pub fn code(&mut self, session: SessionId, request: &WriteRequest) -> i32 {
        code(&self.judge(session, request))
    }

    /// From here on requests come from a connection that also is `text`, a user and a password.
    pub fn become_user(&mut self, text: &str) {
        let options = &self.prep.options.auth;
        let remote = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ids = auth::authenticate(
            options,
            Some("digest"),
            Some(text.as_bytes()),
            remote,
            &self.ids,
        );
        self.ids = ids.unwrap();
    }
}

/// The code of an error transaction, 0 of any other.
pub(super) fn code(txn: &LoggedTxn) -> i32 {
    match &txn.txn {
        Txn::Error(error) => error.err,
        _ => 0,
    }
}

/// The codes of a multi's parts as stored.
pub(super) fn codes(txn: &LoggedTxn) -> Vec<i32> {
    let Txn::Multi(txns) = &txn.txn else {
        panic!("{txn:?} is no multi");
    };
    let code = |txn: &Txn| match txn {
        Txn::Error(error) => error.err,
        _ => 0,
    };
    txns.iter().map(code).collect()
}

pub(super) fn created(txn: &LoggedTxn) -> &str {
    match &txn.txn {
        Txn::Create(CreateTxn { path, .. }) | Txn::Create2(CreateTxn { path, .. }) => {
            path.as_ref().unwrap()
        }
        txn => panic!("{txn:?} is no create"),
    }
}

pub(super) fn open_acl() -> Option<Vec<Acl>> {
    acl(31, "world", "anyone")
}

pub(super) fn acl(perms: i32, scheme: &str, id: &str) -> Option<Vec<Acl>> {
    let id = Id {
        scheme: Some(scheme.into()),
        id: Some(id.into()),
    };
    Some(vec![Acl { perms, id }])
}

pub(super) fn create(path: &str, flags: i32) -> WriteRequest {
    WriteRequest::Create(Op::Create, create_request(path, flags))
}

pub(super) fn create_request(path: &str, flags: i32) -> CreateRequest {
    CreateRequest {
        path: Some(path.into()),
        data: Some(Bytes::from_static(b"data")),
        acl: open_acl(),
        flags,
    }
}

pub(super) fn create_ttl(path: &str, flags: i32, ttl: i64) -> WriteRequest {
    WriteRequest::CreateTtl(CreateTtlRequest {
        path: Some(path.into()),
        data: None,
        acl: open_acl(),
        flags,
        ttl,
    })
}

pub(super) fn container(path: &str) -> WriteRequest {
    WriteRequest::Create(Op::CreateContainer, create_request(path, 4))
}

pub(super) fn delete(path: &str, version: i32) -> WriteRequest {
    WriteRequest::Delete(DeleteRequest {
        path: Some(path.into()),
        version,
    })
}

pub(super) fn set_data(path: &str, data: &str, version: i32) -> WriteRequest {
    WriteRequest::SetData(SetDataRequest {
        path: Some(path.into()),
        data: Some(Bytes::copy_from_slice(data.as_bytes())),
        version,
    })
}

pub(super) fn set_acl(path: &str, acl: Option<Vec<Acl>>, version: i32) -> WriteRequest {
    WriteRequest::SetAcl(SetAclRequest {
        path: Some(path.into()),
        acl,
        version,
    })
}

pub(super) fn check(path: &str, version: i32) -> MultiOp {
    MultiOp::Check(CheckVersionRequest {
        path: Some(path.into()),
        version,
    })
}

/// A multi of requests that may stand in one.
pub(super) fn multi(requests: impl IntoIterator<Item = WriteRequest>) -> WriteRequest {
    let op = |request| match request {
        WriteRequest::Create(op, request) => MultiOp::Create(op, request),
        WriteRequest::CreateTtl(request) => MultiOp::CreateTtl(request),
        WriteRequest::Delete(request) => MultiOp::Delete(request),
        WriteRequest::SetData(request) => MultiOp::SetData(request),
        other => panic!("{other:?} cannot be in a multi"),
    };
    WriteRequest::Multi(MultiRequest {
        ops: requests.into_iter().map(op).collect(),
    })
}

pub(super) fn multi_of(ops: Vec<MultiOp>) -> WriteRequest {
    WriteRequest::Multi(MultiRequest { ops })
}
