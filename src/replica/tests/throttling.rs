//! Requests that wait for others to be done.

use super::*;

fn one_at_a_time() -> ThrottleOptions {
    ThrottleOptions {
        max_requests: 1,
        stall_time: Duration::from_millis(100),
        drop_stale: true,
        stale_connection: true,
        stale_latency: false,
        max_wait: None,
    }
}

#[test]
fn requests_beyond_the_limit_wait_for_their_turn() {
    let mut world = World::throttled(one_at_a_time());
    let (first, second) = (world.open(), world.open());
    world.send(&first, 1, create("/a"));
    world.send(&second, 1, create("/b"));
    world.send(&second, 2, get("/a"));
    assert!(!world.replica.is_idle());
    world.commit();
    assert_eq!((errors(&first), errors(&second)), (vec![(1, 0)], vec![]));
    assert!(!world.exists("/b"), "not even proposed with the first");
    world.commit();
    assert_eq!(errors(&second), [(1, 0), (2, 0)]);
    assert!(world.replica.is_idle());
}

#[test]
fn a_request_that_waited_too_long_is_answered_in_order_and_not_done() {
    let max_wait = Some(Duration::from_millis(500));
    let options = ThrottleOptions {
        max_wait,
        ..one_at_a_time()
    };
    let mut world = World::throttled(options);
    let (first, second) = (world.open(), world.open());
    world.send(&first, 1, create("/a"));
    world.send(&second, 1, create("/b"));
    world.send(&second, 2, get("/"));
    world.send(&second, -2, Request::Read(ReadRequest::Ping));
    world.send(&second, 3, close());
    world.pass(501);
    world.commit();
    let last = world.gate.read(|tree| tree.last_zxid()).0;
    let replies = got(&second);
    assert_eq!(replies, [(1, last, -127), (2, last, -127), (-2, last, 0)]);
    world.commit();
    assert_eq!(errors(&second), [(3, 0)], "closeSession is exempt");
    assert!(!world.exists("/b"));
}

#[test]
fn what_waited_exactly_as_long_as_allowed_is_done() {
    let max_wait = Some(Duration::from_millis(500));
    let options = ThrottleOptions {
        max_wait,
        ..one_at_a_time()
    };
    let mut world = World::throttled(options);
    let (first, second) = (world.open(), world.open());
    world.send(&first, 1, create("/a"));
    world.send(&second, 1, create("/b"));
    world.pass(500);
    world.commit();
    world.commit();
    assert_eq!(errors(&second), [(1, 0)]);
}

#[test]
fn stale_requests_are_dropped_and_with_them_all_that_their_connection_sent() {
    let mut world = World::throttled(one_at_a_time());
    let (first, second) = (world.open(), world.open());
    world.send(&first, 1, create("/a"));
    world.send(&second, 1, create("/b"));
    world.send(&second, 2, close());
    second.outbox.close(&mut Wakes::default());
    world.commit();
    world.commit();
    assert!(!world.exists("/b"));
    assert_eq!(world.replica.session_count(), 2, "its end was dropped too");
    assert_eq!(second.lane.get().unwrap().in_loop(), 0);
    assert_eq!(world.counters.outstanding(), 0);
}

#[test]
fn staleness_of_connections_is_not_looked_at_where_that_is_off() {
    let options = ThrottleOptions {
        stale_connection: false,
        ..one_at_a_time()
    };
    let mut world = World::throttled(options);
    let (first, second) = (world.open(), world.open());
    world.send(&first, 1, create("/a"));
    world.send(&second, 1, create("/b"));
    second.outbox.close(&mut Wakes::default());
    world.commit();
    world.commit();
    assert!(world.exists("/b"));
}

#[test]
fn a_request_older_than_its_sessions_timeout_is_stale_where_that_is_on() {
    let options = ThrottleOptions {
        stale_latency: true,
        ..one_at_a_time()
    };
    let mut world = World::throttled(options);
    let (first, second) = (world.open(), world.open());
    world.send(&first, 1, create("/a"));
    world.send(&second, 1, create("/b"));
    world.pass(10_001);
    // Nothing has to end for it: the throttle looks again by itself.
    let deadline = world.replica.next_deadline(world.now.mono);
    assert!(deadline <= world.now.mono + Duration::from_millis(100));
    world.replica.catch_up(world.now);
    assert!(second.outbox.is_closed());
    world.commit();
    assert!(!world.exists("/b"));
}

#[test]
fn new_sessions_wait_with_the_requests_and_resumed_ones_do_not() {
    let mut world = World::throttled(one_at_a_time());
    let (first, second) = (world.open(), world.open());
    world.send(&first, 1, create("/a"));
    let new = world.connect(SessionId(0), &[]);
    let back = world.resume(&second);
    assert!(back.lane.get().is_some() && new.lane.get().is_none());
    world.commit();
    world.commit();
    assert!(new.lane.get().is_some());
}

#[test]
fn a_client_that_takes_no_replies_keeps_nobody_waiting() {
    let mut world = World::with(
        ThrottleOptions {
            max_requests: 3,
            ..one_at_a_time()
        },
        BACKLOG,
    );
    world.given("/big", &[7; 2 * BACKLOG]);
    let (slow, other) = (world.open(), world.open());
    world.send(&slow, 1, set("/"));
    world.send(&slow, 2, get("/big"));
    world.send(&slow, 3, get("/big"));
    world.send(&slow, 4, get("/big"));
    world.commit();
    for xid in 1..=5 {
        world.send(&other, xid, set("/"));
        world.commit();
    }
    assert_eq!(got(&other).len(), 5);
    for _ in 0..4 {
        taken(&slow);
        world
            .replica
            .step(world.now, Input::Drained { conn: slow.clone() });
        world.replica.catch_up(world.now);
    }
    assert_eq!(slow.lane.get().unwrap().in_loop(), 0);
    assert_eq!(world.counters.outstanding(), 0);
    world.send(&slow, 5, close());
    world.commit();
    assert_eq!(errors(&slow), [(5, 0)]);
}

#[test]
fn any_number_of_requests_may_wait() {
    let mut world = World::throttled(one_at_a_time());
    let (first, second) = (world.open(), world.open());
    world.send(&first, 1, create("/a"));
    for xid in 1..=100_000 {
        world.send(&second, xid, Request::Read(ReadRequest::Ping));
    }
    world.commit();
    let mut replies = 0;
    while replies < 100_000 {
        let more = got(&second).len();
        assert!(more > 0, "stuck after {replies}");
        replies += more;
        let conn = second.clone();
        world.replica.step(world.now, Input::Drained { conn });
        world.replica.catch_up(world.now);
    }
    assert!(world.replica.is_idle());
    assert_eq!(world.counters.outstanding(), 0);
}
