//! Arguments of `oxkeeper bench`, and what they mean together.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedI64ValueParser;
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::client::{Servers, check_path};
use crate::load::{Identity, Length};

/// What `oxkeeper bench --help` says behind its options.
pub const HELP: &str = "\
Closed loop: without --rate each connection sends its next request when an answer makes room for it. That finds
out how much the servers can do. A stall delays only what is in flight, so percentiles hardly show it; `max` and
the progress lines do.

Open loop: with --rate, requests are due at fixed points in time, and latency counts from when a request was due,
not from when there was room to send it. That is what clients who come by themselves feel: a stall of a second
at 1000/s is a thousand slow requests. Choose a rate below what the closed loop reaches.

Everything happens below a znode of its own, which must not exist before and is removed at the end, also after
Ctrl-C. Progress goes to stderr, the report to stdout.

Exit status: 0 every request was answered with OK; 1 it could not run or clean up; 2 wrong arguments; 3 requests
failed or were not answered; 130 interrupted.

Examples:
  oxkeeper bench --server zk1:2181,zk2:2181,zk3:2181 --work mixed --reads 95 --connections 50
  oxkeeper bench --work set --size 100 --connections 50 --in-flight 16 --seconds 30
  oxkeeper bench --work get --rate 5000 --skew 0.99 --keys 100000
  oxkeeper bench --work create --requests 100000 --json > before.json
  oxkeeper bench compare before.json after.json";

/// Load, or a look at what it measured.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub other: Option<Other>,
    #[command(flatten)]
    pub run: RunArgs,
}

/// What is not a run.
#[derive(Debug, Subcommand)]
pub enum Other {
    /// Compare two reports that --json wrote: each number of the second by that of the first.
    Compare {
        /// The first report.
        before: PathBuf,
        /// The second report.
        after: PathBuf,
    },
}

/// What the requests do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// getData
    Get,
    /// setData
    Set,
    /// getData and setData, see --reads
    Mixed,
    /// exists
    Exists,
    /// getChildren of the parents, which have up to 100 children each
    Children,
    /// create, without end
    Create,
    /// delete of --keys znodes, until none is left
    Delete,
    /// create and delete of the same znode, in turns
    Churn,
    /// Connections with a session each, opened and closed
    Session,
}

impl Work {
    /// Its name on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it uses znodes that are made before.
    pub fn has_keys(self) -> bool {
        !matches!(self, Work::Create | Work::Churn | Work::Session)
    }

    /// Whether it picks one of them for each request.
    pub fn picks(self) -> bool {
        self.has_keys() && self != Work::Delete
    }
}

/// How to press, and on what.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Servers, among which connections are spread, and the znode to take for the root; also -server
    #[arg(
        short,
        long,
        value_name = "HOST:PORT,...[/CHROOT]",
        default_value = "localhost:2181"
    )]
    pub server: String,
    /// What the requests do
    #[arg(short, long, value_enum, default_value_t = Work::Mixed)]
    pub work: Work,
    /// Share of reads in --work mixed
    #[arg(long, value_name = "PERCENT", default_value_t = 90, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub reads: u32,
    /// Connections, each with a session of its own
    #[arg(short, long, value_name = "COUNT", default_value_t = 32, value_parser = from_1_to(100_000))]
    pub connections: u32,
    /// Requests that each connection keeps unanswered, at most
    #[arg(short, long, value_name = "COUNT", default_value_t = 1, value_parser = from_1_to(100_000))]
    pub in_flight: u32,
    /// Bytes of data of each znode
    #[arg(
        long, value_name = "BYTES", default_value_t = 1024,
        value_parser = clap::value_parser!(u32).range(..=LONGEST_DATA)
    )]
    pub size: u32,
    /// Znodes that are made before, and which requests are for [1000; for delete: 100000]
    #[arg(short, long, value_name = "COUNT", value_parser = from_1_to(9_999_999))]
    pub keys: Option<u32>,
    /// Few znodes more often than others, as Zipf's law says: 0 all alike, 0.99 as caches see it
    #[arg(long, value_name = "SKEW", default_value_t = 0.0, value_parser = skew)]
    pub skew: f64,
    /// Length of the measurement [10]
    #[arg(long, value_name = "SECONDS", value_parser = positive, conflicts_with = "requests")]
    pub seconds: Option<f64>,
    /// Measure so many requests, in place of a time
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// Load before the measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = not_negative)]
    pub warmup: f64,
    /// Open loop: so many requests per second of all connections together, whether answers come or not
    #[arg(short, long, value_name = "PER SECOND", value_parser = positive)]
    pub rate: Option<f64>,
    /// Who the clients are, such as digest:name:password
    #[arg(long, value_name = "SCHEME:CREDENTIALS", value_parser = identity)]
    pub auth: Option<Identity>,
    /// Threads of the generator
    #[arg(short, long, value_name = "COUNT", default_value_t = 1, value_parser = from_1_to(256))]
    pub threads: u32,
    /// Session timeout that is asked for
    #[arg(
        long, value_name = "MS", default_value_t = 30_000,
        value_parser = clap::value_parser!(u32).range(100..=3_600_000)
    )]
    pub session_timeout: u32,
    /// Znode below which everything happens; must not exist [/oxkeeper-bench-<random>]
    #[arg(short, long, value_parser = root)]
    pub path: Option<String>,
    /// Leave the znodes where they are
    #[arg(long)]
    pub keep: bool,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
    /// From one line of progress to the next; 0: none
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = not_negative)]
    pub interval: f64,
    /// What chance begins with, which decides which znodes are picked
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
}

/// Bytes of requests in flight on one connection, at most.
const IN_FLIGHT_BYTES: u64 = 256 << 20;

impl RunArgs {
    /// What ends the measurement.
    pub fn length(&self) -> Length {
        match (self.requests, self.seconds) {
            (Some(count), _) => Length::Requests(count),
            (None, seconds) => Length::Time(Duration::from_secs_f64(seconds.unwrap_or(SECONDS))),
        }
    }

    /// Znodes made before.
    pub fn keys(&self) -> u32 {
        let usual = if self.work == Work::Delete {
            100_000
        } else {
            1000
        };
        self.keys.unwrap_or(usual)
    }

    /// The servers, once all arguments fit together.
    ///
    /// # Errors
    /// Text for a person.
    pub fn check(&self) -> Result<Servers, String> {
        let servers = Servers::parse(&self.server).map_err(|error| error.to_string())?;
        let ahead = u64::from(self.in_flight) * u64::from(self.size);
        if ahead > IN_FLIGHT_BYTES {
            let megabytes = ahead >> 20;
            return Err(format!(
                "--in-flight {} of --size {} are {megabytes} MB on each connection: too much",
                self.in_flight, self.size
            ));
        }
        if self.keys.is_some() && !self.work.has_keys() {
            return Err(format!(
                "--keys means nothing to --work {}",
                self.work.name()
            ));
        }
        if self.skew > 0.0 && !self.work.picks() {
            return Err(format!(
                "--skew means nothing to --work {}",
                self.work.name()
            ));
        }
        Ok(servers)
    }
}

const SECONDS: f64 = 10.0;
/// A year: more than anybody waits for, and less than the clock holds.
const LONGEST: f64 = 31_536_000.0;

/// Bytes of data that any server can be made to take.
const LONGEST_DATA: i64 = 100_000_000;

fn from_1_to(most: i64) -> RangedI64ValueParser<u32> {
    RangedI64ValueParser::new().range(1..=most)
}

fn number(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match number.is_finite() {
        true => Ok(number),
        false => Err("not a number".into()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match number(text)? {
        number if number > 0.0 && number <= LONGEST => Ok(number),
        _ => Err("must be more than 0, and not more than 31536000".into()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match number(text)? {
        number if (0.0..=LONGEST).contains(&number) => Ok(number),
        _ => Err("must be 0 or more, and not more than 31536000".into()),
    }
}

fn skew(text: &str) -> Result<f64, String> {
    match number(text)? {
        number if (0.0..=10.0).contains(&number) => Ok(number),
        _ => Err("must be from 0 to 10".into()),
    }
}

fn identity(text: &str) -> Result<Identity, String> {
    let (scheme, credentials) = text.split_once(':').ok_or("no colon in it")?;
    if scheme.is_empty() {
        return Err("no scheme before the colon".into());
    }
    Ok(Identity {
        scheme: scheme.to_owned(),
        credentials: Some(credentials.to_owned().into()),
    })
}

fn root(text: &str) -> Result<String, String> {
    check_path(text).map_err(|error| error.to_string())?;
    match text {
        "/" => Err("the root always exists".into()),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn parse(line: &str) -> Result<BenchArgs, String> {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        let parsed = Program::try_parse_from(words);
        parsed
            .map(|program| program.bench)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_arguments_it_mixes_for_ten_seconds() {
        let args = parse("").unwrap().run;
        assert_eq!(
            (args.work, args.reads, args.keys()),
            (Work::Mixed, 90, 1000)
        );
        assert!(matches!(args.length(), Length::Time(time) if time == Duration::from_secs(10)));
        assert!(args.check().is_ok());
    }

    #[test]
    fn arguments_mean_what_they_say() {
        let args = parse(
            "-s a:1,b:2/app --work delete --requests 7 --rate 0.5 --auth digest:u:p:q --path /x/y --skew 0",
        );
        let args = args.unwrap().run;
        assert_eq!((args.work, args.keys()), (Work::Delete, 100_000));
        assert!(matches!(args.length(), Length::Requests(7)));
        assert_eq!((args.rate, args.path.as_deref()), (Some(0.5), Some("/x/y")));
        let identity = args.auth.clone().unwrap();
        assert_eq!(
            (identity.scheme.as_str(), &identity.credentials.unwrap()[..]),
            ("digest", &b"u:p:q"[..])
        );
        assert_eq!(args.check().unwrap().outward("/x"), "/app/x");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            "--work dance",
            "--reads 101",
            "--connections 0",
            "--seconds 0",
            "--seconds nan",
            "--rate -1",
            "--rate inf",
            "--seconds 1 --requests 1",
            "--auth digest",
            "--auth :u",
            "--path /",
            "--path x",
            "--path /x/",
            "--skew 11",
            "--keys 0",
            "--session-timeout 1",
            "compare one.json",
            "extra",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            "--in-flight 100000 --size 1000000",
            "--work create --keys 5",
            "--work delete --skew 1",
            "-s /x",
        ] {
            assert!(parse(wrong).unwrap().run.check().is_err(), "{wrong}");
        }
    }

    #[test]
    fn two_reports_are_compared() {
        let other = parse("compare a.json b.json").unwrap().other;
        assert!(matches!(other, Some(Other::Compare { before, .. }) if before.ends_with("a.json")));
    }
}
