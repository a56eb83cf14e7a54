//! The election port: who may talk to whom over which connection, and the newest word for each.
//!
//! ```text
//!   commit loop --- notify(to, word) ---> one slot per server ---> link ---> socket
//!   commit loop <--- Notification, ElectionLink --- mailbox <--- link, dials, listener
//! ```
//!
//! There is one connection per pair of servers: the one that the server with the larger id dialled. A server with the
//! smaller id dials as well, says who it is and closes again: that asks the other one to call. A newer connection
//! replaces the one before it, since the other side may have been restarted without a word.
//!
//! A word that was not sent yet gives way to the next. A new connection begins with the last word sent, unless a newer
//! one waits: the last one may have been lost with the old connection. Nobody dials unless there is something to say;
//! the election repeats itself while it has no answer.
//!
//! Differs from Java where it cannot be told apart from slowness: a silent connection holds up nobody else, all
//! addresses of a server are tried, a server that was asked to call gets a moment before it is asked again, and a
//! connection that is not wanted any more is closed without the words that would make the other side call.
//! Source: `QuorumCnxManager`.

mod link;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::mailbox::{Mailbox, Message};
use super::ports::{self, Address, Complaints};
use crate::base::ServerId;
use crate::config::limits;
use crate::zab::io::Input;
use crate::zab::vote::{ElectionAddress, InitialMessage, Notification};

/// What the election port is told once.
#[derive(Clone, Debug)]
pub struct ElectionOptions {
    /// This server.
    pub me: ServerId,
    /// Election addresses of every server of the configuration, this one included, as configured.
    pub members: BTreeMap<ServerId, Vec<Address>>,
    /// Whether all own addresses are told to others (`multiAddress.enabled`), not only the first.
    pub multi_address: bool,
    /// How long connecting may take (`cnxTimeout`).
    pub connect_timeout: Duration,
    /// How long a new connection may take to say who it is.
    pub handshake_timeout: Duration,
    /// Whether idle connections are probed by the kernel (`tcpKeepAlive`).
    pub keep_alive: bool,
}

/// The open election port.
#[derive(Clone)]
pub struct ElectionLinks {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    runtime: Handle,
}

struct Shared {
    options: ElectionOptions,
    mailbox: Arc<Mailbox>,
    peers: Mutex<BTreeMap<ServerId, Other>>,
    /// Numbers connections, so that one that ends late does not take its successor along.
    links: AtomicU64,
    stop: CancellationToken,
    complaints: Complaints,
}

/// What is known of another server.
#[derive(Default)]
struct Other {
    /// Of the configuration; others are forgotten with their connection.
    member: bool,
    /// The newest word, not sent yet.
    waiting: Option<Bytes>,
    /// The last word sent.
    last: Option<Bytes>,
    link: Option<Link>,
    /// One dial at a time.
    dialling: bool,
    /// It was asked to call a moment ago. Until it has, or the moment is over, it is neither asked again nor taken for
    /// lost: to call it closes what there is.
    asked: bool,
}

/// The connection to another server.
struct Link {
    number: u64,
    end: CancellationToken,
    news: Arc<Notify>,
}

impl ElectionLinks {
    /// Accepts on `listeners` and is ready to dial. To be called on a runtime.
    pub fn start(
        options: ElectionOptions,
        listeners: Vec<TcpListener>,
        mailbox: Arc<Mailbox>,
    ) -> ElectionLinks {
        let others = options
            .members
            .keys()
            .filter(|server| **server != options.me);
        let peers = others.map(|server| {
            let other = Other {
                member: true,
                ..Other::default()
            };
            (*server, other)
        });
        let shared = Arc::new(Shared {
            peers: Mutex::new(peers.collect()),
            options,
            mailbox,
            links: AtomicU64::new(0),
            stop: CancellationToken::new(),
            complaints: Complaints::default(),
        });
        let links = ElectionLinks {
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

    /// Sends `notification` to `to` in place of what still waits to be sent there, and dials if there is no connection.
    pub fn notify(&self, to: ServerId, notification: &Notification) {
        let mut word = BytesMut::new();
        notification.write(&mut word);
        let mut peers = self.shared.peers.lock();
        let Some(other) = peers.get_mut(&to) else {
            tracing::debug!("server {to} is not configured and not connected: nothing to tell it");
            return;
        };
        other.waiting = Some(word.freeze());
        match &other.link {
            Some(link) => link.news.notify_one(),
            None => self.dial(to, other, None),
        }
    }

    /// Closes everything.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.shared.stop.clone();
        let until_stopped = async move { stop.run_until_cancelled_owned(work).await };
        self.tasks.spawn_on(until_stopped, &self.runtime);
    }

    async fn accept(self, listener: TcpListener, unnamed: Arc<Semaphore>) {
        loop {
            let complaints = &self.shared.complaints;
            let (stream, remote) = ports::accept(&listener, "the election port", complaints).await;
            match unnamed.clone().try_acquire_owned() {
                Ok(place) => {
                    let links = self.clone();
                    self.spawn(async move {
                        links.greet(stream, remote).await;
                        drop(place);
                    });
                }
                Err(_) => self
                    .shared
                    .complain(remote, "too many connections do not say who they are"),
            }
        }
    }

    /// Hears who dialled.
    async fn greet(&self, mut stream: TcpStream, remote: SocketAddr) {
        let hearing = async {
            ports::prepare(&stream, self.shared.options.keep_alive)?;
            hear_initial(&mut stream).await
        };
        let heard = tokio::time::timeout(self.shared.options.handshake_timeout, hearing).await;
        match heard {
            Ok(Ok((message, rest))) => self.met(stream, remote, &message, rest),
            Ok(Err(error)) => self.shared.complain(remote, &error),
            Err(_) => self
                .shared
                .complain(remote, "it did not say in time who it is"),
        }
    }

    /// The sid rule, as the one who was dialled. Source: `QuorumCnxManager.handleConnection`.
    fn met(&self, stream: TcpStream, remote: SocketAddr, message: &InitialMessage, rest: BytesMut) {
        let server = message.server();
        if server == self.shared.options.me {
            return self.shared.complain(
                remote,
                "it says that it is this server; do two servers have the same myid?",
            );
        }
        let mut peers = self.shared.peers.lock();
        let strangers = peers
            .len()
            .saturating_sub(self.shared.options.members.len());
        if !peers.contains_key(&server) && strangers >= limits::ELECTION_STRANGERS {
            return self
                .shared
                .complain(remote, "too many servers are not configured");
        }
        let other = peers.entry(server).or_default();
        if server > self.shared.options.me {
            return self.connected(server, other, stream, remote, rest);
        }
        // It was restarted, perhaps, and cannot hear us on the old one.
        if let Some(link) = other.link.take() {
            link.end.cancel();
        }
        drop(stream);
        let addresses: Vec<Address> = message.addresses().map(Address::from).collect();
        let told = (!addresses.is_empty()).then_some(addresses);
        self.dial(server, other, told);
    }

    /// Connects to `server` at the addresses it `told`, or else at those of the configuration.
    fn dial(&self, server: ServerId, other: &mut Other, told: Option<Vec<Address>>) {
        if other.dialling || other.asked {
            return;
        }
        let configured = self.shared.options.members.get(&server);
        let Some(addresses) = told.or_else(|| configured.cloned()) else {
            return;
        };
        other.dialling = true;
        let links = self.clone();
        self.spawn(async move { links.dialled(server, &addresses).await });
    }

    /// The sid rule, as the one who dials. Source: `QuorumCnxManager.startConnection`.
    async fn dialled(&self, server: ServerId, addresses: &[Address]) {
        let options = &self.shared.options;
        let reached = ports::reach(addresses, options.connect_timeout, options.keep_alive).await;
        let dialled = match reached {
            Ok(stream) if self.shared.is_wanted(server) => self.introduce(stream).await.map(Some),
            // It called meanwhile.
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        };
        let mut peers = self.shared.peers.lock();
        let Some(other) = peers.get_mut(&server) else {
            return;
        };
        other.dialling = false;
        match dialled {
            Ok(Some(stream)) if server < options.me => match stream.peer_addr() {
                Ok(remote) => self.connected(server, other, stream, remote, BytesMut::new()),
                Err(_) => self.shared.unreachable(server, other),
            },
            Ok(Some(stream)) => {
                drop(stream);
                self.await_call(server);
            }
            Ok(None) => {}
            Err(error) => {
                other.asked = false;
                tracing::info!("server {server} cannot be reached at its election port: {error}");
                self.shared.unreachable(server, other);
            }
        }
        self.shared.forget_stranger(server, &mut peers);
    }

    /// Says who this server is, in one write: Java wants it in one piece.
    async fn introduce(&self, mut stream: TcpStream) -> io::Result<TcpStream> {
        let options = &self.shared.options;
        let mut own = options
            .members
            .get(&options.me)
            .cloned()
            .unwrap_or_default();
        if !options.multi_address {
            own.truncate(1);
        }
        let own = own
            .into_iter()
            .map(|Address { host, port }| ElectionAddress { host, port });
        let message = match options.multi_address {
            true => InitialMessage::V2(options.me, own.collect()),
            false => InitialMessage::V1(options.me, own.collect()),
        };
        let mut bytes = BytesMut::new();
        message.write(&mut bytes);
        let writing = stream.write_all(&bytes);
        match tokio::time::timeout(options.connect_timeout, writing).await {
            Ok(written) => written.map(|()| stream),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Gives a server that was asked to call a moment to do so.
    fn await_call(&self, server: ServerId) {
        let links = self.clone();
        self.spawn(async move {
            tokio::time::sleep(TO_CALL_BACK).await;
            let mut peers = links.shared.peers.lock();
            if let Some(other) = peers.get_mut(&server) {
                other.asked = false;
                links.shared.unreachable(server, other);
            }
            links.shared.forget_stranger(server, &mut peers);
        });
    }

    /// A connection to keep. Takes the place of the one before it, which nobody hears of again.
    fn connected(
        &self,
        server: ServerId,
        other: &mut Other,
        stream: TcpStream,
        remote: SocketAddr,
        rest: BytesMut,
    ) {
        let link = Link {
            number: self.shared.links.fetch_add(1, Ordering::Relaxed),
            end: self.shared.stop.child_token(),
            news: Arc::default(),
        };
        let running = link::Running {
            server,
            remote,
            number: link.number,
            end: link.end.clone(),
            news: link.news.clone(),
            shared: self.shared.clone(),
        };
        if let Some(old) = other.link.replace(link) {
            old.end.cancel();
        }
        tracing::info!("server {server} is connected for elections, from {remote}");
        self.shared.report(server, other, true);
        self.spawn(running.run(stream, rest));
    }
}

impl Shared {
    /// Whether a connection that was just dialled is still of use. Saying who we are makes a server with a larger id
    /// close what there is and call: from here on that is awaited.
    fn is_wanted(&self, server: ServerId) -> bool {
        let mut peers = self.peers.lock();
        let Some(other) = peers.get_mut(&server).filter(|other| other.link.is_none()) else {
            return false;
        };
        other.asked = server > self.options.me;
        true
    }

    /// The next word for the connection `number`; the last one again if it has said nothing yet.
    fn next_word(&self, server: ServerId, number: u64, is_new: bool) -> Option<Bytes> {
        let mut peers = self.peers.lock();
        let other = peers.get_mut(&server)?;
        other.link.as_ref().filter(|link| link.number == number)?;
        match other.waiting.take() {
            Some(word) => {
                other.last = Some(word.clone());
                Some(word)
            }
            None => other.last.clone().filter(|_| is_new),
        }
    }

    /// The connection `number` ended by itself.
    fn lost(&self, server: ServerId, number: u64) {
        let mut peers = self.peers.lock();
        let Some(other) = peers.get_mut(&server) else {
            return;
        };
        if other
            .link
            .as_ref()
            .is_some_and(|link| link.number == number)
        {
            other.link = None;
            if !other.asked {
                self.unreachable(server, other);
            }
        }
        self.forget_stranger(server, &mut peers);
    }

    fn unreachable(&self, server: ServerId, other: &Other) {
        if other.link.is_none() {
            self.report(server, other, false);
        }
    }

    /// What the election hears of members; of others it could only remember too much.
    fn report(&self, server: ServerId, other: &Other, up: bool) {
        if other.member {
            self.mailbox
                .push(Message::peer(Input::ElectionLink { server, up }));
        }
    }

    fn forget_stranger(&self, server: ServerId, peers: &mut BTreeMap<ServerId, Other>) {
        let gone = |other: &Other| {
            let busy = other.link.is_some() || other.dialling || other.asked;
            !other.member && !busy
        };
        if peers.get(&server).is_some_and(gone) {
            peers.remove(&server);
        }
    }

    fn complain(&self, remote: SocketAddr, why: impl std::fmt::Display) {
        self.complaints.say(format_args!(
            "{remote}: connection to the election port closed: {why}"
        ));
    }
}

impl From<&ElectionAddress> for Address {
    fn from(address: &ElectionAddress) -> Self {
        Address {
            host: address.host.clone(),
            port: address.port,
        }
    }
}

/// The first words of a connection, and what came behind them.
async fn hear_initial(stream: &mut TcpStream) -> io::Result<(InitialMessage, BytesMut)> {
    let mut heard = BytesMut::with_capacity(FIRST_WORDS_BYTES);
    loop {
        match InitialMessage::take(&mut heard) {
            Ok(Some(message)) => return Ok((message, heard)),
            Ok(None) => {}
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
        if stream.read_buf(&mut heard).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Enough for most initial messages.
const FIRST_WORDS_BYTES: usize = 256;

/// How long a server that was asked to call is not asked again. Its answer is one connect away.
const TO_CALL_BACK: Duration = Duration::from_millis(500);
