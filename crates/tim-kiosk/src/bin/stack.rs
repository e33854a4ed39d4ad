//! Measures how much stack a device takes in QEMU, on a Cortex-M4: it logs in over a stream and returns each text that it is sent. With
//! the feature `tls` the stream is in TLS. The harness starts it: `cargo run --manifest-path crates/tim-kiosk/harness/Cargo.toml -- stack`.
//!
//! The port is the modem of a product: QEMU connects it to the hub's listener.
#![no_std]
#![no_main]

#[allow(unsafe_code, reason = "registers, interrupts and the start of the executor")]
#[allow(dead_code, reason = "the kiosk uses more of its board")]
#[path = "../board/mod.rs"]
mod board;
#[allow(dead_code, reason = "the kiosk has more settings")]
#[path = "../settings.rs"]
mod settings;

use core::fmt::Write as _;

use board::{Board, Printer, stack};
use embassy_executor::Spawner;
use static_cell::StaticCell;
use tim_transport_embedded::proto::message::Text;
use tim_transport_embedded::{
    Client, Device, EmbassyClock, Error, Event, Events, Framing, Resources, Transport,
};

/// How many texts are returned before the stack is looked at.
const TEXTS: usize = 30;
/// The longest of them.
const MAX_TEXT: usize = 300;

#[cortex_m_rt::entry]
fn main() -> ! {
    stack::paint();
    let board = board::start();
    board::run(|spawner: Spawner| {
        // The task's memory is static, and free: nothing else was spawned.
        if let Ok(measure) = measure(board) {
            spawner.spawn(measure);
        }
    })
}

#[embassy_executor::task]
async fn measure(board: Board) {
    static RESOURCES: StaticCell<Resources<512, 512, 512>> = StaticCell::new();
    static DEVICE: StaticCell<Device<'static, EmbassyClock>> = StaticCell::new();
    let printer = board.console.sender.into_printer();
    let mut config = settings::session(1);
    config.framing = Framing::Stream;
    let resources = RESOURCES.init(Resources::new());
    let device = Device::new(config, settings::USER_SIG, resources, board::seed(), EmbassyClock);
    let (client, runner) = DEVICE.init(device).split(modem::transport(board.line));
    let application = async |events: Events<'_>| return_texts(client, events, printer).await;
    if let Err(error) = runner.run(application).await {
        print(printer, format_args!("failed: {error}"));
    }
}

async fn return_texts(client: Client<'_>, mut events: Events<'_>, printer: Printer) -> Result<(), Error> {
    events.until(client.login(), |_| {}).await?;
    events.until(client.wait_until_ready(), |_| {}).await?;
    print(printer, format_args!("login: {} bytes of stack", stack::used()));
    stack::paint();
    let mut text = heapless::String::<MAX_TEXT>::new();
    for _ in 0..TEXTS {
        let from = loop {
            if let Event::Delivered(delivery) = events.next_event().await
                && let Some(said) = delivery.header.payload::<Text<'_>>()
            {
                text.clear();
                let _ = text.push_str(said.text);
                break delivery.header.envelope.from;
            }
        };
        let mut message = client.create_text_message(from, &text)?;
        events.until(client.send_message(&mut message), |_| {}).await?;
    }
    print(
        printer,
        format_args!("messages: {} bytes of stack", stack::used()),
    );
    Ok(())
}

fn print(mut printer: Printer, line: core::fmt::Arguments<'_>) {
    let _ = write!(printer, "{line}\r\n");
}

/// Without TLS.
#[cfg(not(feature = "tls"))]
mod modem {
    use tim_transport_embedded::SerialPort;

    use super::Transport;
    use crate::board::Uart;

    pub(crate) fn transport(line: Uart) -> impl Transport {
        SerialPort::new(line.receiver, line.sender)
    }
}

/// With TLS.
#[cfg(feature = "tls")]
mod modem {
    use embassy_sync::blocking_mutex::raw::NoopRawMutex;
    use embassy_sync::mutex::Mutex;
    use embedded_io_async::{ErrorKind, Read as _, Write as _};
    use rand_core::{CryptoRng, RngCore};
    use static_cell::StaticCell;
    use tim_device_tls::{PIN_LEN, Socket, TlsTransport};

    use super::Transport;
    use crate::board::{self, Receiver, Sender, Uart};

    /// The pin of the hub's key, in hexadecimal digits.
    const PIN: &str = match option_env!("TIM_KIOSK_PIN") {
        Some(pin) => pin,
        None => "",
    };

    pub(crate) fn transport(line: Uart) -> impl Transport {
        type Records = ([u8; 1_200], [u8; 768], [[u8; PIN_LEN]; 1]);
        static RECORDS: StaticCell<Records> = StaticCell::new();
        let (received, sent, pins) = RECORDS.init(([0; 1_200], [0; 768], [[0; PIN_LEN]]));
        for (byte, digits) in pins.as_flattened_mut().iter_mut().zip(PIN.as_bytes().chunks(2)) {
            let digits = core::str::from_utf8(digits).unwrap_or_default();
            *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
        }
        let modem = Modem {
            receiver: Mutex::new(line.receiver),
            sender: Mutex::new(line.sender),
        };
        TlsTransport::new(modem, NoSecret(board::seed()), pins, received, sent)
    }

    struct Modem {
        receiver: Mutex<NoopRawMutex, Receiver>,
        sender: Mutex<NoopRawMutex, Sender>,
    }

    impl Socket for Modem {
        async fn connect(&self) -> bool {
            true
        }
        async fn disconnect(&self) {}
        async fn read(&self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
            let Ok(len) = self.receiver.lock().await.read(buffer).await;
            Ok(len)
        }
        async fn write(&self, bytes: &[u8]) -> Result<usize, ErrorKind> {
            let Ok(len) = self.sender.lock().await.write(bytes).await;
            Ok(len)
        }
        async fn flush(&self) -> Result<(), ErrorKind> {
            Ok(())
        }
    }

    /// Numbers that anybody can guess: QEMU's boards have no generator, and nothing secret is said here. A product never does this.
    struct NoSecret(u64);

    impl RngCore for NoSecret {
        fn next_u32(&mut self) -> u32 {
            self.next_u64() as u32
        }
        fn next_u64(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed ^ mixed >> 31
        }
        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            bytes.iter_mut().for_each(|byte| *byte = self.next_u64() as u8);
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
            self.fill_bytes(bytes);
            Ok(())
        }
    }

    impl CryptoRng for NoSecret {}
}
