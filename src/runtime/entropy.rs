//! Real seeds.

use rand::SeedableRng;
use rand::rngs::SmallRng;

/// A generator that nobody can predict the start of. Falls back to a fixed seed if the system has no randomness to
/// give: it only spreads snapshots in time.
pub fn rng() -> SmallRng {
    SmallRng::try_from_os_rng().unwrap_or_else(|_| SmallRng::seed_from_u64(0))
}
