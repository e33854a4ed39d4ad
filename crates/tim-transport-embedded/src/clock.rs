//! The device's clock.

use core::cell::Cell;
use core::future::Future;

use tim_session::Instant;

/// A device's clock and timer.
pub trait Clock {
    /// The current time, relative to any fixed instant: a counter since the start, not the time of day, which may be set. For a 32-bit
    /// counter that wraps, use [`WideningClock`].
    ///
    /// It must not go back. If it does, no time has passed for the session, but a [`Clock::wait_until`] that is under way waits until the
    /// clock has come there again: until then nothing wakes a device that has lost its connection.
    fn now(&self) -> Instant;

    /// Waits until `moment`, which may be in the past. Dropping the future releases the timer.
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
            None => core::future::pending().await, // later than this clock can represent
        }
    }
}

/// A 32-bit counter that wraps to 0, and a timer that counts the same ticks.
pub trait Counter {
    /// The counter's current value, in ticks.
    fn count(&self) -> u32;

    /// Waits for at least this many ticks. Dropping the future releases the timer.
    fn wait(&self, ticks: u32) -> impl Future<Output = ()>
    where
        Self: Sized;
}

/// The length of a tick.
#[derive(Debug, Clone, Copy)]
enum Tick {
    Millisecond,
    Microsecond,
}

/// A difference between two reads of at least this many ticks is a step back.
const HALF_TURN: u32 = 1 << 31;
/// The longest wait between two reads: a quarter of a turn of the faster counter.
const LONGEST_STEP_US: u64 = 1 << 30;

/// A 64-bit [`Clock`] on a 32-bit [`Counter`] that wraps.
///
/// The counter must be read at least once per half turn: every 24 days if it counts milliseconds, every 35 minutes if it
/// counts microseconds. [`Clock::wait_until`] reads it every 18 minutes, so this needs no attention while the
/// [`Runner`](crate::Runner) is awaited: a session that measures a time also waits for it. While the runner is not awaited, or a
/// logged out session waits for nothing, the clock may lose the turns that it missed. It never goes back, and continues from
/// the next read. A counter that reads a few ticks less than before, as some do during a carry, is taken to stand still.
///
/// It works on targets without atomics: the last reading is in a [`Cell`]. Therefore it belongs to one executor, and
/// interrupt handlers cannot read it.
///
/// ```
/// use tim_transport_embedded::{Clock, Counter, WideningClock};
/// # fn hal_millis() -> u32 { 7 }
/// # async fn hal_sleep_millis(_: u32) {}
///
/// /// The chip's millisecond counter, which wraps after 49 days.
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
    /// The last value of the counter.
    last: Cell<u32>,
    /// The ticks of all turns so far.
    ticks: Cell<u64>,
}

impl<C: Counter> WideningClock<C> {
    /// A clock on a counter that counts milliseconds.
    #[must_use]
    pub const fn of_millis(counter: C) -> Self {
        Self::new(counter, Tick::Millisecond)
    }

    /// A clock on a counter that counts microseconds.
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
            // Capped, so that it fits and the division has 32 bits.
            let step = u32::try_from(left.min(LONGEST_STEP_US)).unwrap_or(u32::MAX);
            let ticks = match self.tick {
                Tick::Millisecond => step.div_ceil(1000),
                Tick::Microsecond => step,
            };
            self.counter.wait(ticks).await;
        }
    }
}
