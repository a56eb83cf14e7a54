//! What a server measures of its requests.

use crate::metrics::{Stage, Summary};

use super::*;

fn of(summary: &Summary) -> (u64, u64) {
    let shown = summary.since_reset();
    (shown.count, shown.sum)
}

#[test]
fn a_write_and_the_read_behind_it_are_measured_from_their_reception() {
    let mut world = World::new();
    let conn = world.open();
    world.replica.wake();
    let before = world.counters.metrics.updatelatency.since_reset().count;
    world.send(&conn, 1, create_with("/app", b"abc"));
    world.send(&conn, 2, get("/app"));
    world.pass(30);
    world.commit();
    world.replica.wake();
    let metrics = &world.counters.metrics;
    assert_eq!(of(&metrics.updatelatency), (before + 1, 30));
    assert_eq!(of(&metrics.readlatency), (1, 30));
    let quorum = metrics.request_stage_seconds[Stage::Quorum].read();
    assert!((quorum.seconds - 0.030).abs() < 1e-9);
    assert_eq!(of(&metrics.write_per_namespace.at("app")), (1, 4 + 3));
    assert_eq!(of(&metrics.read_per_namespace.at("app")), (1, 4 + 3 + 68));
    assert_eq!(metrics.slow_requests.total(), 0);
}

#[test]
fn requests_that_wait_for_a_stalled_disk_are_slow() {
    let mut world = World::new();
    let conn = world.open();
    for xid in 0..20 {
        world.send(&conn, 2 * xid, create(&format!("/{xid}")));
        world.send(&conn, 2 * xid + 1, get("/no"));
    }
    world.pass(1000);
    world.commit();
    while world.replica.is_behind() {
        world.replica.catch_up(world.now);
    }
    assert_eq!(errors(&conn).len(), 40);
    assert_eq!(world.counters.metrics.slow_requests.total(), 40);
}

#[test]
fn changes_of_znodes_are_counted_until_they_are_applied() {
    let mut world = World::new();
    let conn = world.open();
    world.replica.wake();
    let metrics = world.counters.metrics.clone();
    world.send(&conn, 1, create("/a"));
    world.replica.wake();
    let queued = metrics.outstanding_changes_queued.total();
    assert!(queued > metrics.outstanding_changes_removed.total());
    world.commit();
    world.replica.wake();
    assert_eq!(metrics.outstanding_changes_removed.total(), queued);
}

#[test]
fn watchers_are_counted_by_what_happened() {
    let mut world = World::new();
    world.given("/a", b"");
    for conn in [world.open(), world.open()] {
        let exists = ReadRequest::Exists(watchable("/a", true));
        world.send(&conn, 1, Request::Read(exists));
    }
    let conn = world.open();
    world.send(&conn, 1, set("/a"));
    world.send(&conn, 2, set("/a"));
    world.commit();
    let metrics = &world.counters.metrics;
    assert_eq!(of(&metrics.node_changed_watch_count), (1, 2));
    assert_eq!(of(&metrics.node_created_watch_count), (0, 0));
}
