//! What it takes to see the kiosk work: its firmware in QEMU ([`Kiosk`]), a hub ([`Hub`]), and between the two a serial
//! cable that can be pulled ([`Cable`]).
//!
//! `cargo test` plays scenarios on both boards; `cargo run` shows the kiosk on this terminal; `cargo run -- stack` measures the stack of a
//! device.

mod build;
mod cable;
mod hub;
mod kiosk;
mod stack;

pub use build::{SIG_VARIABLE, Tools, firmware, tim, tools, user_sig};
pub use cable::Cable;
pub use hub::{Hub, next};
pub use kiosk::{Console, Kiosk, Terminal};
pub use stack::measure as measure_stack;

/// Who the kiosk is.
pub const KIOSK: &str = "kiosk-1";
/// The group that it shows.
pub const LOBBY: &str = "lobby";
/// The application.
pub const APP: u32 = 1_400_000_000;
/// The app key of the hubs started here, so that the firmware's UserSig is good for all of them.
pub const KEY: &str = "the key of hubs that only live for a test";

/// A board that QEMU knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Board {
    /// Arm's MPS2+ with a Cortex-M4.
    Mps2,
    /// TI's LM3S6965 evaluation kit: Cortex-M3, 64 KiB of RAM.
    Lm3s,
}

impl Board {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Mps2, Self::Lm3s];

    /// QEMU's name of it.
    #[must_use]
    pub const fn machine(self) -> &'static str {
        match self {
            Self::Mps2 => "mps2-an386",
            Self::Lm3s => "lm3s6965evb",
        }
    }

    /// Where in its flash the firmware looks for the board's number: at the beginning of the last page.
    #[must_use]
    pub const fn number_at(self) -> u32 {
        match self {
            Self::Mps2 => (4 << 20) - 1024,
            Self::Lm3s => (256 << 10) - 1024,
        }
    }

    /// What its firmware is compiled for.
    #[must_use]
    pub const fn target(self) -> &'static str {
        match self {
            Self::Mps2 => "thumbv7em-none-eabihf",
            Self::Lm3s => "thumbv6m-none-eabi",
        }
    }
}
