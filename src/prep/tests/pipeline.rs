//! Requests that are judged before the ones they depend on are applied.

use super::*;
use crate::base::Mono;
use std::time::Duration;

fn end(world: &mut World, session: SessionId) -> Vec<String> {
    let txn = world.judge(session, &WriteRequest::CloseSession);
    let Txn::CloseSession(Some(close)) = txn.txn else {
        panic!("{txn:?}");
    };
    close
        .paths
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn pipelined_sequential_creates_never_collide() {
    let mut world = World::new();
    for i in 0..20 {
        let request = create("/s-", if i % 3 == 0 { 3 } else { 2 });
        let txn = world.judge(ALICE, &request);
        assert_eq!(created(&txn), format!("/s-{i:010}"));
        if i % 4 == 0 {
            world.apply_one();
        }
    }
    world.apply_all();
    assert_eq!(created(&world.judge(ALICE, &create("/", 2))), "/0000000020");
}

#[test]
fn a_delete_does_not_take_back_its_number() {
    let mut world = World::new();
    world.judge(ALICE, &create("/s-", 2));
    assert_eq!(world.code(ALICE, &delete("/s-0000000000", 0)), 0);
    assert_eq!(world.code(ALICE, &create("/s-", 8)), -8);
    assert_eq!(
        created(&world.judge(ALICE, &create("/s-", 2))),
        "/s-0000000001"
    );
    world.apply_all();
}

#[test]
fn a_parent_that_has_used_up_its_numbers_keeps_the_last() {
    let mut world = World::new();
    let full = Txn::Create(CreateTxn {
        path: Some("/first".into()),
        data: None,
        acl: open_acl(),
        ephemeral: false,
        parent_cversion: i32::MAX,
    });
    let header = TxnHeader {
        zxid: 1,
        kind: full.op().into(),
        ..TxnHeader::default()
    };
    world.tree.apply(&header, &full, &mut Vec::new());
    world.zxid = 1;
    let last = world.judge(ALICE, &create("/s-", 2));
    assert_eq!(created(&last), "/s-2147483647");
    assert!(matches!(&last.txn, Txn::Create(txn) if txn.parent_cversion == i32::MIN));
    assert_eq!(world.code(ALICE, &create("/s-", 2)), -110);
    world.apply_all();
    assert_eq!(world.code(ALICE, &create("/s-", 2)), -110);
}

#[test]
fn requests_see_what_is_pending() {
    let mut world = World::new();
    for (request, expected) in [
        (create("/a", 0), 0),
        (create("/a", 0), -110),
        (create("/a/b", 0), 0),
        (delete("/a", -1), -111),
        (set_data("/a/b", "x", 0), 0),
        (set_data("/a/b", "x", 0), -103),
        (delete("/a/b", 1), 0),
        (delete("/a", 0), 0),
        (create("/a/b", 0), -101),
        (create("/a", 1), 0),
        (create("/a/b", 0), -108),
    ] {
        assert_eq!(world.code(ALICE, &request), expected, "{request:?}");
    }
    world.apply_all();
}

#[test]
fn a_pending_acl_counts_at_once() {
    let mut world = World::new();
    world.done(create("/a", 0));
    world.judge(ALICE, &set_acl("/a", acl(1, "world", "anyone"), 0));
    assert_eq!(world.code(ALICE, &set_data("/a", "", -1)), -102);
    assert_eq!(world.code(ALICE, &create("/a/b", 0)), -102);
    world.apply_all();
}

#[test]
fn the_root_has_one_pending_state_under_both_its_names() {
    let mut world = World::new();
    world.judge(ALICE, &set_data("/", "root", 0));
    world.judge(ALICE, &create("/a", 0));
    assert_eq!(world.code(ALICE, &set_data("/", "root", 0)), -103);
    world.judge(ALICE, &set_data("/", "again", 1));
    world.judge(ALICE, &delete("/a", 0));
    world.apply_all();
}

#[test]
fn a_failed_multi_restores_counters_and_digest() {
    let mut world = World::new();
    world.judge(ALICE, &create("/s-", 2));
    let before = world.judge(ALICE, &create("/a", 0)).digest;
    let ops = vec![
        create("/s-", 2),
        create("/e", 1),
        delete("/a", 0),
        create("/a/b", 0),
        delete("/x", 0),
    ];
    let failed = world.judge(ALICE, &multi(ops));
    assert_eq!(codes(&failed), [0, 0, 0, -101, -2]);
    assert!(matches!(&failed.txn, Txn::Multi(txns)
        if matches!(&txns[0], Txn::Create(txn) if txn.path == Some("/s-0000000002".into()))));
    assert_eq!(failed.digest, before);
    assert_eq!(
        created(&world.judge(ALICE, &create("/s-", 2))),
        "/s-0000000002"
    );
    assert_eq!(world.code(ALICE, &create("/a/b", 0)), 0);
    assert_eq!(end(&mut world, ALICE), [""; 0]);
    world.apply_all();
}

#[test]
fn a_failed_multi_restores_even_when_nothing_else_is_pending() {
    let mut world = World::new();
    let failed = world.judge(ALICE, &multi([create("/s-", 2), create("/none/x", 0)]));
    assert_eq!(codes(&failed), [0, -101]);
    assert_eq!(
        failed.digest.map(|digest| digest.tree_digest as u64),
        Some(world.tree.digest())
    );
    assert_eq!(world.prep.outstanding(), 0);
    assert_eq!(
        created(&world.judge(ALICE, &create("/s-", 2))),
        "/s-0000000000"
    );
    world.apply_all();
}

#[test]
fn ops_of_a_multi_see_each_other() {
    let mut world = World::new();
    world.done(create("/gone", 0));
    let ops = |requests: Vec<WriteRequest>, last: MultiOp| {
        let WriteRequest::Multi(mut request) = multi(requests) else {
            unreachable!()
        };
        request.ops.push(last);
        WriteRequest::Multi(request)
    };
    let txn = world.judge(ALICE, &ops(vec![delete("/gone", 0)], check("/gone", 0)));
    assert_eq!(codes(&txn), [0, -101]);
    let requests = vec![
        create("/a", 0),
        create("/a/s-", 2),
        set_data("/a", "", 0),
        delete("/gone", 0),
    ];
    let txn = world.judge(ALICE, &ops(requests, check("/a", 1)));
    assert_eq!(codes(&txn), [0; 5]);
    let txn = world.judge(ALICE, &multi([]));
    assert_eq!(codes(&txn), [0; 0]);
    world.apply_all();
}

#[test]
fn a_multi_with_a_null_path_fails_as_a_whole() {
    let mut world = World::new();
    let mut request = create_request("/a", 0);
    request.path = None;
    let ops = vec![check("/none", 0), MultiOp::Create(Op::Create, request)];
    let txn = world.judge(ALICE, &multi_of(ops));
    assert_eq!(code(&txn), -5);
    assert_eq!(txn.digest, None);
    assert_eq!(
        world.code(ALICE, &multi_of(vec![MultiOp::GetData(Some("/".into()))])),
        -5
    );
}

#[test]
fn nothing_of_a_session_passes_once_its_end_is_judged() {
    let mut world = World::new();
    world.done(create("/old", 1));
    world.done(create("/replaced", 1));
    world.judge(ALICE, &create("/new", 1));
    world.judge(ALICE, &create("/short", 1));
    world.judge(ALICE, &delete("/short", 0));
    world.judge(ALICE, &delete("/replaced", 0));
    world.judge(BOB, &create("/replaced", 1));
    world.judge(ALICE, &create("/twice", 1));
    world.judge(ALICE, &delete("/twice", 0));
    world.judge(ALICE, &create("/twice", 1));
    assert_eq!(end(&mut world, ALICE), ["/old", "/new", "/twice"]);
    assert_eq!(world.code(ALICE, &create("/late", 1)), -112);
    assert_eq!(world.code(ALICE, &set_data("/", "", -1)), -112);
    assert_eq!(world.code(BOB, &create("/old", 0)), 0);
    world.apply_all();
    world.live.0.remove(&ALICE);
    assert_eq!(world.tree.ephemerals(ALICE).count(), 0);
    assert_eq!(world.code(ALICE, &create("/late", 1)), -112);
    assert_eq!(end(&mut world, BOB), ["/replaced"]);
    world.apply_all();
    assert_eq!(world.tree.ephemeral_count(), 0);
}

#[test]
fn a_parent_can_be_deleted_right_behind_the_session_that_filled_it() {
    let mut world = World::new();
    world.done(create("/parent", 0));
    world.done(create("/parent/e", 1));
    world.judge(ALICE, &create("/parent/f", 1));
    assert_eq!(world.code(BOB, &delete("/parent", -1)), -111);
    end(&mut world, ALICE);
    assert_eq!(world.code(BOB, &delete("/parent", -1)), 0);
    world.apply_all();
}

#[test]
fn a_session_ends_twice_without_harm() {
    let mut world = World::new();
    world.judge(ALICE, &create("/e", 1));
    assert_eq!(end(&mut world, ALICE), ["/e"]);
    assert_eq!(end(&mut world, ALICE), [""; 0]);
    world.apply_all();
}

#[test]
fn a_reset_forgets_what_was_pending() {
    let mut world = World::new();
    world.done(create("/a", 0));
    world.judge(ALICE, &delete("/a", 0));
    world.judge(ALICE, &WriteRequest::CloseSession);
    world.queue.clear();
    world.prep.reset(&world.tree);
    assert_eq!(world.code(ALICE, &set_data("/a", "", 0)), 0);
    world.apply_all();
}

#[test]
fn errors_carry_no_digest_and_nothing_does_with_digests_off() {
    let mut world = World::new();
    assert_eq!(world.judge(ALICE, &delete("/none", 0)).digest, None);
    let begin = world.judge(BOB, &WriteRequest::CreateSession { timeout: 4000 });
    assert_eq!(
        begin.digest.map(|digest| digest.tree_digest),
        Some(0x51c6_d660)
    );
    let off = TreeOptions {
        digest: false,
        ..TreeOptions::default()
    };
    let mut world = World::with(off, PrepOptions::default());
    assert_eq!(world.judge(ALICE, &create("/a", 0)).digest, None);
    world.apply_all();
}

#[test]
fn a_tracker_tells_closing_sessions_from_unknown_ones() {
    let (timeout, now) = (Duration::from_secs(4), Mono(0));
    let mut tracker = Tracker::new(Duration::from_secs(2));
    tracker.track(ALICE, timeout, now);
    tracker.track(BOB, timeout, now);
    tracker.mark_closing(BOB);
    assert_eq!(tracker.check(ALICE), Ok(()));
    assert_eq!(tracker.check(BOB), Err(ErrorCode::SESSION_EXPIRED));
    assert_eq!(tracker.check(STRANGER), Err(ErrorCode::UNKNOWN_SESSION));
}
