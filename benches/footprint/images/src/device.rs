//! The board of the images: four registers at made-up addresses, and an entry point. Nothing of a real board is in it, so
//! what an image takes beyond the image `empty` is tim's (or a peer's) alone, with what it uses of `core`.

use crate::Board;

const LINE: *mut u32 = 0x4000_0000 as _;
const DISPLAY: *mut u32 = 0x4000_0004 as _;
const MICROS: *mut u32 = 0x4000_0008 as _;
const MICROS_HIGH: *mut u32 = 0x4000_000c as _;

/// The registers.
pub struct Device;

impl Board for Device {
    fn read(&mut self) -> Option<u8> {
        // SAFETY: the address is a register's, aligned, and reading it changes no memory.
        let value = unsafe { LINE.read_volatile() };
        (value <= 0xff).then_some(value as u8)
    }

    #[inline(never)]
    fn write(&mut self, byte: u8) {
        // SAFETY: as for reading.
        unsafe { LINE.write_volatile(byte.into()) }
    }

    #[inline(never)]
    fn show(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // SAFETY: as for reading.
            unsafe { DISPLAY.write_volatile((*byte).into()) }
        }
    }

    fn micros(&mut self) -> u64 {
        // SAFETY: as for reading.
        let (low, high) = unsafe { (MICROS.read_volatile(), MICROS_HIGH.read_volatile()) };
        u64::from(high) << 32 | u64::from(low)
    }

    fn keeps<T>(_state: &T) {
        core::hint::black_box(const { &Marker(*b"footprint-state:", size_of::<T>() as u32) });
    }
}

/// How much state an image has, where the tool that measures finds it.
#[repr(C)]
struct Marker([u8; 16], u32);

/// Makes an image of a job.
#[macro_export]
macro_rules! image {
    ($job:expr) => {
        /// Where the machine starts.
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            loop {
                #[cfg(feature = "break-panic")]
                assert!(!core::hint::black_box(false));
                let done: Option<()> = $job(&mut $crate::device::Device);
                $crate::Board::write(&mut $crate::device::Device, u8::from(done.is_some()));
            }
        }

        // With `prove-no-panic`, what a panic would call exists nowhere: the image links only if nothing in it can panic.
        #[cfg(feature = "prove-no-panic")]
        unsafe extern "C" {
            safe fn something_in_this_image_can_panic() -> !;
        }

        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            #[cfg(feature = "prove-no-panic")]
            something_in_this_image_can_panic();
            #[cfg(not(feature = "prove-no-panic"))]
            loop {}
        }
    };
}
