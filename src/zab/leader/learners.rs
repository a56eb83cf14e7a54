//! What a leader knows of each of its learners.

use std::collections::VecDeque;

use super::super::io::{LearnerKind, LinkId};
use super::super::packet::FromLeader;
use crate::base::{Epoch, Mono, ServerId, Zxid};

/// How far a learner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Registered; waits for the epoch to be decided.
    Waiting,
    /// Has LEADERINFO; its ACKEPOCH is awaited.
    Informed,
    /// Has acknowledged the epoch and waits for a quorum to have done so.
    Acknowledged {
        /// Where its log ends.
        last: Zxid,
    },
    /// The log on disk is being asked about its position.
    Probing {
        /// Where its log ends.
        last: Zxid,
    },
    /// A snapshot for it is being made.
    Snapshotting,
    /// It gets history; everything up to `sent` is in its queue.
    Feeding {
        /// The last transaction sent.
        sent: Zxid,
        /// Whether a read of the log, or room in its queue, is awaited.
        waits: Waits,
    },
    /// It has NEWLEADER and everything before, and gets live proposals.
    Promised,
    /// It has acknowledged NEWLEADER; the epoch is not established yet.
    Synced,
    /// It was told UPTODATE.
    Live,
}

/// What a synchronization costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// A snapshot.
    Snapshot,
    /// Transactions.
    Transactions,
}

/// What a learner that is being fed waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// Records from the log.
    Read,
    /// Room in its queue.
    Room,
    /// The leader's own disk, which lags behind what is agreed.
    Disk,
}

/// One learner.
#[derive(Debug)]
pub(super) struct Progress {
    pub link: LinkId,
    pub server: ServerId,
    pub kind: LearnerKind,
    pub stage: Stage,
    /// How it is brought to the leader's history, until it says that it is there.
    pub sync: Option<Sync>,
    /// The highest epoch it accepted before it came.
    pub accepted: Epoch,
    /// When it was last heard.
    pub heard: Mono,
    /// Since it was told UPTODATE.
    pub pings_sent: u64,
    pub pings_answered: u64,
    /// A proposal it has not acknowledged, and when it was sent.
    pub unacknowledged: Option<(Zxid, Mono)>,
    /// For each of its syncs that is not complete, what had been proposed when it arrived; oldest first.
    pub syncs: VecDeque<Zxid>,
    /// What is agreed and waits behind these, in order.
    held: VecDeque<(Zxid, FromLeader)>,
}

impl Progress {
    pub fn new(
        link: LinkId,
        server: ServerId,
        kind: LearnerKind,
        accepted: Epoch,
        now: Mono,
    ) -> Self {
        Progress {
            link,
            server,
            kind,
            stage: Stage::Waiting,
            sync: None,
            accepted,
            heard: now,
            pings_sent: 0,
            pings_answered: 0,
            unacknowledged: None,
            syncs: VecDeque::new(),
            held: VecDeque::new(),
        }
    }

    /// Its word that `zxid` is agreed, unless that has to wait behind a sync.
    ///
    /// A Java learner matches what comes with the oldest of what it passed on. What it passed on behind a sync has a
    /// higher zxid than was proposed when the sync came; were that to arrive before the sync's answer, it would take it
    /// for another server's, and none of its clients would ever get an answer again.
    /// Source: `CommitProcessor.run`, `queuedWriteRequests`.
    pub fn agreed(&mut self, zxid: Zxid, packet: FromLeader) -> Option<FromLeader> {
        match self.syncs.front() {
            Some(after) if *after < zxid => {
                self.held.push_back((zxid, packet));
                None
            }
            _ => Some(packet),
        }
    }

    /// Its oldest sync is complete: what waited behind that one alone.
    pub fn synced(&mut self) -> Vec<FromLeader> {
        self.syncs.pop_front();
        let upto = self.syncs.front().copied();
        let free = |zxid: Zxid| upto.is_none_or(|upto| zxid <= upto);
        let count = self.held.iter().take_while(|(zxid, _)| free(*zxid)).count();
        self.held.drain(..count).map(|(_, packet)| packet).collect()
    }

    /// Whether it gets what is proposed or agreed from now on.
    pub fn is_forwarded(&self) -> bool {
        matches!(self.stage, Stage::Promised | Stage::Synced | Stage::Live)
    }

    /// Whether it serves, or will as soon as it reads UPTODATE.
    pub fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// Whether its disk holds the epoch's initial history.
    pub fn is_synced(&self) -> bool {
        matches!(self.stage, Stage::Synced | Stage::Live)
    }

    /// Whether it owes an answer: not while it waits for the leader, or gets more than it can take at once.
    pub fn owes_an_answer(&self) -> bool {
        matches!(self.stage, Stage::Informed | Stage::Promised | Stage::Live)
    }
}
