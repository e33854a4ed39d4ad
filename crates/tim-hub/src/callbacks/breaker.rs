//! A circuit breaker: after some failures in a row nothing is asked for a while, and then one request tries whether it works again.

use std::time::Duration;

use tokio::time::Instant;

/// After how many failures in a row the breaker opens, and for how long.
pub(super) const FAILURES: u32 = 5;
pub(super) const OPEN_TIME: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a request may be made now. When the time is over it may be one, which decides.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        match self.open_until {
            Some(until) if until > now => false,
            Some(_) => {
                // The others wait for the outcome of this one.
                self.open_until = Some(now + OPEN_TIME);
                true
            }
            None => true,
        }
    }

    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    /// Whether this failure has opened it.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures >= FAILURES && self.open_until.is_none();
        if self.failures >= FAILURES {
            self.open_until = Some(now + OPEN_TIME);
        }
        opens
    }

    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_tries_again_once() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 1..FAILURES {
            assert!(breaker.admits(now) && !breaker.failed(now));
        }
        breaker.worked();
        for _ in 1..FAILURES {
            assert!(!breaker.failed(now));
        }
        assert!(breaker.failed(now));
        assert!(!breaker.admits(now) && breaker.is_open(now));
        now += OPEN_TIME;
        assert!(breaker.admits(now), "one tries");
        assert!(!breaker.admits(now), "the others do not");
        assert!(!breaker.failed(now), "it was open");
        now += OPEN_TIME;
        assert!(breaker.admits(now));
        breaker.worked();
        assert!(breaker.admits(now) && breaker.admits(now));
    }
}
