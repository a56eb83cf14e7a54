//! What a server has and knows, whatever its role: its log, its epochs, and what it owes to the world.

use std::collections::VecDeque;

use super::Proposal;
use super::election::Position;
use super::history::{History, Logged};
use super::io::{Done, Effect, PeerOptions, Stored};
use super::mistake::Mistake;
use crate::base::{Epoch, Zxid};

/// From here on a leader takes no more proposals: what is outstanding is finished, and an election begins the next
/// epoch. Java shuts down in the middle of its requests when the counter is used up.
const LAST_COUNTER: u32 = 0xffff_ff00;

/// The state that outlives every role.
///
/// Invariants between two steps: `delivered <= appended`, `logged <= appended`; `tail` holds exactly the transactions
/// in `(delivered, appended]`; `history` ends at `appended`, except on a leader, whose proposals enter it when they are
/// committed.
#[derive(Debug)]
pub(super) struct Core {
    pub options: PeerOptions,
    /// Durable, except while a save of it is pending.
    pub accepted: Epoch,
    /// As `accepted`.
    pub current: Epoch,
    /// Whether an empty history is known to be one.
    pub trusted: bool,
    /// Whether the log could not be cut where a leader wanted: this server has to get a snapshot.
    pub distrusts_log: bool,
    /// The tree holds zxids of no later epoch than this one. Where they came with a database from elsewhere, it is
    /// later than every epoch that was agreed on here.
    pub tree_epoch: Epoch,
    pub history: History,
    pub log_whole_after: Zxid,
    /// The last record handed to the disk.
    pub appended: Zxid,
    /// The last record that is durable.
    pub logged: Zxid,
    /// The last transaction the tree has.
    pub delivered: Zxid,
    /// Known to the log, not to the tree.
    pub tail: VecDeque<Proposal>,
    /// What the disk was asked for, oldest first.
    asked: VecDeque<Asked>,
    pub effects: VecDeque<Effect>,
    /// A leader proposes nothing beyond this counter.
    pub last_counter: u32,
    /// Why a learner was dropped last.
    pub refused: Option<String>,
    #[cfg(any(test, feature = "sim"))]
    pub mistake: Option<Mistake>,
}

/// Something the disk has not reported yet. Records that stand together are one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Records { upto: Zxid },
    AcceptedEpoch(Epoch),
    CurrentEpoch(Epoch),
    Truncate { to: Zxid },
    Install { zxid: Zxid },
}

impl Core {
    pub fn new(options: PeerOptions, stored: Stored) -> Self {
        let last = stored.history.last();
        Core {
            options,
            accepted: stored.accepted_epoch.max(stored.current_epoch),
            current: stored.current_epoch,
            trusted: stored.trusted,
            distrusts_log: false,
            tree_epoch: Epoch::default(),
            history: stored.history,
            log_whole_after: stored.log_whole_after,
            appended: last,
            logged: last,
            delivered: last,
            tail: VecDeque::new(),
            asked: VecDeque::new(),
            effects: VecDeque::new(),
            last_counter: LAST_COUNTER,
            refused: None,
            #[cfg(any(test, feature = "sim"))]
            mistake: None,
        }
    }

    pub fn owe(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    /// Whether this server is to make a mistake on purpose.
    #[cfg(any(test, feature = "sim"))]
    pub fn errs(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    #[cfg(not(any(test, feature = "sim")))]
    #[allow(clippy::unused_self)] // the same call as in tests
    pub const fn errs(&self, _: Mistake) -> bool {
        false
    }

    /// How far this server's history reaches, for an election. Only what is durable counts, so the disk must be idle.
    pub fn position(&self) -> Position {
        let zxid = match self.errs(Mistake::VoteWithDelivered) {
            true => self.delivered,
            false => self.history.last(),
        };
        let zxid = match self.errs(Mistake::VoteWithMarker) {
            true => zxid.max(Zxid::first_of(self.accepted)),
            false => zxid,
        };
        match self.trusted || zxid > Zxid::ZERO {
            true => Position {
                zxid,
                epoch: self.current,
            },
            false => Position {
                zxid: Zxid(-1),
                epoch: self.current,
            },
        }
    }

    /// Owes a record to the log.
    pub fn append(&mut self, proposal: &Proposal) {
        self.appended = proposal.zxid;
        match self.asked.back_mut() {
            Some(Asked::Records { upto }) => *upto = proposal.zxid,
            _ => self.asked.push_back(Asked::Records {
                upto: proposal.zxid,
            }),
        }
        self.owe(Effect::Append {
            zxid: proposal.zxid,
            payload: proposal.payload.clone(),
        });
    }

    /// Makes a proposal of the leader part of this learner's log.
    pub fn take(&mut self, proposal: Proposal) {
        self.append(&proposal);
        self.remember(&proposal);
        self.tail.push_back(proposal);
    }

    /// Keeps a proposal for learners that may need it.
    pub fn remember(&mut self, proposal: &Proposal) {
        self.history.push(Logged {
            zxid: proposal.zxid,
            txn: proposal.payload.clone(),
        });
    }

    /// Gives everything up to `upto` to the tree before it is served.
    pub fn replay(&mut self, upto: Zxid) {
        let agreed = self.tail.partition_point(|proposal| proposal.zxid <= upto);
        for proposal in self.tail.drain(..agreed).collect::<Vec<_>>() {
            self.delivered = proposal.zxid;
            self.owe(Effect::Replay(proposal));
        }
    }

    /// Lets the tree miss what the log holds. A mistake, for the simulator.
    pub fn forget_tail(&mut self) {
        self.tail.clear();
        self.delivered = self.appended;
    }

    /// Gives a proposal that follows what the tree has to the tree.
    pub fn deliver(&mut self, proposal: Proposal) {
        self.delivered = proposal.zxid;
        self.owe(Effect::Deliver(proposal));
    }

    pub fn save_accepted(&mut self, epoch: Epoch) {
        self.accepted = epoch;
        self.asked.push_back(Asked::AcceptedEpoch(epoch));
        self.owe(Effect::SaveAcceptedEpoch(epoch));
    }

    pub fn save_current(&mut self, epoch: Epoch) {
        self.asked.push_back(Asked::CurrentEpoch(epoch));
        self.owe(Effect::SaveCurrentEpoch(epoch));
    }

    pub fn truncate(&mut self, to: Zxid) {
        let reload = self.delivered > to;
        self.asked.push_back(Asked::Truncate { to });
        self.owe(Effect::Truncate { to, reload });
    }

    pub fn install(&mut self, zxid: Zxid) {
        self.asked.push_back(Asked::Install { zxid });
        self.owe(Effect::InstallSnapshot { zxid });
    }

    /// Whether nothing is asked of the disk that it has not done.
    pub fn disk_is_idle(&self) -> bool {
        self.asked.is_empty()
    }

    /// The disk has done something. Whoever is in charge looks at it afterwards.
    ///
    /// # Panics
    /// If it was not asked for that next: the owner tears the order of the disk.
    pub fn done(&mut self, done: Done) {
        if let Done::Logged { upto } = done {
            return self.logged_upto(upto);
        }
        let asked = self.asked.pop_front();
        match (asked, done) {
            (Some(Asked::AcceptedEpoch(asked)), Done::AcceptedEpoch(saved)) if asked == saved => {}
            (Some(Asked::CurrentEpoch(asked)), Done::CurrentEpoch(saved)) if asked == saved => {
                self.current = saved;
            }
            (Some(Asked::Truncate { to }), Done::Truncated) => self.truncated(to),
            (Some(Asked::Truncate { to }), Done::NotTruncated) => {
                match self.errs(Mistake::TruncationIgnored) {
                    true => self.truncated(to),
                    false => self.distrusts_log = true,
                }
            }
            (Some(Asked::Install { zxid }), Done::Installed) => self.installed(zxid),
            (asked, done) => panic!("the disk reports {done:?}, asked for was {asked:?}"),
        }
    }

    fn logged_upto(&mut self, upto: Zxid) {
        let Some(Asked::Records { upto: asked }) = self.asked.front().copied() else {
            panic!(
                "the disk reports records up to {upto}, asked for was {:?}",
                self.asked
            );
        };
        assert!(
            upto <= asked,
            "the disk reports {upto}, asked for was {asked}"
        );
        if upto == asked {
            self.asked.pop_front();
        }
        self.logged = upto;
    }

    fn truncated(&mut self, to: Zxid) {
        self.history.cut(to);
        self.tail.retain(|proposal| proposal.zxid <= to);
        (self.appended, self.logged) = (to, to);
        self.delivered = self.delivered.min(to);
    }

    fn installed(&mut self, zxid: Zxid) {
        self.history = History::after(zxid, self.options.history);
        self.tail.clear();
        (self.appended, self.logged, self.delivered) = (zxid, zxid, zxid);
        if !self.errs(Mistake::HistoryWithHole) {
            self.log_whole_after = zxid;
        }
        self.distrusts_log = false;
        self.trusted = true;
    }

    /// Asserts the invariants of the type.
    pub fn check(&self) {
        let ends = (self.delivered, self.logged, self.appended);
        assert!(
            self.delivered <= self.appended && self.logged <= self.appended,
            "delivered, logged, appended: {ends:?}"
        );
        let first = self.tail.front().map(|proposal| proposal.zxid);
        let last = self
            .tail
            .back()
            .map_or(self.delivered, |proposal| proposal.zxid);
        assert!(
            first.is_none_or(|first| first > self.delivered),
            "tail begins at {first:?}, {ends:?}"
        );
        assert!(last <= self.appended, "tail ends at {last}, {ends:?}");
        assert!(
            self.current <= self.accepted,
            "current {:?}, accepted {:?}",
            self.current,
            self.accepted
        );
    }
}
