//! TI's Stellaris LM3S6965 evaluation kit (Cortex-M3, 64 KiB of RAM): three PL011 UARTs, of which the kiosk uses two.

use core::ptr;

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

use super::uart::{Exchange, Port};

/// What the processor and the UARTs run at after a reset.
pub(super) const CLOCK_HZ: u32 = 12_500_000;
/// The divider for 115,200 bits a second, in 64ths: clock / 16 / rate.
const DIVIDER: u32 = CLOCK_HZ * 4 / 115_200;

static EXCHANGES: [Exchange; 2] = [const { Exchange::new() }; 2];

/// The console and the line.
pub(super) static UARTS: [Port; 2] = [
    Port::new(
        Registers {
            base: 0x4000_C000,
            irq: Irq(5),
        },
        &EXCHANGES[0],
    ),
    Port::new(
        Registers {
            base: 0x4000_D000,
            irq: Irq(6),
        },
        &EXCHANGES[1],
    ),
];

/// Lets clocks at the UARTs.
pub(super) fn start() {
    const RUN_CLOCKS_1: usize = 0x400F_E104;
    // SAFETY: the system control's register for the clocks of the UARTs, among others.
    unsafe {
        let register = ptr::with_exposed_provenance_mut::<u32>(RUN_CLOCKS_1);
        register.write_volatile(register.read_volatile() | 0b11);
    }
}

#[derive(Clone, Copy)]
struct Irq(u16);

// SAFETY: the numbers above are those of the LM3S6965's interrupts.
unsafe impl InterruptNumber for Irq {
    fn number(self) -> u16 {
        self.0
    }
}

/// One PL011, with a queue of 16 bytes in each direction.
pub(super) struct Registers {
    base: usize,
    irq: Irq,
}

const DATA: usize = 0x00;
const FLAGS: usize = 0x18;
const DIVIDER_WHOLE: usize = 0x24;
const DIVIDER_64TH: usize = 0x28;
const FORMAT: usize = 0x2C;
const CONTROL: usize = 0x30;
const INTERRUPT_MASK: usize = 0x38;
const INTERRUPT_CLEAR: usize = 0x44;

const FLAG_NOTHING_RECEIVED: u32 = 1 << 4;
const FLAG_SENDING_FULL: u32 = 1 << 5;
/// Eight bits, queues on.
const FORMAT_8N1: u32 = 0b111 << 4;
/// Sender, receiver and the whole on.
const CONTROL_ALL: u32 = 0b11 << 8 | 1;
/// Bytes were received: enough of them, or a few and then a pause.
const RECEIVED: u32 = 1 << 4 | 1 << 6;
const ROOM: u32 = 1 << 5;

impl Registers {
    pub(super) fn start(&self) {
        self.write(DIVIDER_WHOLE, DIVIDER / 64);
        self.write(DIVIDER_64TH, DIVIDER % 64);
        self.write(FORMAT, FORMAT_8N1);
        self.write(CONTROL, CONTROL_ALL);
        self.write(INTERRUPT_MASK, RECEIVED);
        // SAFETY: the handler, in `board`, is ready: it shares nothing with the code that is interrupted but the `Port`.
        unsafe { NVIC::unmask(self.irq) };
    }

    /// A byte that was received.
    pub(super) fn take(&self) -> Option<u8> {
        (self.read(FLAGS) & FLAG_NOTHING_RECEIVED == 0).then(|| self.read(DATA) as u8)
    }

    /// Sends a byte, if there is room.
    pub(super) fn put(&self, byte: u8) -> bool {
        let room = self.read(FLAGS) & FLAG_SENDING_FULL == 0;
        if room {
            self.write(DATA, byte.into());
        }
        room
    }

    pub(super) fn interrupt_on_received(&self, on: bool) {
        self.interrupt_on(RECEIVED, on);
    }

    pub(super) fn interrupt_on_room(&self, on: bool) {
        self.interrupt_on(ROOM, on);
    }

    /// Receiving is acknowledged by taking what was received.
    pub(super) fn acknowledge(&self) {
        self.write(INTERRUPT_CLEAR, ROOM);
    }

    fn interrupt_on(&self, bits: u32, on: bool) {
        // The handler changes the mask, too.
        critical_section::with(|_| {
            let mask = self.read(INTERRUPT_MASK);
            self.write(INTERRUPT_MASK, if on { mask | bits } else { mask & !bits });
        });
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
