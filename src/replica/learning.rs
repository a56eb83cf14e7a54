//! The side of a learner: what its clients want goes to the leader, and comes back as transactions and answers.
//!
//! ```text
//!   write, sync, new session -> the session's queue, then REQUEST -> ... -> applied, matched with the queue's head
//!   resumed session          -> REVALIDATE -> yes: the client is welcomed; no: refused
//!   last signs of life       -> in the answer to each ping
//! ```
//!
//! A leader's own clients come by here where they wait for the same: for a sync.
//! Source: `FollowerRequestProcessor`, `Learner`, `LearnerZooKeeperServer`, `LearnerSessionTracker`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jute::{Op, Writer};

use super::conn::Conn;
use super::leading::Owner;
use super::member::Standing;
use super::queue::{Mark, Wait};
use super::read::Progress;
use super::request::ReadRequest;
use super::{Replica, op_of};
use crate::auth::Identities;
use crate::base::{Now, SessionId, Zxid};
use crate::zab::packet::{Forwarded, Touch};

/// What a learner has asked, and has to tell, its leader.
#[derive(Debug, Default)]
pub(super) struct Learning {
    /// Connections whose sessions the leader was asked about, by session, oldest first.
    asked: BTreeMap<SessionId, VecDeque<Asked>>,
    /// Sessions that began on other servers since the last ping: that counts as a sign of life.
    pub(super) begun: Vec<Touch>,
}

/// A connection that waits for its session.
#[derive(Debug)]
pub(super) struct Asked {
    pub conn: Arc<Conn>,
    pub timeout: Duration,
    pub read_only: Option<bool>,
}

impl Learning {
    /// Nothing will be answered any more; those that waited.
    pub fn end(&mut self) -> Vec<Arc<Conn>> {
        self.begun.clear();
        let asked = std::mem::take(&mut self.asked).into_values().flatten();
        asked.map(|asked| asked.conn).collect()
    }
}

impl Replica {
    /// Hands a request to the leader. Its entry must be in the session's queue by now.
    pub(super) fn forward(
        &mut self,
        session: SessionId,
        cxid: i32,
        op: Op,
        body: Bytes,
        ids: Option<&Identities>,
    ) {
        self.measures.passed_on();
        self.peer.forward(Forwarded {
            session,
            cxid,
            op: op.into(),
            body,
            auth_info: ids.map(|ids| ids.to_vec()),
        });
    }

    /// Asks the leader to confirm that it leads; the entry is in the session's queue by now.
    pub(super) fn sync(&mut self, id: SessionId, xid: i32) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(Wait::Sync { ids, path }) = session.queue.back().map(|entry| &entry.wait) else {
            return;
        };
        let ids = ids.clone();
        let mut body = BytesMut::new();
        Writer::for_file(&mut body).text(path.as_deref());
        session.syncs += 1;
        self.syncs.push_back(session.lane.clone());
        match self.standing {
            Standing::Learning => self.forward(id, xid, Op::Sync, body.freeze(), Some(&ids)),
            _ => self.peer.sync(None),
        }
    }

    /// The oldest sync of this server is complete: it rides behind what its session sent before it.
    pub(super) fn synced(&mut self, now: Now) {
        let Some(lane) = self.syncs.pop_front() else {
            tracing::warn!(
                "the leader answered a sync that nobody waits for; harmless once, but if it goes on please \
                 report it with the leader's version"
            );
            return;
        };
        let id = lane.session();
        let session = self.sessions.get_mut(&id);
        let Some(session) = session.filter(|session| Arc::ptr_eq(&session.lane, &lane)) else {
            return;
        };
        let mut waits = session.queue.iter_mut().map(|entry| &mut entry.wait);
        let Some(wait) = waits.find(|wait| matches!(wait, Wait::Sync { .. })) else {
            return;
        };
        if let Wait::Sync { ids, path } = wait {
            *wait = Wait::Rider {
                ids: ids.clone(),
                request: ReadRequest::Sync(path.take()),
                progress: Progress::default(),
            };
        }
        session.syncs -= 1;
        self.release(now, id);
        let heads = |session: &super::Session| {
            matches!(
                session.queue.front().map(|e| &e.wait),
                Some(Wait::Rider { .. })
            )
        };
        if !self.lagging.contains_key(&id) && self.sessions.get(&id).is_some_and(heads) {
            self.catch_up_one(now, id, false);
        }
    }

    /// Orders the writes that were held back behind a sync, up to the next one.
    fn release(&mut self, now: Now, id: SessionId) {
        let mut at = 0;
        while let Some(session) = self.sessions.get_mut(&id) {
            let Some(entry) = session.queue.get_mut(at) else {
                return;
            };
            match &entry.wait {
                Wait::Sync { .. } => return,
                Wait::Held { ids, request } => {
                    let wait = Wait::Commit {
                        mark: Mark::Never,
                        op: op_of(request),
                        read_only: None,
                        asked: super::auditing::asked(&self.gate, id, &entry.conn, ids, request),
                    };
                    let (held, xid) = (std::mem::replace(&mut entry.wait, wait), entry.xid);
                    let Wait::Held { ids, request } = held else {
                        return;
                    };
                    let placed = self.order(now, id, xid, &ids, Owner::Here, &request);
                    self.mark(id, at, placed);
                }
                Wait::Commit { .. } | Wait::Rider { .. } => {}
            }
            at += 1;
        }
    }

    fn mark(&mut self, id: SessionId, at: usize, placed: Mark) {
        let session = self.sessions.get_mut(&id);
        let entry = session.and_then(|session| session.queue.get_mut(at));
        if let Some(Wait::Commit { mark, .. }) = entry.map(|entry| &mut entry.wait) {
            *mark = placed;
        }
    }

    /// A client brought a session along: only the leader knows whether it lives. Its further frames wait.
    pub(super) fn ask(&mut self, id: SessionId, asked: Asked) {
        let timeout_ms = i32::try_from(asked.timeout.as_millis()).unwrap_or(i32::MAX);
        self.learning.asked.entry(id).or_default().push_back(asked);
        self.peer.revalidate(Touch {
            session: id,
            timeout_ms,
        });
    }

    /// The leader's answer. Java forgets an older connection that waits for the same session.
    pub(super) fn revalidated(&mut self, now: Now, id: SessionId, valid: bool) {
        let Some(waiting) = self.learning.asked.get_mut(&id) else {
            tracing::warn!(
                "session {id}: the leader answered a question that nobody asked; harmless once, but if it goes \
                 on please report it with the leader's version"
            );
            return;
        };
        let asked = waiting.pop_front();
        if waiting.is_empty() {
            self.learning.asked.remove(&id);
        }
        match asked {
            // A client that hung up meanwhile has its session where it is.
            Some(asked) if asked.conn.outbox.is_closed() => {}
            Some(asked) if valid => self.establish(now, id, &asked),
            Some(asked) => self.refuse(id, &asked.conn, asked.read_only),
            None => {}
        }
    }

    /// Tells the leader which sessions gave a sign of life since it asked last.
    pub(super) fn report_touches(&mut self, last_proposed: Zxid) {
        let mut touched = std::mem::take(&mut self.learning.begun);
        for (id, session) in &mut self.sessions {
            let (heard, timeout) = session.lane.last_heard();
            if session.reported != Some(heard) {
                session.reported = Some(heard);
                touched.push(Touch {
                    session: *id,
                    timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
                });
            }
        }
        self.peer.touches(last_proposed, touched);
    }

    /// A transaction came that answers something behind the queue's head: what stood there is lost on its way. Nobody
    /// gets another's answer; the client is cut off and finds out by itself.
    pub(super) fn abandon(&mut self, id: SessionId) {
        tracing::error!(
            "session {id}: a write that was passed on to the leader is missing from its order; closing its \
             connection, so that \
             its client connects again and looks what was done. Please report this with the leader's version"
        );
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.unlag(id);
        session.lane.set_closing();
        for entry in session.queue {
            entry.conn.outbox.close(&mut self.wakes);
            self.drop_entry(&session.lane, &entry);
        }
        if let Some(conn) = session.conn {
            conn.outbox.close(&mut self.wakes);
        }
    }
}
