//! The executor: embassy's raw one, which sleeps with WFI.
//!
//! Embassy's own for Cortex-M sleeps with WFE, which QEMU takes for no sleep at all.

use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::asm::wfi;
use cortex_m::interrupt;
use embassy_executor::{Spawner, raw};
use static_cell::StaticCell;

/// Whether a task was woken since the last look.
static WOKEN: AtomicBool = AtomicBool::new(false);

/// Called by the executor when there is something to do, from tasks and from interrupts.
#[unsafe(export_name = "__pender")]
fn pender(_context: *mut ()) {
    WOKEN.store(true, Ordering::Release);
}

/// Spawns the first task and runs it and all others for ever.
pub(crate) fn run(spawn: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();
    let executor = EXECUTOR.init(raw::Executor::new(ptr::null_mut()));
    spawn(executor.spawner());
    loop {
        // SAFETY: this loop is the only place that polls, so no poll is inside another.
        unsafe { executor.poll() };
        // With interrupts masked nothing can be woken between the look and the sleep; WFI ends for a masked one too.
        interrupt::disable();
        if !WOKEN.load(Ordering::Acquire) {
            wfi();
        }
        WOKEN.store(false, Ordering::Release);
        // SAFETY: nothing above relies on interrupts being masked any longer.
        unsafe { interrupt::enable() };
    }
}
