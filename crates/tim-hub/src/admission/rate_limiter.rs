//! How much each user, or each network, may ask for in a second.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use super::token_bucket::TokenBucket;
use crate::threads::lock;

/// How many seconds' worth may be had in one go.
const BURST_SECONDS: u32 = 2;
/// The least number of buckets that is worth a sweep.
const FIRST_SWEEP: usize = 1024;
/// The most buckets. Those of users are of accounts that were active in the last seconds; whoever has as many addresses is not
/// limited by address anyway.
const MAX_BUCKETS: usize = 128 * 1024;

/// The token buckets of those who have asked for something lately, whether they are connected or not: whoever disconnects and
/// comes back does not get a full one.
#[derive(Debug)]
pub(crate) struct RateLimiter<K>(Mutex<Buckets<K>>);

#[derive(Debug)]
struct Buckets<K> {
    by_key: HashMap<K, TokenBucket>,
    /// At how many buckets the full ones are dropped.
    sweep_at: usize,
}

impl<K> Default for RateLimiter<K> {
    fn default() -> Self {
        Self(Mutex::new(Buckets {
            by_key: HashMap::new(),
            sweep_at: FIRST_SWEEP,
        }))
    }
}

impl<K: Copy + Eq + Hash> RateLimiter<K> {
    /// Takes `cost`. `per_second` is the rate of the session; 0 is no limit.
    ///
    /// # Errors
    /// In how many milliseconds there is something to take again.
    pub(crate) fn take(&self, key: K, per_second: u32, now_ms: u64, cost: u32) -> Result<(), u64> {
        self.with_bucket(key, per_second, now_ms, Ok(()), |bucket| {
            bucket.take(now_ms, cost)
        })
    }

    /// Takes `cost` whether it is there or not. Returns how many milliseconds it takes until it is paid for, 0 if it is.
    pub(crate) fn charge(&self, key: K, per_second: u32, now_ms: u64, cost: u32) -> u64 {
        self.with_bucket(key, per_second, now_ms, 0, |bucket| {
            bucket.charge(now_ms, cost);
            bucket.wait_ms()
        })
    }

    /// Takes `cost` ahead of its time, and returns in how many milliseconds that is: behind what others have taken with this key.
    ///
    /// # Errors
    /// As [`take`](Self::take), if that is more than `max_wait_ms`; nothing is taken then.
    pub(crate) fn reserve(
        &self,
        key: K,
        per_second: u32,
        now_ms: u64,
        cost: u32,
        max_wait_ms: u64,
    ) -> Result<u64, u64> {
        self.with_bucket(key, per_second, now_ms, Ok(0), |bucket| {
            bucket.charge(now_ms, 0);
            let wait_ms = bucket.wait_ms();
            if wait_ms > max_wait_ms {
                return Err(wait_ms);
            }
            bucket.charge(now_ms, cost);
            Ok(wait_ms)
        })
    }

    /// Does something with the bucket of `key`. One that is not full keeps its rate.
    fn with_bucket<T>(
        &self,
        key: K,
        per_second: u32,
        now_ms: u64,
        unlimited: T,
        work: impl FnOnce(&mut TokenBucket) -> T,
    ) -> T {
        if per_second == 0 {
            return unlimited;
        }
        let mut buckets = lock(&self.0);
        if buckets.by_key.len() >= buckets.sweep_at && !buckets.by_key.contains_key(&key) {
            buckets.sweep(now_ms);
        }
        let new = TokenBucket::new(per_second, BURST_SECONDS, now_ms);
        let bucket = buckets.by_key.entry(key).or_insert(new);
        bucket.fill(now_ms);
        if bucket.is_full() {
            *bucket = new; // the rate may be another one since
        }
        work(bucket)
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// Drops the buckets that equal new ones, and all of them if there are too many nevertheless.
    fn sweep(&mut self, now_ms: u64) {
        self.by_key.retain(|_, bucket| {
            bucket.fill(now_ms);
            !bucket.is_full()
        });
        if self.by_key.len() >= MAX_BUCKETS {
            self.by_key.clear();
        }
        self.sweep_at = (self.by_key.len() * 2).clamp(FIRST_SWEEP, MAX_BUCKETS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_a_bucket_and_it_fills_with_the_time_only() {
        let limiter = RateLimiter::default();
        let take = |number, now_ms| limiter.take(number, 10, now_ms, 1);
        assert!((0..20).all(|_| take(1, 0).is_ok()));
        assert_eq!(take(1, 0), Err(100));
        assert!(take(2, 0).is_ok());
        assert!(take(1, 1_000).is_ok());
        assert!(
            (0..1_000).all(|_| limiter.take(3, 0, 0, 1).is_ok()),
            "0 is no limit"
        );
        // A full bucket takes on the rate of a newer session.
        assert!((0..40).all(|_| limiter.take(1, 20, 10_000, 1).is_ok()));
        assert!(limiter.take(1, 20, 10_000, 1).is_err());
    }

    #[test]
    fn those_who_reserve_have_their_turns_one_after_the_other() {
        let limiter = RateLimiter::default();
        let reserve = |now_ms| limiter.reserve(1, 10, now_ms, 10, 2_000);
        assert_eq!((reserve(0), reserve(0)), (Ok(0), Ok(0)), "the burst");
        assert_eq!((reserve(0), reserve(0)), (Ok(100), Ok(1_100)));
        assert_eq!(reserve(0), Err(2_100));
        assert_eq!(reserve(0), Err(2_100), "whoever is refused takes nothing");
        assert_eq!(reserve(100), Ok(2_000));
        assert_eq!(limiter.charge(1, 10, 100, 0), 2_100, "the debt has an end");
        assert_eq!(limiter.reserve(1, 0, 100, 10, 0), Ok(0), "0 is no limit");
    }

    #[test]
    fn full_buckets_are_dropped_and_no_others() {
        let limiter = RateLimiter::default();
        let take = |number, now_ms| limiter.take(number, 1, now_ms, 1).is_ok();
        for number in 1..10 * FIRST_SWEEP {
            assert!(take(number, number as u64 * 10));
        }
        assert!(lock(&limiter.0).by_key.len() <= 2 * FIRST_SWEEP);
        let now_ms = 1_000_000;
        assert!(take(0, now_ms) && take(0, now_ms) && !take(0, now_ms));
        for number in 1..10 * FIRST_SWEEP {
            assert!(take(number, now_ms));
        }
        assert!(!take(0, now_ms));
    }

    #[test]
    fn a_flood_of_addresses_does_not_fill_the_memory() {
        let limiter = RateLimiter::default();
        for number in 0..MAX_BUCKETS + 2 * FIRST_SWEEP {
            limiter.charge(number, 1, 0, 2);
            assert!(lock(&limiter.0).by_key.len() <= MAX_BUCKETS);
        }
    }
}
