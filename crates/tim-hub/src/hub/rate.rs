//! Token buckets.

/// So many a second, and twice that in one go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    per_second: u32,
    /// In thousandths.
    tokens: u64,
    filled_ms: u64,
}

impl Bucket {
    /// A full bucket; `per_second` 0 never runs empty.
    pub(super) const fn new(per_second: u32, now_ms: u64) -> Self {
        Self {
            per_second,
            tokens: Self::capacity(per_second),
            filled_ms: now_ms,
        }
    }

    const fn capacity(per_second: u32) -> u64 {
        per_second as u64 * 2 * 1000
    }

    /// Takes one token, if there is one.
    pub(super) fn take(&mut self, now_ms: u64) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let gained = now_ms
            .saturating_sub(self.filled_ms)
            .saturating_mul(u64::from(self.per_second));
        self.tokens = self
            .tokens
            .saturating_add(gained)
            .min(Self::capacity(self.per_second));
        self.filled_ms = now_ms;
        let Some(left) = self.tokens.checked_sub(1000) else {
            return false;
        };
        self.tokens = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;

    #[test]
    fn lets_through_the_rate_and_twice_that_at_once() {
        let mut bucket = Bucket::new(10, 0);
        assert_eq!((0..100).filter(|_| bucket.take(0)).count(), 20);
        let next_second = (0..1000).filter(|ms| bucket.take(*ms)).count();
        assert!((9..=10).contains(&next_second), "{next_second}");
        assert!((0..1000).all(|_| Bucket::new(0, 0).take(0)), "0 is no limit");
    }
}
