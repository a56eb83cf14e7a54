//! Sessions that a leader does not know, and whose clients wait.
//!
//! Another leader may have taken this one's place, and may know them: their clients would give up what is still there,
//! and their ephemerals would stay for their whole timeout. So nobody is told that a session is over before a quorum
//! has confirmed this leader, and has agreed on the end of the session if that was judged here. A leader that is
//! deposed says nothing; it stops soon, and the client looks for another server.
//!
//! Differs from Java, which answers at once. Source: `ZooKeeperServer.reopenSession`, `LeaderZooKeeperServer`,
//! `Leader.revalidateSession`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Replica;
use super::conn::Conn;
use super::leading::Owner;
use super::learning::Asked;
use crate::base::{Now, SessionId};
use crate::zab::io::LinkId;
use crate::zab::packet::Touch;

/// Who asked for a session that this leader does not know.
#[derive(Debug)]
pub(super) enum Doubt {
    /// A client of this server.
    Client { id: SessionId, asked: Asked },
    /// A client of a learner.
    Learner { link: LinkId, touch: Touch },
}

/// Those that wait for a quorum's word, oldest first.
#[derive(Debug, Default)]
pub(super) struct Doubts(VecDeque<Doubt>);

impl Doubts {
    /// Nothing will be confirmed any more; the connections that waited.
    pub fn end(&mut self) -> Vec<Arc<Conn>> {
        let waiting = self.0.drain(..).filter_map(|doubt| match doubt {
            Doubt::Client { asked, .. } => Some(asked.conn),
            Doubt::Learner { .. } => None,
        });
        waiting.collect()
    }
}

impl Replica {
    /// Lets somebody wait until it is sure that this server leads. Alone it always is.
    pub(super) fn doubt(&mut self, doubt: Doubt) {
        self.doubts.0.push_back(doubt);
        self.peer.confirm();
    }

    /// This server led when the oldest doubt came up, so that the session was over by then unless it is known now.
    pub(super) fn confirmed(&mut self, now: Now) {
        match self.doubts.0.pop_front() {
            // Nothing is agreed on any more, the end of a session neither, and this leadership is about to end.
            Some(doubt) if self.restoring.is_on() => {
                if let Doubt::Client { asked, .. } = doubt {
                    self.cut_off(&asked.conn);
                }
            }
            Some(Doubt::Learner { link, touch }) => {
                let lives = self.claim(now, link, touch);
                self.peer.revalidated(link, touch.session, lives);
            }
            // A client that hung up meanwhile needs no answer.
            Some(Doubt::Client { asked, .. }) if asked.conn.outbox.is_closed() => {}
            Some(Doubt::Client { id, asked }) => {
                if self.tracker.touch(id, asked.timeout, now.mono) {
                    self.own(id, Owner::Here);
                    self.establish(now, id, &asked);
                } else {
                    self.refuse(id, &asked.conn, asked.read_only);
                }
            }
            None => tracing::warn!("a quorum confirmed what nobody doubted"),
        }
    }
}
