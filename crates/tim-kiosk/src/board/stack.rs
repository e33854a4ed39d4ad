//! How much of the stack was used: it is painted, and later searched for what is left of the paint. Only `bin/stack.rs` measures.

use core::ptr;

const PAINT: u32 = 0x9A1A_7ED5;
/// How far below its caller's frame the painting begins: its own frame, and that of an interrupt meanwhile.
const OWN_FRAME: usize = 256;

unsafe extern "C" {
    #[link_name = "__sheap"]
    static BOTTOM: u32;
    #[link_name = "_stack_start"]
    static TOP: u32;
}

/// Paints the part of the stack that is not in use.
#[inline(never)]
pub(crate) fn paint() {
    let here = 0_u32;
    let end = (&raw const here).addr().saturating_sub(OWN_FRAME);
    let mut word = (&raw const BOTTOM).cast_mut();
    while word.addr() < end {
        // SAFETY: a word of RAM between the statics and the part of the stack that is in use; nobody else has it.
        unsafe { ptr::write_volatile(word, PAINT) };
        word = word.wrapping_add(1);
    }
}

/// The most bytes of stack that were in use since it was painted.
pub(crate) fn used() -> usize {
    let top = &raw const TOP;
    let mut word = &raw const BOTTOM;
    // SAFETY: a word of RAM, as above; nobody writes it meanwhile but an interrupt, which is on the stack as well.
    while word.addr() < top.addr() && unsafe { ptr::read_volatile(word) } == PAINT {
        word = word.wrapping_add(1);
    }
    top.addr().saturating_sub(word.addr())
}
