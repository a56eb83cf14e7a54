//! What goes into a [`Replica`](super::Replica) and what comes out of it.
//!
//! What concerns the tree stays inside: the protocol's effects that deliver, replay, serve or ask for
//! sessions are carried out here. All others come out as an [`Output`].

use std::sync::Arc;

use bytes::Bytes;
use jute::proto::ConnectRequest;

use super::conn::Conn;
use super::lane::Lane;
use super::large::LargeRequest;
use super::request::Request;
use crate::auth::Identities;
use crate::base::{Epoch, Mono, ServerId, Stamp, Zxid};
use crate::tree::Tree;
use crate::zab::io::LinkId;
use crate::zab::packet::{FromLeader, FromLearner};
use crate::zab::vote::Notification;

/// Something that happened to the server.
#[derive(Debug)]
pub enum Input {
    /// A connection sent its first frame.
    Connect {
        /// The connection.
        conn: Arc<Conn>,
        /// What it asks for.
        request: ConnectRequest,
    },
    /// A session sent a request that its connection could not serve alone. The lane has counted it.
    Request {
        /// The connection it came in on.
        conn: Arc<Conn>,
        /// The session's lane.
        lane: Arc<Lane>,
        /// The request's xid.
        xid: i32,
        /// What was asked.
        request: Request,
        /// Identities at its reception.
        ids: Identities,
        /// When it was received.
        received: Mono,
        /// The same, to measure with.
        arrived: Stamp,
        /// Its part of the bytes that large requests share.
        large: Option<LargeRequest>,
    },
    /// A connection's socket is closed.
    Gone {
        /// The connection.
        conn: Arc<Conn>,
    },
    /// A connection took what it is owed, after [`Outbox::has_room`](super::outbox::Outbox::has_room)
    /// said no.
    Drained {
        /// The connection.
        conn: Arc<Conn>,
    },
    /// The log is durable up to this zxid.
    Logged {
        /// The last durable record.
        upto: Zxid,
    },
    /// Something happened between servers, or the disk has done what has no input of its own here
    /// ([`Done::AcceptedEpoch`](crate::zab::io::Done), `CurrentEpoch`, `NotTruncated`).
    Peer(crate::zab::io::Input),
    /// The stream behind a SNAP is complete.
    SnapshotReceived {
        /// The connection.
        link: LinkId,
        /// What it made.
        tree: Box<Tree>,
    },
    /// [`DiskOp::Truncate`] is done.
    Truncated {
        /// What is left, if the tree was to go back, too.
        tree: Option<Box<Tree>>,
    },
    /// Somebody wants this database in the place of the one there is; the tree says how far its writer had come.
    /// Answered by [`Output::Restored`].
    Restore {
        /// The database.
        tree: Box<Tree>,
    },
    /// [`DiskOp::InstallSnapshot`] is done.
    Installed {
        /// What was installed.
        tree: Box<Tree>,
    },
}

/// Something to do, in the order of [`Replica::take_outputs`](super::Replica::take_outputs). Each is what
/// the [effect](crate::zab::io::Effect) of its name says.
#[derive(Debug)]
pub enum Output {
    /// Something for the disk. These form one chain, done and reported in their order.
    Disk(DiskOp),
    /// Send this over the election port in place of anything that still waits.
    Notify {
        /// Whom to send it to.
        to: ServerId,
        /// What to send.
        notification: Notification,
    },
    /// Connect to the leader's quorum port.
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
    /// Close a connection between servers once what waits is sent or a moment has passed.
    Close {
        /// The connection.
        link: LinkId,
    },
    /// Report `Drained` once little of what was queued so far is left.
    ReportDrained {
        /// The connection.
        link: LinkId,
    },
    /// Get a finished snapshot file and report `SnapshotReady`.
    MakeSnapshot {
        /// The connection it is for.
        link: LinkId,
        /// An older snapshot is of no use.
        at_least: Zxid,
    },
    /// Send the snapshot that was reported ready.
    StreamSnapshot {
        /// The connection.
        link: LinkId,
    },
    /// Read records from the log and report `LogRead`.
    ReadLog {
        /// The connection it is for.
        link: LinkId,
        /// Not this one.
        after: Zxid,
        /// This one included.
        upto: Zxid,
    },
    /// Find out whether the log can be used for a learner and report `LogProbed`.
    ProbeLog {
        /// The connection it is for.
        link: LinkId,
        /// Where the learner's log ends.
        learner: Zxid,
    },
    /// [`Input::Restore`] is carried out, durably, or it is not and nothing was changed.
    Restored(Result<(), RestoreRefused>),
    /// Drop a tree that was replaced, where nobody waits for that: a large one takes seconds.
    Discard(Box<Tree>),
}

/// Why a database was not restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreRefused {
    /// Another one is.
    #[error("another restore is under way")]
    Busy,
    /// There is no leader, or it is gone before the database was durable.
    #[error("there is no leader at the moment: send the snapshot again once there is one")]
    NoLeader,
    /// This server follows or observes.
    #[error(
        "this server does not lead: send the snapshot to server {0}, which leads, and all members get it from there"
    )]
    NotLeading(ServerId),
    /// What was under way did not come to its end.
    #[error(
        "no quorum confirmed the writes before it: look at the other servers, then send the snapshot again"
    )]
    NeverQuiet,
    /// It was durable on this server, and another one took the lead without it.
    #[error(
        "another server took the lead meanwhile, and its database is that of all: send the snapshot to it"
    )]
    Lost,
    /// It is durable on this server, and there is no quorum.
    #[error(
        "it is durable on this server, and takes effect if it leads the next quorum: look at the other servers"
    )]
    Undecided,
    /// Its zxids leave no epoch for this ensemble.
    #[error(
        "the snapshot's zxids reach to {0}, the end of all epochs: use `oxkeeper restore --subtree`"
    )]
    NoEpochLeft(Zxid),
}

/// One link of the chain of the disk.
#[derive(Debug)]
pub enum DiskOp {
    /// Append a record; records that stand together are synced together. Reported by [`Input::Logged`].
    Append {
        /// Its zxid.
        zxid: Zxid,
        /// The record.
        payload: Bytes,
    },
    /// Make the accepted epoch durable. Reported as `Done::AcceptedEpoch`.
    SaveAcceptedEpoch(Epoch),
    /// Make the current epoch durable. Reported as `Done::CurrentEpoch`.
    SaveCurrentEpoch(Epoch),
    /// Cut the log. Reported by [`Input::Truncated`], or as `Done::NotTruncated`.
    Truncate {
        /// The last position that stays.
        to: Zxid,
        /// Whether to build the tree again from what is left.
        reload: bool,
    },
    /// Make a received tree durable in the place of everything older, and forget what the log holds
    /// beyond it. Reported by [`Input::Installed`], which gives the tree back.
    InstallSnapshot {
        /// Its position.
        zxid: Zxid,
        /// The tree.
        tree: Box<Tree>,
    },
}

impl Output {
    /// The record to append, if it is one. A server on its own owes nothing else.
    pub fn into_record(self) -> Option<(Zxid, Bytes)> {
        match self {
            Output::Disk(DiskOp::Append { zxid, payload }) => Some((zxid, payload)),
            _ => None,
        }
    }
}
