//! Ensembles under faults drawn from a seed: the protocol alone, on modelled disks.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jute::Op;
use rand::Rng;

use super::disk::{Disk, DiskOp};
use super::world::World;
use crate::base::ServerId;
use crate::zab::history::HistoryLimits;
use crate::zab::mistake::Mistake;

/// What a run is like; chances are in 1,000 steps.
#[derive(Clone, Copy, Debug, Default)]
struct Profile {
    voters: i64,
    observers: i64,
    steps: usize,
    crash: u32,
    /// A server that leads.
    crash_leader: u32,
    /// A server whose disk is busy: between what it says and what it has, if it lies.
    crash_busy: u32,
    start: u32,
    power: u32,
    /// Links of a server; those of a learner that synchronizes.
    break_links: u32,
    break_synchronization: u32,
    cut: u32,
    isolate_leader: u32,
    heal: u32,
    /// Steps with a write, or a sync, at any server; and with several writes at once.
    write: u32,
    burst: u32,
    sync: u32,
    /// Whether leaders want to be sure that they lead; syncs then wait behind that.
    doubts: bool,
    snapshot: u32,
    /// Time passes: a little, or more than syncLimit.
    pause: u32,
    long_pause: u32,
    /// How often a slow disk does nothing, in percent, and how many are slow.
    slowness: u32,
    slow: i64,
    /// How often a disk finds no way to cut the log, in percent.
    refuses: u32,
    /// Whether one server may lose its disk.
    wipe: bool,
    /// Where the counter of an epoch ends.
    last_counter: u32,
    /// Transactions kept in memory.
    history: usize,
}

const QUIET: Profile = Profile {
    voters: 3,
    observers: 0,
    steps: 2500,
    crash: 4,
    crash_leader: 0,
    crash_busy: 0,
    start: 10,
    power: 0,
    break_links: 2,
    break_synchronization: 1,
    cut: 2,
    isolate_leader: 0,
    heal: 3,
    write: 30,
    burst: 3,
    sync: 10,
    doubts: false,
    snapshot: 2,
    pause: 20,
    long_pause: 1,
    slowness: 0,
    slow: 0,
    refuses: 0,
    wipe: false,
    last_counter: u32::MAX,
    history: 4,
};

/// How many kinds of runs there are.
const KINDS: u64 = 8;

/// The kinds of runs, in turn.
fn profile(seed: u64) -> Profile {
    let base = Profile {
        voters: [3, 3, 1, 5, 3, 2, 5, 7, 3][(seed / KINDS % 9) as usize],
        observers: (seed / 3 % 3) as i64,
        doubts: (seed / KINDS).is_multiple_of(2),
        ..QUIET
    };
    match seed % KINDS {
        0 => base,
        // Slow disks, whose servers die with much undone.
        1 => Profile {
            slowness: 90,
            slow: 1 + base.voters / 3,
            crash_busy: 5,
            break_links: 5,
            burst: 10,
            start: 20,
            ..base
        },
        // Leaders die.
        2 => Profile {
            crash_leader: 5,
            crash: 1,
            burst: 10,
            start: 20,
            ..base
        },
        // The power fails.
        3 => Profile {
            power: 2,
            crash: 1,
            slowness: 70,
            slow: 1,
            burst: 8,
            ..base
        },
        // The network is bad.
        4 => Profile {
            isolate_leader: 4,
            cut: 1,
            heal: 2,
            break_links: 3,
            break_synchronization: 6,
            sync: 60,
            crash: 1,
            pause: 40,
            long_pause: 0,
            ..base
        },
        // Logs cannot always be cut, and a disk is lost.
        5 => Profile {
            refuses: 50,
            wipe: true,
            burst: 20,
            isolate_leader: 4,
            heal: 2,
            pause: 40,
            crash_leader: 3,
            start: 20,
            snapshot: 5,
            ..base
        },
        // Epochs are short.
        6 => Profile {
            last_counter: 12,
            crash: 2,
            write: 60,
            ..base
        },
        // Everything fits in memory, or nothing does; snapshots are young.
        _ => Profile {
            history: [0, 1000][(seed / KINDS % 2) as usize],
            snapshot: 15,
            crash: 6,
            crash_leader: 2,
            start: 15,
            ..base
        },
    }
}

impl Profile {
    fn world(&self, seed: u64, mistake: Option<Mistake>) -> World {
        let mut world = World::empty(seed, self.voters);
        (world.mistake, world.last_counter) = (mistake, self.last_counter);
        world.history = HistoryLimits {
            count: self.history,
            bytes: 10_000,
        };
        for id in (1..=self.voters + self.observers).map(ServerId) {
            world.add(id, id, Disk::default());
            let server = world.server(id);
            let slow = (id.0 + (seed / KINDS) as i64) % self.voters < self.slow;
            server.slowness = if slow { self.slowness } else { 0 };
            server.refuses = self.refuses;
            world.start(id);
        }
        world
    }

    fn step(&mut self, world: &mut World) {
        let ids = world.ids();
        let id = ids[world.rng.random_range(0..ids.len())];
        let who = world.rng.random_range(0..3);
        let mut left = world.rng.random_range(0..1000u32);
        let mut chance = |weight: u32| {
            let hit = left < weight;
            left = if hit { u32::MAX } else { left - weight };
            hit
        };
        let up = world.servers[&id].peer.is_some();
        if chance(self.crash) && up {
            world.crash(id);
        } else if chance(self.crash_leader) {
            self.crash_leader(world);
        } else if chance(self.crash_busy) {
            let append = |op: &DiskOp| matches!(op, DiskOp::Append(_));
            let busy = |id: &&ServerId| world.servers[id].asked.iter().any(append);
            if let Some(id) = ids.iter().find(busy) {
                world.crash(*id);
            }
        } else if chance(self.start) && !up {
            world.start(id);
        } else if chance(self.power) {
            world.power_loss();
        } else if chance(self.break_links) {
            world.break_links(id, who);
        } else if chance(self.break_synchronization) {
            world.break_synchronization(who);
        } else if chance(self.cut) {
            let other = ids[world.rng.random_range(0..ids.len())];
            world.cut.insert((id, other));
        } else if chance(self.isolate_leader) {
            if let Some(leader) = world.leaders().first().copied() {
                world.isolate(leader);
                if who > 0 {
                    // The others notice, and it does not.
                    world.break_links(leader, 2);
                }
            }
        } else if chance(self.heal) {
            world.cut.clear();
        } else if chance(self.write) {
            world.ask(id, Op::Create);
        } else if chance(self.burst) {
            for leader in world.leaders() {
                (0..5).for_each(|_| {
                    world.propose(leader);
                });
            }
        } else if chance(self.sync) {
            world.ask(id, Op::Sync);
            if self.doubts {
                world.doubt(id);
            }
        } else if chance(self.snapshot) {
            world.snapshot(id, who == 0);
        } else if chance(self.pause) {
            world.wait(Duration::from_millis(30));
        } else if chance(self.long_pause) {
            world.wait(Duration::from_millis(1500));
        } else if self.wipe && world.wipe(id) {
            self.wipe = false;
            *world.seen.entry("wiped").or_default() += 1;
        } else if !world.happen() {
            world.wait(Duration::from_millis(20));
        }
    }

    fn crash_leader(&self, world: &mut World) {
        if let Some(leader) = world.leaders().first().copied() {
            // What is on its way may be seen by some.
            (0..world.rng.random_range(0..8)).for_each(|_| {
                world.happen();
            });
            if world.servers[&leader].peer.is_some() {
                world.crash(leader);
            }
        }
    }
}

/// Plays one seed.
fn play(seed: u64, mistake: Option<Mistake>) -> World {
    let mut profile = profile(seed);
    let mut world = profile.world(seed, mistake);
    let played = catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..profile.steps {
            profile.step(&mut world);
        }
        world.converge();
    }));
    if let Err(broken) = played {
        if mistake.is_none() || std::env::var_os("ZAB_TRACE").is_some() {
            for line in &world.trace {
                println!("{line}");
            }
            println!("seed {seed}: {profile:?}");
        }
        std::panic::resume_unwind(broken);
    }
    world
}

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_faults_break_no_promise_and_ensembles_recover() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let from = number("ZAB_SEED", 0);
    for seed in from..from + number("ZAB_SEEDS", 144) {
        let world = play(seed, None);
        for (kind, n) in &world.seen {
            *seen.entry(kind).or_default() += n;
        }
    }
    println!("{seen:?}");
    let wanted = ["DIFF", "TRUNC", "SNAP", "from log", "NotTruncated", "wiped"];
    let all = wanted.iter().all(|kind| seen.contains_key(kind));
    assert!(all || std::env::var_os("ZAB_SEED").is_some(), "{seen:?}");
}

/// Mistakes of the protocol itself, which kind of run shows each, and within how many seeds of that kind.
const FOUND_WITHIN: &[(Mistake, u64, u64)] = &[
    (Mistake::EpochBeforeHistory, 7, 20),
    (Mistake::AnswerBeforeEpoch, 0, 2),
    (Mistake::AckBeforeSync, 0, 2),
    (Mistake::OwnAckBeforeSync, 0, 2),
    (Mistake::AcceptedEpochOnlyInMemory, 0, 2),
    (Mistake::VoteBeforeDiskIsIdle, 1, 5),
    (Mistake::VoteWithDelivered, 0, 5),
    (Mistake::HistoryWithHole, 1, 150),
    (Mistake::TruncationIgnored, 5, 100),
    (Mistake::NoTruncation, 5, 100),
    (Mistake::NewLeaderTooEarly, 0, 5),
    (Mistake::ProposalsOnlyToSynced, 0, 20),
    (Mistake::ServeBeforeQuorum, 0, 2),
    (Mistake::InitialHistoryNotDelivered, 2, 20),
    (Mistake::ObserversCount, 2, 60),
    (Mistake::SyncWithoutRound, 4, 150),
    (Mistake::RefuseWithoutRound, 4, 150),
    (Mistake::AcksSurviveTruncation, 1, 150),
    (Mistake::CounterRunsOver, 6, 2),
    (Mistake::ObserverDropsDuringSync, 3, 60),
    (Mistake::VoteWithMarker, 0, 2),
];

#[test]
fn every_mistake_of_the_protocol_is_noticed() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    let only = std::env::var("ZAB_MISTAKE").ok();
    let wanted = |mistake: &Mistake| {
        only.as_ref()
            .is_none_or(|only| *only == format!("{mistake:?}"))
    };
    for (mistake, kind, within) in FOUND_WITHIN.iter().filter(|(mistake, ..)| wanted(mistake)) {
        let mut why = String::new();
        let mut noticed = |seed: &u64| {
            let played = catch_unwind(AssertUnwindSafe(|| play(*seed, Some(*mistake))));
            let Err(broken) = played else {
                return false;
            };
            why = broken.downcast_ref::<String>().cloned().unwrap_or_default();
            true
        };
        match (0..*within)
            .map(|nth| nth * KINDS + kind)
            .find(|seed| noticed(seed))
        {
            Some(seed) => println!("{mistake:?}: seed {seed}, {why:.200}"),
            None => missed.push(*mistake),
        }
    }
    std::panic::set_hook(hook);
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}

/// Three servers and one that somebody gave the id of the second: the leader must never have both.
fn play_twins(seed: u64, mistake: Option<Mistake>) {
    let mut world = World::empty(seed, 3);
    world.mistake = mistake;
    // What a twin has on its disk counts for the other one, too: only the ensemble's owner can prevent that.
    world.promises.without_disks = true;
    let (twin, second) = (ServerId(102), ServerId(2));
    for (place, me) in [(1, 1), (2, 2), (3, 3), (102, 2)] {
        world.add(ServerId(place), ServerId(me), Disk::default());
    }
    (1..=3).for_each(|id| world.start(ServerId(id)));
    for step in 0..400 {
        if step == 100 {
            world.start(twin);
        }
        if !world.happen() {
            world.wait(Duration::from_millis(20));
        }
        for leader in world.leaders() {
            let Some(peer) = &world.servers[&leader].peer else {
                continue;
            };
            let twins = peer
                .learners()
                .iter()
                .filter(|(id, ..)| *id == second)
                .count();
            assert!(twins < 2, "both twins follow {leader}");
        }
    }
}

#[test]
fn a_leader_has_no_two_learners_with_one_id() {
    (0..50).for_each(|seed| play_twins(seed, None));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let welcome = Some(Mistake::TwinsWelcome);
    let noticed =
        |seed: &u64| catch_unwind(AssertUnwindSafe(|| play_twins(*seed, welcome))).is_err();
    let seed = (0..10).find(noticed);
    std::panic::set_hook(hook);
    assert!(seed.is_some(), "not noticed");
}
