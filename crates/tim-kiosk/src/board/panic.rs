//! What happens when the unthinkable does: last words on the console, then the board starts anew; or, in a test, the
//! emulator ends with a status that fails it.

use core::fmt::Write;
use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

use super::machine::UARTS;

/// The console, whoever has it.
fn console() -> impl Write {
    let [console, _] = &UARTS;
    console.printer()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    let _ = write!(console(), "\r\n{info}\r\n");
    start_anew()
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    let _ = write!(console(), "\r\nfault at {:#x}\r\n", frame.pc());
    start_anew()
}

#[cfg(not(feature = "semihosting"))]
fn start_anew() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

#[cfg(feature = "semihosting")]
fn start_anew() -> ! {
    const EXIT_EXTENDED: usize = 0x20;
    const APPLICATION_EXIT: usize = 0x20026;
    loop {
        // SAFETY: the call reads two words and does not return.
        unsafe { cortex_m_semihosting::syscall(EXIT_EXTENDED, &[APPLICATION_EXIT, 101]) };
    }
}
