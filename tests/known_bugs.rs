//! Bugs of other servers that this one must not have: sessions, ephemerals, watches and replies of
//! a whole server without sockets, files or threads. `docs/known-bugs.md` says which test, here and
//! elsewhere, holds which bug.

#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use jute::data::{Acl, Id, StatPersisted};
use jute::proto::*;
use jute::txn::{
    CloseSessionTxn, CreateSessionTxn, CreateTxn, LoggedTxn, SetDataTxn, Txn, TxnHeader,
};
use jute::{ErrorCode, Op, OpCode, Reader, Str, Wire, Writer};
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
use oxkeeper::storage::{OsDisk, snapshot};
use oxkeeper::tree::{Loader, Tree, TreeOptions};

/// A server and what it logged.
struct Server {
    now: Now,
    gate: Arc<Gate>,
    replica: Replica,
    conns: u64,
    log: Vec<(Zxid, Bytes)>,
    /// How much of it was reported durable.
    durable: usize,
}

/// What a client got.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Reply { xid: i32, err: i32, body: Bytes },
    Event { kind: i32, path: String },
}

impl Server {
    fn new() -> Server {
        Server::over(Tree::new(TreeOptions::default()))
    }

    fn over(tree: Tree) -> Server {
        let now = Now {
            mono: Mono(1_000_000),
            wall: WallMs(1_700_000_000_000),
        };
        let options = ReplicaOptions {
            tick: Duration::from_secs(2),
            min_session_timeout: Duration::from_secs(4),
            max_session_timeout: Duration::from_secs(40),
            server_id: 1,
            prep: PrepOptions::default(),
            reaper: ReaperOptions {
                interval: Duration::from_secs(60),
                max_per_minute: 10_000,
                max_never_used: Duration::ZERO,
            },
            throttle: ThrottleOptions::default(),
            reply_backlog_bytes: 1 << 20,
            slow_request: None,
        };
        let gate = Arc::new(Gate::new(tree, AuthOptions::default(), 1 << 20));
        let counters = Arc::new(Counters::default());
        let mut server = Server {
            now,
            replica: Replica::standalone(options, gate.clone(), counters, now),
            gate,
            conns: 0,
            log: Vec::new(),
            durable: 0,
        };
        server.sync();
        server
    }

    /// What is owed to the log gets there, and is applied.
    fn sync(&mut self) {
        let mut outputs = Vec::new();
        self.replica.take_outputs(&mut outputs);
        self.log
            .extend(outputs.into_iter().filter_map(Output::into_record));
        let reported = std::mem::replace(&mut self.durable, self.log.len());
        if let Some((upto, _)) = self.log[reported..].last() {
            self.replica.step(self.now, Input::Logged { upto: *upto });
            while self.replica.is_behind() {
                self.replica.catch_up(self.now);
            }
        }
        if let Some(digest) = self.txns().last().and_then(|txn| txn.digest.clone()) {
            let now = self.gate.read(|tree| tree.digest());
            assert_eq!(digest.tree_digest as u64, now);
        }
    }

    fn txns(&self) -> Vec<LoggedTxn> {
        let payloads = self.log.iter().map(|(_, payload)| payload.clone());
        payloads
            .map(|payload| LoggedTxn::read(payload).unwrap())
            .collect()
    }

    /// The same server after a kill: its log from `from` on, replayed over `tree`.
    fn restarted(&self, mut tree: Tree, from: Zxid) -> Server {
        for logged in self.txns() {
            if Zxid(logged.header.zxid) > from {
                tree.replay(&logged.header, &logged.txn);
            }
        }
        assert_eq!(tree.digest(), self.gate.read(|tree| tree.digest()));
        Server::over(tree)
    }

    /// Time passes, and the server looks every second: else it would take it for a stall.
    fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_secs() {
            self.now.mono = self.now.mono + Duration::from_secs(1);
            self.now.wall.0 += 1000;
            self.replica.tick(self.now);
        }
    }

    /// A new connection that sent its first frame.
    fn open(&mut self, session: SessionId) -> Arc<Conn> {
        self.conns += 1;
        let remote = SocketAddr::from(([127, 0, 0, 1], 1000));
        let ids = auth::initial(remote.ip());
        let conn = Arc::new(Conn::new(self.conns, remote, ids, WallMs(0)));
        self.gate.add_conn(conn.clone());
        let fields = ConnectFields {
            timeout: 10_000,
            session_id: session.0,
            password: Some(Bytes::copy_from_slice(&password::of(session))),
            ..ConnectFields::default()
        };
        let request = ConnectRequest {
            fields,
            read_only: Some(false),
        };
        let input = Input::Connect {
            conn: conn.clone(),
            request,
        };
        self.replica.step(self.now, input);
        conn
    }

    /// A client with a session, welcomed.
    fn client(&mut self) -> Arc<Conn> {
        let conn = self.open(SessionId(0));
        self.sync();
        welcomed(&conn);
        conn
    }

    /// A request, as the connection's task takes it; its answer may have to wait for the log.
    fn send(&mut self, conn: &Arc<Conn>, xid: i32, op: Op, body: &impl Wire) {
        let mut out = BytesMut::new();
        let mut w = Writer::for_client(&mut out);
        (RequestHeader { xid, op: op.into() }).write(&mut w);
        body.write(&mut w);
        self.send_frame(conn, out.freeze());
    }

    fn send_frame(&mut self, conn: &Arc<Conn>, frame: Bytes) {
        let (xid, frame) = codec::decode(frame, 1 << 20).unwrap();
        let Frame::Request(request) = frame else {
            panic!("not a request")
        };
        let lane = conn.lane.get().unwrap().clone();
        lane.touch(self.now.mono);
        let ids = conn.identities();
        match request {
            Request::Read(request) if lane.in_loop() == 0 => {
                let (gate, session, wakes) = (&self.gate, lane.session(), &mut Wakes::default());
                gate.read(|tree| {
                    let read = Read {
                        gate,
                        tree,
                        conn,
                        session,
                        ids: &ids,
                        xid,
                    };
                    let done = read.run(&request, &mut Progress::default(), wakes);
                    assert!(done.is_some(), "more than one guard is for");
                });
            }
            request => {
                lane.enter();
                let input = Input::Request {
                    conn: conn.clone(),
                    lane,
                    xid,
                    request,
                    ids,
                    received: self.now.mono,
                    arrived: Default::default(),
                    large: None,
                };
                self.replica.step(self.now, input);
            }
        }
    }

    /// A request that succeeds, and its answer.
    fn call(&mut self, conn: &Arc<Conn>, op: Op, body: &impl Wire) -> Bytes {
        self.send(conn, 77, op, body);
        self.sync();
        match got(conn).pop() {
            Some(Got::Reply { err: 0, body, .. }) => body,
            other => panic!("{op:?}: {other:?}"),
        }
    }

    fn create(&mut self, conn: &Arc<Conn>, path: &str, flags: i32) -> String {
        let path = self.call(conn, Op::Create, &create(path, flags));
        PathResponse::read(&mut Reader::new(path, 100))
            .unwrap()
            .path
            .unwrap()
            .to_string()
    }

    fn exists(&self, path: &str) -> bool {
        self.gate.read(|tree| tree.find(path).is_some())
    }
}

fn anyone() -> Option<Vec<Acl>> {
    let id = Id {
        scheme: Some("world".into()),
        id: Some("anyone".into()),
    };
    Some(vec![Acl { perms: 31, id }])
}

const EPHEMERAL: i32 = 1;
const SEQUENTIAL: i32 = 2;

fn create(path: &str, flags: i32) -> CreateRequest {
    CreateRequest {
        path: Some(path.into()),
        data: Some(Bytes::new()),
        acl: anyone(),
        flags,
    }
}

fn set_data(path: &str, data: &str) -> SetDataRequest {
    SetDataRequest {
        path: Some(path.into()),
        data: Some(Bytes::copy_from_slice(data.as_bytes())),
        version: -1,
    }
}

fn at(path: &str, watch: bool) -> WatchableRequest {
    WatchableRequest {
        path: Some(path.into()),
        watch,
    }
}

fn frames(conn: &Conn) -> Vec<Bytes> {
    let mut bytes = BytesMut::new();
    conn.outbox.take(&mut bytes);
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let length = bytes.get_u32() as usize;
        frames.push(bytes.split_to(length).freeze());
    }
    frames
}

fn got(conn: &Conn) -> Vec<Got> {
    let decode = |frame| {
        let mut r = Reader::new(frame, 1 << 20);
        let ReplyHeader { xid, err, .. } = Wire::read(&mut r).unwrap();
        if xid == -1 {
            let event = WatcherEvent::read(&mut r).unwrap();
            return Got::Event {
                kind: event.kind,
                path: event.path.unwrap().to_string(),
            };
        }
        Got::Reply {
            xid,
            err: err.0,
            body: r.take_rest(),
        }
    };
    frames(conn).into_iter().map(decode).collect()
}

fn welcomed(conn: &Conn) {
    let frames = frames(conn);
    assert_eq!(frames.len(), 1);
    assert_ne!(frames[0][4..8], [0; 4], "refused");
}

fn session(conn: &Conn) -> SessionId {
    conn.lane.get().unwrap().session()
}

fn xids(got: &[Got]) -> Vec<i32> {
    let xid = |got: &Got| match got {
        Got::Reply { xid, .. } => *xid,
        Got::Event { .. } => -1,
    };
    got.iter().map(xid).collect()
}

/// A tree through a snapshot file and back.
fn through_a_snapshot(server: &Server) -> (Tree, Zxid) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(OsDisk);
    let options = snapshot::SnapshotOptions::default();
    let tree = &mut server.gate.write();
    let written = snapshot::write_tree(disk.clone(), folder.path(), tree, &options)
        .unwrap()
        .unwrap();
    let path = std::fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let loaded = snapshot::read(&*disk, &path, written.zxid, TreeOptions::default()).unwrap();
    (loaded.tree, written.zxid)
}

#[test]
fn zk_1046_sequential_names_go_on_after_a_restart_with_and_without_a_snapshot() {
    let mut server = Server::new();
    let client = server.client();
    server.create(&client, "/q", 0);
    for expected in ["/q/n-0000000000", "/q/n-0000000001", "/q/n-0000000002"] {
        assert_eq!(server.create(&client, "/q/n-", SEQUENTIAL), expected);
    }
    let delete = DeleteRequest {
        path: Some("/q/n-0000000002".into()),
        version: -1,
    };
    server.call(&client, Op::Delete, &delete);
    let (snapshot, zxid) = through_a_snapshot(&server);
    assert_eq!(
        server.create(&client, "/q/n-", SEQUENTIAL),
        "/q/n-0000000003"
    );
    for (tree, from) in [
        (Tree::new(TreeOptions::default()), Zxid(0)),
        (snapshot, zxid),
    ] {
        let mut again = server.restarted(tree, from);
        let client = again.client();
        assert_eq!(
            again.create(&client, "/q/n-", SEQUENTIAL),
            "/q/n-0000000004"
        );
    }
}

#[test]
fn zk_1208_an_ephemeral_behind_the_pending_end_of_its_session_is_never_made() {
    let mut server = Server::new();
    let client = server.client();
    server.create(&client, "/early", EPHEMERAL);
    server.pass(Duration::from_secs(30)); // the session is over, but nothing of that is logged yet
    server.send(&client, 1, Op::Create, &create("/late", EPHEMERAL));
    server.sync();
    assert!(!server.exists("/late") && !server.exists("/early"));
    assert!(client.outbox.is_closed());
    assert_eq!(server.gate.read(|tree| tree.sessions().count()), 0);
}

#[test]
fn zk_1208_an_ephemeral_pipelined_before_the_end_of_its_session_goes_with_it() {
    let mut server = Server::new();
    let client = server.client();
    server.send(&client, 1, Op::Create, &create("/e", EPHEMERAL));
    let mut close = BytesMut::new();
    let header = RequestHeader {
        xid: 2,
        op: Op::CloseSession.into(),
    };
    header.write(&mut Writer::for_client(&mut close));
    server.send_frame(&client, close.freeze());
    server.sync();
    assert!(!server.exists("/e"));
    assert_eq!(xids(&got(&client)), [1, 2]);
}

#[test]
fn zk_1496_ephemerals_of_a_client_that_never_comes_back_after_a_restart_go_in_time() {
    let mut server = Server::new();
    let client = server.client();
    server.create(&client, "/e", EPHEMERAL);
    let mut again = server.restarted(Tree::new(TreeOptions::default()), Zxid(0));
    again.pass(Duration::from_secs(5));
    again.sync();
    assert!(
        again.exists("/e"),
        "a session gets its whole timeout after a restart"
    );
    again.pass(Duration::from_secs(9));
    again.sync();
    assert!(!again.exists("/e"));
    let closes = |logged: &LoggedTxn| matches!(logged.txn, Txn::CloseSession(_));
    assert!(again.txns().iter().any(closes));
}

#[test]
fn zk_3144_an_ephemeral_whose_session_is_in_no_table_is_deleted_through_the_log() {
    let mut loader = Loader::new(TreeOptions::default());
    let stat = StatPersisted::default();
    loader.acl(1, anyone().unwrap()).unwrap();
    loader.znode("", Some(b""), 1, &stat).unwrap();
    let owned = StatPersisted {
        ephemeral_owner: 0x1234,
        czxid: 5,
        ..stat
    };
    loader.znode("/orphan", Some(b""), 1, &owned).unwrap();
    let server = Server::over(loader.finish(Zxid(9)).unwrap());
    assert!(!server.exists("/orphan"));
    let last = server.txns().pop().unwrap();
    assert_eq!((last.header.client_id, last.header.zxid), (0x1234, 10));
}

#[test]
fn zk_3144_sessions_of_a_fuzzy_snapshot_are_those_of_the_log_after_replay() {
    // Session 1 begins before the snapshot and ends while it is written, session 2 begins then;
    // the ephemerals in the file are of a later moment than its list of sessions.
    let mut loader = Loader::new(TreeOptions::default());
    loader.session(1, 4000);
    loader.acl(1, anyone().unwrap()).unwrap();
    loader
        .znode("", Some(b""), 1, &StatPersisted::default())
        .unwrap();
    let mine = StatPersisted {
        ephemeral_owner: 2,
        ..StatPersisted::default()
    };
    loader.znode("/e2", Some(b""), 1, &mine).unwrap();
    let mut tree = loader.finish(Zxid(3)).unwrap();
    let ephemeral = |path: &str| {
        Txn::Create(CreateTxn {
            path: Some(path.into()),
            data: None,
            acl: anyone(),
            ephemeral: true,
            parent_cversion: 1,
        })
    };
    let paths = Some(vec![Str::from("/e1")]);
    replay(&mut tree, 1, 4, ephemeral("/e1"));
    replay(
        &mut tree,
        2,
        5,
        Txn::CreateSession(CreateSessionTxn { timeout: 5000 }),
    );
    replay(&mut tree, 2, 6, ephemeral("/e2"));
    replay(
        &mut tree,
        1,
        7,
        Txn::CloseSession(Some(CloseSessionTxn { paths })),
    );
    assert_eq!(tree.sessions().collect::<Vec<_>>(), [(SessionId(2), 5000)]);
    assert_eq!(tree.orphan_sessions(), []);
    assert_eq!(tree.ephemerals(SessionId(2)).collect::<Vec<_>>(), ["/e2"]);
}

fn replay(tree: &mut Tree, client_id: i64, zxid: i64, txn: Txn) {
    let header = TxnHeader {
        client_id,
        cxid: 0,
        zxid,
        time: 0,
        kind: txn.op().into(),
    };
    tree.replay(&header, &txn);
}

#[test]
fn zk_2926_a_session_is_announced_only_once_it_is_durable() {
    let mut server = Server::new();
    let conn = server.open(SessionId(0));
    assert!(conn.lane.get().is_none() && conn.outbox.is_empty());
    assert_eq!(server.gate.read(|tree| tree.sessions().count()), 0);
    server.sync();
    welcomed(&conn);
    assert_eq!(
        server
            .gate
            .read(|tree| tree.session_timeout(session(&conn))),
        Some(10_000)
    );
}

#[test]
fn zk_1412_watches_set_again_fire_for_what_was_missed_and_for_nothing_else() {
    let mut server = Server::new();
    let client = server.client();
    server.create(&client, "/seen", 0);
    let seen = server.gate.read(|tree| tree.last_zxid());
    server.create(&client, "/new", 0);
    let watches = SetWatches {
        relative_zxid: seen.0,
        data_watches: Some(vec!["/seen".into(), "/new".into(), "/gone".into()]),
        exist_watches: Some(vec!["/none".into()]),
        child_watches: Some(vec!["/seen".into()]),
    };
    server.send(&client, -8, Op::SetWatches, &watches);
    let event = |kind, path: &str| Got::Event {
        kind,
        path: path.to_owned(),
    };
    let answers = got(&client);
    assert_eq!(answers[..2], [event(3, "/new"), event(2, "/gone")]);
    assert_eq!(xids(&answers[2..]), [-8]);
    server.call(
        &client,
        Op::SetData,
        &set_data("/new", "used up: no second event"),
    );
    server.send(&client, 9, Op::SetData, &set_data("/seen", "still watched"));
    server.sync();
    let answers = got(&client);
    assert_eq!(answers[0], event(3, "/seen"));
    assert_eq!(xids(&answers[1..]), [9]);
}

#[test]
fn zk_1412_a_session_that_moves_leaves_no_watch_on_its_old_connection() {
    let mut server = Server::new();
    let old = server.client();
    server.create(&old, "/a", 0);
    server.call(&old, Op::GetData, &at("/a", true));
    let new = server.open(session(&old));
    assert!(old.outbox.is_closed());
    server.gate.drop_conn(&old);
    welcomed(&new);
    server.send(&new, 1, Op::SetData, &set_data("/a", "x"));
    server.sync();
    assert_eq!(xids(&got(&new)), [1]);
    assert_eq!(server.gate.with_watches(|table| table.watch_count()), 0);
}

#[test]
fn zk_3145_replaying_the_end_of_a_session_sets_the_pzxid_though_its_znode_is_gone() {
    // The parent was written before the session ended, its child never: it was gone by then.
    let mut loader = Loader::new(TreeOptions::default());
    loader.acl(1, anyone().unwrap()).unwrap();
    let stat = |pzxid| StatPersisted {
        pzxid,
        cversion: 1,
        ..StatPersisted::default()
    };
    loader.znode("", Some(b""), 1, &stat(1)).unwrap();
    loader.znode("/p", Some(b""), 1, &stat(4)).unwrap();
    let mut tree = loader.finish(Zxid(5)).unwrap();
    let paths = Some(vec![Str::from("/p/e")]);
    replay(
        &mut tree,
        7,
        6,
        Txn::CloseSession(Some(CloseSessionTxn { paths })),
    );
    assert_eq!(tree.stat(tree.find("/p").unwrap()).pzxid, 6);
}

#[test]
fn zk_1863_replies_keep_the_order_of_the_requests_and_see_what_came_before_them() {
    let mut server = Server::new();
    let (client, other) = (server.client(), server.client());
    server.create(&client, "/a", 0);
    for xid in (10..40).step_by(3) {
        server.send(&client, xid, Op::SetData, &set_data("/a", &xid.to_string()));
        server.send(&client, xid + 1, Op::GetData, &at("/a", false));
        server.send(&other, xid, Op::GetData, &at("/a", false));
        server.send(&client, xid + 2, Op::Exists, &at("/missing", false));
        if xid % 2 == 0 {
            server.sync();
        }
    }
    assert_eq!(got(&other).len(), 10, "another session does not wait");
    server.sync();
    let answers = got(&client);
    assert_eq!(xids(&answers), (10..40).collect::<Vec<_>>());
    for got in &answers {
        let Got::Reply { xid, err, body } = got else {
            panic!("{got:?}")
        };
        match xid % 3 {
            2 => {
                let reply = GetDataResponse::read(&mut Reader::new(body.clone(), 100)).unwrap();
                assert_eq!(reply.data.unwrap(), (xid - 1).to_string());
            }
            0 => assert_eq!(*err, ErrorCode::NO_NODE.0),
            _ => assert_eq!(*err, 0),
        }
    }
}

#[test]
fn zk_3127_a_multi_caught_halfway_by_a_fuzzy_snapshot_is_whole_after_replay() {
    let mut loader = Loader::new(TreeOptions::default());
    loader.acl(1, anyone().unwrap()).unwrap();
    loader
        .znode("", Some(b""), 1, &StatPersisted::default())
        .unwrap();
    // The first op's effect is in the file, the others' are not; the name says 3.
    let made = StatPersisted {
        czxid: 4,
        mzxid: 4,
        pzxid: 4,
        ..StatPersisted::default()
    };
    loader.znode("/a", None, 1, &made).unwrap();
    let mut tree = loader.finish(Zxid(3)).unwrap();
    let make = |path: &str, parent_cversion| {
        Txn::Create(CreateTxn {
            path: Some(path.into()),
            data: None,
            acl: anyone(),
            ephemeral: false,
            parent_cversion,
        })
    };
    let set = Txn::SetData(SetDataTxn {
        path: Some("/b".into()),
        data: Some(Bytes::from_static(b"x")),
        version: 1,
    });
    replay(
        &mut tree,
        7,
        4,
        Txn::Multi(vec![make("/a", 1), make("/b", 2), set]),
    );
    assert_eq!(tree.last_zxid(), Zxid(4));
    assert_eq!(tree.data(tree.find("/b").unwrap()), Some(&b"x"[..]));
    assert_eq!(tree.stat(tree.find("/").unwrap()).pzxid, 4);
    assert_eq!(tree.child_count(tree.find("/").unwrap()), 2);
}

#[test]
fn zk_3127_the_last_zxid_moves_once_all_of_a_multi_is_there() {
    let mut server = Server::new();
    let client = server.client();
    let before = server.gate.read(|tree| tree.last_zxid());
    let mut frame = BytesMut::new();
    let w = &mut Writer::for_client(&mut frame);
    (RequestHeader {
        xid: 1,
        op: Op::Multi.into(),
    })
    .write(w);
    for path in ["/a", "/a/b", "/a/b/c"] {
        multi_header(w, Op::Create);
        create(path, 0).write(w);
    }
    MultiHeader::END.write(w);
    server.send_frame(&client, frame.freeze());
    let mut outputs = Vec::new();
    server.replica.take_outputs(&mut outputs);
    server
        .log
        .extend(outputs.into_iter().filter_map(Output::into_record));
    assert_eq!(
        server.gate.read(|tree| tree.last_zxid()),
        before,
        "not before it is durable"
    );
    assert!(!server.exists("/a"));
    server.sync();
    assert!(server.exists("/a/b/c"));
    assert_eq!(
        server.gate.read(|tree| tree.last_zxid()),
        Zxid(before.0 + 1)
    );
}

fn multi_header(w: &mut Writer<'_>, op: Op) {
    let header = MultiHeader {
        op: op.into(),
        done: false,
        err: -1,
    };
    header.write(w);
}

#[test]
fn zk_2623_a_check_outside_of_a_multi_is_never_logged() {
    let mut server = Server::new();
    let client = server.client();
    let logged = server.log.len();
    let check = CheckVersionRequest {
        path: Some("/".into()),
        version: 0,
    };
    server.send(&client, 1, Op::Check, &check);
    server.sync();
    assert_eq!(server.log.len(), logged);
    assert!(matches!(
        got(&client)[..],
        [Got::Reply {
            xid: 1,
            err: -6,
            ..
        }]
    ));
}

#[test]
fn ch_65198_the_digest_is_right_after_a_session_ends_live_and_replayed() {
    let mut server = Server::new();
    let (client, other) = (server.client(), server.client());
    server.create(&client, "/p", 0);
    for name in ["/p/a", "/p/b", "/top"] {
        server.create(&client, name, EPHEMERAL);
    }
    server.create(&other, "/stays", EPHEMERAL);
    for _ in 0..4 {
        server.pass(Duration::from_secs(4));
        server.call(&other, Op::Exists, &at("/", false));
    }
    server.sync(); // compares the digest
    assert!(!server.exists("/p/a") && server.exists("/stays"));
    server.restarted(Tree::new(TreeOptions::default()), Zxid(0));
}

#[test]
fn ch_111102_a_session_that_only_reads_stays_alive() {
    let mut server = Server::new();
    let client = server.client();
    server.create(&client, "/e", EPHEMERAL);
    for _ in 0..20 {
        server.pass(Duration::from_secs(6));
        server.call(&client, Op::Exists, &at("/e", false));
    }
    assert!(server.exists("/e"));
}

#[test]
fn rk_400_an_op_that_no_multi_may_hold_is_refused_and_the_server_goes_on() {
    let mut server = Server::new();
    let client = server.client();
    for op in [
        Op::SetAcl as i32,
        Op::Sync as i32,
        Op::Reconfig as i32,
        999,
        -11,
    ] {
        let mut frame = BytesMut::new();
        let w = &mut Writer::for_client(&mut frame);
        (RequestHeader {
            xid: 1,
            op: Op::Multi.into(),
        })
        .write(w);
        multi_header(w, Op::Create);
        create("/never", 0).write(w);
        let header = MultiHeader {
            op: OpCode(op),
            done: false,
            err: -1,
        };
        header.write(w);
        at("/", false).write(w);
        MultiHeader::END.write(w);
        server.send_frame(&client, frame.freeze());
        server.sync();
        let answers = got(&client);
        assert!(
            matches!(
                answers[..],
                [Got::Reply {
                    xid: 1,
                    err: -5,
                    ..
                }]
            ),
            "{op}: {answers:?}"
        );
    }
    assert!(!server.exists("/never"));
    server.create(&client, "/after", 0);
}

#[test]
fn rk_400_the_time_to_live_in_a_multi_does_not_shift_what_follows() {
    let mut frame = BytesMut::new();
    let w = &mut Writer::for_client(&mut frame);
    multi_header(w, Op::CreateTtl);
    let ttl = CreateTtlRequest {
        path: Some("/ttl".into()),
        data: None,
        acl: anyone(),
        flags: 5,
        ttl: 0x0102_0304_0506,
    };
    ttl.write(w);
    multi_header(w, Op::Delete);
    let delete = DeleteRequest {
        path: Some("/gone".into()),
        version: 7,
    };
    delete.write(w);
    MultiHeader::END.write(w);
    let mut r = Reader::new(frame.freeze(), 100);
    let ops = MultiRequest::read(&mut r).unwrap().ops;
    assert_eq!(ops, [MultiOp::CreateTtl(ttl), MultiOp::Delete(delete)]);
    assert_eq!(r.finish(), Ok(()));
}

#[test]
fn rk_376_connections_that_end_leave_no_watch_behind() {
    let mut server = Server::new();
    for round in 0..50 {
        let client = server.client();
        let path = format!("/w{round}");
        server.call(&client, Op::GetChildren, &at("/", true));
        server.send(&client, 1, Op::Exists, &at(&path, true));
        let add = AddWatchRequest {
            path: Some(path.as_str().into()),
            mode: 1,
        };
        server.call(&client, Op::AddWatch, &add);
        client.outbox.close(&mut Wakes::default());
        server.gate.drop_conn(&client);
        server
            .replica
            .step(server.now, Input::Gone { conn: client });
    }
    assert_eq!(server.gate.with_watches(|table| table.watch_count()), 0);
    assert_eq!(server.gate.conn_count(), 0);
}

#[test]
fn ch_115457_only_creating_and_deleting_a_child_moves_cversion_and_pzxid() {
    let mut server = Server::new();
    let client = server.client();
    let parent = |server: &Server| {
        let stat = server.gate.read(|tree| tree.stat(tree.find("/p").unwrap()));
        let zxid = server.gate.read(|tree| tree.last_zxid());
        (stat.cversion, stat.pzxid == zxid.0)
    };
    server.create(&client, "/p", 0);
    assert_eq!(parent(&server), (0, true));
    server.create(&client, "/p/c", 0);
    assert_eq!(parent(&server), (1, true));
    server.call(&client, Op::SetData, &set_data("/p/c", "x"));
    assert_eq!(parent(&server), (1, false));
    let delete = DeleteRequest {
        path: Some("/p/c".into()),
        version: -1,
    };
    server.call(&client, Op::Delete, &delete);
    assert_eq!(parent(&server), (2, true));
}
