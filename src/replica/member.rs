//! A server in its ensemble: when it serves, and from which tree.
//!
//! ```text
//!   Looking:  every client is cut off, nothing waits any more; the tree stays
//!   Serving:  the tree stands at the epoch's marker and sessions begin anew
//! ```
//!
//! Source: `QuorumPeer.run`, `ZooKeeperServer.shutdown`, `Leader.startZkServer`, `Learner.syncWithLeader`.

use std::collections::BTreeSet;

use super::conn::Conn;
use super::lane::Lane;
use super::leading::{Owner, millis};
use super::queue::Entry;
use super::reaper::Reaper;
use super::status::{EnsembleStatus, LearnerCounts};
use super::{DiskOp, Input, Output, Replica, no_identities};
use crate::base::{Epoch, Now, ServerId, SessionId, WallMs, Zxid, path};
use crate::prep::WriteRequest;
use crate::tree::Tree;
use crate::zab::Proposal;
use crate::zab::io::{LearnerKind, LinkId, Role};

/// What a server may do for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything: it is no member of an ensemble.
    Alone,
    /// Nothing: there is no leader.
    Looking,
    /// Everything; learners' clients write through it, too.
    Leading,
    /// Reads; the leader orders.
    Learning,
}

/// What a member of an ensemble has to know of it here.
#[derive(Debug)]
pub(super) struct Membership {
    /// Text of the configuration, for `/zookeeper/config`.
    pub config: bytes::Bytes,
    /// Its version.
    pub config_version: i64,
    /// Who votes.
    pub voters: BTreeSet<ServerId>,
    /// Whether clients are served while this server leads.
    pub leader_serves: bool,
}

/// A tree on its way from a leader, which nobody sees.
#[derive(Debug)]
pub(super) struct Received {
    link: LinkId,
    tree: Box<Tree>,
}

impl Standing {
    /// Whether this server orders.
    pub fn orders(self) -> bool {
        matches!(self, Standing::Alone | Standing::Leading)
    }
}

impl Replica {
    /// Whether clients may come: there is a leader, and it is not one that leaves them to others.
    pub(super) fn takes_clients(&self) -> bool {
        match self.standing {
            Standing::Looking => false,
            Standing::Leading => self
                .member
                .as_ref()
                .is_none_or(|member| member.leader_serves),
            Standing::Alone | Standing::Learning => true,
        }
    }

    /// The leader is lost: clients are cut off before anything else, so that none of their reads is served from
    /// here on, and what waits is dropped without an answer.
    pub(super) fn look(&mut self) {
        self.standing = Standing::Looking;
        self.discard_received();
        for conn in self.gate.conns() {
            if conn.lane.get().is_some() {
                self.cut_off(&conn);
            }
        }
        let mut sessions: Vec<_> = std::mem::take(&mut self.sessions).into_iter().collect();
        sessions.sort_unstable_by_key(|(id, _)| *id);
        for (_, session) in &sessions {
            session.lane.set_closing();
        }
        for (id, session) in sessions {
            self.unlag(id);
            for entry in session.queue {
                self.cut_off(&entry.conn);
                self.drop_entry(&session.lane, &entry);
            }
        }
        for input in self.throttle.take_waiting() {
            self.drop_input(input);
        }
        for waiting in self.learning.end() {
            self.cut_off(&waiting);
        }
        for conn in self.doubts.end() {
            self.cut_off(&conn);
        }
        self.syncs.clear();
        self.owners.clear();
        self.tracker.clear();
        let prep = &mut self.prep;
        self.gate.read(|tree| prep.reset(tree));
        self.counters.metrics.stats.proposal_size.reset();
        self.publish(EnsembleStatus::default());
    }

    pub(super) fn cut_off(&mut self, conn: &Conn) {
        if !conn.outbox.has_last_word() {
            conn.outbox.close(&mut self.wakes);
        }
    }

    /// An entry will never be answered.
    pub(super) fn drop_entry(&mut self, lane: &Lane, entry: &Entry) {
        if entry.is_counted() {
            self.leave(lane, &entry.conn, entry.xid);
        }
    }

    /// An input that the throttle held back will never be let in.
    fn drop_input(&mut self, input: Input) {
        match input {
            Input::Request {
                conn, lane, xid, ..
            } => {
                self.cut_off(&conn);
                self.uncount(&lane, &conn, xid);
            }
            Input::Connect { conn, .. } => self.cut_off(&conn),
            _ => {}
        }
    }

    /// Everything agreed before `epoch` is applied: clients may come.
    pub(super) fn serve(&mut self, now: Now, role: Role, epoch: Epoch) {
        self.measures.serve(now.mono, role);
        let what = match role {
            Role::Leading => "leader",
            Role::Following => "follower",
            Role::Observing => "observer",
        };
        tracing::info!("serving as {what} in epoch {}", epoch.0);
        self.discard_received();
        let marker = Zxid::first_of(epoch);
        let gate = self.gate.clone();
        let mut tree = gate.write();
        tree.begin_epoch(marker);
        if let Some(member) = &self.member {
            let WallMs(time) = now.wall;
            tree.set_config(&member.config, member.config_version, time);
            // A write like any other to Java's metrics.
            self.measures.wrote(path::CONFIG, member.config.len());
        }
        self.prep.reset(&tree);
        self.standing = match role {
            Role::Leading => Standing::Leading,
            Role::Following | Role::Observing => Standing::Learning,
        };
        let mut orphans = Vec::new();
        if role == Role::Leading {
            self.track_all(now, &tree);
            orphans = tree.orphan_sessions();
        }
        drop(tree);
        self.publish(EnsembleStatus {
            role: Some(role),
            place: self.peer.place(),
            leader: self.peer.leader(),
            epoch,
            since: now.mono,
            ..EnsembleStatus::default()
        });
        self.close_orphans(now, orphans);
        self.keep_restored();
    }

    /// A leader that is new has heard of nobody yet: each session has its whole timeout.
    pub(super) fn track_all(&mut self, now: Now, tree: &Tree) {
        for (id, timeout_ms) in tree.sessions() {
            self.tracker.track(id, millis(timeout_ms), now.mono);
        }
        self.looked = now.mono;
        self.reaper = Reaper::new(self.options.reaper, now.mono);
    }

    /// Ephemerals without a session are deleted by a transaction, so that every log tells of it.
    pub(super) fn close_orphans(&mut self, now: Now, orphans: Vec<SessionId>) {
        for session in orphans {
            self.order_own(now, session, &WriteRequest::CloseSession);
        }
    }

    /// As a server's own wish.
    pub(super) fn order_own(&mut self, now: Now, session: SessionId, request: &WriteRequest) {
        let ids = no_identities();
        self.order(now, session, 0, &ids, Owner::Here, request);
    }

    /// A transaction of an earlier epoch, or of the synchronization. The tree may hold it, or a part of it, if a
    /// Java server made it or sent it, so nothing is compared.
    pub(super) fn replay(&mut self, proposal: &Proposal) {
        let txn = &proposal.txn;
        let mut changes = Vec::new();
        let gate = self.gate.clone();
        gate.write()
            .replay_telling(&txn.header, &txn.txn, &mut changes);
        self.audit_replayed(proposal, &changes);
    }

    /// A snapshot arrived. Late ones of a leader that was given up are dropped.
    pub(super) fn receive(&mut self, link: LinkId, tree: Box<Tree>) {
        let known = self.received.as_ref();
        if known.is_some_and(|known| known.link > link) {
            self.outputs.push(Output::Discard(tree));
            return;
        }
        self.discard_received();
        self.received = Some(Received { link, tree });
    }

    fn discard_received(&mut self) {
        if let Some(Received { tree, .. }) = self.received.take() {
            self.outputs.push(Output::Discard(tree));
        }
    }

    /// The connection a snapshot came over is gone.
    pub(super) fn forget_received(&mut self, lost: LinkId) {
        let received = self.received.as_ref();
        if received.is_some_and(|received| received.link == lost) {
            self.discard_received();
        }
    }

    pub(super) fn apply_to_received(&mut self, proposal: &Proposal) {
        if let Some(Received { tree, .. }) = &mut self.received {
            let (txn, mut changes) = (&proposal.txn, Vec::new());
            tree.replay_telling(&txn.header, &txn.txn, &mut changes);
            self.audit_replayed(proposal, &changes);
        }
    }

    /// The received tree goes to the disk, and comes back as [`Input::Installed`].
    pub(super) fn install(&mut self, zxid: Zxid) {
        let received = self.received.take().map(|received| received.tree);
        let Some(tree) = self.restoring.hand_over().or(received) else {
            panic!("{zxid}: nothing was received that could be installed");
        };
        self.outputs
            .push(Output::Disk(DiskOp::InstallSnapshot { zxid, tree }));
    }

    /// The disk is about to cut the log, and the tree may go back with it: a snapshot of what it holds now must not be
    /// finished, or it would bring all of that back.
    pub(super) fn go_back(&mut self, reload: bool) {
        self.going_back = reload;
        if reload {
            self.gate.write().end_view();
        }
    }

    /// Puts `tree` in the place of the one there is. Nobody is served, so nobody watches it; a snapshot that is being
    /// written of the old one sees that it is [gone](crate::tree::Frozen::is_of).
    pub(super) fn replace_tree(&mut self, mut tree: Box<Tree>) {
        assert!(
            self.standing == Standing::Looking,
            "the tree is replaced while clients are served"
        );
        std::mem::swap(&mut *self.gate.write(), &mut *tree);
        self.digest_differed = false;
        self.outputs.push(Output::Discard(tree));
    }

    fn publish(&mut self, status: EnsembleStatus) {
        self.ensemble = status;
        self.counters.publish(status);
    }

    /// Publishes what has changed of the picture of the ensemble.
    pub(super) fn publish_ensemble(&mut self) {
        if self.member.is_none() {
            return;
        }
        self.counters.propose(self.peer.outstanding_bytes());
        let desertions = self.peer.take_desertions();
        if desertions > 0 {
            let metrics = &self.measures.metrics;
            metrics.quit_leading_due_to_disloyal_voter.add(desertions);
        }
        let mut status = self.ensemble;
        status.leader = self.peer.leader();
        status.place = self.peer.place();
        if status.leader.is_some() {
            self.measures.elected(self.looked);
        }
        status.pending_syncs = self.peer.pending_syncs();
        status.learners = self.count_learners();
        if status != self.ensemble {
            self.publish(status);
        }
    }

    fn count_learners(&self) -> LearnerCounts {
        let mut counts = LearnerCounts::default();
        for (server, kind, synced) in self.peer.learners() {
            counts.connected += 1;
            match kind {
                LearnerKind::Follower if synced => {
                    counts.followers += 1;
                    counts.non_voting_followers += usize::from(!self.votes(server));
                }
                LearnerKind::Observer if synced => counts.observers += 1,
                _ => {}
            }
        }
        counts
    }
}
