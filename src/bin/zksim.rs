//! Runs the simulator: seeds, one after the other or many at once, and what came of them.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use oxkeeper::base::flaw::Flaw;
use oxkeeper::sim::{Coverage, Options, Plan, Report, run};
use oxkeeper::zab::mistake::Mistake;

/// Whole ensembles on one thread from one seed: the same seed gives the same run.
#[derive(Parser)]
struct Args {
    /// Runs this seed alone.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Runs these seeds: the first, and the one after the last.
    #[arg(long, value_parser = range, default_value = "0..100")]
    seeds: (u64, u64),
    /// Seeds that run at the same time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Prints everything that happens.
    #[arg(long)]
    verbose: bool,
    /// Puts a known mistake back, by its name in `zab::mistake`.
    #[arg(long, value_parser = mistake)]
    mistake: Option<Mistake>,
    /// The same, of what is around the protocol: by its name in `base::flaw`.
    #[arg(long, value_parser = flaw)]
    flaw: Option<Flaw>,
    /// Sends databases to servers, to be restored, far more often than the seeds say.
    #[arg(long)]
    restores: bool,
    /// Goes on after a seed that fails.
    #[arg(long)]
    keep_going: bool,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once("..").ok_or("wanted FIRST..END")?;
    let number = |part: &str| part.parse().map_err(|error| format!("{part}: {error}"));
    Ok((number(parts.0)?, number(parts.1)?))
}

fn mistake(name: &str) -> Result<Mistake, String> {
    let found = Mistake::ALL
        .iter()
        .find(|mistake| format!("{mistake:?}") == name);
    let all = || format!("known are {:?}", Mistake::ALL);
    found.copied().ok_or_else(all)
}

fn flaw(name: &str) -> Result<Flaw, String> {
    let found = Flaw::ALL.iter().find(|flaw| format!("{flaw:?}") == name);
    let all = || format!("known are {:?}", Flaw::ALL);
    found.copied().ok_or_else(all)
}

/// What all seeds together gave.
#[derive(Default)]
struct Sum {
    coverage: Coverage,
    simulated: u64,
    steps: u64,
    runs: u64,
    slowest: (u64, u64),
    failed: Vec<Report>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (first, end) = args.seed.map_or(args.seeds, |seed| (seed, seed + 1));
    let begun = Instant::now();
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let sum = Mutex::new(Sum::default());
    let options = Options {
        mistake: args.mistake,
        flaw: args.flaw,
        print: args.verbose,
        change: args.restores.then_some(Plan::restore_often),
        ..Options::default()
    };
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let report = guarded(seed, &options);
                    if report.broken.is_some() && !args.keep_going {
                        stop.store(true, Ordering::Relaxed);
                    }
                    take(&sum, report);
                }
            });
        }
    });
    let sum = sum
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    print(&sum, begun.elapsed().as_secs_f64());
    if let Some(report) = sum.failed.first() {
        fail(report, &options);
    }
    summarize(&sum);
    match sum.failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// A panic of a server is a finding like any other.
fn guarded(seed: u64, options: &Options) -> Report {
    run::guarded(seed, options)
}

fn take(sum: &Mutex<Sum>, report: Report) {
    let mut sum = sum
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    sum.coverage.merge(&report.coverage);
    sum.simulated += report.simulated;
    sum.steps += report.steps;
    sum.runs += 1;
    sum.slowest = sum.slowest.max((report.recovery, report.seed));
    if let Some(broken) = &report.broken {
        println!("seed {}: {broken}", report.seed);
        sum.failed.push(report);
    }
}

fn print(sum: &Sum, seconds: f64) {
    print!("{}", sum.coverage);
    let hours = sum.simulated as f64 / 3.6e9;
    let (slowest, seed) = sum.slowest;
    println!(
        "{} seeds, {} events, {hours:.2} simulated hours in {seconds:.1} s; slowest recovery {:.1} s (seed {seed})",
        sum.runs,
        sum.steps,
        slowest as f64 / 1e6
    );
}

/// How many seeds fail with what, and the first of them.
fn summarize(sum: &Sum) {
    let mut kinds: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for report in &sum.failed {
        if let Some(broken) = &report.broken {
            kinds.entry(broken.property).or_default().push(report.seed);
        }
    }
    for (property, mut seeds) in kinds {
        seeds.sort_unstable();
        let first = &seeds[..seeds.len().min(8)];
        println!("{:>6} seeds fail: {property}: {first:?}", seeds.len());
    }
}

/// Runs the seed again, and shows its end.
fn fail(report: &Report, options: &Options) {
    let seed = report.seed;
    if !options.print {
        let again = Options {
            trace: true,
            ..*options
        };
        for line in guarded(seed, &again).trace {
            println!("{line}");
        }
    }
    if let Some(broken) = &report.broken {
        println!("seed {seed} fails: {broken}\n  replay with: zksim --seed {seed} --verbose");
    }
}
