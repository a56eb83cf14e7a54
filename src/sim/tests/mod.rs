//! Seeds that run on every change, and that the same seed gives the same run.

mod mistakes;

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
    let (minutes, seconds) = (simulated as f64 / 6e7, slowest as f64 / 1e6);
    println!("{SEEDS:?}: {minutes:.0} simulated minutes, slowest recovery {seconds:.1} s");
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
