//! What is said about each metric, and how all of them are gone through.

use super::counter::{Counter, CounterSet};
use super::histogram::{ByOp, ByStage, Histogram, Times};
use super::number::Number;
use super::summary::{Summary, SummarySet};

/// What a metric is, in Java's words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A summary with the quantile 0.5. Source: `DetailLevel.BASIC`.
    Basic,
    /// A summary with the quantiles 0.5, 0.9 and 0.99. Source: `DetailLevel.ADVANCED`.
    Advanced,
    /// Times by upper bound.
    Histogram,
}

impl Kind {
    /// Prometheus's word for it.
    pub fn prometheus(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Basic | Kind::Advanced => "summary",
            Kind::Histogram => "histogram",
        }
    }
}

/// Where a metric comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Java has it, and it means the same here.
    Java,
    /// Java has it; nothing here corresponds to it, so it stays empty or zero.
    Silent,
    /// Java has it where `exportJvmInfo` is on: about the process, only for Prometheus.
    Process,
    /// Only this server has it, and only for Prometheus.
    Own,
}

/// A metric as it was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name, as Prometheus sees it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The name of the label that tells the members of a set apart.
    pub label: Option<&'static str>,
    /// What it counts, and in which unit.
    pub help: &'static str,
    /// Where it comes from.
    pub origin: Origin,
}

/// A metric to be read.
#[derive(Clone, Debug)]
pub enum Reading<'a> {
    /// A counter.
    Counter(&'a Counter),
    /// Counters by key.
    Counters(&'a CounterSet),
    /// A summary.
    Summary(&'a Summary),
    /// Summaries by key.
    Summaries(&'a SummarySet),
    /// A histogram.
    Histogram(&'a Histogram),
    /// Histograms by label; those without values are left out.
    Histograms(Vec<(&'static str, Times)>),
    /// A gauge, or whatever was sampled only now.
    Number(Number),
    /// Gauges by key.
    Numbers(&'a [(String, Number)]),
}

impl Reading<'_> {
    pub(super) fn step(&self) {
        match self {
            Reading::Summary(summary) => summary.step(),
            Reading::Summaries(set) => set.all().iter().for_each(|(_, one)| one.step()),
            _ => {}
        }
    }

    pub(super) fn reset(&self) {
        match self {
            Reading::Counter(counter) => counter.reset(),
            Reading::Counters(set) => set.all().iter().for_each(|(_, one)| one.reset()),
            Reading::Summary(summary) => summary.reset(),
            Reading::Summaries(set) => set.all().iter().for_each(|(_, one)| one.reset()),
            _ => {}
        }
    }
}

/// How a handle shows itself as a [`Reading`].
pub(super) trait Readable {
    fn reading(&self) -> Reading<'_>;
}

macro_rules! readable {
    ($($handle:ty => |$it:ident| $reading:expr;)*) => {
        $(impl Readable for $handle {
            fn reading(&self) -> Reading<'_> {
                let $it = self;
                $reading
            }
        })*
    };
}

readable! {
    Counter => |it| Reading::Counter(it);
    CounterSet => |it| Reading::Counters(it);
    Summary => |it| Reading::Summary(it);
    SummarySet => |it| Reading::Summaries(it);
    Histogram => |it| Reading::Histogram(it);
    ByStage => |it| Reading::Histograms(used(it.all()));
    ByOp => |it| Reading::Histograms(used(it.all()));
}

fn used<'a>(
    all: impl Iterator<Item = (&'static str, &'a Histogram)>,
) -> Vec<(&'static str, Times)> {
    let read = all.map(|(label, one)| (label, one.read()));
    read.filter(|(_, times)| times.at_most.last() > Some(&0))
        .collect()
}

/// The handle's type for each word of the table.
macro_rules! handle {
    (counter) => {
        $crate::metrics::Counter
    };
    (counters) => {
        $crate::metrics::CounterSet
    };
    (basic) => {
        $crate::metrics::Summary
    };
    (advanced) => {
        $crate::metrics::Summary
    };
    (basics) => {
        $crate::metrics::SummarySet
    };
    (advanceds) => {
        $crate::metrics::SummarySet
    };
    (histogram) => {
        $crate::metrics::Histogram
    };
    (by_stage) => {
        $crate::metrics::ByStage
    };
    (by_op) => {
        $crate::metrics::ByOp
    };
}

/// For metrics that are no sets.
pub(super) const NO_LABEL: Option<&str> = None;

/// The kind and label for each word of the table.
macro_rules! kind {
    (counter) => {
        (Kind::Counter, NO_LABEL)
    };
    (counters) => {
        (Kind::Counter, Some("key"))
    };
    (gauge) => {
        (Kind::Gauge, NO_LABEL)
    };
    (gauges) => {
        (Kind::Gauge, Some("key"))
    };
    (by_owner) => {
        (Kind::Gauge, Some("owner"))
    };
    (by_version) => {
        (Kind::Gauge, Some("version"))
    };
    (by_file) => {
        (Kind::Gauge, Some("file"))
    };
    (basic) => {
        (Kind::Basic, NO_LABEL)
    };
    (advanced) => {
        (Kind::Advanced, NO_LABEL)
    };
    (basics) => {
        (Kind::Basic, Some("key"))
    };
    (advanceds) => {
        (Kind::Advanced, Some("key"))
    };
    (histogram) => {
        (Kind::Histogram, NO_LABEL)
    };
    (by_stage) => {
        (Kind::Histogram, Some("stage"))
    };
    (by_op) => {
        (Kind::Histogram, Some("op"))
    };
}

/// Metrics of our own begin with the name of the server.
macro_rules! name {
    (own $name:ident) => {
        concat!("oxkeeper_", stringify!($name))
    };
    ($origin:ident $name:ident) => {
        stringify!($name)
    };
}

macro_rules! origin {
    (java) => {
        Origin::Java
    };
    (silent) => {
        Origin::Silent
    };
    (process) => {
        Origin::Process
    };
    (own) => {
        Origin::Own
    };
}

macro_rules! declared {
    ($origin:ident $word:ident $name:ident $help:literal) => {
        Declared {
            name: name!($origin $name),
            kind: kind!($word).0,
            label: kind!($word).1,
            help: $help,
            origin: origin!($origin),
        }
    };
}

/// Declares [`Metrics`](super::Metrics): a handle for each line.
macro_rules! metrics {
    ($($origin:ident $word:ident $name:ident $help:literal;)*) => {
        /// Every metric that is recorded as things happen; one of these per server.
        #[derive(Debug, Default)]
        pub struct Metrics {
            /// What some of the gauges are made of.
            pub stats: ServerStats,
            pub(super) windows: Windows,
            $(#[doc = $help] pub $name: handle!($word),)*
        }

        impl Metrics {
            /// The declarations, in the order of [`Metrics::each`].
            pub const DECLARED: &[Declared] = &[$(declared!($origin $word $name $help),)*];

            /// Shows every metric with its declaration.
            pub fn each<'a>(&'a self, visit: &mut dyn FnMut(&'static Declared, Reading<'a>)) {
                let mut declared = Self::DECLARED.iter();
                $(if let Some(declared) = declared.next() {
                    visit(declared, self.$name.reading());
                })*
            }
        }
    };
}

/// What a sampled metric is, for each word of the table.
macro_rules! sample {
    (counter) => { Option<Number> };
    (gauge) => { Option<Number> };
    (gauges) => { Vec<(String, Number)> };
    (by_owner) => { Vec<(String, Number)> };
    (by_version) => { Vec<(String, Number)> };
    (by_file) => { Vec<(String, Number)> };
}

/// Declares [`Gauges`](super::Gauges): a place for each line.
macro_rules! gauges {
    ($($origin:ident $word:ident $name:ident $help:literal;)*) => {
        /// Every metric that somebody has to look at a server for. What this server does not have is left empty.
        #[derive(Clone, Debug, Default)]
        pub struct Gauges {
            $(#[doc = $help] pub $name: sample!($word),)*
        }

        impl Gauges {
            /// The declarations, in the order of [`Gauges::each`].
            pub const DECLARED: &[Declared] = &[$(declared!($origin $word $name $help),)*];

            /// Shows every metric that there is with its declaration.
            pub fn each<'a>(&'a self, visit: &mut dyn FnMut(&'static Declared, Reading<'a>)) {
                let mut declared = Self::DECLARED.iter();
                $(if let Some(declared) = declared.next()
                    && let Some(reading) = self.$name.sampled()
                {
                    visit(declared, reading);
                })*
            }
        }
    };
}

/// How a sample shows itself; None if it is not there.
pub(super) trait Sampled {
    fn sampled(&self) -> Option<Reading<'_>>;
}

impl Sampled for Option<Number> {
    fn sampled(&self) -> Option<Reading<'_>> {
        self.map(Reading::Number)
    }
}

impl Sampled for Vec<(String, Number)> {
    fn sampled(&self) -> Option<Reading<'_>> {
        Some(Reading::Numbers(self))
    }
}

pub(super) use {declared, gauges, handle, kind, metrics, name, origin, sample};
