//! The handle of a session, its states and its events.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jute::{Buffer, Str};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::link::Link;
use super::request::{Answer, Identity, Request, frame};
use super::servers::Servers;
use super::watches::Change;
use jute::{Op, Writer};

/// A session with an ensemble. Cheap to clone; closes when the last clone is dropped, better with [`Client::close`].
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub servers: Servers,
    requests: mpsc::Sender<Request>,
    status: watch::Receiver<Status>,
    closing: CancellationToken,
}

/// How a session is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Wanted session timeout; the server decides within its bounds.
    pub session_timeout: Duration,
    /// Whether a server without a quorum will do, for reads.
    pub read_only: bool,
    /// Longest reply, in bytes (Java's `jute.maxbuffer`, which is 1 MiB there). Memory is taken as bytes arrive.
    pub max_frame: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            session_timeout: Duration::from_secs(30),
            read_only: false,
            max_frame: 64 << 20,
        }
    }
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No connection, not yet or not any more. As an event: Java's `Disconnected`.
    Connecting,
    /// With a server. As an event: Java's `SyncConnected`.
    Connected,
    /// With a server that has no quorum.
    ConnectedReadOnly,
    /// Over: an identity was refused.
    AuthFailed,
    /// Over: the servers gave it up.
    Expired,
    /// Over: closed from here.
    Closed,
}

impl State {
    /// Whether the session can still be used.
    pub fn is_alive(self) -> bool {
        matches!(
            self,
            State::Connecting | State::Connected | State::ConnectedReadOnly
        )
    }

    /// Whether there is a connection.
    pub fn is_connected(self) -> bool {
        matches!(self, State::Connected | State::ConnectedReadOnly)
    }

    /// What an operation on a session that is over ends with.
    pub(super) fn error(self) -> Error {
        match self {
            State::AuthFailed => Error::AuthFailed,
            State::Expired => Error::SessionExpired,
            State::Closed => Error::Closed,
            State::Connecting | State::Connected | State::ConnectedReadOnly => {
                Error::ConnectionLoss
            }
        }
    }
}

/// What [`Client::state`] and its like are read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    pub state: State,
    pub session_id: i64,
    pub timeout: Duration,
    pub server: Option<SocketAddr>,
}

/// What happens to a session without being asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session's state changed.
    State(State),
    /// A watch fired or was removed.
    Watch {
        /// What happened.
        kind: EventKind,
        /// The znode, as the caller knows it.
        path: Str,
        /// The transaction that did it; -1 where the server does not say.
        zxid: i64,
        /// False where a watch was removed while there was no connection.
        connected: bool,
    },
}

/// What a watch tells. Source: `Watcher.Event.EventType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are Java's
pub enum EventKind {
    NodeCreated,
    NodeDeleted,
    NodeDataChanged,
    NodeChildrenChanged,
    DataWatchRemoved,
    ChildWatchRemoved,
    PersistentWatchRemoved,
}

/// The events of a session, in order. Dropped, they are dropped; kept, they must be taken.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

impl Events {
    /// The next event; None after the end of the session.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }

    /// The next event if it has come already.
    pub fn ready(&mut self) -> Option<Event> {
        self.0.try_recv().ok()
    }
}

impl Client {
    /// Opens a session with `servers` (`host:port,host:port/chroot`) and waits for it, `timeout` at most, which is
    /// also the session timeout asked for.
    ///
    /// # Errors
    /// [`Error::Servers`], or [`Error::NoServer`] when the time is over.
    pub async fn connect(servers: &str, timeout: Duration) -> Result<(Client, Events), Error> {
        let options = Options {
            session_timeout: timeout,
            ..Options::default()
        };
        let (client, events) = Client::open(Servers::parse(servers)?, options);
        client.wait_connected(timeout).await?;
        Ok((client, events))
    }

    /// Begins a session and returns at once: requests wait for the connection.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(servers: Servers, options: Options) -> (Client, Events) {
        let (requests, waiting) = mpsc::channel(WAITING_REQUESTS);
        let (events, taken) = mpsc::channel(WAITING_EVENTS);
        let (status, seen) = watch::channel(Status {
            state: State::Connecting,
            session_id: 0,
            timeout: options.session_timeout,
            server: None,
        });
        let closing = CancellationToken::new();
        let link = Link::new(
            servers.clone(),
            options,
            waiting,
            events,
            status,
            closing.clone(),
        );
        tokio::spawn(link.run());
        let inner = Inner {
            servers,
            requests,
            status: seen,
            closing,
        };
        let inner = Arc::new(inner);
        (Client { inner }, Events(taken))
    }

    /// Waits until there is a connection.
    ///
    /// # Errors
    /// [`Error::NoServer`] when `timeout` is over, or why the session is.
    pub async fn wait_connected(&self, timeout: Duration) -> Result<(), Error> {
        let mut status = self.inner.status.clone();
        let settled = |status: &Status| status.state.is_connected() || !status.state.is_alive();
        let waited = tokio::time::timeout(timeout, status.wait_for(settled)).await;
        match waited {
            Ok(Ok(status)) if status.state.is_connected() => Ok(()),
            Ok(Ok(status)) => Err(status.state.error()),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(Error::NoServer(self.inner.servers.to_string())),
        }
    }

    /// How the session stands.
    pub fn state(&self) -> State {
        self.inner.status.borrow().state
    }

    /// The session's id; 0 before the first connection.
    pub fn session_id(&self) -> i64 {
        self.inner.status.borrow().session_id
    }

    /// The session timeout: as asked for, then as the server gave it.
    pub fn session_timeout(&self) -> Duration {
        self.inner.status.borrow().timeout
    }

    /// The server of the connection, if there is one.
    pub fn server(&self) -> Option<SocketAddr> {
        self.inner.status.borrow().server
    }

    /// Ends the session: what was sent before is answered, its ephemeral znodes go. Waits for the server's word.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        let mut status = self.inner.status.clone();
        // An error means that the task is over, which is what is waited for.
        let _ = status.wait_for(|status| !status.state.is_alive()).await;
    }

    /// Says who the caller is, now and on every later connection.
    ///
    /// # Errors
    /// [`Error::AuthFailed`] if the server does not believe it; the session is over then.
    pub async fn add_auth(&self, scheme: &str, auth: impl Into<Buffer>) -> Result<(), Error> {
        let identity = Identity {
            scheme: scheme.to_owned(),
            auth: auth.into(),
        };
        let frame = frame(Op::Auth, |w| w.put(&identity.packet()));
        let (answer, answered) = oneshot::channel();
        let request = Request {
            op: Op::Auth,
            frame,
            change: None,
            identity: Some(identity),
            answer,
        };
        self.send(request, answered).await.map(|_| ())
    }

    /// Sends one request and waits for its answer.
    pub(super) async fn call(
        &self,
        op: Op,
        change: Option<Change>,
        body: impl FnOnce(&mut Writer<'_>),
    ) -> Answer {
        let (answer, answered) = oneshot::channel();
        let request = Request {
            op,
            frame: frame(op, body),
            change,
            identity: None,
            answer,
        };
        self.send(request, answered).await
    }

    async fn send(&self, request: Request, answered: oneshot::Receiver<Answer>) -> Answer {
        let ended = || self.state().error();
        self.inner
            .requests
            .send(request)
            .await
            .map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// Requests waiting for the connection; who has more waits for room.
const WAITING_REQUESTS: usize = 1024;
/// Events nobody has taken; the connection is not read while there are as many.
const WAITING_EVENTS: usize = 1024;
