//! Signs of life of a thread, for whoever asks whether the server is well: without a lock and without waiting for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use crate::base::Mono;

/// What one thread shows of itself.
#[derive(Debug)]
pub struct Pulse {
    since: AtomicI64,
    at_length: AtomicBool,
}

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It waits for work, or does what may take as long as it wants.
    Waiting,
    /// It has been at one piece of work, which should not take long, for this time.
    Working(Duration),
    /// It has been at one piece of work, which takes long but comes to an end, for this time.
    AtLength(Duration),
    /// It has ended.
    Ended,
}

const WAITING: i64 = i64::MIN;
const ENDED: i64 = i64::MAX;

impl Default for Pulse {
    fn default() -> Self {
        Pulse {
            since: AtomicI64::new(WAITING),
            at_length: AtomicBool::new(false),
        }
    }
}

impl Pulse {
    /// A piece of work begins.
    pub fn begin(&self, now: Mono) {
        self.since.store(now.0, Ordering::Relaxed);
    }

    /// A piece of work begins that takes as long as there are data, such as taking over a snapshot.
    pub fn begin_at_length(&self, now: Mono) {
        self.at_length.store(true, Ordering::Relaxed);
        self.begin(now);
    }

    /// It is done.
    pub fn end(&self) {
        self.since.store(WAITING, Ordering::Relaxed);
        if self.at_length.load(Ordering::Relaxed) {
            self.at_length.store(false, Ordering::Relaxed);
        }
    }

    /// What the thread is doing.
    pub fn doing(&self, now: Mono) -> Doing {
        match self.since.load(Ordering::Relaxed) {
            WAITING => Doing::Waiting,
            ENDED => Doing::Ended,
            since => match self.at_length.load(Ordering::Relaxed) {
                true => Doing::AtLength(now - Mono(since)),
                false => Doing::Working(now - Mono(since)),
            },
        }
    }

    /// To be held by the thread: when it ends, however that comes about, its pulse says so.
    pub fn held(self: &Arc<Self>) -> Held {
        Held(self.clone())
    }
}

/// See [`Pulse::held`].
pub struct Held(Arc<Pulse>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.since.store(ENDED, Ordering::Relaxed);
    }
}

/// The threads without which nothing goes on.
#[derive(Clone, Debug, Default)]
pub struct Pulses {
    /// Works on everything that changes something.
    pub commit_loop: Arc<Pulse>,
    /// Syncs the transaction log.
    pub log_writer: Arc<Pulse>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_takes_long_is_told_apart() {
        let pulse = Pulse::default();
        pulse.begin_at_length(Mono(5));
        assert_eq!(
            pulse.doing(Mono(9)),
            Doing::AtLength(Duration::from_millis(4))
        );
        pulse.end();
        pulse.begin(Mono(5));
        assert_eq!(
            pulse.doing(Mono(9)),
            Doing::Working(Duration::from_millis(4))
        );
    }

    #[test]
    fn a_thread_that_panics_has_ended() {
        let pulse = Arc::new(Pulse::default());
        assert_eq!(pulse.doing(Mono(9)), Doing::Waiting);
        pulse.begin(Mono(5));
        assert_eq!(
            pulse.doing(Mono(9)),
            Doing::Working(Duration::from_millis(4))
        );
        pulse.end();
        assert_eq!(pulse.doing(Mono(9)), Doing::Waiting);
        let held = pulse.held();
        let thread = std::thread::spawn(move || {
            let _held = held;
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert_eq!(pulse.doing(Mono(9)), Doing::Ended);
    }
}
