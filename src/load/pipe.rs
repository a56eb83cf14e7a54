//! One connection's requests in flight, without the connection: what is due, what is sent, what the
//! answers say. Time and bytes are handed in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jute::ErrorCode;
use jute::proto::xid;

use super::plan::Plan;
use super::tally::{Kind, Tally, Window};
use super::wire::{HEADER, i32_at};

/// Points in time at which requests are due, whether earlier ones were answered or not.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals {
    /// The first of them, ns of the run's clock.
    pub first: f64,
    /// From one to the next, ns.
    pub every: f64,
    /// Which one is next.
    pub next: u64,
}

impl Arrivals {
    /// When the next request is due.
    pub fn due(&self) -> u64 {
        (self.first + self.next as f64 * self.every) as u64
    }
}

/// Why a connection is of no more use: an answer that no server may give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A frame that is shorter than a reply, or longer than any that is due.
    #[error("a frame of {0} bytes")]
    Frame(i32),
    /// An answer to another request than the oldest one.
    #[error("an answer to request {got} where {due} was due")]
    Order {
        /// Its xid.
        got: i32,
        /// That of the oldest request; 0 where none is unanswered.
        due: i32,
    },
    /// An answer whose length cannot be right.
    #[error("{got} bytes in answer to a {} where {due} were due", kind.name())]
    Length {
        /// What was asked.
        kind: Kind,
        /// Its length.
        got: usize,
        /// What it should be.
        due: usize,
    },
    /// The identity was refused.
    #[error("the server refuses the identity given by --auth")]
    Auth,
}

/// A request without an answer.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// When it was due: with arrivals as they said, else when it was made.
    due: u64,
    number: u32,
    xid: i32,
    template: u8,
    /// Sent on an earlier connection, too: it may have happened.
    again: bool,
}

/// The requests of one connection.
#[derive(Debug)]
pub struct Pipe {
    plan: Plan,
    in_flight: usize,
    arrivals: Option<Arrivals>,
    /// How many requests all connections together have left for the window.
    left: Option<Arc<AtomicU64>>,
    flight: VecDeque<Sent>,
    next_xid: i32,
    longest: usize,
    /// Nothing more is to be sent.
    over: bool,
    /// The last transaction that an answer told of.
    zxid: i64,
}

/// Bytes of requests written ahead of the socket.
const AHEAD: usize = 256 * 1024;
/// Longest frame that is taken for an event.
const EVENT: usize = 4096;
/// xid of the answer to an auth packet. Source: `ClientCnxn`.
pub(super) const AUTH_XID: i32 = -4;

impl Pipe {
    /// Up to `in_flight` requests of `plan` at once: as soon as there is room, or as `arrivals` say.
    pub fn new(
        plan: Plan,
        in_flight: usize,
        arrivals: Option<Arrivals>,
        left: Option<Arc<AtomicU64>>,
    ) -> Pipe {
        let longest = plan.longest_reply().max(EVENT);
        Pipe {
            plan,
            in_flight,
            arrivals,
            left,
            flight: VecDeque::with_capacity(in_flight.min(1024)),
            next_xid: 1,
            longest,
            over: false,
            zxid: 0,
        }
    }

    /// Sets when requests are due; without it they are as soon as there is room.
    pub fn arrive(&mut self, arrivals: Option<Arrivals>) {
        self.arrivals = arrivals;
    }

    /// Appends every request that is due and has room.
    pub fn fill(&mut self, now: u64, window: Window, out: &mut Vec<u8>) {
        while !self.over && self.flight.len() < self.in_flight && out.len() < AHEAD {
            let due = self.arrivals.map_or(now, |arrivals| arrivals.due());
            if due < window.to && due > now {
                return;
            }
            let Some((template, number)) = self.next(due, window) else {
                return;
            };
            let xid = self.next_xid;
            self.next_xid = xid.checked_add(1).unwrap_or(1);
            self.plan.template(template).push(xid, number, out);
            self.flight.push_back(Sent {
                due,
                number,
                xid,
                template,
                again: false,
            });
        }
    }

    /// The request that is due at `due`, if there is any more.
    fn next(&mut self, due: u64, window: Window) -> Option<(u8, u32)> {
        let has_left = |left: &Arc<AtomicU64>| {
            let less = |left: u64| left.checked_sub(1);
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
        };
        let is_wanted =
            due < window.to && (!window.contains(due) || self.left.as_ref().is_none_or(has_left));
        let next = is_wanted.then(|| self.plan.advance()).flatten();
        match (&next, &mut self.arrivals) {
            (None, _) => self.over = true,
            (Some(_), Some(arrivals)) => arrivals.next += 1,
            (Some(_), None) => {}
        }
        next
    }

    /// When [`Pipe::fill`] has something to do, if that depends on time only.
    pub fn due(&self) -> Option<u64> {
        let has_room = !self.over && self.flight.len() < self.in_flight;
        self.arrivals
            .filter(|_| has_room)
            .map(|arrivals| arrivals.due())
    }

    /// Since when the oldest request waits for its answer.
    pub fn waiting_since(&self) -> Option<u64> {
        self.flight.front().map(|sent| sent.due)
    }

    /// Whether everything was sent and answered.
    pub fn is_done(&self) -> bool {
        self.over && self.flight.is_empty()
    }

    /// The last transaction that an answer told of.
    pub fn zxid(&self) -> i64 {
        self.zxid
    }

    /// Bytes of the longest frame that [`Pipe::take`] takes.
    pub fn longest(&self) -> usize {
        4 + self.longest
    }

    /// Appends every request without an answer again, for another connection; returns how many.
    pub fn resend(&mut self, out: &mut Vec<u8>) -> u64 {
        for sent in &mut self.flight {
            sent.again = true;
            self.plan
                .template(sent.template)
                .push(sent.xid, sent.number, out);
        }
        self.flight.len() as u64
    }

    /// Takes the whole frames in `inbox`, which `server` sent; returns their bytes.
    ///
    /// # Errors
    /// What no server may say. What was in front of it is counted.
    pub fn take(
        &mut self,
        inbox: &[u8],
        now: u64,
        window: Window,
        server: usize,
        tally: &mut Tally,
    ) -> Result<usize, Wrong> {
        let mut at = 0;
        while let Some(length) = i32_at(inbox, at) {
            let size = usize::try_from(length).unwrap_or(usize::MAX);
            if !(HEADER - 4..=self.longest).contains(&size) {
                return Err(Wrong::Frame(length));
            }
            let Some(frame) = inbox.get(at + 4..at + 4 + size) else {
                break;
            };
            self.frame(frame, now, window, server, tally)?;
            at += 4 + size;
        }
        Ok(at)
    }

    fn frame(
        &mut self,
        frame: &[u8],
        now: u64,
        window: Window,
        server: usize,
        tally: &mut Tally,
    ) -> Result<(), Wrong> {
        let (got, code) = (
            i32_at(frame, 0).unwrap_or(0),
            i32_at(frame, 12).unwrap_or(0),
        );
        match got {
            xid::NOTIFICATION | xid::PING => return Ok(()),
            AUTH_XID if code == 0 => return Ok(()),
            AUTH_XID => return Err(Wrong::Auth),
            _ => {}
        }
        let oldest = self.flight.front().copied();
        let Some(sent) = oldest.filter(|sent| sent.xid == got) else {
            let due = oldest.map_or(0, |sent| sent.xid);
            return Err(Wrong::Order { got, due });
        };
        let template = self.plan.template(sent.template);
        let kind = template.kind();
        let due = if code == 0 {
            template.reply()
        } else {
            HEADER - 4
        };
        if frame.len() != due {
            let got = frame.len();
            return Err(Wrong::Length { kind, got, due });
        }
        let zxid = frame.get(4..).and_then(<[u8]>::first_chunk).copied();
        self.zxid = self.zxid.max(zxid.map_or(0, i64::from_be_bytes));
        self.flight.pop_front();
        // What is done already was done by the request on the connection that broke.
        let is_done = sent.again
            && match kind {
                Kind::Create => code == ErrorCode::NODE_EXISTS.0,
                Kind::Delete => code == ErrorCode::NO_NODE.0,
                _ => false,
            };
        let code = if is_done { 0 } else { code };
        tally.answer(server, kind, window, sent.due, now, code);
        Ok(())
    }

    /// Counts what has no answer at `now`, which is the end: with the age it has then, and with it
    /// what was due and could not even be sent.
    pub fn give_up(&mut self, now: u64, window: Window, server: usize, tally: &mut Tally) {
        for sent in std::mem::take(&mut self.flight) {
            let kind = self.plan.template(sent.template).kind();
            tally.no_answer(server, kind, window, sent.due, now);
        }
        while let Some(due) = self.arrivals.map(|arrivals| arrivals.due()) {
            let next = if due <= now {
                self.next(due, window)
            } else {
                None
            };
            let Some((template, _)) = next.filter(|_| !self.over) else {
                break;
            };
            let kind = self.plan.template(template).kind();
            tally.no_answer(server, kind, window, due, now);
            tally.unsent += u64::from(window.contains(due));
        }
        self.over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::keys::Keys;
    use crate::load::template::{Pattern, Template};

    const MS: u64 = 1_000_000;

    fn reads() -> Plan {
        let path = Pattern::new("/k").number(2, 1);
        Plan::one(Template::exists(&path), Keys::Round { next: 0, count: 50 })
    }

    fn reply(xid: i32, code: i32, body: usize) -> Vec<u8> {
        let mut frame = (16 + body as i32).to_be_bytes().to_vec();
        frame.extend(xid.to_be_bytes());
        frame.extend(7_i64.to_be_bytes());
        frame.extend(code.to_be_bytes());
        frame.resize(20 + body, 0);
        frame
    }

    /// xids of the framed requests.
    fn xids(mut sent: &[u8]) -> Vec<i32> {
        let mut found = Vec::new();
        while let Some(length) = i32_at(sent, 0) {
            found.push(i32_at(sent, 4).unwrap());
            sent = &sent[4 + length as usize..];
        }
        found
    }

    /// Five seconds against a server that answers after a millisecond, and for a second not at all.
    fn with_a_stall(in_flight: usize, every: Option<u64>) -> Tally {
        let window = Window {
            from: 0,
            to: 5000 * MS,
        };
        let arrivals = every.map(|every| Arrivals {
            first: 0.0,
            every: every as f64,
            next: 0,
        });
        let mut pipe = Pipe::new(reads(), in_flight, arrivals, None);
        let mut tally = Tally::new(1);
        let mut unanswered = Vec::new();
        for ms in 0..6000 {
            let is_stalled = (1000..2000).contains(&ms);
            if !is_stalled {
                let replies: Vec<u8> = unanswered
                    .drain(..)
                    .flat_map(|xid| reply(xid, 0, 68))
                    .collect();
                let took = pipe.take(&replies, ms * MS, window, 0, &mut tally);
                assert_eq!(took, Ok(replies.len()));
            }
            let mut out = Vec::new();
            pipe.fill(ms * MS, window, &mut out);
            unanswered.extend(xids(&out));
        }
        assert!(pipe.is_done());
        tally
    }

    #[test]
    fn a_fixed_rate_shows_a_stall_that_a_closed_loop_hides() {
        let ms = |tally: &Tally, percent| tally.all().latencies.percentile(percent) / MS;
        let closed = with_a_stall(1, None);
        assert_eq!((ms(&closed, 99.0), ms(&closed, 100.0)), (1, 1001));
        // One request each two ms; a fifth of them were due during the stall.
        for in_flight in [1000, 100] {
            let open = with_a_stall(in_flight, Some(2 * MS));
            assert_eq!(open.all().latencies.count(), 2500);
            assert!(
                (490..=520).contains(&ms(&open, 90.0)),
                "{}",
                ms(&open, 90.0)
            );
            assert!(
                (940..=970).contains(&ms(&open, 99.0)),
                "{}",
                ms(&open, 99.0)
            );
            assert_eq!(ms(&open, 50.0), 1);
        }
    }

    #[test]
    fn what_a_server_never_answers_counts_with_the_age_it_reached() {
        let window = Window {
            from: 0,
            to: 1000 * MS,
        };
        let arrivals = Arrivals {
            first: 0.0,
            every: 100.0 * MS as f64,
            next: 0,
        };
        let mut pipe = Pipe::new(reads(), 3, Some(arrivals), None);
        let (mut tally, mut out) = (Tally::new(1), Vec::new());
        for ms in 0..1500 {
            pipe.fill(ms * MS, window, &mut out);
        }
        assert_eq!(xids(&out), [1, 2, 3]);
        assert_eq!((pipe.due(), pipe.waiting_since()), (None, Some(0)));
        pipe.give_up(1500 * MS, window, 0, &mut tally);
        let latencies = tally.all().latencies;
        assert_eq!(
            (tally.unanswered, tally.unsent, latencies.count()),
            (10, 7, 10)
        );
        assert_eq!((latencies.min() as f64 / MS as f64).round(), 600.0);
        assert!(pipe.is_done());
    }

    #[test]
    fn an_answer_that_no_server_may_give_ends_the_connection() {
        let window = Window {
            from: 0,
            to: u64::MAX,
        };
        let wrong = |bytes: &[u8]| {
            let mut pipe = Pipe::new(reads(), 2, None, None);
            let (mut tally, mut out) = (Tally::new(1), Vec::new());
            pipe.fill(0, window, &mut out);
            pipe.take(bytes, 1, window, 0, &mut tally).unwrap_err()
        };
        assert_eq!(wrong(&reply(2, 0, 68)), Wrong::Order { got: 2, due: 1 });
        assert_eq!(wrong(&[0, 0, 0, 15]), Wrong::Frame(15));
        assert_eq!(wrong(&[0xff, 0xff, 0xff, 0xff]), Wrong::Frame(-1));
        assert_eq!(wrong(b"HTTP/1.1 400"), Wrong::Frame(0x4854_5450));
        let length = |got, due| Wrong::Length {
            kind: Kind::Exists,
            got,
            due,
        };
        assert_eq!(wrong(&reply(1, 0, 67)), length(83, 84));
        assert_eq!(wrong(&reply(1, -101, 4)), length(20, 16));
        assert_eq!(wrong(&reply(-4, -115, 0)), Wrong::Auth);
        let all = [reply(1, 0, 68), reply(2, -101, 0), reply(3, 0, 68)].concat();
        assert_eq!(wrong(&all), Wrong::Order { got: 3, due: 0 });
    }

    #[test]
    fn frames_come_in_pieces_and_pings_and_events_in_between() {
        let window = Window { from: 0, to: 10 };
        let mut pipe = Pipe::new(reads(), 2, None, None);
        let (mut tally, mut out) = (Tally::new(1), Vec::new());
        pipe.fill(0, window, &mut out);
        let all = [
            reply(-2, 0, 0),
            reply(1, -101, 0),
            reply(-1, 0, 20),
            reply(2, 0, 68),
        ]
        .concat();
        let mut inbox = Vec::new();
        for byte in all {
            inbox.push(byte);
            let took = pipe.take(&inbox, 5, window, 0, &mut tally).unwrap();
            inbox.drain(..took);
        }
        assert!(inbox.is_empty());
        assert_eq!((tally.replies, pipe.zxid()), ((2, 1), 7));
        pipe.fill(10, window, &mut out);
        assert!(pipe.is_done());
    }

    #[test]
    fn what_was_sent_again_may_have_happened_before() {
        let window = Window {
            from: 0,
            to: u64::MAX,
        };
        let plan = Plan::churn("/r", 1);
        let mut pipe = Pipe::new(plan, 2, None, None);
        let (mut tally, mut out) = (Tally::new(1), Vec::new());
        pipe.fill(0, window, &mut out);
        let first = std::mem::take(&mut out);
        assert_eq!(pipe.resend(&mut out), 2);
        assert_eq!(out, first);
        let replies = [reply(1, -110, 0), reply(2, -101, 0)].concat();
        pipe.take(&replies, 3000, window, 0, &mut tally).unwrap();
        assert_eq!(tally.replies, (2, 0));
        assert_eq!(tally.all().latencies.max() / 10, 300);
        out.clear();
        pipe.fill(3000, window, &mut out);
        pipe.take(&reply(3, -110, 0), 3001, window, 0, &mut tally)
            .unwrap();
        assert_eq!(tally.replies, (3, 1));
    }

    #[test]
    fn a_number_of_requests_counts_from_the_end_of_the_warm_up() {
        let window = Window {
            from: 100,
            to: u64::MAX,
        };
        let left = Arc::new(AtomicU64::new(2));
        let mut pipe = Pipe::new(reads(), 5, None, Some(left));
        let mut out = Vec::new();
        pipe.fill(50, window, &mut out);
        assert_eq!(xids(&out).len(), 5);
        let mut tally = Tally::new(1);
        let replies: Vec<u8> = (1..=5).flat_map(|xid| reply(xid, 0, 68)).collect();
        pipe.take(&replies, 100, window, 0, &mut tally).unwrap();
        out.clear();
        pipe.fill(100, window, &mut out);
        assert_eq!(xids(&out), [6, 7]);
    }
}
