//! Java ZooKeeper 3.9.5 and oxkeeper side by side: CPU per operation, throughput, latency, memory,
//! time to start.
//!
//! ```text
//! compat-tests/install                        # once: the Java server's jars (or set
//! OXKEEPER_CACHE) cargo bench --bench versus                  # everything, about ten minutes
//! cargo bench --bench versus -- --measure get --rounds 5 cargo bench --bench versus -- --only
//! oxkeeper --tiny        # smoke test: a few requests, all answered with OK cargo bench --bench
//! versus -- --target 127.0.0.1:2181 --pid 4711 --measure get     # a server that runs already ```
//!
//! Both servers run with default settings (Java: the default heap of 1000 MB, no other JVM words;
//! its AdminServer is off, which is in its favour) on a data folder under `target/`, which should
//! be on a real disk: setData waits for the disk, as it does in production. They are up together,
//! warmed up, and then loaded in turn, round by round, while the other one idles. CPU is user and
//! system time of the whole server process over the replies the client counted; the client is one
//! thread and prints its own cost. OXKEEPER_BIN names another binary of ours.
//!
//! With `many`, each server gets a million znodes through the client API; its resident memory is
//! taken then and after restarts, and so is the time from the start of the process until `srvr`
//! names its mode.

#[path = "../kit/mod.rs"]
mod kit;

use clap::Parser;
use kit::load::{self, KEYS, Load, Work};
use kit::process::{Kind, Server, cpu_seconds, resident_bytes};
use kit::report::{Goal, Report};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, thread};

#[derive(Parser)]
#[command(about = "Compares Java ZooKeeper 3.9.5 and oxkeeper")]
struct Options {
    /// Length of one measurement.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Measurements of each kind, of which the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Load before the first measurement, in seconds.
    #[arg(long, default_value_t = 12.0)]
    warm_up: f64,
    #[arg(long, default_value_t = 50)]
    connections: u32,
    /// Unanswered requests per connection.
    #[arg(long, default_value_t = 16)]
    in_flight: u32,
    /// Znodes of `--measure many`.
    #[arg(long, default_value_t = 1_000_000)]
    znodes: u32,
    /// Restarts of `--measure many`.
    #[arg(long, default_value_t = 3)]
    restarts: u32,
    /// Run only this server.
    #[arg(long)]
    only: Option<Kind>,
    /// Measure only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    measure: Vec<Measure>,
    /// Few requests and one round: shows that everything runs, measures nothing.
    #[arg(long)]
    tiny: bool,
    /// Load this server instead of starting any.
    #[arg(long)]
    target: Option<SocketAddr>,
    /// Process of `--target`, for its CPU time.
    #[arg(long, default_value_t = 0)]
    pid: u32,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    /// getData of 1 KB.
    Get,
    /// setData of 1 KB, durable.
    Set,
    /// Nine getData to one setData.
    Mixed,
    /// One connection, one request in flight.
    Latency,
    /// Memory and start with a million znodes.
    Many,
}

impl Options {
    fn wants(&self, measure: Measure) -> bool {
        self.measure.is_empty() || self.measure.contains(&measure)
    }

    fn load(&self) -> Load {
        Load {
            connections: self.connections,
            in_flight: self.in_flight,
            ramp: Duration::from_secs_f64(self.seconds / 5.0),
            window: Duration::from_secs_f64(self.seconds),
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        Kind::BOTH
            .into_iter()
            .filter(|kind| self.only.is_none_or(|only| only == *kind))
            .collect()
    }
}

fn main() -> ExitCode {
    if std::env::args().len() == 1 {
        // `cargo test --all-targets` runs this too.
        println!("versus measures for minutes: run it with `cargo bench --bench versus`");
        return ExitCode::SUCCESS;
    }
    let mut options = Options::parse();
    if options.tiny {
        options.seconds = 0.2;
        options.rounds = 1;
        options.warm_up = 0.0;
        options.connections = options.connections.min(4);
        options.in_flight = options.in_flight.min(4);
        options.znodes = 2_000;
        options.restarts = 1;
    }
    match run(&options) {
        Ok(report) => {
            println!("\n{}", report.table());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("versus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<Report, String> {
    let mut report = Report::default();
    if let Some(target) = options.target {
        load::complete(&[target], Work::Keys, 1, options.in_flight, KEYS).or_else(keys_exist)?;
        for round in 1..=options.rounds {
            speeds(
                options,
                Kind::Oxkeeper,
                target,
                options.pid,
                round,
                &mut report,
            )?;
        }
        return Ok(report);
    }
    let folder = Folder::new()?;
    if [Measure::Get, Measure::Set, Measure::Mixed, Measure::Latency]
        .iter()
        .any(|one| options.wants(*one))
    {
        compare_speeds(options, &folder.0, &mut report)?;
    }
    if options.wants(Measure::Many) {
        for kind in options.kinds() {
            many_znodes(options, kind, &folder.0, &mut report)?;
        }
    }
    Ok(report)
}

/// A server that was loaded before has the keys.
fn keys_exist(error: String) -> Result<(), String> {
    if error.contains("error -110") {
        Ok(())
    } else {
        Err(error)
    }
}

/// Where both servers keep their data; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("versus-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn compare_speeds(options: &Options, folder: &Path, report: &mut Report) -> Result<(), String> {
    let mut servers = Vec::new();
    for kind in options.kinds() {
        let mut server = new_server(kind, folder.join(format!("{kind:?}-speed")), options)?;
        server.start()?;
        load::complete(&[server.address()], Work::Keys, 1, options.in_flight, KEYS)?;
        servers.push((kind, server));
    }
    for (kind, server) in &servers {
        println!("warming up {kind:?}");
        let half = Duration::from_secs_f64(options.warm_up / 2.0);
        for work in [Work::Mixed, Work::Get] {
            load::press(
                &[server.address()],
                work,
                Load {
                    window: half,
                    ..options.load()
                },
                || (),
            )?;
        }
    }
    for round in 1..=options.rounds {
        for (kind, server) in &servers {
            speeds(
                options,
                *kind,
                server.address(),
                server.pid(),
                round,
                report,
            )?;
        }
    }
    Ok(())
}

fn new_server(kind: Kind, home: PathBuf, options: &Options) -> Result<Server, String> {
    Server::new(kind, home, options.connections).map_err(|error| error.to_string())
}

/// One round of everything that is measured under load.
fn speeds(
    options: &Options,
    kind: Kind,
    target: SocketAddr,
    pid: u32,
    round: u32,
    report: &mut Report,
) -> Result<(), String> {
    let busy = [
        (
            Measure::Get,
            Work::Get,
            "getData 1 KB",
            Some(Goal::AtMost(0.25)),
        ),
        (
            Measure::Set,
            Work::Set,
            "setData 1 KB",
            Some(Goal::AtMost(0.5)),
        ),
        (Measure::Mixed, Work::Mixed, "9 getData : 1 setData", None),
    ];
    for (measure, work, name, goal) in busy {
        if options.wants(measure) {
            let mut marks = Vec::new();
            let mark = || marks.push((cpu_seconds(pid), cpu_seconds(std::process::id())));
            let counted = load::press(&[target], work, options.load(), mark)?;
            let per_op = |used: Option<f64>| used.map(|used| used * 1e6 / counted.ops as f64);
            let server = per_op(
                marks[1]
                    .0
                    .zip(marks[0].0)
                    .map(|(after, before)| after - before),
            );
            let client = per_op(
                marks[1]
                    .1
                    .zip(marks[0].1)
                    .map(|(after, before)| after - before),
            );
            let per_second = counted.ops as f64 / counted.seconds;
            println!(
                "round {round}: {kind:?} {name}: {per_second:.0}/s, \
                 server {:.2} us CPU per op, client {:.2}",
                server.unwrap_or(f64::NAN),
                client.unwrap_or(f64::NAN)
            );
            let mut note = |what: &str, value: Option<f64>, goal| {
                if let Some(value) = value {
                    report.note(format!("{name}: {what}"), kind, value, goal);
                }
            };
            note("server CPU, us per op", server, goal);
            note("operations per second", Some(per_second), None);
            note("load generator CPU, us per op", client, None);
        }
    }
    if options.wants(Measure::Latency) {
        for (work, name) in [(Work::Get, "getData 1 KB"), (Work::Set, "setData 1 KB")] {
            latency(options, kind, target, work, name, report)?;
        }
    }
    Ok(())
}

fn latency(
    options: &Options,
    kind: Kind,
    target: SocketAddr,
    work: Work,
    name: &str,
    report: &mut Report,
) -> Result<(), String> {
    let load = Load {
        connections: 1,
        in_flight: 1,
        ..options.load()
    };
    let latencies = load::press(&[target], work, load, || ())?.latencies;
    for (percent, what) in [(50.0, "median"), (99.0, "99th of 100")] {
        if latencies.count() > 0 {
            report.note(
                format!("{name} alone: {what}, us"),
                kind,
                latencies.percentile(percent) as f64 / 1e3,
                None,
            );
        }
    }
    Ok(())
}

fn many_znodes(
    options: &Options,
    kind: Kind,
    folder: &Path,
    report: &mut Report,
) -> Result<(), String> {
    let settle = Duration::from_secs_f64(options.seconds.min(2.0));
    let home = folder.join(format!("{kind:?}-many"));
    let mut server = new_server(kind, home.clone(), options)?;
    server.start()?;
    println!("{kind:?}: creating {} znodes", options.znodes);
    let (address, parents) = (server.address(), options.znodes.div_ceil(1000));
    load::complete(&[address], Work::Parents, 1, options.in_flight, parents)?;
    let (started, before) = (std::time::Instant::now(), cpu_seconds(server.pid()));
    load::complete(
        &[address],
        Work::Many,
        options.connections,
        options.in_flight,
        options.znodes,
    )?;
    let (seconds, after) = (started.elapsed().as_secs_f64(), cpu_seconds(server.pid()));
    let count = f64::from(options.znodes);
    if let Some((after, before)) = after.zip(before) {
        report.note(
            "many: create, server CPU, us per op",
            kind,
            (after - before) * 1e6 / count,
            None,
        );
    }
    report.note(
        "many: create, operations per second",
        kind,
        count / seconds,
        None,
    );
    thread::sleep(settle);
    let mut resident = |what: &str, pid: u32| {
        let megabytes = resident_bytes(pid).unwrap_or_default() as f64 / 1e6;
        println!("{kind:?}: {megabytes:.0} MB resident {what}");
        report.note(
            format!("many: resident {what}, MB"),
            kind,
            megabytes,
            Some(Goal::AtMost(0.25)),
        );
    };
    resident("after loading", server.pid());
    let mut starts = Vec::new();
    for _ in 0..options.restarts {
        server.stop();
        let bytes = server
            .warm_page_cache()
            .map_err(|error| error.to_string())?;
        let taken = server.start()?;
        println!(
            "{kind:?}: serves {taken:?} after its start, from {} MB of files",
            bytes / 1_000_000
        );
        starts.push(taken.as_secs_f64());
        thread::sleep(settle);
        resident("after a restart", server.pid());
    }
    for seconds in starts {
        report.note(
            "many: start to serving, s",
            kind,
            seconds,
            Some(Goal::AtMost(0.2)),
        );
    }
    drop(server);
    fs::remove_dir_all(home).ok();
    Ok(())
}
