//! Three servers of Java ZooKeeper 3.9.5 and three of ours side by side on loopback: CPU time per
//! write, throughput, reads on followers, and how long a killed leader is missed.
//!
//! ```text
//! compat-tests/install                                  # once: the Java server's jars
//! cargo bench --bench ensemble                          # everything, about half an hour
//! cargo bench --bench ensemble -- --measure writes --rounds 5
//! cargo bench --bench ensemble -- --measure failover --znodes 1000 --kills 9
//! cargo bench --bench ensemble -- --tiny                # smoke test: does it run?
//! ```
//!
//! Both ensembles have tickTime 2000, initLimit 10, syncLimit 5, otherwise defaults, and their data
//! under `target/`, which should be on a real disk. Java servers run as zkServer.sh runs them: a
//! heap of up to 1000 MB and the collector the JVM chooses, which is G1 on two cores and more; the
//! AdminServer is off, which is in their favour. Both ensembles are up together, warmed up, and
//! then loaded in turn, round by round, while the other one idles. CPU is user and system time of
//! whole server processes over the replies the client counted; the client is one thread and prints
//! its own cost. OXKEEPER_BIN names another binary of ours.
//!
//! For `failover` both start from the same files, and the machine must be idle before each kill:
//! the bench waits for that and says so if it waited in vain.

#[path = "../kit/mod.rs"]
mod kit;

mod failover;
mod members;
mod share;
mod speed;

use clap::Parser;
use kit::load::{self, KEYS, Work};
use kit::process::Kind;
use kit::report::Report;
use members::Ensemble;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
#[command(about = "Compares ensembles of Java ZooKeeper 3.9.5 and of oxkeeper")]
struct Options {
    /// Length of one measurement.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Measurements of each kind, of which the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Load before the first measurement, in seconds.
    #[arg(long, default_value_t = 20.0)]
    warm_up: f64,
    /// Run only these servers.
    #[arg(long)]
    only: Option<Kind>,
    /// Measure only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    measure: Vec<Measure>,
    /// Numbers of connections of `--measure ladder`.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 1000])]
    connections: Vec<u32>,
    /// Share of a core that a server may use in `--measure reads`.
    #[arg(long, default_value_t = 0.2)]
    share: f64,
    /// Sizes of the trees of `--measure failover`.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 1_000_000])]
    znodes: Vec<u32>,
    /// How many leaders are killed for each size.
    #[arg(long, default_value_t = 7)]
    kills: u32,
    /// How long to wait for an idle machine before a kill, in seconds.
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// Few requests and one round: shows that everything runs, measures nothing.
    #[arg(long)]
    tiny: bool,
    /// Where the servers keep their data, for another disk than that of `target/`.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Leave the servers' folders, with their logs, where they are.
    #[arg(long)]
    keep: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    /// setData of 1 KB, 50 connections with 16 in flight: CPU time and throughput.
    Writes,
    /// setData of 1 KB from few and from many connections.
    Ladder,
    /// getData of 1 KB from one, two and three servers.
    Reads,
    /// Leaders killed.
    Failover,
}

impl Options {
    fn wants(&self, measure: Measure) -> bool {
        self.measure.is_empty() || self.measure.contains(&measure)
    }

    fn kinds(&self) -> impl Iterator<Item = Kind> {
        let wanted = |kind: &Kind| self.only.is_none_or(|only| only == *kind);
        Kind::BOTH.into_iter().filter(wanted)
    }

    fn make_tiny(&mut self) {
        self.seconds = 0.3;
        self.rounds = 1;
        self.warm_up = 0.2;
        self.connections = vec![1, 10];
        self.share = 0.5;
        self.znodes = vec![2_000];
        self.kills = 1;
        self.patience = 0;
    }
}

fn main() -> ExitCode {
    if std::env::args().len() == 1 {
        // `cargo test --all-targets` runs this too.
        println!("ensemble measures for minutes: run it with `cargo bench --bench ensemble`");
        return ExitCode::SUCCESS;
    }
    let mut options = Options::parse();
    if options.tiny {
        options.make_tiny();
    }
    match run(&options) {
        Ok(report) => {
            println!("\n{}", report.table());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ensemble: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<Report, String> {
    let mut report = Report::default();
    let folder = Folder::new(options)?;
    let speeds = [Measure::Writes, Measure::Ladder, Measure::Reads];
    if speeds.iter().any(|measure| options.wants(*measure)) {
        compare_speeds(options, &folder.0.join("speed"), &mut report)?;
    }
    if options.wants(Measure::Failover) {
        for znodes in options.znodes.iter().copied() {
            let home = folder.0.join(format!("failover-{znodes}"));
            compare_failover(options, znodes, &home, &mut report)?;
        }
    }
    Ok(report)
}

/// Where the servers keep their data; removed when dropped, unless it is to be kept.
struct Folder(PathBuf, bool);

impl Folder {
    fn new(options: &Options) -> Result<Self, String> {
        let name = format!("ensemble-{}", std::process::id());
        let under = options.folder.as_deref();
        let path = under
            .unwrap_or(Path::new(env!("CARGO_TARGET_TMPDIR")))
            .join(name);
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if options.keep {
            println!("folders: {}", path.display());
        }
        Ok(Folder(path, options.keep))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.1 {
            fs::remove_dir_all(&self.0).ok();
        }
    }
}

fn compare_speeds(options: &Options, home: &Path, report: &mut Report) -> Result<(), String> {
    let mut ensembles = Vec::new();
    for kind in options.kinds() {
        let mut ensemble = Ensemble::new(kind, home, None)?;
        ensemble.start()?;
        load::complete(&ensemble.followers_first()?[..1], Work::Keys, 1, 16, KEYS)?;
        ensembles.push(ensemble);
    }
    for ensemble in &ensembles {
        println!("warming up {:?}", ensemble.kind);
        speed::warm_up(ensemble, options.warm_up)?;
    }
    for _ in 0..options.rounds {
        for ensemble in &ensembles {
            if options.wants(Measure::Ladder) {
                speed::ladder(ensemble, options.seconds, &options.connections, report)?;
            }
            if options.wants(Measure::Writes) {
                speed::writes(ensemble, options.seconds, report)?;
            }
            if options.wants(Measure::Reads) {
                speed::reads(ensemble, options.seconds, options.share, report)?;
            }
        }
    }
    Ok(())
}

fn compare_failover(
    options: &Options,
    znodes: u32,
    home: &Path,
    report: &mut Report,
) -> Result<(), String> {
    println!("making {znodes} znodes");
    let seed = members::seed(home.join("seed"), znodes)?;
    let mut ensembles = Vec::new();
    for kind in options.kinds() {
        let mut ensemble = Ensemble::new(kind, home, Some(&seed))?;
        ensemble.start()?;
        ensembles.push(ensemble);
    }
    let patience = Duration::from_secs(options.patience);
    for _ in 0..options.kills {
        for ensemble in &mut ensembles {
            failover::kill_leader(ensemble, znodes, patience, report)?;
        }
    }
    drop(ensembles);
    if !options.keep {
        fs::remove_dir_all(home).ok();
    }
    Ok(())
}
