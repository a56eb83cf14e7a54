//! A session's lane: what its connection and the commit loop both know of it.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use crate::base::flaw::Flaw;
use crate::base::{Mono, SessionId};

/// Shared by the commit loop and every connection the session has had.
///
/// The in-loop count is the session's, not the connection's: a client that resumes elsewhere must not read past the
/// old connection's pending writes. It goes up before a request is handed to the loop and down after its reply is in
/// the outbox, so a connection that sees zero may answer a read on its own.
#[derive(Debug)]
pub struct Lane {
    session: SessionId,
    in_loop: AtomicU32,
    last_heard: AtomicI64,
    timeout_ms: AtomicI32,
    closing: AtomicBool,
}

impl Lane {
    /// A lane of a session that was heard of `now`.
    pub fn new(session: SessionId, timeout: Duration, now: Mono) -> Self {
        let lane = Lane {
            session,
            in_loop: AtomicU32::new(0),
            last_heard: AtomicI64::new(now.0),
            timeout_ms: AtomicI32::new(0),
            closing: AtomicBool::new(false),
        };
        lane.set_timeout(timeout);
        lane
    }

    /// The session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Requests of the session that the loop has not answered yet.
    pub fn in_loop(&self) -> u32 {
        match Flaw::ReadsOvertake.is_made() {
            true => 0,
            false => self.in_loop.load(Ordering::Acquire),
        }
    }

    /// Counts a request that is about to be handed to the loop.
    pub fn enter(&self) {
        self.in_loop.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request whose answer is in the outbox, or that never gets one. The only way down.
    /// Whether it was the last.
    pub fn leave(&self) -> bool {
        let before = self.in_loop.fetch_sub(1, Ordering::Release);
        assert!(
            before > 0,
            "session {}: more requests left the loop than entered",
            self.session
        );
        before == 1
    }

    /// The client gave a sign of life.
    pub fn touch(&self, now: Mono) {
        self.last_heard.store(now.0, Ordering::Relaxed);
    }

    /// When the client last gave a sign of life, and the timeout its connection negotiated.
    pub fn last_heard(&self) -> (Mono, Duration) {
        let timeout = self.timeout_ms.load(Ordering::Relaxed).max(0) as u64;
        (
            Mono(self.last_heard.load(Ordering::Relaxed)),
            Duration::from_millis(timeout),
        )
    }

    /// A connection negotiated `timeout` for the session.
    pub fn set_timeout(&self, timeout: Duration) {
        let ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        self.timeout_ms.store(ms, Ordering::Relaxed);
    }

    /// Whether the session is being closed: further requests are dropped without an answer.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The session is being closed.
    pub fn set_closing(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// It goes on after all: the client came back on another connection before its wish was ordered.
    pub fn reopen(&self) {
        self.closing.store(false, Ordering::Release);
    }
}
