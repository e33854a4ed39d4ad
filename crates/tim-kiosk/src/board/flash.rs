//! A NOR flash. QEMU's boards have none that can be written, so it is RAM that no start-up code clears: it outlives a reset. A product takes
//! its chip's driver here.

use core::convert::Infallible;
use core::ptr;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

const WORD: usize = 4;
/// What is erased at a time.
const PAGE: usize = 2048;
const WORDS: usize = 4 * PAGE / WORD;
/// What an erased word reads as.
const ERASED: u32 = u32::MAX;
/// Says that the words are those of a flash, and not what RAM comes up with when it is switched on.
const MADE: u32 = 0x464C_4153;

#[unsafe(link_section = ".uninit.FLASH")]
static mut CELLS: [u32; WORDS] = [0; WORDS];
#[unsafe(link_section = ".uninit.FLASH")]
static mut MARK: u32 = 0;

/// The flash. There is one value of it, so nobody else reads or writes the words.
pub(crate) struct Flash(());

impl Flash {
    /// The flash, empty when the board was just switched on.
    ///
    /// # Safety
    /// Called once.
    pub(super) unsafe fn start() -> Self {
        let mut flash = Self(());
        let mark = &raw mut MARK;
        // SAFETY: nobody else uses it. Volatile, as the start-up code does not write it.
        if unsafe { mark.read_volatile() } != MADE {
            for at in 0..WORDS {
                flash.put(at, ERASED);
            }
            // SAFETY: as above.
            unsafe { mark.write_volatile(MADE) };
        }
        flash
    }

    fn cell(at: usize) -> *mut u32 {
        if at < WORDS {
            // SAFETY: within the array.
            unsafe { (&raw mut CELLS).cast::<u32>().add(at) }
        } else {
            ptr::null_mut() // no caller asks for it: ranges are checked
        }
    }

    fn get(&self, at: usize) -> u32 {
        let cell = Self::cell(at);
        // SAFETY: a word of the array, of which this is the only user.
        if cell.is_null() {
            ERASED
        } else {
            unsafe { cell.read_volatile() }
        }
    }

    fn put(&mut self, at: usize, word: u32) {
        let cell = Self::cell(at);
        if !cell.is_null() {
            // SAFETY: a word of the array, of which this is the only user.
            unsafe { cell.write_volatile(word) };
        }
    }
}

impl ErrorType for Flash {
    type Error = Infallible;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        for (at, byte) in (offset as usize..).zip(bytes) {
            *byte = self.get(at / WORD).to_le_bytes()[at % WORD];
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        WORDS * WORD
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Infallible> {
        for at in from as usize / WORD..to as usize / WORD {
            self.put(at, ERASED);
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        let (words, _) = bytes.as_chunks::<WORD>();
        for (at, word) in (offset as usize / WORD..).zip(words) {
            // Writing clears bits, and sets none.
            self.put(at, self.get(at) & u32::from_le_bytes(*word));
        }
        Ok(())
    }
}
