//! A device on a TCP/IP stack: `Transport` over a socket of embassy-net, and two tasks that share a client.
//!
//! Everything up to `main` is what runs on a board. On this host, the board's network is a simulated wire to a gateway, which
//! forwards connections to the hub:
//!
//! ```sh
//! tim serve &
//! cargo run -p tim-transport-embedded --features embassy-time --example tcp -- \
//!     127.0.0.1:7878 sensor "$(tim sig make --user sensor)" desk
//! tim chat --as desk sensor
//! ```
#![allow(clippy::print_stdout)] // an example prints

mod host;
mod wire;

use embassy_futures::select::{Either, select};
use embassy_net::tcp::{TcpReader, TcpSocket, TcpWriter};
use embassy_net::{IpEndpoint, Ipv4Address, Stack};
use embassy_time::Timer;
use tim_transport_embedded::proto::UserId;
use tim_transport_embedded::proto::message::Text;
use tim_transport_embedded::{
    Client, ClientConfig, Device, EmbassyClock, Error, Event, Events, Resources, Transport,
};

/// Where the hub is.
const HUB: IpEndpoint = IpEndpoint::new(embassy_net::IpAddress::Ipv4(Ipv4Address::new(10, 0, 0, 1)), 7878);

/// A socket of embassy-net that connects to the hub.
struct Tcp<'s> {
    socket: TcpSocket<'s>,
}

impl Transport for Tcp<'_> {
    type Connection<'a>
        = (TcpReader<'a>, TcpWriter<'a>)
    where
        Self: 'a;

    async fn connect(&mut self) -> Option<(TcpReader<'_>, TcpWriter<'_>)> {
        self.socket.abort(); // if an earlier attempt was dropped
        self.socket.connect(HUB).await.ok()?;
        Some(self.socket.split())
    }

    async fn disconnect(&mut self) {
        self.socket.abort();
    }
}

/// Runs until the hub ends the session: an unattended device waits then, and begins again.
async fn firmware(
    stack: Stack<'_>,
    user: UserId,
    user_sig: &str,
    desk: UserId,
    seed: u64,
) -> Result<(), Error> {
    let (mut rx, mut tx) = ([0; 1024], [0; 1024]);
    let transport = Tcp {
        socket: TcpSocket::new(stack, &mut rx, &mut tx),
    };
    let mut resources = Resources::<1024, 512, 512>::new();
    let config = ClientConfig::new(1_400_000_000, user, 0xC0FFEE);
    let mut device = Device::new(config, user_sig, &mut resources, seed, EmbassyClock);
    let (client, runner) = device.split(transport);
    let run = runner.run(async |events| receive(events).await);
    match select(run, report(client, desk)).await {
        Either::First(()) => Ok(()),
        Either::Second(result) => result,
    }
}

/// Prints what arrives.
async fn receive(mut events: Events<'_>) {
    loop {
        match events.next_event().await {
            Event::Delivered(delivery) => {
                if let Some(text) = delivery.header.payload::<Text<'_>>() {
                    println!("{}: {}", delivery.header.sender(), text.text);
                }
            }
            Event::NetState(state) => println!("connection: {state:?}"),
            Event::KickedOut(_) | Event::LoginFailed(_) => return,
            _ => {}
        }
    }
}

/// Sends a message every ten seconds; one that is refused for now is followed by the next one when the hub takes it.
async fn report(client: Client<'_>, desk: UserId) -> Result<(), Error> {
    client.login().await?;
    loop {
        client.wait_until_ready().await?;
        let mut report = client.create_text_message(desk, "The door is closed.")?;
        let pause = match client.send_message(&mut report).await {
            Ok(_) => None,
            Err(error) => {
                println!("not sent: {error}");
                error.retry_after()
            }
        };
        Timer::after_millis(pause.map_or(10_000, |pause| pause.as_millis() as u64)).await;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, hub, user, user_sig, desk] = arguments.as_slice() else {
        return Err("usage: tcp HUB_ADDRESS USER USER_SIG OTHER_USER".into());
    };
    let (user, desk) = (UserId::new(user)?, UserId::new(desk)?);
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_nanos() as u64;
    let result = embassy_futures::block_on(wire::with_network(hub, seed, async |stack| {
        firmware(stack, user, user_sig, desk, seed).await
    }));
    Ok(result?)
}
