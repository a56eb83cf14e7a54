//! Every bound of every queue and frame in one place. What an operator can set is in
//! [`Config`](super::Config); this file has what it starts from and what is fixed. Bytes unless the
//! name says otherwise.

/// Longest client request, and with the extra below the longest string or buffer in it:
/// `jute.maxbuffer`.
/// Source: `BinaryInputArchive.maxBuffer`.
pub const JUTE_MAX_BUFFER: usize = 0xf_ffff;

/// Least room beyond `jute.maxbuffer` for records read back. Source:
/// `BinaryInputArchive.extraMaxBuffer`.
pub const JUTE_EXTRA_SIZE_MIN: usize = 1024;

/// Most snapshots and their logs that purging may leave, at the least. Source:
/// `QuorumPeerConfig.MIN_SNAP_RETAIN_COUNT`.
pub const SNAP_RETAIN_COUNT_MIN: u32 = 3;

/// Least number of transactions kept for learners that come back. Source:
/// `ZKDatabase.DEFAULT_COMMIT_LOG_COUNT`.
pub const COMMIT_LOG_COUNT_MIN: u32 = 500;

/// Bytes of transactions kept for learners that come back, however few they are; the log on disk has more.
pub const HISTORY_BYTES: usize = 16 << 20;

/// Greatest number of a server where TTL nodes exist: their owner's first byte is 255. Source:
/// `EphemeralType.MAX_EXTENDED_SERVER_ID`.
pub const SERVER_ID_WITH_TTL_MAX: i64 = 0xfe;

/// Connections the system may hold complete but not yet accepted, where the configuration leaves it
/// open: Java's default.
pub const LISTEN_BACKLOG: u32 = 50;

/// Replies waiting for one client beyond which its socket is not read any more. One reply of any
/// size is always let in.
pub const OUTBOX_REPLY_BYTES: usize = 1 << 20;

/// Everything waiting for one client beyond which its connection is closed instead of one more
/// reply: what it sent before its own next write asked for that much at once.
pub const OUTBOX_BYTES: usize = 256 << 20;

/// Notifications waiting for one client beyond which its connection is closed: it reads slower than
/// events happen.
pub const OUTBOX_NOTIFICATION_BYTES: usize = 16 << 20;

/// Bytes a connection reads from its socket at once.
pub const SOCKET_READ_BYTES: usize = 64 << 10;

/// Requests waiting for the commit loop, from all connections together.
pub const COMMIT_LOOP_MAILBOX: usize = 16 << 10;

/// Inputs the commit loop takes from its mailbox before it acts on them, and so the transactions of
/// one batch.
pub const COMMIT_LOOP_BATCH: usize = 1 << 10;

/// Transactions waiting for the log writer. Only this queue, when full, stops client submissions.
pub const LOG_QUEUE_TXNS: usize = 16 << 10;

/// Bytes of transactions waiting for the log writer.
pub const LOG_QUEUE_BYTES: usize = 64 << 20;

/// Riders (reads and pings behind a write) answered under one guard of the gate.
pub const RIDERS_PER_GUARD: usize = 256;

/// Slots a snapshot visits under one read guard of the gate: about 100 µs.
pub const SNAPSHOT_SLOTS_PER_GUARD: usize = 512;

/// Children whose subtrees are counted, or watches that are set, under one guard of the gate.
pub const PATHS_PER_GUARD: usize = 1 << 10;

/// Identities one connection may collect with `auth` packets.
pub const IDENTITIES_PER_CONNECTION: usize = 1 << 10;

/// What waits to be sent to one other server beyond which its connection is closed: it takes less than is written, and
/// comes back for what it misses.
pub const PEER_LINK_BYTES: usize = 64 << 20;

/// What is left of the queue of a connection to another server when it counts as drained.
pub const PEER_LINK_DRAINED_BYTES: usize = 256 << 10;

/// What one connection to another server may hand to the commit loop at once.
pub const PEER_LINK_BYTES_PER_ROUND: usize = 8 << 20;

/// What is read from the log at once for a learner.
pub const LOG_READ_BYTES: usize = 1 << 20;

/// Learners that may be connected.
pub const PEER_LINKS: usize = 4 << 10;

/// Connections to the election or quorum port that have not said yet who they are, each.
pub const PEERS_UNNAMED: usize = 128;

/// Servers outside the configuration that may be connected to the election port: observers with ids of their own.
pub const ELECTION_STRANGERS: usize = 1 << 10;

/// Connections to the AdminServer at once.
pub const ADMIN_CONNECTIONS: usize = 256;

/// Bytes of the head of a request to the AdminServer.
pub const ADMIN_HEADER_BYTES: usize = 16 << 10;

/// Commands of the AdminServer that look at the server at once.
pub const ADMIN_LOOKS: usize = 2;

const _: () = assert!(
    PEER_LINK_BYTES >= 2 * HISTORY_BYTES + 8 * JUTE_MAX_BUFFER,
    "a learner that gets the whole history at once has room for what is proposed meanwhile"
);
const _: () = assert!(
    PEER_LINK_BYTES > 4 * JUTE_MAX_BUFFER,
    "a legal transaction must fit the queue of a link"
);
const _: () = assert!(
    OUTBOX_NOTIFICATION_BYTES > OUTBOX_REPLY_BYTES,
    "replies only push back"
);
const _: () = assert!(
    LOG_QUEUE_BYTES > 2 * JUTE_MAX_BUFFER,
    "a legal request must fit the queue"
);
const _: () = assert!(
    LOG_QUEUE_TXNS >= COMMIT_LOOP_BATCH,
    "one batch must fit the log queue"
);
