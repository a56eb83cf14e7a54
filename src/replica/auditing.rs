//! What a server has to tell its audit log, gathered under the guard of the tree and told behind it.

use jute::Op;
use jute::txn::Txn;

use super::Replica;
use super::conn::Conn;
use super::gate::Gate;
use super::read::Read;
use super::write::has_moved;
use crate::audit::{self, Asked, Caller, Outcomes};
use crate::auth;
use crate::base::SessionId;
use crate::prep::WriteRequest;
use crate::tree::{Applied, Change};
use crate::zab::Proposal;

/// What has to be kept of `request`; None where no audit log is kept.
pub(super) fn asked(
    gate: &Gate,
    session: SessionId,
    conn: &Conn,
    ids: &[jute::data::Id],
    request: &WriteRequest,
) -> Option<Box<Asked>> {
    gate.audit_user()?;
    Asked::of(request, || caller(session, conn, ids))
}

fn caller(session: SessionId, conn: &Conn, ids: &[jute::data::Id]) -> Caller {
    Caller {
        session,
        users: auth::user_names(ids),
        ip: auth::address_text(conn.remote.ip()).into(),
    }
}

impl Replica {
    /// A client's write is applied or refused.
    ///
    /// A multi of a session that moved away is not told of by the server that refused it, as in Java, where the
    /// exception of that comes first.
    pub(super) fn audit(&mut self, asked: Asked, txn: &Txn, applied: &Applied) {
        let untold = matches!(txn, Txn::Multi(_)) && has_moved(txn) && self.standing.orders();
        if !untold {
            asked.events(Outcomes { txn, applied }, &mut self.audited);
        }
    }

    /// A session ended, and `changes` came of it.
    pub(super) fn audit_end(&mut self, session: SessionId, changes: &[Change]) {
        if let Some(user) = self.gate.audit_user() {
            self.audited
                .extend(audit::ephemerals_gone(user, session, changes));
        }
    }

    /// A transaction came to this tree on its way into the ensemble.
    pub(super) fn audit_replayed(&mut self, proposal: &Proposal, changes: &[Change]) {
        let txn = &proposal.txn;
        if matches!(txn.txn, Txn::CloseSession(_)) {
            self.audit_end(SessionId(txn.header.client_id), changes);
        }
    }

    /// Tells everything gathered; nobody holds the tree.
    pub(super) fn tell_audited(&mut self) {
        for event in self.audited.drain(..) {
            event.tell();
        }
    }
}

impl Read<'_> {
    /// A write whose body makes no sense is answered like a read.
    pub(super) fn audit_undecodable(&self, op: Op) {
        if self.gate.audit_user().is_some() {
            let caller = || caller(self.session, self.conn, self.ids);
            if let Some(event) = audit::undecodable(op, self.gate.answers_syncs(), caller) {
                event.tell();
            }
        }
    }
}
