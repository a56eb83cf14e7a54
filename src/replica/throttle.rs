//! Requests that wait until fewer are in work.
//!
//! ```text
//!   Input::Request, Input::Connect -> queue (first in, first out, of all sessions) -> request, connect
//! ```
//!
//! Off unless configured; nothing comes by here then. Source: `RequestThrottler`.

use std::collections::VecDeque;
use std::time::Duration;

use super::request::{ReadRequest, Request};
use super::{Input, Replica};
use crate::base::{Mono, Now};
use crate::prep::WriteRequest;

/// When requests wait, and what becomes of those that waited.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThrottleOptions {
    /// Requests in work from which on new ones wait; 0 is no limit.
    pub max_requests: usize,
    /// Time between two looks for stale requests while some wait.
    pub stall_time: Duration,
    /// Whether a stale request that waits is dropped, and its connection closed.
    pub drop_stale: bool,
    /// Whether the requests of a closed connection are stale.
    pub stale_connection: bool,
    /// Whether a request older than its session's timeout is stale.
    pub stale_latency: bool,
    /// A request that waited longer is answered THROTTLEDOP instead; None: none is.
    pub max_wait: Option<Duration>,
}

impl ThrottleOptions {
    /// Whether there is anything to do for it.
    pub fn is_on(&self) -> bool {
        self.max_requests > 0 || self.max_wait.is_some()
    }
}

/// Who waits, and how many are in work.
#[derive(Debug)]
pub(super) struct Throttle {
    options: ThrottleOptions,
    waiting: VecDeque<Input>,
    in_work: usize,
}

impl Throttle {
    pub(super) fn new(options: ThrottleOptions) -> Self {
        Throttle {
            options,
            waiting: VecDeque::new(),
            in_work: 0,
        }
    }

    /// Whether `input` has to go through the queue.
    pub(super) fn holds(&self, input: &Input) -> bool {
        self.options.is_on()
            && match input {
                Input::Request { .. } => true,
                Input::Connect { request, .. } => request.fields.session_id == 0,
                _ => false,
            }
    }

    /// Puts `input` behind those that wait.
    pub(super) fn hold(&mut self, input: Input) {
        self.waiting.push_back(input);
    }

    /// A request that was let in is answered or dropped.
    pub(super) fn finished(&mut self) {
        self.in_work = self.in_work.saturating_sub(1);
    }

    /// So many requests wait for their client, not for the server.
    pub(super) fn parked(&mut self, requests: usize) {
        if self.options.is_on() {
            self.in_work = self.in_work.saturating_sub(requests);
        }
    }

    /// They are work of the server again.
    pub(super) fn resumed(&mut self, requests: usize) {
        if self.options.is_on() {
            self.in_work += requests;
        }
    }

    /// Takes out those that wait.
    pub(super) fn take_waiting(&mut self) -> VecDeque<Input> {
        std::mem::take(&mut self.waiting)
    }

    /// Inputs that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When to look again, if anybody waits.
    pub(super) fn next_deadline(&self, now: Mono) -> Option<Mono> {
        (!self.waiting.is_empty()).then(|| now + self.options.stall_time)
    }

    pub(super) fn is_full(&self) -> bool {
        self.options.max_requests > 0 && self.in_work >= self.options.max_requests
    }

    /// Source: `Request.isStale`, `Request.mustDrop`.
    fn is_stale(&self, now: Now, input: &Input) -> bool {
        let Input::Request {
            conn,
            lane,
            request,
            received,
            ..
        } = input
        else {
            return false;
        };
        if conn.is_invalid() {
            return true;
        }
        let drops = self.options.max_requests > 0 && self.options.drop_stale;
        if !drops || matches!(request, Request::Write(WriteRequest::CloseSession)) {
            return false;
        }
        let (_, timeout) = lane.last_heard();
        (self.options.stale_connection && conn.outbox.is_closed())
            || (self.options.stale_latency && now.mono - *received > timeout)
    }

    /// Whether `input` waited for too long to be served. Source:
    /// `RequestThrottler.shouldThrottleOp`.
    fn is_late(&self, now: Now, input: &Input) -> bool {
        let (Some(max_wait), Input::Request { received, .. }) = (self.options.max_wait, input)
        else {
            return false;
        };
        now.mono - *received > max_wait
    }
}

impl Replica {
    /// Serves those that wait as long as there is room.
    pub(super) fn let_in(&mut self, now: Now) {
        while let Some(first) = self.throttle.waiting.front() {
            let stale = self.throttle.is_stale(now, first);
            if !stale && self.throttle.is_full() {
                return;
            }
            let late = self.throttle.is_late(now, first);
            match self.throttle.waiting.pop_front() {
                Some(input) if stale => {
                    self.measures.metrics.stale_requests_dropped.inc();
                    self.drop_stale(input);
                }
                Some(input) => self.admit(now, input, late),
                None => return,
            }
        }
    }

    /// The request is dropped without an answer, and so is everything its connection sent after it.
    fn drop_stale(&mut self, input: Input) {
        if let Input::Request {
            conn, lane, xid, ..
        } = input
        {
            conn.set_invalid();
            conn.outbox.close(&mut self.wakes);
            self.uncount(&lane, &conn, xid);
        }
    }

    fn admit(&mut self, now: Now, mut input: Input, late: bool) {
        if let Input::Request {
            request, received, ..
        } = &mut input
        {
            self.throttle.in_work += 1;
            let metrics = &self.measures.metrics;
            metrics
                .request_throttle_queue_time_ms
                .record_ms(now.mono - *received);
            if late && is_throttlable(request) {
                metrics.throttled_ops.inc();
            }
            if late && is_throttlable(request) {
                *request = Request::Read(ReadRequest::Throttled);
            }
        }
        self.take(now, input);
    }
}

/// Source: `Request.isThrottlable`; unknown operations never get as far.
fn is_throttlable(request: &Request) -> bool {
    !matches!(
        request,
        Request::Write(WriteRequest::CloseSession)
            | Request::Read(ReadRequest::Ping | ReadRequest::Unknown(_))
    )
}
