//! Clients against a whole server without sockets, files or threads.
//!
//! The input is what clients write, as it comes over the wire: frames behind their lengths, so that
//! a captured conversation is an input. A length's lower two bytes count (no more than what is
//! left); its first byte says what else happens around the frame, and is 0 in a capture:
//!
//! | bit | meaning |
//! |---|---|
//! | 0 | the frame is the second client's |
//! | 1 | nothing is durable yet: the next frame is judged while this one is pending |
//! | 2 | time passes first: sessions expire, containers are looked at |
//! | 3 | the client comes back on a new connection first |

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use jute::proto::{ConnectFields, ConnectRequest};
use jute::txn::{LoggedTxn, Txn};
use jute::{Reader, Wire};
use oxkeeper::auth::{self, AuthOptions};
use oxkeeper::base::{Mono, Now, SessionId, WallMs, Zxid};
use oxkeeper::client_port::codec::{self, Frame};
use oxkeeper::prep::PrepOptions;
use oxkeeper::replica::conn::Conn;
use oxkeeper::replica::gate::Gate;
use oxkeeper::replica::outbox::Wakes;
use oxkeeper::replica::request::Request;
use oxkeeper::replica::status::Counters;
use oxkeeper::replica::{
    Input, Output, Progress, Read, ReaperOptions, Replica, ReplicaOptions, ThrottleOptions,
};
use oxkeeper::session::password;
use oxkeeper::tree::{Tree, TreeOptions};

const SECOND_CLIENT: u8 = 1;
const STAYS_PENDING: u8 = 2;
const TIME_PASSES: u8 = 4;
const RECONNECTS: u8 = 8;

/// What each client may be owed, in bytes of notifications.
const NOTIFICATION_LIMIT: usize = 1 << 20;

/// Plays the input. What was logged, replayed, gives the tree the server has, and every digest it
/// predicted; every request that is not dropped leaves the loop; replies are whole frames.
pub fn session(input: &[u8]) {
    let mut world = World::new();
    let mut rest = Bytes::copy_from_slice(input);
    while rest.len() >= 4 {
        let control = rest[0];
        rest.advance(2);
        let length = usize::from(rest.get_u16()).min(rest.len());
        let frame = rest.split_to(length);
        if control & TIME_PASSES != 0 {
            world.time_passes();
        }
        let client = usize::from(control & SECOND_CLIENT);
        if control & RECONNECTS != 0 {
            world.connect_again(client);
        }
        world.frame(client, frame);
        if control & STAYS_PENDING == 0 {
            world.durable();
        }
    }
    world.durable();
    world.finish();
}

/// A server on its own, whose timers are short.
pub fn replica_options(auth: AuthOptions) -> ReplicaOptions {
    ReplicaOptions {
        tick: Duration::from_secs(2),
        min_session_timeout: Duration::from_secs(4),
        max_session_timeout: Duration::from_secs(40),
        server_id: 1,
        prep: PrepOptions {
            enforce_quota: true,
            reconfig_enabled: true,
            auth,
        },
        reaper: ReaperOptions {
            interval: Duration::from_secs(1),
            max_per_minute: 60_000,
            max_never_used: Duration::ZERO,
        },
        throttle: ThrottleOptions::default(),
        reply_backlog_bytes: 1 << 20,
        slow_request: None,
    }
}

struct World {
    now: Now,
    gate: Arc<Gate>,
    replica: Replica,
    clients: [Arc<Conn>; 2],
    next_conn: u64,
    log: Vec<(Zxid, Bytes)>,
    durable: usize,
}

impl World {
    fn new() -> World {
        let auth = AuthOptions {
            // super:test
            super_digest: Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".to_owned()),
            ..AuthOptions::default()
        };
        let options = replica_options(auth.clone());
        let now = Now {
            mono: Mono(1_000_000),
            wall: WallMs(1_700_000_000_000),
        };
        let gate = Arc::new(Gate::new(
            Tree::new(tree_options()),
            auth,
            NOTIFICATION_LIMIT,
        ));
        let counters = Arc::new(Counters::default());
        let mut world = World {
            now,
            replica: Replica::standalone(options, gate.clone(), counters, now),
            clients: [connection(0), connection(1)],
            gate,
            next_conn: 2,
            log: Vec::new(),
            durable: 0,
        };
        for conn in world.clients.clone() {
            world.gate.add_conn(conn.clone());
            world.connect(&conn, ConnectRequest::default());
        }
        world.durable();
        world
    }

    fn connect(&mut self, conn: &Arc<Conn>, request: ConnectRequest) {
        let conn = conn.clone();
        self.replica
            .step(self.now, Input::Connect { conn, request });
    }

    /// The client's old connection stays as it is; the server has to end it.
    fn connect_again(&mut self, client: usize) {
        let session = self.clients[client]
            .lane
            .get()
            .map_or(SessionId(0), |lane| lane.session());
        let conn = connection(self.next_conn);
        self.next_conn += 1;
        self.gate.add_conn(conn.clone());
        let fields = ConnectFields {
            session_id: session.0,
            password: Some(Bytes::copy_from_slice(&password::of(session))),
            ..ConnectFields::default()
        };
        let request = ConnectRequest {
            fields,
            read_only: Some(false),
        };
        self.connect(&conn, request);
        let old = std::mem::replace(&mut self.clients[client], conn);
        if old.outbox.is_closed() {
            self.gate.drop_conn(&old);
            self.replica.step(self.now, Input::Gone { conn: old });
        }
    }

    fn time_passes(&mut self) {
        self.now.mono = self.now.mono + Duration::from_millis(1500);
        self.now.wall.0 += 1500;
        self.replica.tick(self.now);
    }

    /// As a connection's task does it, see `client_port/conn.rs`.
    fn frame(&mut self, client: usize, frame: Bytes) {
        let conn = self.clients[client].clone();
        if conn.outbox.has_last_word() {
            return;
        }
        let Some(lane) = conn.lane.get().cloned() else {
            if let Ok(request) = ConnectRequest::read(&mut Reader::new(frame, 1 << 16)) {
                self.connect(&conn, request);
            }
            return;
        };
        let Ok((xid, frame)) = codec::decode(frame, 1 << 16) else {
            return;
        };
        let mut wakes = Wakes::default();
        let request = match frame {
            Frame::Sasl => return,
            Frame::Auth(packet) => {
                let (scheme, data) = (packet.scheme.as_deref(), packet.auth.as_deref());
                let (auth, before) = (self.gate.auth(), conn.identities());
                match auth::authenticate(auth, scheme, data, conn.remote.ip(), &before) {
                    Ok(identities) => conn.set_identities(identities),
                    Err(_) => conn.outbox.finish(&mut wakes),
                }
                return;
            }
            Frame::Request(request) => request,
        };
        if lane.is_closing() {
            return;
        }
        lane.touch(self.now.mono);
        let ids = conn.identities();
        match request {
            Request::Read(request) if lane.in_loop() == 0 => {
                let (gate, session) = (&self.gate, lane.session());
                let mut progress = Progress::default();
                let mut run = |tree: &Tree| {
                    Read {
                        gate,
                        tree,
                        conn: &conn,
                        session,
                        ids: &ids,
                        xid,
                    }
                    .run(&request, &mut progress, &mut wakes)
                };
                while gate.read(&mut run).is_none() {}
            }
            request => {
                lane.enter();
                let received = self.now.mono;
                let input = Input::Request {
                    conn,
                    lane,
                    xid,
                    request,
                    ids,
                    received,
                    arrived: Default::default(),
                    large: None,
                };
                self.replica.step(self.now, input);
            }
        }
    }

    /// Everything proposed becomes durable, is applied, and matches what was predicted.
    fn durable(&mut self) {
        let mut outputs = Vec::new();
        self.replica.take_outputs(&mut outputs);
        self.log
            .extend(outputs.into_iter().filter_map(Output::into_record));
        let Some(upto) = self.log.last().map(|(zxid, _)| *zxid) else {
            return;
        };
        if self.durable == self.log.len() {
            return;
        }
        self.durable = self.log.len();
        self.replica.step(self.now, Input::Logged { upto });
        self.replica.wake();
        while self.replica.is_behind() {
            self.replica.catch_up(self.now);
        }
        assert!(self.replica.is_idle());
        let (last, digest) = self.gate.read(|tree| (tree.last_zxid(), tree.digest()));
        assert_eq!(last, upto);
        if let Some(predicted) = self.decoded(self.log.len() - 1).digest {
            assert_eq!(predicted.tree_digest as u64, digest, "digest at {upto}");
        }
        for conn in &self.clients {
            let waits = conn.lane.get().map_or(0, |lane| lane.in_loop());
            assert_eq!(waits, 0, "requests that nobody answers");
            whole_frames(conn);
        }
    }

    fn decoded(&self, index: usize) -> LoggedTxn {
        match LoggedTxn::read(self.log[index].1.clone()) {
            Ok(logged) => logged,
            Err(error) => panic!("what was logged does not decode: {error}"),
        }
    }

    /// Replays the log, as a start would.
    fn finish(&self) {
        let mut replayed = Tree::new(tree_options());
        for index in 0..self.log.len() {
            let LoggedTxn {
                header,
                txn,
                digest,
            } = self.decoded(index);
            assert_eq!(Zxid(header.zxid), self.log[index].0);
            replayed.replay(&header, &txn);
            if let Some(predicted) = digest {
                let zxid = self.log[index].0;
                assert_eq!(
                    predicted.tree_digest as u64,
                    replayed.digest(),
                    "replaying {zxid}"
                );
            } else {
                assert!(
                    matches!(txn, Txn::Error(_)),
                    "{txn:?} was logged without a digest"
                );
            }
        }
        self.gate.read(|tree| {
            assert_eq!(replayed.digest(), tree.digest());
            assert_eq!(replayed.znode_count(), tree.znode_count());
            assert_eq!(replayed.data_size(), tree.data_size());
            assert_eq!(replayed.ephemeral_count(), tree.ephemeral_count());
            assert!(replayed.sessions().eq(tree.sessions()));
        });
    }
}

fn tree_options() -> TreeOptions {
    TreeOptions {
        extended_types: true,
        ..TreeOptions::default()
    }
}

fn connection(id: u64) -> Arc<Conn> {
    let remote = SocketAddr::from(([127, 0, 0, 1], 1000));
    let conn = Conn::new(id, remote, auth::initial(remote.ip()), WallMs(0));
    Arc::new(conn)
}

/// What the server has written to a client: frames, each as long as it says.
fn whole_frames(conn: &Conn) {
    let mut bytes = BytesMut::new();
    let taken = conn.outbox.take(&mut bytes);
    let mut frames = 0;
    while !bytes.is_empty() {
        assert!(bytes.len() >= 4);
        let length = bytes.get_u32() as usize;
        assert!(
            length >= 16 && length <= bytes.len(),
            "a frame of {length} bytes"
        );
        bytes.advance(length);
        frames += 1;
    }
    assert!(conn.outbox.is_closed() || frames == taken.frames);
}
