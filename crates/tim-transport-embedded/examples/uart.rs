//! A device on a UART: it logs in, greets a user, and prints and marks as read what it receives.
//!
//! `firmware` is what runs on a board, with the halves of a buffered UART of the board's HAL. On this host a TCP connection to
//! a hub that serves serial ports over TCP stands for the UART:
//!
//! ```sh
//! tim serve --serial-tcp-listen 127.0.0.1:7879 &
//! cargo run -p tim-transport-embedded --features embassy-time --example uart -- \
//!     127.0.0.1:7879 kiosk "$(tim sig make --user kiosk)" desk
//! tim chat --as desk kiosk
//! ```
#![allow(clippy::print_stdout)] // an example prints

mod host;

use embedded_io_async::{Read, Write};
use tim_transport_embedded::proto::UserId;
use tim_transport_embedded::proto::message::Text;
use tim_transport_embedded::{
    Client, ClientConfig, Device, EmbassyClock, Error, Event, Events, Framing, Resources, SerialPort,
};

/// Runs until the hub ends the session, or the first message cannot be sent: an unattended device waits then, and begins again.
///
/// `seed` should differ from device to device and from start to start: take it from a random number generator. The device
/// number (`0xC0FFEE`) must stay the same over restarts.
async fn firmware(
    rx: impl Read,
    tx: impl Write,
    user: UserId,
    user_sig: &str,
    desk: UserId,
    seed: u64,
) -> Result<(), Error> {
    let mut resources = Resources::<1024, 512, 512>::new();
    let mut config = ClientConfig::new(1_400_000_000, user, 0xC0FFEE);
    config.framing = Framing::Serial; // frames with a checksum, which resynchronize after noise
    config.window = 2;
    let mut device = Device::new(config, user_sig, &mut resources, seed, EmbassyClock);
    let (client, runner) = device.split(SerialPort::new(rx, tx));
    runner
        .run(async |events| terminal(client, events, user, desk).await)
        .await
}

/// The application, which runs while the device is driven.
async fn terminal(
    client: Client<'_>,
    mut events: Events<'_>,
    user: UserId,
    desk: UserId,
) -> Result<(), Error> {
    events.until(client.login(), print).await?;
    events.until(client.wait_until_ready(), print).await?;
    let mut hello = client.create_text_message(desk, "The terminal in the lobby is on. [微笑]")?;
    events.until(client.send_message(&mut hello), print).await?;

    loop {
        // Fails when the hub has ended the session. `Event::KickedOut` says so as well, but may come while a call is awaited below.
        events.until(client.wait_until_ready(), print).await?;
        // An event borrows the receive buffer. Copy out of it what is needed for longer.
        let unread = match events.next_event().await {
            Event::Delivered(delivery) => {
                print(Event::Delivered(delivery));
                delivery.header.conversation_of(&user)
            }
            _ => continue,
        };
        // If the connection is lost meanwhile, the conversation stays unread.
        let _ = events.until(client.set_message_read(unread), print).await;
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, port, user, user_sig, desk] = arguments.as_slice() else {
        return Err("usage: uart ADDRESS USER USER_SIG OTHER_USER".into());
    };
    let (rx, tx) = host::open(port)?;
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_nanos() as u64;
    let firmware = firmware(rx, tx, UserId::new(user)?, user_sig, UserId::new(desk)?, seed);
    Ok(embassy_futures::block_on(firmware)?)
}
