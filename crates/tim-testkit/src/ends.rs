//! The two ends of one connection side by side, without anything between them: what tests of the sessions start from.
//!
//! The client is alice on device 7. Functions that take no time happen at [`NOW`].

use std::time::Duration;

use tim_session::proto::message::{Message, SendOptions};
use tim_session::proto::request::{Done, LoginResponse};
use tim_session::proto::wire::FrameKind;
use tim_session::{
    Buffer, ClientConfig, ClientSession, Event, FixedBuffer, FramingChoice, HubConfig, HubEvent, HubOutput,
    HubSession, Instant, Output, RequestId,
};

use crate::messages::{self, text_of};
use crate::{c2c, user};

/// A client with fixed buffers.
pub type Client = ClientSession<&'static str, FixedBuffer<'static>>;
/// A hub's end with fixed buffers.
pub type Hub = HubSession<FixedBuffer<'static>>;

/// When both ends begin.
pub const NOW: Instant = Instant::from_millis(1000);
/// The shortest time that a session measures.
pub const TICK: Duration = Duration::from_millis(1);
/// The account number of the client.
pub const ACCOUNT: u64 = 99;

/// A buffer of this size.
#[must_use]
pub fn memory(len: usize) -> FixedBuffer<'static> {
    FixedBuffer(vec![0; len].leak())
}

/// The client's configuration.
#[must_use]
pub fn config() -> ClientConfig {
    ClientConfig::new(1, user("alice"), 7)
}

/// A client with this configuration and these sizes of buffers: received, outgoing, outbox.
#[must_use]
pub fn client_with(config: ClientConfig, [rx, tx, outbox]: [usize; 3]) -> Client {
    ClientSession::new(config, "sig", memory(rx), memory(tx), memory(outbox), 1)
}

/// A client with enough of everything.
#[must_use]
pub fn client() -> Client {
    client_with(config(), [2048; 3])
}

/// A hub's end with this configuration and these sizes of buffers: received, outgoing.
#[must_use]
pub fn hub_with(config: HubConfig, [rx, tx]: [usize; 2]) -> Hub {
    HubSession::new(config, memory(rx), memory(tx), NOW)
}

/// A hub's end with enough of everything.
#[must_use]
pub fn hub() -> Hub {
    hub_at(NOW)
}

/// The hub's end of a connection that was accepted at `now`.
#[must_use]
pub fn hub_at(now: Instant) -> Hub {
    HubSession::new(HubConfig::default(), memory(32 * 1024), memory(2048), now)
}

/// Takes the client's outgoing bytes.
pub fn take_up<S: AsRef<str>, B: Buffer, F: FramingChoice>(client: &mut ClientSession<S, B, F>) -> Vec<u8> {
    let bytes = client.outgoing().to_vec();
    client.transmitted(bytes.len());
    bytes
}

/// Takes the hub's outgoing bytes.
pub fn take_down<B: Buffer>(hub: &mut HubSession<B>) -> Vec<u8> {
    let bytes = hub.outgoing().to_vec();
    hub.transmitted(bytes.len());
    bytes
}

/// Moves what is outgoing, both ways.
pub fn carry<S: AsRef<str>, A: Buffer, B: Buffer, F: FramingChoice>(
    client: &mut ClientSession<S, A, F>,
    hub: &mut HubSession<B>,
    now: Instant,
) {
    carry_in_pieces(client, hub, now, usize::MAX);
}

/// Moves what is outgoing, both ways, in pieces of `len` bytes.
pub fn carry_in_pieces<S: AsRef<str>, A: Buffer, B: Buffer, F: FramingChoice>(
    client: &mut ClientSession<S, A, F>,
    hub: &mut HubSession<B>,
    now: Instant,
    len: usize,
) {
    for piece in take_up(client).chunks(len) {
        assert_eq!(hub.receive(now, piece), piece.len());
    }
    for piece in take_down(hub).chunks(len) {
        assert_eq!(client.receive(now, piece), piece.len());
    }
}

/// The names of the client's outputs up to the next wait, and until when that is.
pub fn drain_until<S: AsRef<str>, B: Buffer, F: FramingChoice>(
    client: &mut ClientSession<S, B, F>,
    now: Instant,
) -> (Vec<String>, Option<Instant>) {
    let mut names = Vec::new();
    loop {
        let debug = match client.poll(now) {
            Output::Wait(until) => return (names, until),
            Output::Event(event) => format!("{event:?}"),
            other => format!("{other:?}"),
        };
        names.extend(debug.split(['(', ' ']).next().map(str::to_owned));
    }
}

/// The names of the client's outputs up to the next wait.
pub fn drain<S: AsRef<str>, B: Buffer, F: FramingChoice>(
    client: &mut ClientSession<S, B, F>,
    now: Instant,
) -> Vec<String> {
    drain_until(client, now).0
}

/// The names of the hub's outputs up to the next wait, requests with their ids.
pub fn drain_hub<B: Buffer>(hub: &mut HubSession<B>, now: Instant) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        names.push(match hub.poll(now) {
            HubOutput::Wait(_) => return names,
            HubOutput::Event(HubEvent::Login(_)) => "Login".to_owned(),
            HubOutput::Event(HubEvent::Request { id, .. }) => format!("Request {id}"),
            other => format!("{other:?}"),
        });
    }
}

/// Logs in, up to the wish for a connection.
pub fn connecting<S: AsRef<str>, B: Buffer, F: FramingChoice>(
    client: &mut ClientSession<S, B, F>,
    now: Instant,
) {
    client.login(now);
    assert_eq!(drain(client, now), ["NetState", "Connect"]);
}

/// From a fresh connection up to the LOGIN that the hub has to check.
pub fn approach<S: AsRef<str>, A: Buffer, B: Buffer, F: FramingChoice>(
    client: &mut ClientSession<S, A, F>,
    hub: &mut HubSession<B>,
    now: Instant,
) {
    approach_in_pieces(client, hub, now, usize::MAX);
    assert_eq!(drain_hub(hub, now), ["Login"]);
}

/// [`approach`], in pieces of `len` bytes; the LOGIN is left for the caller to poll.
pub fn approach_in_pieces<S: AsRef<str>, A: Buffer, B: Buffer, F: FramingChoice>(
    client: &mut ClientSession<S, A, F>,
    hub: &mut HubSession<B>,
    now: Instant,
    len: usize,
) {
    client.connected(now);
    carry_in_pieces(client, hub, now, len);
    assert_eq!(drain_hub(hub, now), [""; 0]);
    carry_in_pieces(client, hub, now, len);
    assert_eq!(drain(client, now), [""; 0]);
    carry_in_pieces(client, hub, now, len);
}

/// The response to a login.
#[must_use]
pub fn welcome(cursor: &[u8]) -> LoginResponse<'_> {
    LoginResponse::new(ACCOUNT).with_time_ms(5).with_cursor(cursor)
}

/// Lets a client in that has nothing to catch up with.
///
/// # Panics
/// If there is no room in the hub's buffer.
pub fn let_in<B: Buffer>(hub: &mut HubSession<B>) {
    hub.accept(&welcome(&[1])).expect("room for a response");
    hub.push(FrameKind::SYNCED, &Done).expect("room for a push");
}

/// These two ends, logged in and ready.
#[must_use]
pub fn online_with(mut client: Client, mut hub: Hub) -> (Client, Hub) {
    connecting(&mut client, NOW);
    approach(&mut client, &mut hub, NOW);
    let_in(&mut hub);
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["LoggedIn", "NetState", "Ready"]);
    (client, hub)
}

/// Both ends, logged in and ready.
#[must_use]
pub fn online() -> (Client, Hub) {
    online_with(client(), hub())
}

/// A text from alice to bob.
#[must_use]
pub fn text(text: &str) -> Message<'_> {
    let mut message = messages::text(user("alice"), c2c("bob"), text);
    message.id.sender = ACCOUNT;
    message
}

/// Sends a text.
///
/// # Panics
/// If the client does not take it.
pub fn send(client: &mut Client, now: Instant) -> RequestId {
    let sent = client.send(now, &text("x"), SendOptions::default());
    sent.expect("a client that takes requests").id()
}

/// The text of the next delivery.
///
/// # Panics
/// If something else comes first.
pub fn delivered(client: &mut Client, now: Instant) -> String {
    match client.poll(now) {
        Output::Event(Event::Delivered(delivery)) => text_of(&delivery.message().payload),
        other => panic!("no delivery: {other:?}"),
    }
}
