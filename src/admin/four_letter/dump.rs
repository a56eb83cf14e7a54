//! `dump`: sessions and when they expire, who owns ephemerals, connections and when they do.
//!
//! Source: `DumpCommand`, `ExpiryQueue.dump`, `DataTree.dumpEphemerals`, `LearnerSessionTracker.dumpSessions`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::line;
use crate::admin::{Admin, Mode, text};
use crate::base::{Mono, Now, WallMs};
use crate::replica::conn::Conn;

pub(super) fn dump(admin: &Admin, mode: Mode) -> String {
    let now = admin.clock.now();
    let mut out = String::from("SessionTracker dump:\n");
    match mode {
        Mode::Standalone | Mode::Leader => match admin.expiries() {
            Some(buckets) => expiring(&mut out, "Session", &buckets, now, |id| id.to_string()),
            None => line(&mut out, format_args!("the commit loop does not answer")),
        },
        Mode::Follower | Mode::Observer => global_sessions(&mut out, admin),
    }
    ephemerals(&mut out, admin);
    out.push_str("Connections dump:\n");
    expiring(
        &mut out,
        "Connections",
        &connections(admin, now),
        now,
        |conn| {
            let session = conn.lane.get().map_or(0, |lane| lane.session().0);
            let address = text::socket_address(&conn.remote);
            format!("ip: {address} sessionId: {session:#x}")
        },
    );
    out
}

/// Buckets of what expires together.
fn expiring<T>(
    out: &mut String,
    what: &str,
    buckets: &BTreeMap<Mono, Vec<T>>,
    now: Now,
    shown: impl Fn(&T) -> String,
) {
    let total: usize = buckets.values().map(Vec::len).sum();
    line(
        out,
        format_args!("{what} Sets ({})/({total}):", buckets.len()),
    );
    for (moment, entries) in buckets {
        let date = text::date(WallMs(now.wall.0.saturating_add(moment.0 - now.mono.0)));
        line(out, format_args!("{} expire at {date}:", entries.len()));
        for entry in entries {
            line(out, format_args!("\t{}", shown(entry)));
        }
    }
}

fn global_sessions(out: &mut String, admin: &Admin) {
    let sessions = admin.sessions();
    line(out, format_args!("Global Sessions({}):", sessions.len()));
    for (id, timeout) in sessions {
        line(out, format_args!("{id}\t{timeout}ms"));
    }
}

fn ephemerals(out: &mut String, admin: &Admin) {
    let owners = admin.ephemerals();
    out.push_str("ephemeral nodes dump:\n");
    line(
        out,
        format_args!("Sessions with Ephemerals ({}):", owners.len()),
    );
    for (session, paths) in owners {
        line(out, format_args!("{session}:"));
        for path in paths {
            line(out, format_args!("\t{path}"));
        }
    }
}

/// Java closes a connection that moved nothing for its session's timeout, in steps of the time that one without a
/// session has. Here the session is what expires; this tells when Java would have looked.
///
/// Source: `NIOServerCnxnFactory.touchCnxn`.
fn connections(admin: &Admin, now: Now) -> BTreeMap<Mono, Vec<Arc<Conn>>> {
    let step = (admin.config.sessionless_timeout.as_millis() as i64).max(1);
    let mut buckets: BTreeMap<Mono, Vec<Arc<Conn>>> = BTreeMap::new();
    let mut conns = admin.gate.conns();
    conns.sort_unstable_by_key(|conn| conn.id);
    for conn in conns {
        let (heard, timeout) = match conn.lane.get() {
            Some(lane) => lane.last_heard(),
            None => {
                let age = now.wall.0.saturating_sub(conn.stats.established.0);
                let opened = Mono(now.mono.0.saturating_sub(age));
                (opened, admin.config.sessionless_timeout)
            }
        };
        let deadline = heard + timeout;
        let bucket = Mono((deadline.0.div_euclid(step) + 1).saturating_mul(step));
        buckets.entry(bucket).or_default().push(conn);
    }
    buckets
}
