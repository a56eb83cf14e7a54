//! Real time.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::base::{Mono, Now, Stamp, WallMs};

/// The process's two clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// Both clocks.
    pub fn now(self) -> Now {
        self.exact_now().0
    }

    /// Both clocks, and the stamp of the same reading.
    pub fn exact_now(self) -> (Now, Stamp) {
        // A wall clock before 1970 is wrong anyway.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let stamp = self.stamp();
        let now = Now {
            mono: stamp.mono(),
            wall: WallMs(since_epoch.as_millis() as i64),
        };
        (now, stamp)
    }

    /// The clock for timeouts: the host's own, not the process's, so that session ids made from it rarely repeat
    /// after a restart.
    pub fn mono(self) -> Mono {
        self.stamp().mono()
    }

    /// The same clock, to measure with.
    pub fn stamp(self) -> Stamp {
        let time = clock_gettime(ClockId::Monotonic);
        Stamp((time.tv_sec as u64) * 1_000_000_000 + time.tv_nsec as u64)
    }
}
