//! Both ends of a connection in one program: no socket, no clock, no runtime. This is how a driver works.
//!
//! ```sh
//! cargo run -p tim-session --example two_ends
//! ```
#![allow(clippy::print_stdout)] // an example prints

use tim_session::proto::UserId;
use tim_session::proto::request::{Done, LoginResponse};
use tim_session::proto::wire::FrameKind;
use tim_session::{
    ClientConfig, ClientSession, Event, FixedBuffer, HubConfig, HubEvent, HubOutput, HubSession, Instant,
    Output,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut rx, mut tx, mut outbox) = ([0; 1024], [0; 1024], [0; 1024]);
    let (mut hub_rx, mut hub_tx) = ([0; 2048], [0; 2048]);
    let now = Instant::from_millis(1_000);

    let config = ClientConfig::new(1_400_000_000, UserId::new("alice")?, 0xC0FFEE);
    let buffers = (
        FixedBuffer(&mut rx),
        FixedBuffer(&mut tx),
        FixedBuffer(&mut outbox),
    );
    let mut client = ClientSession::new(config, "a UserSig", buffers.0, buffers.1, buffers.2, 0x5EED);
    let mut hub = HubSession::new(
        HubConfig::default(),
        FixedBuffer(&mut hub_rx),
        FixedBuffer(&mut hub_tx),
        now,
    );

    client.login(now);
    while !client.is_ready() {
        // The client acts.
        loop {
            match client.poll(now) {
                Output::Connect => client.connected(now),
                Output::Disconnect => return Err("the client gave up".into()),
                Output::Event(Event::LoginFailed(failure)) => {
                    return Err(failure.code.explain().to_string().into());
                }
                Output::Event(event) => println!("client: {event:?}"),
                Output::Wait(_) => break,
            }
        }
        // Its bytes travel.
        let taken = hub.receive(now, client.outgoing());
        client.transmitted(taken);
        // The hub acts.
        loop {
            match hub.poll(now) {
                HubOutput::Event(HubEvent::Login(login)) => {
                    println!("hub: {} logs in", login.user);
                    let welcome = LoginResponse::new(7).with_nick("Alice");
                    hub.accept(&welcome)?;
                    hub.push(FrameKind::SYNCED, &Done)?; // nothing is waiting for her
                }
                HubOutput::Event(_) => {}
                HubOutput::Close(reason) => return Err(format!("the hub closed: {reason:?}").into()),
                HubOutput::Wait(_) => break,
            }
        }
        // And the hub's bytes travel back.
        let taken = client.receive(now, hub.outgoing());
        hub.transmitted(taken);
        if taken == 0 && client.outgoing().is_empty() && hub.outgoing().is_empty() && !client.is_ready() {
            return Err("nothing moves any more".into());
        }
    }
    println!("alice is ready, account {}", client.account());
    Ok(())
}
