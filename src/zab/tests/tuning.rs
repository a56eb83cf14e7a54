//! Settings that few operators change.

use super::world::World;
use crate::base::ServerId;
use crate::zab::io::Tuning;

/// An ensemble in which every server has started anew with `tuning` and one of them missed something.
fn restarted(seed: u64, observers: i64, tuning: Tuning) -> World {
    let mut world = World::new(seed, 3, observers);
    world.converge();
    world.tuning = tuning;
    for id in world.ids() {
        world.crash(id);
    }
    world.seen.clear();
    world.converge();
    world.crash(ServerId(1));
    world.converge();
    world
}

#[test]
fn a_leader_that_is_told_to_sends_snapshots_only() {
    let forced = Tuning {
        force_snapshot: true,
        ..Tuning::default()
    };
    for seed in 0..10 {
        let world = restarted(seed, 1, forced);
        assert!(world.seen.contains_key("SNAP"), "{:?}", world.seen);
        assert!(!world.seen.contains_key("TRUNC"), "{:?}", world.seen);
    }
}

#[test]
fn observers_beyond_the_limit_come_again_and_are_served_in_the_end() {
    let one = Tuning {
        snapshots_at_once: 1,
        diffs_at_once: 1,
        ..Tuning::default()
    };
    for seed in 0..10 {
        restarted(seed, 4, one);
    }
}
