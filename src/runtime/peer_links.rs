//! The quorum port: connections between a leader and its learners.
//!
//! ```text
//!   commit loop --- to_learner, to_leader, close, .. ---> queue per link ---> socket
//!   commit loop <--- Joined, FromLearner, FromLeader, LinkLost, .. --- mailbox <--- socket
//! ```
//!
//! The port is open as long as the server runs; whether anybody can be led is for the core to say. A connection that
//! was accepted is nobody's until it has registered, which it has to do first and soon.
//!
//! The commit loop never waits for a socket: what it sends is queued, and at the end of the loop's round either taken
//! by the system at once or left to the task of the connection, which is woken for it. A queue that grows beyond its
//! budget costs the other side its connection. Learners are always read, so that acknowledgements arrive however much
//! is on its way out; a leader is not read while the disk is behind.
//! Source: `Leader.LearnerCnxAcceptor`, `LearnerHandler`, `Learner.connectToLeader`.

mod link;
mod outgoing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::link::{Learner, Link, QueueMetrics, Side, refused};
use self::outgoing::Outgoing;
pub use self::outgoing::SnapshotSource;
use super::clock::Clock;
use super::log_writer::LogQueue;
use super::mailbox::{Mailbox, Message};
use super::ports::{self, Address, Complaints};
use crate::base::{ServerId, WallMs, Zxid};
use crate::config::limits;
use crate::metrics::Metrics;
use crate::storage::snapshot::SnapshotProblem;
use crate::tree::Tree;
use crate::zab::io::{Input, LearnerKind, LinkId};
use crate::zab::packet::{FromLeader, FromLearner, Registration, take_packet};

/// Makes a tree of the stream behind a SNAP.
pub trait SnapshotSink: Send {
    /// Takes what it can use off the front of `bytes`. The tree, once the stream is complete; what is left then
    /// belongs to the packets that follow.
    ///
    /// # Errors
    /// If this is no snapshot.
    fn feed(&mut self, bytes: &mut BytesMut) -> Result<Option<Box<Tree>>, SnapshotProblem>;
}

/// What the quorum port is told once.
#[derive(Clone)]
pub struct PeerPortOptions {
    /// Quorum addresses of every server of the configuration, as configured.
    pub members: BTreeMap<ServerId, Vec<Address>>,
    /// How long a new connection may take to register, and how long one may take nothing of what is sent, or
    /// give nothing of a snapshot (`tickTime * initLimit`).
    pub registration_timeout: Duration,
    /// How long reaching a leader may take in all (`connectToLearnerMasterLimit`, or else `initLimit`).
    pub dial_timeout: Duration,
    /// Time between two tries of it (`leaderConnectDelayDuringRetryMs`).
    pub dial_pause: Duration,
    /// What a learner's leader fills: its link is not read while there is no room.
    pub log: Arc<LogQueue>,
    /// Longest data of a packet, in bytes.
    pub packet_limit: usize,
    /// Where the port's times and queues are measured.
    pub metrics: Arc<Metrics>,
    /// Makes what reads the snapshot of that zxid that a leader sends.
    pub snapshots: Arc<dyn Fn(Zxid) -> Box<dyn SnapshotSink> + Send + Sync>,
}

/// The open quorum port.
#[derive(Clone)]
pub struct PeerLinks {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    runtime: Handle,
}

/// One observer of a leader, for operators.
#[derive(Clone, Debug)]
pub struct ObserverLink {
    /// Its number, if it said one.
    pub server: Option<ServerId>,
    /// Where it comes from.
    pub remote: SocketAddr,
    /// When it came.
    pub since: WallMs,
    /// Bytes that are not sent to it yet.
    pub waiting_bytes: u64,
    /// Packets that it sent.
    pub received: u64,
    /// Packets that it was sent, the waiting ones among them.
    pub sent: u64,
    /// Those it sent that passed on what a client asked for.
    pub requests: u64,
    /// The last zxid that it was told of; -1 before the first.
    pub last_zxid: i64,
}

struct Shared {
    options: PeerPortOptions,
    mailbox: Arc<Mailbox>,
    links: Mutex<BTreeMap<LinkId, Arc<Link>>>,
    /// The next connection's number.
    next: AtomicU64,
    dial: Mutex<Dial>,
    stop: CancellationToken,
    complaints: Complaints,
}

/// The last attempt to reach a leader.
struct Dial {
    /// Ends it.
    attempt: CancellationToken,
    /// What came of it.
    link: Option<LinkId>,
}

impl PeerLinks {
    /// Accepts on `listeners` and is ready to dial. To be called on a runtime.
    pub fn start(
        options: PeerPortOptions,
        listeners: Vec<TcpListener>,
        mailbox: Arc<Mailbox>,
    ) -> PeerLinks {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            options,
            mailbox,
            links: Mutex::default(),
            next: AtomicU64::new(1),
            dial: Mutex::new(Dial {
                attempt: stop.child_token(),
                link: None,
            }),
            stop,
            complaints: Complaints::default(),
        });
        let links = PeerLinks {
            shared,
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
        };
        let unnamed = Arc::new(Semaphore::new(limits::PEERS_UNNAMED));
        for listener in listeners {
            links.spawn(links.clone().accept(listener, unnamed.clone()));
        }
        links
    }

    /// Begins a round of the commit loop, the only one that sends.
    pub fn round(&self) -> Round<'_> {
        Round {
            shared: &self.shared,
            used: Vec::new(),
            next: 0,
        }
    }

    /// Closes a connection that nothing was sent over yet.
    pub fn refuse(&self, link: LinkId) {
        self.round().close(link);
    }

    /// Reports [`Input::Drained`] once little is left of what waits now.
    pub fn report_drained(&self, link: LinkId) {
        if let Some(link) = self.shared.link(link) {
            let drained = link.outgoing.lock().mark();
            link.report_drained(&self.shared, drained.into());
        }
    }

    /// Keeps a finished snapshot for a learner until it is asked for.
    pub fn snapshot_ready(&self, link: LinkId, snapshot: Box<dyn SnapshotSource>) {
        if let Some(link) = self.shared.link(link) {
            *link.snapshot.lock() = Some(snapshot);
        }
    }

    /// Connects to `leader`; gives up what was being dialled before.
    pub fn dial(&self, leader: ServerId) {
        let attempt = self.shared.stop.child_token();
        let dial = Dial {
            attempt: attempt.clone(),
            link: None,
        };
        let last = std::mem::replace(&mut *self.shared.dial.lock(), dial);
        last.attempt.cancel();
        let links = self.clone();
        self.spawn(async move {
            attempt
                .run_until_cancelled(links.dialled(leader, &attempt))
                .await;
        });
    }

    /// Whether `link` came of the last [`PeerLinks::dial`].
    pub fn is_current(&self, link: LinkId) -> bool {
        self.shared.dial.lock().link == Some(link)
    }

    /// Closes everything.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.shared.stop.clone();
        let until_stopped = async move {
            stop.run_until_cancelled_owned(work).await;
        };
        self.tasks.spawn_on(until_stopped, &self.runtime);
    }

    async fn accept(self, listener: TcpListener, unnamed: Arc<Semaphore>) {
        loop {
            let complaints = &self.shared.complaints;
            let (stream, remote) = ports::accept(&listener, "the quorum port", complaints).await;
            let Ok(place) = unnamed.clone().try_acquire_owned() else {
                self.shared
                    .complain(remote, "too many connections do not register");
                continue;
            };
            let links = self.clone();
            self.spawn(async move {
                links.greet(stream, remote).await;
                drop(place);
            });
        }
    }

    /// Waits for the registration.
    async fn greet(&self, mut stream: TcpStream, remote: SocketAddr) {
        let limit = self.shared.options.packet_limit.min(REGISTRATION_BYTES);
        let hearing = async {
            ports::prepare(&stream, false)?;
            hear_registration(&mut stream, limit).await
        };
        let heard = tokio::time::timeout(self.shared.options.registration_timeout, hearing).await;
        let (kind, registration, rest) = match heard {
            Ok(Ok(heard)) => heard,
            Ok(Err(error)) => return self.shared.complain(remote, error),
            Err(_) => return self.shared.complain(remote, "it did not register in time"),
        };
        if self.shared.links.lock().len() >= limits::PEER_LINKS {
            return self
                .shared
                .complain(remote, "too many learners are connected");
        }
        let name = match registration.server {
            Some(server) => format!("server {server} at {remote}"),
            None => format!("a server at {remote}"),
        };
        tracing::info!("{name} registers as {kind:?}");
        let link = self.shared.add(name);
        // A connection has one learner.
        let _ = link.learner.set(Learner {
            server: registration.server,
            kind,
            remote,
            since: Clock.now().wall,
            queue: registration
                .server
                .map(|server| QueueMetrics::of(&self.shared.options.metrics, server)),
        });
        self.shared.mailbox.push(Message::peer(Input::Joined {
            link: link.id,
            kind,
            registration,
        }));
        self.spawn(link.run(self.shared.clone(), Side::Leader, stream, rest));
    }

    /// Observers that are connected to this server, by the age of their connection.
    ///
    /// Source: `Leader.getObservingLearnersInfo`.
    pub fn observers(&self) -> Vec<ObserverLink> {
        let links = self.shared.links.lock();
        links
            .values()
            .filter_map(|link| {
                let learner = link.learner.get()?;
                let outgoing = link.outgoing.lock();
                let (sent, last_zxid) = outgoing.told();
                (learner.kind == LearnerKind::Observer).then(|| ObserverLink {
                    server: learner.server,
                    remote: learner.remote,
                    since: learner.since,
                    waiting_bytes: outgoing.waiting(),
                    received: link.heard.load(Ordering::Relaxed),
                    sent,
                    requests: link.requests.load(Ordering::Relaxed),
                    last_zxid,
                })
            })
            .collect()
    }

    /// Bytes that wait to be sent, over all connections.
    pub fn waiting_bytes(&self) -> u64 {
        let links = self.shared.links.lock();
        let waiting = links.values().map(|link| link.outgoing.lock().waiting());
        waiting.sum()
    }

    /// What observers sent and were sent counts from here on.
    ///
    /// Source: `LearnerHandler.resetObserverConnectionStats`.
    pub fn reset_observers(&self) {
        for link in self.shared.links.lock().values() {
            let learner = link.learner.get();
            if learner.is_some_and(|learner| learner.kind == LearnerKind::Observer) {
                link.outgoing.lock().reset();
                link.heard.store(0, Ordering::Relaxed);
                link.requests.store(0, Ordering::Relaxed);
            }
        }
    }

    async fn dialled(&self, leader: ServerId, attempt: &CancellationToken) {
        let options = &self.shared.options;
        let addresses = options.members.get(&leader).map_or(&[][..], Vec::as_slice);
        let deadline = Instant::now() + options.dial_timeout;
        for number in 1..=DIAL_TRIES {
            let left = deadline.saturating_duration_since(Instant::now());
            match ports::reach(addresses, left, false).await {
                Ok(stream) => return self.reached(leader, stream, attempt),
                Err(error) => tracing::info!(
                    "server {leader}, which leads, cannot be reached yet (try {number}): {error}"
                ),
            }
            if number < DIAL_TRIES && Instant::now() + options.dial_pause < deadline {
                tokio::time::sleep(options.dial_pause).await;
            }
        }
        if !attempt.is_cancelled() {
            self.shared
                .mailbox
                .push(Message::peer(Input::LeaderUnreachable));
        }
    }

    fn reached(&self, leader: ServerId, stream: TcpStream, attempt: &CancellationToken) {
        let mut dial = self.shared.dial.lock();
        // Another one was asked for meanwhile.
        if attempt.is_cancelled() {
            return;
        }
        let link = self.shared.add(format!("server {leader}, which leads"));
        dial.link = Some(link.id);
        self.shared
            .mailbox
            .push(Message::peer(Input::LeaderReached { link: link.id }));
        self.spawn(link.run(self.shared.clone(), Side::Learner, stream, BytesMut::new()));
    }
}

/// What one round of the commit loop sends: nothing goes out before its end.
///
/// It looks a connection up once, however many packets go over it.
pub struct Round<'a> {
    shared: &'a Shared,
    /// Those that something was queued for.
    used: Vec<Arc<Link>>,
    /// Place of the one that is likely to be next: a leader sends each packet to all of them in turn.
    next: usize,
}

impl Round<'_> {
    /// Queues a packet for a learner.
    pub fn to_learner(&mut self, link: LinkId, packet: FromLeader) {
        let packet = packet.encode();
        self.queue(link, |outgoing| outgoing.push(&packet));
    }

    /// Queues a packet for the leader.
    pub fn to_leader(&mut self, link: LinkId, packet: FromLearner) {
        match packet {
            FromLearner::Request(request) => {
                self.queue(link, |outgoing| {
                    outgoing.push_with(|out| request.write(out))
                });
            }
            packet => {
                let packet = packet.encode();
                self.queue(link, |outgoing| outgoing.push(&packet));
            }
        }
    }

    /// Queues the snapshot that was kept.
    pub fn stream_snapshot(&mut self, link: LinkId) {
        let Some(found) = self.shared.link(link) else {
            return;
        };
        match found.snapshot.lock().take() {
            Some(snapshot) => self.queue(link, |outgoing| {
                outgoing.push_snapshot(snapshot);
                true
            }),
            None => found.fail(self.shared, "there is no snapshot for it"),
        }
    }

    /// Closes a connection, once what waits is sent or a moment has passed. Nothing is heard of it any more.
    pub fn close(&mut self, link: LinkId) {
        self.used.retain(|used| {
            let other = used.id != link;
            if !other {
                used.flush(self.shared);
            }
            other
        });
        if let Some(link) = self.shared.forget(link) {
            link.close();
        }
    }

    /// Sends what was queued, or has it sent.
    pub fn flush(self) {
        for link in self.used {
            link.flush(self.shared);
        }
    }

    fn queue(&mut self, link: LinkId, push: impl FnOnce(&mut Outgoing) -> bool) {
        let Some(place) = self.place(link) else {
            return;
        };
        let fits = push(&mut self.used[place].outgoing.lock());
        if !fits {
            let link = self.used.swap_remove(place);
            link.fail(self.shared, "it takes less than there is to send");
        }
    }

    fn place(&mut self, link: LinkId) -> Option<usize> {
        let (before, after) = self.used.split_at(self.next.min(self.used.len()));
        let wanted = |used: &Arc<Link>| used.id == link;
        let found = match after.iter().position(wanted) {
            Some(place) => Some(before.len() + place),
            None => before.iter().position(wanted),
        };
        let place = match found {
            Some(place) => place,
            None => {
                self.used.push(self.shared.link(link)?);
                self.used.len() - 1
            }
        };
        self.next = place + 1;
        Some(place)
    }
}

impl Shared {
    fn link(&self, link: LinkId) -> Option<Arc<Link>> {
        self.links.lock().get(&link).cloned()
    }

    fn add(&self, name: String) -> Arc<Link> {
        let id = LinkId(self.next.fetch_add(1, Ordering::Relaxed));
        let link = Arc::new(Link::new(id, name, self.stop.child_token()));
        self.links.lock().insert(id, link.clone());
        link
    }

    fn forget(&self, link: LinkId) -> Option<Arc<Link>> {
        self.links.lock().remove(&link)
    }

    fn complain(&self, remote: SocketAddr, why: impl std::fmt::Display) {
        self.complaints.say(format_args!(
            "{remote}: connection to the quorum port closed: {why}"
        ));
    }
}

/// The first packet of a connection, and what came behind it.
async fn hear_registration(
    stream: &mut TcpStream,
    limit: usize,
) -> io::Result<(LearnerKind, Registration, BytesMut)> {
    let mut heard = BytesMut::with_capacity(REGISTRATION_BYTES);
    loop {
        if let Some(packet) = take_packet(&mut heard, limit).map_err(refused)? {
            return match FromLearner::decode(packet).map_err(refused)? {
                FromLearner::FollowerInfo(said) => Ok((LearnerKind::Follower, said, heard)),
                FromLearner::ObserverInfo(said) => Ok((LearnerKind::Observer, said, heard)),
                _ => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "it does not begin with a registration",
                )),
            };
        }
        if stream.read_buf(&mut heard).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// More than any registration needs.
const REGISTRATION_BYTES: usize = 256;

/// Tries to reach a leader. Source: `Learner.LeaderConnector`.
const DIAL_TRIES: u32 = 5;
