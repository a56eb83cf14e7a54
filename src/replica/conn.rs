//! A client connection as the rest of the server sees it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use jute::{Op, OpCode};
use parking_lot::Mutex;

use super::lane::Lane;
use super::outbox::Outbox;
use super::request::short_name;
use crate::auth::Identities;
use crate::base::{Mono, WallMs};

/// Names one connection for the life of the process; never used twice, so a late reply cannot reach
/// another socket.
pub type ConnId = u64;

/// What a connection's task shares with the commit loop, with watches and with statistics.
#[derive(Debug)]
pub struct Conn {
    /// Its name.
    pub id: ConnId,
    /// The client's address.
    pub remote: SocketAddr,
    /// What is owed to the client.
    pub outbox: Outbox,
    /// Set once when the session is established.
    pub lane: OnceLock<Arc<Lane>>,
    /// What happened on it.
    pub stats: ConnStats,
    identities: Mutex<Identities>,
    gone: AtomicBool,
    invalid: AtomicBool,
}

impl Conn {
    /// A connection just accepted.
    pub fn new(id: ConnId, remote: SocketAddr, identities: Identities, now: WallMs) -> Self {
        let stats = ConnStats {
            established: now,
            last_op: AtomicI32::new(NEVER),
            ..ConnStats::default()
        };
        Conn {
            id,
            remote,
            outbox: Outbox::default(),
            lane: OnceLock::new(),
            stats,
            identities: Mutex::new(identities),
            gone: AtomicBool::new(false),
            invalid: AtomicBool::new(false),
        }
    }

    /// The identities the connection has now. A request keeps those of its reception.
    pub fn identities(&self) -> Identities {
        self.identities.lock().clone()
    }

    /// Replaces the identities after a successful auth.
    pub fn set_identities(&self, identities: Identities) {
        *self.identities.lock() = identities;
    }

    /// Whether a request of it was dropped, so that none after that may be served. Source:
    /// `ServerCnxn.isInvalid`.
    pub fn is_invalid(&self) -> bool {
        self.invalid.load(Ordering::Acquire)
    }

    /// A request of it is dropped.
    pub fn set_invalid(&self) {
        self.invalid.store(true, Ordering::Release);
    }

    /// Whether the connection is over. Under the lock of the watch table this decides whether a
    /// watch may be set.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The connection is over. To be called under the lock of the watch table, by whoever drops its
    /// watches.
    pub fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }
}

/// Stands for the operation of a connection that has answered none.
const NEVER: i32 = i32::MIN;

/// Counters of one connection, as `cons` and `stat` print them.
///
/// Source: `ServerCnxn` statistics.
#[derive(Debug, Default)]
pub struct ConnStats {
    /// When it was accepted.
    pub established: WallMs,
    received: AtomicU64,
    sent: AtomicU64,
    outstanding: AtomicI64,
    last_op: AtomicI32,
    last_cxid: AtomicI32,
    last_zxid: AtomicI64,
    last_response: AtomicI64,
    last_latency: AtomicI64,
    /// Begins at 0, as Java's does: only after a reset it shows the least latency.
    min_latency: AtomicI64,
    max_latency: AtomicI64,
    count: AtomicI64,
    total_latency: AtomicI64,
}

/// A copy of the counters that requests move.
#[derive(Clone, Copy, Debug)]
pub struct LastRequest {
    /// Four letters, or `NA`; `None` before the first answer.
    pub op: Option<&'static str>,
    /// Last xid that was not negative; negative after a reset.
    pub cxid: i32,
    /// zxid of the last reply.
    pub zxid: i64,
    /// Monotonic ms of the last reply.
    pub at: i64,
    /// Latency of the last reply in ms.
    pub latency: i64,
    /// Least latency in ms since the last reset; 0 if there was none.
    pub min_latency: i64,
    /// Highest latency in ms.
    pub max_latency: i64,
    /// Mean latency in whole ms.
    pub avg_latency: i64,
}

impl ConnStats {
    /// A request was answered. `op` None prints as `NA`.
    pub fn answered(&self, op: Option<Op>, xid: i32, zxid: i64, sent: Mono, now: Mono) {
        // 0, the notification, stands for none: no client can send it and both print as NA.
        self.last_op
            .store(op.map_or(0, |op| op as i32), Ordering::Relaxed);
        if xid >= 0 {
            self.last_cxid.store(xid, Ordering::Relaxed);
        }
        let latency = (now - sent).as_millis() as i64;
        self.last_zxid.store(zxid, Ordering::Relaxed);
        self.last_response.store(now.0, Ordering::Relaxed);
        self.last_latency.store(latency, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        if latency < self.min_latency.load(Ordering::Relaxed) {
            self.min_latency.fetch_min(latency, Ordering::Relaxed);
        }
        if latency > 0 {
            self.total_latency.fetch_add(latency, Ordering::Relaxed);
            self.max_latency.fetch_max(latency, Ordering::Relaxed);
        }
    }

    /// Counts from here on. What is queued stays so.
    ///
    /// Source: `ServerCnxn.resetStats`.
    pub fn reset(&self) {
        for counter in [&self.received, &self.sent] {
            counter.store(0, Ordering::Relaxed);
        }
        self.min_latency.store(i64::MAX, Ordering::Relaxed);
        self.last_op.store(0, Ordering::Relaxed);
        self.last_cxid.store(-1, Ordering::Relaxed);
        self.last_zxid.store(-1, Ordering::Relaxed);
        for counter in [
            &self.last_response,
            &self.last_latency,
            &self.max_latency,
            &self.count,
            &self.total_latency,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// `frames` came in, the handshake included.
    pub fn received(&self, frames: u64) {
        self.received.fetch_add(frames, Ordering::Relaxed);
    }

    /// `frames` went out.
    pub fn sent(&self, frames: u64) {
        self.sent.fetch_add(frames, Ordering::Relaxed);
    }

    /// Frames that came in and went out.
    pub fn packets(&self) -> (u64, u64) {
        (
            self.received.load(Ordering::Relaxed),
            self.sent.load(Ordering::Relaxed),
        )
    }

    /// Requests with an xid above zero that are not answered yet.
    pub fn queued(&self) -> i64 {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// A request came in; only those with an xid above zero count as queued.
    pub fn request_in(&self, xid: i32) {
        if xid > 0 {
            self.outstanding.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The answer to a request is in the outbox.
    pub fn request_done(&self, xid: i32) {
        if xid > 0 {
            self.outstanding.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// What the last requests left behind.
    pub fn last(&self) -> LastRequest {
        let op = self.last_op.load(Ordering::Relaxed);
        let name = || OpCode(op).op().map_or("NA", short_name);
        let count = self.count.load(Ordering::Relaxed);
        let total = self.total_latency.load(Ordering::Relaxed);
        LastRequest {
            op: (op != NEVER).then(name),
            cxid: self.last_cxid.load(Ordering::Relaxed),
            zxid: self.last_zxid.load(Ordering::Relaxed),
            at: self.last_response.load(Ordering::Relaxed),
            latency: self.last_latency.load(Ordering::Relaxed),
            min_latency: match self.min_latency.load(Ordering::Relaxed) {
                i64::MAX => 0,
                least => least,
            },
            max_latency: self.max_latency.load(Ordering::Relaxed),
            avg_latency: if count > 0 { total / count } else { 0 },
        }
    }
}
