//! What is shown: rates and times of the interval between two looks at each server.

use std::time::Instant;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::sample::{Sample, Session, Vitals};
use super::times::Times;

/// A server that is watched, and the last that was heard of it.
#[derive(Debug)]
pub struct Watched {
    /// As it was given, or found.
    address: String,
    latest: Option<Sample>,
    before: Option<Sample>,
    sessions: Option<Sessions>,
    sessions_before: Option<Sessions>,
    failure: Option<String>,
}

type Sessions = (Instant, Vec<Session>);

impl Watched {
    /// Nothing is known of it yet.
    pub fn new(address: String) -> Watched {
        Watched {
            address,
            latest: None,
            before: None,
            sessions: None,
            sessions_before: None,
            failure: None,
        }
    }

    /// It was looked at, or that failed.
    pub fn update(&mut self, looked: Result<Sample, String>) {
        let mut sample = match looked {
            Ok(sample) => sample,
            Err(failure) => {
                self.failure = Some(failure);
                return;
            }
        };
        self.failure = None;
        if let Some(sessions) = sample.sessions.take() {
            self.sessions_before = self.sessions.replace((sample.at, sessions));
        }
        self.before = self.latest.replace(sample);
    }

    /// Why it does not answer.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

/// Everything that is shown, of one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Picture {
    /// In the order in which they were given.
    pub servers: Vec<ServerLine>,
    /// Of all servers.
    pub sessions: Vec<SessionLine>,
    /// Of all servers together.
    pub hot: HotLines,
    /// Of each server.
    pub stages: Vec<StageLine>,
}

/// A server. What is not known is none.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ServerLine {
    /// Of its admin port.
    pub address: String,
    /// What it is: `leader`, …; empty before it answered.
    pub state: String,
    /// Why it serves nobody, or does not answer.
    pub problem: Option<String>,
    /// In hexadecimal.
    pub zxid: Option<String>,
    /// Clients.
    pub connections: Option<u64>,
    /// Requests taken and not answered.
    pub outstanding: Option<u64>,
    /// Without pings, where the server tells operations apart.
    pub requests_per_second: Option<f64>,
    /// From reception to answer, half of the requests.
    pub p50_seconds: Option<f64>,
    /// The same for 99 %.
    pub p99_seconds: Option<f64>,
    /// Of the process.
    pub memory_bytes: Option<u64>,
    /// Syncs of the log.
    pub fsync_p99_seconds: Option<f64>,
}

/// A client's connection.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SessionLine {
    /// Its server.
    pub server: String,
    /// Its address.
    pub client: String,
    /// In hexadecimal; empty before it has one.
    pub session: String,
    /// Frames from it.
    pub requests_per_second: Option<f64>,
    /// Requests that are not answered.
    pub outstanding: i64,
    /// Since it connected.
    pub avg_latency_ms: f64,
    /// Likewise.
    pub max_latency_ms: f64,
    /// In the four letters of `cons`.
    pub last_operation: String,
}

/// Where clients read and write.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HotLines {
    /// Rates are of about so long; none: no server tells.
    pub window_seconds: Option<f64>,
    /// Requests are sampled, one in so many; of several servers the most.
    pub sampled_one_in: u64,
    /// The paths.
    pub paths: Vec<PathLine>,
}

/// A path. Rates are per second; errors are how wrong they may be.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PathLine {
    /// The path.
    pub path: String,
    /// Of its data, ACL or children.
    pub reads: f64,
    /// Of `reads`.
    pub reads_error: f64,
    /// Its creation, changes and removal.
    pub writes: f64,
    /// Of `writes`.
    pub writes_error: f64,
    /// Children made and removed.
    pub children: f64,
    /// Of `children`.
    pub children_error: f64,
}

/// A part of a request's way, at one server.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StageLine {
    /// The server.
    pub server: String,
    /// The part; or `fsync`.
    pub stage: String,
    /// How often.
    pub per_second: f64,
    /// Its mean.
    pub mean_seconds: f64,
    /// Half took less.
    pub p50_seconds: f64,
    /// 99 % took less.
    pub p99_seconds: f64,
    /// None took longer; of times beyond the last bound, that.
    pub max_seconds: f64,
}

impl Picture {
    /// Of what is known of `servers`.
    pub fn of(servers: &[Watched]) -> Picture {
        let mut picture = Picture::default();
        let mut paths = FxHashMap::default();
        for server in servers {
            picture.servers.push(server_line(server));
            sessions(server, &mut picture.sessions);
            stages(server, &mut picture.stages);
            hot_paths(server, &mut picture.hot, &mut paths);
        }
        picture.hot.paths = paths.into_values().collect();
        let by_path = |a: &PathLine, b: &PathLine| a.path.cmp(&b.path);
        picture.hot.paths.sort_unstable_by(by_path);
        picture
    }
}

/// Two looks at a server while it was one process, and the seconds between them.
struct Interval<'a> {
    before: &'a Sample,
    after: &'a Sample,
    seconds: f64,
}

impl Watched {
    fn interval(&self) -> Option<Interval<'_>> {
        let (before, after) = (self.before.as_ref()?, self.latest.as_ref()?);
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let fits = self.failure.is_none() && seconds > 0.0;
        fits.then_some(Interval {
            before,
            after,
            seconds,
        })
    }
}

impl Interval<'_> {
    fn vitals(&self) -> Option<(&Vitals, &Vitals)> {
        let pair = (self.before.vitals.as_ref()?, self.after.vitals.as_ref()?);
        (pair.0.began == pair.1.began).then_some(pair)
    }

    /// All requests but pings.
    fn requests(&self) -> Option<Times> {
        let (before, after) = self.vitals()?;
        let mut all = Times::default();
        for (name, times) in after.operations.iter().filter(|(name, _)| name != "ping") {
            match before.operations.iter().find(|(of, _)| of == name) {
                Some((_, earlier)) => all.add(&times.since(earlier)?),
                None => all.add(times),
            }
        }
        Some(all)
    }

    /// Requests per second: the frames, where a server does not tell more.
    fn rate(&self, requests: Option<&Times>) -> Option<f64> {
        let count = match requests {
            Some(requests) => requests.count(),
            None => {
                let (before, after) = (&self.before.stats, &self.after.stats);
                let (before, after) = (before.as_ref().ok()?, after.as_ref().ok()?);
                after.received.checked_sub(before.received)?
            }
        };
        Some(count as f64 / self.seconds)
    }
}

fn server_line(server: &Watched) -> ServerLine {
    let mut line = ServerLine {
        address: server.address.clone(),
        problem: server.failure.clone(),
        ..ServerLine::default()
    };
    if server.failure.is_some() {
        line.state = "no answer".into();
        return line;
    }
    let Some(sample) = &server.latest else {
        return line;
    };
    line.memory_bytes = sample.vitals.as_ref().and_then(|vitals| vitals.memory);
    match &sample.stats {
        Ok(stats) => {
            line.state.clone_from(&stats.state);
            line.zxid = Some(format!("{:#x}", stats.zxid));
            line.connections = Some(stats.connections);
            line.outstanding = Some(stats.outstanding);
        }
        Err(problem) => {
            line.state = "not serving".into();
            line.problem = Some(problem.clone());
        }
    }
    let Some(interval) = server.interval() else {
        return line;
    };
    let requests = interval.requests();
    line.requests_per_second = interval.rate(requests.as_ref());
    if let (Some(requests), Some((before, after))) = (requests, interval.vitals()) {
        line.p50_seconds = requests.quantile(&after.bounds, 0.5);
        line.p99_seconds = requests.quantile(&after.bounds, 0.99);
        let syncs = after.fsync.since(&before.fsync);
        line.fsync_p99_seconds = syncs.and_then(|syncs| syncs.quantile(&after.bounds, 0.99));
    }
    line
}

fn sessions(server: &Watched, into: &mut Vec<SessionLine>) {
    let Some((at, sessions)) = server
        .sessions
        .as_ref()
        .filter(|_| server.failure.is_none())
    else {
        return;
    };
    let mut before: FxHashMap<(&str, i64), u64> = FxHashMap::default();
    let mut seconds = 0.0;
    if let Some((then, earlier)) = &server.sessions_before {
        seconds = at.duration_since(*then).as_secs_f64();
        let counts = earlier.iter();
        before.extend(counts.map(|one| ((one.client.as_str(), one.established), one.received)));
    }
    for session in sessions {
        let earlier = before.get(&(session.client.as_str(), session.established));
        let more = earlier.and_then(|earlier| session.received.checked_sub(*earlier));
        let rate = more.filter(|_| seconds > 0.0);
        into.push(SessionLine {
            server: server.address.clone(),
            client: session.client.clone(),
            session: match session.id {
                0 => String::new(),
                id => format!("{id:#x}"),
            },
            requests_per_second: rate.map(|more| more as f64 / seconds),
            outstanding: session.outstanding,
            avg_latency_ms: session.avg_latency,
            max_latency_ms: session.max_latency,
            last_operation: session.last_operation.clone(),
        });
    }
}

fn stages(server: &Watched, into: &mut Vec<StageLine>) {
    let Some(interval) = server.interval() else {
        return;
    };
    let Some((before, after)) = interval.vitals() else {
        return;
    };
    let mut line = |stage: &str, earlier: &Times, times: &Times| {
        let times = times.since(earlier)?;
        into.push(StageLine {
            server: server.address.clone(),
            stage: stage.to_owned(),
            per_second: times.count() as f64 / interval.seconds,
            mean_seconds: times.mean()?,
            p50_seconds: times.quantile(&after.bounds, 0.5)?,
            p99_seconds: times.quantile(&after.bounds, 0.99)?,
            max_seconds: times.most(&after.bounds)?,
        });
        Some(())
    };
    for (name, times) in &after.stages {
        if let Some((_, earlier)) = before.stages.iter().find(|(of, _)| of == name) {
            line(name, earlier, times);
        }
    }
    line("fsync", &before.fsync, &after.fsync);
}

/// Which numbers of a line a list is for.
type Place = fn(&mut PathLine) -> (&mut f64, &mut f64);

fn hot_paths(server: &Watched, lines: &mut HotLines, paths: &mut FxHashMap<String, PathLine>) {
    let sample = server.latest.as_ref().filter(|_| server.failure.is_none());
    let Some(hot) = sample.and_then(|sample| sample.hot.as_ref()) else {
        return;
    };
    lines.window_seconds = Some(lines.window_seconds.unwrap_or_default().max(hot.window));
    lines.sampled_one_in = lines.sampled_one_in.max(hot.every);
    let lists: [(&[_], Place); 3] = [
        (&hot.reads, |line| (&mut line.reads, &mut line.reads_error)),
        (&hot.writes, |line| {
            (&mut line.writes, &mut line.writes_error)
        }),
        (&hot.children, |line| {
            (&mut line.children, &mut line.children_error)
        }),
    ];
    for (list, place) in lists {
        for (path, rate, error) in list {
            let line = paths.entry(path.clone()).or_insert_with(|| PathLine {
                path: path.clone(),
                ..PathLine::default()
            });
            let (all, wrong) = place(line);
            *all += rate;
            *wrong += error;
        }
    }
}

#[cfg(test)]
mod tests;
