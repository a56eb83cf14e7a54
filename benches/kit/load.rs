//! The benchmarks' requests, on the library's generator of load: one thread, many connections, a
//! fixed number of requests in flight on each. A reply that is not OK ends the run.

use oxkeeper::load::{
    Job, Keys, Latencies, Length, Pattern, Plan, Run, Settings, Tally, Template, Window,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// What the requests do. Paths end in a number that runs through a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// getData of [`KEYS`] znodes of [`VALUE`] bytes.
    Get,
    /// setData of the same, any version.
    Set,
    /// Nine getData, then one setData.
    Mixed,
    /// Creates the znodes the three above use.
    Keys,
    /// Creates the thousand parents of [`Work::Many`].
    Parents,
    /// Creates znodes of [`SMALL`] bytes under a thousand parents.
    Many,
}

/// Znodes that getData and setData go round.
pub const KEYS: u32 = 1000;
/// Bytes of data of each of them.
pub const VALUE: usize = 1024;
/// Bytes of data of each of the many.
pub const SMALL: usize = 100;

/// How hard to press, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections, each with a session of its own.
    pub connections: u32,
    /// Requests each connection keeps unanswered.
    pub in_flight: u32,
    /// Load before the measurement starts.
    pub ramp: Duration,
    /// Length of the measurement.
    pub window: Duration,
}

/// What a measurement counted.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Replies, all of them OK.
    pub ops: u64,
    /// Time over which they came.
    pub seconds: f64,
    /// Their latencies.
    pub latencies: Latencies,
}

/// Presses `work` on the servers for the length of the window, each with its share of the
/// connections; `mark` is called as it starts and as it ends.
///
/// # Errors
/// Text for a person: which reply was wrong, or how the connection broke.
pub fn press(
    targets: &[SocketAddr],
    work: Work,
    load: Load,
    mut mark: impl FnMut(),
) -> Result<Counted, String> {
    let Load {
        connections,
        in_flight,
        ramp,
        window,
    } = load;
    let settings = settings(targets, connections, in_flight, ramp, Length::Time(window));
    // Connections start their rounds apart, so that they do not all ask for the same znode.
    let job = |number| {
        let keys = Keys::Round {
            next: number * KEYS / connections,
            count: KEYS,
        };
        Job::Requests(match work {
            Work::Get => Plan::one(Template::get(&key(), VALUE), keys),
            Work::Set => Plan::one(Template::set(&key(), VALUE), keys),
            _ => {
                let (get, set) = (Template::get(&key(), VALUE), Template::set(&key(), VALUE));
                Plan::mixed(get, set, 90, keys)
            }
        })
    };
    block_on(async {
        let mut run = Run::begin(settings, job).await?;
        let Window { from, to } = run.window();
        reach(&mut run, from).await?;
        mark();
        reach(&mut run, to).await?;
        mark();
        run.ended().await?;
        let tally = run.take();
        all_ok(&tally)?;
        let all = tally.all();
        Ok(Counted {
            ops: all.answered,
            seconds: (to - from) as f64 / 1e9,
            latencies: all.latencies,
        })
    })
}

/// Sends exactly the requests `0..count` of `work`, whose numbers the connections share out among
/// them.
///
/// # Errors
/// As [`press`].
pub fn complete(
    targets: &[SocketAddr],
    work: Work,
    connections: u32,
    in_flight: u32,
    count: u32,
) -> Result<(), String> {
    let ramp = Duration::ZERO;
    let settings = settings(targets, connections, in_flight, ramp, Length::Plans);
    let template = match work {
        Work::Parents => Template::create(&parent(1), 0),
        Work::Many => {
            let path = parent(1000).text("/znode-").number(7, 1);
            Template::create(&path, SMALL)
        }
        _ => Template::create(&key(), VALUE),
    };
    let next = Arc::new(AtomicU32::new(0));
    let job = |_| Job::Requests(Plan::each(template.clone(), Arc::clone(&next), count));
    block_on(async {
        let mut run = Run::begin(settings, job).await?;
        run.ended().await?;
        let tally = run.take();
        all_ok(&tally)?;
        match tally.replies.0 == u64::from(count) {
            true => Ok(()),
            false => Err(format!(
                "{} of {count} requests were answered",
                tally.replies.0
            )),
        }
    })
}

fn key() -> Pattern {
    Pattern::new("/versus-key-").number(4, 1)
}

fn parent(divisor: u32) -> Pattern {
    Pattern::new("/versus-").number(4, divisor)
}

fn settings(
    targets: &[SocketAddr],
    connections: u32,
    in_flight: u32,
    ramp: Duration,
    length: Length,
) -> Settings {
    let servers = targets.iter().map(|at| (at.ip().to_string(), at.port()));
    Settings {
        servers: servers.collect(),
        connections,
        in_flight: in_flight as usize,
        threads: 1,
        rate: None,
        session_timeout: Duration::from_secs(30),
        identity: None,
        warm_up: ramp,
        length,
        patience: Duration::from_secs(10),
        seed: 1,
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?
        .block_on(work)
}

/// Waits until the run's clock says `at`; an error as soon as the run has one.
async fn reach(run: &mut Run, at: u64) -> Result<(), String> {
    let left = Duration::from_nanos(at.saturating_sub(run.now()));
    match tokio::time::timeout(left, run.ended()).await {
        Ok(Ok(())) if run.now() < at => Err("the run ended too early".into()),
        Ok(ended) => ended,
        Err(_) => Ok(()),
    }
}

fn all_ok(tally: &Tally) -> Result<(), String> {
    let lost: u64 = tally.servers.iter().map(|server| server.lost).sum();
    if let Some(wrong) = &tally.wrong {
        return Err(wrong.clone());
    }
    match (tally.all().errors.first_key_value(), tally.replies.1, lost) {
        (Some((code, _)), _, _) => Err(format!("error {code}")),
        (None, 0, 0) if tally.unanswered == 0 => Ok(()),
        (None, errors, lost) => Err(format!(
            "{errors} errors, {lost} connections lost, {} requests unanswered",
            tally.unanswered
        )),
    }
}
