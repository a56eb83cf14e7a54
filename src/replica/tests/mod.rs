//! One server without a world around it: what breaks easily, a test per line of that list, and a
//! stress test of the gate and the outboxes with real threads.

mod chance;
mod doubts;
mod ensemble;
mod measuring;
mod members;
mod orderings;
mod restoring;
mod riding;
mod threads;
mod throttling;

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Wake, Waker};

use bytes::Bytes;
use jute::proto::{
    ConnectFields, ConnectRequest, CreateRequest, ReplyHeader, SetDataRequest, WatchableRequest,
};
use jute::{Reader, Wire};

use super::*;
use crate::auth::{self, AuthOptions};
use crate::base::{Stamp, WallMs, Zxid};
use crate::prep::PrepOptions;
use crate::replica::request::ReadRequest;
use crate::tree::{Tree, TreeOptions};

const BACKLOG: usize = 1000;

/// A server, and time that passes only when told to.
struct World {
    now: Now,
    gate: Arc<Gate>,
    counters: Arc<Counters>,
    replica: Replica,
    conns: u64,
    appends: Vec<(Zxid, Bytes)>,
}

/// What a client got: xid, zxid and error.
type Got = (i32, i64, i32);

impl World {
    fn new() -> World {
        World::with(ThrottleOptions::default(), 1 << 20)
    }

    /// Its clients' outboxes are full soon.
    fn tight() -> World {
        World::with(ThrottleOptions::default(), BACKLOG)
    }

    fn throttled(throttle: ThrottleOptions) -> World {
        World::with(throttle, 1 << 20)
    }

    fn with(throttle: ThrottleOptions, reply_backlog_bytes: usize) -> World {
        let now = Now {
            mono: Mono(1_000_000),
            wall: WallMs(1_700_000_000_000),
        };
        let options = options_of(throttle, reply_backlog_bytes);
        let tree = Tree::new(TreeOptions::default());
        let gate = Arc::new(Gate::new(tree, AuthOptions::default(), 1 << 20));
        let counters = Arc::new(Counters::default());
        World {
            now,
            replica: Replica::standalone(options, gate.clone(), counters.clone(), now),
            gate,
            counters,
            conns: 0,
            appends: Vec::new(),
        }
    }

    /// A new connection that asked for a session; 0 is a new one.
    fn connect(&mut self, session: SessionId, password: &[u8]) -> Arc<Conn> {
        self.conns += 1;
        let remote = SocketAddr::from(([127, 0, 0, 1], 1000));
        let ids = auth::initial(remote.ip());
        let conn = Arc::new(Conn::new(self.conns, remote, ids, WallMs(0)));
        self.gate.add_conn(conn.clone());
        let request = ConnectRequest {
            fields: ConnectFields {
                timeout: 10_000,
                session_id: session.0,
                password: Some(password.to_vec().into()),
                ..ConnectFields::default()
            },
            read_only: None,
        };
        let input = Input::Connect {
            conn: conn.clone(),
            request,
        };
        self.replica.step(self.now, input);
        conn
    }

    /// A connection with a new session, its welcome taken.
    fn open(&mut self) -> Arc<Conn> {
        let conn = self.connect(SessionId(0), &[]);
        self.commit();
        taken(&conn);
        conn
    }

    /// The session of `old` comes back on a new connection.
    fn resume(&mut self, old: &Conn) -> Arc<Conn> {
        let id = session(old);
        let conn = self.connect(id, &crate::session::password::of(id));
        taken(&conn);
        conn
    }

    /// Hands a request to the loop.
    fn send(&mut self, conn: &Arc<Conn>, xid: i32, request: Request) {
        let lane = conn.lane.get().unwrap().clone();
        lane.touch(self.now.mono);
        lane.enter();
        self.counters.in_loop(1);
        let input = Input::Request {
            conn: conn.clone(),
            lane,
            xid,
            request,
            ids: conn.identities(),
            received: self.now.mono,
            arrived: self.stamp(),
            large: None,
        };
        self.replica.set_stamp(self.stamp());
        self.replica.step(self.now, input);
    }

    /// What is owed to the log becomes durable and is applied.
    fn commit(&mut self) {
        self.appends.clear();
        let mut outputs = Vec::new();
        self.replica.take_outputs(&mut outputs);
        self.appends
            .extend(outputs.into_iter().filter_map(Output::into_record));
        self.replica.set_stamp(self.stamp());
        if let Some((upto, _)) = self.appends.last() {
            self.replica.step(self.now, Input::Logged { upto: *upto });
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp(self.now.mono.0 as u64 * 1_000_000)
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono = self.now.mono + Duration::from_millis(ms);
        self.now.wall.0 += ms as i64;
    }

    /// A znode, made by a session of its own.
    fn given(&mut self, path: &str, data: &[u8]) {
        let conn = self.open();
        self.send(&conn, 1, create_with(path, data));
        self.commit();
        assert_eq!(errors(&conn), [(1, 0)]);
    }

    fn exists(&self, path: &str) -> bool {
        self.gate.read(|tree| tree.find(path).is_some())
    }
}

fn options_of(throttle: ThrottleOptions, reply_backlog_bytes: usize) -> ReplicaOptions {
    ReplicaOptions {
        tick: Duration::from_secs(2),
        min_session_timeout: Duration::from_secs(4),
        max_session_timeout: Duration::from_secs(40),
        server_id: 1,
        prep: PrepOptions::default(),
        reaper: ReaperOptions {
            interval: Duration::from_secs(3600),
            max_per_minute: 10_000,
            max_never_used: Duration::ZERO,
        },
        throttle,
        reply_backlog_bytes,
        slow_request: Some(Duration::from_secs(1)),
    }
}

fn session(conn: &Conn) -> SessionId {
    conn.lane.get().unwrap().session()
}

/// The frames in the outbox, without their lengths.
fn taken(conn: &Conn) -> Vec<Bytes> {
    let mut bytes = BytesMut::new();
    conn.outbox.take(&mut bytes);
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let frame = bytes.split_to(4);
        let length = i32::from_be_bytes(frame[..].try_into().unwrap());
        frames.push(bytes.split_to(length as usize).freeze());
    }
    frames
}

fn got(conn: &Conn) -> Vec<Got> {
    let header = |frame: Bytes| ReplyHeader::read(&mut Reader::new(frame, 1 << 20)).unwrap();
    taken(conn)
        .into_iter()
        .map(header)
        .map(|header| (header.xid, header.zxid, header.err.0))
        .collect()
}

/// xid and error of each.
fn errors(conn: &Conn) -> Vec<(i32, i32)> {
    got(conn)
        .into_iter()
        .map(|(xid, _, err)| (xid, err))
        .collect()
}

fn create(path: &str) -> Request {
    create_with(path, b"")
}

fn create_with(path: &str, data: &[u8]) -> Request {
    let anyone = jute::data::Acl {
        perms: 31,
        id: jute::data::Id {
            scheme: Some("world".into()),
            id: Some("anyone".into()),
        },
    };
    let request = CreateRequest {
        path: Some(path.into()),
        data: Some(data.to_vec().into()),
        acl: Some(vec![anyone]),
        flags: 0,
    };
    Request::Write(WriteRequest::Create(jute::Op::Create, request))
}

fn set(path: &str) -> Request {
    Request::Write(WriteRequest::SetData(SetDataRequest {
        path: Some(path.into()),
        data: None,
        version: -1,
    }))
}

fn watchable(path: &str, watch: bool) -> WatchableRequest {
    let path = Some(path.into());
    WatchableRequest { path, watch }
}

fn get(path: &str) -> Request {
    Request::Read(ReadRequest::GetData(watchable(path, false)))
}

fn close() -> Request {
    Request::Write(WriteRequest::CloseSession)
}
