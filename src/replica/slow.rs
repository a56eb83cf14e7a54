//! Requests that took too long, told with what they waited for, a few per second however many there are.

use std::fmt;
use std::time::Duration;

use jute::Op;

use crate::base::{Mono, SessionId, Zxid};

/// Tells of slow requests.
#[derive(Debug, Default)]
pub(super) struct SlowRequests {
    threshold: Option<Duration>,
    /// When the present second of lines began.
    since: Mono,
    said: u32,
    unsaid: u64,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Slow<'a> {
    pub session: SessionId,
    /// None: an operation without a name.
    pub op: Option<Op>,
    /// None: it names none, or was refused before anybody kept it.
    pub path: Option<&'a str>,
    pub zxid: Zxid,
    pub took: Duration,
    pub stages: Stages,
}

/// Where the time of a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stages {
    /// It had to be ordered.
    Write {
        /// Until the commit loop took it.
        queue: Duration,
        /// Until it had its place in the order: on a learner, the way to the leader and back.
        order: Duration,
        /// Until it was durable on this server.
        log: Duration,
        /// From then on until a quorum had it.
        quorum: Duration,
    },
    /// It had to wait for what its session sent before.
    Read {
        /// Until the commit loop took it.
        queue: Duration,
        /// From then on.
        behind: Duration,
    },
}

/// Lines per second.
const LINES: u32 = 5;
const SECOND: Duration = Duration::from_secs(1);

impl SlowRequests {
    pub fn new(threshold: Option<Duration>) -> Self {
        SlowRequests {
            threshold,
            ..SlowRequests::default()
        }
    }

    /// Whether a request that took this long is slow.
    pub fn is_slow(&self, took: Duration) -> bool {
        self.threshold.is_some_and(|threshold| took >= threshold)
    }

    /// Tells of `slow`, or counts it.
    pub fn tell(&mut self, now: Mono, slow: &Slow<'_>) {
        self.settle(now);
        if self.said == 0 {
            self.since = now;
        }
        if self.said == LINES {
            self.unsaid += 1;
        } else {
            self.said += 1;
            tracing::warn!("{slow}");
        }
    }

    /// Says how many were only counted, once their second is over. Gives back that number.
    pub fn settle(&mut self, now: Mono) -> u64 {
        if self.said == 0 || now - self.since < SECOND {
            return 0;
        }
        self.said = 0;
        let unsaid = std::mem::take(&mut self.unsaid);
        if unsaid > 0 {
            tracing::warn!("{unsaid} more requests were as slow within a second or so");
        }
        unsaid
    }
}

impl fmt::Display for Slow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Slow { session, zxid, .. } = self;
        write!(f, "session {session}: slow request, ")?;
        match self.op {
            Some(op) => write!(f, "{op:?}")?,
            None => f.write_str("an operation without a name")?,
        }
        if let Some(path) = self.path {
            write!(f, " {path:?}")?;
        }
        write!(f, " at {zxid} took {} ms: ", self.took.as_millis())?;
        let ms = |stage: Duration| stage.as_millis();
        match self.stages {
            Stages::Write {
                queue,
                order,
                log,
                quorum,
            } => write!(
                f,
                "{} until taken, {} until ordered, {} until logged here, {} until agreed on; \
                 look at the longest of these (request.warningthresholdms)",
                ms(queue),
                ms(order),
                ms(log),
                ms(quorum)
            ),
            Stages::Read { queue, behind } => write!(
                f,
                "{} until taken, {} behind its session's writes (request.warningthresholdms)",
                ms(queue),
                ms(behind)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(took: u64) -> Slow<'static> {
        let ms = Duration::from_millis;
        Slow {
            session: SessionId(0x10),
            op: Some(Op::SetData),
            path: Some("/a\nb"),
            zxid: Zxid(0x2_0000_0003),
            took: ms(took),
            stages: Stages::Write {
                queue: ms(1),
                order: ms(2),
                log: ms(1300),
                quorum: ms(4),
            },
        }
    }

    #[test]
    fn a_slow_request_is_told_with_its_stages() {
        assert_eq!(
            slow(1307).to_string(),
            "session 0x10: slow request, SetData \"/a\\nb\" at 0x200000003 took 1307 ms: 1 until taken, 2 until \
             ordered, 1300 until logged here, 4 until agreed on; look at the longest of these \
             (request.warningthresholdms)"
        );
    }

    #[test]
    fn a_stall_is_told_in_a_few_lines_and_one_number() {
        let mut requests = SlowRequests::new(Some(Duration::from_secs(1)));
        assert!(requests.is_slow(Duration::from_secs(1)));
        assert!(!requests.is_slow(Duration::from_millis(999)));
        for _ in 0..100 {
            requests.tell(Mono(7000), &slow(2000));
        }
        assert_eq!(requests.settle(Mono(7999)), 0, "its second is not over");
        assert_eq!(requests.settle(Mono(8000)), 95);
        assert_eq!(requests.settle(Mono(9000)), 0);
        requests.tell(Mono(9000), &slow(2000));
        assert_eq!((requests.said, requests.unsaid), (1, 0));
    }

    #[test]
    fn without_a_threshold_nothing_is_slow() {
        assert!(!SlowRequests::new(None).is_slow(Duration::MAX));
    }
}
