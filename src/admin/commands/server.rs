//! Commands about this server alone: its settings, its numbers, its files, its machine.

use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use serde_json::{Map, Value, json};

use super::connections;
use crate::admin::answer::{Answer, Query};
use crate::admin::{Admin, Mode, NOT_SERVING, environment, folder_bytes, monitor, version};
use crate::base::Zxid;
use crate::replica::status::EnsembleStatus;

/// Source: `ConfCommand`, `ZooKeeperServerConf.toMap`.
pub(super) fn configuration(admin: &Admin, _: &Query) -> Answer {
    let config = &admin.config;
    let port = config
        .client_addr
        .as_ref()
        .map_or(-1, |addr| i64::from(addr.port));
    let mut answer = Answer::default();
    answer.put("client_port", port);
    answer.put("data_dir", admin.dirs.0.display().to_string());
    answer.put("data_log_dir", admin.dirs.1.display().to_string());
    answer.put("tick_time", config.tick_time.as_millis() as u64);
    answer.put("max_client_cnxns", config.max_client_cnxns);
    answer.put(
        "min_session_timeout",
        config.min_session_timeout.as_millis() as u64,
    );
    answer.put(
        "max_session_timeout",
        config.max_session_timeout.as_millis() as u64,
    );
    answer.put("server_id", config.server_id);
    answer.put(
        "client_port_listen_backlog",
        config.client_port_listen_backlog,
    );
    answer
}

/// Source: `DirsCommand`.
pub(super) fn dirs(admin: &Admin, _: &Query) -> Answer {
    let mut answer = Answer::default();
    answer.put("datadir_size", folder_bytes(&admin.dirs.0));
    answer.put("logdir_size", folder_bytes(&admin.dirs.1));
    answer
}

/// Source: `EnvCommand`.
pub(super) fn environment(_: &Admin, _: &Query) -> Answer {
    let mut answer = Answer::default();
    for (key, value) in environment::list() {
        answer.put(key, value);
    }
    answer
}

/// What was given as `-D` or would become one of these in Java, and what every Java machine has. Secrets are left out,
/// unlike in Java: nobody has to say who they are to read this.
///
/// Source: `SystemPropertiesCommand`.
pub(super) fn system_properties(admin: &Admin, _: &Query) -> Answer {
    let own = [
        ("file.separator", "/"),
        ("path.separator", ":"),
        ("line.separator", "\n"),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let machine = environment::list().into_iter().filter(|(key, value)| {
        let is_property = ["java.", "user.", "os."]
            .iter()
            .any(|family| key.starts_with(family));
        is_property && !key.starts_with("os.memory") && value != environment::NONE
    });
    let machine = machine.map(|(key, value)| (key.to_owned(), value));
    let given = admin.config.system_properties.iter().cloned();
    let mut all: Vec<_> = own.into_iter().chain(machine).chain(given).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let mut answer = Answer::default();
    for (key, value) in all {
        answer.put(&key, value);
    }
    answer
}

/// Source: `DigestCommand`.
pub(super) fn hash(admin: &Admin, _: &Query) -> Answer {
    let noted: Vec<_> = admin.gate.read(|tree| tree.noted_digests().collect());
    let digest = |(zxid, digest): &(Zxid, u64)| {
        let digest = *digest as i64;
        json!({ "zxid": zxid.0, "digest": digest, "digest_version": DIGEST_VERSION })
    };
    let mut answer = Answer::default();
    answer.put("digests", noted.iter().map(digest).collect::<Vec<_>>());
    answer
}

/// Source: `DigestCalculator.DIGEST_VERSION`.
const DIGEST_VERSION: i32 = 2;

/// Source: `GetTraceMaskCommand`.
pub(super) fn get_trace_mask(admin: &Admin, _: &Query) -> Answer {
    let mut answer = Answer::default();
    answer.put("tracemask", admin.trace_mask.load(Ordering::Relaxed));
    answer
}

/// Source: `SetTraceMaskCommand`.
pub(super) fn set_trace_mask(admin: &Admin, query: &Query) -> Answer {
    const WANTED: &str = "setTraceMask requires long traceMask argument";
    let mut answer = Answer::default();
    match query.get("traceMask") {
        None => answer.put("error", WANTED),
        Some(text) => match text.parse::<i64>() {
            Ok(mask) => {
                admin.trace_mask.store(mask, Ordering::Relaxed);
                answer.put("tracemask", mask);
            }
            Err(_) => answer.put("error", format!("{WANTED}, got {text}")),
        },
    }
    answer
}

/// Source: `InitialConfigurationCommand`: Java's members of an ensemble tell nothing.
pub(super) fn initial_configuration(admin: &Admin, _: &Query) -> Answer {
    let config = &admin.config;
    let text = config
        .is_standalone()
        .then(|| String::from_utf8_lossy(&config.zoo_cfg).into_owned());
    let mut answer = Answer::default();
    answer.put("initial_configuration", text);
    answer
}

/// Source: `IsroCommand`.
pub(super) fn is_read_only(_: &Admin, _: &Query) -> Answer {
    let mut answer = Answer::default();
    answer.put("read_only", false);
    answer
}

/// The newest file, whose time is that of its last change.
///
/// Source: `LastSnapshotCommand`, `FileSnap.getLastSnapshotInfo`.
pub(super) fn last_snapshot(admin: &Admin, _: &Query) -> Answer {
    let entries = std::fs::read_dir(&admin.dirs.0).into_iter().flatten();
    let found = entries.filter_map(Result::ok).filter_map(|entry| {
        let zxid = zxid_of(entry.file_name().to_str()?)?;
        let changed = entry.metadata().ok()?.modified().ok()?;
        Some((zxid, changed.duration_since(UNIX_EPOCH).ok()?.as_secs()))
    });
    let mut answer = Answer::default();
    match found.max() {
        Some((zxid, seconds)) => {
            answer.put("zxid", format!("{zxid:x}"));
            answer.put("timestamp", seconds);
        }
        None => {
            answer.put("zxid", format!("{:x}", -1_i64));
            answer.put("timestamp", -1);
        }
    }
    answer
}

/// Of the name of a snapshot, which may end in that of a compression.
fn zxid_of(name: &str) -> Option<u64> {
    let zxid = name.strip_prefix("snapshot.")?;
    let zxid = zxid
        .strip_suffix(".gz")
        .or(zxid.strip_suffix(".snappy"))
        .unwrap_or(zxid);
    u64::from_str_radix(zxid, 16).ok()
}

/// Also where Java fails, for want of a leader: then without what the server would be.
///
/// Source: `MonitorCommand`.
pub(super) fn monitor(admin: &Admin, _: &Query) -> Answer {
    if admin.recovery.is_some() {
        return Answer::failed(hyper::StatusCode::OK, NOT_SERVING);
    }
    let mut answer = Answer::default();
    for (key, value) in monitor::values(admin) {
        answer.put(&key, value);
    }
    answer
}

/// Source: `StatResetCommand`, which leaves the lengths of proposals alone, unlike the four-letter word.
pub(super) fn stat_reset(admin: &Admin, _: &Query) -> Answer {
    admin.reset_stats(false);
    Answer::default()
}

/// Source: `SrvrCommand`.
pub(super) fn server_stats(admin: &Admin, _: &Query) -> Answer {
    let ensemble = admin.counters.ensemble();
    let mode = admin.mode(&ensemble);
    let stats = &admin.counters.metrics.stats;
    let mut answer = Answer::default();
    answer.put("version", version());
    answer.put("read_only", false);
    answer.put("server_stats", bean(admin, mode, &ensemble));
    answer.put(
        "client_response",
        sizes(stats.client_response_size.last_min_max()),
    );
    if mode == Some(Mode::Leader) {
        answer.put("proposal_stats", sizes(stats.proposal_size.last_min_max()));
    }
    answer.put("node_count", admin.gate.read(|tree| tree.znode_count()));
    answer
}

/// Source: `StatCommand`.
pub(super) fn stats(admin: &Admin, query: &Query) -> Answer {
    let mut answer = server_stats(admin, query);
    connections::lists(&mut answer, admin, true);
    answer
}

/// Source: the getters of `ServerStats`, whose order Java leaves open.
fn bean(admin: &Admin, mode: Option<Mode>, ensemble: &EnsembleStatus) -> Value {
    let stats = &admin.counters.metrics.stats;
    let latency = admin.counters.latency();
    let (received, sent) = admin.counters.packets();
    let since = match mode {
        Some(Mode::Standalone) | None => admin.started,
        Some(_) => ensemble.since,
    };
    json!({
        "packets_sent": sent,
        "packets_received": received,
        "fsync_threshold_exceed_count": stats.fsync_threshold_exceeded.total(),
        "client_response_stats": sizes(stats.client_response_size.last_min_max()),
        "data_dir_size": folder_bytes(&admin.dirs.0),
        "log_dir_size": folder_bytes(&admin.dirs.1),
        "provider_null": false,
        "last_processed_zxid": admin.gate.read(|tree| tree.last_zxid().0),
        "server_state": mode.map_or("", |mode| mode.name()),
        "outstanding_requests": admin.counters.outstanding(),
        "avg_latency": (latency.avg * 10_000.0).round() / 10_000.0,
        "max_latency": latency.max,
        "min_latency": latency.min,
        "num_alive_client_connections": admin.gate.conn_count(),
        "auth_failed_count": stats.auth_failed.total(),
        "non_mtlsremote_conn_count": 0,
        "non_mtlslocal_conn_count": 0,
        "uptime": (admin.clock.mono() - since).as_millis() as u64,
    })
}

/// Source: `BufferStats`.
fn sizes([last, min, max]: [i64; 3]) -> Value {
    let fields = [
        ("last_buffer_size", last),
        ("min_buffer_size", min),
        ("max_buffer_size", max),
    ];
    let fields = fields.map(|(key, value)| (key.to_owned(), value.into()));
    Value::Object(Map::from_iter(fields))
}
