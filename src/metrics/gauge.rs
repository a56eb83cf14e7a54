//! Numbers that go up and down and are written down by whoever knows them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A share between 0 and 1, or any other number with a fraction.
#[derive(Debug, Default)]
pub struct Fraction(AtomicU64);

impl Fraction {
    /// It is `value` now.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// What it was set to last; 0 before.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// Last, least and greatest of some lengths in bytes.
///
/// Source: `BufferStats`.
#[derive(Debug)]
pub struct Sizes {
    last: AtomicI64,
    min: AtomicI64,
    max: AtomicI64,
}

/// What is shown before the first.
const NONE_YET: i64 = -1;

impl Default for Sizes {
    fn default() -> Self {
        Sizes {
            last: AtomicI64::new(NONE_YET),
            min: AtomicI64::new(NONE_YET),
            max: AtomicI64::new(NONE_YET),
        }
    }
}

impl Sizes {
    /// One more thing, of `bytes` bytes.
    pub fn record(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.last.store(bytes, Ordering::Relaxed);
        let min = self.min.load(Ordering::Relaxed);
        if min == NONE_YET || bytes < min {
            self.min.store(bytes, Ordering::Relaxed);
        }
        if bytes > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// Last, least and greatest; -1 each before the first, as Java shows it.
    pub fn last_min_max(&self) -> [i64; 3] {
        [&self.last, &self.min, &self.max].map(|size| size.load(Ordering::Relaxed))
    }

    /// As before the first.
    pub fn reset(&self) {
        for size in [&self.last, &self.min, &self.max] {
            size.store(NONE_YET, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_minus_one_before_the_first() {
        let sizes = Sizes::default();
        assert_eq!(sizes.last_min_max(), [-1, -1, -1]);
        for bytes in [36, 120, 48] {
            sizes.record(bytes);
        }
        assert_eq!(sizes.last_min_max(), [48, 36, 120]);
        sizes.reset();
        assert_eq!(sizes.last_min_max(), [-1, -1, -1]);
    }

    #[test]
    fn a_fraction_is_what_it_was_set_to() {
        let share = Fraction::default();
        assert_eq!(share.get(), 0.0);
        share.set(0.25);
        assert_eq!(share.get(), 0.25);
    }
}
