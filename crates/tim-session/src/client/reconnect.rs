//! When to try again: doubling waits with jitter.

use core::time::Duration;

/// The waits between tries. Each is drawn from the upper half of a span that doubles from the smallest to the largest
/// wait, so that devices which lost the hub together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    span: Duration,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Self {
        Self {
            min,
            max: max.max(min),
            span: min,
            random: seed | 1,
        }
    }

    /// A login succeeded: the next loss starts with the smallest wait.
    pub(crate) fn reset(&mut self) {
        self.span = self.min;
    }

    pub(crate) fn next(&mut self) -> Duration {
        let span = self.span;
        self.span = span.saturating_mul(2).min(self.max);
        let half = u64::try_from(span.as_micros() / 2).unwrap_or(u64::MAX);
        let jitter = self.draw() % half.saturating_add(1);
        Duration::from_micros(half.saturating_add(jitter))
    }

    /// xorshift64: spreading is all that is asked of it.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_largest_and_start_again() {
        let (min, max) = (Duration::from_millis(100), Duration::from_millis(1000));
        let mut backoff = Backoff::new(min, max, 42);
        for _ in 0..2 {
            for span in [100, 200, 400, 800, 1000, 1000] {
                let span = Duration::from_millis(span);
                let wait = backoff.next();
                assert!(wait >= span / 2 && wait <= span, "{wait:?} of {span:?}");
            }
            backoff.reset();
        }
    }

    #[test]
    fn no_limit_is_no_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::MAX, 0);
        for _ in 0..100 {
            let _ = backoff.next();
        }
        assert!(backoff.next() > Duration::from_secs(1 << 30));
    }
}
