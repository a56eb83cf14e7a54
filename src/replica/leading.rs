//! The side of a leader: what its own clients and its learners' clients want to change, and whose sessions are whose.
//!
//! A session belongs to the server that claimed it last, and only what comes by that server is ordered: a write that
//! was on its way when the client moved on is refused, and not laid over what the client did since.
//! Source: `PrepRequestProcessor`, `LeaderSessionTracker`, `SessionTrackerImpl.checkSession`,
//! `Leader.revalidateSession`, `LearnerHandler.run`.

use std::time::Duration;

use bytes::Bytes;
use jute::{ErrorCode, Op};

use super::doubts::Doubt;
use super::member::Standing;
use super::queue::Mark;
use super::{Replica, body};
use crate::auth::Identities;
use crate::base::{Now, SessionId, Zxid};
use crate::prep::{self, Caller, Sessions, WriteRequest};
use crate::zab::Proposal;
use crate::zab::io::LinkId;
use crate::zab::packet::{Forwarded, Touch};
use jute::txn::LoggedTxn;

/// The server that a session's client is connected to, as far as the leader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The leader itself.
    Here,
    /// The learner behind this connection.
    Link(LinkId),
}

/// What is known of the session of one request.
struct Verdict(Result<(), ErrorCode>);

impl Sessions for Verdict {
    fn check(&self, _: SessionId) -> Result<(), ErrorCode> {
        self.0
    }
}

impl Replica {
    /// Judges `request`, gives it the next zxid and hands it to the protocol.
    pub(super) fn order(
        &mut self,
        now: Now,
        session: SessionId,
        cxid: i32,
        ids: &Identities,
        owner: Owner,
        request: &WriteRequest,
    ) -> Mark {
        let Some(zxid) = self.peer.next_zxid() else {
            return Mark::Never;
        };
        self.note(now, session, owner, request);
        let verdict = match self.standing {
            Standing::Alone => None,
            _ => Some(Verdict(self.check(session, owner, request))),
        };
        let caller = Caller { session, cxid, ids };
        let pending = self.prep.outstanding();
        let (prep, tracker) = (&mut self.prep, &self.tracker);
        let sessions: &dyn Sessions = match &verdict {
            Some(verdict) => verdict,
            None => tracker,
        };
        let txn = self
            .gate
            .read(|tree| prep.judge(tree, sessions, caller, request, zxid, now.wall));
        self.measures.judged((pending, self.prep.outstanding()));
        for exceeded in self.prep.take_exceeded() {
            self.measures.beyond_quota(now.mono, &exceeded);
        }
        if self.standing == Standing::Leading {
            self.measures.metrics.proposal_count.inc();
        }
        self.propose(now, zxid, txn)
    }

    fn propose(&mut self, now: Now, zxid: Zxid, txn: LoggedTxn) -> Mark {
        txn.write(&mut self.scratch);
        let payload = self.scratch.split().freeze();
        self.counters
            .metrics
            .stats
            .proposal_size
            .record(payload.len());
        let proposal = Proposal {
            zxid,
            txn: Box::new(txn),
            payload,
        };
        self.peer.propose(now.mono, proposal);
        Mark::Zxid(zxid)
    }

    /// Sessions begin and end for the tracker when that is judged, not when it is applied.
    fn note(&mut self, now: Now, session: SessionId, owner: Owner, request: &WriteRequest) {
        match request {
            WriteRequest::CreateSession { timeout } => {
                self.tracker.track(session, millis(*timeout), now.mono);
                self.own(session, owner);
            }
            WriteRequest::CloseSession => self.tracker.mark_closing(session),
            _ => {}
        }
    }

    /// From now on `session` writes through `owner`.
    pub(super) fn own(&mut self, session: SessionId, owner: Owner) {
        if self.standing == Standing::Leading {
            self.owners.insert(session, owner);
        }
    }

    /// Whether `session` may write through `owner`; whoever comes first owns a session that nobody owns.
    fn check(
        &mut self,
        session: SessionId,
        owner: Owner,
        request: &WriteRequest,
    ) -> Result<(), ErrorCode> {
        if is_sessionless(request) {
            return Ok(());
        }
        if !self.tracker.is_live(session) {
            return Err(ErrorCode::SESSION_EXPIRED);
        }
        match *self.owners.entry(session).or_insert(owner) == owner {
            true => Ok(()),
            false => Err(ErrorCode::SESSION_MOVED),
        }
    }

    /// A learner's client wants something ordered.
    pub(super) fn requested(&mut self, now: Now, link: LinkId, request: Forwarded) {
        let Forwarded {
            session,
            cxid,
            op,
            body,
            auth_info,
        } = request;
        match op.op() {
            _ if self.standing != Standing::Leading => {}
            Some(Op::Sync) => self.peer.sync(Some(link)),
            Some(op) if is_write(op) => {
                let ids = Identities::from(auth_info.unwrap_or_default());
                self.order_forwarded(now, link, (session, cxid, op), body, &ids);
            }
            _ => tracing::warn!(
                "session {session}: a learner passed on operation {}, which orders nothing, and which is \
                 dropped; check that learner's version",
                op.0
            ),
        }
    }

    fn order_forwarded(
        &mut self,
        now: Now,
        link: LinkId,
        (session, cxid, op): (SessionId, i32, Op),
        body: Bytes,
        ids: &Identities,
    ) {
        let code = match body::read_forwarded(op, body) {
            // Java's learners pass it on for any client, past every permission; only a leader has a reason to.
            _ if op == Op::DeleteContainer => ErrorCode::UNIMPLEMENTED,
            Ok(request) => {
                self.order(now, session, cxid, ids, Owner::Link(link), &request);
                return;
            }
            Err(error) => {
                tracing::warn!(
                    "session {session}: a learner passed on a {op:?} that does not decode and is refused: \
                     {error}; check that learner's version, and its client"
                );
                ErrorCode::MARSHALLING_ERROR
            }
        };
        // Java gives the refusal a zxid that is used already, after which nothing is agreed any more.
        if let Some(zxid) = self.peer.next_zxid() {
            let caller = Caller { session, cxid, ids };
            let txn = prep::refusal(caller, code, zxid, now.wall);
            self.propose(now, zxid, txn);
        }
    }

    /// Learners heard from these sessions.
    pub(super) fn touched(&mut self, now: Now, touched: &[Touch]) {
        for touch in touched {
            let timeout = millis(touch.timeout_ms);
            self.tracker.touch(touch.session, timeout, now.mono);
        }
    }

    /// A client brought its session to a learner.
    pub(super) fn claimed(&mut self, now: Now, link: LinkId, touch: Touch) {
        self.measures.metrics.revalidate_count.inc();
        match self.claim(now, link, touch) {
            true => self.peer.revalidated(link, touch.session, true),
            false => self.doubt(Doubt::Learner { link, touch }),
        }
    }

    /// Lets a learner own a session from now on, if that lives. A connection that it has here is of no use any more;
    /// Java closes it at its next request.
    pub(super) fn claim(&mut self, now: Now, link: LinkId, touch: Touch) -> bool {
        let id = touch.session;
        let lives = self.tracker.touch(id, millis(touch.timeout_ms), now.mono);
        if lives {
            self.own(id, Owner::Link(link));
            let session = self.sessions.get_mut(&id);
            if let Some(conn) = session.and_then(|session| session.conn.take()) {
                conn.outbox.close(&mut self.wakes);
            }
        }
        lives
    }
}

/// A timeout as it is told.
pub(super) fn millis(timeout_ms: i32) -> Duration {
    Duration::from_millis(timeout_ms.max(0) as u64)
}

/// What is ordered whoever asks.
fn is_sessionless(request: &WriteRequest) -> bool {
    matches!(
        request,
        WriteRequest::CreateSession { .. }
            | WriteRequest::CloseSession
            | WriteRequest::DeleteContainer(_)
    )
}

/// Source: `FollowerRequestProcessor.run`.
fn is_write(op: Op) -> bool {
    matches!(
        op,
        Op::Create
            | Op::Create2
            | Op::CreateTtl
            | Op::CreateContainer
            | Op::Delete
            | Op::DeleteContainer
            | Op::SetData
            | Op::SetAcl
            | Op::Reconfig
            | Op::Multi
            | Op::CreateSession
            | Op::CloseSession
    )
}
