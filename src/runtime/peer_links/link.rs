//! One connection of the quorum port, whichever side dialled it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use jute::Writer;
use jute::quorum::QuorumPacket;
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::outgoing::{Next, Outgoing, SnapshotSource, advance};
use crate::base::{ServerId, Stamp, WallMs, Zxid};
use crate::metrics::{Metrics, Summary};
use crate::replica;
use crate::runtime::clock::Clock;
use crate::runtime::mailbox::{Message, Pace};
use crate::zab::LinkError;
use crate::zab::io::{Input, LearnerKind, LinkId};
use crate::zab::packet::{FromLeader, FromLearner, take_packet};

/// What the commit loop holds of a connection.
pub struct Link {
    pub id: LinkId,
    /// Who is there, for people.
    pub name: String,
    pub outgoing: Mutex<Outgoing>,
    /// Where it goes, while the connection lasts.
    to: OnceLock<Weak<OwnedWriteHalf>>,
    /// Told that something waits.
    pub news: Notify,
    /// A finished snapshot for the learner.
    pub snapshot: Mutex<Option<Box<dyn SnapshotSource>>>,
    /// The learner that dialled.
    pub learner: OnceLock<Learner>,
    /// Packets that came from there, and those that passed on what a client asked for.
    pub heard: AtomicU64,
    pub requests: AtomicU64,
    /// Nothing is reported of it any more.
    over: AtomicBool,
    /// Nobody wants to hear it any more; what waits is still sent.
    closing: CancellationToken,
    /// It ends now.
    end: CancellationToken,
}

/// Who dialled.
pub struct Learner {
    pub server: Option<ServerId>,
    pub kind: LearnerKind,
    pub remote: SocketAddr,
    pub since: WallMs,
    pub queue: Option<QueueMetrics>,
}

/// What is measured of what waits for one server.
pub struct QueueMetrics {
    pub packets: Arc<Summary>,
    pub waits: Arc<Summary>,
}

impl QueueMetrics {
    pub fn of(metrics: &Metrics, server: ServerId) -> Self {
        let key = server.0.to_string();
        QueueMetrics {
            packets: metrics.learner_handler_qp_size.at(&key),
            waits: metrics.learner_handler_qp_time_ms.at(&key),
        }
    }

    /// Source: `LearnerHandler.sendPackets`.
    fn record(&self, outgoing: &mut Outgoing, now: Stamp) {
        let mut is_news = false;
        while let Some(queued) = outgoing.batch_sent() {
            self.waits.record_ms(now - queued);
            is_news = true;
        }
        if is_news {
            self.packets.record(outgoing.waiting_packets());
        }
    }
}

/// Which side of a connection this server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It was dialled: a learner is there.
    Leader,
    /// It dialled: a leader is there.
    Learner,
}

impl Link {
    pub fn new(id: LinkId, name: String, end: CancellationToken) -> Link {
        Link {
            id,
            name,
            outgoing: Mutex::default(),
            to: OnceLock::new(),
            news: Notify::new(),
            snapshot: Mutex::new(None),
            learner: OnceLock::new(),
            heard: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            over: AtomicBool::new(false),
            closing: end.child_token(),
            end,
        }
    }

    /// Ends the connection and says so, unless that was done before or it was closed.
    pub fn fail(&self, shared: &Shared, why: impl std::fmt::Display) {
        if !self.over.swap(true, Ordering::AcqRel) {
            shared.complaints.say(format_args!(
                "{}: connection lost: {why}; if it is not back soon, look at that server and at the way to it",
                self.name
            ));
            shared.forget(self.id);
            shared
                .mailbox
                .push(Message::peer(Input::LinkLost { link: self.id }));
        }
        self.end.cancel();
    }

    /// Ends the connection once what waits is sent, or a moment has passed.
    pub fn close(&self) {
        self.over.store(true, Ordering::Release);
        self.closing.cancel();
    }

    /// Runs until the connection fails or is closed. `heard` came behind the first packet.
    pub async fn run(
        self: Arc<Self>,
        shared: Arc<Shared>,
        side: Side,
        stream: TcpStream,
        heard: BytesMut,
    ) {
        let (from, to) = stream.into_split();
        let to = Arc::new(to);
        // A connection is run once.
        let _ = self.to.set(Arc::downgrade(&to));
        let mut sending = Sending {
            to,
            pieces: VecDeque::new(),
            patience: shared.options.registration_timeout,
            amid_snapshot: false,
        };
        let failure = tokio::select! {
            () = self.closing.cancelled() => None,
            ended = self.hear(&shared, side, from, heard) => Some(ended),
            ended = self.tell(&shared, &mut sending, false) => Some(ended),
        };
        match failure {
            Some(Ok(())) => self.fail(&shared, "the other side closed it"),
            Some(Err(error)) => self.fail(&shared, error),
            None if sending.amid_snapshot => {}
            None => {
                let rest = self.tell(&shared, &mut sending, true);
                tokio::select! {
                    () = self.end.cancelled() => {}
                    _ = tokio::time::timeout(CLOSE_PATIENCE, rest) => {}
                }
            }
        }
        // Source: `LearnerHandler.closeSockSync`, `Learner.closeSockSync`.
        let began = Clock.stamp();
        drop(sending);
        let metrics = &shared.options.metrics;
        metrics.socket_closing_time.record_ms(Clock.stamp() - began);
    }

    /// Ends well at the end of the stream.
    async fn hear(
        &self,
        shared: &Shared,
        side: Side,
        mut from: OwnedReadHalf,
        mut heard: BytesMut,
    ) -> io::Result<()> {
        let (mut pace, mut messages) = (Pace::default(), Vec::new());
        loop {
            let before = heard.len();
            while let Some(packet) =
                take_packet(&mut heard, shared.options.packet_limit).map_err(refused)?
            {
                let Some(input) = self.understand(shared, side, packet)? else {
                    continue;
                };
                self.count(&input);
                let snapshot = match &input {
                    Input::FromLeader {
                        packet: FromLeader::Snap(zxid),
                        ..
                    } => Some(*zxid),
                    _ => None,
                };
                if !is_said_again(messages.last_mut(), &input) {
                    messages.push(Message::peer(input));
                }
                if let Some(zxid) = snapshot {
                    shared.mailbox.push_all(&mut messages);
                    self.hear_snapshot(shared, zxid, &mut from, &mut heard)
                        .await?;
                }
            }
            let bytes = before.saturating_sub(heard.len()) + messages.len() * OVERHEAD_BYTES;
            shared.mailbox.push_all(&mut messages);
            pace.keep(&shared.mailbox, bytes).await;
            if side == Side::Learner {
                shared.options.log.has_room().await;
            }
            heard.reserve(READ_BYTES);
            if from.read_buf(&mut heard).await? == 0 {
                return Ok(());
            }
        }
    }

    fn count(&self, input: &Input) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        let is_request = matches!(
            input,
            Input::FromLearner {
                packet: FromLearner::Request(_),
                ..
            }
        );
        if is_request {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// None for what no version knows, which Java passes over, too.
    fn understand(
        &self,
        shared: &Shared,
        side: Side,
        packet: QuorumPacket,
    ) -> io::Result<Option<Input>> {
        let link = self.id;
        let input = match side {
            Side::Leader => {
                FromLearner::decode(packet).map(|packet| Input::FromLearner { link, packet })
            }
            Side::Learner => {
                FromLeader::decode(packet).map(|packet| Input::FromLeader { link, packet })
            }
        };
        match input {
            Ok(input) => Ok(Some(input)),
            Err(error @ LinkError::UnknownPacket(_)) => {
                shared
                    .complaints
                    .say(format_args!("{}: passed over: {error}", self.name));
                Ok(None)
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// The stream behind a SNAP.
    async fn hear_snapshot(
        &self,
        shared: &Shared,
        zxid: Zxid,
        from: &mut OwnedReadHalf,
        heard: &mut BytesMut,
    ) -> io::Result<()> {
        let mut sink = (shared.options.snapshots)(zxid);
        loop {
            if let Some(tree) = sink.feed(heard).map_err(refused)? {
                let link = self.id;
                let received = replica::Input::SnapshotReceived { link, tree };
                shared.mailbox.push(Message::Input(received));
                return Ok(());
            }
            heard.reserve(SNAPSHOT_READ_BYTES);
            // The protocol leaves it to this connection to notice that a leader is silent amid a snapshot.
            let reading = from.read_buf(heard);
            let read = tokio::time::timeout(shared.options.registration_timeout, reading).await;
            if read.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends what comes; `to_the_end` only until nothing waits.
    async fn tell(
        &self,
        shared: &Shared,
        sending: &mut Sending,
        to_the_end: bool,
    ) -> io::Result<()> {
        loop {
            while !sending.pieces.is_empty() {
                let bytes = sending.some().await?;
                let drained = {
                    let mut outgoing = self.outgoing.lock();
                    let drained = outgoing.sent(bytes);
                    self.measure(&mut outgoing, Clock.stamp());
                    drained
                };
                self.report_drained(shared, drained);
            }
            let next = self.outgoing.lock().take(&mut sending.pieces);
            match next {
                Next::Bytes => {}
                // The end of the way out tells the other side.
                Next::Nothing if to_the_end => return Ok(()),
                Next::Nothing => self.news.notified().await,
                Next::Snapshot(snapshot) => {
                    sending.snapshot(snapshot).await?;
                    let drained = self.outgoing.lock().sent_snapshot();
                    self.report_drained(shared, drained);
                }
            }
        }
    }

    /// Sends what waits if that is done at once; else the task is woken to do it.
    pub fn flush(&self, shared: &Shared) {
        let to = self.to.get().and_then(Weak::upgrade);
        let (drained, left) = to.map_or((0, true), |to| {
            let mut outgoing = self.outgoing.lock();
            let now = Clock.stamp();
            outgoing.end_batch(now);
            let sent = outgoing.send_now(|slices| to.try_write_vectored(slices));
            self.measure(&mut outgoing, now);
            sent
        });
        self.report_drained(shared, drained);
        if left {
            self.news.notify_one();
        }
    }

    fn measure(&self, outgoing: &mut Outgoing, now: Stamp) {
        let queue = self
            .learner
            .get()
            .and_then(|learner| learner.queue.as_ref());
        match queue {
            Some(queue) => queue.record(outgoing, now),
            None => while outgoing.batch_sent().is_some() {},
        }
    }

    /// Says `count` times that it is drained, unless it was closed.
    pub fn report_drained(&self, shared: &Shared, count: usize) {
        if !self.over.load(Ordering::Acquire) {
            for _ in 0..count {
                shared
                    .mailbox
                    .push(Message::peer(Input::Drained { link: self.id }));
            }
        }
    }
}

/// Whether `input` is an ACK right behind another one of the same epoch, which then says it, too: everything before an
/// acknowledged proposal is durable there. The ACK of NEWLEADER stands for something else, and by itself.
fn is_said_again(last: Option<&mut Message>, input: &Input) -> bool {
    let ack = |zxid: Zxid| zxid.counter() > 0;
    if let Some(Message::Input(replica::Input::Peer(Input::FromLearner {
        packet: FromLearner::Ack(before),
        ..
    }))) = last
        && let Input::FromLearner {
            packet: FromLearner::Ack(zxid),
            ..
        } = input
        && ack(*before)
        && ack(*zxid)
        && before.epoch() == zxid.epoch()
        && *before < *zxid
    {
        *before = *zxid;
        return true;
    }
    false
}

/// The way out, and what is halfway through it.
struct Sending {
    to: Arc<OwnedWriteHalf>,
    pieces: VecDeque<Bytes>,
    /// How long the other side may take nothing at all of what is sent.
    patience: Duration,
    /// Nothing can follow when it is cut off here.
    amid_snapshot: bool,
}

impl Sending {
    /// One write; how many bytes it took.
    async fn some(&mut self) -> io::Result<usize> {
        let slices: Vec<IoSlice<'_>> = self
            .pieces
            .iter()
            .map(|piece| IoSlice::new(piece))
            .collect();
        let written = in_time(self.patience, write(&self.to, &slices)).await?;
        advance(&mut self.pieces, written);
        Ok(written)
    }

    /// Sends a whole snapshot and the words that end it. Files are read on a thread that may block.
    async fn snapshot(&mut self, mut snapshot: Box<dyn SnapshotSource>) -> io::Result<()> {
        self.amid_snapshot = true;
        loop {
            let reading = tokio::task::spawn_blocking(move || {
                let piece = snapshot.next_piece();
                (snapshot, piece)
            });
            let (back, piece) = reading.await.map_err(io::Error::other)?;
            snapshot = back;
            match piece? {
                Some(mut piece) => {
                    while piece.has_remaining() {
                        let slices = [IoSlice::new(&piece)];
                        let written = in_time(self.patience, write(&self.to, &slices)).await?;
                        piece.advance(written);
                    }
                }
                None => break,
            }
        }
        let mut end = BytesMut::new();
        Writer::for_file(&mut end).text(Some(SIGNATURE));
        self.pieces.push_back(end.freeze());
        while !self.pieces.is_empty() {
            self.some().await?;
        }
        self.amid_snapshot = false;
        Ok(())
    }
}

/// One write, once the system takes something; never 0.
async fn write(to: &OwnedWriteHalf, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        match to.try_write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => to.writable().await?,
            written => return written,
        }
    }
}

/// A write that makes no progress for `patience` is given up: the other side hangs, and its connection is of no use.
async fn in_time<T>(
    patience: Duration,
    writing: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match tokio::time::timeout(patience, writing).await {
        Ok(written) => written,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "it takes nothing of what is sent",
        )),
    }
}

pub fn refused(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Ends the stream behind a SNAP. Source: `LearnerHandler.run`.
const SIGNATURE: &str = "BenWasHere";

/// How long a closed connection may take for what still waits.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Room for what is read at once.
const READ_BYTES: usize = 16 << 10;

/// The same within a snapshot.
const SNAPSHOT_READ_BYTES: usize = 256 << 10;

/// What a packet costs beside its bytes while it waits.
const OVERHEAD_BYTES: usize = 128;
