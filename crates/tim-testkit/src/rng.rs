//! Repeatable randomness.

use std::ops::Range;

/// SplitMix64: small, fast, and good enough to spread faults.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The same seed draws the same numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number of the range; its start if the range is empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        let len = range.end.saturating_sub(range.start).max(1);
        range.start + self.draw() % len
    }

    /// `true` with this probability in per cent.
    pub fn percent(&mut self, chance: u8) -> bool {
        self.draw() % 100 < u64::from(chance)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.within(0..end)
    }

    /// Fewer than `end` random bytes.
    pub fn bytes(&mut self, end: u64) -> Vec<u8> {
        (0..self.below(end)).map(|_| self.draw() as u8).collect()
    }
}
