//! The time, as the device has it.

use core::cell::Cell;
use core::future::Future;

use tim_session::Instant;

/// A device's clock and timer.
pub trait Clock {
    /// The time now, counted from whenever. It never goes back: a counter of 32 bits that wraps is no clock by itself, see
    /// [`WideningClock`].
    fn now(&self) -> Instant;

    /// Waits until it is `moment`, which may be past. Dropping the future gives the timer back.
    fn wait_until(&self, moment: Instant) -> impl Future<Output = ()>
    where
        Self: Sized;
}

/// The clock of [`embassy_time`], which the board's crate drives.
#[cfg(feature = "embassy-time")]
#[derive(Debug, Clone, Copy, Default)]
pub struct EmbassyClock;

#[cfg(feature = "embassy-time")]
impl Clock for EmbassyClock {
    fn now(&self) -> Instant {
        Instant::from_micros(embassy_time::Instant::now().as_micros())
    }

    async fn wait_until(&self, moment: Instant) {
        match embassy_time::Instant::try_from_micros(moment.as_micros()) {
            Some(moment) => embassy_time::Timer::at(moment).await,
            None => core::future::pending().await, // later than this clock can tell
        }
    }
}

/// A counter of 32 bits that begins again at 0 behind its largest value, and a timer that counts the same ticks.
pub trait Counter {
    /// How many ticks the counter has counted.
    fn count(&self) -> u32;

    /// Waits for at least so many ticks. Dropping the future gives the timer back.
    fn wait(&self, ticks: u32) -> impl Future<Output = ()>
    where
        Self: Sized;
}

/// How long a tick is.
#[derive(Debug, Clone, Copy)]
enum Tick {
    Millisecond,
    Microsecond,
}

/// From this many ticks on, the difference between two reads is a step back.
const HALF_TURN: u32 = 1 << 31;
/// The longest wait between two reads: a quarter of a turn of the faster counter.
const LONGEST_STEP_US: u64 = 1 << 30;

/// A [`Clock`] of 64 bits on a [`Counter`] of 32 bits that wraps.
///
/// The counter has to be read at least once in half a turn: every 24 days if it counts milliseconds, every 35 minutes if it
/// counts microseconds. [`Clock::wait_until`] does that by itself, every 18 minutes, so nothing is left to do while
/// [`Runner`](crate::Runner) is driven: a session that measures a time also waits for it. While nobody drives, or a logged out
/// session waits for nothing, the clock may fall behind by the turns that it did not see. It never goes back, and runs on
/// from the next read. A counter that reads a few ticks less than before, as some do when they are read during the carry, is
/// taken to stand still.
///
/// It works on targets without atomics: the last reading is in a [`Cell`]. So it belongs to one executor, and interrupts cannot
/// read it.
///
/// ```
/// use tim_transport_embedded::{Clock, Counter, WideningClock};
/// # fn hal_millis() -> u32 { 7 }
/// # async fn hal_sleep_millis(_: u32) {}
///
/// /// The chip's counter of milliseconds: 0 again after 49 days.
/// struct Millis;
///
/// impl Counter for Millis {
///     fn count(&self) -> u32 {
///         hal_millis()
///     }
///     async fn wait(&self, ticks: u32) {
///         hal_sleep_millis(ticks).await;
///     }
/// }
///
/// let clock = WideningClock::of_millis(Millis); // for `Device::new`
/// assert_eq!(clock.now().as_micros(), 7_000);
/// ```
#[derive(Debug)]
pub struct WideningClock<C> {
    counter: C,
    tick: Tick,
    /// What the counter said last.
    last: Cell<u32>,
    /// The ticks of all turns.
    ticks: Cell<u64>,
}

impl<C: Counter> WideningClock<C> {
    /// A clock on a counter of milliseconds.
    #[must_use]
    pub const fn of_millis(counter: C) -> Self {
        Self::new(counter, Tick::Millisecond)
    }

    /// A clock on a counter of microseconds.
    #[must_use]
    pub const fn of_micros(counter: C) -> Self {
        Self::new(counter, Tick::Microsecond)
    }

    const fn new(counter: C, tick: Tick) -> Self {
        Self {
            counter,
            tick,
            last: Cell::new(0),
            ticks: Cell::new(0),
        }
    }
}

impl<C: Counter> Clock for WideningClock<C> {
    fn now(&self) -> Instant {
        let count = self.counter.count();
        let passed = count.wrapping_sub(self.last.replace(count));
        if passed < HALF_TURN {
            self.ticks.set(self.ticks.get().saturating_add(passed.into()));
        }
        match self.tick {
            Tick::Millisecond => Instant::from_millis(self.ticks.get()),
            Tick::Microsecond => Instant::from_micros(self.ticks.get()),
        }
    }

    async fn wait_until(&self, moment: Instant) {
        loop {
            let left = moment.as_micros().saturating_sub(self.now().as_micros());
            if left == 0 {
                return;
            }
            // At most the longest step, so that it fits and the division is one of 32 bits.
            let step = u32::try_from(left.min(LONGEST_STEP_US)).unwrap_or(u32::MAX);
            let ticks = match self.tick {
                Tick::Millisecond => step.div_ceil(1000),
                Tick::Microsecond => step,
            };
            self.counter.wait(ticks).await;
        }
    }
}
