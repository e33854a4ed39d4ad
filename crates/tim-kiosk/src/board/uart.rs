//! A UART as embedded-io sees it: received by interrupt into a ring, sent as the hardware has room.

use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embassy_sync::waitqueue::AtomicWaker;
use embedded_io_async::{ErrorType, Read, Write};

use super::machine::Registers;

/// How much may arrive before the kiosk looks. What comes when it is full waits in the hardware, or is lost there: the
/// session's check sums notice.
const RING: usize = 1024;

/// What a UART and its interrupt share. All of it is zero at first, so that the ring takes no flash.
pub(super) struct Exchange {
    received: Pipe<CriticalSectionRawMutex, RING>,
    room: AtomicWaker,
}

impl Exchange {
    pub(super) const fn new() -> Self {
        Self {
            received: Pipe::new(),
            room: AtomicWaker::new(),
        }
    }
}

/// A UART.
pub(super) struct Port {
    registers: Registers,
    exchange: &'static Exchange,
}

impl Port {
    pub(super) const fn new(registers: Registers, exchange: &'static Exchange) -> Self {
        Self { registers, exchange }
    }

    pub(super) fn start(&'static self) -> Uart {
        self.registers.start();
        Uart {
            receiver: Receiver(self),
            sender: Sender(self),
        }
    }

    /// Everything that an interrupt can be about; looking for nothing does no harm.
    pub(super) fn interrupt(&self) {
        self.registers.acknowledge();
        let Exchange { received, room } = self.exchange;
        while !received.is_full() {
            let Some(byte) = self.registers.take() else { break };
            // There is room, and nobody else writes.
            let _ = received.try_write(&[byte]);
        }
        if received.is_full() {
            self.registers.interrupt_on_received(false);
        }
        self.registers.interrupt_on_room(false);
        room.wake();
    }

    pub(super) const fn printer(&'static self) -> Printer {
        Printer(self)
    }

    /// Sends a byte as soon as the hardware takes it, and lets nobody else work until then.
    fn send_now(&self, byte: u8) {
        while !self.registers.put(byte) {}
    }
}

/// Both directions of a UART.
pub(crate) struct Uart {
    /// What comes.
    pub(crate) receiver: Receiver,
    /// What goes.
    pub(crate) sender: Sender,
}

/// The receiving half. Dropping a read loses nothing.
pub(crate) struct Receiver(&'static Port);

/// The sending half.
pub(crate) struct Sender(&'static Port);

impl Sender {
    /// What prints at once: it waits for the hardware, and for nothing else.
    pub(crate) const fn into_printer(self) -> Printer {
        self.0.printer()
    }
}

/// Prints on a UART at once. At 115,200 bits a second a line takes some milliseconds, in which interrupts go on receiving.
#[derive(Clone, Copy)]
pub(crate) struct Printer(&'static Port);

impl fmt::Write for Printer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.0.send_now(byte));
        Ok(())
    }
}

impl ErrorType for Receiver {
    type Error = Infallible;
}

impl ErrorType for Sender {
    type Error = Infallible;
}

impl Read for Receiver {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let len = self.0.exchange.received.read(buf).await;
        // Off if the ring was full.
        self.0.registers.interrupt_on_received(true);
        Ok(len)
    }
}

impl Write for Sender {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        let Port { registers, exchange } = self.0;
        let fill = || buf.iter().take_while(|byte| registers.put(**byte)).count();
        poll_fn(|context| {
            let mut len = fill();
            if len == 0 && !buf.is_empty() {
                exchange.room.register(context.waker());
                registers.interrupt_on_room(true);
                // There may have been room since.
                len = fill();
            }
            match len {
                0 if !buf.is_empty() => Poll::Pending,
                len => Poll::Ready(Ok(len)),
            }
        })
        .await
    }

    /// Nothing is kept back here: what was written is in the hardware.
    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
