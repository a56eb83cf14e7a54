//! A database that somebody sent takes the place of the one there is, in one durable step.
//!
//! ```text
//!   alone:   Waiting: nothing is under way any more -> Installing: the disk has it -> swapped, served again
//!   leader:  Waiting -> Storing: its disk has it, it goes on leading -> Offered: it stands for election with it
//!            -> served: a quorum has it
//! ```
//!
//! Every client is cut off and comes back to the new database: a session that it knows goes on, another one has
//! expired. A standalone server counts on from its own last zxid, or from the database's if that is later, so no zxid
//! is given out twice.
//!
//! In an ensemble the leader takes it, and gives it the next position of its epoch, like a transaction that is in its
//! log alone. Then it stands for election: nobody's log reaches further, so it leads again if it takes part at all, and
//! everybody gets a snapshot from it. If it does not, because it died or was cut off, the ensemble goes on without it
//! and cuts it off like any transaction that no quorum had. A learner has no position to give, and refuses.
//!
//! Source: `ZooKeeperServer.restoreFromSnapshot`. Differs from Java, which replaces the database of one member at a
//! time and at whatever position, forgets it again at the next start, and leaves clients connected without their
//! watches.

use std::collections::VecDeque;
use std::time::Duration;

use super::io::RestoreRefused;
use super::member::Standing;
use super::{DiskOp, Input, Output, Replica};
use crate::base::{Epoch, Mono, Now, ServerId, Zxid};
use crate::tree::Tree;
use crate::zab::Peer;
use crate::zab::io::Done;

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
    /// The disk of a leader is at it, or about to be.
    Storing { tree: Option<Box<Tree>> },
    /// It is durable here, and the ensemble may take it.
    Offered {
        /// Whoever asked does not wait for longer.
        until: Mono,
    },
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

    /// Whether there is one, so that nothing is proposed.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self, Restoring::No)
    }

    /// Whether nothing else may happen.
    pub(super) fn is_installing(&self) -> bool {
        matches!(self, Restoring::Installing { .. })
    }

    /// Whether what the disk installs next is what was sent.
    pub(super) fn is_at_the_disk(&self) -> bool {
        matches!(
            self,
            Restoring::Installing { .. } | Restoring::Storing { tree: None }
        )
    }

    /// What a leader's disk is to install, if it is what was sent.
    pub(super) fn hand_over(&mut self) -> Option<Box<Tree>> {
        match self {
            Restoring::Storing { tree } => tree.take(),
            _ => None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        match self {
            Restoring::Waiting { until, .. } | Restoring::Offered { until } => Some(*until),
            _ => None,
        }
    }
}

impl Replica {
    /// Somebody wants `tree` in the place of the one there is.
    pub(super) fn restore(&mut self, now: Now, tree: Box<Tree>) {
        if let Some(refusal) = self.why_not_restore(tree.reach()) {
            self.outputs.push(Output::Discard(tree));
            self.outputs.push(Output::Restored(Err(refusal)));
            return;
        }
        self.counters.restore(true);
        match self.standing {
            Standing::Alone => self.look(),
            _ => self.peer.close(),
        }
        let until = now.mono + PATIENCE;
        self.restoring = Restoring::Waiting { tree, until };
    }

    fn why_not_restore(&self, reach: Zxid) -> Option<RestoreRefused> {
        let last = Epoch(Epoch::LAST.0 - 2);
        match (&self.restoring, self.standing) {
            (Restoring::No, Standing::Looking) => Some(RestoreRefused::NoLeader),
            (Restoring::No, Standing::Learning) => {
                let leader = self.peer.leader().unwrap_or(ServerId(0));
                Some(RestoreRefused::NotLeading(leader))
            }
            (Restoring::No, _) if reach.epoch() >= last => Some(RestoreRefused::NoEpochLeft(reach)),
            (Restoring::No, _) => None,
            _ => Some(RestoreRefused::Busy),
        }
    }

    /// Hands the database to the disk once nothing is under way.
    pub(super) fn go_on_restoring(&mut self, now: Now) {
        if let Restoring::Offered { until } = self.restoring
            && now.mono >= until
        {
            self.conclude(Err(RestoreRefused::Undecided));
        }
        let Restoring::Waiting { until, .. } = &self.restoring else {
            return;
        };
        let member = self.member.is_some();
        let refusal = match self.peer.is_settled() {
            _ if member && self.standing == Standing::Looking => Some(RestoreRefused::NoLeader),
            true => None,
            false if member && now.mono >= *until => Some(RestoreRefused::NeverQuiet),
            false => return,
        };
        let Restoring::Waiting { tree, .. } = std::mem::take(&mut self.restoring) else {
            return;
        };
        match refusal {
            None if member => self.store(now, tree),
            None => self.install_alone(tree),
            Some(refusal) => self.give_up_restoring(now, tree, refusal),
        }
    }

    /// A leader that proposes nothing any more is of no use.
    fn give_up_restoring(&mut self, now: Now, tree: Box<Tree>, refusal: RestoreRefused) {
        self.peer
            .step_down(now.mono, "a restore came to nothing (see the answer to it)");
        self.drain(now);
        self.outputs.push(Output::Discard(tree));
        self.conclude(Err(refusal));
    }

    fn conclude(&mut self, outcome: Result<(), RestoreRefused>) {
        self.restoring = Restoring::No;
        self.counters.restore(false);
        self.outputs.push(Output::Restored(outcome));
    }

    /// As a leader: makes it durable, and goes on leading meanwhile, so that nobody else begins to.
    fn store(&mut self, now: Now, tree: Box<Tree>) {
        say(&tree, "this ensemble's");
        self.restoring = Restoring::Storing { tree: Some(tree) };
        if self.peer.supersede() {
            self.go_back(true);
            self.drain(now);
        } else if let Some(tree) = self.restoring.hand_over() {
            self.give_up_restoring(now, tree, RestoreRefused::NoLeader);
        }
    }

    fn install_alone(&mut self, tree: Box<Tree>) {
        say(&tree, "this server's");
        let zxid = self.peer.last_logged().max(tree.reach());
        self.go_back(true);
        self.restoring = Restoring::Installing {
            held: VecDeque::new(),
        };
        let install = DiskOp::InstallSnapshot { zxid, tree };
        self.outputs.push(Output::Disk(install));
    }

    /// It is durable here.
    pub(super) fn restored(&mut self, now: Now, tree: Box<Tree>) {
        match std::mem::take(&mut self.restoring) {
            Restoring::Installing { held } => self.restored_alone(now, tree, held),
            _ => {
                self.restoring = Restoring::Offered {
                    until: now.mono + ELECTION,
                };
                self.peer.tree_reaches(tree.reach());
                // With this the leadership ends, if it has not already, and clients are cut off.
                self.done(now, Done::Installed);
                self.drain(now);
                self.replace_tree(tree);
                self.going_back = false;
            }
        }
    }

    fn restored_alone(&mut self, now: Now, tree: Box<Tree>, held: VecDeque<Input>) {
        let last: Zxid = tree.last_zxid();
        self.replace_tree(tree);
        self.going_back = false;
        let gate = self.gate.clone();
        self.peer = Peer::standalone(last);
        self.standing = Standing::Alone;
        let prep = &mut self.prep;
        gate.read(|tree| prep.reset(tree));
        gate.read(|tree| self.track_all(now, tree));
        let orphans = gate.read(Tree::orphan_sessions);
        self.close_orphans(now, orphans);
        self.drain(now);
        self.conclude(Ok(()));
        for input in held {
            self.step(now, input);
        }
    }

    /// This server serves: its history is that of a quorum.
    pub(super) fn keep_restored(&mut self) {
        if matches!(self.restoring, Restoring::Offered { .. }) {
            self.conclude(Ok(()));
        }
    }

    /// What this server's log held is not what a quorum has.
    pub(super) fn lose_restored(&mut self) {
        if matches!(self.restoring, Restoring::Offered { .. }) {
            self.conclude(Err(RestoreRefused::Lost));
        }
    }
}

fn say(tree: &Tree, whose: &str) {
    tracing::warn!(
        "restore: a database of {} znodes, written at {}, takes the place of {whose}",
        tree.znode_count(),
        tree.last_zxid()
    );
}

/// How long a member waits for what is under way.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long whoever asked waits for a quorum that takes it.
const ELECTION: Duration = Duration::from_secs(120);
