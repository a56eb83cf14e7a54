//! A session as the commit loop sees it: its lane, its connection, and what it waits for.

use std::collections::VecDeque;
use std::sync::Arc;

use jute::Op;

use super::conn::Conn;
use super::lane::Lane;
use super::large::LargeRequest;
use super::read::Progress;
use super::request::ReadRequest;
use crate::auth::Identities;
use crate::base::{Mono, Zxid};

/// A session of this server.
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
    /// What it waits for, in the order the client sent it.
    pub queue: VecDeque<Entry>,
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
    /// What it waits for.
    pub wait: Wait,
    /// Its part of the bytes that large requests share.
    #[expect(dead_code, reason = "to be dropped with the entry is all it does")]
    pub large: Option<LargeRequest>,
}

/// What an entry waits for.
#[derive(Debug)]
pub enum Wait {
    /// The proposal at `zxid` to be applied.
    Commit {
        /// Where it stands in the order.
        zxid: Zxid,
        /// What was asked.
        op: Op,
        /// Whether the connect response must carry the readOnly byte, for a createSession.
        read_only: Option<bool>,
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

impl Entry {
    /// Whether it is a rider that may be a lot of work.
    pub fn is_heavy(&self) -> bool {
        matches!(&self.wait, Wait::Rider { request, .. } if request.is_heavy())
    }
}

impl Session {
    /// A session without a connection.
    pub fn new(lane: Arc<Lane>) -> Self {
        Session {
            lane,
            conn: None,
            queue: VecDeque::new(),
        }
    }

    /// Takes the entry that waits for `zxid`, if it is the next one.
    pub fn take_committed(&mut self, zxid: Zxid) -> Option<Entry> {
        match self.queue.front()?.wait {
            Wait::Commit {
                zxid: waits_for, ..
            } if waits_for == zxid => self.queue.pop_front(),
            _ => None,
        }
    }

    /// Takes the next entry if it is a rider whose turn has come.
    pub fn take_rider(&mut self) -> Option<Entry> {
        match self.queue.front()?.wait {
            Wait::Rider { .. } => self.queue.pop_front(),
            Wait::Commit { .. } => None,
        }
    }
}
