//! One connection over TCP: bytes in and out of its [`Pipe`], the session kept alive, another
//! server when one is lost.

use std::future::pending;
use std::time::Duration;

use jute::Op;
use jute::proto::xid;
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use super::alarm::Alarm;
use super::pipe::{Pipe, Wrong};
use super::shared::{Place, Told};
use super::wire::{self, Opened, Refused, Session, frame, i32_at};

/// A connection's own.
pub(super) struct Link {
    pub place: Place,
    pub(super) session: Session,
    /// As the server decided.
    timeout: Duration,
    rng: SmallRng,
    alarm: Option<Alarm>,
    tick: Interval,
}

/// How a connection ends.
enum End {
    /// Everything was answered.
    Done,
    /// Nobody waits any more.
    Late,
    /// It broke.
    Lost,
    /// The server said what no server may.
    Wrong(Wrong),
}

impl Link {
    /// `paced`: its requests are due at points in time.
    ///
    /// # Errors
    /// Too many files are open.
    pub fn new(place: Place, paced: bool, rng: SmallRng) -> std::io::Result<Link> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Link {
            timeout: place.shared.session_timeout,
            place,
            session: Session::default(),
            rng,
            alarm: paced.then(Alarm::new).transpose()?,
            tick,
        })
    }

    /// Opens the connection, waits for the others, sends what `pipe` says, and ends the session.
    pub async fn run(mut self, mut pipe: Pipe, pace: impl FnOnce(&mut Pipe)) {
        let shared = self.place.shared.clone();
        let mut stream = match self.first().await {
            Ok(stream) => stream,
            Err(why) => return shared.fail(why),
        };
        shared.tell(Told::Open);
        if !shared.begins().await {
            return;
        }
        pace(&mut pipe);
        loop {
            match self.serve(&mut stream, &mut pipe).await {
                End::Done => {
                    self.close(&mut stream).await;
                    break;
                }
                End::Late => break,
                End::Wrong(wrong) if self.is_hopeless(&wrong) => {
                    shared.fail(wrong.to_string());
                    break;
                }
                End::Lost | End::Wrong(_) => self.note_loss(),
            }
            self.session.zxid = pipe.zxid();
            match self.again().await {
                Some(another) => stream = another,
                None => break,
            }
        }
        let mut tally = self.place.tally.lock();
        pipe.give_up(shared.now(), shared.window(), self.place.server, &mut tally);
        shared.waits(self.place.number, None);
    }

    /// The first connection: every server gets its chances for a while.
    pub(super) async fn first(&mut self) -> Result<TcpStream, String> {
        let shared = self.place.shared.clone();
        // An error means that the semaphore is closed, which nobody does.
        let _turn = shared.opening.acquire().await;
        let started = shared.now();
        loop {
            let why = match self.reach().await {
                Ok(opened) => return Ok(self.take(opened)),
                Err(why) => why,
            };
            if self.since(started) > OPENING || shared.window().to != u64::MAX {
                let (host, port) = &shared.servers[self.place.server];
                return Err(format!("no session with {host}:{port}: {why}"));
            }
            sleep(self.rng.random_range(PAUSE)).await;
            self.next_server();
        }
    }

    /// The next connection, with the same session if the servers still have it.
    async fn again(&mut self) -> Option<TcpStream> {
        let shared = self.place.shared.clone();
        let started = shared.now();
        self.next_server();
        loop {
            if shared.is_late(shared.now()) {
                return None;
            }
            match self.reach().await {
                Ok(opened) => {
                    let mut tally = self.place.tally.lock();
                    tally.gaps.record(shared.now().saturating_sub(started));
                    drop(tally);
                    return Some(self.take(opened));
                }
                Err(Refused::Expired) => {
                    self.place.tally.lock().expired += 1;
                    self.session = Session::default();
                    continue;
                }
                Err(Refused::Io(error)) => {
                    let gap = self.since(started);
                    if gap > ABANDONED.max(self.timeout * 2) {
                        let gap = gap.as_secs();
                        shared.fail(format!("no server took a session for {gap} s: {error}"));
                        return None;
                    }
                }
            }
            sleep(self.rng.random_range(PAUSE)).await;
            self.next_server();
        }
    }

    pub(super) fn next_server(&mut self) {
        self.place.server = (self.place.server + 1) % self.place.shared.servers.len();
    }

    fn since(&self, started: u64) -> Duration {
        Duration::from_nanos(self.place.shared.now().saturating_sub(started))
    }

    pub(super) async fn reach(&self) -> Result<Opened, Refused> {
        let shared = &self.place.shared;
        let target = &shared.servers[self.place.server];
        let opening = wire::open(target, self.session, shared.session_timeout);
        match timeout(PATIENCE, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(Refused::Io(std::io::ErrorKind::TimedOut.into())),
        }
    }

    pub(super) fn take(&mut self, opened: Opened) -> TcpStream {
        self.session = opened.session;
        self.timeout = opened.timeout;
        opened.stream
    }

    /// Counts it; whether the run cannot go on after it.
    fn is_hopeless(&self, wrong: &Wrong) -> bool {
        let mut tally = self.place.tally.lock();
        tally.broken += 1;
        tally.wrong = Some(wrong.to_string());
        *wrong == Wrong::Auth
    }

    fn note_loss(&self) {
        let mut tally = self.place.tally.lock();
        if let Some(server) = tally.servers.get_mut(self.place.server) {
            server.lost += 1;
        }
    }

    /// Requests and answers, until one of [`End`].
    async fn serve(&mut self, stream: &mut TcpStream, pipe: &mut Pipe) -> End {
        let (place, shared) = (self.place.clone(), self.place.shared.clone());
        let (mut reader, writer) = stream.split();
        let mut out = Vec::new();
        let mut inbox = vec![0; pipe.longest().max(INBOX)];
        let (mut written, mut filled, mut wrote) = (0, 0, 0);
        if let Some(identity) = &shared.identity {
            out.extend_from_slice(&identity.packet());
        }
        place.tally.lock().again += pipe.resend(&mut out);
        let (mut now, mut set) = (shared.now(), 0);
        let (mut heard, mut sent) = (now, now);
        loop {
            pipe.fill(now, shared.window(), &mut out);
            match write(&writer, &out[written..]) {
                Ok(0) => {}
                Ok(count) => {
                    written += count;
                    wrote += count as u64;
                    sent = now;
                }
                Err(_) => return End::Lost,
            }
            if written == out.len() {
                out.clear();
                written = 0;
            }
            if pipe.is_done() {
                return End::Done;
            }
            set = self.set_alarm(pipe.due(), set, now);
            tokio::select! {
                biased;
                read = reader.read(&mut inbox[filled..]) => {
                    let Ok(count @ 1..) = read else {
                        return End::Lost;
                    };
                    filled += count;
                    now = shared.now();
                    heard = now;
                    let mut tally = place.tally.lock();
                    if let Some(server) = tally.servers.get_mut(place.server) {
                        server.bytes.0 += std::mem::take(&mut wrote);
                        server.bytes.1 += count as u64;
                    }
                    let took = pipe.take(&inbox[..filled], now, shared.window(), place.server, &mut tally);
                    let Ok(used) = took else {
                        return took.map_or_else(End::Wrong, |_| End::Lost);
                    };
                    drop(tally);
                    inbox.copy_within(used..filled, 0);
                    filled -= used;
                    shared.waits(place.number, pipe.waiting_since());
                }
                _ = writer.writable(), if written < out.len() => now = shared.now(),
                () = rings(self.alarm.as_ref()), if set > 0 => (now, set) = (shared.now(), 0),
                _ = self.tick.tick() => {
                    now = shared.now();
                    shared.waits(place.number, pipe.waiting_since());
                    if let Some(end) = self.look(now, heard) {
                        return end;
                    }
                    let is_idle = self.since(sent) > (self.timeout / 3).min(PING);
                    if is_idle && out.is_empty() {
                        out.extend_from_slice(&frame(xid::PING, Op::Ping, |_| ()));
                    }
                }
            }
        }
    }

    /// Whether it ends by itself: nobody waits any more, or the server fell silent.
    fn look(&self, now: u64, heard: u64) -> Option<End> {
        if self.place.shared.is_late(now) {
            return Some(End::Late);
        }
        (self.since(heard) > self.timeout * 2 / 3).then_some(End::Lost)
    }

    /// Sets the alarm to `due`, if it is set to something else; 0 stands for not set.
    fn set_alarm(&self, due: Option<u64>, set: u64, now: u64) -> u64 {
        match (due, &self.alarm) {
            (Some(due), Some(alarm)) if due != set => {
                // An alarm cannot be set wrong; the tick would still come.
                let _ = alarm.set(Duration::from_nanos(due.saturating_sub(now)));
                due
            }
            (Some(_), Some(_)) => set,
            _ => 0,
        }
    }

    /// Waits, as exactly as it can.
    pub(super) async fn sleep(&self, pause: Duration) {
        match &self.alarm {
            Some(alarm) if alarm.set(pause).is_ok() => rings(Some(alarm)).await,
            _ => sleep(pause).await,
        }
    }

    /// Ends the session; a server that does not answer will find out by itself.
    pub(super) async fn close(&self, stream: &mut TcpStream) {
        // Best effort: what was measured is over.
        let _ = timeout(CLOSING, close(stream)).await;
    }
}

/// Ends the session of a connection on which nothing is in flight.
///
/// # Errors
/// The connection broke, or the answer is not OK.
pub(super) async fn close(stream: &mut TcpStream) -> std::io::Result<()> {
    let wrong = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    stream
        .write_all(&frame(0, Op::CloseSession, |_| ()))
        .await?;
    let mut reply = [0; wire::HEADER];
    loop {
        stream.read_exact(&mut reply).await?;
        let at = |at| i32_at(&reply, at);
        match (at(0), at(4), at(16)) {
            (Some(16), Some(xid::PING), _) => {}
            (Some(16), Some(0), Some(0)) => return Ok(()),
            _ => return Err(wrong()),
        }
    }
}

/// Writes as much as the socket takes without waiting.
fn write(writer: &WriteHalf<'_>, mut bytes: &[u8]) -> std::io::Result<usize> {
    let all = bytes.len();
    while !bytes.is_empty() {
        match writer.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(all - bytes.len())
}

async fn rings(alarm: Option<&Alarm>) {
    let rang = match alarm {
        Some(alarm) => alarm.rings().await,
        None => pending().await,
    };
    if rang.is_err() {
        pending::<()>().await;
    }
}

/// Between two looks at what does not come by itself: silence, the end.
const TICK: Duration = Duration::from_millis(200);
/// A server hears from its client this often.
const PING: Duration = Duration::from_secs(10);
/// Between two attempts to connect.
const PAUSE: std::ops::Range<Duration> = Duration::from_millis(10)..Duration::from_millis(100);
/// A server gets as long to shake hands.
const PATIENCE: Duration = Duration::from_secs(5);
/// No session at all for as long at the start: there will be none.
const OPENING: Duration = Duration::from_secs(10);
/// And this long, or twice the session timeout, later on.
const ABANDONED: Duration = Duration::from_secs(10);
/// A server gets as long to end a session.
pub(super) const CLOSING: Duration = Duration::from_secs(2);
/// Bytes that one read may bring.
const INBOX: usize = 64 * 1024;
