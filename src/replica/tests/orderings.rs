//! Sessions that move, connections that die, time that stands still.

use super::*;

#[test]
fn the_in_loop_count_belongs_to_the_session_and_not_to_the_connection() {
    let mut world = World::new();
    let old = world.open();
    world.send(&old, 1, create("/a"));
    let new = world.resume(&old);
    assert!(old.outbox.is_closed());
    let lane = new.lane.get().unwrap().clone();
    assert_eq!(
        lane.in_loop(),
        1,
        "the new connection may not read past the pending write"
    );
    world.send(&new, 2, get("/a"));
    world.commit();
    assert_eq!(
        errors(&new),
        [(2, 0)],
        "its own read, and not the reply of the old one's write"
    );
    assert_eq!(got(&old), []);
    assert_eq!(lane.in_loop(), 0);
    assert_eq!(world.counters.outstanding(), 0);
}

#[test]
fn the_in_loop_count_goes_down_after_the_reply_whatever_ended_the_request() {
    let mut world = World::new();
    let conn = world.open();
    let lane = conn.lane.get().unwrap().clone();
    world.send(&conn, 1, create("/no/parent"));
    assert_eq!(lane.in_loop(), 1);
    world.commit();
    assert_eq!(
        (errors(&conn), lane.in_loop()),
        (vec![(1, -101)], 0),
        "refused"
    );
    world.send(&conn, 2, Request::Read(ReadRequest::Sync(Some("/".into()))));
    assert_eq!((errors(&conn), lane.in_loop()), (vec![(2, 0)], 0), "sync");
    world.send(&conn, 3, close());
    world.send(&conn, 4, get("/"));
    world.commit();
    assert_eq!(
        (errors(&conn), lane.in_loop()),
        (vec![(3, 0)], 0),
        "dropped behind the end"
    );
    assert_eq!(world.counters.outstanding(), 0);
}

#[test]
fn a_dead_connection_registers_no_watch() {
    let mut world = World::new();
    let conn = world.open();
    world.send(&conn, 1, create("/a"));
    let watching = ReadRequest::Exists(watchable("/a", true));
    world.send(&conn, 2, Request::Read(watching));
    conn.outbox.close(&mut Wakes::default());
    world.gate.drop_conn(&conn);
    world
        .replica
        .step(world.now, Input::Gone { conn: conn.clone() });
    world.commit();
    assert!(world.exists("/a"), "what it wrote is done");
    assert!(world.gate.with_watches(|watches| watches.is_empty()));
    assert_eq!(conn.lane.get().unwrap().in_loop(), 0);
}

#[test]
fn a_write_of_a_connection_that_hung_up_is_done() {
    let mut world = World::new();
    let conn = world.open();
    conn.outbox.close(&mut Wakes::default());
    world.send(&conn, 1, create("/a"));
    world.send(&conn, 2, close());
    world.commit();
    assert!(world.exists("/a"));
    assert_eq!(world.replica.session_count(), 0);
}

#[test]
fn a_rider_keeps_the_identities_of_its_reception() {
    let mut world = World::new();
    let conn = world.open();
    let before = conn.identities();
    world.send(&conn, 1, create("/a"));
    world.send(&conn, 2, Request::Read(ReadRequest::WhoAmI));
    let more = auth::authenticate(
        world.gate.auth(),
        Some("digest"),
        Some(b"ann:secret"),
        conn.remote.ip(),
        &before,
    );
    conn.set_identities(more.unwrap());
    world.send(&conn, 3, Request::Read(ReadRequest::WhoAmI));
    world.commit();
    let answers = taken(&conn);
    let says_ann = |frame: &Bytes| frame.windows(3).any(|text| text == b"ann");
    assert!(!says_ann(&answers[1]) && says_ann(&answers[2]));
}

#[test]
fn nobody_expires_for_a_stall_of_the_server() {
    let mut world = World::new();
    let conn = world.open();
    world.pass(3_600_000);
    world.replica.tick(world.now);
    world.commit();
    assert_eq!(world.replica.session_count(), 1);
    // From here on silence counts again.
    for _ in 0..12 {
        world.pass(1000);
        world.replica.tick(world.now);
        world.commit();
    }
    assert_eq!(world.replica.session_count(), 0);
    assert!(
        conn.outbox.is_closed() && taken(&conn).is_empty(),
        "without a word"
    );
}

#[test]
fn a_session_heard_of_before_the_look_does_not_expire() {
    let mut world = World::new();
    let conn = world.open();
    for _ in 0..60 {
        world.pass(1000);
        // Its connection heard it; the loop was told nothing.
        conn.lane.get().unwrap().touch(world.now.mono);
        world.replica.tick(world.now);
        world.commit();
    }
    assert_eq!(world.replica.session_count(), 1);
}

/// Looks whether the gate is free when it is woken.
struct Look {
    gate: Arc<Gate>,
    woken: AtomicBool,
}

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        assert!(self.gate.is_free(), "woken under the guard");
        self.woken.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn connections_are_woken_after_the_guard_is_released() {
    let mut world = World::new();
    let conn = world.open();
    let look = Arc::new(Look {
        gate: world.gate.clone(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(look.clone());
    assert!(
        conn.outbox
            .poll_filled(&mut Context::from_waker(&waker))
            .is_pending()
    );
    world.send(&conn, 1, create("/a"));
    world.commit();
    assert!(look.woken.load(std::sync::atomic::Ordering::Relaxed));
}
