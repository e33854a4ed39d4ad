//! What the images do, written against a [`Board`] so that the same code runs on a machine with an operating system,
//! where a test plays the other end of the line and sees that each image does its job.
//!
//! Everything an image works on comes from the line or through `black_box`, and all that it makes of it goes to the line
//! or to the display: the optimiser can foresee nothing and leave nothing out.
#![no_std]

pub mod client;
pub mod codec;
#[cfg(target_os = "none")]
pub mod device;
mod line;
#[cfg(all(target_arch = "arm", feature = "short-memory-routines"))]
mod memory;
pub mod parsers;
#[cfg(feature = "peers")]
pub mod peers;
pub mod polled;
#[cfg(all(target_os = "none", target_arch = "arm", feature = "replay"))]
pub mod replay;
pub mod session;

/// How many messages are received when a hub is replayed.
pub const REPLAYED: u32 = 17;

/// What a device has: a line to the other end, something to show text on, a clock.
pub trait Board {
    /// How many messages of others a client waits for.
    const MESSAGES: u32 = 1;

    /// The next byte that came, if there is one.
    fn read(&mut self) -> Option<u8>;
    /// The next bytes that came, at least one; how many.
    fn read_some(&mut self, bytes: &mut [u8]) -> Option<usize> {
        *bytes.first_mut()? = self.read()?;
        Some(1)
    }

    /// Sends a byte.
    fn write(&mut self, byte: u8);
    /// Shows bytes to whoever stands before the device.
    fn show(&mut self, bytes: &[u8]);
    /// The time since the start, in microseconds.
    fn micros(&mut self) -> u64;

    /// Says what an image keeps between calls, buffers not counted; a board that is measured leaves word of its size.
    fn keeps<T>(_state: &T) {}

    /// Sends bytes.
    fn write_all(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write(*byte);
        }
    }

    /// Waits for the next byte.
    fn wait(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.read() {
                return byte;
            }
        }
    }
}

/// A board's display, to print on.
pub struct Display<'b, B>(pub &'b mut B);

impl<B: Board> core::fmt::Write for Display<'_, B> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.show(text.as_bytes());
        Ok(())
    }
}
