//! How many accounts are opened in an hour.

use std::hash::Hash;

use super::rate_limiter::RateLimiter;

/// Milliseconds of the clock for one of the limiter: its second is an hour.
const SCALE: u64 = 3_600;

/// A [`RateLimiter`] of new accounts, by the hour.
#[derive(Debug)]
pub(crate) struct AccountLimiter<K> {
    per_hour: u32,
    limiter: RateLimiter<K>,
}

impl<K: Copy + Eq + Hash> AccountLimiter<K> {
    /// 0 is no limit.
    pub(crate) fn new(per_hour: u32) -> Self {
        Self {
            per_hour,
            limiter: RateLimiter::default(),
        }
    }

    /// Admits one more account.
    ///
    /// # Errors
    /// In how many milliseconds the next one is admitted.
    pub(crate) fn take(&self, key: K, now_ms: u64) -> Result<(), u64> {
        let taken = self.limiter.take(key, self.per_hour, now_ms / SCALE, 1);
        taken.map_err(|wait| wait.saturating_mul(SCALE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_so_many_an_hour_and_twice_that_at_once() {
        let limiter = AccountLimiter::new(10);
        assert_eq!((0..100).filter(|_| limiter.take(1, 0).is_ok()).count(), 20);
        let wait = limiter.take(1, 0).unwrap_err();
        assert_eq!(wait, 360_000);
        assert_eq!(limiter.take(1, wait - SCALE).unwrap_err(), SCALE);
        assert_eq!(limiter.take(1, wait), Ok(()));
        assert!(limiter.take(2, 0).is_ok());
        let next_hour = wait + 3_600_000;
        assert_eq!(
            (0..100).filter(|_| limiter.take(1, next_hour).is_ok()).count(),
            10
        );
        let unlimited = AccountLimiter::new(0);
        assert!((0..100).all(|_| unlimited.take(1, 0).is_ok()));
    }
}
