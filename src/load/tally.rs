//! What a run counts, by kind of operation and by server.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

/// What is counted separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the names of the requests
pub enum Kind {
    Get,
    Set,
    Exists,
    Children,
    Create,
    Delete,
    /// A connection with a new session.
    Connect,
    /// The end of a session.
    Close,
    /// From a write to the event at one that watches.
    Event,
    /// From asking for a lock to having it.
    Acquire,
    /// Giving a lock back.
    Release,
}

impl Kind {
    /// All of them, in the order of reports.
    pub const ALL: [Kind; 11] = [
        Kind::Get,
        Kind::Set,
        Kind::Exists,
        Kind::Children,
        Kind::Create,
        Kind::Delete,
        Kind::Connect,
        Kind::Close,
        Kind::Event,
        Kind::Acquire,
        Kind::Release,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Get => "get",
            Kind::Set => "set",
            Kind::Exists => "exists",
            Kind::Children => "children",
            Kind::Create => "create",
            Kind::Delete => "delete",
            Kind::Connect => "connect",
            Kind::Close => "close",
            Kind::Event => "event",
            Kind::Acquire => "acquire",
            Kind::Release => "release",
        }
    }
}

/// Latencies in ns, to three digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Latencies::new()
    }
}

/// Longer latencies count as this long: a day, in ns.
const LONGEST: u64 = 86_400_000_000_000;

impl Latencies {
    /// None so far.
    pub fn new() -> Latencies {
        // Three digits are within its bounds, so it never is the other one.
        let made = Histogram::new(3).or_else(|_| Histogram::new(1));
        Latencies(made.unwrap_or_else(|_| unreachable!("one digit is within its bounds")))
    }

    /// One more, in ns.
    pub fn record(&mut self, nanos: u64) {
        // It grows by itself; what it could not take would be longer than a day.
        let _ = self.0.record(nanos.min(LONGEST));
    }

    /// Those of `other`, too.
    pub fn add(&mut self, other: &Latencies) {
        // It grows by itself.
        let _ = self.0.add(&other.0);
    }

    /// None again; the memory is kept.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// What `percent` of them do not exceed, in ns; 0 where there are none.
    pub fn percentile(&self, percent: f64) -> u64 {
        self.0.value_at_percentile(percent).min(self.max())
    }

    /// The least, in ns; 0 where there are none.
    pub fn min(&self) -> u64 {
        self.0.min()
    }

    /// The mean, in ns; 0 where there are none.
    pub fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// The most, in ns; 0 where there are none.
    pub fn max(&self) -> u64 {
        self.0.max()
    }
}

/// What was counted of one kind of operation at one server.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Of OK answers to what was due within the window, whenever they came.
    pub latencies: Latencies,
    /// Answers that came within the window, OK or not: what throughput is made of.
    pub answered: u64,
    /// Other answers to what was due within the window, by their code.
    pub errors: BTreeMap<i32, u64>,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.latencies.add(&other.latencies);
        self.answered += other.answered;
        for (code, count) in &other.errors {
            *self.errors.entry(*code).or_default() += count;
        }
    }
}

/// What was counted at one server.
#[derive(Clone, Debug, Default)]
pub struct AtServer {
    kinds: [Option<Box<Counts>>; Kind::ALL.len()],
    /// Connections to it that broke.
    pub lost: u64,
    /// Bytes that went there, and came from there.
    pub bytes: (u64, u64),
}

impl AtServer {
    /// What was counted of a kind, if anything.
    pub fn kind(&self, kind: Kind) -> Option<&Counts> {
        self.kinds[kind as usize].as_deref()
    }

    /// As [`AtServer::kind`], to count in.
    pub fn kind_mut(&mut self, kind: Kind) -> &mut Counts {
        self.kinds[kind as usize].get_or_insert_default()
    }

    fn add(&mut self, other: &AtServer) {
        for kind in Kind::ALL {
            if let Some(counts) = other.kind(kind) {
                self.kind_mut(kind).add(counts);
            }
        }
        self.lost += other.lost;
        self.bytes.0 += other.bytes.0;
        self.bytes.1 += other.bytes.1;
    }
}

/// Everything that was counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By place in the list of servers.
    pub servers: Vec<AtServer>,
    /// Latencies before the window: nothing but progress shows them.
    pub early: Latencies,
    /// Answers, in and outside of the window; and how many of them were errors.
    pub replies: (u64, u64),
    /// When the last answer came.
    pub last: u64,
    /// From noticing that a connection broke until the session had another one, ns.
    pub gaps: Latencies,
    /// Requests that were sent again, because the connection broke before their answer.
    pub again: u64,
    /// Sessions that servers gave up.
    pub expired: u64,
    /// Requests due within the window that had no answer when the run gave up waiting. Their age
    /// then counts as their latency.
    pub unanswered: u64,
    /// Of those, requests that were never sent, since too many others had no answer.
    pub unsent: u64,
    /// Connections that ended because of an answer which no server may give.
    pub broken: u64,
    /// What the last of those was.
    pub wrong: Option<String>,
}

impl Tally {
    /// Nothing, at as many servers.
    pub fn new(servers: usize) -> Tally {
        Tally {
            servers: vec![AtServer::default(); servers],
            ..Tally::default()
        }
    }

    /// What `other` counted, too.
    pub fn add(&mut self, other: &Tally) {
        for (own, other) in self.servers.iter_mut().zip(&other.servers) {
            own.add(other);
        }
        self.early.add(&other.early);
        self.replies.0 += other.replies.0;
        self.replies.1 += other.replies.1;
        self.last = self.last.max(other.last);
        self.gaps.add(&other.gaps);
        self.again += other.again;
        self.expired += other.expired;
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        self.broken += other.broken;
        if other.wrong.is_some() {
            self.wrong.clone_from(&other.wrong);
        }
    }

    /// What was counted of a kind at all servers together.
    pub fn kind(&self, kind: Kind) -> Option<Counts> {
        let mut counted = self.servers.iter().filter_map(|server| server.kind(kind));
        let mut sum = counted.next()?.clone();
        counted.for_each(|counts| sum.add(counts));
        Some(sum)
    }

    /// All kinds at all servers together.
    pub fn all(&self) -> Counts {
        self.at(&self.servers)
    }

    /// All kinds at some servers together.
    pub fn at(&self, servers: &[AtServer]) -> Counts {
        let mut sum = Counts::default();
        let kinds = servers.iter().flat_map(|server| server.kinds.iter());
        kinds.flatten().for_each(|counts| sum.add(counts));
        sum
    }

    /// Notes an answer: to what was due at `due`, come at `now`, with this code.
    pub fn answer(
        &mut self,
        server: usize,
        kind: Kind,
        window: Window,
        due: u64,
        now: u64,
        code: i32,
    ) {
        self.replies.0 += 1;
        self.last = self.last.max(now);
        let Some(server) = self.servers.get_mut(server) else {
            return;
        };
        let counts = server.kind_mut(kind);
        counts.answered += u64::from(window.contains(now));
        let is_counted = window.contains(due);
        match (code, is_counted) {
            (0, true) => counts.latencies.record(now.saturating_sub(due)),
            (0, false) => self.early.record(now.saturating_sub(due)),
            (code, is_counted) => {
                self.replies.1 += 1;
                if is_counted {
                    *counts.errors.entry(code).or_default() += 1;
                }
            }
        }
    }

    /// Notes that what was due at `due` has no answer at `now`, which is the end.
    pub fn no_answer(&mut self, server: usize, kind: Kind, window: Window, due: u64, now: u64) {
        if window.contains(due) {
            self.unanswered += 1;
            if let Some(server) = self.servers.get_mut(server) {
                let latencies = &mut server.kind_mut(kind).latencies;
                latencies.record(now.saturating_sub(due));
            }
        }
    }
}

/// The time that is measured, in ns of the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its beginning.
    pub from: u64,
    /// Its end, which is not part of it.
    pub to: u64,
}

impl Window {
    /// Whether `at` is in it.
    pub fn contains(self, at: u64) -> bool {
        self.from <= at && at < self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_in_the_window_counts_and_answers_within_it_make_the_throughput() {
        let window = Window { from: 100, to: 200 };
        let mut tally = Tally::new(1);
        for (due, now, code) in [(90, 110, 0), (100, 150, 0), (199, 250, 0), (120, 130, -101)] {
            tally.answer(0, Kind::Get, window, due, now, code);
        }
        tally.no_answer(0, Kind::Get, window, 150, 1150);
        tally.no_answer(0, Kind::Get, window, 99, 1150);
        let counts = tally.kind(Kind::Get).unwrap();
        assert_eq!((counts.answered, counts.latencies.count()), (3, 3));
        assert_eq!((counts.latencies.min(), counts.latencies.max()), (50, 1000));
        assert_eq!(counts.errors, BTreeMap::from([(-101, 1)]));
        assert_eq!((tally.early.count(), tally.unanswered), (1, 1));
        assert_eq!(tally.replies, (4, 1));
    }

    #[test]
    fn tallies_of_threads_add_up() {
        let window = Window { from: 0, to: 1000 };
        let mut sum = Tally::new(2);
        for server in [0, 1, 1] {
            let mut one = Tally::new(2);
            one.answer(server, Kind::Set, window, 0, 10, 0);
            one.answer(server, Kind::Get, window, 0, 10, -4);
            one.servers[server].lost = 1;
            sum.add(&one);
        }
        assert_eq!(sum.kind(Kind::Set).unwrap().latencies.count(), 3);
        assert_eq!(
            sum.servers[1].kind(Kind::Get).unwrap().errors,
            BTreeMap::from([(-4, 2)])
        );
        assert_eq!((sum.servers[1].lost, sum.all().answered), (2, 6));
        assert!(sum.kind(Kind::Close).is_none());
    }

    #[test]
    fn percentiles_of_known_latencies_are_right_to_three_digits() {
        let mut latencies = Latencies::new();
        for us in 1..=10_000_u64 {
            latencies.record(us * 1000);
        }
        for (percent, us) in [
            (50.0, 5000.0),
            (99.0, 9900.0),
            (99.99, 9999.0),
            (100.0, 10_000.0),
        ] {
            let got = latencies.percentile(percent) as f64 / 1000.0;
            assert!((got / us - 1.0).abs() < 0.001, "{percent}: {got}");
        }
        assert_eq!(latencies.percentile(100.0), latencies.max());
        assert_eq!(Latencies::new().percentile(99.0), 0);
    }
}
