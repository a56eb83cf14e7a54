//! What clients are promised.
//!
//! - *Nothing acknowledged is lost* (D3): what a client was told stands in the order, and no later leader is without.
//! - *Session order*: replies come in the order of requests; a pipelined write never succeeds after an earlier one of
//!   its connection was lost; zxids never go back, whatever server the client is on.
//! - *Real time*: a write, and a sync, is behind everything that was acknowledged to anybody before it was sent.
//!
//! Source: ZooKeeper programmer's guide, "Consistency Guarantees"; zab.md 6.6, 12.

use std::collections::BTreeMap;

use jute::ErrorCode;
use rustc_hash::FxHashMap;

use super::leadership::Leadership;
use super::order::Order;
use super::{Held, holds};
use crate::base::{SessionId, Zxid};

/// What clients sent and were told.
#[derive(Default)]
pub(in crate::sim) struct Sessions {
    /// The newest write that anybody was told of.
    pub(in crate::sim) newest: Zxid,
    /// For each write the one before it on the same connection.
    before: FxHashMap<(SessionId, i32), i32>,
    last_of_wire: BTreeMap<(usize, SessionId), i32>,
    /// The last write of a session that was agreed on.
    last_agreed: FxHashMap<SessionId, i32>,
    looked_at: usize,
    /// Acknowledged writes.
    pub(in crate::sim) acknowledged: u64,
}

impl Sessions {
    /// A client sends a write over a connection.
    pub(in crate::sim) fn sent(&mut self, session: SessionId, wire: usize, cxid: i32) {
        if let Some(before) = self.last_of_wire.insert((wire, session), cxid) {
            self.before.insert((session, cxid), before);
        }
    }

    /// Looks at what was agreed on since the last look.
    pub(in crate::sim) fn look(&mut self, order: &Order) -> Held {
        while self.looked_at < order.len() {
            let agreed = order.nth(self.looked_at);
            self.looked_at += 1;
            let (session, cxid) = (agreed.session, agreed.cxid);
            if cxid <= 0 || !agreed.took_effect {
                continue;
            }
            if let Some(before) = self.before.get(&(session, cxid)) {
                let there = order.writes.get(&(session, *before));
                holds(
                    there.is_some_and(|zxid| *zxid < agreed.zxid),
                    "session order: nothing succeeds behind a lost write of its connection",
                    || {
                        format!(
                            "{} is request {cxid} of session {session}, and {before} is {there:?}",
                            agreed.zxid
                        )
                    },
                )?;
            }
            let last = self.last_agreed.insert(session, cxid);
            holds(
                last < Some(cxid),
                "session order: writes of a session take effect in its order",
                || format!("{}: {cxid} of {session} after {last:?}", agreed.zxid),
            )?;
        }
        Ok(())
    }

    /// A client is told the outcome of a write; `floor` is what was known when it was sent.
    pub(in crate::sim) fn told(
        &mut self,
        order: &Order,
        leadership: &Leadership,
        write: (SessionId, i32),
        floor: Zxid,
        answer: (Zxid, ErrorCode),
    ) -> Held {
        let ((session, cxid), (zxid, err)) = (write, answer);
        let agreed = order.at(zxid);
        holds(
            agreed.is_some_and(|agreed| {
                (agreed.session, agreed.cxid, agreed.err) == (session, cxid, err)
            }),
            "nothing acknowledged is lost",
            || {
                format!(
                    "session {session} is told that {cxid} was {zxid} with {err:?}; there is {agreed:?}"
                )
            },
        )?;
        holds(
            zxid > floor,
            "real time: a write is behind what was known",
            || {
                format!(
                    "{cxid} of session {session} is {zxid}, and {floor} was known when it was sent"
                )
            },
        )?;
        let later = leadership.next_after(zxid.epoch());
        holds(
            later.is_none_or(|(_, end)| end >= zxid),
            "nothing acknowledged is lost",
            || format!("{zxid} is acknowledged and not in the history of {later:?}"),
        )?;
        self.acknowledged += 1;
        self.newest = self.newest.max(zxid);
        Ok(())
    }
}
