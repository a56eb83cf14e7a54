//! Connections that do nothing but come and go: connect, ask for a session, end it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jute::ErrorCode;
use tokio::time::{sleep, timeout};

use super::drive::{CLOSING, Link, close};
use super::pipe::Arrivals;
use super::shared::Told;
use super::tally::Kind;
use super::wire::Session;

impl Link {
    /// One session after the other, as `pace` says or without a pause.
    pub async fn sessions(
        mut self,
        pace: impl FnOnce() -> Option<Arrivals>,
        left: Option<Arc<AtomicU64>>,
    ) {
        let shared = self.place.shared.clone();
        match self.first().await {
            Ok(mut stream) => self.close(&mut stream).await,
            Err(why) => return shared.fail(why),
        }
        shared.tell(Told::Open);
        if !shared.begins().await {
            return;
        }
        let mut arrivals = pace();
        loop {
            let (now, window) = (shared.now(), shared.window());
            let due = arrivals.map_or(now, |arrivals| arrivals.due());
            if due >= window.to {
                break;
            }
            if due > now {
                self.sleep(Duration::from_nanos(due - now).min(LOOK)).await;
                continue;
            }
            let less = |left: u64| left.checked_sub(1);
            let is_wanted = |left: &Arc<AtomicU64>| {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                    .is_ok()
            };
            if window.contains(due) && !left.as_ref().is_none_or(is_wanted) {
                break;
            }
            if let Some(arrivals) = &mut arrivals {
                arrivals.next += 1;
            }
            self.session(due).await;
            if shared.is_late(shared.now()) {
                self.never_begun(arrivals);
                break;
            }
        }
        shared.waits(self.place.number, None);
    }

    /// One session, due at `due`.
    async fn session(&mut self, due: u64) {
        let shared = self.place.shared.clone();
        shared.waits(self.place.number, Some(due));
        self.session = Session::default();
        let reached = self.reach().await;
        let now = shared.now();
        let is_open = reached.is_ok();
        self.count(Kind::Connect, due, now, is_open);
        match reached {
            Ok(opened) => {
                let mut stream = self.take(opened);
                let closed = timeout(CLOSING, close(&mut stream)).await;
                let is_closed = matches!(closed, Ok(Ok(())));
                self.count(Kind::Close, now, shared.now(), is_closed);
            }
            Err(_) => {
                sleep(LOOK / 10).await;
                self.next_server();
            }
        }
        shared.waits(self.place.number, None);
    }

    fn count(&self, kind: Kind, due: u64, now: u64, is_ok: bool) {
        let code = if is_ok {
            0
        } else {
            ErrorCode::CONNECTION_LOSS.0
        };
        let (window, server) = (self.place.shared.window(), self.place.server);
        let mut tally = self.place.tally.lock();
        tally.answer(server, kind, window, due, now, code);
    }

    /// Counts sessions that were due and for which there was no time.
    fn never_begun(&self, arrivals: Option<Arrivals>) {
        let (now, window) = (self.place.shared.now(), self.place.shared.window());
        let mut tally = self.place.tally.lock();
        let mut arrivals = arrivals;
        while let Some(arrivals) = arrivals
            .as_mut()
            .filter(|arrivals| arrivals.due() < window.to)
        {
            let due = arrivals.due();
            tally.no_answer(self.place.server, Kind::Connect, window, due, now);
            tally.unsent += u64::from(window.contains(due));
            arrivals.next += 1;
        }
    }
}

/// How soon the end of the run is noticed.
const LOOK: Duration = Duration::from_millis(200);
