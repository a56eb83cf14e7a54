//! Recent proposals, kept to bring a learner up to date without a snapshot.
//!
//! Every server keeps one, because every server may lead next. It begins with the tail of the *synced log*, which is
//! the initial history of whoever wins the election, and not with what the tree has applied: our tree holds delivered
//! transactions only, and to compute from it could truncate elsewhere what a dead leader has acknowledged.
//! Source: `ZKDatabase.addCommittedProposal`.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::Zxid;

/// A transaction that is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its place in the order.
    pub zxid: Zxid,
    /// Header, record and digest, as the log keeps them.
    pub txn: Bytes,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Transactions. Java: `zookeeper.commitLogCount`.
    pub count: usize,
    /// Bytes of transactions, without what keeping them costs.
    pub bytes: usize,
}

/// The newest part of what is in the log.
///
/// Invariants:
/// 1. It is whole: of all transactions in `(base, last]` of this server's log, none is missing. Where that cannot be
///    known, because numbers are missing within an epoch, what came before is forgotten.
/// 2. zxids grow strictly, and are all greater than `base`.
/// 3. It holds no more than its limits say; a transaction that alone is too large is not held.
///
/// What it cannot see is a hole at the end of an epoch, such as a snapshot received from a leader leaves in a log. Who
/// fills it from a log begins at the newest snapshot.
#[derive(Clone, Debug)]
pub struct History {
    base: Zxid,
    entries: VecDeque<Logged>,
    bytes: usize,
    limits: HistoryLimits,
}

impl History {
    /// Nothing is known of how the log got to `base`.
    pub fn after(base: Zxid, limits: HistoryLimits) -> Self {
        History {
            base,
            entries: VecDeque::new(),
            bytes: 0,
            limits,
        }
    }

    /// What comes next in the log.
    ///
    /// # Panics
    /// If it does not come after [`History::last`]: the order would be torn.
    pub fn push(&mut self, logged: Logged) {
        let last = self.last();
        assert!(logged.zxid > last, "{} after {last}", logged.zxid);
        if !follows(logged.zxid, last) {
            *self = History::after(Zxid(logged.zxid.0 - 1), self.limits);
        }
        self.bytes += logged.txn.len();
        self.entries.push_back(logged);
        while self.entries.len() > self.limits.count || self.bytes > self.limits.bytes {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.txn.len();
            self.base = oldest.zxid;
        }
    }

    /// Forgets everything after `to`, as the log did. If the history does not reach back to it, all is forgotten.
    pub fn cut(&mut self, to: Zxid) {
        if to < self.base {
            *self = History::after(to, self.limits);
            return;
        }
        let kept = self.position_after(to);
        let gone = self.entries.drain(kept..).map(|logged| logged.txn.len());
        self.bytes -= gone.sum::<usize>();
    }

    /// The position that everything held comes after.
    pub fn base(&self) -> Zxid {
        self.base
    }

    /// The newest transaction, or the base if there is none.
    pub fn last(&self) -> Zxid {
        self.entries.back().map_or(self.base, |logged| logged.zxid)
    }

    /// Whether a server whose history ends at `zxid` shares a position with this one: the base, or a transaction
    /// that is held.
    pub fn holds(&self, zxid: Zxid) -> bool {
        zxid == self.base
            || self
                .entries
                .binary_search_by_key(&zxid, |logged| logged.zxid)
                .is_ok()
    }

    /// What is held after `zxid`, oldest first. Complete if `zxid` is not before the base.
    pub fn newer_than(&self, zxid: Zxid) -> impl Iterator<Item = &Logged> {
        self.entries.range(self.position_after(zxid)..)
    }

    fn position_after(&self, zxid: Zxid) -> usize {
        self.entries.partition_point(|logged| logged.zxid <= zxid)
    }
}

/// Whether a transaction can be the one right after `last`: the next number, or the first of a later epoch.
fn follows(zxid: Zxid, last: Zxid) -> bool {
    zxid.0.wrapping_sub(1) == last.0 || (zxid.epoch() > last.epoch() && zxid.counter() == 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIDE: HistoryLimits = HistoryLimits {
        count: 100,
        bytes: 10_000,
    };

    fn logged(zxid: i64, length: usize) -> Logged {
        Logged {
            zxid: Zxid(zxid),
            txn: Bytes::from(vec![0; length]),
        }
    }

    fn zxids(history: &History, after: i64) -> Vec<i64> {
        let newer = history.newer_than(Zxid(after));
        newer.map(|logged| logged.zxid.0).collect()
    }

    #[test]
    fn an_empty_history_ends_where_it_begins() {
        let history = History::after(Zxid(7), WIDE);
        assert_eq!((history.base(), history.last()), (Zxid(7), Zxid(7)));
        assert!(history.holds(Zxid(7)) && !history.holds(Zxid(6)));
        assert!(zxids(&history, 0).is_empty());
    }

    #[test]
    fn what_is_over_the_limits_leaves_at_the_old_end() {
        let limits = HistoryLimits {
            count: 3,
            bytes: 10,
        };
        let mut history = History::after(Zxid(0), limits);
        for zxid in 1..=4 {
            history.push(logged(zxid, 1));
        }
        assert_eq!(zxids(&history, 0), [2, 3, 4]);
        assert_eq!(history.base(), Zxid(1));
        history.push(logged(5, 9));
        assert_eq!(zxids(&history, 0), [4, 5]);
        history.push(logged(6, 11));
        assert!(zxids(&history, 0).is_empty());
        assert_eq!((history.base(), history.last()), (Zxid(6), Zxid(6)));
        history.push(logged(7, 1));
        assert_eq!(zxids(&history, 6), [7]);
    }

    #[test]
    fn a_hole_forgets_what_came_before_it() {
        let mut history = History::after(Zxid(0), WIDE);
        history.push(logged(1, 1));
        history.push(logged(3, 1));
        assert_eq!(zxids(&history, 0), [3]);
        assert_eq!(history.base(), Zxid(2));
    }

    #[test]
    fn a_later_epoch_begins_with_its_first_transaction() {
        let mut history = History::after(Zxid(0), WIDE);
        history.push(logged(1, 1));
        history.push(logged(0x5_0000_0001, 1));
        assert_eq!(zxids(&history, 0), [1, 0x5_0000_0001]);
        history.push(logged(0x6_0000_0002, 1));
        assert_eq!(zxids(&history, 0), [0x6_0000_0002]);
        // A standalone server counts on past the end of an epoch.
        let mut history = History::after(Zxid(0xffff_fffe), WIDE);
        history.push(logged(0xffff_ffff, 1));
        history.push(logged(0x1_0000_0000, 1));
        assert_eq!(zxids(&history, 0), [0xffff_ffff, 0x1_0000_0000]);
    }

    #[test]
    fn a_cut_before_the_base_forgets_everything() {
        let mut history = History::after(Zxid(4), WIDE);
        history.push(logged(5, 1));
        history.push(logged(6, 1));
        history.cut(Zxid(5));
        assert_eq!((zxids(&history, 0), history.last()), (vec![5], Zxid(5)));
        history.cut(Zxid(2));
        assert_eq!((zxids(&history, 0), history.last()), (vec![], Zxid(2)));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { skip: i64, length: usize },
        Cut(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let skip = prop_oneof![9 => Just(0), 1 => 1..3i64];
        let push = (skip, 0..8usize).prop_map(|(skip, length)| Step::Push { skip, length });
        prop::collection::vec(
            prop_oneof![6 => push, 1 => (0..30i64).prop_map(Step::Cut)],
            0..60,
        )
    }

    proptest! {
        #[test]
        fn a_history_is_the_whole_end_of_the_log_within_its_limits(
            steps in steps(), count in 0..8usize, bytes in 0..30usize,
        ) {
            let limits = HistoryLimits { count, bytes };
            let mut history = History::after(Zxid(0), limits);
            let mut log: Vec<Logged> = Vec::new();
            for step in steps {
                match step {
                    Step::Push { skip, length } => {
                        let logged = logged(history.last().0 + 1 + skip, length);
                        log.push(logged.clone());
                        history.push(logged);
                    }
                    Step::Cut(to) => {
                        let to = Zxid(to).min(history.last());
                        log.retain(|logged| logged.zxid <= to);
                        history.cut(to);
                    }
                }
                let held: Vec<Logged> = history.newer_than(history.base()).cloned().collect();
                let in_log = log.iter().filter(|logged| logged.zxid > history.base());
                prop_assert!(in_log.eq(&held));
                prop_assert!(held.len() <= count);
                prop_assert_eq!(history.bytes, held.iter().map(|l| l.txn.len()).sum::<usize>());
                prop_assert!(history.bytes <= bytes);
                let contiguous = held.iter().zip(history.base().0 + 1..);
                prop_assert!(contiguous.into_iter().all(|(l, zxid)| l.zxid.0 == zxid));
            }
        }
    }
}
