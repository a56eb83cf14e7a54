//! CPU time and throughput of whole ensembles under load.

use crate::kit::load::{self, Counted, Load, Work};
use crate::kit::process::cpu_seconds;
use crate::kit::report::{Goal, Report};
use crate::members::Ensemble;
use crate::share::Share;
use std::net::SocketAddr;
use std::time::Duration;

/// What one measurement says.
struct Measured {
    counted: Counted,
    /// CPU seconds of each server meanwhile.
    servers: Vec<f64>,
    /// CPU seconds of the load generator.
    client: f64,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.counted.ops as f64 / self.counted.seconds
    }

    /// Microseconds per operation.
    fn per_op(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.counted.ops.max(1) as f64
    }
}

/// setData of 1 KB from 50 connections with 16 in flight, spread over all servers: the CPU time of
/// a write, summed over the servers, and writes per second.
///
/// # Errors
/// A request was not answered with OK.
pub fn writes(ensemble: &Ensemble, seconds: f64, report: &mut Report) -> Result<(), String> {
    let targets = ensemble.followers_first()?;
    let measured = measure(ensemble, &targets, Work::Set, load(50, 16, seconds))?;
    let total = measured.per_op(measured.servers.iter().sum());
    let client = measured.per_op(measured.client);
    println!(
        "{:?}: {:.0} writes/s, {total:.1} us CPU each in all three servers ({}), client {client:.1}",
        ensemble.kind,
        measured.per_second(),
        each(&measured)
    );
    let mut note = |what, value, goal| {
        report.note(
            format!("setData 1 KB, 50 x 16: {what}"),
            ensemble.kind,
            value,
            goal,
        );
    };
    let third = Some(Goal::AtMost(1.0 / 3.0));
    note("CPU of 3 servers, us per write", total, third);
    note(
        "writes per second",
        measured.per_second(),
        Some(Goal::AtLeast(1.0)),
    );
    note("load generator CPU, us per write", client, None);
    Ok(())
}

fn each(measured: &Measured) -> String {
    let per_op = measured
        .servers
        .iter()
        .map(|used| format!("{:.1}", measured.per_op(*used)));
    per_op.collect::<Vec<_>>().join(" + ")
}

/// setData of 1 KB from 1, 10, 100 and 1,000 connections, one request at a time and pipelined.
///
/// # Errors
/// A request was not answered with OK.
pub fn ladder(
    ensemble: &Ensemble,
    seconds: f64,
    connections: &[u32],
    report: &mut Report,
) -> Result<(), String> {
    let targets = ensemble.followers_first()?;
    // The first target is a follower; the leader has one hop less.
    let leader = &targets[targets.len() - 1..];
    let measured = measure(ensemble, leader, Work::Set, load(1, 1, seconds))?;
    let name = "setData 1 KB, 1 x 1 at the leader: writes per second";
    let goal = Some(Goal::AtLeast(0.95));
    report.note(name, ensemble.kind, measured.per_second(), goal);
    for connections in connections.iter().copied() {
        // A single write at a time waits for the disks most of all: there is nothing to win.
        let goal = Goal::AtLeast(if connections == 1 { 0.95 } else { 1.0 });
        for in_flight in [1, 16] {
            let load = load(connections, in_flight, seconds);
            let measured = measure(ensemble, &targets, Work::Set, load)?;
            let name = format!("setData 1 KB, {connections} x {in_flight}: writes per second");
            println!(
                "{:?}: {name}: {:.0}; CPU us per write: {}",
                ensemble.kind,
                measured.per_second(),
                each(&measured)
            );
            report.note(name, ensemble.kind, measured.per_second(), Some(goal));
        }
    }
    Ok(())
}

/// getData of 1 KB from one follower, from both, and from all three servers. One machine carries
/// all of them, so each may use a fixed share of a core only, as if it had a small machine of its
/// own; without that privilege there is still the CPU time of those nobody reads from.
///
/// # Errors
/// A request was not answered with OK.
pub fn reads(
    ensemble: &Ensemble,
    seconds: f64,
    share: f64,
    report: &mut Report,
) -> Result<(), String> {
    let targets = ensemble.followers_first()?;
    let _share = match Share::limit(&ensemble.servers, share) {
        Ok(limited) => Some(limited),
        Err(error) => {
            println!("servers share the cores, so reads cannot scale: {error}");
            None
        }
    };
    let mut one = f64::NAN;
    for servers in 1..=targets.len() {
        let load = load(60, 8, seconds);
        let measured = measure(ensemble, &targets[..servers], Work::Get, load)?;
        if servers == 1 {
            one = measured.per_second();
        }
        println!(
            "{:?}: {:.0} reads/s from {servers} servers; CPU us per read: {}, client {:.1}",
            ensemble.kind,
            measured.per_second(),
            each(&measured),
            measured.per_op(measured.client)
        );
        let mut note = |what: &str, value| {
            let name = format!("getData 1 KB from {servers} of 3 servers: {what}");
            report.note(name, ensemble.kind, value, None);
        };
        note("per second", measured.per_second());
        note("times one", measured.per_second() / one);
        note("CPU, us", measured.per_op(measured.servers.iter().sum()));
    }
    Ok(())
}

/// Load that lets a JVM compile what it needs.
///
/// # Errors
/// A request was not answered with OK.
pub fn warm_up(ensemble: &Ensemble, seconds: f64) -> Result<(), String> {
    let targets = ensemble.followers_first()?;
    for work in [Work::Get, Work::Set] {
        load::press(&targets, work, load(50, 16, seconds / 2.0), || ())?;
    }
    Ok(())
}

fn load(connections: u32, in_flight: u32, seconds: f64) -> Load {
    Load {
        connections,
        in_flight,
        ramp: Duration::from_secs_f64(seconds / 5.0),
        window: Duration::from_secs_f64(seconds),
    }
}

fn measure(
    ensemble: &Ensemble,
    targets: &[SocketAddr],
    work: Work,
    load: Load,
) -> Result<Measured, String> {
    let used = |pid| cpu_seconds(pid).unwrap_or(f64::NAN);
    let mut marks: Vec<(Vec<f64>, f64)> = Vec::new();
    let counted = load::press(targets, work, load, || {
        let servers = ensemble.servers.iter().map(|server| used(server.pid()));
        marks.push((servers.collect(), used(std::process::id())));
    })?;
    let [before, after] = &marks[..] else {
        return Err("a measurement has a start and an end".into());
    };
    let servers = after.0.iter().zip(&before.0);
    Ok(Measured {
        counted,
        servers: servers.map(|(after, before)| after - before).collect(),
        client: after.1 - before.1,
    })
}
