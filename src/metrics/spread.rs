//! How values are spread: buckets that are exact for small values and grow with large ones.
//!
//! ```text
//!   value    0 .. 31            one bucket each
//!            32 .. 63           16 buckets of 2
//!            64 .. 127          16 buckets of 4       .. and so on, up to 2^32
//! ```
//!
//! So a quantile is exact below 32 (most latencies in milliseconds) and at most 1/32 off above. Larger values than the
//! last bucket's count as that.

/// Buckets per power of two.
const STEPS: u64 = 16;
/// log2 of [`STEPS`].
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Values below this have a bucket each.
const EXACT: u64 = 2 * STEPS;
/// Values of so many bits and more are all the same.
const MAX_BITS: u32 = 32;

/// How many buckets there are.
pub(super) const BUCKETS: usize =
    EXACT as usize + (MAX_BITS - STEP_BITS - 1) as usize * STEPS as usize;

/// The bucket of `value`.
pub(super) fn bucket(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    if value >> MAX_BITS > 0 {
        return BUCKETS - 1;
    }
    let power = 63 - value.leading_zeros(); // STEP_BITS + 1 at least
    let step = (value >> (power - STEP_BITS)) - STEPS;
    EXACT as usize + ((power - STEP_BITS - 1) as usize) * STEPS as usize + step as usize
}

/// The value that stands for a bucket: the middle of those in it.
pub(super) fn middle(bucket: usize) -> f64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket as f64;
    }
    let power = (bucket - EXACT) / STEPS + u64::from(STEP_BITS) + 1;
    let width = 1_u64 << (power - u64::from(STEP_BITS));
    let least = (STEPS + (bucket - EXACT) % STEPS) * width;
    least as f64 + (width - 1) as f64 / 2.0
}

/// Counts by bucket, without the empty ones; buckets ascend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spread(Vec<(u16, u64)>);

impl Spread {
    /// Of the counts of all buckets.
    pub(super) fn of(counts: impl Iterator<Item = u64>) -> Spread {
        let numbered = (0_u16..).zip(counts);
        Spread(numbered.filter(|(_, count)| *count > 0).collect())
    }

    /// How many values.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// What came since `earlier`, of which this is a later state.
    pub(super) fn since(&self, earlier: &Spread) -> Spread {
        let mut old = earlier.0.iter().peekable();
        let counts = self.0.iter().filter_map(|&(bucket, count)| {
            while old.next_if(|(of, _)| *of < bucket).is_some() {}
            let before = old.next_if(|(of, _)| *of == bucket).map_or(0, |(_, n)| *n);
            let more = count.saturating_sub(before);
            (more > 0).then_some((bucket, more))
        });
        Spread(counts.collect())
    }

    /// The value below or at which a share of `quantile` (0 to 1) of all values is; None without values.
    pub(super) fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = (self.count() as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        for &(bucket, count) in &self.0 {
            seen += count;
            if seen >= rank {
                return Some(middle(usize::from(bucket)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_are_numbered_without_holes() {
        assert_eq!(bucket(31), 31);
        assert_eq!(bucket(32), 32);
        assert_eq!(bucket(33), 32);
        assert_eq!(bucket(63), 47);
        assert_eq!(bucket(64), 48);
        assert_eq!(bucket((1 << 32) - 1), BUCKETS - 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        for value in 1..100_000 {
            let step = bucket(value) - bucket(value - 1);
            assert!(step <= 1, "at {value}");
        }
    }

    proptest! {
        #[test]
        fn a_buckets_middle_is_close_to_all_of_its_values(value in 0_u64..(1 << 32)) {
            let shown = middle(bucket(value));
            prop_assert!((shown - value as f64).abs() <= value as f64 / 32.0);
        }

        #[test]
        fn a_quantile_is_close_to_that_of_the_sorted_values(
            mut values in proptest::collection::vec(0_u64..100_000, 1..200),
            quantile in 0.01_f64..1.0,
        ) {
            let mut counts = [0_u64; BUCKETS];
            for value in &values {
                counts[bucket(*value)] += 1;
            }
            let spread = Spread::of(counts.into_iter());
            values.sort_unstable();
            let rank = (values.len() as f64 * quantile).ceil().max(1.0) as usize;
            let exact = values[rank - 1] as f64;
            let shown = spread.quantile(quantile).unwrap();
            prop_assert!((shown - exact).abs() <= exact / 32.0, "{shown} for {exact}");
        }
    }

    #[test]
    fn what_came_since_leaves_out_what_was_there() {
        let early = Spread(vec![(1, 2), (5, 1), (9, 4)]);
        let late = Spread(vec![(1, 2), (3, 1), (5, 4), (9, 4), (11, 1)]);
        assert_eq!(late.since(&early), Spread(vec![(3, 1), (5, 3), (11, 1)]));
        assert_eq!(late.since(&Spread::default()), late);
        assert_eq!(Spread::default().quantile(0.5), None);
    }
}
