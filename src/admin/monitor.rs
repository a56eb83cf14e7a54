//! What `mntr` and `/commands/monitor` tell: every metric, under Java's keys.
//!
//! Source: `MonitorCommand`, `ZooKeeperServer.dumpMonitorValues`, `DefaultMetricsProvider`.

use super::json::java_double;
use super::{Admin, Mode, process, prometheus, version};
use crate::base::Zxid;
use crate::metrics::{Declared, Gauges, Kind, Number, Origin, Reading, Summary};
use crate::replica::status::EnsembleStatus;
use crate::runtime::peer_links::PeerLinks;
use crate::runtime::recovery::Progress;
use crate::tree::StatsTrack;
use crate::zab::io::{Place, Role, SyncWay};

/// What is behind a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A name or a state.
    Text(String),
    /// A metric.
    Number(Number),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Number(Number::Int(value)) => value.fmt(f),
            Value::Number(Number::Float(value)) => f.write_str(&java_double(*value)),
        }
    }
}

impl From<Value> for serde_json::Value {
    /// What is no number in JSON is a text, as Java's library prints it.
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => text.into(),
            Value::Number(Number::Int(value)) => value.into(),
            Value::Number(Number::Float(value)) if value.is_finite() => value.into(),
            Value::Number(Number::Float(value)) => java_double(value).into(),
        }
    }
}

/// The answer to `mntr` of a server that serves.
pub fn mntr(admin: &Admin) -> String {
    let lines = values(admin).into_iter();
    lines
        .map(|(key, value)| format!("zk_{key}\t{value}\n"))
        .collect()
}

/// Every key, without `zk_`, and its value. First what the server is, as far as it is anything; then the metrics: with
/// Java's default provider as that shows them, where the configuration asks for Prometheus as samples of that.
pub fn values(admin: &Admin) -> Vec<(String, Value)> {
    let mut out = state(admin);
    let mut put = |key: String, number| out.push((key, Value::Number(number)));
    let (metrics, mut gauges) = (&admin.counters.metrics, gauges(admin));
    if let Some(options) = admin
        .config
        .prometheus
        .as_ref()
        .filter(|options| options.is_asked_for)
    {
        metrics.tick(admin.clock.mono());
        for family in prometheus::families(metrics, &gauges, options.process_metrics) {
            for sample in &family.samples {
                put(sample.key(family.name), Number::Float(sample.value));
            }
        }
        return out;
    }
    if gauges.learners.is_none() {
        // A follower that hosts no observers knows of none, and only Prometheus takes that for 0.
        gauges.synced_observers = None;
    }
    let mut visit = |declared: &Declared, reading: Reading<'_>| {
        if matches!(declared.origin, Origin::Java | Origin::Silent) {
            by_default(declared, reading, &mut put);
        }
    };
    gauges.each(&mut visit);
    metrics.each(&mut visit);
    out
}

/// The part that is no metric. Source: `ZooKeeperServer.dumpMonitorValues` and the same method of its subclasses.
fn state(admin: &Admin) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    let mut put = |key: &str, value: Value| out.push((key.to_owned(), value));
    put("version", Value::Text(version()));
    let ensemble = admin.counters.ensemble();
    let peer_state = || Value::Text(peer_state(ensemble.place));
    let Some(mode) = admin.mode(&ensemble) else {
        put("peer_state", peer_state());
        return out;
    };
    put("server_state", Value::Text(mode.name().to_owned()));
    if mode != Mode::Standalone {
        put("peer_state", peer_state());
    }
    if mode == Mode::Observer {
        let master = ensemble.leader.map_or(-1, |leader| leader.0);
        put("observer_master_id", Value::Number(master.into()));
    }
    out
}

/// Source: `QuorumPeer.getDetailedPeerState`.
fn peer_state(place: Place) -> String {
    let among_peers = |role: Role| match role {
        Role::Leading => "leading",
        Role::Following => "following",
        Role::Observing => "observing",
    };
    let way = |way: SyncWay| match way {
        SyncWay::Diff => " - diff",
        SyncWay::Trunc => " - trunc",
        SyncWay::Snap => " - snap",
    };
    match place {
        Place::Election => "looking".to_owned(),
        Place::Discovery(role) => format!("{} - discovery", among_peers(role)),
        Place::Synchronization(role, by) => {
            let by = by.map(way).unwrap_or_default();
            format!("{} - synchronization{by}", among_peers(role))
        }
        Place::Broadcast(role) => format!("{} - broadcast", among_peers(role)),
    }
}

/// Source: `DefaultMetricsContext.dump`.
fn by_default(declared: &Declared, reading: Reading<'_>, put: &mut impl FnMut(String, Number)) {
    let name = declared.name;
    match reading {
        Reading::Number(number) => put(name.to_owned(), number),
        Reading::Numbers(all) => {
            for (key, number) in all {
                put(format!("{key}_{name}"), *number);
            }
        }
        Reading::Counter(counter) => put(name.to_owned(), counter.since_reset().into()),
        Reading::Counters(set) => {
            for (key, counter) in set.all() {
                put(format!("{key}_{name}"), counter.since_reset().into());
            }
        }
        Reading::Summary(summary) => by_default_summary(name, declared.kind, summary, put),
        Reading::Summaries(set) => {
            for (key, summary) in set.all() {
                by_default_summary(&format!("{key}_{name}"), declared.kind, &summary, put);
            }
        }
        Reading::Histogram(_) | Reading::Histograms(_) => {} // Java has none
    }
}

/// Source: `AvgMinMaxCounter.values`, `AvgMinMaxPercentileCounter.values`.
fn by_default_summary(
    name: &str,
    kind: Kind,
    summary: &Summary,
    put: &mut impl FnMut(String, Number),
) {
    let shown = summary.since_reset();
    put(format!("avg_{name}"), rounded(shown.avg()).into());
    let whole = [
        ("min", shown.min),
        ("max", shown.max),
        ("cnt", shown.count),
        ("sum", shown.sum),
    ];
    for (part, value) in whole {
        put(format!("{part}_{name}"), value.into());
    }
    if kind == Kind::Advanced {
        for (part, value) in ["p50", "p95", "p99", "p999"]
            .into_iter()
            .zip(shown.percentiles)
        {
            put(format!("{part}_{name}"), value.into());
        }
    }
}

/// Four decimals, half up.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// What the gauges are now. A server that serves nobody lacks those about its role, one that recovers those about
/// data and clients, too.
pub fn gauges(admin: &Admin) -> Gauges {
    let mut gauges = Gauges::default();
    process::look(&mut gauges);
    let text = version();
    let short = text.split(',').next().unwrap_or_default();
    gauges.build_info = vec![(short.to_owned(), 1_i64.into())];
    gauges.recovering = Some(i64::from(admin.recovery.is_some()).into());
    if let Some(progress) = &admin.recovery {
        from_recovery(&mut gauges, progress);
        return gauges;
    }
    let ensemble = admin.counters.ensemble();
    from_stats(&mut gauges, admin);
    from_tree(&mut gauges, admin);
    let mode = admin.mode(&ensemble);
    let since = match mode {
        Some(Mode::Standalone) => Some(admin.started),
        Some(_) => Some(ensemble.since),
        None => None,
    };
    let up = since.map(|since| (admin.clock.mono() - since).as_millis() as u64);
    gauges.uptime = up.map(Number::from);
    if let Some(own) = &admin.config.member {
        gauges.quorum_size = Some(own.ensemble.voters().into());
    }
    if mode == Some(Mode::Follower) {
        gauges.synced_observers = Some(Number::Int(0));
    }
    if mode == Some(Mode::Leader) {
        gauges.leader_uptime = gauges.uptime;
        from_leader(&mut gauges, admin, &ensemble);
    }
    gauges
}

fn from_recovery(gauges: &mut Gauges, progress: &Progress) {
    if let Some((file, read)) = progress.file() {
        let size = file.size.map(|size| (file.name.clone(), size.into()));
        gauges.recovery_file_bytes = size.into_iter().collect();
        gauges.recovery_read_bytes = vec![(file.name, read.into())];
    }
}

/// Source: `ZooKeeperServer.registerMetrics`.
fn from_stats(gauges: &mut Gauges, admin: &Admin) {
    let stats = &admin.counters.metrics.stats;
    let latency = stats.latency.since_reset();
    gauges.avg_latency = Some(rounded(latency.avg()).into());
    gauges.max_latency = Some(latency.max.into());
    gauges.min_latency = Some(latency.min.into());
    gauges.packets_received = Some(stats.packets_received.since_reset().into());
    gauges.packets_sent = Some(stats.packets_sent.since_reset().into());
    gauges.num_alive_connections = Some(admin.gate.conn_count().into());
    gauges.outstanding_requests = Some(admin.counters.outstanding().into());
    gauges.connection_drop_probability = Some(stats.connection_drop_probability.get().into());
    gauges.auth_failed_count = Some(stats.auth_failed.since_reset().into());
    let [last, min, max] = stats.client_response_size.last_min_max();
    gauges.last_client_response_size = Some(last.into());
    gauges.max_client_response_size = Some(max.into());
    gauges.min_client_response_size = Some(min.into());
    let none = || Some(Number::Int(0));
    gauges.local_sessions = none();
    gauges.outstanding_tls_handshake = none();
    gauges.non_mtls_remote_conn_count = none();
    gauges.non_mtls_local_conn_count = none();
}

/// A moment under the tree's guard, and one under that of the watches.
fn from_tree(gauges: &mut Gauges, admin: &Admin) {
    let gate = &admin.gate;
    let (sessions, znode_bytes, zxid) = gate.read(|tree| {
        gauges.znode_count = Some(tree.znode_count().into());
        gauges.ephemerals_count = Some(tree.ephemeral_count().into());
        gauges.approximate_data_size = Some(tree.data_size().into());
        let sums = QuotaSums::of(tree.quotas().map(|quota| {
            let track = |znode: Option<_>| StatsTrack::parse(tree.data(znode?));
            (track(quota.limits), track(quota.stats), quota.path)
        }));
        gauges.quota_count_limit_per_namespace = sums.count_limit;
        gauges.quota_bytes_limit_per_namespace = sums.bytes_limit;
        gauges.quota_count_usage_per_namespace = sums.count_usage;
        gauges.quota_bytes_usage_per_namespace = sums.bytes_usage;
        (tree.session_count(), tree.memory_bytes(), tree.last_zxid())
    });
    let (watches, watch_bytes) =
        gate.with_watches(|table| (table.watch_count(), table.memory_bytes()));
    gauges.watch_count = Some(watches.into());
    gauges.global_sessions = Some(sessions.into());
    gauges.zxids_left = Some(zxids_left(zxid).into());
    let conns = gate.conns();
    let outboxes: usize = conns.iter().map(|conn| conn.outbox.len()).sum();
    let queued = outboxes as u64 + waiting_for_others(admin);
    let owners = [
        ("znodes", znode_bytes),
        ("watches", watch_bytes as u64),
        (
            "sessions",
            (sessions * SESSION_BYTES + conns.len() * CONN_BYTES) as u64,
        ),
        ("queues", queued),
    ];
    let owners = owners.map(|(owner, bytes)| (owner.to_owned(), bytes.into()));
    gauges.memory_bytes = owners.into();
}

/// Bytes that wait for the disk, for a quorum, or for other servers.
fn waiting_for_others(admin: &Admin) -> u64 {
    // Proposals are shared between the log's queue and the leader: mostly the same ones.
    let log = admin.log.get().map_or(0, |log| log.bytes());
    let proposed = log.max(admin.counters.proposed_bytes()) as u64;
    let links = admin.peers.get().map_or(0, PeerLinks::waiting_bytes);
    proposed + links
}

/// About what a session takes in the tree, the tracker and the commit loop.
const SESSION_BYTES: usize = 400;

/// About what a connection takes: the buffer it reads into, its task and its outbox.
const CONN_BYTES: usize = (16 << 10) + 2048;

/// Transactions that fit into the epoch behind `last`.
fn zxids_left(last: Zxid) -> u64 {
    u64::from(u32::MAX) - (last.0 as u64 & u64::from(u32::MAX))
}

/// Source: `LeaderZooKeeperServer.registerMetrics`.
fn from_leader(gauges: &mut Gauges, admin: &Admin, ensemble: &EnsembleStatus) {
    let learners = ensemble.learners;
    gauges.learners = Some(learners.connected.into());
    gauges.synced_followers = Some(learners.followers.into());
    gauges.synced_non_voting_followers = Some(learners.non_voting_followers.into());
    gauges.synced_observers = Some(learners.observers.into());
    gauges.pending_syncs = Some(ensemble.pending_syncs.into());
    let [last, min, max] = admin.counters.metrics.stats.proposal_size.last_min_max();
    gauges.last_proposal_size = Some(last.into());
    gauges.max_proposal_size = Some(max.into());
    gauges.min_proposal_size = Some(min.into());
}

/// Limits and use of all quotas below one first path component, added up; a quota without a limit adds -1 to it.
///
/// Source: `QuotaMetricsUtils`.
#[derive(Default)]
struct QuotaSums {
    count_limit: Vec<(String, Number)>,
    bytes_limit: Vec<(String, Number)>,
    count_usage: Vec<(String, Number)>,
    bytes_usage: Vec<(String, Number)>,
}

impl QuotaSums {
    /// Of limits, use and path of each quota, sorted by path.
    fn of(
        quotas: impl Iterator<Item = (Option<StatsTrack>, Option<StatsTrack>, String)>,
    ) -> QuotaSums {
        let mut sums = QuotaSums::default();
        let hard_first = |hard: i64, soft: i64| if hard > -1 { hard } else { soft };
        for (limits, stats, path) in quotas {
            let Some(namespace) = path.split('/').nth(1) else {
                continue;
            };
            if let Some(track) = limits {
                let count = hard_first(track.count_hard_limit(), track.count());
                let bytes = hard_first(track.byte_hard_limit(), track.bytes());
                add(&mut sums.count_limit, namespace, count);
                add(&mut sums.bytes_limit, namespace, bytes);
            }
            if let Some(track) = stats {
                add(&mut sums.count_usage, namespace, track.count());
                add(&mut sums.bytes_usage, namespace, track.bytes());
            }
        }
        sums
    }
}

fn add(sums: &mut Vec<(String, Number)>, namespace: &str, more: i64) {
    match sums.iter_mut().find(|(of, _)| of == namespace) {
        Some((_, Number::Int(sum))) => *sum = sum.saturating_add(more),
        _ => sums.push((namespace.to_owned(), more.into())),
    }
}

#[cfg(test)]
mod tests;
