//! Time, as the driver provides it.

use core::num::{NonZeroU32, NonZeroU64};
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

/// The longest wait of a session, in milliseconds: eleven and a half days. One that is configured to be as long or longer never ends.
pub(crate) const LONGEST: u32 = 1_000_000_000;
/// The time of a session is moved back here, by [`LONGEST`]: an earlier instant is then still earlier than any wait is long, and the
/// sum of now, a step of the clock and a wait stays below 2^32.
const HORIZON: u32 = 2 * LONGEST;

/// An instant of a session, in milliseconds of its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(NonZeroU32);

impl Moment {
    /// The start of a session's time.
    pub(crate) const START: Self = Self(NonZeroU32::MIN);
    /// Later than all others.
    pub(crate) const NEVER: Self = Self(NonZeroU32::MAX);

    /// This many milliseconds later.
    pub(crate) const fn plus(self, millis: u32) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Moves it back along with the time of its session.
    pub(crate) fn move_back(&mut self) {
        if *self != Self::NEVER {
            *self = Self::from_bits(self.0.get().saturating_sub(LONGEST));
        }
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        NonZeroU32::new(bits).map_or(Self::START, Self)
    }

    pub(crate) const fn to_bits(self) -> u32 {
        self.0.get()
    }
}

/// A session's own time, in milliseconds. It never goes back, whatever the driver's clock does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionTime {
    driver: Instant,
    own: Moment,
    /// The microseconds that have passed since `own`, less than 1000.
    rest: u32,
}

impl Default for SessionTime {
    fn default() -> Self {
        Self {
            driver: Instant::ZERO,
            own: Moment::START,
            rest: 0,
        }
    }
}

impl SessionTime {
    /// The session's time at `driver`. A step of the clock counts as [`LONGEST`] at most, which completes every wait.
    pub(crate) fn at(&mut self, driver: Instant) -> Moment {
        const MOST: u64 = LONGEST as u64 * 1000;
        let passed = driver.micros_since(self.driver);
        self.driver = driver;
        let passed = (if passed < MOST { passed } else { MOST }) + u64::from(self.rest);
        // Two divisions of 32 bits instead of one of 64, for which devices have no instruction.
        let high = (passed >> 16) as u32;
        let low = ((high % 1000) << 16) | (passed & 0xffff) as u32;
        self.own = self.own.plus(((high / 1000) << 16) + low / 1000);
        self.rest = low % 1000;
        self.own
    }

    /// Whether it is time to move all instants of the session back.
    pub(crate) const fn is_at_the_horizon(&self) -> bool {
        self.own.to_bits() >= HORIZON
    }

    /// Moves the session's time back; all its instants must follow. Returns the time.
    pub(crate) fn move_back(&mut self) -> Moment {
        self.own.move_back();
        self.own
    }

    /// Microseconds of the session's time, modulo 2^32.
    pub(crate) const fn micros(&self) -> u32 {
        self.own.to_bits().wrapping_mul(1000).wrapping_add(self.rest)
    }

    /// An instant of the session on the driver's clock.
    pub(crate) const fn in_driver_time(&self, own: Moment) -> Instant {
        let left = own.to_bits().saturating_sub(self.own.to_bits()) as u64 * 1000;
        self.driver.plus_micros(left.saturating_sub(self.rest as u64))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        self.plus_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

/// A wait in milliseconds, rounded up; the largest number if it never ends.
#[inline(never)] // it is small, but not as small as a call
pub(crate) const fn millis(wait: Duration) -> u32 {
    let secs = wait.as_secs();
    if secs >= (LONGEST / 1000) as u64 {
        return u32::MAX;
    }
    secs as u32 * 1000 + wait.subsec_nanos().div_ceil(1_000_000)
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}
