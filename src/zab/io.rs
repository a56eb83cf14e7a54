//! What goes into a [`Peer`](super::Peer) and what comes out of it.
//!
//! ```text
//!   election port   --- Notification, ElectionLink ------>  +------+  --- Notify ------------------------------>
//!   quorum port     --- Joined, FromLearner, FromLeader ->  |      |  --- ToLearner, ToLeader, Dial, Close ---->
//!   disk, in order  --- Done(..) ----------------------->   | Peer |  --- Append, Save.., Truncate, Install --->
//!   log reader      --- LogRead, LogProbed ------------->   |      |  --- ReadLog, ProbeLog ------------------->
//!   snapshots       --- SnapshotReady, SnapshotReceived ->  |      |  --- MakeSnapshot, StreamSnapshot -------->
//!   replica         --- propose, forward, sync, .. ----->   +------+  --- Deliver, Serving, Looking, Request -->
//! ```
//!
//! The effects of one step are carried out in their order. Those that go to the disk form one chain: each is complete,
//! and reported, before the next begins.

use std::time::Duration;

use bytes::Bytes;

use super::Proposal;
use super::election::{LearnerType, Patience};
use super::history::{History, HistoryLimits, Logged};
use super::packet::{Forwarded, FromLeader, FromLearner, Registration, Touch};
use super::quorum::Quorums;
use super::vote::Notification;
use crate::base::{Epoch, ServerId, SessionId, Zxid};

/// A connection of the quorum port, accepted or dialled. A process never uses a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What a peer is told once.
#[derive(Clone, Debug)]
pub struct PeerOptions {
    /// This server.
    pub me: ServerId,
    /// Whether it votes.
    pub learner: LearnerType,
    /// Who votes. Only voters of this count, wherever a quorum is needed.
    pub quorums: Quorums,
    /// Text of the committed configuration, as notifications and NEWLEADER carry it.
    pub config: Bytes,
    /// Version of that configuration; 0 without reconfiguration.
    pub config_version: i64,
    /// Length of a tick. Learners are pinged every half tick.
    pub tick: Duration,
    /// How long connecting and synchronizing may take (`tickTime * initLimit`).
    pub init_limit: Duration,
    /// How long the other side may be silent afterwards (`tickTime * syncLimit`).
    pub sync_limit: Duration,
    /// How long to wait for votes in silence.
    pub patience: Patience,
    /// How much is kept in memory for learners that come back.
    pub history: HistoryLimits,
    /// What few operators change.
    pub tuning: Tuning,
}

/// Settings that are rarely touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Every learner gets a snapshot (`forceSnapshotSync`).
    pub force_snapshot: bool,
    /// Learners that may get a snapshot at once; observers beyond are sent away, voters never
    /// (`leader.maxConcurrentSnapSyncs`).
    pub snapshots_at_once: usize,
    /// The same for those that get transactions (`leader.maxConcurrentDiffSyncs`).
    pub diffs_at_once: usize,
    /// How long a leader without an epoch stays after a voter of its is looking for another leader
    /// (`leader.maxTimeToWaitForEpoch`); None: until initLimit is over.
    pub wait_for_epoch: Option<Duration>,
    /// Whether clients are served by the leader, too (`leaderServes`). The protocol itself does not care.
    pub leader_serves: bool,
    /// An observer waits up to this long before it looks for a leader (`observer.election.DelayMs` and
    /// `observer.reconnectDelayMs` together).
    pub observer_pause: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            force_snapshot: false,
            snapshots_at_once: 10,
            diffs_at_once: 100,
            wait_for_epoch: None,
            leader_serves: true,
            observer_pause: Duration::from_millis(200),
        }
    }
}

/// What the disk of a server says when it starts.
#[derive(Clone, Debug)]
pub struct Stored {
    /// No epoch below this is accepted any more.
    pub accepted_epoch: Epoch,
    /// The epoch whose initial history is on this disk.
    pub current_epoch: Epoch,
    /// The end of the log, all of it durable. The tree has applied exactly this much.
    pub history: History,
    /// The log on disk holds everything after this position: that of the snapshot the tree was recovered from. What
    /// is older may have holes, where a Java server received a snapshot.
    pub log_whole_after: Zxid,
    /// False where the data is missing and this server cannot know whether it ever had any
    /// (`zookeeper.db.autocreate=false`): it never helps to elect anyone by its empty history.
    pub trusted: bool,
}

/// How a learner registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearnerKind {
    /// FOLLOWERINFO: it acknowledges proposals, though its word counts only if it is a voter.
    Follower,
    /// OBSERVERINFO: it hears of what is committed.
    Observer,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// A message of the election port.
    Notification {
        /// Who sent it.
        from: ServerId,
        /// What it says.
        notification: Notification,
    },
    /// An election connection to `server` is there, or was lost or refused.
    ElectionLink {
        /// The other end.
        server: ServerId,
        /// Whether it can be reached.
        up: bool,
    },
    /// A connection was accepted on the quorum port and its first packet was a registration.
    Joined {
        /// The connection.
        link: LinkId,
        /// How it registered.
        kind: LearnerKind,
        /// What it says.
        registration: Registration,
    },
    /// A later packet of such a connection.
    FromLearner {
        /// The connection.
        link: LinkId,
        /// What it says.
        packet: FromLearner,
    },
    /// [`Effect::Dial`] succeeded.
    LeaderReached {
        /// The connection.
        link: LinkId,
    },
    /// [`Effect::Dial`] failed at every address for as long as it may take.
    LeaderUnreachable,
    /// A packet of the leader. SNAP is handed in when it arrives, before its stream.
    FromLeader {
        /// The connection.
        link: LinkId,
        /// What it says.
        packet: FromLeader,
    },
    /// The stream behind a SNAP is complete and makes a tree. Nothing else of this link is handed in between.
    SnapshotReceived {
        /// The connection.
        link: LinkId,
    },
    /// The connection was closed by the other side, failed, sent what cannot be understood, or could not take what is
    /// sent to it. Not reported after [`Effect::Close`].
    LinkLost {
        /// The connection.
        link: LinkId,
    },
    /// Answer to [`Effect::ReportDrained`].
    Drained {
        /// The connection.
        link: LinkId,
    },
    /// Answer to [`Effect::MakeSnapshot`]: a finished snapshot of delivered transactions waits to be streamed. None
    /// if it could not be written.
    SnapshotReady {
        /// The connection it is for.
        link: LinkId,
        /// What it holds.
        zxid: Option<Zxid>,
    },
    /// Answer to [`Effect::ReadLog`]: the next records, at least one. None if they cannot be read.
    LogRead {
        /// The connection it is for.
        link: LinkId,
        /// Oldest first, without a gap behind the position asked for.
        records: Option<Vec<Logged>>,
    },
    /// Answer to [`Effect::ProbeLog`].
    LogProbed {
        /// The connection it is for.
        link: LinkId,
        /// Whether the log holds a transaction with that zxid and reading on from there costs less than a snapshot.
        usable: bool,
    },
    /// The disk has completed something.
    Done(Done),
}

/// What the disk has completed; in the order in which it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Every record up to here is durable.
    Logged {
        /// The last one.
        upto: Zxid,
    },
    /// The accepted epoch is durable.
    AcceptedEpoch(Epoch),
    /// The current epoch is durable.
    CurrentEpoch(Epoch),
    /// The log ends at the cut, and so does the tree if it had applied more.
    Truncated,
    /// There is no way to that cut: the log does not hold it, or no snapshot before it is left. Nothing was removed
    /// that might be needed.
    NotTruncated,
    /// The received snapshot is durable and everything the log held beyond it is gone.
    Installed,
}

/// Something to do.
#[derive(Debug)]
pub enum Effect {
    /// Send this in place of anything that still waits to be sent to the same server; connect first if need be.
    Notify {
        /// Whom to send it to.
        to: ServerId,
        /// What to send.
        notification: Notification,
    },
    /// Connect to the quorum port of `leader`. Void after [`Effect::Looking`].
    Dial {
        /// Whom to connect to.
        leader: ServerId,
    },
    /// Send a packet over an accepted connection.
    ToLearner {
        /// The connection.
        link: LinkId,
        /// What to send.
        packet: FromLeader,
    },
    /// Send a packet over the dialled connection.
    ToLeader {
        /// The connection.
        link: LinkId,
        /// What to send.
        packet: FromLearner,
    },
    /// Close a connection, once what waits to be sent over it is sent or a moment has passed.
    Close {
        /// The connection.
        link: LinkId,
    },
    /// Report [`Input::Drained`] once little of what was queued for this connection so far is left.
    ReportDrained {
        /// The connection.
        link: LinkId,
    },
    /// Get a finished snapshot of the tree and report [`Input::SnapshotReady`]: the newest one, if it holds this
    /// position, or else a new one.
    MakeSnapshot {
        /// The connection it is for.
        link: LinkId,
        /// An older snapshot is of no use.
        at_least: Zxid,
    },
    /// Send the snapshot that was reported ready, as the stream behind a SNAP.
    StreamSnapshot {
        /// The connection.
        link: LinkId,
    },
    /// Read the records after one position and up to another from the log, about a megabyte at a time, and report
    /// [`Input::LogRead`].
    ReadLog {
        /// The connection it is for.
        link: LinkId,
        /// Not this one.
        after: Zxid,
        /// This one included; it is durable.
        upto: Zxid,
    },
    /// Find out whether the log on disk can be used for a learner, and report [`Input::LogProbed`].
    ProbeLog {
        /// The connection it is for.
        link: LinkId,
        /// Where the learner's log ends. A marker (counter 0) is in no log: then the log has to reach
        /// back beyond it.
        learner: Zxid,
    },

    /// Disk: append a record. Records are reported together ([`Done::Logged`]).
    Append {
        /// Its zxid.
        zxid: Zxid,
        /// Header, record and digest.
        payload: Bytes,
    },
    /// Disk: never accept a lower epoch again.
    SaveAcceptedEpoch(Epoch),
    /// Disk: this epoch's initial history is complete on this disk.
    SaveCurrentEpoch(Epoch),
    /// Disk: cut the log after this position. `reload` says that the tree has applied more and must be built again
    /// from what is left.
    Truncate {
        /// The last position that stays.
        to: Zxid,
        /// Whether the tree goes back, too.
        reload: bool,
    },
    /// Disk: make the received tree durable as a snapshot of this zxid, then forget everything the log holds beyond
    /// it, then put it in the place of the tree.
    InstallSnapshot {
        /// What the received tree holds by now.
        zxid: Zxid,
    },

    /// Apply this to the received tree, which nobody sees yet; it may hold it already.
    ToReceived(Proposal),
    /// Apply this to the tree before it is served: it was agreed on in an earlier epoch or while this server
    /// synchronized. The tree may hold it already, if it came from a Java server.
    Replay(Proposal),
    /// Apply this: it is agreed.
    Deliver(Proposal),
    /// There is no leader (any more): close every client connection, serve nothing, forget what waits for an answer.
    Looking,
    /// There is a leader and everything agreed before its epoch is applied: serve.
    Serving {
        /// As what.
        role: Role,
        /// Whose leadership. Its marker becomes the position of the tree, unless the tree holds writes of this epoch:
        /// a learner that came late has them from its synchronization.
        epoch: Epoch,
    },
    /// As a leader: a learner's client asks for a write, or for a sync (answered by [`Peer::sync`](super::Peer)).
    Request {
        /// The learner.
        link: LinkId,
        /// What is asked for.
        request: Forwarded,
    },
    /// As a leader: a learner heard from these sessions.
    Touched(Vec<Touch>),
    /// As a leader: a client brought this session to a learner; answer with `Peer::revalidated`.
    Revalidate {
        /// The learner.
        link: LinkId,
        /// The session and the timeout it wants.
        touch: Touch,
    },
    /// As a leader: this learner is gone; its sessions have no owner until one claims them.
    LearnerGone {
        /// The learner.
        link: LinkId,
    },
    /// As a learner: the answer to `Peer::revalidate`.
    Revalidated {
        /// The session.
        session: SessionId,
        /// Whether it lives.
        valid: bool,
    },
    /// As a learner: answer with the sessions heard from since the last time (`Peer::touches`).
    TouchesWanted {
        /// To be handed back.
        last_proposed: Zxid,
    },
    /// The oldest sync of this server that is not complete is complete.
    Synced,
    /// As a leader: the answer to the oldest `Peer::confirm`. This server led when it asked, and everything that it had
    /// proposed by then is agreed.
    Confirmed,
}

/// Where a server stands in the protocol, for operators. Source: `QuorumPeer.ZabState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// It looks for a leader.
    #[default]
    Election,
    /// A leader and its learners agree on an epoch.
    Discovery(Role),
    /// Learners get the leader's history; a learner knows in which way, once it is told.
    Synchronization(Role, Option<SyncWay>),
    /// It serves.
    Broadcast(Role),
}

/// How a learner gets the leader's history. Source: `QuorumPeer.SyncMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncWay {
    /// What it misses.
    Diff,
    /// It forgets what the leader does not have.
    Trunc,
    /// Everything.
    Snap,
}

/// What a server is while it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It orders.
    Leading,
    /// It acknowledges.
    Following,
    /// It listens.
    Observing,
}
