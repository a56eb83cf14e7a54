//! The load generator: one thread, many connections, a fixed number of requests in flight on each.
//!
//! It shares the machine with the server, so it must cost less than the server: request bytes are
//! built once and only xid and the number in the path are patched, a reply is its length, xid and
//! error code, and whatever one read brought is answered with one write. Every reply is checked;
//! one that is not OK ends the run.

use super::wire::{self, HEADER, STAT, Session, frame, i32_at, text};
use bytes::BytesMut;
use jute::Op;
use jute::data::{Acl, Id};
use jute::proto::{CreateRequest, SetDataRequest, WatchableRequest};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What the requests do. Paths end in a number that runs through a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// getData of [`KEYS`] znodes of [`VALUE`] bytes.
    Get,
    /// setData of the same, any version.
    Set,
    /// Nine getData, then one setData.
    Mixed,
    /// Creates the znodes the three above use.
    Keys,
    /// Creates the thousand parents of [`Work::Many`].
    Parents,
    /// Creates znodes of [`SMALL`] bytes under a thousand parents.
    Many,
}

/// Znodes that getData and setData go round.
pub const KEYS: u32 = 1000;
/// Bytes of data of each of them.
pub const VALUE: usize = 1024;
/// Bytes of data of each of the many.
pub const SMALL: usize = 100;

/// How hard to press, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections, each with a session of its own.
    pub connections: u32,
    /// Requests each connection keeps unanswered.
    pub in_flight: u32,
    /// Load before the measurement starts.
    pub ramp: Duration,
    /// Length of the measurement.
    pub window: Duration,
}

/// What a measurement counted.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Replies, all of them OK.
    pub ops: u64,
    /// Time over which they came.
    pub seconds: f64,
    /// Latency of each operation in ns, sorted; only with one connection and one in flight.
    pub latencies: Vec<u32>,
}

/// Presses `work` on the servers for the length of the window, each with its share of the
/// connections; `mark` is called as it starts and as it ends.
///
/// # Errors
/// Text for a person: which reply was wrong, or how the connection broke.
pub fn press(
    targets: &[SocketAddr],
    work: Work,
    load: Load,
    mut mark: impl FnMut(),
) -> Result<Counted, String> {
    run(async move {
        let shared = Rc::new(Shared::default());
        let alone = load.connections == 1 && load.in_flight == 1;
        let tasks = connect_all(
            targets,
            work,
            load.connections,
            load.in_flight,
            alone,
            None,
            &shared,
        )
        .await?;
        shared.pause(load.ramp).await?;
        shared.latencies.borrow_mut().clear();
        mark();
        let (started, before) = (Instant::now(), shared.ops.get());
        shared.pause(load.window).await?;
        let (seconds, ops) = (started.elapsed().as_secs_f64(), shared.ops.get() - before);
        mark();
        let mut latencies = shared.latencies.take();
        shared.stop.set(true);
        for task in tasks {
            task.await.map_err(|error| error.to_string())??;
        }
        latencies.sort_unstable();
        Ok(Counted {
            ops,
            seconds,
            latencies,
        })
    })
}

/// Sends exactly the requests `0..count` of `work`, whose numbers the connections share out among
/// them.
///
/// # Errors
/// As [`press`].
pub fn complete(
    targets: &[SocketAddr],
    work: Work,
    connections: u32,
    in_flight: u32,
    count: u32,
) -> Result<(), String> {
    run(async move {
        let shared = Rc::new(Shared::default());
        for task in connect_all(
            targets,
            work,
            connections,
            in_flight,
            false,
            Some(count),
            &shared,
        )
        .await?
        {
            task.await.map_err(|error| error.to_string())??;
        }
        match shared.ops.get() == u64::from(count) {
            true => Ok(()),
            false => Err(format!(
                "{} of {count} requests were answered",
                shared.ops.get()
            )),
        }
    })
}

fn run<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    LocalSet::new().block_on(&runtime, work)
}

/// What the connections of one run have in common.
#[derive(Default)]
struct Shared {
    ops: Cell<u64>,
    stop: Cell<bool>,
    failure: RefCell<Option<String>>,
    latencies: RefCell<Vec<u32>>,
}

impl Shared {
    /// Lets the connections work for a while; an error as soon as one of them failed.
    async fn pause(&self, length: Duration) -> Result<(), String> {
        let until = Instant::now() + length;
        loop {
            if let Some(failure) = self.failure.borrow().as_ref() {
                return Err(failure.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(Duration::from_millis(200))).await;
        }
    }
}

type Task = tokio::task::JoinHandle<Result<(), String>>;

async fn connect_all(
    targets: &[SocketAddr],
    work: Work,
    connections: u32,
    in_flight: u32,
    timed: bool,
    count: Option<u32>,
    shared: &Rc<Shared>,
) -> Result<Vec<Task>, String> {
    let mut open = Vec::new();
    let opening: Vec<_> = (0..connections as usize)
        .map(|number| tokio::task::spawn_local(new_session(targets[number % targets.len()])))
        .collect();
    for (number, stream) in (0..).zip(opening) {
        let stream = stream.await.map_err(|error| error.to_string())??;
        // Connections start their rounds apart, so that they do not all ask for the same znode.
        let (first, step) = match count {
            Some(_) => (number, connections),
            None => (number * KEYS / connections, 1),
        };
        open.push((stream, Requests::new(work, first, step, count)));
    }
    let start = |(stream, requests)| {
        let shared = Rc::clone(shared);
        tokio::task::spawn_local(async move {
            let mut connection = Connection {
                stream,
                requests,
                timed,
                shared,
            };
            let ended = connection.work(in_flight).await;
            if let Err(failure) = &ended {
                connection.shared.failure.replace(Some(failure.clone()));
            }
            ended
        })
    };
    Ok(open.into_iter().map(start).collect())
}

async fn new_session(target: SocketAddr) -> Result<TcpStream, String> {
    match wire::open(target, Session::default()).await {
        Ok((stream, _)) => Ok(stream),
        Err(refused) => Err(format!("connecting to {target}: {refused}")),
    }
}

struct Connection {
    stream: TcpStream,
    requests: Requests,
    timed: bool,
    shared: Rc<Shared>,
}

impl Connection {
    /// Keeps `in_flight` requests unanswered until told to stop or out of requests, then closes the
    /// session.
    async fn work(&mut self, in_flight: u32) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("connection lost: {error}");
        let mut out = Vec::new();
        let mut inbox = vec![0; 64 * 1024];
        let mut filled = 0;
        for _ in 0..in_flight {
            self.requests.push(&mut out);
        }
        while self.requests.unanswered() > 0 {
            let sent = self.timed.then(Instant::now);
            if !out.is_empty() {
                self.stream.write_all(&out).await.map_err(failed)?;
                out.clear();
            }
            let read = self
                .stream
                .read(&mut inbox[filled..])
                .await
                .map_err(failed)?;
            if read == 0 {
                return Err("the server closed a connection".into());
            }
            filled += read;
            let used = self.take_replies(&inbox[..filled], &mut out)?;
            inbox.copy_within(used..filled, 0);
            filled -= used;
            if let Some(sent) = sent {
                let nanos = sent.elapsed().as_nanos().min(u128::from(u32::MAX)) as u32;
                self.shared.latencies.borrow_mut().push(nanos);
            }
        }
        self.stream
            .write_all(&frame(0, Op::CloseSession, |_| ()))
            .await
            .map_err(failed)?;
        let reply = self.stream.read(&mut inbox).await.map_err(failed)?;
        match reply >= 20 && i32_at(&inbox, 16) == 0 {
            true => Ok(()),
            false => Err("a closeSession was not answered with OK".into()),
        }
    }

    /// Checks the whole replies in `inbox` and puts a request in `out` for each; returns the bytes
    /// they took.
    fn take_replies(&mut self, inbox: &[u8], out: &mut Vec<u8>) -> Result<usize, String> {
        let mut at = 0;
        let mut answered = 0;
        while inbox.len() - at >= 20 {
            let length = i32_at(inbox, at) as usize;
            if inbox.len() - at - 4 < length {
                break;
            }
            self.requests
                .answered(length, i32_at(inbox, at + 4), i32_at(inbox, at + 16))?;
            at += 4 + length;
            answered += 1;
            if !self.shared.stop.get() {
                self.requests.push(out);
            }
        }
        self.shared.ops.set(self.shared.ops.get() + answered);
        Ok(at)
    }
}

/// The requests of one connection: each is a copy of a template with its xid and number written in.
struct Requests {
    templates: Vec<Template>,
    /// Which template each request of a round uses.
    round: &'static [usize],
    number: u32,
    step: u32,
    /// The first number past the range; without an end the numbers wrap at [`KEYS`].
    end: Option<u32>,
    next_xid: i32,
    next_reply: i32,
}

struct Template {
    bytes: Vec<u8>,
    /// Where digits of the number stand in `bytes`, how many, and what the number is divided by.
    digits: Vec<(usize, usize, u32)>,
    /// Length of the frame of an OK reply.
    reply: usize,
}

impl Requests {
    fn new(work: Work, first: u32, step: u32, end: Option<u32>) -> Self {
        let (templates, round): (_, &'static [usize]) = match work {
            Work::Get => (vec![Template::get()], &[0]),
            Work::Set => (vec![Template::set()], &[0]),
            Work::Mixed => (
                vec![Template::get(), Template::set()],
                &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            ),
            Work::Keys => (vec![Template::create("/versus-key-0000", VALUE)], &[0]),
            Work::Parents => (vec![Template::create("/versus-0000", 0)], &[0]),
            Work::Many => (
                vec![Template::create("/versus-0000/znode-0000000", SMALL)],
                &[0],
            ),
        };
        Requests {
            templates,
            round,
            number: first,
            step,
            end,
            next_xid: 1,
            next_reply: 1,
        }
    }

    fn unanswered(&self) -> i32 {
        self.next_xid - self.next_reply
    }

    fn template(&self, xid: i32) -> &Template {
        &self.templates[self.round[xid as usize % self.round.len()]]
    }

    /// Appends the next request, if there is one.
    fn push(&mut self, out: &mut Vec<u8>) {
        if self.end.is_some_and(|end| self.number >= end) {
            return;
        }
        let start = out.len();
        let template = self.template(self.next_xid);
        out.extend_from_slice(&template.bytes);
        let request = &mut out[start..];
        request[4..8].copy_from_slice(&self.next_xid.to_be_bytes());
        for (at, digits, divisor) in &template.digits {
            let mut rest = self.number / divisor;
            for digit in request[*at..at + digits].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        self.next_xid += 1;
        self.number += self.step;
        if self.end.is_none() && self.number >= KEYS {
            self.number -= KEYS;
        }
    }

    /// Checks a reply against the oldest unanswered request.
    fn answered(&mut self, length: usize, xid: i32, err: i32) -> Result<(), String> {
        let template = self.template(self.next_reply);
        if xid != self.next_reply || err != 0 || length != template.reply {
            return Err(format!(
                "wrong reply: xid {xid}, error {err}, {length} bytes; \
                 expected xid {}, no error, {} bytes",
                self.next_reply, template.reply
            ));
        }
        self.next_reply += 1;
        Ok(())
    }
}

impl Template {
    fn get() -> Self {
        let path = "/versus-key-0000";
        let request = WatchableRequest {
            path: text(path),
            watch: false,
        };
        Template::new(
            frame(1, Op::GetData, |w| w.put(&request)),
            path,
            HEADER + 4 + VALUE + STAT,
        )
    }

    fn set() -> Self {
        let path = "/versus-key-0000";
        let data = Some(vec![b'v'; VALUE].into());
        let request = SetDataRequest {
            path: text(path),
            data,
            version: -1,
        };
        Template::new(
            frame(1, Op::SetData, |w| w.put(&request)),
            path,
            HEADER + STAT,
        )
    }

    fn create(path: &'static str, size: usize) -> Self {
        let anyone = Acl {
            perms: 31,
            id: Id {
                scheme: text("world"),
                id: text("anyone"),
            },
        };
        let data = Some(vec![b'v'; size].into());
        let request = CreateRequest {
            path: text(path),
            data,
            acl: Some(vec![anyone]),
            flags: 0,
        };
        Template::new(
            frame(1, Op::Create, |w| w.put(&request)),
            path,
            HEADER + 4 + path.len(),
        )
    }

    /// Digits in `path` are where the number goes: all of it in the last group, its thousands in
    /// the one before.
    fn new(bytes: BytesMut, path: &str, reply: usize) -> Self {
        // Length, xid, op, and the length of the path stand before the path.
        let start = 16;
        let mut digits = Vec::new();
        let mut end = path.len();
        let mut divisor = 1;
        while let Some(last) = path[..end].rfind('0') {
            let first = path[..=last].trim_end_matches('0').len();
            digits.push((start + first, last + 1 - first, divisor));
            (end, divisor) = (first, divisor * 1000);
        }
        Template {
            bytes: bytes.to_vec(),
            digits,
            reply,
        }
    }
}
