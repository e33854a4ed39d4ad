//! Limits how often an event that anybody on the network can cause is logged.

use std::sync::Mutex;

use super::token_bucket::TokenBucket;
use crate::threads::lock;

/// How many events of a kind are logged a second.
const PER_SECOND: u32 = 5;

/// The limiter of one kind of event.
#[derive(Debug)]
pub(crate) struct LogLimiter(Mutex<State>);

#[derive(Debug)]
struct State {
    bucket: TokenBucket,
    /// How many have not been logged since the last one that was.
    suppressed: u64,
    total: u64,
}

impl LogLimiter {
    pub(crate) const fn new() -> Self {
        let bucket = TokenBucket::new(PER_SECOND, 2, 0);
        Self(Mutex::new(State {
            bucket,
            suppressed: 0,
            total: 0,
        }))
    }

    /// Counts an event. Returns how many before it were not logged, if this one is to be.
    pub(crate) fn take(&self, steady_ms: u64) -> Option<u64> {
        let mut state = lock(&self.0);
        state.total += 1;
        if state.bucket.take(steady_ms, 1).is_ok() {
            Some(std::mem::take(&mut state.suppressed))
        } else {
            state.suppressed += 1;
            None
        }
    }

    /// How many events there have been.
    pub(crate) fn total(&self) -> u64 {
        lock(&self.0).total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_mostly_not_logged() {
        let limiter = LogLimiter::new();
        let logged = (0..100).filter(|_| limiter.take(0).is_some()).count();
        assert_eq!(logged, 10);
        assert_eq!(limiter.take(1000), Some(90));
        assert_eq!(limiter.take(1000), Some(0));
        assert_eq!(limiter.total(), 102);
    }
}
