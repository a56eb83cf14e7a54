//! Metrics for Prometheus: families of samples, and their text.
//!
//! Names are Java's, without prefix and without `_total` on counters; help texts are our own.
//!
//! Source: `PrometheusMetricsProvider`; `TextFormat.write004` of Java's Prometheus client.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::json::java_double;
use crate::metrics::{BOUNDS, Declared, Gauges, Kind, Metrics, Origin, Reading, Summary, Times};

/// What the text is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One metric with its samples.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its name; samples may have a suffix to it.
    pub name: &'static str,
    /// Prometheus's word for what it is.
    pub kind: &'static str,
    /// What it counts, and in which unit.
    pub help: &'static str,
    /// May be empty, for a set without members.
    pub samples: Vec<Sample>,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What is behind the family's name: "", "_count", "_sum" or "_bucket".
    pub suffix: &'static str,
    /// Names and values of its labels.
    pub labels: Vec<(&'static str, String)>,
    /// Prometheus knows doubles only.
    pub value: f64,
}

impl Sample {
    /// As Java's `mntr` shows it where Prometheus is the provider; nothing is escaped.
    ///
    /// Source: `PrometheusMetricsProvider.buildKeyForDump`.
    pub fn key(&self, name: &str) -> String {
        let mut key = format!("{name}{}", self.suffix);
        for (nth, (label, value)) in self.labels.iter().enumerate() {
            key.push(if nth == 0 { '{' } else { ',' });
            let _ = write!(key, "{label}=\"{value}\"");
        }
        if !self.labels.is_empty() {
            key.push('}');
        }
        key
    }
}

/// Every metric there is. Those about the process come `with_process` alone.
pub fn families(metrics: &Metrics, gauges: &Gauges, with_process: bool) -> Vec<Family> {
    let mut families = Vec::new();
    let mut visit = |declared: &'static Declared, reading: Reading<'_>| {
        if declared.origin != Origin::Process || with_process {
            families.push(family(declared, reading));
        }
    };
    gauges.each(&mut visit);
    metrics.each(&mut visit);
    families
}

fn family(declared: &'static Declared, reading: Reading<'_>) -> Family {
    let mut samples = Samples::default();
    let label = declared.label.unwrap_or_default();
    let of = |value: &str| vec![(label, value.to_owned())];
    match reading {
        Reading::Number(number) => samples.one(vec![], number.float()),
        Reading::Counter(counter) => samples.one(vec![], counter.total() as f64),
        Reading::Summary(summary) => samples.summary(vec![], declared.kind, summary),
        Reading::Histogram(histogram) => samples.histogram(vec![], &histogram.read()),
        Reading::Numbers(all) => {
            for (key, number) in all {
                samples.one(of(key), number.float());
            }
        }
        Reading::Counters(set) => {
            for (key, counter) in set.all() {
                samples.one(of(&key), counter.total() as f64);
            }
        }
        Reading::Summaries(set) => {
            for (key, summary) in set.all() {
                samples.summary(of(&key), declared.kind, &summary);
            }
        }
        Reading::Histograms(all) => {
            for (value, times) in all {
                samples.histogram(of(value), &times);
            }
        }
    }
    Family {
        name: declared.name,
        kind: declared.kind.prometheus(),
        help: declared.help,
        samples: samples.0,
    }
}

type Labels = Vec<(&'static str, String)>;

#[derive(Default)]
struct Samples(Vec<Sample>);

impl Samples {
    fn put(&mut self, suffix: &'static str, labels: Labels, value: f64) {
        self.0.push(Sample {
            suffix,
            labels,
            value,
        });
    }

    fn one(&mut self, labels: Labels, value: f64) {
        self.put("", labels, value);
    }

    fn summary(&mut self, labels: Labels, kind: Kind, summary: &Summary) {
        let shown = summary.lately();
        let quantiles = ["0.5", "0.9", "0.99"].into_iter().zip(shown.quantiles);
        let wanted = if kind == Kind::Basic { 1 } else { 3 };
        for (quantile, value) in quantiles.take(wanted) {
            let mut labels = labels.clone();
            labels.push(("quantile", quantile.to_owned()));
            self.one(labels, value);
        }
        self.put("_count", labels.clone(), shown.count as f64);
        self.put("_sum", labels, shown.sum as f64);
    }

    fn histogram(&mut self, labels: Labels, times: &Times) {
        let bounds = BOUNDS.iter().map(|nanos| java_double(*nanos as f64 / 1e9));
        for (bound, count) in bounds.chain(["+Inf".into()]).zip(times.at_most) {
            let mut labels = labels.clone();
            labels.push(("le", bound));
            self.put("_bucket", labels, count as f64);
        }
        let all = times.at_most.last().copied().unwrap_or_default();
        self.put("_count", labels.clone(), all as f64);
        self.put("_sum", labels, times.seconds);
    }
}

/// The text of `families`; with `only` not empty, of the samples of these names, suffix included.
pub fn text(families: &[Family], only: &BTreeSet<String>) -> String {
    let mut out = String::with_capacity(64 << 10);
    for family in families {
        let wanted = |sample: &&Sample| {
            only.is_empty() || only.contains(&format!("{}{}", family.name, sample.suffix))
        };
        let mut samples = family.samples.iter().filter(wanted).peekable();
        if samples.peek().is_none() && !only.is_empty() {
            continue;
        }
        let Family {
            name, kind, help, ..
        } = family;
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "# HELP {name} {}\n# TYPE {name} {kind}",
            escaped(help, false)
        );
        for sample in samples {
            write_sample(&mut out, name, sample);
        }
    }
    out
}

fn write_sample(out: &mut String, name: &str, sample: &Sample) {
    let _ = write!(out, "{name}{}", sample.suffix);
    if !sample.labels.is_empty() {
        out.push('{');
        // The comma ends each, the last one, too: as Java's client writes them.
        for (label, value) in &sample.labels {
            let _ = write!(out, "{label}=\"{}\",", escaped(value, true));
        }
        out.push('}');
    }
    out.push(' ');
    out.push_str(&prometheus_double(sample.value));
    out.push('\n');
}

/// As Java's, but for infinity.
fn prometheus_double(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        value => java_double(value),
    }
}

fn escaped(text: &str, with_quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if with_quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{LastKey, Stage};
    use std::time::Duration;

    fn shown(metrics: &Metrics, only: &[&str]) -> String {
        let gauges = Gauges {
            znode_count: Some(28_i64.into()),
            approximate_data_size: Some(10_000_000_i64.into()),
            quota_count_limit_per_namespace: vec![("a\"b\\".into(), (-1_i64).into())],
            process_open_fds: Some(7_i64.into()),
            ..Gauges::default()
        };
        let only = only.iter().map(|name| (*name).to_owned()).collect();
        text(&families(metrics, &gauges, false), &only)
    }

    #[test]
    fn samples_look_as_in_java() {
        let metrics = Metrics::default();
        metrics.readlatency.record(3);
        metrics.fsynctime.record(1);
        metrics.commit_count.add(4);
        metrics.ack_latency.record(&mut LastKey::default(), "2", 5);
        let all = shown(&metrics, &[]);
        for expected in [
            "# TYPE znode_count gauge\nznode_count 28.0\n",
            "\napproximate_data_size 1.0E7\n",
            "\nquota_count_limit_per_namespace{key=\"a\\\"b\\\\\",} -1.0\n",
            "# TYPE commit_count counter\ncommit_count 4.0\n",
            "# TYPE fsynctime summary\nfsynctime{quantile=\"0.5\",} 1.0\nfsynctime_count 1.0\nfsynctime_sum 1.0\n",
            "\nreadlatency{quantile=\"0.99\",} 3.0\nreadlatency_count 1.0\nreadlatency_sum 3.0\n",
            "\nack_latency{key=\"2\",quantile=\"0.9\",} 5.0\n",
            "\nack_latency_sum{key=\"2\",} 5.0\n",
            "\nupdatelatency{quantile=\"0.5\",} NaN\n",
            "# TYPE write_per_namespace summary\n# HELP",
        ] {
            assert!(all.contains(expected), "{expected}");
        }
        assert!(!all.contains("process_open_fds"));
        assert!(!all.contains("leader_uptime"), "absent gauges are left out");
    }

    #[test]
    fn histograms_count_upwards() {
        let metrics = Metrics::default();
        metrics.request_stage_seconds[Stage::Log].record(Duration::from_micros(700));
        let all = shown(&metrics, &[]);
        let name = "oxkeeper_request_stage_seconds";
        assert!(all.contains(&format!(
            "\n{name}_bucket{{stage=\"log\",le=\"5.0E-4\",}} 0.0\n"
        )));
        assert!(all.contains(&format!(
            "\n{name}_bucket{{stage=\"log\",le=\"0.001\",}} 1.0\n"
        )));
        assert!(all.contains(&format!(
            "\n{name}_bucket{{stage=\"log\",le=\"+Inf\",}} 1.0\n"
        )));
        assert!(all.contains(&format!("\n{name}_sum{{stage=\"log\",}} 7.0E-4\n")));
        assert!(
            !all.contains("stage=\"prep\""),
            "what never happened is left out"
        );
    }

    #[test]
    fn a_filter_names_samples_with_their_suffix() {
        let metrics = Metrics::default();
        let some = shown(&metrics, &["readlatency_count", "znode_count"]);
        let names: Vec<&str> = some.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(names, ["znode_count 28.0", "readlatency_count 0.0"]);
        assert_eq!(shown(&metrics, &["readlatency_"]), "");
    }
}
