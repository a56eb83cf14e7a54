//! The clocks of one machine: one that may run fast or slow, and one that may jump.

use super::Us;
use crate::base::{Mono, Now, WallMs};

/// Two clocks as functions of true time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// True time and reading at the last boot of the machine.
    since: (Us, i64),
    /// Microseconds shown per true microsecond.
    rate: f64,
    /// Wall clock minus true time, in ms.
    offset: i64,
}

/// What the wall clock shows at the beginning, in ms: in November 2023.
const BEGIN: i64 = 1_700_000_000_000;

impl Clock {
    pub(super) fn new(rate: f64) -> Self {
        Clock {
            since: (0, 1_000_000),
            rate,
            offset: BEGIN,
        }
    }

    /// The machine boots: its monotonic clock shows `mono`.
    pub(super) fn boot(&mut self, at: Us, mono: i64) {
        self.since = (at, mono);
    }

    pub(super) fn jump(&mut self, ms: i64) {
        self.offset += ms;
    }

    /// The wall clock is set right.
    pub(super) fn set(&mut self) {
        self.offset = BEGIN;
    }

    pub(super) fn now(&self, at: Us) -> Now {
        let passed = at.saturating_sub(self.since.0) as f64 * self.rate / 1000.0;
        Now {
            mono: Mono(self.since.1 + passed as i64),
            wall: WallMs(self.offset + (at / 1000) as i64),
        }
    }

    /// The true time at which the clock shows at least `mono`.
    pub(super) fn when(&self, mono: Mono) -> Us {
        let passed = (mono.0.saturating_sub(self.since.1)).max(0) as f64 * 1000.0 / self.rate;
        self.since.0 + passed.min(1e15) as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_when_the_clock_says_so() {
        for rate in [0.95, 1.0, 1.05] {
            let mut clock = Clock::new(rate);
            clock.boot(123_456, 77);
            for mono in [78, 100, 5_000, 1_234_567] {
                let at = clock.when(Mono(mono));
                assert!(clock.now(at).mono >= Mono(mono), "{rate} {mono}");
                assert!(clock.now(at - 3_000).mono < Mono(mono), "{rate} {mono}");
            }
        }
    }
}
