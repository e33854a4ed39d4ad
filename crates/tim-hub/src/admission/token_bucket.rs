//! A token bucket: filled at a steady rate, up to a capacity.

/// One token, in the unit that a millisecond at one token a second fills.
const TOKEN: i64 = 1000;

/// A bucket of tokens, each worth a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenBucket {
    rate: u32,
    /// In thousandths of a token, as `tokens` is.
    capacity: i64,
    /// Below zero after something that cost more than there was.
    tokens: i64,
    filled_ms: u64,
}

impl TokenBucket {
    /// A full bucket that gains `rate` tokens a second and holds as many as come in `seconds`.
    pub(super) const fn new(rate: u32, seconds: u32, now_ms: u64) -> Self {
        let capacity = rate as i64 * seconds as i64 * TOKEN;
        Self {
            rate,
            capacity,
            tokens: capacity,
            filled_ms: now_ms,
        }
    }

    /// Adds what has come since the last time. A clock that was set back adds nothing, and nobody waits until it is where it was.
    pub(super) fn fill(&mut self, now_ms: u64) {
        let gained = now_ms
            .saturating_sub(self.filled_ms)
            .saturating_mul(u64::from(self.rate));
        let gained = i64::try_from(gained).unwrap_or(i64::MAX);
        self.tokens = self.tokens.saturating_add(gained).min(self.capacity);
        self.filled_ms = now_ms;
    }

    /// Whether it equals a new one.
    pub(super) const fn is_full(&self) -> bool {
        self.tokens >= self.capacity
    }

    /// Fills the bucket and takes `cost` tokens if at least one is there: a higher cost leaves a debt, which is paid by
    /// waiting afterwards.
    ///
    /// # Errors
    /// In how many milliseconds a token is there.
    pub(super) fn take(&mut self, now_ms: u64, cost: u32) -> Result<(), u64> {
        self.fill(now_ms);
        if self.tokens < TOKEN {
            return Err(self.wait_ms());
        }
        self.tokens -= i64::from(cost) * TOKEN;
        Ok(())
    }

    /// Fills the bucket and takes `cost` tokens that need not be there. The debt grows to the capacity at most.
    pub(super) fn charge(&mut self, now_ms: u64, cost: u32) {
        self.fill(now_ms);
        self.tokens = (self.tokens - i64::from(cost) * TOKEN).max(-self.capacity);
    }

    /// In how many milliseconds after the last filling a token is there; 0 if there is one.
    pub(super) fn wait_ms(&self) -> u64 {
        self.ready_ms(1).saturating_sub(self.filled_ms)
    }

    /// Takes a token if one is there.
    pub(super) const fn take_one(&mut self) -> bool {
        let is_there = self.tokens >= TOKEN;
        if is_there {
            self.tokens -= TOKEN;
        }
        is_there
    }

    /// Takes a token that need not be there. The debt grows to the capacity at most.
    pub(super) fn draw(&mut self) {
        self.tokens = (self.tokens - TOKEN).max(-self.capacity);
    }

    /// When `count` tokens are there.
    pub(super) fn ready_ms(&self, count: usize) -> u64 {
        let wanted = i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(TOKEN);
        let lacking = u64::try_from(wanted.saturating_sub(self.tokens)).unwrap_or(0);
        self.filled_ms
            .saturating_add(lacking.div_ceil(u64::from(self.rate.max(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::TokenBucket;

    #[test]
    fn lets_through_the_rate_and_twice_that_at_once() {
        let mut bucket = TokenBucket::new(10, 2, 0);
        assert_eq!((0..100).filter(|_| bucket.take(0, 1).is_ok()).count(), 20);
        let next_second = (0..1000).filter(|ms| bucket.take(*ms, 1).is_ok()).count();
        assert!((9..=10).contains(&next_second), "{next_second}");
        assert_eq!(bucket.take(3000, 50), Ok(()), "20 there are");
        assert_eq!(bucket.take(6000, 1), Err(100), "30 were lacking");
        assert_eq!(bucket.take(6100, 1), Ok(()));
        bucket.fill(8000);
        assert!(!bucket.is_full());
        bucket.fill(8100);
        assert!(bucket.is_full());
    }

    #[test]
    fn what_is_charged_is_paid_by_waiting_and_the_debt_has_an_end() {
        let mut bucket = TokenBucket::new(10, 2, 0);
        bucket.charge(0, 19);
        assert_eq!(bucket.wait_ms(), 0);
        bucket.charge(0, 1);
        assert_eq!(bucket.wait_ms(), 100);
        bucket.charge(100, 10);
        assert_eq!(bucket.wait_ms(), 1_000);
        for _ in 0..100 {
            bucket.charge(100, u32::MAX);
        }
        assert_eq!(bucket.wait_ms(), 2_100);
        assert_eq!(bucket.take(2_200, 1), Ok(()));
    }

    #[test]
    fn says_to_the_millisecond_when_the_next_permit_comes() {
        for per_second in [1, 3, 7, 10, 999, 1000, 5000] {
            let mut bucket = TokenBucket::new(per_second, 2, 0);
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
