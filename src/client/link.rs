//! The task of a session: one connection after the other, requests out, replies and events in.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jute::proto::{ConnectResponse, ReplyHeader, SetWatches, SetWatches2, WatcherEvent, xid};
use jute::{ErrorCode, Op, Reader, Wire};
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::handshake::{Credentials, is_writable, shake_hands};
use super::request::{Answer, Identity, Request, XID, frame};
use super::servers::{Servers, rng};
use super::session::{Event, EventKind, Options, State, Status};
use super::watches::{Change, Watches};

/// Everything that outlives a connection.
pub(super) struct Link {
    servers: Servers,
    options: Options,
    requests: mpsc::Receiver<Request>,
    events: mpsc::Sender<Event>,
    status: watch::Sender<Status>,
    closing: CancellationToken,
    rng: SmallRng,
    /// Which server is tried next.
    next: usize,
    session: Credentials,
    last_zxid: i64,
    watches: Watches,
    identities: Vec<Identity>,
}

/// One connection with its session.
struct Connection {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    input: BytesMut,
    output: BytesMut,
    next_xid: i32,
    flight: VecDeque<InFlight>,
    /// Who waits for the answers to auth packets; they come in order, but among others.
    auth: VecDeque<Option<oneshot::Sender<Answer>>>,
    last_heard: Instant,
    last_sent: Instant,
    /// A server silent for as long is given up.
    read_timeout: Duration,
    close_sent: bool,
}

/// What a reply will be matched with.
struct InFlight {
    xid: i32,
    op: Op,
    change: Option<Change>,
    answer: Option<oneshot::Sender<Answer>>,
}

/// Why a connection is of no more use.
enum End {
    /// Try the next server.
    Lost,
    /// The session is over.
    Over(State),
}

impl Link {
    pub fn new(
        mut servers: Servers,
        options: Options,
        requests: mpsc::Receiver<Request>,
        events: mpsc::Sender<Event>,
        status: watch::Sender<Status>,
        closing: CancellationToken,
    ) -> Link {
        let mut rng = rng();
        servers.shuffle(&mut rng);
        Link {
            servers,
            options,
            requests,
            events,
            status,
            closing,
            rng,
            next: 0,
            session: Credentials::default(),
            last_zxid: 0,
            watches: Watches::default(),
            identities: Vec::new(),
        }
    }

    /// Keeps the session until it is over.
    pub async fn run(mut self) {
        let state = self.live().await;
        self.requests.close();
        // The state first: who is told that its request failed may ask for it.
        self.status.send_modify(|status| {
            status.state = state;
            status.server = None;
        });
        while let Ok(request) = self.requests.try_recv() {
            let _ = request.answer.send(Err(state.error()));
        }
        self.tell(Event::State(state)).await;
    }

    async fn live(&mut self) -> State {
        let mut failures = 0;
        loop {
            let closing = self.closing.clone();
            let reached = tokio::select! {
                reached = self.reach() => reached,
                () = closing.cancelled() => return State::Closed,
            };
            let lost = match reached {
                Ok((stream, response)) => {
                    failures = 0;
                    let end = self.serve(stream, response).await;
                    self.status.send_modify(|status| status.server = None);
                    end
                }
                Err(end) => {
                    failures += 1;
                    end
                }
            };
            if let End::Over(state) = lost {
                return state;
            }
            if closing.is_cancelled() {
                return State::Closed;
            }
            if failures == 0 {
                self.enter(State::Connecting).await;
            }
            // Requests wait until each server had its chance.
            let round = failures > 0 && failures % self.servers.addresses.len() == 0;
            if round {
                self.fail_waiting();
            }
            let pause = if round { PAUSE_ROUND } else { PAUSE };
            let pause = self.rng.random_range(Duration::ZERO..=pause);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = closing.cancelled() => return State::Closed,
            }
        }
    }

    /// Connects to the next server. Lost, or the session is over.
    async fn reach(&mut self) -> Result<(TcpStream, ConnectResponse), End> {
        let count = self.servers.addresses.len();
        let address = &self.servers.addresses[self.next % count];
        self.next = (self.next + 1) % count;
        let known = self.status.borrow().timeout;
        let patience = (known / count as u32).max(PATIENCE_MIN);
        let wanted = self.options.session_timeout;
        let read_only = self.options.read_only;
        let shaking = shake_hands(address, self.session, self.last_zxid, wanted, read_only);
        match tokio::time::timeout(patience, shaking).await {
            Ok(Ok((_, response))) if response.timeout <= 0 => Err(End::Over(State::Expired)),
            Ok(Ok(reached)) => Ok(reached),
            Ok(Err(error)) => {
                tracing::debug!("{}:{}: {error}", address.0, address.1);
                Err(End::Lost)
            }
            Err(_) => {
                tracing::debug!("{}:{}: no answer in {patience:?}", address.0, address.1);
                Err(End::Lost)
            }
        }
    }

    /// Serves one connection to its end; whatever is in flight then ends with it.
    async fn serve(&mut self, stream: TcpStream, response: ConnectResponse) -> End {
        let read_only = response.read_only == Some(true);
        let timeout = Duration::from_millis(response.timeout.unsigned_abs().into());
        // What a server without a quorum says of a session is worth nothing elsewhere.
        if !read_only {
            self.session = Credentials {
                id: response.session_id,
                password: response.password,
            };
        }
        let server = stream.peer_addr().ok();
        self.status.send_modify(|status| {
            status.session_id = response.session_id;
            status.timeout = timeout;
            status.server = server;
        });
        let mut connection = Connection::new(stream, timeout * 2 / 3);
        for identity in &self.identities {
            connection.put(&frame(Op::Auth, |w| w.put(&identity.packet())), AUTH_XID);
            connection.auth.push_back(None);
        }
        for watches in self.watches.again(self.last_zxid) {
            connection.set_watches(watches);
        }
        self.enter(match read_only {
            true => State::ConnectedReadOnly,
            false => State::Connected,
        })
        .await;
        let end = self.pump(&mut connection, read_only).await;
        let lost = match end {
            End::Over(state) if state != State::Closed => state.error(),
            _ => Error::ConnectionLoss,
        };
        self.abandon(connection, &lost).await;
        end
    }

    async fn pump(&mut self, connection: &mut Connection, read_only: bool) -> End {
        let closing = self.closing.clone();
        let (servers, first) = (self.servers.addresses.clone(), self.next);
        let search = async {
            match read_only {
                true => find_writable(&servers, first).await,
                false => pending().await,
            }
        };
        tokio::pin!(search);
        let mut open = true;
        loop {
            connection.make_room();
            let deadline = connection.deadline();
            let more = connection.has_room();
            tokio::select! {
                read = connection.read.read_buf(&mut connection.input) => {
                    if !matches!(read, Ok(1..)) {
                        return End::Lost;
                    }
                    connection.last_heard = Instant::now();
                    if let Err(end) = self.take_frames(connection).await {
                        return end;
                    }
                }
                wrote = connection.write.write_buf(&mut connection.output),
                    if !connection.output.is_empty() =>
                {
                    if wrote.is_err() {
                        return End::Lost;
                    }
                    connection.last_sent = Instant::now();
                }
                request = self.requests.recv(), if more => self.send(connection, request),
                () = tokio::time::sleep_until(deadline) => {
                    if connection.last_heard.elapsed() >= connection.read_timeout {
                        return End::Lost;
                    }
                    connection.put(&frame(Op::Ping, |_| {}), xid::PING);
                    connection.last_sent = Instant::now();
                }
                () = closing.cancelled(), if open => {
                    // What was asked for before is sent before the end.
                    self.requests.close();
                    open = false;
                }
                writable = &mut search => {
                    self.next = writable;
                    return End::Lost;
                }
            }
        }
    }

    /// Takes a request onto the connection, and those right behind it.
    fn send(&mut self, connection: &mut Connection, first: Option<Request>) {
        let Some(first) = first else {
            connection.close_session();
            return;
        };
        let mut next = Some(first);
        while let Some(mut request) = next {
            match request.identity.take() {
                Some(identity) => {
                    self.identities.push(identity);
                    connection.put(&request.frame, AUTH_XID);
                    connection.auth.push_back(Some(request.answer));
                }
                None => connection.ask(request),
            }
            next = match connection.has_room() {
                true => self.requests.try_recv().ok(),
                false => None,
            };
        }
    }

    async fn take_frames(&mut self, connection: &mut Connection) -> Result<(), End> {
        while let Some(length) = connection.input.first_chunk::<4>() {
            let length = i32::from_be_bytes(*length);
            let length = match usize::try_from(length) {
                Ok(length) if length <= self.options.max_frame => length,
                _ => {
                    tracing::debug!("a frame of {length} bytes");
                    return Err(End::Lost);
                }
            };
            if connection.input.len() < 4 + length {
                return Ok(());
            }
            let frame = connection.input.split_to(4 + length).freeze().slice(4..);
            self.take(connection, frame).await?;
        }
        Ok(())
    }

    async fn take(&mut self, connection: &mut Connection, frame: Bytes) -> Result<(), End> {
        let mut r = Reader::new(frame, self.options.max_frame);
        let header = ReplyHeader::read(&mut r).map_err(|_| End::Lost)?;
        match header.xid {
            xid::NOTIFICATION => self.notify(&header, &mut r).await,
            xid::PING => Ok(()),
            AUTH_XID => {
                let waiting = connection.auth.pop_front().ok_or(End::Lost)?;
                if header.err == ErrorCode::AUTH_FAILED {
                    answer(waiting, Err(Error::AuthFailed));
                    return Err(End::Over(State::AuthFailed));
                }
                answer(waiting, outcome(header.err, r));
                Ok(())
            }
            _ => self.reply(connection, &header, r).await,
        }
    }

    async fn reply(
        &mut self,
        connection: &mut Connection,
        header: &ReplyHeader,
        r: Reader,
    ) -> Result<(), End> {
        let expected = connection.flight.pop_front().ok_or(End::Lost)?;
        if expected.xid != header.xid {
            tracing::debug!("reply {} where {} was due", header.xid, expected.xid);
            connection.flight.push_front(expected);
            return Err(End::Lost);
        }
        self.last_zxid = self.last_zxid.max(header.zxid);
        let code = self.settle(expected.change, header.err, true).await;
        answer(expected.answer, outcome(code, r));
        match expected.op {
            Op::CloseSession => Err(End::Over(State::Closed)),
            _ => Ok(()),
        }
    }

    /// What the result of a request does to the watches, and which result the caller sees.
    async fn settle(
        &mut self,
        change: Option<Change>,
        code: ErrorCode,
        connected: bool,
    ) -> ErrorCode {
        match change {
            None => code,
            Some(Change::Remove { path, kind, local }) => {
                match self.watches.remove(&path, kind, local, code) {
                    Err(code) => code,
                    Ok(kinds) => {
                        for kind in kinds {
                            self.tell(Event::Watch {
                                kind,
                                path: self.servers.chroot.inward(&path),
                                zxid: -1,
                                connected,
                            })
                            .await;
                        }
                        ErrorCode::OK
                    }
                }
            }
            Some(change) => {
                self.watches.register(change, code);
                code
            }
        }
    }

    async fn notify(&mut self, header: &ReplyHeader, r: &mut Reader) -> Result<(), End> {
        let event = WatcherEvent::read(r).map_err(|_| End::Lost)?;
        let kind = match event.kind {
            1 => EventKind::NodeCreated,
            2 => EventKind::NodeDeleted,
            3 => EventKind::NodeDataChanged,
            4 => EventKind::NodeChildrenChanged,
            _ => return Err(End::Lost),
        };
        let path = event.path.ok_or(End::Lost)?;
        if self.watches.trigger(kind, &path) {
            let path = self.servers.chroot.inward(&path);
            self.tell(Event::Watch {
                kind,
                path,
                zxid: header.zxid,
                connected: true,
            })
            .await;
        }
        Ok(())
    }

    /// Ends what a connection leaves behind.
    async fn abandon(&mut self, connection: Connection, error: &Error) {
        for lost in connection.flight {
            let code = self.settle(lost.change, error.code(), false).await;
            let result = match code {
                // A local removal does not need the server.
                ErrorCode::OK => Ok(Reader::new(Bytes::new(), 0)),
                code if code == error.code() => Err(error.clone()),
                code => Err(Error::of(code)),
            };
            answer(lost.answer, result);
        }
        for waiting in connection.auth {
            answer(waiting, Err(error.clone()));
        }
    }

    /// Ends requests that no server was there for.
    fn fail_waiting(&mut self) {
        while let Ok(request) = self.requests.try_recv() {
            // Who said who they are is heard on the next connection.
            self.identities.extend(request.identity);
            let _ = request.answer.send(Err(Error::ConnectionLoss));
        }
    }

    async fn enter(&mut self, state: State) {
        self.status.send_modify(|status| status.state = state);
        self.tell(Event::State(state)).await;
    }

    /// Hands an event over, and waits for room; not beyond the end.
    async fn tell(&self, event: Event) {
        let event = match self.events.try_send(event) {
            Err(mpsc::error::TrySendError::Full(event)) => event,
            _ => return,
        };
        tokio::select! {
            _ = self.events.send(event) => {}
            () = self.closing.cancelled() => {}
        }
    }
}

impl Connection {
    fn new(stream: TcpStream, read_timeout: Duration) -> Connection {
        let (read, write) = stream.into_split();
        let now = Instant::now();
        Connection {
            read,
            write,
            input: BytesMut::new(),
            output: BytesMut::new(),
            next_xid: 1,
            flight: VecDeque::new(),
            auth: VecDeque::new(),
            last_heard: now,
            last_sent: now,
            read_timeout,
            close_sent: false,
        }
    }

    /// Room to read into: a little at first, more only for bytes that really come.
    fn make_room(&mut self) {
        if self.input.capacity() - self.input.len() < READ_BYTES / 4 {
            self.input.reserve(READ_BYTES);
        }
    }

    /// Whether another request may be taken.
    fn has_room(&self) -> bool {
        !self.close_sent && self.output.len() < OUTPUT_BYTES && self.flight.len() < IN_FLIGHT
    }

    /// When to send a ping, or to give up.
    fn deadline(&self) -> Instant {
        let idle = (self.read_timeout / 2).min(PING_INTERVAL);
        (self.last_sent + idle).min(self.last_heard + self.read_timeout)
    }

    fn put(&mut self, frame: &[u8], xid: i32) {
        let start = self.output.len();
        self.output.extend_from_slice(frame);
        self.output[start + XID.start..start + XID.end].copy_from_slice(&xid.to_be_bytes());
    }

    fn ask(&mut self, request: Request) {
        let xid = self.next_xid;
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        self.put(&request.frame, xid);
        self.flight.push_back(InFlight {
            xid,
            op: request.op,
            change: request.change,
            answer: Some(request.answer),
        });
    }

    /// Asks for watches again; with the older request where it will do, for servers that know no other.
    fn set_watches(&mut self, watches: SetWatches2) {
        let is_empty = |list: &Option<Vec<_>>| list.as_ref().is_none_or(Vec::is_empty);
        let plain = is_empty(&watches.persistent_watches)
            && is_empty(&watches.persistent_recursive_watches);
        let op = match plain {
            true => Op::SetWatches,
            false => Op::SetWatches2,
        };
        let frame = frame(op, |w| match plain {
            true => w.put(&SetWatches {
                relative_zxid: watches.relative_zxid,
                data_watches: watches.data_watches,
                exist_watches: watches.exist_watches,
                child_watches: watches.child_watches,
            }),
            false => w.put(&watches),
        });
        self.put(&frame, SET_WATCHES_XID);
        self.flight.push_back(InFlight {
            xid: SET_WATCHES_XID,
            op,
            change: None,
            answer: None,
        });
    }

    fn close_session(&mut self) {
        let xid = self.next_xid;
        self.put(&frame(Op::CloseSession, |_| {}), xid);
        self.flight.push_back(InFlight {
            xid,
            op: Op::CloseSession,
            change: None,
            answer: None,
        });
        self.close_sent = true;
    }
}

/// The first server, from `first` on, that takes writes; asks ever less often.
async fn find_writable(servers: &[(String, u16)], first: usize) -> usize {
    let mut pause = SEARCH_FIRST;
    let mut index = first;
    loop {
        tokio::time::sleep(pause).await;
        index %= servers.len();
        if is_writable(&servers[index]).await {
            return index;
        }
        index += 1;
        pause = (pause * 2).min(SEARCH_LAST);
    }
}

fn outcome(code: ErrorCode, r: Reader) -> Answer {
    match code {
        ErrorCode::OK => Ok(r),
        code => Err(Error::of(code)),
    }
}

/// Nobody may be waiting any more.
fn answer(waiting: Option<oneshot::Sender<Answer>>, result: Answer) {
    if let Some(waiting) = waiting {
        let _ = waiting.send(result);
    }
}

/// xids that are not of the sequence. Source: `ClientCnxn`.
const AUTH_XID: i32 = -4;
const SET_WATCHES_XID: i32 = -8;

/// A read's share of the buffer.
const READ_BYTES: usize = 64 * 1024;
/// Bytes written ahead of the socket.
const OUTPUT_BYTES: usize = 256 * 1024;
/// Requests without an answer.
const IN_FLIGHT: usize = 16 * 1024;
/// A server hears from its client this often. Source: `ClientCnxn.SendThread`, `MAX_SEND_PING_INTERVAL`.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Longest pause before the next server, and once each was tried.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_ROUND: Duration = Duration::from_millis(1000);
/// A server gets at least as long to shake hands.
const PATIENCE_MIN: Duration = Duration::from_millis(100);
/// How often a client of a read-only server looks for a better one.
const SEARCH_FIRST: Duration = Duration::from_millis(100);
const SEARCH_LAST: Duration = Duration::from_secs(60);
