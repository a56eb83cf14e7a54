//! The port clients connect to.

mod accept;
pub mod codec;
mod conn;
mod instruments;
pub mod throttle;
mod touches;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::admin::Admin;
use crate::base::Mono;
use crate::replica::gate::Gate;
use crate::replica::large::LargeRequests;
use crate::replica::status::Counters;
use crate::runtime::clock::Clock;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::ports::Complaints;

pub use accept::{BindError, Listener, bind};

/// What every connection of the port shares.
pub struct ClientPort {
    /// The tree and its watches.
    pub gate: Arc<Gate>,
    /// What the server counts.
    pub counters: Arc<Counters>,
    /// The way to the commit loop.
    pub mailbox: Arc<Mailbox>,
    /// The process's clock.
    pub clock: Clock,
    /// Four-letter words.
    pub admin: Arc<Admin>,
    /// Longest frame a client may send, in bytes (`jute.maxbuffer`).
    pub frame_limit: usize,
    /// Longest string or buffer inside a frame, in bytes.
    pub field_limit: usize,
    /// Unsent bytes from which on no further requests are read.
    pub reply_backlog_bytes: usize,
    /// Requests inside the loop from which on connections that wait for some are not read.
    pub outstanding_limit: i64,
    /// Requests inside the loop from which on no read is served beside it; None: the throttle is
    /// off.
    pub throttle_limit: Option<i64>,
    /// What handshakes have to pass; None: nothing.
    pub connection_throttle: Option<throttle::ConnectionThrottle>,
    /// What large requests share; None: none is large.
    pub large_requests: Option<Arc<LargeRequests>>,
    /// How long a connection may live without a session; checked in steps of itself.
    pub sessionless: Duration,
    /// Connections per address; 0 is no limit.
    pub max_per_address: usize,
    /// Connections in all; 0 is no limit.
    pub max_connections: usize,
    /// Whether idle sockets are probed by the kernel.
    pub keep_alive: bool,
    /// A read that takes longer is logged; None: none is.
    pub slow_request: Option<Duration>,
    /// Says what is wrong with connections, without flooding the log.
    pub complaints: Complaints,
}

impl ClientPort {
    /// Time left to a new connection: rounded up to the next step, so between one and two of them.
    ///
    /// Source: `ExpiryQueue.roundToNextInterval`, `NIOServerCnxnFactory`.
    fn sessionless_timeout(&self) -> Duration {
        let step = self.sessionless.as_millis().max(1) as i64;
        let Mono(now) = self.clock.mono();
        let deadline = ((now + step) / step + 1) * step;
        Mono(deadline) - Mono(now)
    }
}

/// Told once that the server stops; cheap to ask at every frame.
#[derive(Clone, Default)]
pub struct Stop {
    set: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Stop {
    /// The server stops: accepting ends, and connections close once they have their answers.
    pub fn set(&self) {
        self.set.store(true, Ordering::Release);
        self.token.cancel();
    }

    /// Waits for [`Stop::set`].
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }
}

/// A connection's view of [`Stop`].
struct Stopping {
    set: Arc<AtomicBool>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    armed: bool,
}

impl Stopping {
    fn new(stop: &Stop) -> Self {
        let cancelled = Box::pin(stop.token.clone().cancelled_owned());
        Stopping {
            set: stop.set.clone(),
            cancelled,
            armed: false,
        }
    }

    fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    /// Wakes the task once when it is set. A task's waker stays the same, so one registration is
    /// enough.
    fn poll_set(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_set() {
            return Poll::Ready(());
        }
        if !self.armed {
            self.armed = true;
            return self.cancelled.as_mut().poll(cx);
        }
        Poll::Pending
    }
}
