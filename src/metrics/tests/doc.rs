//! `docs/metrics.md` is made from the table, and this holds it to that.

use super::all;
use crate::metrics::{Declared, Gauges, Kind, Metrics, Origin};

const FILE: &str = "docs/metrics.md";

const HEAD: &str = "\
# Metrics

<!-- Made from src/metrics/table.rs: REGENERATE=1 cargo test --lib the_metrics_reference -->

Prometheus scrapes a server at `http://HOST:7000/metrics` where its configuration says so as it does for Java's
server:

```
metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider
metricsProvider.httpPort=7000
```

`metricsProvider.httpHost` (every address) and `metricsProvider.exportJvmInfo` (true: metrics of the process) mean
what they mean in Java; `numWorkerThreads`, `maxQueueSize` and `workerShutdownTimeoutMs` change nothing, because
nothing waits to be recorded. If the port is taken, the server does not start (exit code 1). Without any
configuration file the same port is opened, and done without where it is taken. `GET` and `POST` work;
`?name[]=SAMPLE`, repeated, asks for single samples.

The same numbers are in `mntr` (prefix `zk_`) and in `/commands/monitor`: counters and gauges under their names,
summaries as `avg_`, `min_`, `max_`, `cnt_` and `sum_` with the name, those of level *advanced* also as `p50_`,
`p95_`, `p99_` and `p999_`, members of sets with their key before the name. Where the configuration asks for
Prometheus, both show its samples instead, as in Java.

- Names, types and labels are Java's, so dashboards and alert rules made for Java's server work; what is ours begins
  with `oxkeeper_` and is for Prometheus alone. Help texts say what is counted, where
  Java's repeat the name. Metrics of the Java virtual machine (`jvm_*`) do not exist, but for the summary
  `jvm_pause_time_ms`, which stays empty.
- Quantiles are of the last eight to ten minutes for Prometheus, and of everything since the last `srst` in `mntr`.
  They are exact for values below 32 and at most 3 % off above; Java samples 4096 values for `mntr`.
- `srst` sets the counters and summaries of `mntr` to zero, and everywhere what `avg_latency`, `max_latency`,
  `min_latency`, `packets_received`, `packets_sent` and `*_client_response_size` show. Counters for Prometheus only
  grow.
- A set has at most 512 keys; what comes under yet another key counts under `/`.
- A server without a leader keeps showing what it knows of its tree, connections and process. Java's shows none of
  that then.
- Scrapes are answered from before the data folder is read, as in Java. What there is to tell then is of the process and
  of the recovery (`oxkeeper_recovering`, which file it is at and how far); gauges of data and clients come with them.
- `approximate_data_size` counts what the server itself writes into the use of quotas; Java's leaves out by how much
  that text grew since the start.
- `learner_handler_qp_size` and `learner_handler_qp_time_ms` are taken once for the packets of one round of the commit
  loop, which are sent together; Java takes the time of one packet in a thousand.
- `oxkeeper_memory_bytes` is an estimate made from counts, and as cheap to ask for as the rest. Its queues are what
  waits for clients, for other servers, for the log, and on a leader for a quorum.
- `peer_state` (in `mntr` and `/commands/monitor` only) also says what a server without a leader is at: `looking`,
  `leading - discovery`, `following - synchronization - snap`.
";

fn reference() -> String {
    let mut out = String::from(HEAD);
    let of = |origin: Origin, table: &[Declared]| -> Vec<Declared> {
        let rows = table.iter().filter(|declared| declared.origin == origin);
        rows.copied().collect()
    };
    section(
        &mut out,
        "Gauges",
        "What the server is at the moment.",
        of(Origin::Java, Gauges::DECLARED),
    );
    let about =
        "What is counted and measured as it happens. Times are in milliseconds, as in Java.";
    section(
        &mut out,
        "Counters and summaries",
        about,
        of(Origin::Java, Metrics::DECLARED),
    );
    let about =
        "Not in Java. Times are in seconds, in histograms that can be added up over servers.";
    let own = [Gauges::DECLARED, Metrics::DECLARED].map(|table| of(Origin::Own, table));
    section(&mut out, "Our own", about, own.concat());
    let about = "With `metricsProvider.exportJvmInfo=true`.";
    section(
        &mut out,
        "The process",
        about,
        of(Origin::Process, Gauges::DECLARED),
    );
    let about = "These are about parts of Java's server that this one does not have, or does not measure apart. They \
                 exist, at zero or empty, so that dashboards find them.";
    let silent = [Gauges::DECLARED, Metrics::DECLARED].map(|table| of(Origin::Silent, table));
    section(&mut out, "Without a counterpart", about, silent.concat());
    out
}

fn section(out: &mut String, title: &str, about: &str, mut rows: Vec<Declared>) {
    rows.sort_by_key(|declared| declared.name);
    *out += &format!(
        "\n## {title}\n\n{about}\n\n| Name | Type | Label | Meaning |\n| --- | --- | --- | --- |\n"
    );
    for Declared {
        name,
        kind,
        label,
        help,
        ..
    } in rows
    {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Basic => "summary, basic",
            Kind::Advanced => "summary, advanced",
            Kind::Histogram => "histogram",
        };
        let label = label.map_or_else(String::new, |label| format!("`{label}`"));
        *out += &format!("| `{name}` | {kind} | {label} | {help} |\n");
    }
}

#[test]
fn the_metrics_reference_is_what_the_table_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let wanted = reference();
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{FILE} is stale: run REGENERATE=1 cargo test --lib the_metrics_reference, and look at what changed"
    );
    assert!(all().all(|declared| found.contains(&format!("| `{}` |", declared.name))));
}

/// The sources of the server, without tests.
fn sources(dir: &std::path::Path, into: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "tests" | "sim" | "metrics") {
            sources(&path, into);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = std::fs::read_to_string(&path).unwrap();
            *into += text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
        }
    }
}

#[test]
fn what_is_said_to_be_recorded_is_recorded_somewhere() {
    let mut text = String::new();
    sources(
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut text,
    );
    let words: std::collections::BTreeSet<&str> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let wrong: Vec<&str> = Metrics::DECLARED
        .iter()
        .filter(|declared| {
            let field = declared.name.trim_start_matches("oxkeeper_");
            words.contains(field) == (declared.origin == Origin::Silent)
        })
        .map(|declared| declared.name)
        .collect();
    assert!(
        wrong.is_empty(),
        "recorded and said to be silent, or the other way round: {wrong:?}"
    );
}
