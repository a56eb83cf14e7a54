//! A session as the commit loop sees it: its lane, its connection, and what it waits for.

use std::collections::VecDeque;
use std::sync::Arc;

use jute::txn::TxnHeader;
use jute::{Op, OpCode, Str};

use super::conn::{Conn, ConnId};
use super::lane::Lane;
use super::large::LargeRequest;
use super::read::Progress;
use super::request::ReadRequest;
use crate::audit::Asked;
use crate::auth::Identities;
use crate::base::{Mono, Stamp, Zxid};
use crate::prep::WriteRequest;

/// A session that has, or had, a client on this server since it began to serve.
///
/// A rider is a request that orders nothing and follows a write of its own session; it is served
/// after that write is applied, before the session's next one. Invariant: between two inputs the
/// queue starts with a rider only where the session lags.
#[derive(Debug)]
pub struct Session {
    /// Shared with the connections the session has had.
    pub lane: Arc<Lane>,
    /// The connection it lives on now, if any.
    pub conn: Option<Arc<Conn>>,
    /// Whose requests count: the connection that it was established on last, which may be gone; nobody's while another
    /// one asks for it. What an older one sent may arrive late, and would take effect behind what the client sent
    /// since.
    pub holder: Option<ConnId>,
    /// What it waits for, in the order the client sent it.
    pub queue: VecDeque<Entry>,
    /// Syncs in the queue that are not complete.
    pub syncs: usize,
    /// The sign of life that the leader was told of last.
    pub reported: Option<Mono>,
}

/// One request of a session inside the loop.
#[derive(Debug)]
pub struct Entry {
    /// The connection that sent it: only that one gets the answer.
    pub conn: Arc<Conn>,
    /// The request's xid.
    pub xid: i32,
    /// When it was received.
    pub received: Mono,
    /// The same, to measure with.
    pub arrived: Stamp,
    /// When the loop took it.
    pub taken: Stamp,
    /// What it waits for.
    pub wait: Wait,
    /// Its part of the bytes that large requests share.
    #[expect(dead_code, reason = "to be dropped with the entry is all it does")]
    pub large: Option<LargeRequest>,
}

/// What an entry waits for.
#[derive(Debug)]
pub enum Wait {
    /// Its transaction to be applied.
    Commit {
        /// How to know it.
        mark: Mark,
        /// What was asked.
        op: Op,
        /// Whether the connect response must carry the readOnly byte, for a createSession.
        read_only: Option<bool>,
        /// For the audit log, where there is one.
        asked: Option<Box<Asked>>,
    },
    /// The leader to confirm that it leads; what is read afterwards is no older than this. A rider
    /// from then on.
    Sync {
        /// Identities of its reception.
        ids: Identities,
        /// To be echoed.
        path: Option<Str>,
    },
    /// As a leader: a write behind a sync, to be ordered once that is complete. Ordered at once, it
    /// might be applied, and be due its answer, before the sync.
    Held {
        /// Identities of its reception.
        ids: Identities,
        /// What was asked.
        request: WriteRequest,
    },
    /// Everything before it in this queue.
    Rider {
        /// Identities of its reception.
        ids: Identities,
        /// What was asked.
        request: ReadRequest,
        /// How far it got under earlier guards.
        progress: Progress,
    },
}

/// How a session knows its own among the transactions that are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The leader gave it this place in the order.
    Zxid(Zxid),
    /// It went to the leader: session, cxid and op tell.
    Forwarded,
    /// It was too late for this leadership and ends with it.
    Never,
}

/// Whose a transaction is, from the point of view of its session's queue.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // none is ever kept
pub enum Match {
    /// It answers the first entry.
    First(Entry),
    /// No entry waits for it: its client is elsewhere, or is the server itself.
    Nobody,
    /// An entry waits for it, but not the first one, or it is another operation: something that this
    /// server passed on is lost.
    Confused,
}

impl Entry {
    /// Whether it is a rider that may be a lot of work.
    pub fn is_heavy(&self) -> bool {
        matches!(&self.wait, Wait::Rider { request, .. } if request.is_heavy())
    }

    /// Whether its lane has counted it: all but the beginning of a session.
    pub fn is_counted(&self) -> bool {
        !matches!(
            self.wait,
            Wait::Commit {
                op: Op::CreateSession,
                ..
            }
        )
    }
}

impl Session {
    /// A session without a connection.
    pub fn new(lane: Arc<Lane>) -> Self {
        Session {
            lane,
            conn: None,
            holder: None,
            queue: VecDeque::new(),
            syncs: 0,
            reported: None,
        }
    }

    /// As a leader: takes the entry that waits for `zxid`, if it is the next one.
    pub fn take_committed(&mut self, zxid: Zxid) -> Option<Entry> {
        match self.queue.front()?.wait {
            Wait::Commit { mark, .. } if mark == Mark::Zxid(zxid) => self.queue.pop_front(),
            _ => None,
        }
    }

    /// As a learner: takes the entry that the transaction of `header` answers. The ones that went to
    /// the leader come back in their order, so only the first one can be it.
    ///
    /// Source: `CommitProcessor.run`; the op is compared here, too.
    pub fn take_forwarded(&mut self, header: &TxnHeader) -> Match {
        let own = |entry: &Entry| match entry.wait {
            Wait::Commit {
                mark: Mark::Forwarded,
                op,
                ..
            } if entry.xid == header.cxid => Some(answers(header.kind, op)),
            _ => None,
        };
        match self.queue.front().and_then(own) {
            Some(true) => self.queue.pop_front().map_or(Match::Nobody, Match::First),
            Some(false) => Match::Confused,
            None if self.queue.iter().any(|entry| own(entry) == Some(true)) => Match::Confused,
            None => Match::Nobody,
        }
    }

    /// Takes the next entry if it is a rider whose turn has come.
    pub fn take_rider(&mut self) -> Option<Entry> {
        match self.queue.front()?.wait {
            Wait::Rider { .. } => self.queue.pop_front(),
            _ => None,
        }
    }

    /// Takes out the writes that wait behind a sync. If one of them was to end the session, it goes on.
    pub fn take_held(&mut self) -> VecDeque<Entry> {
        let is_held = |entry: &Entry| matches!(entry.wait, Wait::Held { .. });
        let (held, kept) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(is_held);
        self.queue = kept;
        let ends = |entry: &Entry| match &entry.wait {
            Wait::Held { request, .. } => matches!(request, WriteRequest::CloseSession),
            _ => false,
        };
        if VecDeque::iter(&held).any(ends) {
            self.lane.reopen();
        }
        held
    }
}

/// Whether a transaction of this type is what comes of `op`; a refusal may come of any.
fn answers(kind: OpCode, op: Op) -> bool {
    kind == OpCode::from(op) || kind == OpCode::from(Op::Error)
}
