//! When a snapshot is due: after so many transactions or bytes of log, give or take a random share.

/// Counts what is logged and says when to roll the log and take a snapshot.
///
/// The random share keeps the servers of an ensemble from taking their snapshots at the same time.
/// Source: `SyncRequestProcessor.shouldSnapshot`, `resetSnapshotStats`.
#[derive(Clone, Debug)]
pub struct SnapPolicy {
    snap_count: u64,
    snap_size_bytes: u64,
    txns: u64,
    count_limit: u64,
    size_limit_bytes: u64,
}

impl SnapPolicy {
    /// A snapshot every half to whole `snap_count` transactions (at least 2) or `snap_size_bytes` of log (0: size
    /// does not matter), whichever comes first. `draw(n)` gives a random number below n.
    ///
    /// Differs from Java, which dies of a size of 0 that its manual says switches the size off.
    pub fn new(snap_count: u64, snap_size_bytes: u64, draw: &mut dyn FnMut(u64) -> u64) -> Self {
        let mut policy = SnapPolicy {
            snap_count: snap_count.max(SNAP_COUNT_MIN),
            snap_size_bytes,
            txns: 0,
            count_limit: 0,
            size_limit_bytes: 0,
        };
        policy.redraw(draw);
        policy
    }

    /// Notes one transaction appended to a log that is `log_bytes` large since the last roll
    /// (`txnlog::LogWriter::size`). True means: roll the log now and take a snapshot; the counters begin anew.
    pub fn logged(&mut self, log_bytes: u64, draw: &mut dyn FnMut(u64) -> u64) -> bool {
        self.txns += 1;
        let sized = self.snap_size_bytes > 0 && log_bytes > self.size_limit_bytes;
        let due = self.txns > self.count_limit || sized;
        if due {
            self.redraw(draw);
        }
        due
    }

    /// Transactions since the last roll.
    pub fn txns(&self) -> u64 {
        self.txns
    }

    fn redraw(&mut self, draw: &mut dyn FnMut(u64) -> u64) {
        let mut limit = |whole: u64| {
            let half = whole / 2;
            half + if half == 0 { 0 } else { draw(half) }
        };
        self.count_limit = limit(self.snap_count);
        self.size_limit_bytes = limit(self.snap_size_bytes);
        self.txns = 0;
    }
}

/// A smaller `snapCount` counts as this. Source: `ZooKeeperServer.getSnapCount`.
const SNAP_COUNT_MIN: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn due_after(policy: &mut SnapPolicy, draw: &mut dyn FnMut(u64) -> u64) -> u64 {
        (1..).find(|_| policy.logged(0, draw)).unwrap()
    }

    #[test]
    fn a_snapshot_is_due_between_half_and_whole_count() {
        let mut low = |_: u64| 0;
        let mut high = |n: u64| n - 1;
        let mut policy = SnapPolicy::new(100, 0, &mut low);
        assert_eq!(due_after(&mut policy, &mut high), 51);
        assert_eq!(due_after(&mut policy, &mut low), 100);
        assert_eq!(due_after(&mut policy, &mut low), 51);
        assert_eq!(
            due_after(&mut SnapPolicy::new(0, 0, &mut high), &mut high),
            2
        );
    }

    #[test]
    fn size_counts_unless_it_is_zero() {
        let mut low = |_: u64| 0;
        let mut policy = SnapPolicy::new(100, 1000, &mut low);
        assert!(!policy.logged(500, &mut low));
        assert!(policy.logged(501, &mut low));
        assert!(!SnapPolicy::new(100, 0, &mut low).logged(u64::MAX, &mut low));
    }
}
