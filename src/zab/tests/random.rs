//! Ensembles under faults drawn from a seed: the protocol alone, on modelled disks.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rand::Rng;

use super::world::World;
use crate::zab::mistake::Mistake;

/// Plays one seed.
fn play(seed: u64, mistake: Option<Mistake>, steps: usize) -> World {
    let voters = [1, 2, 3, 3, 3, 5, 5, 7][(seed % 8) as usize];
    let observers = (seed / 8 % 3) as i64;
    let mut world = World::new(seed, voters, observers, mistake);
    for _ in 0..steps {
        let ids = world.ids();
        let id = ids[world.rng.random_range(0..ids.len())];
        match world.rng.random_range(0..1000) {
            0..900 => {
                if !world.happen() {
                    world.wait(Duration::from_millis(20));
                }
            }
            900..960 => {
                for id in ids {
                    world.propose(id);
                }
            }
            960..980 => world.wait(Duration::from_millis(30)),
            980..984 if world.servers[&id].peer.is_some() => world.crash(id),
            984..992 if world.servers[&id].peer.is_none() => world.start(id),
            992..994 => world.break_links(id),
            994..997 => {
                let other = ids[world.rng.random_range(0..ids.len())];
                world.cut.insert((id, other));
            }
            997..999 => world.cut.clear(),
            _ => world.wait(Duration::from_millis(1500)),
        }
    }
    world.converge();
    world
}

#[test]
fn random_faults_break_no_promise_and_ensembles_recover() {
    let mut synced: BTreeMap<&str, usize> = BTreeMap::new();
    let from: u64 = std::env::var("ZAB_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
    let count: u64 = std::env::var("ZAB_SEEDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(150);
    for seed in from..from + count {
        let world = catch_unwind(AssertUnwindSafe(|| play(seed, None, 2500)));
        let Ok(world) = world else {
            panic!("seed {seed}");
        };
        for (kind, n) in &world.synced {
            *synced.entry(kind).or_default() += n;
        }
    }
    println!("{synced:?}");
    assert!(
        ["DIFF", "TRUNC", "SNAP", "from log"]
            .iter()
            .all(|kind| synced.contains_key(kind)),
        "{synced:?}"
    );
}

/// Mistakes of the protocol itself, and within how many seeds of 2,500 steps each must be noticed.
const FOUND_WITHIN: &[(Mistake, u64)] = &[
    (Mistake::AckBeforeSync, 400),
    (Mistake::OwnAckBeforeSync, 400),
    (Mistake::VoteWithDelivered, 400),
    (Mistake::NoTruncation, 400),
    (Mistake::InitialHistoryNotDelivered, 400),
    (Mistake::ObserverDropsDuringSync, 400),
];

#[test]
fn every_mistake_of_the_protocol_is_noticed() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (mistake, within) in FOUND_WITHIN {
        let noticed = |seed: &u64| {
            catch_unwind(AssertUnwindSafe(|| play(*seed, Some(*mistake), 2500))).is_err()
        };
        match (0..*within).find(noticed) {
            Some(seed) => println!("{mistake:?}: noticed with seed {seed}"),
            None => missed.push(*mistake),
        }
    }
    std::panic::set_hook(hook);
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
