//! The timers of the protocol: which there are, and a table of those that run.
//!
//! The protocol never sleeps. It says when it wants to be called again; its owner waits until
//! [`Timers::earliest`] and hands back what [`Timers::expired`] says has run out.

use crate::base::Mono;

/// What can run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Nothing was heard while looking for a leader: notify everyone again.
    ElectionResend,
    /// A quorum agrees on a leader and nobody has come up with a better one.
    FinalizeWait,
}

impl Timer {
    /// Every timer, in the order in which those that run out at the same time are reported.
    pub const ALL: [Timer; 2] = [Timer::ElectionResend, Timer::FinalizeWait];
}

/// The timers that run. Each runs at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timers {
    deadlines: [Option<Mono>; Timer::ALL.len()],
}

impl Timers {
    /// Lets `timer` run out at `at`, in place of any earlier deadline of it.
    pub fn set(&mut self, timer: Timer, at: Mono) {
        self.deadlines[timer as usize] = Some(at);
    }

    /// Lets `timer` no longer run.
    pub fn stop(&mut self, timer: Timer) {
        self.deadlines[timer as usize] = None;
    }

    /// When the first one runs out; none if none runs.
    pub fn earliest(&self) -> Option<Mono> {
        self.deadlines.iter().flatten().min().copied()
    }

    /// Takes one timer that has run out at `now`, the one due first before others.
    pub fn expired(&mut self, now: Mono) -> Option<Timer> {
        let due = |timer: &Timer| self.deadlines[*timer as usize].filter(|at| *at <= now);
        let first = Timer::ALL.iter().filter(|timer| due(timer).is_some());
        let timer = first.min_by_key(|timer| due(timer)).copied()?;
        self.stop(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_run_out_once_and_in_the_order_of_their_deadlines() {
        let mut timers = Timers::default();
        assert_eq!(timers.earliest(), None);
        timers.set(Timer::ElectionResend, Mono(30));
        timers.set(Timer::FinalizeWait, Mono(20));
        assert_eq!(timers.earliest(), Some(Mono(20)));
        assert_eq!(timers.expired(Mono(19)), None);
        assert_eq!(timers.expired(Mono(40)), Some(Timer::FinalizeWait));
        assert_eq!(timers.expired(Mono(40)), Some(Timer::ElectionResend));
        assert_eq!(timers.expired(Mono(40)), None);
    }

    #[test]
    fn a_timer_set_again_forgets_its_first_deadline() {
        let mut timers = Timers::default();
        timers.set(Timer::FinalizeWait, Mono(20));
        timers.set(Timer::FinalizeWait, Mono(50));
        assert_eq!(timers.expired(Mono(49)), None);
        timers.stop(Timer::FinalizeWait);
        assert_eq!(timers.expired(Mono(90)), None);
    }
}
