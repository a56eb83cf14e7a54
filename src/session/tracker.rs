//! Which sessions live, and when they have been silent for too long.
//!
//! Source: `SessionTrackerImpl`, `ExpiryQueue`.

use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::base::{Mono, SessionId};

/// The sessions of a server, in buckets of one tick by the moment they expire.
///
/// Invariants: every session that is not closing stands in exactly one bucket, the one its entry names; no bucket is
/// empty. A bucket's moment is a multiple of the tick, strictly after the session's own deadline, so a session lives
/// longer than its timeout by at most a tick.
#[derive(Clone, Debug)]
pub struct Tracker {
    tick_ms: i64,
    sessions: FxHashMap<SessionId, Place>,
    buckets: BTreeMap<Mono, FxHashSet<SessionId>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Expires(Mono),
    Closing,
}

impl Tracker {
    /// No sessions yet; buckets are `tick` wide.
    pub fn new(tick: Duration) -> Self {
        Tracker {
            tick_ms: (tick.as_millis() as i64).max(1),
            sessions: FxHashMap::default(),
            buckets: BTreeMap::new(),
        }
    }

    /// Begins to track `id`, or touches it if it is tracked and not closing.
    pub fn track(&mut self, id: SessionId, timeout: Duration, now: Mono) {
        if !self.is_closing(id) {
            self.move_to(id, self.bucket(now + timeout));
        }
    }

    /// `id` gave a sign of life, and has `timeout` from now on: less than before is less. False if it is unknown or
    /// closing.
    ///
    /// Source: `SessionTrackerImpl.touchSession`, `ExpiryQueue.update`.
    pub fn touch(&mut self, id: SessionId, timeout: Duration, now: Mono) -> bool {
        let is_live = self.is_live(id);
        if is_live {
            self.move_to(id, self.bucket(now + timeout));
        }
        is_live
    }

    /// Whether `id` is tracked and not closing.
    pub fn is_live(&self, id: SessionId) -> bool {
        matches!(self.sessions.get(&id), Some(Place::Expires(_)))
    }

    /// Whether the end of `id` is proposed but not applied.
    pub fn is_closing(&self, id: SessionId) -> bool {
        self.sessions.get(&id) == Some(&Place::Closing)
    }

    /// The end of `id` is proposed: it cannot be touched and does not expire any more.
    pub fn mark_closing(&mut self, id: SessionId) {
        if self.sessions.contains_key(&id) {
            self.leave_bucket(id);
            self.sessions.insert(id, Place::Closing);
        }
    }

    /// The end of `id` is applied.
    pub fn remove(&mut self, id: SessionId) {
        self.leave_bucket(id);
        self.sessions.remove(&id);
    }

    /// Tracks nobody any more.
    pub fn clear(&mut self) {
        self.sessions.clear();
        self.buckets.clear();
    }

    /// Takes the sessions whose bucket is due and marks them closing, oldest bucket first, ids ascending within one.
    ///
    /// `last_heard` tells when a session was heard of last and its timeout, if somebody knows better than this
    /// tracker; such a session moves on instead, where that makes its deadline later.
    pub fn expire(
        &mut self,
        now: Mono,
        last_heard: impl Fn(SessionId) -> Option<(Mono, Duration)>,
    ) -> Vec<SessionId> {
        let mut expired = Vec::new();
        while let Some(entry) = self.buckets.first_entry() {
            let moment = *entry.key();
            if moment > now {
                break;
            }
            let mut due: Vec<SessionId> = entry.remove().into_iter().collect();
            due.sort_unstable();
            for id in due {
                let later = last_heard(id)
                    .map(|(heard, timeout)| self.bucket(heard + timeout))
                    .filter(|bucket| *bucket > now);
                match later {
                    Some(bucket) => {
                        self.sessions.insert(id, Place::Expires(bucket));
                        self.buckets.entry(bucket).or_default().insert(id);
                    }
                    None => {
                        self.sessions.insert(id, Place::Closing);
                        expired.push(id);
                    }
                }
            }
        }
        expired
    }

    /// When [`Tracker::expire`] has something to look at.
    pub fn next_deadline(&self) -> Option<Mono> {
        self.buckets.first_key_value().map(|(moment, _)| *moment)
    }

    /// Gives every session `gap` more: for a time in which nobody could be heard.
    pub fn shift(&mut self, gap: Duration) {
        let ticks = (gap.as_millis() as i64 + self.tick_ms - 1) / self.tick_ms;
        let by = Duration::from_millis((ticks * self.tick_ms) as u64);
        self.buckets = std::mem::take(&mut self.buckets)
            .into_iter()
            .map(|(moment, ids)| (moment + by, ids))
            .collect();
        for place in self.sessions.values_mut() {
            if let Place::Expires(moment) = place {
                *moment = *moment + by;
            }
        }
    }

    /// Sessions tracked, the closing ones among them.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether none is tracked.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The buckets, soonest first, each with its sessions in no order.
    pub fn buckets(&self) -> impl Iterator<Item = (Mono, impl Iterator<Item = SessionId>)> {
        self.buckets
            .iter()
            .map(|(moment, ids)| (*moment, ids.iter().copied()))
    }

    /// When `id` expires if nobody hears of it; `None` if it is unknown or closing.
    pub fn deadline(&self, id: SessionId) -> Option<Mono> {
        match self.sessions.get(&id) {
            Some(Place::Expires(moment)) => Some(*moment),
            _ => None,
        }
    }

    /// The moment at which a session with this deadline expires.
    ///
    /// Source: `ExpiryQueue.roundToNextInterval`.
    pub fn bucket(&self, deadline: Mono) -> Mono {
        Mono((deadline.0.div_euclid(self.tick_ms) + 1).saturating_mul(self.tick_ms))
    }

    fn move_to(&mut self, id: SessionId, bucket: Mono) {
        if self.sessions.get(&id) != Some(&Place::Expires(bucket)) {
            self.leave_bucket(id);
            self.sessions.insert(id, Place::Expires(bucket));
            self.buckets.entry(bucket).or_default().insert(id);
        }
    }

    fn leave_bucket(&mut self, id: SessionId) {
        let Some(Place::Expires(moment)) = self.sessions.get(&id) else {
            return;
        };
        if let Some(ids) = self.buckets.get_mut(moment) {
            ids.remove(&id);
            if ids.is_empty() {
                self.buckets.remove(moment);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const TICK: Duration = Duration::from_millis(2000);
    const TIMEOUT: Duration = Duration::from_millis(4000);

    fn one(now: i64) -> Tracker {
        let mut tracker = Tracker::new(TICK);
        tracker.track(SessionId(7), TIMEOUT, Mono(now));
        tracker
    }

    fn unheard(_: SessionId) -> Option<(Mono, Duration)> {
        None
    }

    #[test]
    fn a_session_lives_longer_than_its_timeout_by_at_most_a_tick() {
        for (start, bucket) in [(0, 6000), (1, 6000), (1999, 6000), (2000, 8000)] {
            let mut tracker = one(start);
            assert_eq!(tracker.next_deadline(), Some(Mono(bucket)));
            assert_eq!(tracker.expire(Mono(bucket - 1), unheard), []);
            assert_eq!(tracker.expire(Mono(bucket), unheard), [SessionId(7)]);
            assert!(tracker.is_closing(SessionId(7)) && !tracker.is_live(SessionId(7)));
        }
    }

    #[test]
    fn a_touch_moves_the_session_on() {
        let mut tracker = one(0);
        assert!(tracker.touch(SessionId(7), TIMEOUT, Mono(3000)));
        assert_eq!(tracker.expire(Mono(6000), unheard), []);
        assert_eq!(tracker.expire(Mono(8000), unheard), [SessionId(7)]);
        assert!(!tracker.touch(SessionId(7), TIMEOUT, Mono(8000)), "closing");
        assert!(!tracker.touch(SessionId(8), TIMEOUT, Mono(8000)), "unknown");
    }

    #[test]
    fn a_session_resumed_with_a_shorter_timeout_expires_by_it() {
        let mut tracker = one(0);
        assert!(tracker.touch(SessionId(7), Duration::from_secs(40), Mono(0)));
        assert!(tracker.touch(SessionId(7), TIMEOUT, Mono(1000)));
        assert_eq!(tracker.expire(Mono(6000), unheard), [SessionId(7)]);
    }

    #[test]
    fn lazy_touches_expire_whom_eager_ones_expire() {
        for seed in 0..100 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let (mut eager, mut lazy) = (Tracker::new(TICK), Tracker::new(TICK));
            let mut heard: BTreeMap<SessionId, (Mono, Duration)> = BTreeMap::new();
            for now in (0..400_000).step_by(500).map(Mono) {
                let id = SessionId(rng.random_range(0..12));
                let timeout = Duration::from_millis(rng.random_range(1..5) * 2100);
                match rng.random_range(0..8) {
                    0 => {
                        let is_new = !eager.is_live(id) && !eager.is_closing(id);
                        eager.track(id, timeout, now);
                        lazy.track(id, timeout, now);
                        if is_new || eager.is_live(id) {
                            heard.insert(id, (now, timeout));
                        }
                    }
                    1 => {
                        eager.remove(id);
                        lazy.remove(id);
                    }
                    _ if eager.is_live(id) => {
                        let last = heard.get_mut(&id).unwrap();
                        last.0 = now;
                        assert!(eager.touch(id, last.1, now));
                    }
                    _ => (),
                }
                if rng.random_range(0..4) == 0 {
                    let mut expired = eager.expire(now, unheard);
                    expired.sort_unstable();
                    let mut lazily = lazy.expire(now, |id| heard.get(&id).copied());
                    lazily.sort_unstable();
                    assert_eq!(expired, lazily, "seed {seed} at {now:?}");
                }
            }
        }
    }

    #[test]
    fn a_connection_that_heard_later_keeps_its_session() {
        let mut tracker = one(0);
        let heard = |_| Some((Mono(5999), TIMEOUT));
        assert_eq!(tracker.expire(Mono(6000), heard), []);
        assert_eq!(tracker.next_deadline(), Some(Mono(10_000)));
        assert_eq!(tracker.expire(Mono(10_000), heard), [SessionId(7)]);
    }

    #[test]
    fn a_stall_expires_nobody() {
        let mut tracker = one(0);
        tracker.shift(Duration::from_millis(60_001));
        assert_eq!(tracker.expire(Mono(60_001), unheard), []);
        assert_eq!(tracker.expire(Mono(68_000), unheard), [SessionId(7)]);
    }

    #[test]
    fn a_closing_session_is_neither_touched_nor_expired_nor_tracked_again() {
        let mut tracker = one(0);
        tracker.mark_closing(SessionId(7));
        tracker.track(SessionId(7), TIMEOUT, Mono(0));
        assert_eq!(tracker.next_deadline(), None);
        assert_eq!(tracker.len(), 1);
        tracker.remove(SessionId(7));
        assert!(tracker.is_empty());
    }
}
