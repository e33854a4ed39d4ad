//! What the hub logs of strangers: at info, but not more often than somebody can read.

use std::sync::Mutex;

use crate::admission::token_bucket::Bucket;
use crate::threads::lock;

/// How many notes of a kind a second are logged.
const PER_SECOND: u32 = 5;

/// A kind of note that anybody can cause.
#[derive(Debug)]
pub(crate) struct LogLimiter(Mutex<State>);

#[derive(Debug)]
struct State {
    bucket: Bucket,
    unsaid: u64,
}

impl LogLimiter {
    pub(crate) const fn new() -> Self {
        let bucket = Bucket::new(PER_SECOND, 0);
        Self(Mutex::new(State { bucket, unsaid: 0 }))
    }

    /// Whether this one is to be logged, and how many before it were not.
    pub(crate) fn take(&self, steady_ms: u64) -> Option<u64> {
        let mut state = lock(&self.0);
        if state.bucket.take(steady_ms, 1).is_ok() {
            Some(std::mem::take(&mut state.unsaid))
        } else {
            state.unsaid += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_logged() {
        let notes = LogLimiter::new();
        let logged = (0..100).filter(|_| notes.take(0).is_some()).count();
        assert_eq!(logged, 10);
        assert_eq!(notes.take(1000), Some(90));
        assert_eq!(notes.take(1000), Some(0));
    }
}
