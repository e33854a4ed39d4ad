//! When to try again: doubling waits with jitter.

use core::time::Duration;

use crate::time::micros;

/// The waits between tries. Each is drawn from the upper half of a span that doubles from the smallest to the largest
/// wait, so that devices which lost the hub together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    /// In microseconds, as all here.
    min: u64,
    max: u64,
    span: u64,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Self {
        let min = micros(min);
        Self {
            min,
            max: micros(max).max(min),
            span: min,
            random: seed | 1,
        }
    }

    /// A login succeeded: the next loss starts with the smallest wait.
    pub(crate) fn reset(&mut self) {
        self.span = self.min;
    }

    /// How long to wait now, in microseconds.
    pub(crate) fn next(&mut self) -> u64 {
        let half = self.span / 2;
        self.span = self.span.saturating_mul(2).min(self.max);
        // A share of the half, in steps of 1/65536: without a division, and without an overflow.
        let share = self.draw() >> 48;
        let jitter = (half >> 16) * share + (((half & 0xffff) * share) >> 16);
        half.saturating_add(jitter)
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
                let wait = Duration::from_micros(backoff.next());
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
        assert!(backoff.next() > u64::MAX / 2 - 1);
    }
}
