//! How many messages a user may send a second.

use std::collections::HashMap;
use std::sync::Mutex;

use tim_proto::{ErrorCode, UserId};

use super::token_bucket::TokenBucket;
use crate::refusal::Refusal;
use crate::threads::lock;

/// How many seconds' worth may be sent in one go.
const BURST_SECONDS: u32 = 2;
/// The least number of buckets that is worth a sweep.
const FIRST_SWEEP: usize = 1024;

/// The token buckets of the users who have sent something lately, whether they are online or not: a user who logs out and
/// in again does not get a full one.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter(Mutex<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    by_user: HashMap<UserId, TokenBucket>,
    /// At how many buckets the full ones are dropped.
    sweep_at: usize,
}

impl RateLimiter {
    /// Takes what costs as much as `cost` messages. `per_second` is the rate of the session; 0 is no limit. A
    /// bucket that is not full keeps its rate.
    ///
    /// # Errors
    /// The refusal, which says when the next message is admitted.
    pub(crate) fn take(&self, user: &UserId, per_second: u32, now_ms: u64, cost: u32) -> Result<(), Refusal> {
        if per_second == 0 {
            return Ok(());
        }
        let mut buckets = lock(&self.0);
        if buckets.by_user.len() >= buckets.sweep_at.max(FIRST_SWEEP) {
            buckets.by_user.retain(|_, bucket| {
                bucket.fill(now_ms);
                !bucket.is_full()
            });
            buckets.sweep_at = buckets.by_user.len().saturating_mul(2);
        }
        let new = TokenBucket::new(per_second, BURST_SECONDS, now_ms);
        let bucket = buckets.by_user.entry(*user).or_insert(new);
        bucket.fill(now_ms);
        if bucket.is_full() {
            *bucket = new; // the rate may be another one since
        }
        bucket
            .take(now_ms, cost)
            .map_err(|wait_ms| Refusal::too_soon(ErrorCode::RATE_LIMITED, wait_ms, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: usize) -> UserId {
        UserId::new(&format!("user{number}")).unwrap()
    }

    #[test]
    fn each_user_has_a_bucket_and_it_fills_with_the_time_only() {
        let limiter = RateLimiter::default();
        let take = |number, now_ms| limiter.take(&user(number), 10, now_ms, 1);
        assert!((0..20).all(|_| take(1, 0).is_ok()));
        let refusal = take(1, 0).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.retry_after_ms),
            (ErrorCode::RATE_LIMITED, 100)
        );
        assert!(take(2, 0).is_ok());
        assert!(take(1, 1_000).is_ok());
        assert!(
            (0..1_000).all(|_| limiter.take(&user(3), 0, 0, 1).is_ok()),
            "0 is no limit"
        );
        // A full bucket takes on the rate of a newer session.
        assert!((0..40).all(|_| limiter.take(&user(1), 20, 10_000, 1).is_ok()));
        assert!(limiter.take(&user(1), 20, 10_000, 1).is_err());
    }

    #[test]
    fn full_buckets_are_dropped_and_no_others() {
        let limiter = RateLimiter::default();
        let take = |number, now_ms| limiter.take(&user(number), 1, now_ms, 1).is_ok();
        for number in 1..10 * FIRST_SWEEP {
            assert!(take(number, number as u64 * 10));
        }
        assert!(lock(&limiter.0).by_user.len() <= 2 * FIRST_SWEEP);
        let now_ms = 1_000_000;
        assert!(take(0, now_ms) && take(0, now_ms) && !take(0, now_ms));
        for number in 1..10 * FIRST_SWEEP {
            assert!(take(number, now_ms));
        }
        assert!(!take(0, now_ms));
    }
}
