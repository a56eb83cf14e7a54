//! What a client asked for, and the lines that come of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use jute::data::Acl;
use jute::proto::{MultiOp, MultiRequest};
use jute::txn::Txn;
use jute::{ErrorCode, Op, Str};

use super::{Event, Verdict};
use crate::auth::perms;
use crate::base::SessionId;
use crate::prep::WriteRequest;
use crate::tree::{Applied, Outcome};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The session.
    pub session: SessionId,
    /// The users it proved to be, comma-separated; None if there is no name among them.
    pub users: Option<Str>,
    /// Its address, as Java prints it.
    pub ip: Str,
}

/// What is kept of a write until it is known what became of it.
#[derive(Debug)]
pub struct Asked {
    caller: Caller,
    operation: &'static str,
    /// Of the request, not of the outcome.
    znode: Option<Str>,
    znode_type: Option<&'static str>,
    acl: Option<String>,
    /// Of a multi: what its creates make. None if one of them makes nothing that there is.
    modes: Option<BTreeMap<Str, &'static str>>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug)]
pub struct Outcomes<'a> {
    /// The transaction.
    pub txn: &'a Txn,
    /// What applying it gave.
    pub applied: &'a Applied,
}

impl Asked {
    /// None for what is never told: sessions, what the server does on its own, and what Java's audit log trips over.
    ///
    /// Source: `AuditHelper.addAuditLog`.
    pub fn of(request: &WriteRequest, caller: impl FnOnce() -> Caller) -> Option<Box<Asked>> {
        let (operation, znode) = match request {
            WriteRequest::Create(_, request) => ("create", &request.path),
            WriteRequest::CreateTtl(request) => ("create", &request.path),
            WriteRequest::Delete(request) => ("delete", &request.path),
            WriteRequest::SetData(request) => ("setData", &request.path),
            WriteRequest::SetAcl(request) => ("setAcl", &request.path),
            WriteRequest::Multi(_) => ("multiOperation", &None),
            WriteRequest::Reconfig(_) => ("reconfig", &None),
            WriteRequest::DeleteContainer(_)
            | WriteRequest::CreateSession { .. }
            | WriteRequest::CloseSession => return None,
        };
        let (mut znode_type, mut acl, mut modes) = (None, None, None);
        match request {
            WriteRequest::Create(_, request) => znode_type = Some(mode(request.flags)?),
            WriteRequest::CreateTtl(request) => znode_type = Some(mode(request.flags)?),
            WriteRequest::SetAcl(request) => acl = Some(acl_text(request.acl.as_ref()?)),
            WriteRequest::Multi(request) => modes = modes_of(request),
            _ => {}
        }
        Some(Box::new(Asked {
            caller: caller(),
            operation,
            znode: znode.clone(),
            znode_type,
            acl,
            modes,
        }))
    }

    /// The lines, in their order.
    pub fn events(self, outcomes: Outcomes<'_>, into: &mut Vec<Event>) {
        match outcomes {
            Outcomes {
                txn: Txn::Error(_), ..
            } => into.push(self.failed()),
            Outcomes {
                applied: Applied::Multi(outcomes),
                ..
            } => self.multi(outcomes, into),
            Outcomes {
                applied: Applied::One(outcome),
                ..
            } => {
                let result = match outcome.err {
                    ErrorCode::OK => Verdict::Success,
                    _ => Verdict::Failure,
                };
                let znode = outcome.path.clone();
                into.push(Event {
                    znode_type: self.znode_type,
                    acl: self.acl.clone(),
                    ..self.event(self.operation, znode, result)
                });
            }
        }
    }

    fn failed(self) -> Event {
        Event {
            znode_type: self.znode_type,
            acl: self.acl.clone(),
            ..self.event(self.operation, self.znode.clone(), Verdict::Failure)
        }
    }

    /// Source: `AuditHelper.logMultiOperation`.
    fn multi(self, outcomes: &[Outcome], into: &mut Vec<Event>) {
        let Some(modes) = &self.modes else { return };
        for outcome in outcomes {
            let operation = match outcome.op {
                Op::Create | Op::Create2 | Op::CreateTtl | Op::CreateContainer => "create",
                Op::Delete | Op::DeleteContainer => "delete",
                Op::SetData => "setData",
                _ => continue,
            };
            let created = outcome.path.as_ref().filter(|_| operation == "create");
            into.push(Event {
                // By the name that was asked for, so that there is none for a sequential znode.
                znode_type: created.and_then(|path| modes.get(path)).copied(),
                ..self.event(operation, outcome.path.clone(), Verdict::Success)
            });
        }
        if outcomes.iter().any(|outcome| outcome.op == Op::Error) {
            into.push(self.event(self.operation, None, Verdict::Failure));
        }
    }

    fn event(&self, operation: &'static str, znode: Option<Str>, result: Verdict) -> Event {
        of_client(&self.caller, operation, znode, result)
    }
}

/// The line for a write whose body cannot be decoded. A follower of Java's tells only of those that it needs not look
/// into for that; whoever `judges` it has what was read before the mistake, which here is nothing.
pub fn undecodable(op: Op, judges: bool, caller: impl FnOnce() -> Caller) -> Option<Event> {
    let (operation, znode_type) = match op {
        Op::Multi => ("multiOperation", None),
        Op::Reconfig => ("reconfig", None),
        Op::Create | Op::Create2 | Op::CreateTtl | Op::CreateContainer if judges => {
            ("create", mode(0))
        }
        Op::Delete if judges => ("delete", None),
        Op::SetData if judges => ("setData", None),
        _ => return None,
    };
    Some(Event {
        znode_type,
        ..of_client(&caller(), operation, None, Verdict::Failure)
    })
}

fn of_client(
    caller: &Caller,
    operation: &'static str,
    znode: Option<Str>,
    result: Verdict,
) -> Event {
    Event {
        session: Some(caller.session),
        user: caller.users.clone(),
        ip: Some(caller.ip.clone()),
        operation,
        znode,
        result: Some(result),
        ..Event::default()
    }
}

/// What a create's flags ask for, in lower case. Source: `CreateMode.fromFlag`.
fn mode(flags: i32) -> Option<&'static str> {
    Some(match flags {
        0 => "persistent",
        1 => "ephemeral",
        2 => "persistent_sequential",
        3 => "ephemeral_sequential",
        4 => "container",
        5 => "persistent_with_ttl",
        6 => "persistent_sequential_with_ttl",
        _ => return None,
    })
}

/// What the creates of a multi make, by the path they name; of equal ones the last. Those with a time to live are not
/// among them. Source: `AuditHelper.getCreateModes`.
fn modes_of(request: &MultiRequest) -> Option<BTreeMap<Str, &'static str>> {
    let mut modes = BTreeMap::new();
    for op in &request.ops {
        let MultiOp::Create(_, create) = op else {
            continue;
        };
        let mode = mode(create.flags)?;
        if let (0..5, Some(path)) = (create.flags, &create.path) {
            modes.insert(path.clone(), mode);
        }
    }
    Some(modes)
}

/// Entries without anything between them. Source: `ZKUtil.aclToString`.
fn acl_text(acl: &[Acl]) -> String {
    const LETTERS: [(i32, char); 5] = [
        (perms::CREATE, 'c'),
        (perms::DELETE, 'd'),
        (perms::READ, 'r'),
        (perms::WRITE, 'w'),
        (perms::ADMIN, 'a'),
    ];
    let mut text = String::new();
    for entry in acl {
        let part = |part: &Option<Str>| part.clone().unwrap_or_else(|| "null".into());
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{}:{}:", part(&entry.id.scheme), part(&entry.id.id));
        let given = LETTERS
            .iter()
            .filter(|(bit, _)| entry.perms & bit != 0)
            .map(|(_, letter)| letter);
        text.extend(given);
    }
    text
}
