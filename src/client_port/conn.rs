//! One connection: bytes in, requests to the gate or the loop, bytes out.
//!
//! ```text
//!   socket -> input -> frames -> read alone: gate -> outbox -> output -> socket
//!                             -> otherwise:  mailbox -> commit loop -> outbox
//! ```
//!
//! Source: `NIOServerCnxn`, `ZooKeeperServer.processPacket`.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use jute::proto::{AuthPacket, ConnectRequest, ReplyHeader};
use jute::{ErrorCode, Op, Reader, Wire, Writer};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::codec::{self, Frame};
use super::instruments::ConnInstruments;
use super::{ClientPort, Stopping};
use crate::admin::{Admin, four_letter};
use crate::auth;
use crate::base::{Mono, SessionId};
use crate::metrics::Metrics;
use crate::replica::conn::Conn;
use crate::replica::lane::Lane;
use crate::replica::large::{LargeRequest, LargeRequests, NoRoom};
use crate::replica::outbox::Wakes;
use crate::replica::request::{ReadRequest, Request};
use crate::replica::{Input, Progress, Read};
use crate::runtime::mailbox::Message;

/// Serves `stream` until either side ends it.
pub(super) async fn serve(
    port: Arc<ClientPort>,
    stream: TcpStream,
    conn: Arc<Conn>,
    stop: Stopping,
) {
    let opened = Instant::now();
    let mut task = Task {
        sessionless: Box::pin(sleep_until(opened + port.sessionless_timeout())),
        instruments: ConnInstruments::new(port.counters.clone(), conn.id),
        port,
        stream,
        conn: conn.clone(),
        phase: Phase::First,
        input: BytesMut::with_capacity(READ_BYTES),
        output: BytesMut::new(),
        batch: Vec::new(),
        wakes: Wakes::default(),
        frames_in: 0,
        last_word: false,
        held_back: false,
        deaf: false,
        refused: false,
        outgrown: false,
        stop,
    };
    let end = task.run().await;
    tracing::debug!("{}: connection closed: {end}", conn.remote);
    count(&task.port.counters.metrics, &end);
    conn.outbox.close(&mut Wakes::default());
    task.port.gate.drop_conn(&conn);
    task.port.mailbox.push(Message::Input(Input::Gone { conn }));
}

/// Source: `NIOServerCnxn`, `NIOServerCnxnFactory.ConnectionExpirerThread`, `ZooKeeperServer.checkRequestSize`.
fn count(metrics: &Metrics, end: &End) {
    match end {
        End::ByClient | End::Io(_) => metrics.connection_drop_count.inc(),
        End::Sessionless => metrics.sessionless_connections_expired.inc(),
        End::Throttled => metrics.connection_rejected.inc(),
        End::NoRoom => metrics.large_requests_rejected.inc(),
        End::LastWord | End::Stopping | End::FrameLength(..) | End::Malformed(_) => {}
    }
}

/// Bytes a connection reserves for one read.
const READ_BYTES: usize = 16 << 10;
/// Length of the answer to a connect request.
const WELCOME_BYTES: usize = 41;
/// Buffers larger than this are given back once they are empty.
const KEEP_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was accepted yet: a connect request or a four-letter word may come.
    First,
    /// The commit loop decides on the session; what follows waits in the socket.
    Connecting,
    /// The answer to a four-letter word is being made; nothing follows.
    Answering,
    /// Requests.
    Established,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the client closed it")]
    ByClient,
    #[error("the server had nothing more to say")]
    LastWord,
    #[error("no session within the time for one")]
    Sessionless,
    #[error("too many handshakes at a time")]
    Throttled,
    #[error("too many bytes of large requests in work")]
    NoRoom,
    #[error("the server stops")]
    Stopping,
    #[error("frame length {0} is not allowed, the limit is {1}")]
    FrameLength(i32, usize),
    #[error("{0}")]
    Malformed(#[from] jute::DecodeError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The last that `conn` gets to hear.
fn answer_with(conn: &Conn, text: &str, wakes: &mut Wakes) {
    if !text.is_empty() {
        conn.outbox
            .reply(wakes, |out| out.extend_from_slice(text.as_bytes()));
    }
    conn.outbox.finish(wakes);
}

enum Ready {
    Readable,
    Again,
    Sessionless,
}

struct Task {
    port: Arc<ClientPort>,
    stream: TcpStream,
    conn: Arc<Conn>,
    phase: Phase,
    input: BytesMut,
    output: BytesMut,
    batch: Vec<Message>,
    wakes: Wakes,
    frames_in: u64,
    last_word: bool,
    held_back: bool,
    /// Nothing more is taken from the client; what it is owed says when to close.
    deaf: bool,
    /// To be closed once everything taken so far is answered.
    refused: bool,
    /// The input has held a large frame.
    outgrown: bool,
    stop: Stopping,
    instruments: ConnInstruments,
    sessionless: Pin<Box<Sleep>>,
}

impl Task {
    async fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.process().and_then(|()| self.flush()) {
                return end;
            }
            if self.last_word && self.output.is_empty() {
                return End::LastWord;
            }
            if (self.stop.is_set() || self.refused) && self.is_idle() {
                return if self.refused {
                    End::LastWord
                } else {
                    End::Stopping
                };
            }
            match poll_fn(|cx| self.poll_ready(cx)).await {
                Ready::Again => {}
                Ready::Sessionless => return End::Sessionless,
                Ready::Readable => match self.read() {
                    Ok(()) => {}
                    Err(end) => return end,
                },
            }
        }
    }

    /// Reads once; the socket says again whether there is more.
    fn read(&mut self) -> Result<(), End> {
        self.input.reserve(READ_BYTES);
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => Err(End::ByClient),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Ready> {
        if self.output.is_empty() {
            if self.conn.outbox.poll_filled(cx).is_ready() {
                return Poll::Ready(Ready::Again);
            }
        } else if self.conn.outbox.poll_closed(cx).is_ready()
            || self.stream.poll_write_ready(cx).is_ready()
        {
            return Poll::Ready(Ready::Again);
        }
        // Only now, when the outbox knows whom to wake: what changes these from here on does.
        if self.may_go_on() {
            return Poll::Ready(Ready::Again);
        }
        let ends = self.stop.poll_set(cx).is_ready() || self.refused;
        if ends && self.phase != Phase::Connecting && self.is_idle() {
            return Poll::Ready(Ready::Again);
        }
        if self.phase != Phase::Established && self.sessionless.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ready::Sessionless);
        }
        // While the session is being decided on, a client that hangs up is only noticed afterwards,
        // as in Java.
        if !self.is_held() && !self.stop.is_set() && self.stream.poll_read_ready(cx).is_ready() {
            return Poll::Ready(Ready::Readable);
        }
        Poll::Pending
    }

    /// Whether what held frames back when the input was last looked at is over: the session was
    /// decided on and the welcome written, or the client took its replies. No waker tells of
    /// either, as this task did the writing.
    fn may_go_on(&self) -> bool {
        if self.phase == Phase::Connecting {
            return self.conn.lane.get().is_some();
        }
        self.held_back && !self.is_held() && !self.stop.is_set()
    }

    /// Nothing is owed to the client, and it waits for nothing.
    fn is_idle(&self) -> bool {
        let waits = self.conn.lane.get().is_some_and(|lane| lane.in_loop() > 0);
        let waits = waits || self.phase == Phase::Answering;
        self.output.is_empty() && self.conn.outbox.is_empty() && !waits
    }

    /// Whether to leave further frames where they are: the session is undecided, or the client does
    /// not take its replies, or it waits for some while the whole server has too much to do. Its
    /// own replies end each of these.
    fn is_held(&self) -> bool {
        let is_undecided = matches!(self.phase, Phase::Connecting | Phase::Answering);
        if is_undecided || self.last_word || self.deaf {
            return true;
        }
        let owed = self.output.len() + self.conn.outbox.len();
        if owed > self.port.reply_backlog_bytes {
            return true;
        }
        let waits = self.conn.lane.get().is_some_and(|lane| lane.in_loop() > 0);
        waits && self.port.counters.outstanding() > self.port.outstanding_limit
    }

    /// Takes every whole frame of the input that may be taken now.
    fn process(&mut self) -> Result<(), End> {
        if self.phase == Phase::Connecting && self.conn.lane.get().is_some() {
            self.phase = Phase::Established;
            self.instruments.other(WELCOME_BYTES);
        }
        let stamp = self.port.clock.stamp();
        self.wakes.set_stamp(stamp);
        self.instruments.begin(stamp);
        let result = self.frames(stamp.mono());
        if self.outgrown && self.input.is_empty() {
            self.input = BytesMut::new();
            self.outgrown = false;
        }
        self.wakes.clear();
        let stats = &self.port.counters.metrics.stats;
        let clock = self.port.clock;
        self.instruments.end(self.batch.len(), || clock.stamp());
        if self.frames_in > 0 {
            stats.packets_received.add(self.frames_in);
            self.conn.stats.received(self.frames_in);
            self.frames_in = 0;
        }
        self.port.mailbox.push_all(&mut self.batch);
        result
    }

    fn frames(&mut self, now: Mono) -> Result<(), End> {
        loop {
            self.held_back = self.is_held();
            if self.held_back || self.stop.is_set() {
                break;
            }
            let Some(word) = self.input.first_chunk::<4>().copied() else {
                break;
            };
            if self.phase == Phase::First && four_letter::is_word(word) {
                self.four_letter_word(word)?;
                break;
            }
            let claimed = i32::from_be_bytes(word);
            let length = usize::try_from(claimed).unwrap_or(usize::MAX);
            if length > self.port.frame_limit {
                return Err(End::FrameLength(claimed, self.port.frame_limit));
            }
            if self
                .port
                .large_requests
                .as_ref()
                .is_some_and(|all| !all.has_room(length))
            {
                return Err(End::NoRoom);
            }
            self.outgrown |= length > KEEP_BYTES;
            if self.input.len() - 4 < length {
                break;
            }
            self.input.advance(4);
            let frame = self.input.split_to(length).freeze();
            self.frames_in += 1;
            self.instruments.frame(length);
            match self.phase {
                Phase::First => self.first_frame(frame, now)?,
                Phase::Connecting | Phase::Answering => unreachable!("held until it is over"),
                Phase::Established => self.request(frame, now)?,
            }
        }
        Ok(())
    }

    fn four_letter_word(&mut self, word: [u8; 4]) -> Result<(), End> {
        let rest = self.input.split_off(4);
        self.input.clear();
        let argument = &rest[..rest.len().min(four_letter::argument_bytes(word))];
        // Counted before the answer, which shows it.
        self.port.counters.metrics.stats.packets_received.inc();
        self.conn.stats.received(1);
        self.instruments.word();
        let (admin, conn) = (&self.port.admin, &self.conn);
        if four_letter::is_quick(word) {
            let answer = four_letter::answer(admin, word, argument, conn).ok_or(End::LastWord)?;
            answer_with(conn, &answer, &mut self.wakes);
            return Ok(());
        }
        self.phase = Phase::Answering;
        let (admin, conn) = (admin.clone(), conn.clone());
        tokio::spawn(async move {
            let own = conn.clone();
            let look = move |admin: &Admin| four_letter::answer(admin, word, &[], &own);
            let answer = admin.look(look).await.flatten();
            let mut wakes = Wakes::default();
            answer_with(&conn, &answer.unwrap_or_default(), &mut wakes);
            wakes.wake_all();
        });
        Ok(())
    }

    fn first_frame(&mut self, frame: Bytes, now: Mono) -> Result<(), End> {
        let request = ConnectRequest::read(&mut Reader::new(frame, self.port.field_limit))?;
        let metrics = &self.port.counters.metrics;
        let mut deficit = 0;
        if let Some(throttle) = &self.port.connection_throttle {
            let (admitted, missing, chance) = throttle.admits(request.fields.session_id, now);
            metrics.stats.connection_drop_probability.set(chance);
            if !admitted {
                return Err(End::Throttled);
            }
            deficit = missing;
        }
        metrics.connection_token_deficit.record(deficit);
        metrics.connection_request_count.inc();
        self.phase = Phase::Connecting;
        let conn = self.conn.clone();
        self.batch
            .push(Message::Input(Input::Connect { conn, request }));
        Ok(())
    }

    fn request(&mut self, frame: Bytes, now: Mono) -> Result<(), End> {
        let length = frame.len();
        let (xid, frame) = codec::decode(frame, self.port.field_limit)?;
        let Some(lane) = self.conn.lane.get() else {
            return Ok(());
        };
        let request = match frame {
            Frame::Auth(packet) => {
                self.authenticate(xid, &packet);
                return Ok(());
            }
            Frame::Sasl => {
                self.reply_at_once(xid, ErrorCode::OK, true);
                return Ok(());
            }
            Frame::Request(request) => request,
        };
        if lane.is_closing() {
            return Ok(());
        }
        lane.touch(now);
        self.instruments.asked(&request);
        let lane = lane.clone();
        let large = self.large(length)?;
        self.deaf = matches!(request, Request::Read(ReadRequest::Unknown(_)));
        match request {
            Request::Read(request)
                if lane.in_loop() == 0 && !self.is_throttled() && self.is_for_tree(&request) =>
            {
                self.read_alone(&lane, xid, &request, now);
            }
            request => {
                lane.enter();
                self.port.counters.in_loop(1);
                self.conn.stats.request_in(xid);
                let (conn, ids) = (self.conn.clone(), self.conn.identities());
                let input = Input::Request {
                    conn,
                    lane,
                    xid,
                    request,
                    ids,
                    received: now,
                    arrived: self.instruments.began(),
                    large,
                };
                self.batch.push(Message::Input(input));
            }
        }
        Ok(())
    }

    /// Counts a frame of `length` bytes among the large ones, if it is one. Its header is not part
    /// of the request.
    fn large(&self, length: usize) -> Result<Option<LargeRequest>, End> {
        const HEADER: usize = 8;
        match &self.port.large_requests {
            None => Ok(None),
            Some(all) => LargeRequests::take(all, length - HEADER).map_err(|NoRoom| End::NoRoom),
        }
    }

    /// Whether reads have to queue up with everything else.
    fn is_throttled(&self) -> bool {
        let limit = self.port.throttle_limit;
        limit.is_some_and(|limit| self.port.counters.outstanding() >= limit)
    }

    /// Whether the tree alone can answer.
    fn is_for_tree(&self, request: &ReadRequest) -> bool {
        !matches!(request, ReadRequest::Sync(_)) || self.port.gate.answers_syncs()
    }

    /// Nothing of the session is in the loop: the read may be served here, beside those of other
    /// connections.
    fn read_alone(&mut self, lane: &Lane, xid: i32, request: &ReadRequest, now: Mono) {
        let ids = self.conn.identities();
        let (gate, conn, wakes) = (&self.port.gate, &self.conn, &mut self.wakes);
        let session = lane.session();
        let mut progress = Progress::default();
        // Only these can take long, and only for them the clock is read.
        let clock = self.port.clock;
        let began = request.is_heavy().then(|| clock.stamp());
        let zxid = loop {
            let done = gate.read(|tree| {
                Read {
                    gate,
                    tree,
                    conn,
                    session,
                    ids: &ids,
                    xid,
                }
                .run(request, &mut progress, wakes)
            });
            if let Some(zxid) = done {
                break zxid;
            }
        };
        self.conn.stats.answered(request.op(), xid, zxid, now, now);
        let (op, path) = (request.op(), request.path());
        if let Some(began) = began {
            self.tell_if_slow(session, op, path, clock.stamp() - began);
        }
        self.instruments.read(op, path, progress.payload());
    }

    fn tell_if_slow(&self, session: SessionId, op: Option<Op>, path: Option<&str>, took: Duration) {
        if self.port.slow_request.is_none_or(|limit| took < limit) {
            return;
        }
        self.port.counters.metrics.slow_requests.inc();
        let (op, path) = (op.unwrap_or(Op::Error), path.unwrap_or_default());
        self.port.complaints.say(format_args!(
            "session {session}: slow request, {op:?} {path:?} took {} ms to be answered from the tree: it is large, or \
             large writes held it up (request.warningthresholdms)",
            took.as_millis()
        ));
    }

    /// Source: `ZooKeeperServer.processPacket`, auth branch.
    fn authenticate(&mut self, xid: i32, packet: &AuthPacket) {
        let before = self.conn.identities();
        let (scheme, auth) = (packet.scheme.as_deref(), packet.auth.as_deref());
        let remote = self.conn.remote.ip();
        match auth::authenticate(self.port.gate.auth(), scheme, auth, remote, &before) {
            Ok(identities) => {
                self.conn.set_identities(identities);
                self.reply_at_once(xid, ErrorCode::OK, false);
            }
            Err(_) => {
                self.port.counters.metrics.stats.auth_failed.inc();
                let remote = self.conn.remote;
                tracing::warn!(
                    "{remote}: authentication failed for scheme {scheme:?}, its connection is closed; check \
                     what the client adds as auth, and that this server knows the scheme"
                );
                self.reply_at_once(xid, ErrorCode::AUTH_FAILED, false);
                self.deaf = true;
                self.refused = true;
            }
        }
    }

    /// Answers ahead of whatever the session waits for. The zxid of such an answer is 0.
    fn reply_at_once(&mut self, xid: i32, err: ErrorCode, null_token: bool) {
        self.instruments.other(if null_token { 24 } else { 20 });
        self.conn.outbox.reply(&mut self.wakes, |out| {
            Writer::for_client(out).framed(|w| {
                w.put(&ReplyHeader { xid, zxid: 0, err });
                if null_token {
                    w.buffer(None);
                }
            });
        });
    }

    /// Writes what is owed until nothing is left or the socket is full.
    fn flush(&mut self) -> Result<(), End> {
        let mut sending = None;
        loop {
            if self.conn.outbox.is_closed() {
                return Err(End::LastWord);
            }
            if self.output.is_empty() {
                if self.output.capacity() > KEEP_BYTES {
                    self.output = BytesMut::new();
                }
                let taken = self.conn.outbox.take(&mut self.output);
                self.last_word = taken.last_word;
                if taken.wanted {
                    let conn = self.conn.clone();
                    self.port
                        .mailbox
                        .push(Message::Input(Input::Drained { conn }));
                }
                let stats = &self.port.counters.metrics.stats;
                stats.packets_sent.add(taken.frames);
                self.conn.stats.sent(taken.frames);
                if self.output.is_empty() {
                    return Ok(());
                }
                if self.phase == Phase::Established {
                    self.instruments.sending(&taken, self.output.len());
                    sending = Some(taken);
                }
            }
            match self.stream.try_write(&self.output) {
                Ok(written) => {
                    self.output.advance(written);
                    if let Some(taken) = sending.take() {
                        let clock = self.port.clock;
                        self.instruments.sent(&taken, || clock.stamp());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
