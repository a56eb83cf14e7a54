//! Commands about clients: connections, sessions, ephemerals, watches.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::admin::answer::{Answer, Query};
use crate::admin::four_letter::interest;
use crate::admin::{Admin, Mode, text};
use crate::replica::conn::Conn;

/// Source: `ConsCommand`.
pub(super) fn connections(admin: &Admin, _: &Query) -> Answer {
    let mut answer = Answer::default();
    lists(&mut answer, admin, false);
    answer
}

/// Connections of the plain port, oldest first, and of the TLS port, which there is none of.
pub(super) fn lists(answer: &mut Answer, admin: &Admin, brief: bool) {
    let mut conns = admin.gate.conns();
    conns.sort_unstable_by_key(|conn| conn.id);
    let sessionless = admin.config.sessionless_timeout;
    let shown = conns
        .iter()
        .map(|conn| connection(conn, brief, sessionless));
    answer.put("connections", shown.collect::<Vec<_>>());
    answer.put("secure_connections", Vec::<Value>::new());
}

/// Source: `ServerCnxn.getConnectionInfo`.
fn connection(conn: &Conn, brief: bool, sessionless: Duration) -> Value {
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| {
        fields.insert(key.to_owned(), value);
    };
    let (received, sent) = conn.stats.packets();
    put(
        "remote_socket_address",
        text::host_and_port(&conn.remote).into(),
    );
    put("interest_ops", interest(conn, None).into());
    put("outstanding_requests", conn.stats.queued().into());
    put("packets_received", received.into());
    put("packets_sent", sent.into());
    if brief {
        return fields.into();
    }
    let last = conn.stats.last();
    let lane = conn.lane.get();
    let timeout = lane.map_or(sessionless, |lane| lane.last_heard().1);
    put("session_id", lane.map_or(0, |lane| lane.session().0).into());
    put("last_operation", last.op.into());
    put("established", conn.stats.established.0.into());
    put("session_timeout", (timeout.as_millis() as u64).into());
    put("last_cxid", last.cxid.into());
    put("last_zxid", last.zxid.into());
    put("last_response_time", last.at.into());
    put("last_latency", last.latency.into());
    put("min_latency", last.min_latency.into());
    put("avg_latency", last.avg_latency.into());
    put("max_latency", last.max_latency.into());
    fields.into()
}

/// Source: `CnxnStatResetCommand`.
pub(super) fn connection_stat_reset(admin: &Admin, _: &Query) -> Answer {
    admin.reset_connections();
    Answer::default()
}

/// Source: `DumpCommand`; a learner decides on no session.
pub(super) fn dump(admin: &Admin, _: &Query) -> Answer {
    let mode = admin.mode(&admin.counters.ensemble());
    let decides = matches!(mode, Some(Mode::Standalone | Mode::Leader));
    let buckets = match decides.then(|| admin.expiries()) {
        Some(Some(buckets)) => buckets,
        None => Default::default(),
        Some(None) => {
            let status = hyper::StatusCode::SERVICE_UNAVAILABLE;
            return Answer::failed(status, "the commit loop does not answer");
        }
    };
    let expiries = buckets.into_iter().map(|(moment, ids)| {
        let ids: Vec<Value> = ids.into_iter().map(|id| id.0.into()).collect();
        (moment.0.to_string(), ids.into())
    });
    let ephemerals = admin.ephemerals().into_iter().map(|(session, paths)| {
        let paths: Vec<Value> = paths.into_iter().map(Value::from).collect();
        (session.0.to_string(), paths.into())
    });
    let mut answer = Answer::default();
    answer.put("expiry_time_to_session_ids", Map::from_iter(expiries));
    answer.put("session_id_to_ephemeral_paths", Map::from_iter(ephemerals));
    answer
}

/// Source: `WatchSummaryCommand`.
pub(super) fn watch_summary(admin: &Admin, _: &Query) -> Answer {
    let watches = admin.watches();
    let mut answer = Answer::default();
    answer.put("num_connections", watches.by_connection.len());
    answer.put("num_paths", watches.by_path().len());
    answer.put("num_total_watches", watches.total());
    answer
}

/// Source: `WatchCommand`.
pub(super) fn watches(admin: &Admin, _: &Query) -> Answer {
    let watches = admin
        .watches()
        .by_connection
        .into_iter()
        .map(|(session, paths)| {
            let paths: Vec<Value> = paths.iter().map(|path| path.as_ref().into()).collect();
            (session.0.to_string(), paths.into())
        });
    let mut answer = Answer::default();
    answer.put("session_id_to_watched_paths", Map::from_iter(watches));
    answer
}

/// Source: `WatchesByPathCommand`.
pub(super) fn watches_by_path(admin: &Admin, _: &Query) -> Answer {
    let watches = admin.watches();
    let paths = watches.by_path().into_iter().map(|(path, sessions)| {
        let ids: Vec<Value> = sessions.into_iter().map(|id| id.0.into()).collect();
        (path.to_owned(), ids.into())
    });
    let mut answer = Answer::default();
    answer.put("path_to_session_ids", Map::from_iter(paths));
    answer
}
