//! The board: two UARTs, a clock, and an executor that sleeps. Everything here that is unsafe is registers, interrupts
//! and the start of the executor; what the kiosk sees of it are [`Uart`]s, embassy's time, and [`run`].

mod executor;
mod flash;
mod panic;
#[cfg(feature = "stack")]
#[allow(dead_code, reason = "only bin/stack.rs measures")]
pub(crate) mod stack;
mod time;
mod uart;

#[cfg_attr(board = "mps2", path = "mps2.rs")]
#[cfg_attr(board = "lm3s", path = "lm3s.rs")]
mod machine;

pub(crate) use executor::run;
pub(crate) use flash::Flash;
pub(crate) use uart::{Printer, Uart};
#[cfg(feature = "tls")]
#[allow(unused_imports, reason = "only bin/stack.rs has TLS")]
pub(crate) use uart::{Receiver, Sender};

use cortex_m_rt::exception;
use machine::UARTS;

/// What the kiosk is connected with.
pub(crate) struct Board {
    /// Where a person sits.
    pub(crate) console: Uart,
    /// What leads to the hub.
    pub(crate) line: Uart,
    /// What outlives a reset.
    pub(crate) flash: Flash,
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
        // SAFETY: once, as the peripherals are taken once.
        flash: unsafe { Flash::start() },
    }
}

/// The number of this board, which whoever made it has written into the last page of its flash, so that all boards can have the same
/// firmware. `None` if nobody has: flash reads as zeros in QEMU then, and as ones on a real board.
pub(crate) fn number() -> Option<u64> {
    unsafe extern "C" {
        #[link_name = "_number"]
        static NUMBER: [u32; 2];
    }
    // SAFETY: two words of flash that the linker has kept free. Volatile, as they are no part of the program.
    let [low, high] = unsafe { (&raw const NUMBER).read_volatile() };
    let number = u64::from(high) << 32 | u64::from(low);
    (number != 0 && number != u64::MAX).then_some(number)
}

/// A number that differs from boot to boot as far as these boards allow: neither has a source of random numbers. It is made of
///
/// - the number of the boot before, in RAM that no start-up code clears: after a reset without a power cut it is there, and
///   after a power cut it is whatever the RAM comes up with (in QEMU: zero);
/// - the processor's cycles between reads of the clock. In QEMU they vary with what else the host does. On a real board
///   with a single oscillator they are the same at each boot.
///
/// It is no secret, and on a real board after a power cut it may repeat. Message ids do not depend on it alone: the device's
/// number and the hub's time go into them at login. The kiosk adds its count of starts, which is in flash; a product takes its chip's
/// generator.
pub(crate) fn seed() -> u64 {
    const READS: u32 = 64;
    /// A large odd number, as FNV has it: each read moves all that was there before.
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let kept = &raw mut KEPT;
    // SAFETY: any bits are a number, and nobody else uses this one: interrupts do not, and the kiosk has one thread, which
    // comes by once. Volatile, as the start-up code does not write it.
    let mut seed = unsafe { kept.read_volatile() };
    for read in 0..READS {
        seed = (seed ^ u64::from(cortex_m::peripheral::SYST::get_current())).wrapping_mul(PRIME) ^ seed >> 32;
        // Not in step with the clock.
        cortex_m::asm::delay(50 + (seed as u32 ^ read) % 64);
    }
    // SAFETY: as above.
    unsafe { kept.write_volatile(seed) };
    seed
}

/// The seed of the boot before.
#[unsafe(link_section = ".uninit.SEED")]
static mut KEPT: u64 = 0;

/// Any interrupt of a peripheral: there are only those of the UARTs, and each looks after its own.
#[exception]
unsafe fn DefaultHandler(_irq: i16) {
    for uart in &UARTS {
        uart.interrupt();
    }
}
