//! tim on an ESP32-C3, in a main loop without futures: what it receives it answers, over a serial line to the hub.
//!
//! The hub's port is connected to GPIO4 (TX) and GPIO5 (RX), at 115,200 baud.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use esp_hal::main;
use esp_hal::rng::Rng;
use esp_hal::time::Instant as ChipTime;
use esp_hal::uart::{Config, Uart};
use tim_transport_embedded::proto::message::Text;
use tim_transport_embedded::proto::{ConversationId, UserId};
use tim_transport_embedded::{
    ClientConfig, Error, Event, Framing, Instant, OnlySerial, PolledClock, PolledDevice, PolledTransport,
    Resources, SerialPort,
};

esp_bootloader_esp_idf::esp_app_desc!();

const USER: UserId = match UserId::new("board-1") {
    Ok(user) => user,
    Err(_) => panic!("no user id"),
};
/// What `tim sig make --user board-1` prints.
const USER_SIG: &str = match option_env!("TIM_BOARD_SIG") {
    Some(user_sig) => user_sig,
    None => "",
};
/// As many bytes as fit into an answer.
const MAX_ECHO: usize = 200;

struct Clock;

impl PolledClock for Clock {
    fn now(&mut self) -> Instant {
        Instant::from_micros(ChipTime::now().duration_since_epoch().as_micros())
    }
    // `idle` returns at once: the loop polls. A device on a battery sleeps there until the UART's interrupt or a timer.
}

#[main]
fn main() -> ! {
    let chip = esp_hal::init(esp_hal::Config::default());
    let port = Uart::new(chip.UART1, Config::default());
    let port = port.expect("a speed that the UART has");
    let (rx, tx) = port.with_tx(chip.GPIO4).with_rx(chip.GPIO5).split();

    let mut resources = Resources::<512, 512, 512>::new();
    let mut config = ClientConfig::new(1_400_000_000, USER, 1);
    config.framing = Framing::Serial;
    config.window = 2;
    config.compact = true; // fewer bytes on a slow line
    let random = Rng::new();
    let seed = u64::from(random.random()) << 32 | u64::from(random.random());
    let mut device = PolledDevice::with_framing(
        OnlySerial,
        config,
        USER_SIG,
        &mut resources,
        seed,
        SerialPort::new(rx, tx),
        Clock,
    );
    device.login();
    loop {
        // A call that fails is given up: the device stays logged in, and goes on.
        let _ = answer(&mut device);
        // Everything else that the firmware does; the watchdog is fed here.
    }
}

/// Takes the events that there are, and answers the last text.
fn answer(device: &mut PolledDevice<'_, impl PolledTransport, Clock, OnlySerial>) -> Result<(), Error> {
    let (mut said, mut len) = ([0; MAX_ECHO], 0);
    let mut from = None;
    while let Some(event) = device.poll() {
        match event {
            Event::Delivered(delivery) => {
                if let Some(text) = delivery.header.payload::<Text<'_>>()
                    && let Some(room) = said.get_mut(..text.text.len())
                {
                    room.copy_from_slice(text.text.as_bytes());
                    (from, len) = (Some(delivery.header.envelope.from), text.text.len());
                }
            }
            // The session has ended for good: a new UserSig is needed.
            Event::LoginFailed(_) | Event::KickedOut(_) => return Ok(()),
            _ => {}
        }
    }
    let text = said.get(..len).and_then(|said| core::str::from_utf8(said).ok());
    if let (Some(from), Some(text)) = (from, text) {
        let mut message = device.create_text_message(ConversationId::C2c(from), text)?;
        device.send_message(&mut message, |_event| {})?;
    }
    Ok(())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    esp_hal::system::software_reset()
}
