//! `java.util.Random`, bit for bit: session passwords must be the ones Java servers make.

/// A 48-bit linear congruential generator.
///
/// Source: the specification of `java.util.Random`.
#[derive(Clone, Debug)]
pub struct JavaRandom(u64);

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

impl JavaRandom {
    /// A generator with Java's scrambling of `seed`.
    pub fn new(seed: i64) -> Self {
        JavaRandom((seed as u64 ^ MULTIPLIER) & MASK)
    }

    fn next_int(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        (self.0 >> 16) as u32
    }

    /// Fills `bytes`, the low byte of each drawn number first.
    pub fn next_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(4) {
            let number = self.next_int().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}
