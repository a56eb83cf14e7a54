//! The place where versions and ACLs are judged: request, time, tree and what is pending in, a
//! transaction out.
//!
//!   WriteRequest --> Prep::judge --> LoggedTxn --> log, quorum --> Tree::apply
//!                     ^      |                                       |
//!                     |      v                                       v
//!                     |   pending <----------------------- Prep::applied(upto)
//!                     +------+---------------------------------- the tree
//!
//! Writes pipeline, so a request is judged against the tree plus everything judged before it. Each
//! request uses the zxid it was given: a refused one becomes an error transaction, ordered and
//! logged like any other. What is accepted here must apply without error on every server, and to
//! exactly the digest predicted for it.
//!
//! The order of checks decides which error a client sees; it is Java's. No check writes: a request
//! changes the pending state after its last check, except that a multi's ops do so one by one and
//! are undone together.
//!
//! Source: `PrepRequestProcessor`. Differs from Java:
//! - a create whose flags do not fit its opcode is refused (-8), where Java stores what the opcode
//!   says;
//! - so are limits and stats of a quota for `/`, which kill a Java server;
//! - the server's own clean-up never deletes a persistent znode that took a container's place;
//! - a parent that has used up its 2^31 numbers keeps giving the last one (so -110), where Java's
//!   pending state, unlike its tree, goes on with negative ones;
//! - versions skip -1 when they wrap, since -1 in a request means any;
//! - the end of a session lowers the pending child counts of its ephemerals' parents, so that a
//!   delete of such a parent right behind it succeeds.

mod create;
mod delete;
mod multi;
mod pending;
mod quota;
mod reconfig;
mod session;
mod set;
#[cfg(test)]
mod tests;

use crate::auth::{self, AuthOptions, Identities};
use crate::base::flaw::Flaw;
use crate::base::{SessionId, WallMs, Zxid};
use crate::session::Tracker;
use crate::tree::Tree;
use jute::data::Acl;
use jute::proto::{
    CreateRequest, CreateTtlRequest, DeleteRequest, MultiRequest, ReconfigRequest, SetAclRequest,
    SetDataRequest,
};
use jute::txn::{ErrorTxn, LoggedTxn, Txn, TxnDigest, TxnHeader};
use jute::{ErrorCode, Op, Str};
use pending::{Pending, Record};
pub use quota::{Exceeded, Limited};

/// A request that may change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteRequest {
    /// create, create2 or createContainer, which the first field tells.
    Create(Op, CreateRequest),
    /// createTTL.
    CreateTtl(CreateTtlRequest),
    /// delete.
    Delete(DeleteRequest),
    /// setData.
    SetData(SetDataRequest),
    /// setACL.
    SetAcl(SetAclRequest),
    /// multi.
    Multi(MultiRequest),
    /// reconfig.
    Reconfig(ReconfigRequest),
    /// The server's own wish to delete a container or TTL znode without children.
    DeleteContainer(Str),
    /// A session begins.
    CreateSession {
        /// Negotiated timeout in ms.
        timeout: i32,
    },
    /// A session ends, by its client or by expiry.
    CloseSession,
}

impl WriteRequest {
    /// The path it is about, if it names just one.
    pub fn path(&self) -> Option<&str> {
        match self {
            WriteRequest::Create(_, request) => request.path.as_deref(),
            WriteRequest::CreateTtl(request) => request.path.as_deref(),
            WriteRequest::Delete(request) => request.path.as_deref(),
            WriteRequest::SetData(request) => request.path.as_deref(),
            WriteRequest::SetAcl(request) => request.path.as_deref(),
            WriteRequest::DeleteContainer(path) => Some(path),
            WriteRequest::Multi(_)
            | WriteRequest::Reconfig(_)
            | WriteRequest::CreateSession { .. }
            | WriteRequest::CloseSession => None,
        }
    }
}

/// What the configuration says about writes. What concerns znode types and digests is in the tree's
/// own options.
#[derive(Clone, Debug, Default)]
pub struct PrepOptions {
    /// Whether hard quota limits refuse writes, and soft ones are watched. Java key `zookeeper.enforceQuota`.
    pub enforce_quota: bool,
    /// Java key `reconfigEnabled`.
    pub reconfig_enabled: bool,
    /// How ACLs are read.
    pub auth: AuthOptions,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Session of the request, the one that begins or the one that ends.
    pub session: SessionId,
    /// xid of the request, 0 for the server's own.
    pub cxid: i32,
    /// Identities of the connection when the request came.
    pub ids: &'a Identities,
}

/// What there is to know about a session before its write is accepted.
///
/// A session whose end is judged but not applied needs no mark here: [`Prep`] refuses its writes by
/// itself. Once that end is applied, the session must be unknown here.
pub trait Sessions {
    /// Whether `session` may write.
    ///
    /// # Errors
    /// `UNKNOWN_SESSION`, or `SESSION_EXPIRED` while it is closing.
    fn check(&self, session: SessionId) -> Result<(), ErrorCode>;
}

impl Sessions for Tracker {
    fn check(&self, session: SessionId) -> Result<(), ErrorCode> {
        match (self.is_live(session), self.is_closing(session)) {
            (true, _) => Ok(()),
            (_, true) => Err(ErrorCode::SESSION_EXPIRED),
            _ => Err(ErrorCode::UNKNOWN_SESSION),
        }
    }
}

/// Judges writes, and remembers what it let pass until it is applied.
#[derive(Debug)]
pub struct Prep {
    options: PrepOptions,
    pending: Pending,
    /// zxid of the last request judged.
    judged: Zxid,
    /// Limits that the last requests went beyond.
    exceeded: Vec<Exceeded>,
}

impl Prep {
    /// Nothing is pending: `tree` holds everything judged so far.
    pub fn new(options: PrepOptions, tree: &Tree) -> Prep {
        Prep {
            options,
            pending: Pending::default(),
            judged: tree.last_zxid(),
            exceeded: Vec::new(),
        }
    }

    /// Limits of quotas that were exceeded since the last call, refused or not.
    pub fn take_exceeded(&mut self) -> Vec<Exceeded> {
        std::mem::take(&mut self.exceeded)
    }

    /// Turns a request into the transaction that stands for it in the order, [`Txn::Error`] if it
    /// is refused.
    ///
    /// `zxid` must be greater than that of every request judged before; it is used in any case.
    /// `now` is the time stamp. A failed multi stays a multi whose failing op is an error, and the
    /// later ones -2. Except for an error there is always a digest, unless digests are off.
    /// Source: `PrepRequestProcessor.pRequest`.
    pub fn judge(
        &mut self,
        tree: &Tree,
        sessions: &dyn Sessions,
        caller: Caller<'_>,
        request: &WriteRequest,
        zxid: Zxid,
        now: WallMs,
    ) -> LoggedTxn {
        assert!(zxid > self.judged, "{zxid} judged after {}", self.judged);
        self.judged = zxid;
        let mut case = Case {
            options: &self.options,
            pending: &mut self.pending,
            exceeded: &mut self.exceeded,
            tree,
            sessions,
            caller,
            zxid,
            now,
        };
        match case.judge(request) {
            Ok(txn) => {
                let digest = tree.options().digest.then(|| TxnDigest {
                    version: DIGEST_VERSION,
                    tree_digest: self.pending.digest(tree) as i64,
                });
                logged(caller, txn, zxid, now, digest)
            }
            Err(code) => refusal(caller, code, zxid, now),
        }
    }

    /// Forgets what `tree` holds by now: every transaction up to `upto`.
    pub fn applied(&mut self, upto: Zxid) {
        self.pending.applied(upto);
    }

    /// Forgets everything pending, which will never be applied, and goes on from `tree`.
    pub fn reset(&mut self, tree: &Tree) {
        self.pending = Pending::default();
        self.judged = tree.last_zxid();
    }

    /// Number of znode changes judged but not applied.
    pub fn outstanding(&self) -> usize {
        self.pending.len()
    }
}

/// The error transaction of a request that is refused before it can be judged, but uses a zxid all
/// the same (a multi that does not decode).
pub fn refusal(caller: Caller<'_>, code: ErrorCode, zxid: Zxid, now: WallMs) -> LoggedTxn {
    logged(
        caller,
        Txn::Error(ErrorTxn { err: code.0 }),
        zxid,
        now,
        None,
    )
}

fn logged(
    caller: Caller<'_>,
    txn: Txn,
    zxid: Zxid,
    now: WallMs,
    digest: Option<TxnDigest>,
) -> LoggedTxn {
    let header = TxnHeader {
        client_id: caller.session.0,
        cxid: caller.cxid,
        zxid: zxid.0,
        time: now.0,
        kind: txn.op().into(),
    };
    LoggedTxn {
        header,
        txn,
        digest,
    }
}

/// One request and all that decides about it.
struct Case<'a> {
    options: &'a PrepOptions,
    pending: &'a mut Pending,
    exceeded: &'a mut Vec<Exceeded>,
    tree: &'a Tree,
    sessions: &'a dyn Sessions,
    caller: Caller<'a>,
    zxid: Zxid,
    now: WallMs,
}

impl Case<'_> {
    fn judge(&mut self, request: &WriteRequest) -> Result<Txn, ErrorCode> {
        match request {
            WriteRequest::Create(op, request) => self.create((*op, request).into()),
            WriteRequest::CreateTtl(request) => self.create(request.into()),
            WriteRequest::Delete(request) => self.delete(request),
            WriteRequest::SetData(request) => self.set_data(request),
            WriteRequest::SetAcl(request) => self.set_acl(request),
            WriteRequest::Multi(request) => self.multi(request),
            WriteRequest::Reconfig(_) => self.reconfig(),
            WriteRequest::DeleteContainer(path) => self.delete_container(path),
            WriteRequest::CreateSession { timeout } => Ok(self.create_session(*timeout)),
            WriteRequest::CloseSession => Ok(self.close_session()),
        }
    }

    fn get(&self, path: &str) -> Result<Record, ErrorCode> {
        self.pending.get(self.tree, path).ok_or(ErrorCode::NO_NODE)
    }

    fn put(&mut self, path: Str, record: Record) {
        self.pending.put(self.tree, self.zxid, path, record);
    }

    fn check_session(&self) -> Result<(), ErrorCode> {
        let closing = self.pending.is_closing(self.caller.session);
        if closing && !Flaw::PendingEndsIgnored.is_made() {
            return Err(ErrorCode::SESSION_EXPIRED);
        }
        match self.sessions.check(self.caller.session) {
            // By mistake alone.
            Err(ErrorCode::UNKNOWN_SESSION | ErrorCode::SESSION_EXPIRED)
                if closing || Flaw::EndedSessionsWrite.is_made() =>
            {
                Ok(())
            }
            checked => checked,
        }
    }

    fn check_acl(&self, acl: &[Acl], wanted: i32) -> Result<(), ErrorCode> {
        let permitted = auth::permits(&self.options.auth, acl, wanted, self.caller.ids);
        permitted.then_some(()).ok_or(ErrorCode::NO_AUTH)
    }

    /// The ACL list as it is stored.
    fn fix_up(&self, acl: Option<&[Acl]>) -> Result<Vec<Acl>, ErrorCode> {
        auth::fix_up(&self.options.auth, acl, self.caller.ids)
    }
}

/// The version after `current`, if `expected` is -1 or equals it.
///
/// Differs from Java: -1 is skipped, as every later request could then only say "any"
/// (ZOOKEEPER-4743).
/// Source: `PrepRequestProcessor.checkAndIncVersion`.
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected != ANY_VERSION && expected != current {
        return Err(ErrorCode::BAD_VERSION);
    }
    Ok(match current.wrapping_add(1) {
        ANY_VERSION => 0,
        next => next,
    })
}

/// In a request, no version is expected.
const ANY_VERSION: i32 = -1;

/// How Java numbers the way the digest is computed.
pub const DIGEST_VERSION: i32 = 2;
