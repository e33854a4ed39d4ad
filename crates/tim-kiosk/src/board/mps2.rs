//! Arm's MPS2+ with the AN386 image (Cortex-M4): five CMSDK UARTs, of which the kiosk uses two.

use core::ptr;

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

use super::uart::{Exchange, Port};

/// What the processor and the UARTs run at.
pub(super) const CLOCK_HZ: u32 = 25_000_000;
/// Cycles a bit, at 115,200 bits a second.
const BIT: u32 = CLOCK_HZ / 115_200;

static EXCHANGES: [Exchange; 2] = [const { Exchange::new() }; 2];

/// The console and the line.
pub(super) static UARTS: [Port; 2] = [
    Port::new(
        Registers {
            base: 0x4000_4000,
            receives: Irq(0),
            sends: Irq(1),
        },
        &EXCHANGES[0],
    ),
    Port::new(
        Registers {
            base: 0x4000_5000,
            receives: Irq(2),
            sends: Irq(3),
        },
        &EXCHANGES[1],
    ),
];

/// Nothing beside the UARTs needs starting.
pub(super) const fn start() {}

#[derive(Clone, Copy)]
struct Irq(u16);

// SAFETY: the numbers above are those of the AN386's interrupts.
unsafe impl InterruptNumber for Irq {
    fn number(self) -> u16 {
        self.0
    }
}

/// One CMSDK UART. It holds a single byte in each direction.
pub(super) struct Registers {
    base: usize,
    receives: Irq,
    sends: Irq,
}

const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CONTROL: usize = 0x08;
const INTERRUPTS: usize = 0x0C;
const DIVIDER: usize = 0x10;

const STATE_SENDING: u32 = 1 << 0;
const STATE_RECEIVED: u32 = 1 << 1;
/// Sender, receiver, and both of their interrupts on.
const CONTROL_ALL: u32 = 0b1111;

impl Registers {
    pub(super) fn start(&self) {
        self.write(DIVIDER, BIT);
        self.write(CONTROL, CONTROL_ALL);
        // SAFETY: the handler, in `board`, is ready: it shares nothing with the code that is interrupted but the `Port`.
        unsafe {
            NVIC::unmask(self.receives);
            NVIC::unmask(self.sends);
        }
    }

    /// A byte that was received.
    pub(super) fn take(&self) -> Option<u8> {
        (self.read(STATE) & STATE_RECEIVED != 0).then(|| self.read(DATA) as u8)
    }

    /// Sends a byte, if there is room.
    pub(super) fn put(&self, byte: u8) -> bool {
        let room = self.read(STATE) & STATE_SENDING == 0;
        if room {
            self.write(DATA, byte.into());
        }
        room
    }

    /// The interrupt comes with a byte's arrival; for one that is here already it is called for.
    pub(super) fn interrupt_on_received(&self, on: bool) {
        if on && self.read(STATE) & STATE_RECEIVED != 0 {
            NVIC::pend(self.receives);
        }
    }

    /// The interrupt comes with each byte that was sent; if that was before, it is called for.
    pub(super) fn interrupt_on_room(&self, on: bool) {
        if on && self.read(STATE) & STATE_SENDING == 0 {
            NVIC::pend(self.sends);
        }
    }

    /// Every interrupt that is signalled has been seen.
    pub(super) fn acknowledge(&self) {
        self.write(INTERRUPTS, self.read(INTERRUPTS));
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: a register of this UART, which is there for the program's whole life.
        unsafe { ptr::with_exposed_provenance::<u32>(self.base + register).read_volatile() }
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: as above; no register write of a UART touches memory.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(self.base + register).write_volatile(value) }
    }
}
