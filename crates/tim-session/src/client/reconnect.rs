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
        self.span = (span * 2).min(self.max);
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
