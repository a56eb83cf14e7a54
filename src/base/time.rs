//! Points in time as values: nothing here can ask the system.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Milliseconds of a clock that never goes back. Only differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub i64);

/// Wall clock, milliseconds since 1970 UTC. May jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallMs(pub i64);

/// Nanoseconds of the clock of [`Mono`], to measure with: nothing is decided by it. 0 where nobody measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The same moment, to decide by.
    pub fn mono(self) -> Mono {
        Mono((self.0 / 1_000_000) as i64)
    }
}

impl Sub for Stamp {
    type Output = Duration;
    /// Zero if `earlier` is later, or one of them was not measured.
    fn sub(self, earlier: Stamp) -> Duration {
        match earlier {
            Stamp(0) => Duration::ZERO,
            Stamp(earlier) => Duration::from_nanos(self.0.saturating_sub(earlier)),
        }
    }
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timeouts.
    pub mono: Mono,
    /// For time stamps.
    pub wall: WallMs,
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, duration: Duration) -> Mono {
        Mono(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub for Mono {
    type Output = Duration;
    /// Zero if `earlier` is later.
    fn sub(self, earlier: Mono) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0) as u64)
    }
}
