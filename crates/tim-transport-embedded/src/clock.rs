//! The time, as the device has it.

use core::future::Future;

use tim_session::Instant;

/// A device's clock and timer.
pub trait Clock {
    /// The time now, counted from whenever. It never goes back.
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
