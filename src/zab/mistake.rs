//! Known mistakes, to be put back on purpose: the simulator must notice each of them.
//!
//! The switch exists only in tests and in the simulator; a server that serves has no way to set it.

/// One mistake. Ids are those of ZOOKEEPER's bug tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mistake {
    /// 4643: the current epoch is made durable before the history it stands for. Only a snapshot can be late: what
    /// DIFF and TRUNC bring is in the chain of the disk before NEWLEADER is read.
    EpochBeforeHistory,
    /// 3023, 4646: NEWLEADER is acknowledged before anything of it is durable.
    AnswerBeforeEpoch,
    /// D1: a proposal is acknowledged when it arrives and not when it is durable.
    AckBeforeSync,
    /// D1: a leader counts its own word for a proposal that its disk has not got yet.
    OwnAckBeforeSync,
    /// E1: the accepted epoch is answered but not made durable.
    AcceptedEpochOnlyInMemory,
    /// 4712: a server votes while its disk is still busy with records of its last leader.
    VoteBeforeDiskIsIdle,
    /// 2845: the vote counts only what the tree has applied, not what the log holds.
    VoteWithDelivered,
    /// 4925: a log is taken for whole and served to others, although a snapshot of a leader left a hole in it.
    HistoryWithHole,
    /// 3701: a truncation that failed is taken for done.
    TruncationIgnored,
    /// 1154, 1156: a learner with more than its leader is told to keep it.
    NoTruncation,
    /// 3104: NEWLEADER is sent before everything it promises.
    NewLeaderTooEarly,
    /// S2: only learners that acknowledged NEWLEADER get proposals. The next COMMIT shows it to the learner, which asks
    /// for a new synchronization: nothing is lost, but it costs the ensemble a follower each time.
    ProposalsOnlyToSynced,
    /// 335, 1081: a new leader serves before a quorum has its initial history.
    ServeBeforeQuorum,
    /// zab.md 5.4: the initial history of a leader is never delivered.
    InitialHistoryNotDelivered,
    /// 790: observers count in the quorums of an epoch. (They hear of a proposal when it is agreed, too late to count.)
    ObserversCount,
    /// zab.md 6.6: a sync is answered without asking a quorum.
    SyncWithoutRound,
    /// A leader says that a session is over which it does not know, without asking a quorum whether it still leads.
    RefuseWithoutRound,
    /// A learner that was truncated keeps its old acknowledgements.
    AcksSurviveTruncation,
    /// Two servers with one id may follow at the same time, and either speaks for the id.
    TwinsWelcome,
    /// 1277, 2789: the counter runs over into the epoch. Learners refuse what is then proposed.
    CounterRunsOver,
    /// A restored database takes the leader's own position: one position, two databases.
    RestoreInPlace,
    /// A database that was restored holds positions of an epoch which then begins anew.
    RestoredEpochsForgotten,
    /// 1551: what an observer hears between its snapshot and UPTODATE is dropped.
    ObserverDropsDuringSync,
    /// 790: a server that only promised to follow in an epoch votes as if it had that epoch's history.
    VoteWithMarker,
    /// 1549: a learner applies what is proposed, agreed or not; so its memory and its snapshots hold it.
    DeliverWhenProposed,
    /// 2846: a learner that synchronizes is told that all of the log is agreed on.
    AgreedTooEarly,
    /// 508: a learner that synchronizes is not told that its history is agreed on.
    SyncWithoutCommits,
    /// 4352: a learner gets what memory holds, although what it misses reaches further back.
    MemoryTakenForWhole,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Mistake; 28] = [
        Mistake::EpochBeforeHistory,
        Mistake::AnswerBeforeEpoch,
        Mistake::AckBeforeSync,
        Mistake::OwnAckBeforeSync,
        Mistake::AcceptedEpochOnlyInMemory,
        Mistake::VoteBeforeDiskIsIdle,
        Mistake::VoteWithDelivered,
        Mistake::HistoryWithHole,
        Mistake::TruncationIgnored,
        Mistake::NoTruncation,
        Mistake::NewLeaderTooEarly,
        Mistake::ProposalsOnlyToSynced,
        Mistake::ServeBeforeQuorum,
        Mistake::InitialHistoryNotDelivered,
        Mistake::ObserversCount,
        Mistake::SyncWithoutRound,
        Mistake::RefuseWithoutRound,
        Mistake::AcksSurviveTruncation,
        Mistake::TwinsWelcome,
        Mistake::CounterRunsOver,
        Mistake::RestoreInPlace,
        Mistake::RestoredEpochsForgotten,
        Mistake::ObserverDropsDuringSync,
        Mistake::VoteWithMarker,
        Mistake::DeliverWhenProposed,
        Mistake::AgreedTooEarly,
        Mistake::SyncWithoutCommits,
        Mistake::MemoryTakenForWhole,
    ];
}
