//! Members of an ensemble: what clients see of leaders and learners, and of changes between them.

use jute::{ErrorCode, Op};

use super::ensemble::{CONFIG, Ensemble};
use super::*;
use crate::base::{Epoch, ServerId};
use crate::config::limits::RIDERS_PER_GUARD;
use crate::session::password;
use crate::zab::io::{Input as PeerInput, Place, Role, Tuning};
use crate::zab::packet::{Forwarded, FromLeader, FromLearner};

fn sync() -> Request {
    Request::Read(ReadRequest::Sync(Some("/".into())))
}

fn is_commit(packet: &FromLeader) -> bool {
    matches!(packet, FromLeader::Commit(_))
}

fn is_ping(packet: &FromLeader) -> bool {
    matches!(packet, FromLeader::Ping { .. })
}

fn is_proposal(packet: &FromLeader) -> bool {
    matches!(packet, FromLeader::Proposal { .. })
}

fn ephemeral(path: &str) -> Request {
    let Request::Write(WriteRequest::Create(op, mut request)) = create(path) else {
        unreachable!("it creates");
    };
    request.flags = 1;
    Request::Write(WriteRequest::Create(op, request))
}

/// Whether the client was cut off without a word.
fn is_cut_off(conn: &Conn) -> bool {
    conn.outbox.is_closed()
}

#[test]
fn a_write_by_any_server_is_answered_there_and_applied_everywhere() {
    let mut ensemble = Ensemble::of_three();
    for (n, id) in [1, 2, 3].into_iter().enumerate() {
        let conn = ensemble.open(id);
        let path = format!("/a{n}");
        ensemble.send(id, &conn, 1, create(&path));
        assert_eq!(errors(&conn), [(1, 0)]);
        assert!([1, 2, 3].iter().all(|id| ensemble.exists(*id, &path)));
        ensemble.send(id, &conn, 2, create("/no/parent"));
        assert_eq!(errors(&conn), [(2, -101)]);
        ensemble.send(id, &conn, 3, close());
        assert_eq!(errors(&conn), [(3, 0)]);
        assert!(conn.outbox.has_last_word());
    }
    ensemble.check();
}

#[test]
fn an_observer_serves_like_a_follower() {
    let mut ensemble = Ensemble::new(&[1, 2, 3, 4], &[4], 1000);
    let conn = ensemble.open(4);
    for xid in 1..=3 {
        ensemble.submit(4, &conn, xid, create(&format!("/{xid}")));
    }
    ensemble.send(4, &conn, 4, sync());
    assert_eq!(errors(&conn), [(1, 0), (2, 0), (3, 0), (4, 0)]);
    ensemble.check();
}

#[test]
fn every_server_shows_its_configuration_and_stands_at_the_epochs_marker() {
    let ensemble = Ensemble::of_three();
    for member in ensemble.members.values() {
        member.gate.read(|tree| {
            let config = tree.find("/zookeeper/config").unwrap();
            assert_eq!(tree.data(config), Some(CONFIG));
            assert_eq!(
                (tree.stat(config).version, tree.stat(config).mzxid),
                (-1, 0)
            );
            assert_eq!(tree.last_zxid().counter(), 0);
            assert!(tree.last_zxid().epoch().0 > 0);
        });
    }
    ensemble.check();
}

#[test]
fn a_reconfig_is_answered_as_where_that_is_off() {
    let mut ensemble = Ensemble::of_three();
    for id in [1, 2, 3] {
        let conn = ensemble.open(id);
        let request = WriteRequest::Reconfig(Default::default());
        ensemble.send(id, &conn, 1, Request::Write(request));
        assert_eq!(errors(&conn), [(1, -123)]);
    }
    ensemble.check();
}

#[test]
fn a_sessions_requests_are_answered_in_their_order_on_every_server() {
    let mut ensemble = Ensemble::of_three();
    for id in [1, 2, 3] {
        let conn = ensemble.open(id);
        let path = format!("/o{id}");
        ensemble.submit(id, &conn, 1, sync());
        ensemble.submit(id, &conn, 2, create(&path));
        ensemble.submit(id, &conn, 3, get(&path));
        ensemble.submit(id, &conn, 4, sync());
        ensemble.submit(id, &conn, 5, set(&path));
        ensemble.submit(id, &conn, 6, sync());
        ensemble.submit(id, &conn, 7, sync());
        ensemble.submit(id, &conn, 8, get("/none"));
        ensemble.submit(id, &conn, 9, close());
        ensemble.run();
        let xids = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(|xid| (xid, if xid == 8 { -101 } else { 0 }));
        assert_eq!(errors(&conn), xids, "server {id}");
    }
    ensemble.check();
}

#[test]
fn syncs_of_many_sessions_are_answered_each_to_its_own() {
    let mut ensemble = Ensemble::of_three();
    for id in [1, 2, 3] {
        let conns: Vec<_> = (0..5).map(|_| ensemble.open(id)).collect();
        for round in 0..4 {
            for (n, conn) in conns.iter().enumerate() {
                let write = create(&format!("/{id}-{n}-{round}"));
                ensemble.submit(id, conn, 2 * round, sync());
                ensemble.submit(id, conn, 2 * round + 1, write);
            }
        }
        // One of them goes in the middle.
        ensemble.submit(id, &conns[2], 100, close());
        ensemble.run();
        for (n, conn) in conns.iter().enumerate() {
            let last = (n == 2).then_some((100, 0));
            let all: Vec<_> = (0..8).map(|xid| (xid, 0)).chain(last).collect();
            assert_eq!(errors(conn), all, "server {id}");
        }
    }
    ensemble.check();
}

#[test]
fn a_learners_writes_behind_a_sync_come_back_behind_its_answer() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let conn = ensemble.open(id);
    // The round of pings that the sync needs goes on only later; the write is agreed before.
    ensemble.stalled = is_ping;
    ensemble.submit(id, &conn, 1, sync());
    ensemble.submit(id, &conn, 2, create("/a"));
    ensemble.run();
    assert!(ensemble.exists(ensemble.leader(), "/a"));
    assert!(!ensemble.exists(id, "/a"), "its COMMIT waits behind SYNC");
    assert_eq!(errors(&conn), []);
    ensemble.unstall();
    assert_eq!(errors(&conn), [(1, 0), (2, 0)]);
    ensemble.check();
}

#[test]
fn a_leaders_own_writes_behind_a_sync_are_answered_behind_it() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.leader();
    let (conn, other) = (ensemble.open(id), ensemble.open(id));
    ensemble.stalled = is_ping;
    ensemble.submit(id, &conn, 1, sync());
    ensemble.submit(id, &conn, 2, create("/a"));
    ensemble.submit(id, &conn, 3, get("/a"));
    ensemble.send(id, &other, 1, create("/b"));
    assert_eq!(errors(&conn), []);
    assert_eq!(errors(&other), [(1, 0)], "no session waits for another");
    ensemble.unstall();
    assert_eq!(errors(&conn), [(1, 0), (2, 0), (3, 0)]);
    ensemble.check();
}

#[test]
fn the_in_loop_count_belongs_to_the_session_on_a_learner_too() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let old = ensemble.open(id);
    ensemble.stalled = is_commit;
    ensemble.send(id, &old, 1, create("/a"));
    let new = ensemble.move_to(id, &old);
    assert!(is_cut_off(&old));
    let lane = new.lane.get().unwrap().clone();
    assert_eq!(lane.in_loop(), 1);
    ensemble.send(id, &new, 2, get("/a"));
    assert_eq!(errors(&new), []);
    ensemble.unstall();
    assert_eq!(errors(&new), [(2, 0)], "its own read alone");
    assert_eq!(lane.in_loop(), 0);
    ensemble.check();
}

#[test]
fn a_dead_connection_of_a_learner_registers_no_watch() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let conn = ensemble.open(id);
    ensemble.stalled = is_commit;
    ensemble.submit(id, &conn, 1, create("/a"));
    let watching = ReadRequest::Exists(watchable("/a", true));
    ensemble.send(id, &conn, 2, Request::Read(watching));
    ensemble.hang_up(id, &conn);
    ensemble.unstall();
    assert!(ensemble.exists(id, "/a"));
    let gate = ensemble.members[&id].gate.clone();
    assert!(gate.with_watches(|watches| watches.is_empty()));
    ensemble.check();
}

#[test]
fn a_lost_leader_costs_a_learners_clients_their_connections_and_nothing_is_answered() {
    let mut ensemble = Ensemble::of_three();
    let (leader, id) = (ensemble.leader(), ensemble.learners()[0]);
    let third = ensemble.learners()[1];
    ensemble.crash(third);
    let (conn, idle) = (ensemble.open(id), ensemble.open(id));
    ensemble.stalled = is_commit;
    for xid in 1..=3 {
        ensemble.submit(id, &conn, xid, create(&format!("/{xid}")));
    }
    ensemble.submit(id, &conn, 4, get("/1"));
    ensemble.send(id, &conn, 5, sync());
    let lane = conn.lane.get().unwrap().clone();
    assert_eq!(lane.in_loop(), 5);
    ensemble.crash(leader);
    assert!(is_cut_off(&conn) && is_cut_off(&idle));
    assert_eq!((lane.in_loop(), lane.is_closing()), (0, true));
    assert_eq!(ensemble.members[&id].counters.outstanding(), 0);
    let late = ensemble.connect(id, SessionId(0));
    assert!(
        is_cut_off(&late),
        "nobody is let in while there is no leader"
    );
    // What its task still finds is dropped, now and under the next leader.
    lane.enter();
    let input = |conn: &Arc<Conn>| Input::Request {
        conn: conn.clone(),
        lane: lane.clone(),
        xid: 6,
        request: create("/late"),
        ids: conn.identities(),
        received: Mono(0),
        arrived: Default::default(),
        large: None,
    };
    ensemble.members[&id].counters.in_loop(1);
    ensemble.step(id, input(&conn));
    ensemble.kept.clear();
    ensemble.stalled = |_| false;
    ensemble.start(third);
    ensemble.settle();
    let back = ensemble.move_to(id, &conn);
    lane.enter();
    ensemble.members[&id].counters.in_loop(1);
    ensemble.step(id, input(&conn));
    ensemble.send(id, &back, 7, create("/next"));
    assert_eq!(errors(&back), [(7, 0)]);
    assert!(!ensemble.exists(id, "/late"));
    ensemble.check();
}

#[test]
fn a_read_that_is_late_for_a_lost_leader_is_not_served() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let conn = ensemble.open(id);
    ensemble.crash(ensemble.leader());
    // As the connection's task does it.
    let (gate, ids) = (ensemble.members[&id].gate.clone(), conn.identities());
    gate.read(|tree| {
        Read {
            gate: &gate,
            tree,
            conn: &conn,
            session: session(&conn),
            ids: &ids,
            xid: 9,
        }
        .run(
            &ReadRequest::Exists(watchable("/", false)),
            &mut Progress::default(),
            &mut Wakes::default(),
        )
    });
    assert!(taken(&conn).is_empty());
}

#[test]
fn a_later_write_never_succeeds_after_an_earlier_one_was_lost() {
    for crash_after in 0..6 {
        let mut ensemble = Ensemble::of_three();
        let (leader, id) = (ensemble.leader(), ensemble.learners()[0]);
        let conn = ensemble.open(id);
        for xid in 0..crash_after {
            ensemble.submit(id, &conn, xid, create(&format!("/{xid}")));
        }
        ensemble.stalled = is_proposal;
        ensemble.run();
        ensemble.crash(leader);
        ensemble.stalled = |_| false;
        ensemble.kept.clear();
        for xid in crash_after..6 {
            ensemble.submit(id, &conn, xid, create(&format!("/{xid}")));
        }
        ensemble.run();
        ensemble.settle();
        let done: Vec<_> = (0..6)
            .map(|xid| ensemble.exists(id, &format!("/{xid}")))
            .collect();
        assert!(done.is_sorted_by(|a, b| a >= b), "{done:?}");
        ensemble.check();
    }
}

#[test]
fn sessions_survive_an_election_and_come_back_to_any_server() {
    let mut ensemble = Ensemble::of_three();
    let conns: Vec<_> = [1, 2, 3].map(|id| (id, ensemble.open(id))).into();
    for (id, conn) in &conns {
        ensemble.send(*id, conn, 1, ephemeral(&format!("/e{id}")));
    }
    let leader = ensemble.leader();
    ensemble.crash(leader);
    ensemble.settle();
    assert_ne!(ensemble.leader(), leader);
    for (id, conn) in &conns {
        let to = ensemble
            .members
            .keys()
            .copied()
            .find(|to| to != id)
            .unwrap();
        let conn = ensemble.move_to(to, conn);
        assert!(ensemble.exists(to, &format!("/e{id}")));
        ensemble.send(to, &conn, 2, create(&format!("/b{id}")));
        assert_eq!(errors(&conn), [(2, 0)]);
    }
    ensemble.start(leader);
    ensemble.settle();
    ensemble.check();
}

#[test]
fn a_session_that_moved_writes_only_by_its_new_server() {
    let mut ensemble = Ensemble::of_three();
    let leader = ensemble.leader();
    let (a, b) = (ensemble.learners()[0], ensemble.learners()[1]);
    let old = ensemble.open(a);
    let new = ensemble.move_to(b, &old);
    assert!(!is_cut_off(&old), "nobody has told its server");
    ensemble.send(a, &old, 1, create("/old"));
    assert!(old.outbox.has_last_word() && taken(&old).is_empty());
    ensemble.send(b, &new, 1, create("/new"));
    assert_eq!(errors(&new), [(1, 0)]);
    let at_leader = ensemble.move_to(leader, &new);
    ensemble.send(b, &new, 2, create("/b"));
    assert!(new.outbox.has_last_word() && taken(&new).is_empty());
    let back = ensemble.move_to(b, &at_leader);
    assert!(is_cut_off(&at_leader));
    ensemble.submit(leader, &at_leader, 30, create("/at-leader"));
    ensemble.send(b, &back, 3, create("/back"));
    assert_eq!(errors(&back), [(3, 0)]);
    for path in ["/old", "/b", "/at-leader"] {
        assert!(!ensemble.exists(leader, path), "{path}");
    }
    ensemble.check();
}

#[test]
fn what_an_older_connection_sent_does_not_count_once_its_client_came_back() {
    let mut ensemble = Ensemble::of_three();
    let (a, b) = (ensemble.learners()[0], ensemble.learners()[1]);
    for back_at in [a, ensemble.leader()] {
        let old = ensemble.open(back_at);
        let away = ensemble.move_to(b, &old);
        ensemble.send(b, &away, 3, create(&format!("/away{back_at}")));
        assert_eq!(errors(&away), [(3, 0)]);
        let back = ensemble.move_to(back_at, &away);
        assert!(old.outbox.has_last_word());
        // Sent before all of that, and on its way for long.
        ensemble.submit(back_at, &old, 1, create(&format!("/late{back_at}")));
        ensemble.send(back_at, &back, 4, create(&format!("/back{back_at}")));
        assert_eq!(errors(&back), [(4, 0)]);
        assert!(!ensemble.exists(back_at, &format!("/late{back_at}")));
    }
    ensemble.check();
}

#[test]
fn what_an_older_connection_left_behind_a_sync_does_not_count_once_its_client_came_back() {
    let mut ensemble = Ensemble::of_three();
    let (leader, b) = (ensemble.leader(), ensemble.learners()[0]);
    for last in [create("/old"), close()] {
        let old = ensemble.open(leader);
        ensemble.stalled = is_ping;
        ensemble.submit(leader, &old, 1, sync());
        ensemble.send(leader, &old, 2, last);
        let away = ensemble.move_to(b, &old);
        ensemble.send(b, &away, 3, create("/away"));
        assert_eq!(errors(&away).len(), 1);
        let back = ensemble.move_to(leader, &away);
        ensemble.submit(leader, &back, 4, create("/back"));
        ensemble.unstall();
        assert_eq!(errors(&back).len(), 1);
        assert!(!ensemble.exists(leader, "/old"));
        assert_eq!(back.lane.get().unwrap().in_loop(), 0);
    }
    ensemble.check();
}

#[test]
fn a_multi_of_a_session_that_moved_closes_its_old_connection() {
    let mut ensemble = Ensemble::of_three();
    let (a, b) = (ensemble.learners()[0], ensemble.learners()[1]);
    let old = ensemble.open(a);
    ensemble.move_to(b, &old);
    let Request::Write(WriteRequest::Create(op, request)) = create("/m") else {
        unreachable!("it creates");
    };
    let multi = jute::proto::MultiRequest {
        ops: vec![jute::proto::MultiOp::Create(op, request)],
    };
    let request = Request::Write(WriteRequest::Multi(multi));
    ensemble.send(a, &old, 1, request);
    assert!(old.outbox.has_last_word() && taken(&old).is_empty());
    ensemble.check();
}

#[test]
fn a_stale_connection_may_close_a_session_that_moved() {
    let mut ensemble = Ensemble::of_three();
    let (a, b) = (ensemble.learners()[0], ensemble.learners()[1]);
    let old = ensemble.open(a);
    let new = ensemble.move_to(b, &old);
    ensemble.send(a, &old, 1, close());
    assert_eq!(errors(&old), [(1, 0)]);
    assert!(is_cut_off(&new));
    ensemble.check();
}

#[test]
fn a_leader_that_restores_calls_no_session_over() {
    let mut ensemble = Ensemble::of_three();
    let leader = ensemble.leader();
    let conn = ensemble.open(leader);
    // What is under way keeps the restore waiting.
    ensemble.stalled = is_proposal;
    ensemble.send(leader, &conn, 1, create("/a"));
    let tree = Box::new(Tree::new(TreeOptions::default()));
    ensemble.step(leader, Input::Restore { tree });
    let unknown = SessionId(77);
    let asked = ensemble.connect_with(leader, unknown, 0, &password::of(unknown));
    ensemble.unstall();
    assert!(is_cut_off(&asked) && taken(&asked).is_empty());
}

#[test]
fn a_session_is_resumed_only_if_the_leader_knows_it_and_the_client_its_password() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let refused = |conn: &Conn| {
        let frames = taken(conn);
        frames.len() == 1 && frames[0][4..8] == [0; 4] && conn.outbox.has_last_word()
    };
    let unknown = ensemble.connect(id, SessionId(77));
    assert!(refused(&unknown));
    let conn = ensemble.open(id);
    let stranger = ensemble.connect_with(id, session(&conn), 0, &[1; 16]);
    assert!(refused(&stranger) && !is_cut_off(&conn));
    let ahead = ensemble.connect_with(id, SessionId(0), i64::MAX, &[]);
    assert!(is_cut_off(&ahead));
    ensemble.send(id, &conn, 1, close());
    let closed = ensemble.connect(id, session(&conn));
    assert!(refused(&closed));
    ensemble.check();
}

#[test]
fn a_client_that_hangs_up_while_the_leader_is_asked_leaves_nothing_behind() {
    let mut ensemble = Ensemble::of_three();
    let (a, b) = (ensemble.learners()[0], ensemble.learners()[1]);
    let old = ensemble.open(a);
    ensemble.stalled = |packet| matches!(packet, FromLeader::Revalidated { .. });
    let asking = ensemble.connect(b, session(&old));
    let again = ensemble.connect(b, session(&old));
    ensemble.hang_up(b, &asking);
    ensemble.unstall();
    assert!(taken(&asking).is_empty() && asking.lane.get().is_none());
    assert_eq!(taken(&again).len(), 1);
    ensemble.send(b, &again, 1, create("/a"));
    assert_eq!(errors(&again), [(1, 0)]);
    ensemble.check();
}

#[test]
fn a_leader_that_leaves_clients_to_others_lets_nobody_in_and_orders_for_everybody() {
    let tuning = Tuning {
        leader_serves: false,
        ..Tuning::default()
    };
    let mut ensemble = Ensemble::tuned(&[1, 2, 3], &[], 1000, tuning);
    let leader = ensemble.leader();
    let (a, b) = (ensemble.learners()[0], ensemble.learners()[1]);
    assert!(is_cut_off(&ensemble.connect(leader, SessionId(0))));
    let (here, there) = (ensemble.open(a), ensemble.open(b));
    ensemble.send(a, &here, 1, ephemeral("/e"));
    ensemble.send(a, &here, 2, sync());
    ensemble.send(b, &there, 1, create("/a"));
    assert_eq!(errors(&here), [(1, 0), (2, 0)]);
    assert_eq!(errors(&there), [(1, 0)]);
    assert!(ensemble.exists(leader, "/e") && ensemble.exists(leader, "/a"));
    // Who tries the leader with a session is turned away, and the session stays.
    let tried = ensemble.connect(leader, session(&here));
    assert!(is_cut_off(&tried) && taken(&tried).is_empty() && !is_cut_off(&here));
    let unknown = ensemble.connect(leader, SessionId(77));
    assert!(is_cut_off(&unknown) && taken(&unknown).is_empty());
    let back = ensemble.move_to(b, &here);
    ensemble.send(b, &back, 3, create("/b"));
    assert_eq!(errors(&back), [(3, 0)]);
    // Whoever leads next leaves its clients to the rest.
    ensemble.crash(leader);
    ensemble.settle();
    let next = ensemble.leader();
    let rest = ensemble.learners()[0];
    assert!(is_cut_off(&back) && is_cut_off(&there));
    assert!(is_cut_off(&ensemble.connect(next, session(&back))));
    let back = ensemble.move_to(rest, &back);
    assert!(ensemble.exists(rest, "/e"));
    ensemble.send(rest, &back, 4, create("/c"));
    assert_eq!(errors(&back), [(4, 0)]);
    ensemble.check();
}

#[test]
fn a_learners_client_lives_as_long_as_it_is_heard_and_no_longer() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let (heard, silent) = (ensemble.open(id), ensemble.open(id));
    ensemble.send(id, &silent, 1, ephemeral("/e"));
    assert_eq!(errors(&silent), [(1, 0)]);
    for _ in 0..20 {
        // Its connection hears it; nobody else is told.
        heard.lane.get().unwrap().touch(ensemble.now.mono);
        ensemble.pass(1000);
    }
    assert!(is_cut_off(&silent) && !is_cut_off(&heard));
    assert!(!ensemble.exists(id, "/e"));
    ensemble.send(id, &heard, 1, create("/a"));
    assert_eq!(errors(&heard), [(1, 0)]);
    ensemble.check();
}

#[test]
fn a_new_leader_gives_every_session_its_whole_timeout() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let conn = ensemble.open(id);
    ensemble.send(id, &conn, 1, ephemeral("/e"));
    ensemble.pass(9_000);
    ensemble.crash(ensemble.leader());
    ensemble.settle();
    ensemble.pass(9_000);
    assert!(ensemble.exists(id, "/e"));
    ensemble.pass(4_000);
    assert!(!ensemble.exists(id, "/e"), "and no more");
    ensemble.check();
}

#[test]
fn the_beginning_of_a_session_is_a_sign_of_life_on_every_learner() {
    let mut ensemble = Ensemble::of_three();
    let (leader, id) = (ensemble.leader(), ensemble.learners()[0]);
    let conn = ensemble.open(leader);
    let mut outputs = Vec::new();
    let member = ensemble.members.get_mut(&id).unwrap();
    for expected in [1, 0] {
        member.replica.report_touches(Zxid(7));
        member.replica.drain(ensemble.now);
        member.replica.take_outputs(&mut outputs);
        let Some(Output::ToLeader { packet, .. }) = outputs.pop() else {
            panic!("{outputs:?}");
        };
        let FromLearner::Ping { touched, .. } = packet else {
            panic!("{packet:?}");
        };
        assert_eq!(touched.len(), expected);
        assert!(
            touched
                .iter()
                .all(|touch| touch.session == session(&conn) && touch.timeout_ms == 10_000)
        );
    }
}

#[test]
fn a_learner_whose_log_is_ahead_or_old_or_gone_gets_what_the_others_have() {
    // DIFF from memory, DIFF from the log, SNAP.
    for (history, forget) in [(1000, false), (5, false), (5, true)] {
        let mut ensemble = Ensemble::new(&[1, 2, 3], &[], history);
        let id = ensemble.learners()[0];
        let at = ensemble.leader();
        let conn = ensemble.open(at);
        ensemble.send(at, &conn, 1, create("/before"));
        ensemble.crash(id);
        for xid in 2..40 {
            ensemble.send(at, &conn, xid, create(&format!("/{xid}")));
        }
        if forget {
            ensemble.wipe(id);
        }
        ensemble.start(id);
        ensemble.settle();
        ensemble.check();
        let moved = ensemble.move_to(id, &conn);
        ensemble.send(id, &moved, 50, create("/after"));
        assert_eq!(errors(&moved), [(50, 0)]);
        ensemble.check();
        // What it got is durable.
        ensemble.crash(id);
        ensemble.start(id);
        ensemble.settle();
        ensemble.check();
    }
}

#[test]
fn a_member_with_writes_that_nobody_else_has_goes_back_with_its_tree() {
    let mut ensemble = Ensemble::of_three();
    let leader = ensemble.leader();
    let conn = ensemble.open(leader);
    ensemble.send(leader, &conn, 1, create("/agreed"));
    ensemble.stalled = is_proposal;
    ensemble.send(leader, &conn, 2, create("/lost"));
    ensemble.crash(leader);
    ensemble.stalled = |_| false;
    ensemble.kept.clear();
    ensemble.settle();
    // Its tree holds it until it hears better.
    let other = ensemble.leader();
    let new = ensemble.open(other);
    ensemble.send(other, &new, 1, create("/new"));
    ensemble.start(leader);
    ensemble.settle();
    assert!(!ensemble.exists(leader, "/lost") && ensemble.exists(leader, "/agreed"));
    ensemble.check();
}

#[test]
fn a_request_that_does_not_decode_is_refused_in_order_and_stops_nobody() {
    let mut ensemble = Ensemble::of_three();
    let (leader, id) = (ensemble.leader(), ensemble.learners()[0]);
    let conn = ensemble.open(id);
    let link = ensemble.link_of(id);
    let ops = [
        Op::Create,
        Op::Multi,
        Op::CreateSession,
        Op::DeleteContainer,
        Op::GetData,
    ];
    for op in ops {
        let request = Forwarded {
            session: session(&conn),
            cxid: 7,
            op: op.into(),
            body: Bytes::from_static(b"\xff\xff"),
            auth_info: None,
        };
        let packet = FromLearner::Request(request);
        ensemble.step(leader, Input::Peer(PeerInput::FromLearner { link, packet }));
    }
    ensemble.send(id, &conn, 1, create("/a"));
    assert_eq!(errors(&conn), [(1, 0)]);
    let zxid = ensemble.members[&leader].gate.read(|tree| tree.last_zxid());
    assert_eq!(zxid.counter(), 6, "the session, four refusals, the create");
    ensemble.check();
}

#[test]
fn a_write_lost_on_its_way_to_the_leader_costs_the_connection_and_answers_nobody_else() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let (conn, other) = (ensemble.open(id), ensemble.open(id));
    ensemble.submit(id, &conn, 1, create("/1"));
    ensemble.lose_next_request = true;
    ensemble.run();
    ensemble.submit(id, &conn, 2, create("/2"));
    ensemble.send(id, &other, 1, create("/other"));
    assert!(is_cut_off(&conn) && taken(&conn).is_empty());
    assert_eq!(errors(&other), [(1, 0)]);
    assert_eq!(conn.lane.get().unwrap().in_loop(), 0);
    let back = ensemble.move_to(id, &conn);
    ensemble.send(id, &back, 3, get("/2"));
    assert_eq!(errors(&back), [(3, 0)]);
    ensemble.check();
}

#[test]
fn ephemerals_of_sessions_that_nobody_knows_go_with_a_new_leader() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.leader();
    for member in ensemble.members.values() {
        // As a fuzzy snapshot may leave it.
        let txn = jute::txn::Txn::Create(jute::txn::CreateTxn {
            path: Some("/e".into()),
            ephemeral: true,
            parent_cversion: 1,
            ..Default::default()
        });
        let header = jute::txn::TxnHeader {
            client_id: 999,
            ..Default::default()
        };
        member.gate.write().replay(&header, &txn);
    }
    ensemble.crash(id);
    ensemble.settle();
    ensemble.run();
    for other in ensemble.members.keys() {
        assert!(!ensemble.exists(*other, "/e"));
    }
    ensemble.check();
}

#[test]
fn a_learners_expired_session_is_told_from_one_that_never_was() {
    let mut ensemble = Ensemble::of_three();
    let (leader, id) = (ensemble.leader(), ensemble.learners()[0]);
    let conn = ensemble.open(id);
    let link = ensemble.link_of(id);
    let request = Forwarded {
        session: SessionId(12345),
        cxid: 7,
        op: Op::Create.into(),
        body: body::of(&WriteRequest::Create(Op::Create, Default::default())),
        auth_info: None,
    };
    let packet = FromLearner::Request(request);
    ensemble.step(leader, Input::Peer(PeerInput::FromLearner { link, packet }));
    let last = ensemble.members[&id].stable.log.last().unwrap().1.clone();
    let txn = jute::txn::LoggedTxn::read(last).unwrap().txn;
    let jute::txn::Txn::Error(error) = txn else {
        panic!("{txn:?}");
    };
    assert_eq!(error.err, ErrorCode::SESSION_EXPIRED.0);
    assert!(!is_cut_off(&conn));
}

#[test]
fn the_sessions_of_a_learner_that_is_gone_belong_to_nobody_who_has_not_claimed_them() {
    let mut ensemble = Ensemble::of_three();
    let (a, b) = (ensemble.learners()[0], ensemble.learners()[1]);
    let stale = ensemble.open(a);
    let lost = ensemble.move_to(b, &stale);
    ensemble.disconnect(b);
    assert!(is_cut_off(&lost));
    ensemble.send(a, &stale, 1, create("/delayed"));
    assert!(stale.outbox.has_last_word() && !ensemble.exists(a, "/delayed"));
    ensemble.settle();
    let back = ensemble.move_to(a, &lost);
    ensemble.send(a, &back, 2, create("/a"));
    assert_eq!(errors(&back), [(2, 0)]);
    ensemble.check();
}

#[test]
fn the_picture_of_the_ensemble_shows_who_leads_and_who_follows() {
    let mut ensemble = Ensemble::new(&[1, 2, 3, 4], &[4], 1000);
    let leader = ensemble.leader();
    let conn = ensemble.open(leader);
    ensemble.send(leader, &conn, 1, create("/a"));
    let status = ensemble.members[&leader].counters.ensemble();
    let learners = status.learners;
    assert_eq!(
        (learners.connected, learners.followers, learners.observers),
        (3, 2, 1)
    );
    assert_eq!(learners.non_voting_followers, 0);
    let sizes = &ensemble.members[&leader]
        .counters
        .metrics
        .stats
        .proposal_size;
    assert_ne!(sizes.last_min_max(), [-1; 3]);
    for (id, member) in &ensemble.members {
        let status = member.counters.ensemble();
        let role = match id {
            4 => Role::Observing,
            id if *id == leader => Role::Leading,
            _ => Role::Following,
        };
        assert_eq!(status.role, Some(role));
        assert_eq!(status.place, Place::Broadcast(role));
        assert_eq!(status.leader, Some(ServerId(leader as i64)));
        assert_eq!(status.epoch, Epoch(1));
    }
    for id in [1, 2, 3] {
        if id != leader {
            ensemble.crash(id);
        }
    }
    ensemble.pass(5000);
    let status = ensemble.members[&leader].counters.ensemble();
    assert_eq!((status.role, status.leader), (None, None));
    assert_eq!(status.place, Place::Election);
}

#[test]
fn containers_are_cleaned_up_by_the_leader_for_everyone() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let conn = ensemble.open(id);
    let Request::Write(WriteRequest::Create(_, mut request)) = create("/c") else {
        unreachable!("it creates");
    };
    request.flags = 4;
    let container = WriteRequest::Create(Op::CreateContainer, request);
    ensemble.submit(id, &conn, 1, Request::Write(container));
    ensemble.submit(id, &conn, 2, create("/c/a"));
    let delete = WriteRequest::Delete(jute::proto::DeleteRequest {
        path: Some("/c/a".into()),
        version: -1,
    });
    ensemble.send(id, &conn, 3, Request::Write(delete));
    assert_eq!(errors(&conn), [(1, 0), (2, 0), (3, 0)]);
    let reaper = ReaperOptions {
        interval: Duration::from_secs(1),
        max_per_minute: 10_000,
        max_never_used: Duration::ZERO,
    };
    for member in ensemble.members.values_mut() {
        member.replica.reaper = Reaper::new(reaper, ensemble.now.mono);
    }
    ensemble.pass(1500);
    for id in [1, 2, 3] {
        assert!(!ensemble.exists(id, "/c"), "server {id}");
    }
    ensemble.check();
}

#[test]
fn a_learners_next_write_of_a_session_waits_for_its_riders() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let conn = ensemble.open(id);
    let riders = 2 * RIDERS_PER_GUARD as i32;
    ensemble.submit(id, &conn, 0, create("/a"));
    for xid in 1..=riders {
        ensemble.submit(id, &conn, xid, get("/a"));
    }
    ensemble.submit(id, &conn, riders + 1, set("/a"));
    ensemble.send(id, &conn, riders + 2, get("/a"));
    let all = got(&conn);
    let xids: Vec<i32> = all.iter().map(|(xid, ..)| *xid).collect();
    assert_eq!(xids, (0..=riders + 2).collect::<Vec<_>>());
    let first = all[0].1;
    let before = &all[..=riders as usize];
    assert!(before.iter().all(|(_, zxid, _)| *zxid == first));
    assert_eq!(all[riders as usize + 2].1, first + 1);
    ensemble.check();
}

#[test]
fn a_write_that_is_passed_on_carries_the_identities_of_its_reception() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let conn = ensemble.open(id);
    let own = |path: &str| {
        let Request::Write(WriteRequest::Create(op, mut request)) = create(path) else {
            unreachable!("it creates");
        };
        let acl = request.acl.as_mut().unwrap();
        (acl[0].id.scheme, acl[0].id.id) = (Some("auth".into()), Some("".into()));
        Request::Write(WriteRequest::Create(op, request))
    };
    ensemble.submit(id, &conn, 1, own("/nobodys"));
    let gate = ensemble.members[&id].gate.clone();
    let more = auth::authenticate(
        gate.auth(),
        Some("digest"),
        Some(b"ann:secret"),
        conn.remote.ip(),
        &conn.identities(),
    );
    conn.set_identities(more.unwrap());
    ensemble.send(id, &conn, 2, own("/anns"));
    let invalid_acl = ErrorCode::INVALID_ACL.0;
    assert_eq!(errors(&conn), [(1, invalid_acl), (2, 0)]);
    let stranger = ensemble.open(id);
    ensemble.send(id, &stranger, 1, set("/anns"));
    ensemble.send(id, &conn, 3, set("/anns"));
    assert_eq!(errors(&stranger), [(1, ErrorCode::NO_AUTH.0)]);
    assert_eq!(errors(&conn), [(3, 0)]);
    ensemble.check();
}

#[test]
fn nobody_expires_for_a_stall_of_the_ensemble() {
    let mut ensemble = Ensemble::of_three();
    let id = ensemble.learners()[0];
    let conn = ensemble.open(id);
    ensemble.send(id, &conn, 1, ephemeral("/e"));
    ensemble.now.mono = ensemble.now.mono + Duration::from_secs(3600);
    ensemble.pass(20);
    ensemble.settle();
    ensemble.pass(5000);
    assert!(ensemble.exists(id, "/e"));
    ensemble.pass(12_000);
    assert!(
        !ensemble.exists(id, "/e"),
        "from then on silence counts again"
    );
    ensemble.check();
}

#[test]
fn what_a_learner_heard_before_the_leader_looks_counts() {
    let mut ensemble = Ensemble::of_three();
    let (leader, id) = (ensemble.leader(), ensemble.learners()[0]);
    let conn = ensemble.open(id);
    let link = ensemble.link_of(id);
    ensemble.stalled = is_ping;
    for _ in 0..20 {
        ensemble.now.mono = ensemble.now.mono + Duration::from_millis(900);
        let touched = vec![crate::zab::packet::Touch {
            session: session(&conn),
            timeout_ms: 10_000,
        }];
        let packet = FromLearner::Ping {
            last_proposed: Zxid::ZERO,
            touched,
        };
        let input = Input::Peer(PeerInput::FromLearner { link, packet });
        let member = ensemble.members.get_mut(&leader).unwrap();
        member.replica.step(ensemble.now, input);
        member.replica.expire(ensemble.now);
        member.replica.drain(ensemble.now);
    }
    assert_eq!(ensemble.members[&leader].replica.session_count(), 1);
}
