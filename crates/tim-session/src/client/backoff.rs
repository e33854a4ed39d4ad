//! Back-off: doubling waits with jitter.

use core::time::Duration;

use tim_proto::planted::{self, Fault};

use crate::config::MIN_BACKOFF_MS;
use crate::time::{LONGEST, millis};

/// The waits between attempts. Each is drawn from the upper half of a span that doubles from the smallest to the largest
/// wait, so that devices that lost the hub at the same time do not reconnect at the same time.
#[derive(Debug)]
pub(crate) struct Backoff {
    /// In milliseconds, as are the next two.
    min: u32,
    max: u32,
    span: u32,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Self {
        let min = millis(min).clamp(MIN_BACKOFF_MS, LONGEST);
        Self {
            min,
            max: millis(max).min(LONGEST).max(min),
            span: min,
            random: seed | 1,
        }
    }

    /// The shortest and the longest wait.
    pub(crate) const fn limits(&self) -> (u32, u32) {
        (self.min, self.max)
    }

    /// Starts over with the smallest wait.
    pub(crate) fn reset(&mut self) {
        self.span = self.min;
    }

    /// The next wait in milliseconds: at least `asked`, the wait that the hub requested, and up to twice that.
    pub(crate) fn next(&mut self, asked: u32) -> u32 {
        let least = (self.span / 2).max(asked);
        self.span = self.span.saturating_mul(2).min(self.max);
        if planted::is(Fault::BackoffWithoutEnd) {
            self.span = least.saturating_mul(16);
        }
        // A share in steps of 1/65536, without division or overflow.
        let share = (self.draw() >> 48) as u32;
        let jitter = (least >> 16) * share + (((least & 0xffff) * share) >> 16);
        least.saturating_add(jitter)
    }

    /// xorshift64; not for cryptography.
    pub(crate) fn draw(&mut self) -> u64 {
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
                let wait = Duration::from_millis(backoff.next(0).into());
                assert!(wait >= span / 2 && wait <= span, "{wait:?} of {span:?}");
            }
            backoff.reset();
        }
    }

    #[test]
    fn what_the_hub_asks_for_is_the_least_and_is_spread_too() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(1000), 42);
        let waits = [(); 50].map(|()| backoff.next(30_000));
        assert!(
            waits.iter().all(|wait| (30_000..60_000).contains(wait)),
            "{waits:?}"
        );
        let (first, last) = (waits.iter().min(), waits.iter().max());
        assert!(
            last.zip(first).is_some_and(|(last, first)| last - first > 20_000),
            "{waits:?}"
        );
    }

    #[test]
    fn no_limit_is_no_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::MAX, 0);
        for _ in 0..100 {
            let _ = backoff.next(0);
        }
        assert!((LONGEST / 2..=LONGEST).contains(&backoff.next(0)));
    }
}
