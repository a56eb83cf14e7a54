//! Riders: how many per guard, for whom, and in which order.

use jute::proto::SetWatches2;

use super::*;
use crate::config::limits::{PATHS_PER_GUARD, RIDERS_PER_GUARD};

#[test]
fn riders_are_bounded_per_guard_and_others_write_between_the_chunks() {
    let mut world = World::new();
    let (conn, other) = (world.open(), world.open());
    let riders = 3 * RIDERS_PER_GUARD as i32;
    world.send(&conn, 0, create("/a"));
    for xid in 1..=riders {
        world.send(
            &conn,
            xid,
            Request::Read(ReadRequest::Exists(watchable("/no", false))),
        );
    }
    world.commit();
    let first = got(&conn);
    assert_eq!(
        first.len(),
        1 + RIDERS_PER_GUARD,
        "the write, and one guard's worth"
    );
    assert!(world.replica.is_behind());
    world.send(&other, 1, create("/b"));
    world.commit();
    assert_eq!(errors(&other), [(1, 0)], "another session does not wait");
    let mut rest = first;
    while rest.len() <= riders as usize {
        world.replica.catch_up(world.now);
        let more = got(&conn);
        assert!(!more.is_empty() && more.len() <= RIDERS_PER_GUARD);
        rest.extend(more);
    }
    let xids: Vec<i32> = rest.iter().map(|(xid, ..)| *xid).collect();
    assert_eq!(xids, (0..=riders).collect::<Vec<_>>());
    assert!(rest.is_sorted_by_key(|(_, zxid, _)| *zxid));
    assert!(world.replica.is_idle());
}

#[test]
fn a_sessions_next_write_waits_for_its_riders() {
    let mut world = World::new();
    world.given("/a", b"");
    let conn = world.open();
    let riders = 2 * RIDERS_PER_GUARD as i32;
    world.send(&conn, 0, set("/a"));
    for xid in 1..=riders {
        world.send(&conn, xid, get("/a"));
    }
    world.send(&conn, riders + 1, set("/a"));
    world.send(&conn, riders + 2, get("/a"));
    world.commit();
    let all = got(&conn);
    let xids: Vec<i32> = all.iter().map(|(xid, ..)| *xid).collect();
    assert_eq!(xids, (0..=riders + 2).collect::<Vec<_>>());
    let first = all[0].1;
    assert!(
        all[..=riders as usize]
            .iter()
            .all(|(_, zxid, _)| *zxid == first)
    );
    assert_eq!(all[riders as usize + 1].1, first + 1);
    assert_eq!(all[riders as usize + 2].1, first + 1);
}

#[test]
fn riders_wait_for_a_client_that_does_not_take_its_replies() {
    let mut world = World::tight();
    world.given("/big", &[7; 2 * BACKLOG]);
    let conn = world.open();
    world.send(&conn, 1, set("/"));
    for xid in 2..=4 {
        world.send(&conn, xid, get("/big"));
    }
    world.commit();
    assert!(world.replica.is_idle(), "nothing to do until it takes them");
    assert_eq!(world.counters.outstanding(), 0, "it holds nobody else up");
    for xids in [vec![1, 2], vec![3], vec![4]] {
        let shown: Vec<i32> = got(&conn).iter().map(|(xid, ..)| *xid).collect();
        assert_eq!(shown, xids, "one reply of any size is let in");
        let input = Input::Drained { conn: conn.clone() };
        world.replica.step(world.now, input);
        world.replica.catch_up(world.now);
    }
    assert_eq!(conn.lane.get().unwrap().in_loop(), 0);
}

#[test]
fn riders_of_a_client_that_hangs_up_are_not_kept() {
    let mut world = World::tight();
    world.given("/big", &[7; 2 * BACKLOG]);
    let conn = world.open();
    world.send(&conn, 1, set("/"));
    for xid in 2..=4 {
        world.send(&conn, xid, get("/big"));
    }
    world.commit();
    conn.outbox.close(&mut Wakes::default());
    world.gate.drop_conn(&conn);
    world
        .replica
        .step(world.now, Input::Gone { conn: conn.clone() });
    world.replica.catch_up(world.now);
    assert_eq!(conn.lane.get().unwrap().in_loop(), 0);
    assert_eq!(world.counters.outstanding(), 0);
}

#[test]
fn a_session_that_ends_leaves_no_riders_behind() {
    let mut world = World::tight();
    world.given("/big", &[7; 2 * BACKLOG]);
    let conn = world.open();
    world.send(&conn, 1, set("/"));
    for xid in 2..=4 {
        world.send(&conn, xid, get("/big"));
    }
    world.send(&conn, 5, close());
    world.commit();
    assert_eq!(errors(&conn), [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]);
    assert!(world.replica.lagging.is_empty());
    assert_eq!(world.counters.outstanding(), 0);
}

/// Sends a heavy rider behind a write, serves one guard's worth at a time, and counts the guards.
fn guards_for(world: &mut World, conn: &Arc<Conn>, request: ReadRequest) -> usize {
    world.send(conn, 1, set("/"));
    world.send(conn, 2, Request::Read(request));
    world.commit();
    assert_eq!(
        errors(conn),
        [(1, 0)],
        "heavy: not under the guard of the write"
    );
    let mut guards = 0;
    while world.replica.is_behind() {
        world.replica.catch_up(world.now);
        guards += 1;
    }
    guards
}

#[test]
fn many_watches_are_set_again_in_several_guards() {
    let mut world = World::new();
    let conn = world.open();
    let paths = |list: &str, count: usize| {
        let path = |number| format!("/{list}{number}").as_str().into();
        Some((0..count).map(path).collect())
    };
    let request = SetWatches2 {
        relative_zxid: 0,
        data_watches: Some(Vec::new()),
        exist_watches: paths("e", PATHS_PER_GUARD + 10),
        child_watches: Some(Vec::new()),
        persistent_watches: paths("p", 10),
        persistent_recursive_watches: paths("r", PATHS_PER_GUARD),
    };
    let guards = guards_for(&mut world, &conn, ReadRequest::SetWatches2(request));
    assert_eq!(guards, 3);
    assert_eq!(errors(&conn), [(2, 0)], "one answer");
    let paths = world.gate.with_watches(|watches| watches.summary().paths);
    assert_eq!(paths, 2 * PATHS_PER_GUARD + 20);
}

#[test]
fn a_huge_subtree_is_counted_in_several_guards() {
    let mut world = World::new();
    world.given("/top", b"");
    let conn = world.open();
    for number in 0..3 * PATHS_PER_GUARD as i32 {
        world.send(&conn, number, create(&format!("/top/{number}")));
    }
    world.commit();
    got(&conn);
    let request = ReadRequest::GetAllChildrenNumber(Some("/top".into()));
    assert_eq!(guards_for(&mut world, &conn, request), 4);
    let reply = taken(&conn).pop().unwrap();
    assert_eq!(reply[16..], (3 * PATHS_PER_GUARD as i32).to_be_bytes());
}

#[test]
fn a_count_whose_place_is_deleted_meanwhile_starts_again() {
    let mut world = World::new();
    world.given("/top", b"");
    let (conn, other) = (world.open(), world.open());
    let count = 2 * PATHS_PER_GUARD as i32;
    for number in 0..count {
        world.send(&conn, number, create(&format!("/top/{number}")));
    }
    world.commit();
    got(&conn);
    world.send(&conn, 1, set("/"));
    let request = ReadRequest::GetAllChildrenNumber(Some("/top".into()));
    world.send(&conn, 2, Request::Read(request));
    world.commit();
    world.replica.catch_up(world.now);
    for number in 0..count - 1 {
        let request = jute::proto::DeleteRequest {
            path: Some(format!("/top/{number}").as_str().into()),
            version: -1,
        };
        world.send(
            &other,
            number,
            Request::Write(WriteRequest::Delete(request)),
        );
    }
    world.commit();
    while world.replica.is_behind() {
        world.replica.catch_up(world.now);
    }
    let reply = taken(&conn).pop().unwrap();
    assert_eq!(reply[16..], 1_i32.to_be_bytes());
}
