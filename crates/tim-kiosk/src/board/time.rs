//! Time for embassy-time: SysTick a hundred times a second, read finely in between.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::exception;
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

use super::machine::CLOCK_HZ;

/// How often SysTick comes. Timers are as exact as that; in between the processor sleeps.
const INTERRUPT_HZ: u32 = 100;
/// From one SysTick to the next, in cycles and in embassy's ticks.
const PERIOD: u32 = CLOCK_HZ / INTERRUPT_HZ;
const PERIOD_TICKS: u32 = TICK_HZ as u32 / INTERRUPT_HZ;
// `now` multiplies the two in 32 bits.
const _: () = assert!(PERIOD.checked_mul(PERIOD_TICKS).is_some());

struct Clock {
    periods: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    periods: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

pub(super) fn start(syst: &mut SYST) {
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(PERIOD - 1);
    syst.clear_current();
    syst.enable_counter();
    syst.enable_interrupt();
}

impl Clock {
    fn now(&self, cs: CriticalSection<'_>) -> u64 {
        // A period may end while this looks, and its interrupt wait for the critical section to end.
        let (ended, left) = loop {
            let ended = SCB::is_pendst_pending();
            let left = SYST::get_current();
            if ended == SCB::is_pendst_pending() {
                break (ended, left);
            }
        };
        let elapsed = (PERIOD - 1).saturating_sub(left) * PERIOD_TICKS / PERIOD;
        (self.periods.borrow(cs).get() + u64::from(ended)) * u64::from(PERIOD_TICKS) + u64::from(elapsed)
    }

    fn wake(&self, cs: CriticalSection<'_>) {
        let now = self.now(cs);
        self.queue.borrow_ref_mut(cs).next_expiration(now);
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.now(cs))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // The next SysTick looks whether it is time.
        critical_section::with(|cs| self.queue.borrow_ref_mut(cs).schedule_wake(at, waker));
    }
}

#[exception]
fn SysTick() {
    critical_section::with(|cs| {
        let periods = CLOCK.periods.borrow(cs);
        periods.set(periods.get() + 1);
        CLOCK.wake(cs);
    });
}
