//! Real time.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::base::{Mono, Now, WallMs};

/// The process's two clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// Both clocks.
    pub fn now(self) -> Now {
        // A wall clock before 1970 is wrong anyway.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono: self.mono(),
            wall: WallMs(since_epoch.as_millis() as i64),
        }
    }

    /// The clock for timeouts: the host's own, not the process's, so that session ids made from it rarely repeat
    /// after a restart.
    pub fn mono(self) -> Mono {
        let time = clock_gettime(ClockId::Monotonic);
        Mono(time.tv_sec * 1000 + time.tv_nsec / 1_000_000)
    }
}
