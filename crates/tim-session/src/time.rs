//! Time as the driver tells it.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A moment, in microseconds since whenever the driver started counting. It should never go back; where it does, a session
/// takes it that no time has passed, and goes on counting from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The moment when the counting started.
    pub const ZERO: Self = Self(0);

    /// The moment so many microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The moment so many milliseconds after the start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// So many microseconds later.
    #[must_use]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) const fn plus_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// The latest moment of a session's own time, and the longest wait: their sum is a moment still.
const LATEST: u64 = u64::MAX / 2;
const LONGEST: u64 = u64::MAX / 4;

/// A session's own time, which goes on whatever the driver's clock does: it never goes back, and never comes so close to
/// the end of what can be counted that a wait would not fit behind it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SessionTime {
    driver: Instant,
    own: Instant,
}

impl SessionTime {
    /// The moment that it is when the driver's clock says `driver`.
    pub(crate) fn at(&mut self, driver: Instant) -> Instant {
        let passed = driver.0.saturating_sub(self.driver.0);
        self.driver = driver;
        self.own = Instant(self.own.0.saturating_add(passed).min(LATEST));
        self.own
    }

    /// A moment of the session's on the driver's clock, as it went on last.
    pub(crate) const fn to_driver_time(&self, own: Instant) -> Instant {
        self.driver.plus_micros(own.0.saturating_sub(self.own.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        self.plus_micros(micros(duration))
    }
}

/// A duration in microseconds; the longest wait that there is stands for all longer ones. Without the division of 64 or 128 bits
/// that a device has no instruction for.
#[inline(never)] // it is small, but not as small as a call
pub(crate) fn micros(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000);
    let micros = whole.saturating_add(u64::from(duration.subsec_micros()));
    if micros < LONGEST { micros } else { LONGEST }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}
