//! A database that somebody sent takes the place of the one there is, in one durable step.
//!
//! ```text
//!   Restore -> Waiting: nothing is under way any more -> Installing: the disk has it -> swapped, served again
//! ```
//!
//! Every client is cut off and comes back to the new database: a session that it knows goes on, another one has
//! expired. A standalone server counts on from its own last zxid, or from the database's if that is later, so no zxid
//! is given out twice. A member keeps its place in the order: it leaves its ensemble for a moment and comes back with
//! another content at the same position. Nothing is replicated: every member has to be given the same.
//!
//! Source: `ZooKeeperServer.restoreFromSnapshot`. Differs from Java, which forgets the database again at the next
//! start, and which leaves clients connected but without their watches.

use std::collections::VecDeque;
use std::time::Duration;

use super::io::RestoreRefused;
use super::member::Standing;
use super::{DiskOp, Input, Output, Replica};
use crate::base::{Mono, Now, Zxid};
use crate::tree::Tree;
use crate::zab::Peer;

/// How far a restore has come.
#[derive(Debug, Default)]
pub(super) enum Restoring {
    /// There is none.
    #[default]
    No,
    /// What is under way is finished first.
    Waiting {
        tree: Box<Tree>,
        /// A member does not wait for longer.
        until: Mono,
    },
    /// The disk is at it. Nothing else happens meanwhile.
    Installing { held: VecDeque<Input> },
}

impl Restoring {
    /// Gives back what may happen now, and keeps the rest.
    pub(super) fn let_in(&mut self, input: Input) -> Option<Input> {
        match self {
            Restoring::Installing { held } if !matches!(input, Input::Installed { .. }) => {
                held.push_back(input);
                None
            }
            _ => Some(input),
        }
    }

    pub(super) fn is_installing(&self) -> bool {
        matches!(self, Restoring::Installing { .. })
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        match self {
            Restoring::Waiting { until, .. } => Some(*until),
            _ => None,
        }
    }
}

impl Replica {
    /// Somebody wants `tree` in the place of the one there is.
    pub(super) fn restore(&mut self, now: Now, tree: Box<Tree>) {
        let refusal = match (&self.restoring, self.standing) {
            (Restoring::No, Standing::Looking) => Some(RestoreRefused::NoLeader),
            (Restoring::No, _) => None,
            _ => Some(RestoreRefused::Busy),
        };
        if let Some(refusal) = refusal {
            self.refuse_restore(tree, refusal);
            return;
        }
        if self.standing == Standing::Alone {
            self.look();
        }
        let until = now.mono + PATIENCE;
        self.restoring = Restoring::Waiting { tree, until };
    }

    fn refuse_restore(&mut self, tree: Box<Tree>, refusal: RestoreRefused) {
        self.outputs.push(Output::Discard(tree));
        self.outputs.push(Output::Restored(Err(refusal)));
    }

    /// Hands the database to the disk once nothing is under way.
    pub(super) fn go_on_restoring(&mut self, now: Now) {
        let Restoring::Waiting { until, .. } = &self.restoring else {
            return;
        };
        let late = self.member.is_some() && now.mono >= *until;
        let lost = self.member.is_some() && self.standing == Standing::Looking;
        let settled = self.peer.is_settled();
        if !settled && !late && !lost {
            return;
        }
        let waiting = std::mem::take(&mut self.restoring);
        let Restoring::Waiting { tree, .. } = waiting else {
            return;
        };
        if lost || !settled {
            let refusal = match lost {
                true => RestoreRefused::NoLeader,
                false => RestoreRefused::NeverQuiet,
            };
            self.refuse_restore(tree, refusal);
            return;
        }
        self.install_restored(now, tree);
    }

    fn install_restored(&mut self, now: Now, tree: Box<Tree>) {
        let own = self.peer.last_logged();
        let zxid = match self.member.is_some() {
            true => {
                let why = "its database is replaced by one that was sent (restore)";
                self.peer.step_down(now.mono, why);
                self.drain(now);
                own
            }
            false => own.max(tree.last_zxid()),
        };
        tracing::warn!(
            "restore: a database of {} znodes, written at {}, takes the place of this server's at {zxid}",
            tree.znode_count(),
            tree.last_zxid()
        );
        self.go_back(true);
        self.restoring = Restoring::Installing {
            held: VecDeque::new(),
        };
        let install = DiskOp::InstallSnapshot { zxid, tree };
        self.outputs.push(Output::Disk(install));
    }

    /// It is durable: from here on it is what there is.
    pub(super) fn restored(&mut self, now: Now, tree: Box<Tree>) {
        let Restoring::Installing { held } = std::mem::take(&mut self.restoring) else {
            return;
        };
        let last: Zxid = tree.last_zxid();
        self.replace_tree(tree);
        self.going_back = false;
        let gate = self.gate.clone();
        if self.member.is_none() {
            self.peer = Peer::standalone(last);
            self.standing = Standing::Alone;
        }
        let prep = &mut self.prep;
        gate.read(|tree| prep.reset(tree));
        if self.standing == Standing::Alone {
            gate.read(|tree| self.track_all(now, tree));
            let orphans = gate.read(Tree::orphan_sessions);
            self.close_orphans(now, orphans);
        }
        self.drain(now);
        self.outputs.push(Output::Restored(Ok(())));
        for input in held {
            self.step(now, input);
        }
    }
}

/// How long a member waits for writes to end.
const PATIENCE: Duration = Duration::from_secs(10);
