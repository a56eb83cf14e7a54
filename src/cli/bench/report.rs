//! What a run found out: the one value that both the text and the JSON show.

use std::collections::BTreeMap;
use std::time::Duration;

use jute::ErrorCode;
use serde::{Deserialize, Serialize};

use super::args::{RunArgs, Work};
use super::servers::Said;
use crate::client::code_text;
use crate::load::{Busy, Counts, Kind, Latencies, Tally, Window};

/// A report. Numbers of requests, bytes, microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// 1; another number is another shape of report.
    pub format: u32,
    /// Which oxkeeper measured.
    pub oxkeeper: String,
    /// When it ended.
    pub time: String,
    /// What was asked for.
    pub settings: Settings,
    /// Whether it was ended from outside.
    pub interrupted: bool,
    /// Why it could not go on.
    pub failure: Option<String>,
    /// Length of the measurement.
    pub seconds: f64,
    /// Answers that came within it.
    pub requests: u64,
    /// As many per second.
    pub per_second: f64,
    /// Answers of the whole run, warm-up included, the making and removing of znodes not.
    pub answers: u64,
    /// Of the whole run.
    pub bytes_sent: u64,
    /// Of the whole run.
    pub bytes_received: u64,
    /// All kinds together.
    pub latency: Latency,
    /// By kind of operation.
    pub kinds: Vec<Part>,
    /// By server.
    pub servers: Vec<Part>,
    /// Answers other than OK, by what they said.
    pub errors: BTreeMap<String, u64>,
    /// Requests due in the measurement that were never answered.
    pub unanswered: u64,
    /// Of those, requests that could not even be sent.
    pub unsent: u64,
    /// Requests sent again because a connection broke.
    pub sent_again: u64,
    /// Sessions that the servers gave up.
    pub sessions_expired: u64,
    /// From the break of a connection to the next one.
    pub gaps: Latency,
    /// Connections ended because of an answer that no server may give.
    pub wrong_answers: u64,
    /// The last of those answers.
    pub last_wrong_answer: Option<String>,
    /// The generator itself.
    pub client: Client,
    /// What makes the numbers mean something else.
    pub warnings: Vec<String>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the names of the options
pub struct Settings {
    pub server: String,
    pub path: String,
    pub work: Work,
    pub reads: Option<u32>,
    pub connections: u32,
    pub in_flight: u32,
    pub size: u32,
    pub keys: Option<u32>,
    pub skew: f64,
    pub rate: Option<f64>,
    pub threads: u32,
    pub warmup: f64,
    pub session_timeout: u32,
}

/// One kind of operation, or one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub name: String,
    /// Answers within the measurement.
    pub requests: u64,
    /// As many per second.
    pub per_second: f64,
    /// Of OK answers.
    pub latency: Latency,
    /// Answers other than OK.
    pub errors: u64,
    /// Of a server: connections to it that broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_lost: Option<u64>,
    /// Of a server, if it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Of a server, if it told: `leader`, `follower`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the names say it
pub struct Latency {
    pub count: u64,
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p999: f64,
    #[serde(rename = "p99.99")]
    pub p9999: f64,
    pub max: f64,
}

/// What the generator used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Client {
    /// Time of the processor per answer, in microseconds.
    pub cpu_per_request: f64,
    /// Share of the busiest thread's time that it was busy, from 0 to 1.
    pub busiest_thread: f64,
}

impl Latency {
    fn of(latencies: &Latencies) -> Latency {
        let us = |nanos: u64| nanos as f64 / 1e3;
        let percentile = |percent| us(latencies.percentile(percent));
        Latency {
            count: latencies.count(),
            min: us(latencies.min()),
            mean: (latencies.mean() / 10.0).round() / 100.0,
            p50: percentile(50.0),
            p90: percentile(90.0),
            p95: percentile(95.0),
            p99: percentile(99.0),
            p999: percentile(99.9),
            p9999: percentile(99.99),
            max: us(latencies.max()),
        }
    }
}

/// What a run leaves behind.
pub struct Measured {
    /// All that was counted.
    pub tally: Tally,
    /// Over which time.
    pub window: Window,
    /// By thread.
    pub busy: Vec<Busy>,
    /// Whether it was ended from outside.
    pub interrupted: bool,
    /// Why it could not go on.
    pub failure: Option<String>,
}

/// A thread busier than this leaves the servers waiting.
const BUSY: f64 = 0.85;
/// A rate is reached if so much of it is.
const REACHED: f64 = 0.98;

impl Report {
    /// Of a run with these arguments, at servers that said these things.
    pub fn new(
        args: &RunArgs,
        path: &str,
        measured: &Measured,
        names: &[String],
        said: &[Said],
    ) -> Report {
        let (tally, window) = (&measured.tally, measured.window);
        // Where not time ended it, the last answer did.
        let is_all = args.work == Work::Delete && tally.replies.0 >= u64::from(args.keys());
        let is_counted = args.requests.is_some() || is_all;
        let end = if is_counted { tally.last } else { window.to };
        let nanos = end.clamp(window.from, window.to) - window.from;
        let seconds = Duration::from_nanos(nanos).as_secs_f64();
        let all = tally.all();
        let kinds = Kind::ALL.into_iter().filter_map(|kind| {
            let counts = tally.kind(kind)?;
            Some(Part::new(kind.name(), &counts, seconds))
        });
        let servers = tally.servers.iter().zip(names).zip(said);
        let servers = servers.map(|((server, name), said)| Part {
            connections_lost: Some(server.lost),
            version: Some(said.version.clone()).filter(|version| !version.is_empty()),
            mode: Some(said.mode.clone()).filter(|mode| !mode.is_empty()),
            ..Part::new(name, &tally.at(std::slice::from_ref(server)), seconds)
        });
        let bytes = tally.servers.iter().map(|server| server.bytes);
        let (bytes_sent, bytes_received) =
            bytes.fold((0, 0), |sum, bytes| (sum.0 + bytes.0, sum.1 + bytes.1));
        let used: f64 = measured.busy.iter().map(|busy| busy.cpu).sum();
        let shares = measured
            .busy
            .iter()
            .map(|busy| busy.cpu / busy.wall.max(1e-9));
        let mut report = Report {
            format: 1,
            oxkeeper: env!("CARGO_PKG_VERSION").into(),
            time: jiff::Timestamp::now().to_string(),
            settings: Settings::new(args, path),
            interrupted: measured.interrupted,
            failure: measured.failure.clone(),
            seconds,
            requests: all.answered,
            per_second: per_second(all.answered, seconds),
            answers: tally.replies.0,
            bytes_sent,
            bytes_received,
            latency: Latency::of(&all.latencies),
            kinds: kinds.collect(),
            servers: servers.collect(),
            errors: errors(&all),
            unanswered: tally.unanswered,
            unsent: tally.unsent,
            sent_again: tally.again,
            sessions_expired: tally.expired,
            gaps: Latency::of(&tally.gaps),
            wrong_answers: tally.broken,
            last_wrong_answer: tally.wrong.clone(),
            client: Client {
                cpu_per_request: used * 1e6 / (all.answered.max(1) as f64),
                busiest_thread: shares.fold(0.0, f64::max),
            },
            warnings: Vec::new(),
        };
        report.warnings = report.doubts(args);
        report
    }

    /// What makes the numbers mean something else than they seem to.
    fn doubts(&self, args: &RunArgs) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(failure) = &self.failure {
            doubts.push(format!("it ended early: {failure}"));
        }
        if self.client.busiest_thread > BUSY {
            doubts.push(format!(
                "the generator was busy {:.0} % of the time: these are its limits as much as the servers'; give it \
                 more --threads, on other cores than the servers'",
                self.client.busiest_thread * 100.0
            ));
        }
        if let Some(rate) = args.rate.filter(|rate| self.per_second < rate * REACHED) {
            doubts.push(format!(
                "{:.0}/s were answered where {rate:.0}/s were asked for: latency grows for as long as it runs",
                self.per_second
            ));
        }
        if self.unanswered > 0 {
            doubts.push(format!(
                "{} requests were not answered in the end, {} of them not even sent: they count with the age they had",
                self.unanswered, self.unsent
            ));
        }
        let failed: u64 = self.errors.values().sum();
        if failed > 0 {
            doubts.push(format!(
                "{failed} answers were errors, which percentiles leave out"
            ));
        }
        if let Some(wrong) = &self.last_wrong_answer {
            doubts.push(format!(
                "{} answers were wrong, the last one: {wrong}",
                self.wrong_answers
            ));
        }
        if self.sessions_expired > 0 {
            doubts.push(format!("{} sessions expired", self.sessions_expired));
        }
        doubts
    }

    /// Whether every request was answered with OK.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
            && self.unanswered == 0
            && self.wrong_answers == 0
            && self.failure.is_none()
    }
}

impl Settings {
    fn new(args: &RunArgs, path: &str) -> Settings {
        Settings {
            server: args.server.clone(),
            path: path.to_owned(),
            work: args.work,
            reads: (args.work == Work::Mixed).then_some(args.reads),
            connections: args.connections,
            in_flight: args.in_flight,
            size: args.size,
            keys: args.work.has_keys().then(|| args.keys()),
            skew: args.skew,
            rate: args.rate,
            threads: args.threads,
            warmup: args.warmup,
            session_timeout: args.session_timeout,
        }
    }
}

impl Part {
    fn new(name: &str, counts: &Counts, seconds: f64) -> Part {
        Part {
            name: name.to_owned(),
            requests: counts.answered,
            per_second: per_second(counts.answered, seconds),
            latency: Latency::of(&counts.latencies),
            errors: counts.errors.values().sum(),
            connections_lost: None,
            version: None,
            mode: None,
        }
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    let rate = if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    };
    (rate * 10.0).round() / 10.0
}

fn errors(counts: &Counts) -> BTreeMap<String, u64> {
    let named =
        |(code, count): (&i32, &u64)| (format!("{} ({code})", code_text(ErrorCode(*code))), *count);
    counts.errors.iter().map(named).collect()
}
