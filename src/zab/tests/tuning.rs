//! Settings that few operators change.

use std::time::Duration;

use super::world::World;
use crate::base::{Epoch, Mono, ServerId, Zxid};
use crate::zab::core::Core;
use crate::zab::election::{LearnerType, Patience};
use crate::zab::history::{History, HistoryLimits};
use crate::zab::io::{PeerOptions, Place, Role, Stored, Tuning};
use crate::zab::leader::Leader;
use crate::zab::quorum::{QuorumSystem, Quorums};

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

/// Server 1 of three, with an empty history.
fn core_of_three(tuning: Tuning) -> Core {
    let limits = HistoryLimits { count: 0, bytes: 0 };
    let voters = QuorumSystem::Majority {
        voters: [1, 2, 3].map(ServerId).into(),
    };
    let options = PeerOptions {
        tuning,
        me: ServerId(1),
        learner: LearnerType::Participant,
        quorums: Quorums::new(voters, None),
        config: bytes::Bytes::new(),
        config_version: 0,
        tick: Duration::from_secs(2),
        init_limit: Duration::from_secs(20),
        sync_limit: Duration::from_secs(10),
        patience: Patience::default(),
        history: limits,
    };
    let stored = Stored {
        accepted_epoch: Epoch(0),
        current_epoch: Epoch(0),
        history: History::after(Zxid::ZERO, limits),
        log_whole_after: Zxid::ZERO,
        trusted: true,
    };
    Core::new(options, stored)
}

#[test]
fn a_voter_that_looks_again_ends_an_attempt_to_lead_once_and_only_one_that_supported_it() {
    let mut core = core_of_three(Tuning {
        wait_for_epoch: Some(Duration::from_millis(5)),
        ..Tuning::default()
    });
    let supporters = [1, 2].map(ServerId).into();
    let mut leader = Leader::new(&mut core, supporters, Mono(0));
    assert_eq!(leader.place(), Place::Discovery(Role::Leading));
    assert!(
        !leader.voter_looks_again(&core, ServerId(2), Mono(5)),
        "too soon"
    );
    assert!(!leader.voter_looks_again(&core, ServerId(3), Mono(6)));
    assert!(leader.voter_looks_again(&core, ServerId(2), Mono(6)));
    assert!(
        !leader.voter_looks_again(&core, ServerId(2), Mono(7)),
        "counted once"
    );
}
