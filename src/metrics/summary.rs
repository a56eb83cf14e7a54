//! Summaries: count, sum, least, greatest and quantiles of whole numbers.
//!
//! Two readers want two views. `mntr` shows everything since the last `srst`, Prometheus the quantiles of the last
//! minutes (and count and sum since the start). Recording knows neither: it adds to buckets that only grow, and a view
//! is the difference to what they were at its beginning.
//!
//! Source: `AvgMinMaxPercentileCounter`; `TimeWindowQuantiles` of Java's Prometheus client.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::counter::{Keyed, Line};
use super::spread::{BUCKETS, Spread, bucket};

/// Values of one kind: milliseconds, bytes or things, as the declaration says.
#[derive(Debug)]
pub struct Summary {
    figures: Line<Figures>,
    buckets: Box<[AtomicU64]>,
    past: Mutex<Past>,
}

#[derive(Debug)]
struct Figures {
    sum: AtomicU64,
    /// Since the last reset.
    min: AtomicU64,
    max: AtomicU64,
}

/// States of the buckets at moments that views begin with.
#[derive(Debug, Default)]
struct Past {
    reset: Spread,
    reset_sum: u64,
    /// One per [`STEP`] of time, oldest first, [`STEPS`] of them at most.
    steps: VecDeque<Spread>,
}

/// The window moves in steps of this, and is so many of them long.
pub(super) const STEP: Duration = Duration::from_secs(120);
pub(super) const STEPS: usize = 5;

/// A summary since the last reset, as `mntr` shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SinceReset {
    /// How many values.
    pub count: u64,
    /// All of them together.
    pub sum: u64,
    /// Least; 0 without values.
    pub min: u64,
    /// Greatest; 0 without values.
    pub max: u64,
    /// Quantiles 0.5, 0.95, 0.99 and 0.999; 0 without values.
    pub percentiles: [u64; 4],
}

impl SinceReset {
    /// The mean; 0 without values.
    pub fn avg(&self) -> f64 {
        match self.count {
            0 => 0.0,
            count => self.sum as f64 / count as f64,
        }
    }
}

/// A summary as Prometheus is told it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lately {
    /// How many values since the start.
    pub count: u64,
    /// All of them together.
    pub sum: u64,
    /// Quantiles 0.5, 0.9 and 0.99 of the last eight to ten minutes; not a number without values.
    pub quantiles: [f64; 3],
}

impl Default for Summary {
    fn default() -> Self {
        Summary {
            figures: Line(Figures {
                sum: AtomicU64::new(0),
                min: AtomicU64::new(u64::MAX),
                max: AtomicU64::new(0),
            }),
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            past: Mutex::default(),
        }
    }
}

impl Summary {
    /// One more value.
    pub fn record(&self, value: u64) {
        self.add(bucket(value), 1, value);
        self.stretch(value, value);
    }

    /// `count` more of the same value.
    pub fn record_many(&self, value: u64, count: u64) {
        if count > 0 {
            self.add(bucket(value), count, value.saturating_mul(count));
            self.stretch(value, value);
        }
    }

    /// One more value, in whole milliseconds.
    pub fn record_ms(&self, took: Duration) {
        self.record(whole_ms(took));
    }

    /// `count` more of the same value, in whole milliseconds.
    pub fn record_many_ms(&self, took: Duration, count: u64) {
        self.record_many(whole_ms(took), count);
    }

    fn add(&self, bucket: usize, count: u64, sum: u64) {
        self.buckets[bucket].fetch_add(count, Ordering::Relaxed);
        self.figures.0.sum.fetch_add(sum, Ordering::Relaxed);
    }

    fn stretch(&self, min: u64, max: u64) {
        let Figures {
            min: least,
            max: greatest,
            ..
        } = &self.figures.0;
        if min < least.load(Ordering::Relaxed) {
            least.fetch_min(min, Ordering::Relaxed);
        }
        if max > greatest.load(Ordering::Relaxed) {
            greatest.fetch_max(max, Ordering::Relaxed);
        }
    }

    fn spread(&self) -> Spread {
        let counts = self.buckets.iter();
        Spread::of(counts.map(|count| count.load(Ordering::Relaxed)))
    }

    /// What came since the last reset.
    pub fn since_reset(&self) -> SinceReset {
        let past = self.past.lock();
        let spread = self.spread().since(&past.reset);
        let Figures { sum, min, max } = &self.figures.0;
        let count = spread.count();
        if count == 0 {
            return SinceReset::default();
        }
        let percentile = |quantile| spread.quantile(quantile).unwrap_or_default().round() as u64;
        // The buckets know the greatest only roughly.
        let max = max.load(Ordering::Relaxed);
        SinceReset {
            count,
            sum: sum.load(Ordering::Relaxed).saturating_sub(past.reset_sum),
            min: min.load(Ordering::Relaxed).min(max),
            max,
            percentiles: [0.5, 0.95, 0.99, 0.999].map(|quantile| percentile(quantile).min(max)),
        }
    }

    /// What Prometheus is told.
    pub fn lately(&self) -> Lately {
        let all = self.spread();
        let past = self.past.lock();
        let window = match past.steps.len() {
            STEPS => all.since(&past.steps[0]),
            _ => all.clone(),
        };
        Lately {
            count: all.count(),
            sum: self.figures.0.sum.load(Ordering::Relaxed),
            quantiles: [0.5, 0.9, 0.99]
                .map(|quantile| window.quantile(quantile).unwrap_or(f64::NAN)),
        }
    }

    /// [`Summary::since_reset`] begins anew.
    pub fn reset(&self) {
        let mut past = self.past.lock();
        past.reset = self.spread();
        let Figures { sum, min, max } = &self.figures.0;
        past.reset_sum = sum.load(Ordering::Relaxed);
        min.store(u64::MAX, Ordering::Relaxed);
        max.store(0, Ordering::Relaxed);
    }

    /// A step of the window is over.
    pub(super) fn step(&self) {
        let mut past = self.past.lock();
        if past.steps.len() == STEPS {
            past.steps.pop_front();
        }
        past.steps.push_back(self.spread());
    }
}

fn whole_ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// What one task recorded for one summary and has not handed over: values of the same bucket cost one addition in all.
/// For summaries that many threads record at a time.
#[derive(Clone, Debug)]
pub struct Batch {
    entries: [(u16, u32); 8],
    used: usize,
    sum: u64,
    min: u64,
    max: u64,
}

impl Default for Batch {
    fn default() -> Self {
        Batch {
            entries: [(0, 0); 8],
            used: 0,
            sum: 0,
            min: u64::MAX,
            max: 0,
        }
    }
}

impl Batch {
    /// One more value for `summary`, always the same one.
    pub fn record(&mut self, value: u64, summary: &Summary) {
        let of = bucket(value) as u16;
        let known = self.entries[..self.used]
            .iter()
            .position(|(bucket, _)| *bucket == of);
        let at = match known {
            Some(at) => at,
            None => {
                if self.used == self.entries.len() {
                    self.flush(summary);
                }
                self.entries[self.used] = (of, 0);
                self.used += 1;
                self.used - 1
            }
        };
        self.entries[at].1 += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// One more value, in whole milliseconds.
    pub fn record_ms(&mut self, took: Duration, summary: &Summary) {
        self.record(whole_ms(took), summary);
    }

    /// Hands everything over to `summary`.
    pub fn flush(&mut self, summary: &Summary) {
        if self.used == 0 {
            return;
        }
        let mut sum = self.sum;
        for (bucket, count) in &self.entries[..self.used] {
            summary.add(
                usize::from(*bucket),
                u64::from(*count),
                std::mem::take(&mut sum),
            );
        }
        summary.stretch(self.min, self.max);
        *self = Batch::default();
    }
}

/// Summaries by key.
pub type SummarySet = Keyed<Summary>;

/// The summary of the key that was recorded last, and what was not handed over to it yet. Whoever records in a set
/// keeps one of these: keys mostly repeat, and then nothing is looked up.
#[derive(Debug, Default)]
pub struct LastKey(Option<(String, Arc<Summary>, Batch)>);

impl LastKey {
    /// Hands everything over.
    pub fn flush(&mut self) {
        if let Some((_, summary, batch)) = &mut self.0 {
            batch.flush(summary);
        }
    }
}

impl Drop for LastKey {
    fn drop(&mut self) {
        self.flush();
    }
}

impl SummarySet {
    /// One more value of `key`, which is seen at the next [`LastKey::flush`].
    pub fn record(&self, last: &mut LastKey, key: &str, value: u64) {
        if let Some((of, summary, batch)) = &mut last.0
            && of == key
        {
            batch.record(value, summary);
            return;
        }
        last.flush();
        let (summary, mut batch) = (self.at(key), Batch::default());
        batch.record(value, &summary);
        last.0 = Some((key.to_owned(), summary, batch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_values_it_shows_zeros_and_no_quantiles() {
        let summary = Summary::default();
        assert_eq!(summary.since_reset(), SinceReset::default());
        let lately = summary.lately();
        assert_eq!((lately.count, lately.sum), (0, 0));
        assert!(lately.quantiles.iter().all(|value| value.is_nan()));
    }

    #[test]
    fn a_reset_concerns_one_of_the_views() {
        let summary = Summary::default();
        for value in [3, 5, 100] {
            summary.record(value);
        }
        summary.reset();
        assert_eq!(summary.since_reset(), SinceReset::default());
        summary.record(7);
        let shown = summary.since_reset();
        assert_eq!((shown.count, shown.sum, shown.min, shown.max), (1, 7, 7, 7));
        assert_eq!(shown.percentiles, [7; 4]);
        let lately = summary.lately();
        assert_eq!((lately.count, lately.sum), (4, 115));
        assert_eq!(lately.quantiles[0], 5.0);
    }

    #[test]
    fn quantiles_are_of_the_last_steps_of_time() {
        let summary = Summary::default();
        summary.record(10);
        for _ in 0..STEPS {
            summary.step();
            assert!(
                summary.lately().quantiles[0].is_nan()
                    == (summary.past.lock().steps.len() == STEPS)
            );
        }
        summary.record(20);
        assert_eq!(summary.lately().quantiles, [20.0; 3]);
        assert_eq!(summary.lately().count, 2);
    }

    #[test]
    fn a_batch_adds_what_single_values_would() {
        let (one, other) = (Summary::default(), Summary::default());
        let mut batch = Batch::default();
        for value in (0..40).chain(0..40).chain([5000]) {
            one.record(value);
            batch.record(value, &other);
        }
        batch.flush(&other);
        batch.flush(&other);
        assert_eq!(one.since_reset(), other.since_reset());
        assert_eq!(one.spread(), other.spread());
    }

    #[test]
    fn a_set_finds_its_keys_again() {
        let (set, mut last) = (SummarySet::default(), LastKey::default());
        for (key, value) in [("a", 1), ("a", 2), ("b", 10), ("a", 3)] {
            set.record(&mut last, key, value);
        }
        last.flush();
        let all = set.all().into_iter();
        let shown: Vec<_> = all.map(|(key, one)| (key, one.since_reset().sum)).collect();
        assert_eq!(shown, [("a".to_owned(), 6), ("b".to_owned(), 10)]);
    }
}
