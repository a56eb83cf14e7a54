//! `/commands/snapshot`, and who may ask for it.
//!
//! Source: `Commands.SnapshotCommand`, `Commands.handleAuthentication`, `handleAuthorization`, `RateLimiter`.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::{StatusCode, header};
use jute::data::Id;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::answer::{Answer, Call};
use super::{Admin, spool};
use crate::auth::{self, Identities, perms};
use crate::base::Mono;
use crate::runtime::mailbox::Message;
use crate::storage::snapshot::Written;

/// How often snapshots and restores may be asked for.
#[derive(Debug)]
pub struct Rates {
    snapshot: Rate,
    pub(super) restore: Rate,
}

impl Rates {
    /// One of each per `interval` (`admin.rateLimiterIntervalInMS`). Java counts that number in microseconds for
    /// snapshots, whatever its documentation says: scripts that take one a minute work there, so they do here.
    pub fn new(interval: Duration, now: Mono) -> Rates {
        Rates {
            snapshot: Rate::new(interval / 1000, now),
            restore: Rate::new(interval, now),
        }
    }
}

/// One per interval; any number if it is less than a millisecond. Source: `RateLimiter`, which then allows one per
/// millisecond: nobody can ask a Java server faster.
#[derive(Debug)]
pub(super) struct Rate {
    interval: Duration,
    /// When the interval began, and whether it is used up.
    state: Mutex<(Mono, bool)>,
}

impl Rate {
    fn new(interval: Duration, now: Mono) -> Rate {
        Rate {
            interval,
            state: Mutex::new((now, false)),
        }
    }

    /// Whether one more is allowed; it counts then, whatever becomes of it.
    pub(super) fn allow(&self, now: Mono) -> bool {
        if self.interval < Duration::from_millis(1) {
            return true;
        }
        let mut state = self.state.lock();
        if now - state.0 > self.interval {
            *state = (now, false);
        }
        !std::mem::replace(&mut state.1, true)
    }
}

/// Takes a snapshot and, unless told not to, sends it.
pub(super) async fn snapshot(admin: Arc<Admin>, call: Call) -> Answer {
    if let Err(refused) = authorize(&admin, &call) {
        return *refused;
    }
    let config = &admin.config;
    if let Err(status) = switched_on(&admin, config.admin_snapshot_enabled, "snapshot") {
        return bare(status);
    }
    if !admin.rates.snapshot.allow(admin.clock.mono()) {
        admin.counters.metrics.snapshot_rate_limited_count.inc();
        tracing::warn!(
            "{}: the last snapshot was asked for a moment ago: refused",
            call.remote
        );
        return bare(StatusCode::TOO_MANY_REQUESTS);
    }
    let streaming = call.query.get("streaming");
    let streaming = streaming.is_none_or(|text| text.eq_ignore_ascii_case("true"));
    match take(&admin, streaming).await {
        Ok(answer) => answer,
        Err(error) => {
            admin.counters.metrics.snapshot_error_count.inc();
            tracing::warn!(
                "{}: the snapshot that was asked for failed: {error}",
                call.remote
            );
            bare(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

async fn take(admin: &Admin, streaming: bool) -> io::Result<Answer> {
    let written = write(admin).await?;
    let file = std::fs::File::open(&written.path)?;
    let bytes = file.metadata()?.len();
    let mut answer = Answer::default();
    answer.header("last_zxid", &written.zxid.to_string());
    answer.header("snapshot_size", &bytes.to_string());
    if streaming {
        answer.stream = Some(spool::file(file, bytes));
    }
    Ok(answer)
}

/// A new snapshot of what is there now.
pub(super) async fn write(admin: &Admin) -> io::Result<Written> {
    let (asked, told) = oneshot::channel();
    admin.mailbox.push(Message::TakeSnapshot(asked));
    let written = told.await.map_err(io::Error::other)?;
    written.ok_or_else(|| {
        io::Error::other("it could not be written, or the history changed meanwhile")
    })
}

/// Whether such commands are on, and can be carried out.
pub(super) fn switched_on(admin: &Admin, on: bool, what: &str) -> Result<(), StatusCode> {
    if !on {
        tracing::warn!("{what} was asked for and is off (admin.{what}.enabled)");
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    if !admin.config.serialize_last_zxid {
        tracing::warn!("{what} was asked for and needs serializeLastProcessedZxid.enabled=true");
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    Ok(())
}

/// A status without anything to say. Source: the JSON of such answers has no error.
pub(super) fn bare(status: StatusCode) -> Answer {
    Answer {
        status,
        ..Answer::default()
    }
}

/// Whether the caller has every permission on the root.
///
/// # Errors
/// What to answer instead.
pub(super) fn authorize(admin: &Admin, call: &Call) -> Result<(), Box<Answer>> {
    let failed = |status, error| Err(Box::new(Answer::failed(status, error)));
    let Some(header) = call.headers.get(header::AUTHORIZATION) else {
        return failed(
            StatusCode::UNAUTHORIZED,
            "Auth info is missing for the command",
        );
    };
    let remote = asks(admin, call);
    let ids = remote.and_then(|remote| identities(admin, header.as_bytes(), remote));
    let Some(ids) = ids else {
        tracing::warn!(
            "{}: not authenticated for a command of the AdminServer",
            call.remote
        );
        return failed(StatusCode::UNAUTHORIZED, "Not authenticated");
    };
    match owns_root(admin, &ids) {
        true => Ok(()),
        false => failed(StatusCode::FORBIDDEN, "Not authorized"),
    }
}

/// The address of whoever asks. Source: `IPAuthenticationProvider.getClientIPAddress`.
fn asks(admin: &Admin, call: &Call) -> Option<IpAddr> {
    if !admin.config.ip_auth_forwarded_for {
        return Some(call.remote);
    }
    let Some(header) = call.headers.get("x-forwarded-for") else {
        return Some(call.remote);
    };
    let first = header.to_str().ok()?.split(',').next()?;
    first.trim().parse().ok()
}

/// Words are separated by one space; spaces at the end do not count, as in `String.split`.
fn identities(admin: &Admin, header: &[u8], remote: IpAddr) -> Option<Identities> {
    let header = std::str::from_utf8(header).ok()?;
    let mut words: Vec<_> = header.split(' ').collect();
    while words.len() > 1 && words.last().is_some_and(|word| word.is_empty()) {
        words.pop();
    }
    let (scheme, data) = match words[..] {
        [scheme] => (scheme, None),
        [scheme, data] => (scheme, Some(data.as_bytes())),
        _ => return None,
    };
    let nobody = Identities::from([]);
    let ids = auth::authenticate(admin.gate.auth(), Some(scheme), data, remote, &nobody);
    ids.ok().filter(|ids| !ids.is_empty())
}

fn owns_root(admin: &Admin, ids: &[Id]) -> bool {
    let options = admin.gate.auth();
    admin.gate.read(|tree| {
        let Some(root) = tree.find("/") else {
            return false;
        };
        let acl = tree.acl(root);
        let each = [
            perms::READ,
            perms::WRITE,
            perms::CREATE,
            perms::DELETE,
            perms::ADMIN,
        ];
        each.iter()
            .all(|bit| auth::permits(options, acl, *bit, ids))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_allowed_per_interval_and_refused_ones_do_not_count() {
        let at = |ms: i64| Mono(1000 + ms);
        let rate = Rate::new(Duration::from_millis(100), at(0));
        assert!(rate.allow(at(0)));
        assert!(!rate.allow(at(50)) && !rate.allow(at(100)));
        assert!(rate.allow(at(101)));
        assert!(!rate.allow(at(150)));
        assert!(rate.allow(at(1000)));
    }

    #[test]
    fn snapshots_are_counted_in_microseconds_as_in_java() {
        let rates = Rates::new(Duration::from_millis(300_000), Mono(0));
        assert!(rates.snapshot.allow(Mono(0)) && rates.restore.allow(Mono(0)));
        assert!(rates.snapshot.allow(Mono(301)) && !rates.restore.allow(Mono(301)));
        assert!(rates.restore.allow(Mono(300_001)));
    }

    #[test]
    fn an_interval_of_zero_limits_nothing() {
        let rates = Rates::new(Duration::ZERO, Mono(0));
        assert!(rates.restore.allow(Mono(7)) && rates.restore.allow(Mono(7)));
        assert!(rates.snapshot.allow(Mono(7)) && rates.snapshot.allow(Mono(7)));
    }
}
