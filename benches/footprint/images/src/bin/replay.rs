//! What clients take at run time, for QEMU; `.ci/footprint` makes the script, and reads what is printed.
#![no_std]
#![no_main]

use footprint_images::replay;

/// What a hub has said, see `replay`.
static SCRIPT: &[u8] = include_bytes!(env!("FOOTPRINT_SCRIPT"));

/// Where the machine starts.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    replay::run(SCRIPT)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    replay::exit(101)
}
