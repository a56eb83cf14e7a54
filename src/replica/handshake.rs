//! Connect requests: a new session, a resumed one, or none.
//!
//! Source: `ZooKeeperServer.processConnectRequest`, `reopenSession`, `finishSessionInit`.

use std::sync::Arc;
use std::time::Duration;

use jute::Op;
use jute::Writer;
use jute::proto::{ConnectRequest, ConnectResponse};

use super::conn::Conn;
use super::doubts::Doubt;
use super::lane::Lane;
use super::leading::Owner;
use super::learning::Asked;
use super::outbox::Wakes;
use super::queue::{Entry, Mark, Session, Wait};
use super::{Replica, body, no_identities};
use crate::base::flaw::Flaw;
use crate::base::{Now, SessionId};
use crate::prep::WriteRequest;
use crate::session::password;

impl Replica {
    /// Serves a connect request.
    pub(super) fn connect(&mut self, now: Now, conn: Arc<Conn>, request: &ConnectRequest) {
        if conn.outbox.is_closed() {
            return;
        }
        if !self.takes_clients() {
            conn.outbox.close(&mut self.wakes);
            return;
        }
        let fields = &request.fields;
        let last = self.gate.read(|tree| tree.last_zxid());
        if fields.last_zxid_seen > last.0 {
            // The client has seen what this server has not: it must look for another one.
            tracing::info!(
                "{}: refused, it has seen zxid {:#x} and ours is {last}",
                conn.remote,
                fields.last_zxid_seen
            );
            conn.outbox.close(&mut self.wakes);
            return;
        }
        let wanted = Duration::from_millis(fields.timeout.max(0) as u64);
        let timeout = wanted.clamp(
            self.options.min_session_timeout,
            self.options.max_session_timeout,
        );
        if fields.session_id == 0 {
            self.create(now, conn, timeout, request.read_only);
        } else {
            self.resume(now, conn, timeout, request);
        }
    }

    /// A new session is a transaction; the client is welcomed when it is applied.
    fn create(&mut self, now: Now, conn: Arc<Conn>, timeout: Duration, read_only: Option<bool>) {
        let gate = self.gate.clone();
        let mut id = self.ids.next_id();
        while gate.read(|tree| tree.session_timeout(id).is_some()) {
            // The clock may repeat after a reboot of the host, while sessions outlive it.
            id = self.ids.next_id();
        }
        let lane = Arc::new(Lane::new(id, timeout, now.mono));
        let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let request = WriteRequest::CreateSession { timeout };
        let orders = self.standing.orders();
        let mark = match orders {
            true => self.order(now, id, 0, &no_identities(), Owner::Here, &request),
            false => Mark::Forwarded,
        };
        if mark == Mark::Never {
            conn.outbox.close(&mut self.wakes);
            return;
        }
        let mut session = Session::new(lane);
        session.holder = Some(conn.id);
        session.conn = Some(conn.clone());
        let wait = Wait::Commit {
            mark,
            op: Op::CreateSession,
            read_only,
            asked: None,
        };
        session.queue.push_back(Entry {
            conn,
            xid: 0,
            received: now.mono,
            arrived: self.measures.at(),
            taken: self.measures.at(),
            wait,
            large: None,
        });
        if Flaw::WelcomeBeforeAgreed.is_made()
            && let Some(entry) = session.queue.front()
        {
            welcome(&entry.conn, &session.lane, read_only, &mut self.wakes);
        }
        self.sessions.insert(id, session);
        if !orders {
            self.forward(id, 0, Op::CreateSession, body::of(&request), None);
        }
    }

    /// A known, living session with the right password moves to this connection; its older connection is closed.
    ///
    /// Differs from Java: the password is checked first, so that a stranger cannot disconnect the rightful client.
    fn resume(&mut self, now: Now, conn: Arc<Conn>, timeout: Duration, request: &ConnectRequest) {
        let id = SessionId(request.fields.session_id);
        let read_only = request.read_only;
        self.measures.metrics.connection_revalidate_count.inc();
        if !password::matches(id, request.fields.password.as_deref()) {
            self.refuse(id, &conn, read_only);
            return;
        }
        self.leave_older(id);
        let asked = Asked {
            conn,
            timeout,
            read_only,
        };
        if !self.standing.orders() {
            self.ask(id, asked);
        } else if self.tracker.touch(id, timeout, now.mono) {
            self.own(id, Owner::Here);
            self.establish(now, id, &asked);
        } else {
            self.doubt(Doubt::Client { id, asked });
        }
    }

    /// The client of this session is on its way to another connection: its older one is closed, and nothing more of
    /// what it sent there counts. Source: `ServerCnxnFactory.closeSession` in `ZooKeeperServer.processConnectRequest`.
    fn leave_older(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.holder = None;
        if let Some(old) = session.conn.take() {
            old.outbox.close(&mut self.wakes);
        }
        // They would take effect behind what the client has sent by way of another server since.
        let (lane, held) = (session.lane.clone(), session.take_held());
        for entry in &held {
            self.drop_entry(&lane, entry);
        }
    }

    /// A session that lives, and whose client knows its password, is on this connection from now on.
    pub(super) fn establish(&mut self, now: Now, id: SessionId, asked: &Asked) {
        let Asked {
            conn,
            timeout,
            read_only,
        } = asked;
        let session = self.sessions.entry(id).or_insert_with(|| {
            let lane = Lane::new(id, *timeout, now.mono);
            Session::new(Arc::new(lane))
        });
        session.holder = Some(conn.id);
        if let Some(old) = session.conn.replace(conn.clone()) {
            old.outbox.close(&mut self.wakes);
        }
        session.lane.set_timeout(*timeout);
        session.lane.touch(now.mono);
        welcome(conn, &session.lane, *read_only, &mut self.wakes);
        let last = self.gate.read(|tree| tree.last_zxid());
        conn.stats
            .answered(Some(Op::CreateSession), 0, last.0, now.mono, now.mono);
    }

    /// There is no such session for this client.
    pub(super) fn refuse(&mut self, id: SessionId, conn: &Conn, read_only: Option<bool>) {
        tracing::info!(
            "session {id}: not resumed for {}, unknown or expired",
            conn.remote
        );
        send(
            conn,
            &ConnectResponse::refusal(read_only.map(|_| false)),
            &mut self.wakes,
        );
        conn.outbox.finish(&mut self.wakes);
    }
}

/// Tells the client its session; from now on the connection takes requests.
pub(super) fn welcome(conn: &Conn, lane: &Arc<Lane>, read_only: Option<bool>, wakes: &mut Wakes) {
    if Flaw::WelcomeBeforeAgreed.is_made() && conn.lane.get().is_some() {
        return;
    }
    let (_, timeout) = lane.last_heard();
    let response = ConnectResponse {
        timeout: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
        session_id: lane.session().0,
        password: password::of(lane.session()),
        read_only: read_only.map(|_| false),
    };
    // The lane first: whoever sees the answer may send requests.
    let first = conn.lane.set(lane.clone()).is_ok();
    assert!(
        first,
        "session {}: connection {} was welcomed twice",
        lane.session(),
        conn.id
    );
    send(conn, &response, wakes);
}

fn send(conn: &Conn, response: &ConnectResponse, wakes: &mut Wakes) {
    conn.outbox.reply(wakes, |out| {
        Writer::for_client(out).framed(|w| response.write(w))
    });
}
