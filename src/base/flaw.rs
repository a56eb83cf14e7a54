//! Known mistakes of what is around the protocol, to be put back on purpose: the simulator must notice each of them.
//! Those of the protocol itself are in `zab::mistake`.
//!
//! The switch exists only in tests and in the simulator, where a server is one of many values on one thread: it is the
//! thread's, so that nothing has to carry it to where the mistake was made. A server that serves has no such switch.

/// One mistake. Ids are those of ZOOKEEPER's bug tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// 1046: the counter of a znode's children is not restored from a snapshot.
    CountersNotRestored,
    /// 1208: a write is let in behind the end of its session, while that end is not applied.
    PendingEndsIgnored,
    /// 1496: a session that is over, or about to be, may write as if it were not.
    EndedSessionsWrite,
    /// 2355: a learner does not delete the ephemerals of a session that ends.
    EphemeralsStayOnLearners,
    /// 3144: a snapshot lists fewer sessions than its ephemerals have.
    SessionsMissingInSnapshots,
    /// 2926: a client is told of its session before anybody agreed on it.
    WelcomeBeforeAgreed,
    /// 1412: watches that are set again are not held against what happened meanwhile.
    WatchesSetAgainBlindly,
    /// 3145: the end of a session that is replayed leaves the pzxid of its ephemerals' parents as it was.
    ReplayedEndsKeepPzxid,
    /// 1863: a read is answered before the writes that its session sent earlier.
    ReadsOvertake,
    /// 3127: the position moves before all of a multi is there, and a snapshot is taken in between.
    PositionAmidMulti,
    /// 882, 917, 919, 962, 1319, 1367: a start does not read the last file of the log.
    LastLogNotRead,
    /// 596: a record that was torn counts for the position.
    TornRecordCounts,
    /// 1489: after a truncation the log is written where it was written before.
    WriterBehindTheCut,
    /// 1818, 3109: votes of other rounds of an election count.
    VotesOfOtherRoundsCount,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Flaw; 14] = [
        Flaw::CountersNotRestored,
        Flaw::PendingEndsIgnored,
        Flaw::EndedSessionsWrite,
        Flaw::EphemeralsStayOnLearners,
        Flaw::SessionsMissingInSnapshots,
        Flaw::WelcomeBeforeAgreed,
        Flaw::WatchesSetAgainBlindly,
        Flaw::ReplayedEndsKeepPzxid,
        Flaw::ReadsOvertake,
        Flaw::PositionAmidMulti,
        Flaw::LastLogNotRead,
        Flaw::TornRecordCounts,
        Flaw::WriterBehindTheCut,
        Flaw::VotesOfOtherRoundsCount,
    ];

    /// Whether servers on this thread make it.
    #[cfg(any(test, feature = "sim"))]
    pub fn is_made(self) -> bool {
        MADE.get() == Some(self)
    }

    /// Whether servers on this thread make it: nobody does.
    #[cfg(not(any(test, feature = "sim")))]
    pub const fn is_made(self) -> bool {
        false
    }
}

#[cfg(any(test, feature = "sim"))]
std::thread_local! {
    static MADE: std::cell::Cell<Option<Flaw>> = const { std::cell::Cell::new(None) };
}

/// As long as it lives, this thread's servers make one mistake, or none.
#[cfg(any(test, feature = "sim"))]
#[derive(Debug)]
pub struct Making {
    before: Option<Flaw>,
}

#[cfg(any(test, feature = "sim"))]
impl Making {
    /// From now on `flaw` is made, and no other.
    pub fn begin(flaw: Option<Flaw>) -> Self {
        let before = MADE.replace(flaw);
        Making { before }
    }
}

#[cfg(any(test, feature = "sim"))]
impl Drop for Making {
    fn drop(&mut self) {
        MADE.set(self.before);
    }
}
