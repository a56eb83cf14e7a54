//! How long nobody can write after a leader was killed, as a client sees it that reconnects at
//! once.
//!
//! A probe belongs to one surviving server. From the kill on it connects, asks for its session, and
//! writes, again and again until a write is acknowledged; a connection that is refused or closed is
//! tried again after a few milliseconds. There are probes that come back to a session they had on
//! the killed leader and probes that ask for a new one. The first of each kind counts.

use crate::kit::machine;
use crate::kit::report::{Goal, Report};
use crate::members::Ensemble;
use jute::Op;
use jute::proto::SetDataRequest;
use oxkeeper::load::wire::{self, Refused, Session, frame, i32_at};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Between two attempts of a probe.
const PAUSE: Duration = Duration::from_millis(5);
/// A server that accepted a connection and says nothing for so long is tried again.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Longer than this is no failover.
const GIVE_UP: Duration = Duration::from_secs(120);

/// Kills the leader once, notes how long it took until writes went on, and brings the killed server
/// back.
///
/// # Errors
/// Text for a person: the ensemble does not come back, or a session was lost.
pub fn kill_leader(
    ensemble: &mut Ensemble,
    znodes: u32,
    patience: Duration,
    report: &mut Report,
) -> Result<(), String> {
    let leader = ensemble.leader()?;
    let survivors: Vec<_> = (0..ensemble.servers.len())
        .filter(|place| *place != leader)
        .map(|place| ensemble.servers[place].address())
        .collect();
    let (idle, enough) = machine::wait_until_idle(patience);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let server = &mut ensemble.servers[leader];
    let address = server.address();
    let probed =
        runtime.block_on(
            LocalSet::new().run_until(probe_all(address, &survivors, || server.crash())),
        )?;
    let milliseconds = |reached: &Reached| reached.after.as_secs_f64() * 1e3;
    println!(
        "{:?}, {znodes} znodes: server {} killed; write after {:.0} ms on a resumed session, \
         {:.0} ms on a new one ({} attempts, {} of them timed out; {:.0} % idle before{})",
        ensemble.kind,
        leader + 1,
        milliseconds(&probed.resumed),
        milliseconds(&probed.fresh),
        probed.resumed.attempts + probed.fresh.attempts,
        probed.resumed.timeouts + probed.fresh.timeouts,
        idle * 100.0,
        if enough { "" } else { ": NOT idle" }
    );
    for (what, reached) in [("resumed", &probed.resumed), ("new", &probed.fresh)] {
        report.note_with_worst(
            format!("failover, {znodes} znodes: {what} session, ms"),
            ensemble.kind,
            milliseconds(reached),
            Some(Goal::AtMost(1.0 / 3.0)),
        );
    }
    ensemble.servers[leader].stop();
    ensemble.servers[leader].spawn()?;
    ensemble.serving()?;
    thread::sleep(Duration::from_millis(200));
    Ok(())
}

/// A probe whose write was acknowledged.
struct Reached {
    after: Duration,
    attempts: u32,
    timeouts: u32,
}

/// The first probe of each kind.
struct Probed {
    resumed: Reached,
    fresh: Reached,
}

async fn probe_all(
    leader: SocketAddr,
    survivors: &[SocketAddr],
    crash: impl FnOnce(),
) -> Result<Probed, String> {
    let refused = |refused: Refused| format!("before the kill: {refused}");
    let mut held = Vec::new();
    for survivor in survivors {
        let (mut stream, session) = open(leader, Session::default()).await.map_err(refused)?;
        write(&mut stream).await.map_err(refused)?;
        held.push((*survivor, session, stream));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let killed = Instant::now();
    crash();
    let start = |survivor, session| {
        tokio::task::spawn_local(async move {
            let reached = tokio::time::timeout(GIVE_UP, probe(survivor, session, killed)).await;
            reached.unwrap_or_else(|_| Err(format!("no write for {GIVE_UP:?}")))
        })
    };
    let resumed: Vec<_> = held
        .iter()
        .map(|(survivor, session, _)| start(*survivor, *session))
        .collect();
    let fresh: Vec<_> = survivors
        .iter()
        .map(|survivor| start(*survivor, Session::default()))
        .collect();
    Ok(Probed {
        resumed: first(resumed).await?,
        fresh: first(fresh).await?,
    })
}

/// Waits for all, so that none of them disturbs what is done next.
async fn first(
    probes: Vec<tokio::task::JoinHandle<Result<Reached, String>>>,
) -> Result<Reached, String> {
    let mut reached = Vec::new();
    for probe in probes {
        reached.push(probe.await.map_err(|error| error.to_string())??);
    }
    let first = reached.into_iter().min_by_key(|reached| reached.after);
    first.ok_or_else(|| "no server survives".into())
}

async fn probe(target: SocketAddr, session: Session, killed: Instant) -> Result<Reached, String> {
    let (mut attempts, mut timeouts) = (0, 0);
    loop {
        attempts += 1;
        match tokio::time::timeout(ATTEMPT, attempt(target, session)).await {
            Ok(Ok(mut stream)) => {
                let after = killed.elapsed();
                let close = frame(0, Op::CloseSession, |_| ());
                stream.write_all(&close).await.ok();
                return Ok(Reached {
                    after,
                    attempts,
                    timeouts,
                });
            }
            Ok(Err(Refused::Expired)) if session.id != 0 => {
                return Err(format!("session {:#x} was lost", session.id));
            }
            Ok(Err(_)) => {}
            Err(_) => timeouts += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn attempt(target: SocketAddr, session: Session) -> Result<TcpStream, Refused> {
    let (mut stream, _) = open(target, session).await?;
    write(&mut stream).await?;
    Ok(stream)
}

async fn open(target: SocketAddr, session: Session) -> Result<(TcpStream, Session), Refused> {
    let target = (target.ip().to_string(), target.port());
    let opened = wire::open(&target, session, Duration::from_secs(30)).await?;
    Ok((opened.stream, opened.session))
}

/// One setData, acknowledged.
async fn write(stream: &mut TcpStream) -> Result<(), Refused> {
    let request = SetDataRequest {
        path: Some("/versus-key-0000".into()),
        data: Some(vec![b'f'; 100].into()),
        version: -1,
    };
    let sent = frame(1, Op::SetData, |w| w.put(&request));
    stream.write_all(&sent).await?;
    let mut reply = [0; wire::HEADER];
    stream.read_exact(&mut reply).await?;
    match i32_at(&reply, 16).unwrap_or_default() {
        0 => Ok(()),
        code => Err(std::io::Error::other(format!("error {code}")).into()),
    }
}
