//! Histograms of a server, and what they say about the time between two looks.

use serde_json::Value;

/// Times by upper bound, at one moment or of an interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// How many were at most as long as each bound; the last is how many there were at all.
    pub at_most: Vec<u64>,
    /// All of them together, in seconds.
    pub seconds: f64,
}

impl Times {
    /// From `{"seconds": …, "at_most": […]}`; None if it is something else.
    pub fn parse(value: &Value) -> Option<Times> {
        let at_most = value.get("at_most")?.as_array()?;
        Some(Times {
            at_most: at_most.iter().map(Value::as_u64).collect::<Option<_>>()?,
            seconds: value.get("seconds")?.as_f64()?,
        })
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.at_most.last().copied().unwrap_or_default()
    }

    /// The mean, in seconds; None without values.
    pub fn mean(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.seconds / self.count() as f64)
    }

    /// What came since `earlier`; None if this is no later state of it: the server began anew.
    pub fn since(&self, earlier: &Times) -> Option<Times> {
        if self.at_most.len() != earlier.at_most.len() {
            return None;
        }
        let pairs = self.at_most.iter().zip(&earlier.at_most);
        let differences = pairs.map(|(now, before)| now.checked_sub(*before));
        // What is read while it grows may be off by what was on its way.
        let mut most = 0;
        let at_most = differences.map(|difference| {
            most = most.max(difference?);
            Some(most)
        });
        Some(Times {
            at_most: at_most.collect::<Option<_>>()?,
            seconds: (self.seconds - earlier.seconds).max(0.0),
        })
    }

    /// These and `others` together.
    pub fn add(&mut self, others: &Times) {
        self.at_most
            .resize(self.at_most.len().max(others.at_most.len()), 0);
        for (sum, more) in self.at_most.iter_mut().zip(&others.at_most) {
            *sum += more;
        }
        self.seconds += others.seconds;
    }

    /// The time in seconds below which a share of `quantile` (0 to 1) of all were, supposed that they are spread evenly
    /// between two bounds; beyond the last bound, that. None without values.
    pub fn quantile(&self, bounds: &[f64], quantile: f64) -> Option<f64> {
        let rank = self.count() as f64 * quantile;
        let at = self
            .at_most
            .iter()
            .position(|below| *below as f64 >= rank && *below > 0)?;
        let Some(upper) = bounds.get(at) else {
            return bounds.last().copied();
        };
        let before = at.checked_sub(1);
        let lower = before
            .and_then(|at| bounds.get(at))
            .copied()
            .unwrap_or_default();
        let below = before
            .and_then(|at| self.at_most.get(at))
            .copied()
            .unwrap_or_default();
        let within = self.at_most.get(at).map_or(0, |all| all - below).max(1);
        Some(lower + (upper - lower) * ((rank - below as f64) / within as f64).clamp(0.0, 1.0))
    }

    /// The bound that none was longer than, in seconds; the last bound if some were. None without values.
    pub fn most(&self, bounds: &[f64]) -> Option<f64> {
        let all = self.count();
        let at = self.at_most.iter().position(|below| *below == all)?;
        let bound = bounds.get(at).or(bounds.last()).copied();
        bound.filter(|_| all > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: [f64; 3] = [0.001, 0.01, 0.1];

    fn times(at_most: [u64; 4], seconds: f64) -> Times {
        let at_most = at_most.to_vec();
        Times { at_most, seconds }
    }

    #[test]
    fn an_interval_is_the_difference_of_two_states() {
        let (before, after) = (times([1, 1, 2, 2], 0.5), times([1, 3, 5, 6], 1.5));
        let between = after.since(&before).unwrap();
        assert_eq!(between, times([0, 2, 3, 4], 1.0));
        assert_eq!(between.mean(), Some(0.25));
        assert_eq!(before.since(&before).unwrap().mean(), None);
    }

    #[test]
    fn a_server_that_began_anew_has_no_interval() {
        assert_eq!(
            times([0, 0, 0, 1], 0.1).since(&times([1, 1, 2, 2], 0.5)),
            None
        );
        assert_eq!(times([1; 4], 0.0).since(&Times::default()), None);
    }

    #[test]
    fn quantiles_lie_between_their_bounds() {
        let some = times([0, 98, 99, 100], 1.0);
        let median = some.quantile(&BOUNDS, 0.5).unwrap();
        assert!((median - (0.001 + 0.009 * 50.0 / 98.0)).abs() < 1e-9);
        assert_eq!(some.quantile(&BOUNDS, 0.99), Some(0.1));
        assert_eq!(some.quantile(&BOUNDS, 1.0), Some(0.1), "beyond all bounds");
        assert_eq!(some.most(&BOUNDS), Some(0.1));
        assert_eq!(times([3; 4], 0.0).most(&BOUNDS), Some(0.001));
        for none in [times([0; 4], 0.0), Times::default()] {
            assert_eq!(
                (none.quantile(&BOUNDS, 0.5), none.most(&BOUNDS)),
                (None, None)
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_quantiles_do_no_harm(
            at_most in proptest::collection::vec(0_u64..100, 0..6),
            earlier in proptest::collection::vec(0_u64..100, 0..6),
            quantile in 0.0_f64..=1.0,
        ) {
            let now = Times { at_most, seconds: 1.0 };
            let earlier = Times { at_most: earlier, seconds: 0.0 };
            if let Some(between) = now.since(&earlier) {
                between.quantile(&BOUNDS, quantile);
                between.most(&BOUNDS);
            }
            let mut sum = earlier;
            sum.add(&now);
        }
    }
}
