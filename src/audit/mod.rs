//! The audit log: who changed what, one line each, in Java's words.
//!
//! ```text
//!   request -- Asked::of --> kept with the request --- outcome ---> events -- tell --> the logger named LOGGER
//!   closeSession ---------- ephemerals_gone ----------------------> events
//! ```
//!
//! Lines are tab-separated `key=value` pairs in a fixed order, those without a value left out. Only the server that the
//! client is connected to tells of its requests; every server tells of the ephemerals that a session leaves behind.
//! Nothing here asks for a clock, a file or a user: whoever starts the server says who it is, and where the lines go is
//! the subscriber's affair.
//!
//! Source: `AuditHelper`, `AuditEvent`, `ZKAuditProvider`, `Slf4jAuditLogger`.

mod asked;

use std::fmt::{self, Write};

use jute::Str;

use crate::base::SessionId;
use crate::tree::{Change, ChangeKind};

pub use asked::{Asked, Caller, Outcomes, undecodable};

/// The logger of the lines, and so the target of the log events that carry them.
pub const LOGGER: &str = "org.apache.zookeeper.audit.Slf4jAuditLogger";

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was done.
    Success,
    /// It was refused.
    Failure,
    /// It was asked for.
    Invoked,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Success => "success",
            Verdict::Failure => "failure",
            Verdict::Invoked => "invoked",
        }
    }
}

/// One line of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    session: Option<SessionId>,
    user: Option<Str>,
    ip: Option<Str>,
    operation: &'static str,
    znode: Option<Str>,
    znode_type: Option<&'static str>,
    acl: Option<String>,
    result: Option<Verdict>,
}

impl Event {
    /// Something the server did or tried to do itself, as `user`.
    fn of_server(user: &Str, operation: &'static str, result: Verdict) -> Event {
        Event {
            user: Some(user.clone()),
            operation,
            result: Some(result),
            ..Event::default()
        }
    }

    /// The server started, or did not.
    pub fn server_start(user: &Str, result: Verdict) -> Event {
        Event::of_server(user, "serverStart", result)
    }

    /// The server was told to stop.
    pub fn server_stop(user: &Str) -> Event {
        Event::of_server(user, "serverStop", Verdict::Invoked)
    }

    /// Whether it tells of a failure, which is an error to Java's logger.
    pub fn is_failure(&self) -> bool {
        self.result == Some(Verdict::Failure)
    }

    /// Hands the line to the logger: as an error if it tells of a failure.
    pub fn tell(&self) {
        if self.is_failure() {
            tracing::error!(target: LOGGER, "{self}");
        } else {
            tracing::info!(target: LOGGER, "{self}");
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(session) = self.session {
            write!(f, "session={session}\t")?;
        }
        pair(f, "user", self.user.as_deref())?;
        pair(f, "ip", self.ip.as_deref())?;
        pair(f, "operation", Some(self.operation))?;
        pair(f, "znode", self.znode.as_deref())?;
        pair(f, "znode_type", self.znode_type)?;
        pair(f, "acl", self.acl.as_deref())?;
        f.write_str("result=")?;
        f.write_str(self.result.map_or("", Verdict::word))
    }
}

fn pair(f: &mut fmt::Formatter<'_>, key: &str, value: Option<&str>) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    f.write_str(key)?;
    f.write_char('=')?;
    // Differs from Java, which lets a path or a user name begin a line of its own.
    for part in value.split_inclusive(char::is_control) {
        match part.chars().last().filter(|last| last.is_control()) {
            Some(last) => {
                f.write_str(&part[..part.len() - last.len_utf8()])?;
                write!(f, "\\u{:04x}", u32::from(last))?;
            }
            None => f.write_str(part)?,
        }
    }
    f.write_char('\t')
}

/// The ephemerals that went with `session`, as the server's `user` sees them go.
///
/// Source: `DataTree.deleteNodes`.
pub fn ephemerals_gone<'a>(
    user: &'a Str,
    session: SessionId,
    changes: &'a [Change],
) -> impl Iterator<Item = Event> + 'a {
    let gone = changes
        .iter()
        .filter(|change| change.kind == ChangeKind::Deleted);
    gone.map(move |change| Event {
        session: Some(session),
        znode: Some(change.path.clone()),
        ..Event::of_server(
            user,
            "ephemeralZNodeDeletionOnSessionCloseOrExpire",
            Verdict::Success,
        )
    })
}

#[cfg(test)]
mod tests;
