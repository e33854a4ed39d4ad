//! The whole client, polled by a main loop: wire format, parsers, session and transport.

use core::cell::RefCell;
use core::convert::Infallible;
use core::hint::black_box;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use tim_proto::UserId;
use tim_session::{ClientConfig, Instant};
use tim_transport_embedded::{
    Event, FramingChoice, OnlySerial, OnlyStream, PolledClock, PolledDevice, Resources, SerialPort,
};

use crate::{Board, parsers};

/// A board's line, from which a byte is taken as soon as somebody looks whether there is one.
struct Port<'c, 'b, B> {
    board: &'c RefCell<&'b mut B>,
    next: Option<u8>,
}

impl<B> ErrorType for Port<'_, '_, B> {
    type Error = Infallible;
}

impl<B: Board> ReadReady for Port<'_, '_, B> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        if self.next.is_none() {
            self.next = self
                .board
                .try_borrow_mut()
                .ok()
                .and_then(|mut board| board.read());
        }
        Ok(self.next.is_some())
    }
}

impl<B: Board> Read for Port<'_, '_, B> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        while !self.read_ready()? {}
        let Some((slot, rest)) = buffer.split_first_mut() else {
            return Ok(0);
        };
        *slot = self.next.take().unwrap_or_default();
        let mut board = self.board.try_borrow_mut();
        let more = board.as_mut().ok().and_then(|board| board.read_some(rest));
        Ok(1 + more.unwrap_or_default())
    }
}

impl<B: Board> Write for Port<'_, '_, B> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        if let Ok(mut board) = self.board.try_borrow_mut() {
            board.write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A board's clock.
struct Time<'c, 'b, B>(&'c RefCell<&'b mut B>);

impl<B: Board> PolledClock for Time<'_, '_, B> {
    fn now(&mut self) -> Instant {
        Instant::from_micros(self.0.try_borrow_mut().map_or(0, |mut board| board.micros()))
    }
}

/// The client on a serial line.
pub fn on_serial<B: Board>(board: &mut B) -> Option<()> {
    run(OnlySerial, board)
}

/// The client on a stream.
pub fn on_stream<B: Board>(board: &mut B) -> Option<()> {
    run(OnlyStream, board)
}

/// As the client with futures: picks up where it was, logs in, sends a text, and waits until a message of somebody else's was
/// shown and taken.
fn run<B: Board>(framing: impl FramingChoice, board: &mut B) -> Option<()> {
    let (mut resources, board) = (Resources::<512, 512, 512>::new(), RefCell::new(board));
    let user = UserId::new(black_box("kiosk-1")).ok()?;
    let config = ClientConfig::new(black_box(1_400_000_000), user, black_box(0xC0FFEE));
    let port = || Port {
        board: &board,
        next: None,
    };
    let mut device = PolledDevice::with_framing(
        framing,
        config,
        black_box("eJw"),
        &mut resources,
        black_box(7),
        SerialPort::new(port(), port()),
        Time(&board),
    );
    B::keeps(&device);
    device.session().resume_from(black_box(b"7"));
    let mut shown = 0;
    device.login();
    device.wait_until_ready(|_| {}).ok()?;
    let alice = UserId::new(black_box("alice")).ok()?;
    let mut message = device.create_text_message(alice, black_box("Hello!")).ok()?;
    device
        .send_message(&mut message, |event| shown += show(&board, event))
        .ok()?;
    while shown < B::MESSAGES {
        if let Some(event) = device.poll() {
            shown += show(&board, event);
        }
    }
    board.try_borrow_mut().ok()?.show(device.cursor());
    Some(())
}

fn show<B: Board>(board: &RefCell<&mut B>, event: Event<'_>) -> u32 {
    match (event, board.try_borrow_mut()) {
        (Event::Delivered(delivery), Ok(mut board)) => {
            parsers::show_message(&mut **board, &delivery.header);
            1
        }
        _ => 0,
    }
}
