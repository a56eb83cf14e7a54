//! One run from its first znode to its last: groundwork, load with its progress, and the end.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::args::{RunArgs, Work};
use super::report::{Measured, Report};
use super::servers::{self, Said};
use super::site::Site;
use super::text::{ms, rate};
use crate::client::Servers;
use crate::load::{Job, Length, Plan, Run, Settings, Tally, Template, Window};

/// What came of it.
pub struct Outcome {
    /// Nothing, where no load was on.
    pub report: Option<Report>,
    /// What could not be done.
    pub failures: Vec<String>,
    /// Whether it was ended from outside.
    pub interrupted: bool,
}

/// Makes the znodes, measures, removes them.
///
/// # Errors
/// Text for a person: it could not begin, and left nothing behind.
pub async fn run(args: &RunArgs, servers: &Servers) -> Result<Outcome, String> {
    let site = Site::new(args, servers, random());
    let stop = CancellationToken::new();
    watch_signals(stop.clone(), site.left_over())?;
    let names: Vec<String> = servers
        .addresses()
        .iter()
        .map(|(host, port)| format!("{host}:{port}"))
        .collect();
    let said = servers::ask_all(servers.addresses()).await;
    tokio::select! {
        found = site.found() => found?,
        () = stop.cancelled() => return Err("interrupted before it began".into()),
    }
    let mut outcome = Outcome {
        report: None,
        failures: Vec::new(),
        interrupted: false,
    };
    match load(args, servers, &site, &stop).await {
        Ok(Some(measured)) => {
            outcome.report = Some(Report::new(
                args,
                &site.root,
                &measured,
                &names,
                &whole(said, names.len()),
            ));
        }
        Ok(None) => {}
        Err(why) => outcome.failures.push(why),
    }
    outcome.interrupted = stop.is_cancelled();
    if args.keep {
        eprintln!("left: {}", site.root);
    } else {
        remove(args, &site, &mut outcome.failures).await;
    }
    Ok(outcome)
}

fn whole(mut said: Vec<Said>, servers: usize) -> Vec<Said> {
    said.resize(servers, Said::default());
    said
}

/// A name for the run; any will do that no other run has.
fn random() -> u64 {
    use rand::{Rng, SeedableRng, rngs::SmallRng};
    let fallback = || SmallRng::seed_from_u64(std::process::id().into());
    SmallRng::try_from_os_rng()
        .unwrap_or_else(|_| fallback())
        .random()
}

/// The first signal ends the load, the second one everything.
fn watch_signals(stop: CancellationToken, left_over: String) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| error.to_string());
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_cancelled() {
                eprintln!("oxkeeper: {left_over}");
                std::process::exit(130);
            }
            stop.cancel();
        }
    });
    Ok(())
}

async fn remove(args: &RunArgs, site: &Site, failures: &mut Vec<String>) {
    let started = Instant::now();
    let clearing = site.clear();
    tokio::pin!(clearing);
    let mut told = args.interval == 0.0;
    let cleared = loop {
        tokio::select! {
            cleared = &mut clearing => break cleared,
            () = sleep(PATIENCE), if !told => {
                eprintln!("removing znodes");
                told = true;
            }
        }
    };
    match cleared {
        Ok(count) if started.elapsed() > PATIENCE && args.interval > 0.0 => {
            eprintln!("removed {count} znodes")
        }
        Ok(_) => {}
        Err(error) => failures.push(format!("{}: {error}", site.root)),
    }
}

/// The load; None where it was ended before it began.
async fn load(
    args: &RunArgs,
    servers: &Servers,
    site: &Site,
    stop: &CancellationToken,
) -> Result<Option<Measured>, String> {
    for (template, count) in site.groundwork(args) {
        lay(args, servers, template, count, stop).await?;
        if stop.is_cancelled() {
            return Ok(None);
        }
    }
    let settings = Settings {
        servers: servers.addresses().to_vec(),
        connections: args.connections,
        in_flight: args.in_flight as usize,
        threads: args.threads,
        rate: args.rate,
        session_timeout: Duration::from_millis(args.session_timeout.into()),
        identity: args.auth.clone(),
        warm_up: match args.work {
            // Nothing that is deleted in the warm-up can be deleted again.
            Work::Delete => Duration::ZERO,
            _ => Duration::from_secs_f64(args.warmup),
        },
        length: args.length(),
        patience: patience(args),
        seed: args.seed,
    };
    let beginning = Run::begin(settings, site.jobs(args));
    let mut run = tokio::select! {
        run = beginning => run.map_err(|why| hint(&why))?,
        () = stop.cancelled() => return Ok(None),
    };
    let mut progress = Progress::new(args, run.now());
    let mut ticker = interval(Duration::from_secs_f64(if args.interval > 0.0 {
        args.interval
    } else {
        1.0
    }));
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker.tick().await;
    let mut is_stopped = false;
    let ended = loop {
        tokio::select! {
            ended = run.ended() => break ended,
            _ = ticker.tick() => progress.line(&run),
            () = stop.cancelled(), if !is_stopped => {
                is_stopped = true;
                run.stop();
            }
        }
    };
    progress.take(&run);
    Ok(Some(Measured {
        tally: progress.sum,
        window: run.window(),
        busy: run.busy(),
        interrupted: stop.is_cancelled(),
        failure: ended.err(),
    }))
}

/// A server that closes connections during the handshake mostly has too many of them.
fn hint(why: &str) -> String {
    match why.contains("early eof") || why.contains("reset") {
        true => {
            format!("{why} (the server closed the connection: see its maxClientCnxns and its log)")
        }
        false => why.to_owned(),
    }
}

/// Sends `template` for each number up to `count`.
async fn lay(
    args: &RunArgs,
    servers: &Servers,
    template: Template,
    count: u32,
    stop: &CancellationToken,
) -> Result<(), String> {
    let settings = Settings {
        servers: servers.addresses().to_vec(),
        connections: args.connections.min(LAYING),
        in_flight: (LAID_BYTES / args.size.max(1) as usize).clamp(1, 64),
        threads: 1,
        rate: None,
        session_timeout: Duration::from_millis(args.session_timeout.into()),
        identity: args.auth.clone(),
        warm_up: Duration::ZERO,
        length: Length::Plans,
        patience: patience(args),
        seed: args.seed,
    };
    let next = Arc::new(AtomicU32::new(0));
    let job = |_| Job::Requests(Plan::each(template.clone(), Arc::clone(&next), count));
    let mut run = Run::begin(settings, job).await.map_err(|why| hint(&why))?;
    let (mut sum, mut is_stopped) = (Tally::new(servers.addresses().len()), false);
    let ended = loop {
        tokio::select! {
            ended = run.ended() => break ended,
            () = sleep(PATIENCE), if args.interval > 0.0 => {
                sum.add(&run.take());
                eprintln!("making znodes: {} of {count}", sum.replies.0);
            }
            () = stop.cancelled(), if !is_stopped => {
                is_stopped = true;
                run.stop();
            }
        }
    };
    ended?;
    sum.add(&run.take());
    match sum.all().errors.first_key_value() {
        Some((code, count)) => {
            let text = crate::client::code_text(jute::ErrorCode(*code));
            Err(format!("{count} znodes could not be made: {text}"))
        }
        None if sum.unanswered > 0 && !is_stopped => {
            Err("znodes could not be made: no answer".into())
        }
        None => Ok(()),
    }
}

/// Lines that tell how it goes.
struct Progress {
    sum: Tally,
    is_on: bool,
    begun: u64,
    last: u64,
    /// Answers, errors and lost connections that were told of.
    told: (u64, u64, u64),
}

impl Progress {
    fn new(args: &RunArgs, now: u64) -> Progress {
        Progress {
            sum: Tally::default(),
            is_on: args.interval > 0.0,
            begun: now,
            last: now,
            told: (0, 0, 0),
        }
    }

    /// What was counted since the last time, which the sum has from now on.
    fn take(&mut self, run: &Run) -> Tally {
        let fresh = run.take();
        if self.sum.servers.is_empty() {
            self.sum = Tally::new(fresh.servers.len());
        }
        self.sum.add(&fresh);
        fresh
    }

    fn line(&mut self, run: &Run) {
        let fresh = self.take(run);
        let now = run.now();
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let length = seconds(now.saturating_sub(self.last)).max(1e-9);
        self.last = now;
        if !self.is_on {
            return;
        }
        let mut latencies = fresh.all().latencies;
        latencies.add(&fresh.early);
        let lost = self.sum.servers.iter().map(|server| server.lost).sum();
        let us = |percent| ms(latencies.percentile(percent) as f64 / 1e3);
        let mut line = format!(
            "{:>7.1} s {:>9}/s",
            seconds(now - self.begun),
            rate(fresh.replies.0 as f64 / length)
        );
        if latencies.count() > 0 {
            line += &format!(
                "   p50 {:>7} ms   p99 {:>7} ms   max {:>7} ms",
                us(50.0),
                us(99.0),
                us(100.0)
            );
        }
        let (errors, lost_before) = (self.told.1, self.told.2);
        if self.sum.replies.1 > errors {
            line += &format!("   {} errors", self.sum.replies.1 - errors);
        }
        if lost > lost_before {
            line += &format!("   {} connections lost", lost - lost_before);
        }
        let oldest = run.oldest();
        if oldest > STALL {
            line += &format!("   NO ANSWER for {:.1} s", oldest.as_secs_f64());
        }
        let Window { from, .. } = run.window();
        if now < from {
            line += "   (warm-up)";
        }
        self.told = (self.sum.replies.0, self.sum.replies.1, lost);
        eprintln!("{line}");
    }
}

/// Making or removing znodes that takes longer is told of.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long answers are awaited after the end.
fn patience(args: &RunArgs) -> Duration {
    LATE.min(2 * Duration::from_millis(args.session_timeout.into()))
}

/// Answers are awaited as long after the end, or for two session timeouts.
const LATE: Duration = Duration::from_secs(10);
/// A request without an answer for longer is told of.
const STALL: Duration = Duration::from_millis(500);
/// Connections that make znodes.
const LAYING: u32 = 8;
/// Bytes that each of them has in flight.
const LAID_BYTES: usize = 1 << 20;
