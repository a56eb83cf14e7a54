//! Who is turned away at the handshake.
//!
//! Source: `BlueThrottle`, after "BLUE: A New Class of Active Queue Management Algorithms".

use std::time::Duration;

use parking_lot::Mutex;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::base::Mono;

/// How many handshakes are let in.
#[derive(Clone, Copy, Debug)]
pub struct BucketOptions {
    /// Tokens a full bucket holds.
    pub tokens: u64,
    /// Time in which [`fill_count`](Self::fill_count) tokens come in.
    pub fill_time: Duration,
    /// Tokens that come in per [`fill_time`](Self::fill_time).
    pub fill_count: u64,
    /// Least time between two changes of the drop chance; None: nobody is turned away by chance.
    pub freeze_time: Option<Duration>,
    /// What an empty bucket adds to the drop chance.
    pub drop_increase: f64,
    /// What a bucket that is full enough takes off the drop chance.
    pub drop_decrease: f64,
    /// Share of the tokens that may be gone from a bucket that is full enough.
    pub decrease_ratio: f64,
}

/// A bucket of tokens that fills with time, and before it a chance to be turned away that grows
/// while it is empty.
///
/// Invariants: no more tokens than a full bucket holds; the chance is between 0 and 1.
#[derive(Clone, Debug)]
pub struct Bucket {
    options: BucketOptions,
    tokens: u64,
    filled: Mono,
    frozen: Mono,
    drop_chance: f64,
}

impl Bucket {
    /// A full bucket.
    pub fn new(options: BucketOptions, now: Mono) -> Self {
        Bucket {
            tokens: options.tokens,
            options,
            filled: now,
            frozen: now,
            drop_chance: 0.0,
        }
    }

    /// Takes `need` tokens; false if chance or their lack is against it. `draw` is an even draw
    /// from 0 up to 1.
    ///
    /// Source: `BlueThrottle.checkLimit`.
    pub fn take(&mut self, need: u64, now: Mono, draw: f64) -> bool {
        self.fill(now);
        if let Some(freeze_time) = self.options.freeze_time {
            self.adapt(now, freeze_time);
            if draw < self.drop_chance {
                return false;
            }
        }
        match self.tokens.checked_sub(need) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }

    /// Tokens missing from a full bucket. Source: `BlueThrottle.getDeficit`.
    pub fn deficit(&self) -> u64 {
        self.options.tokens - self.tokens
    }

    /// The chance to be turned away before a token is asked for.
    pub fn drop_chance(&self) -> f64 {
        self.drop_chance
    }

    /// Only what is more than one interval fills at all, and then for all the time that passed.
    fn fill(&mut self, now: Mono) {
        let passed = now - self.filled;
        if passed > self.options.fill_time {
            let intervals_of = self.options.fill_time.as_millis().max(1);
            let refill = passed.as_millis() * u128::from(self.options.fill_count) / intervals_of;
            let refill = u64::try_from(refill).unwrap_or(u64::MAX);
            self.tokens = self.tokens.saturating_add(refill).min(self.options.tokens);
            self.filled = now;
        }
    }

    /// Source: `BlueThrottle.checkBlue`.
    fn adapt(&mut self, now: Mono, freeze_time: Duration) {
        if now - self.frozen <= freeze_time {
            return;
        }
        self.frozen = now;
        let used = self.options.tokens - self.tokens;
        let enough = (self.options.tokens as f64 * self.options.decrease_ratio).round();
        if self.tokens == 0 {
            self.drop_chance = (self.drop_chance + self.options.drop_increase).min(1.0);
        } else if used as f64 <= enough {
            self.drop_chance = (self.drop_chance - self.options.drop_decrease).max(0.0);
        }
    }
}

/// What handshakes cost. All 1 unless weights are on.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// A new session.
    pub new: u64,
    /// A session that comes back.
    pub renewed: u64,
}

/// The bucket of a client port. Only handshakes ask it.
pub struct ConnectionThrottle {
    state: Mutex<(Bucket, SmallRng)>,
    weights: Weights,
}

impl ConnectionThrottle {
    /// A full bucket; `rng` decides on chances.
    pub fn new(options: BucketOptions, weights: Weights, now: Mono, rng: SmallRng) -> Self {
        ConnectionThrottle {
            state: Mutex::new((Bucket::new(options, now), rng)),
            weights,
        }
    }

    /// Whether a client may have the session it asks for, 0 being a new one; with it, how many tokens are missing from
    /// a full bucket then, and how likely the next one is turned away by chance.
    pub fn admits(&self, session: i64, now: Mono) -> (bool, u64, f64) {
        let need = match session {
            0 => self.weights.new,
            _ => self.weights.renewed,
        };
        let (bucket, rng) = &mut *self.state.lock();
        let admitted = bucket.take(need, now, rng.random());
        (admitted, bucket.deficit(), bucket.drop_chance())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: BucketOptions = BucketOptions {
        tokens: 3,
        fill_time: Duration::from_millis(10),
        fill_count: 1,
        freeze_time: None,
        drop_increase: 0.25,
        drop_decrease: 0.125,
        decrease_ratio: 0.0,
    };

    fn takes(bucket: &mut Bucket, now: i64) -> usize {
        (0..10)
            .take_while(|_| bucket.take(1, Mono(now), 0.999))
            .count()
    }

    #[test]
    fn a_full_bucket_lets_in_as_many_as_it_has_tokens() {
        let mut bucket = Bucket::new(OPTIONS, Mono(0));
        assert_eq!(takes(&mut bucket, 0), 3);
        assert_eq!(
            takes(&mut bucket, 10),
            0,
            "one interval is not more than one"
        );
        assert_eq!(takes(&mut bucket, 25), 2);
        assert_eq!(takes(&mut bucket, 1_000_000), 3, "never more than full");
    }

    #[test]
    fn a_heavier_handshake_needs_more_tokens_and_a_refused_one_takes_none() {
        let mut bucket = Bucket::new(OPTIONS, Mono(0));
        assert!(bucket.take(2, Mono(0), 0.0));
        assert!(!bucket.take(2, Mono(0), 0.0));
        assert!(bucket.take(1, Mono(0), 0.0));
    }

    #[test]
    fn the_drop_chance_grows_while_the_bucket_is_empty_and_shrinks_when_it_is_full() {
        let freeze_time = Some(Duration::from_millis(5));
        let slow = Duration::from_secs(3600);
        let mut bucket = Bucket::new(
            BucketOptions {
                freeze_time,
                fill_time: slow,
                ..OPTIONS
            },
            Mono(0),
        );
        assert_eq!(takes(&mut bucket, 0), 3);
        for (step, chance) in [0.25, 0.5, 0.75, 1.0, 1.0].into_iter().enumerate() {
            let now = Mono(6 * (step as i64 + 1));
            assert!(!bucket.take(1, now, 0.999));
            assert_eq!(bucket.drop_chance(), chance);
            assert!(!bucket.take(1, now, 0.999), "frozen: the chance stays");
            assert_eq!(bucket.drop_chance(), chance);
        }
        let later = 20 * 3_600_000;
        assert!(
            !bucket.take(1, Mono(later), 0.874),
            "chance 0.875 decides before the tokens"
        );
        assert!(bucket.take(1, Mono(later), 0.876));
        assert!(
            bucket.take(1, Mono(later + 6), 0.876),
            "one token is gone: not full enough"
        );
        assert_eq!(bucket.drop_chance(), 0.875);
    }

    #[test]
    fn absurd_settings_do_not_overflow() {
        let options = BucketOptions {
            tokens: u64::MAX,
            fill_count: u64::MAX,
            fill_time: Duration::ZERO,
            ..OPTIONS
        };
        let mut bucket = Bucket::new(options, Mono(i64::MIN));
        assert!(bucket.take(u64::MAX, Mono(i64::MAX), 0.0));
        assert!(!bucket.take(1, Mono(i64::MAX), 0.0));
    }
}
