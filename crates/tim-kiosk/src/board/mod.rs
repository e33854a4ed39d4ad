//! The board: two UARTs, a clock, and an executor that sleeps. Everything here that is unsafe is registers, interrupts
//! and the start of the executor; what the kiosk sees of it are [`Uart`]s, embassy's time, and [`run`].

mod executor;
mod panic;
mod time;
mod uart;

#[cfg_attr(board = "mps2", path = "mps2.rs")]
#[cfg_attr(board = "lm3s", path = "lm3s.rs")]
mod machine;

pub(crate) use executor::run;
pub(crate) use uart::{Printer, Uart};

use cortex_m_rt::exception;
use machine::UARTS;

/// What the kiosk is connected with.
pub(crate) struct Board {
    /// Where a person sits.
    pub(crate) console: Uart,
    /// What leads to the hub.
    pub(crate) line: Uart,
}

/// Starts the clock and the UARTs. Once: the second call panics.
pub(crate) fn start() -> Board {
    #[allow(clippy::expect_used, reason = "there is no kiosk without its board")]
    let mut core = cortex_m::Peripherals::take().expect("the board is started once");
    machine::start();
    time::start(&mut core.SYST);
    let [console, line] = &UARTS;
    Board {
        console: console.start(),
        line: line.start(),
    }
}

/// A number that differs between resets as far as these boards allow: neither has a source of random numbers, a product's
/// has. It counts the cycles since the start of the current hundredth of a second.
pub(crate) fn seed() -> u64 {
    cortex_m::peripheral::SYST::get_current().into()
}

/// Any interrupt of a peripheral: there are only those of the UARTs, and each looks after its own.
#[exception]
unsafe fn DefaultHandler(_irq: i16) {
    for uart in &UARTS {
        uart.interrupt();
    }
}
