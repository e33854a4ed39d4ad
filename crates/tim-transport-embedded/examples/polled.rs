//! A device without futures: a main loop that polls the device and does other things in between. It logs in, greets a user, and prints
//! and marks as read what it receives.
//!
//! `firmware` is what runs on a board, with the halves of a buffered UART of the board's HAL and a timer. On this host a TCP
//! connection to a hub that serves serial ports over TCP stands for the UART:
//!
//! ```sh
//! tim serve --serial-tcp-listen 127.0.0.1:7879 &
//! cargo run -p tim-transport-embedded --example polled -- 127.0.0.1:7879 kiosk "$(tim sig make --user kiosk)" desk
//! tim chat --as desk kiosk
//! ```
#![allow(clippy::print_stdout)] // an example prints

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use tim_transport_embedded::proto::UserId;
use tim_transport_embedded::proto::message::Text;
use tim_transport_embedded::proto::request::MarkRead;
use tim_transport_embedded::{
    ClientConfig, Error, Event, Framing, Instant, PolledClock, PolledDevice, Resources, SerialPort,
};

/// Runs until the hub ends the session, or the first message cannot be sent: an unattended device waits then, and begins again.
fn firmware(
    (rx, tx): (impl Read + ReadReady, impl Write),
    clock: impl PolledClock,
    (user, desk): (UserId, UserId),
    user_sig: &str,
    seed: u64,
) -> Result<(), Error> {
    let mut resources = Resources::<1024, 512, 512>::new();
    let mut config = ClientConfig::new(1_400_000_000, user, 0xC0FFEE);
    config.framing = Framing::Serial;
    config.window = 2;
    let port = SerialPort::new(rx, tx);
    let mut device = PolledDevice::new(config, user_sig, &mut resources, seed, port, clock);
    device.login();
    device.wait_until_ready(print)?;
    let mut hello = device.create_text_message(desk, "The terminal in the lobby is on. [微笑]")?;
    device.send_message(&mut hello, print)?;

    loop {
        let mut unread = None;
        while let Some(event) = device.poll() {
            print(event);
            match event {
                Event::Delivered(delivery) => unread = Some(delivery.header.conversation_of(&user)),
                Event::KickedOut(_) | Event::LoginFailed(_) => return Ok(()),
                _ => {}
            }
        }
        if let Some(conversation) = unread {
            // Its response is an event, which nothing needs here. If the device is not ready, the conversation stays unread.
            let _ = device.request(&MarkRead::new(conversation));
            continue;
        }
        // Here is all else that the firmware does. A board sleeps until an interrupt, or until `device.next_wakeup()`.
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn print(event: Event<'_>) {
    match event {
        Event::Delivered(delivery) => {
            if let Some(text) = delivery.header.payload::<Text<'_>>() {
                println!("{}: {}", delivery.header.sender(), text.text);
            }
        }
        Event::NetState(state) => println!("connection: {state:?}"),
        _ => {}
    }
}

/// A board's timer.
struct Timer(std::time::Instant);

impl PolledClock for Timer {
    fn now(&mut self) -> Instant {
        Instant::from_micros(self.0.elapsed().as_micros() as u64)
    }
    fn idle(&mut self, _until: Option<Instant>) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Half of a board's UART.
struct Port(TcpStream);

fn failed(_: io::Error) -> ErrorKind {
    ErrorKind::Other
}

impl ErrorType for Port {
    type Error = ErrorKind;
}

impl ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        self.0.set_nonblocking(true).map_err(failed)?;
        let peeked = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false).map_err(failed)?;
        match peeked {
            Ok(_) => Ok(true), // also at the end: the read says so
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(buffer).map_err(failed)
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(bytes).map_err(failed)
    }
    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, port, user, user_sig, desk] = arguments.as_slice() else {
        return Err("usage: polled ADDRESS USER USER_SIG OTHER_USER".into());
    };
    let stream = TcpStream::connect(port)?;
    stream.set_nodelay(true)?;
    let uart = (Port(stream.try_clone()?), Port(stream));
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_nanos() as u64;
    let users = (UserId::new(user)?, UserId::new(desk)?);
    Ok(firmware(
        uart,
        Timer(std::time::Instant::now()),
        users,
        user_sig,
        seed,
    )?)
}
