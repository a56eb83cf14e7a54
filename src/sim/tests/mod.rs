//! Seeds that run on every change, and that the same seed gives the same run.

mod mistakes;

use std::io::Write;

use super::plan::{Fault, Plan};
use super::run::guarded;
use super::{Coverage, Options};

/// Seeds of every change: a minute's worth.
const SEEDS: std::ops::Range<u64> = 0..24;

#[test]
fn ensembles_keep_their_promises_whatever_goes_wrong() {
    let (mut coverage, mut simulated, mut slowest) = (Coverage::default(), 0, 0);
    for seed in SEEDS {
        let report = guarded(seed, &Options::default());
        if let Some(broken) = report.broken {
            panic!("seed {seed}: {broken}\nreplay with: zksim --seed {seed} --verbose");
        }
        coverage.merge(&report.coverage);
        simulated += report.simulated;
        slowest = slowest.max(report.recovery);
    }
    println!("{coverage}");
    let (hours, seconds) = (simulated as f64 / 3.6e9, slowest as f64 / 1e6);
    // Past the harness, which keeps to itself what a test prints that passes.
    let _ = writeln!(
        std::io::stderr(),
        "simulator: seeds {SEEDS:?}, {hours:.2} simulated hours, slowest recovery {seconds:.1} s"
    );
    for road in [
        "DIFF",
        "SNAP",
        "TRUNC",
        "leader established",
        "observer serves",
        "log read for a learner",
        "session resumed",
        "snapshot written",
        "sync completed",
        "watch fired",
        "watches set again",
        "write acknowledged",
    ] {
        assert!(coverage.of(road) > 0, "no seed shows {road}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let options = Options {
        trace: true,
        ..Options::default()
    };
    let (one, other) = (guarded(3, &options), guarded(3, &options));
    assert_eq!(one.trace, other.trace);
    assert_eq!((one.steps, one.simulated), (other.steps, other.simulated));
}

/// Voters that lose their disks while what they acknowledged is on its way to a leader, and others are behind.
fn forgetful(plan: &mut Plan) {
    (plan.voters, plan.observers, plan.clients) = (5, 0, 4);
    (plan.think, plan.fault_gap, plan.faulty) = (20_000, 60_000, 12_000_000);
    (plan.delay, plan.spike, plan.sync_time) = ((500, 20_000), 0.02, (50, 500));
    plan.faults = vec![
        (Fault::EmptyDisk, 30),
        (Fault::Partial, 4),
        (Fault::SlowNet, 2),
    ];
}

#[test]
fn a_voter_loses_its_disk_only_where_all_that_it_promised_is_elsewhere() {
    let options = Options {
        change: Some(forgetful),
        ..Options::default()
    };
    let mut lost = 0;
    for seed in 0..SEEDS_OF_FORGETFUL {
        let report = guarded(seed, &options);
        lost += report.coverage.of("fault: voter with an empty disk");
        if let Some(broken) = report.broken {
            panic!("seed {seed}: {broken}");
        }
    }
    println!("{lost} disks were lost");
    assert!(lost >= 20, "only {lost} disks were lost");
}

const SEEDS_OF_FORGETFUL: u64 = 8;

#[test]
fn what_a_leader_is_sent_is_the_database_of_all_or_of_none() {
    let options = Options {
        change: Some(Plan::restore_often),
        ..Options::default()
    };
    let mut coverage = Coverage::default();
    for seed in 0..SEEDS_OF_RESTORED {
        let report = guarded(seed, &options);
        coverage.merge(&report.coverage);
        if let Some(broken) = report.broken {
            panic!("seed {seed}: {broken}");
        }
    }
    println!("{coverage}");
    for (road, least) in [
        ("restored", 5),
        ("restore refused by a learner", 1),
        ("restore lost to another leader", 1),
    ] {
        let times = coverage.of(road);
        assert!(times >= least, "{road}: only {times} times");
    }
}

const SEEDS_OF_RESTORED: u64 = 8;
