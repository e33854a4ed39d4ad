//! Token buckets.

/// So many a second, and twice that in one go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    per_second: u32,
    /// In thousandths; below zero after something that costs more than there was.
    tokens: i64,
    filled_ms: u64,
}

impl Bucket {
    /// A full bucket; `per_second` 0 never runs empty.
    pub(crate) const fn new(per_second: u32, now_ms: u64) -> Self {
        Self {
            per_second,
            tokens: Self::capacity(per_second),
            filled_ms: now_ms,
        }
    }

    const fn capacity(per_second: u32) -> i64 {
        per_second as i64 * 2 * 1000
    }

    /// Takes `cost` tokens, if there is one: what costs more than there are is paid for by waiting afterwards.
    ///
    /// # Errors
    /// In how many milliseconds there is one.
    pub(crate) fn take(&mut self, now_ms: u64, cost: u32) -> Result<(), u64> {
        if self.per_second == 0 {
            return Ok(());
        }
        self.fill(now_ms);
        if self.tokens < 1000 {
            let lacking = 1000_i64.saturating_sub(self.tokens).unsigned_abs();
            return Err(lacking.div_ceil(u64::from(self.per_second)));
        }
        self.tokens -= i64::from(cost) * 1000;
        Ok(())
    }

    /// Whether it is as good as a new one.
    pub(crate) fn is_full(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.tokens >= Self::capacity(self.per_second)
    }

    fn fill(&mut self, now_ms: u64) {
        let gained = now_ms
            .saturating_sub(self.filled_ms)
            .saturating_mul(u64::from(self.per_second));
        let gained = i64::try_from(gained).unwrap_or(i64::MAX);
        self.tokens = self
            .tokens
            .saturating_add(gained)
            .min(Self::capacity(self.per_second));
        self.filled_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;

    #[test]
    fn lets_through_the_rate_and_twice_that_at_once() {
        let mut bucket = Bucket::new(10, 0);
        assert_eq!((0..100).filter(|_| bucket.take(0, 1).is_ok()).count(), 20);
        let next_second = (0..1000).filter(|ms| bucket.take(*ms, 1).is_ok()).count();
        assert!((9..=10).contains(&next_second), "{next_second}");
        assert_eq!(bucket.take(3000, 50), Ok(()), "20 there are");
        assert_eq!(bucket.take(6000, 1), Err(100), "30 were lacking");
        assert_eq!(bucket.take(6100, 1), Ok(()));
        assert!(!bucket.is_full(8000) && bucket.is_full(8100));
        assert!(
            (0..1000).all(|_| Bucket::new(0, 0).take(0, 1).is_ok()),
            "0 is no limit"
        );
    }

    #[test]
    fn says_to_the_millisecond_when_the_next_permit_comes() {
        for per_second in [1, 3, 7, 10, 999, 1000, 5000] {
            let mut bucket = Bucket::new(per_second, 0);
            let mut now_ms = 0;
            for _ in 0..50 {
                while bucket.take(now_ms, 1).is_ok() {}
                let Err(wait) = bucket.take(now_ms, 1) else {
                    panic!("it was empty")
                };
                if wait > 1 {
                    assert!(
                        bucket.take(now_ms + wait - 1, 1).is_err(),
                        "{per_second}: {wait} is too long"
                    );
                }
                now_ms += wait;
                assert_eq!(
                    bucket.take(now_ms, 1),
                    Ok(()),
                    "{per_second}: {wait} is too short"
                );
            }
        }
    }
}
