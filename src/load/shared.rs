//! What the connections of a run have in common, over all threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use jute::proto::AuthPacket;
use jute::{Buffer, Op};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, watch};

use super::pipe::AUTH_XID;
use super::tally::{Tally, Window};
use super::wire::frame;

/// What a thread tells the one that began the run.
#[derive(Debug)]
pub(super) enum Told {
    /// A connection is open.
    Open,
    /// The run cannot go on.
    Failed(String),
    /// All connections of one thread have ended.
    Ended,
}

/// Something that says who the clients are, on each of their connections.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Such as `digest`.
    pub scheme: String,
    /// Such as `name:password`.
    pub credentials: Buffer,
}

impl Identity {
    pub(super) fn packet(&self) -> BytesMut {
        let packet = AuthPacket {
            kind: 0,
            scheme: Some(self.scheme.as_str().into()),
            auth: self.credentials.clone(),
        };
        frame(AUTH_XID, Op::Auth, |w| w.put(&packet))
    }
}

/// What all connections use.
#[derive(Debug)]
pub(super) struct Shared {
    base: Instant,
    /// Host names and ports.
    pub servers: Vec<(String, u16)>,
    pub session_timeout: Duration,
    pub identity: Option<Identity>,
    /// How long answers are awaited after the end.
    pub patience: Duration,
    from: AtomicU64,
    to: AtomicU64,
    /// Since when the oldest request of each connection has no answer; 0 where all have one.
    waiting: Vec<AtomicU64>,
    tell: mpsc::UnboundedSender<Told>,
    begun: watch::Receiver<bool>,
    /// What threads used of the processor, and over which time, both in ns.
    pub busy: Mutex<Vec<(u64, u64)>>,
    /// Servers do not take any number of connections at once.
    pub opening: Semaphore,
}

/// Connections that are opened at once.
const OPENING: usize = 32;

impl Shared {
    pub fn new(
        servers: Vec<(String, u16)>,
        connections: u32,
        times: (Duration, Duration),
        identity: Option<Identity>,
        tell: mpsc::UnboundedSender<Told>,
        begun: watch::Receiver<bool>,
    ) -> Shared {
        Shared {
            base: Instant::now(),
            servers,
            session_timeout: times.0,
            identity,
            patience: times.1,
            from: AtomicU64::new(u64::MAX),
            to: AtomicU64::new(u64::MAX),
            waiting: (0..connections).map(|_| AtomicU64::new(0)).collect(),
            tell,
            begun,
            busy: Mutex::default(),
            opening: Semaphore::new(OPENING),
        }
    }

    /// ns since the run was made.
    pub fn now(&self) -> u64 {
        self.base.elapsed().as_nanos() as u64
    }

    pub fn window(&self) -> Window {
        Window {
            from: self.from.load(Ordering::Relaxed),
            to: self.to.load(Ordering::Relaxed),
        }
    }

    pub fn set_window(&self, window: Window) {
        self.from.store(window.from, Ordering::Relaxed);
        self.to.store(window.to, Ordering::Relaxed);
    }

    /// Nothing is due any more.
    pub fn stop(&self) {
        self.to.fetch_min(self.now(), Ordering::Relaxed);
    }

    /// Whether nobody waits for answers any more.
    pub fn is_late(&self, now: u64) -> bool {
        let end = self.window().to;
        now.saturating_sub(end) > self.patience.as_nanos() as u64
    }

    pub fn fail(&self, why: String) {
        // Nobody listens where the run is over.
        let _ = self.tell.send(Told::Failed(why));
        self.stop();
    }

    pub fn tell(&self, told: Told) {
        let _ = self.tell.send(told);
    }

    /// Waits until all connections are open; false if the run ends before that.
    pub async fn begins(&self) -> bool {
        let mut begun = self.begun.clone();
        begun.wait_for(|begun| *begun).await.is_ok()
    }

    pub fn waits(&self, connection: u32, since: Option<u64>) {
        if let Some(waiting) = self.waiting.get(connection as usize) {
            waiting.store(since.unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Age of the oldest request without an answer.
    pub fn oldest(&self) -> Duration {
        let waiting = self
            .waiting
            .iter()
            .map(|since| since.load(Ordering::Relaxed));
        let oldest = waiting.filter(|since| *since > 0).min();
        Duration::from_nanos(oldest.map_or(0, |since| self.now().saturating_sub(since)))
    }
}

/// One connection's place in a run.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its number.
    pub number: u32,
    pub shared: Arc<Shared>,
    /// Of its thread.
    pub tally: Arc<Mutex<Tally>>,
    /// Which server it is at.
    pub server: usize,
}
