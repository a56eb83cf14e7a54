//! Which znode a request is for: one after the other, any of them alike, or few of them more often.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;

/// Picks numbers from `0..count`.
#[derive(Clone, Debug)]
pub enum Keys {
    /// One after the other, and from the start again.
    Round {
        /// The next one.
        next: u32,
        /// How many there are.
        count: u32,
    },
    /// Each as likely as the others.
    Uniform {
        /// How many there are.
        count: u32,
        /// Where chance comes from.
        rng: SmallRng,
    },
    /// The first ones more often.
    Zipf {
        /// How much more often.
        zipf: Arc<Zipf>,
        /// Where chance comes from.
        rng: SmallRng,
    },
}

impl Keys {
    /// A number.
    pub fn pick(&mut self) -> u32 {
        match self {
            Keys::Round { next, count } => {
                let picked = *next;
                *next += 1;
                if *next >= *count {
                    *next = 0;
                }
                picked
            }
            Keys::Uniform { count, rng } => rng.random_range(0..*count),
            Keys::Zipf { zipf, rng } => zipf.pick(rng),
        }
    }
}

/// Zipf's law: the k-th of `count` numbers is picked in proportion to `1 / k^skew`.
///
/// By rejection from the area under the curve `x^-skew`, which takes the same time however many
/// numbers there are (Hörmann and Derflinger, "Rejection-inversion to generate variates from
/// monotone discrete distributions").
#[derive(Clone, Debug)]
pub struct Zipf {
    count: f64,
    skew: f64,
    /// The area up to 1.5, less the weight of the first number.
    least: f64,
    /// The area up to the end.
    most: f64,
}

impl Zipf {
    /// `count` and `skew` are more than 0.
    pub fn new(count: u32, skew: f64) -> Zipf {
        let mut zipf = Zipf {
            count: f64::from(count),
            skew,
            least: 0.0,
            most: 0.0,
        };
        zipf.least = zipf.area(1.5) - 1.0;
        zipf.most = zipf.area(zipf.count + 0.5);
        zipf
    }

    /// The integral of `x^-skew` from 1 to `x`.
    fn area(&self, x: f64) -> f64 {
        let log = x.ln();
        log * expm1_over((1.0 - self.skew) * log)
    }

    /// The `x` to which the area is `area`.
    fn end_of(&self, area: f64) -> f64 {
        let rate = (area * (1.0 - self.skew)).max(-1.0);
        (area * log1p_over(rate)).exp()
    }

    fn pick(&self, rng: &mut SmallRng) -> u32 {
        loop {
            let area = self.most + rng.random::<f64>() * (self.least - self.most);
            let k = self.end_of(area).round().clamp(1.0, self.count);
            if area >= self.area(k + 0.5) - k.powf(-self.skew) {
                return k as u32 - 1;
            }
        }
    }
}

/// `(e^x - 1) / x`, also near 0.
fn expm1_over(x: f64) -> f64 {
    match x.abs() > 1e-8 {
        true => x.exp_m1() / x,
        false => 1.0 + x / 2.0,
    }
}

/// `ln(1 + x) / x`, also near 0.
fn log1p_over(x: f64) -> f64 {
    match x.abs() > 1e-8 {
        true => x.ln_1p() / x,
        false => 1.0 - x / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn frequencies(mut keys: Keys, count: usize, picks: u32) -> Vec<f64> {
        let mut seen = vec![0_u32; count];
        for _ in 0..picks {
            seen[keys.pick() as usize] += 1;
        }
        let share = |times: u32| f64::from(times) / f64::from(picks);
        seen.into_iter().map(share).collect()
    }

    #[test]
    fn zipf_picks_each_number_as_often_as_its_law_says() {
        for (count, skew) in [
            (100, 0.5),
            (100, 0.99),
            (100, 1.0),
            (100, 1.5),
            (1, 1.0),
            (3, 4.0),
        ] {
            let weights: Vec<f64> = (1..=count).map(|k| f64::from(k).powf(-skew)).collect();
            let sum: f64 = weights.iter().sum();
            let zipf = Arc::new(Zipf::new(count, skew));
            let rng = SmallRng::seed_from_u64(1);
            let picks = 200_000;
            let seen = frequencies(Keys::Zipf { zipf, rng }, count as usize, picks);
            for (k, (seen, weight)) in seen.iter().zip(&weights).enumerate() {
                let wanted = weight / sum;
                // Five standard deviations.
                let slack = 5.0 * (wanted * (1.0 - wanted) / f64::from(picks)).sqrt();
                assert!(
                    (seen - wanted).abs() <= slack,
                    "{count} {skew} {k}: {seen} {wanted}"
                );
            }
        }
    }

    #[test]
    fn a_million_numbers_are_picked_from_within_their_range() {
        let mut keys = Keys::Zipf {
            zipf: Arc::new(Zipf::new(1_000_000, 0.99)),
            rng: SmallRng::seed_from_u64(2),
        };
        assert!((0..100_000).all(|_| keys.pick() < 1_000_000));
    }

    #[test]
    fn uniform_picks_all_alike_and_a_round_takes_turns() {
        let rng = SmallRng::seed_from_u64(3);
        let seen = frequencies(Keys::Uniform { count: 10, rng }, 10, 100_000);
        assert!(
            seen.iter().all(|share| (share - 0.1).abs() < 0.006),
            "{seen:?}"
        );
        let mut round = Keys::Round { next: 2, count: 3 };
        assert_eq!([(); 4].map(|()| round.pick()), [2, 0, 1, 2]);
    }
}
