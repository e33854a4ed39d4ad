//! Time, as the driver provides it.

use core::num::NonZeroU64;
use core::ops::{Add, Sub};
use core::time::Duration;

/// An instant, in microseconds since an arbitrary start. It should never go back; if it does, a session assumes that no time
/// has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(NonZeroU64); // one more, so that an `Option` of it is as small

impl Default for Instant {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Instant {
    /// The start.
    pub const ZERO: Self = Self(NonZeroU64::MIN);

    /// This many microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self::ZERO.plus_micros(micros)
    }

    /// This many milliseconds after the start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_micros(millis.saturating_mul(1000))
    }

    /// This many microseconds later.
    #[must_use]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) const fn plus_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0.get().saturating_sub(1)
    }

    const fn micros_since(self, earlier: Self) -> u64 {
        self.0.get().saturating_sub(earlier.0.get())
    }

    /// The time since `earlier`; zero if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.micros_since(earlier))
    }
}

/// The latest instant of a session's time, and the longest wait. Their sum does not overflow.
const LATEST: Instant = Instant::from_micros(u64::MAX / 2);
const LONGEST: u64 = u64::MAX / 4;

/// A session's own time. It never goes back, whatever the driver's clock does, and stays far enough from overflow to add a
/// wait.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SessionTime {
    driver: Instant,
    own: Instant,
}

impl SessionTime {
    /// The session's time at `driver`.
    pub(crate) fn at(&mut self, driver: Instant) -> Instant {
        let passed = driver.micros_since(self.driver);
        self.driver = driver;
        self.own = self.own.plus_micros(passed).min(LATEST);
        self.own
    }

    /// An instant of the session on the driver's clock.
    pub(crate) const fn in_driver_time(&self, own: Instant) -> Instant {
        self.driver.plus_micros(own.micros_since(self.own))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        self.plus_micros(micros(duration))
    }
}

/// A duration in microseconds, capped at the longest wait. Avoids 64-bit and 128-bit division, for which devices have no
/// instruction.
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
