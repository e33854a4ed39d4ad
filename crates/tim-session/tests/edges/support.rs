//! Two ends with buffers of any size, and what the tests say to them.

use tim_session::proto::message::{Envelope, Message, Payload, SendOptions, Text};
use tim_session::proto::request::{Done, LoginResponse};
use tim_session::proto::wire::{Encode, Frame, FrameKind, Hello, Role, Writer, encoded_len};
use tim_session::proto::{ConversationId, MessageId, Priority, UserId};
use tim_session::{
    ClientConfig, ClientSession, Event, FixedBuffer, HubConfig, HubEvent, HubOutput, HubSession, Instant,
    Output, Ticket,
};

pub(crate) type Client = ClientSession<&'static str, FixedBuffer<'static>>;
pub(crate) type Hub = HubSession<FixedBuffer<'static>>;

pub(crate) const NOW: Instant = Instant::from_millis(1000);

/// As little time as there is.
pub(crate) const TICK: std::time::Duration = std::time::Duration::from_micros(1);

pub(crate) fn memory(len: usize) -> FixedBuffer<'static> {
    FixedBuffer(vec![0; len].leak())
}

pub(crate) fn config() -> ClientConfig {
    ClientConfig::new(1, UserId::new("alice").unwrap(), 7)
}

/// A client with this configuration and these sizes of buffers: received, outgoing, outbox.
pub(crate) fn client_with(config: ClientConfig, [rx, tx, outbox]: [usize; 3]) -> Client {
    ClientSession::new(config, "sig", memory(rx), memory(tx), memory(outbox), 1)
}

pub(crate) fn client() -> Client {
    client_with(config(), [2048; 3])
}

/// A hub's end with this configuration and these sizes of buffers: received, outgoing.
pub(crate) fn hub_with(config: HubConfig, [rx, tx]: [usize; 2]) -> Hub {
    HubSession::new(config, memory(rx), memory(tx), NOW)
}

pub(crate) fn hub() -> Hub {
    hub_at(NOW)
}

/// The hub's end of a connection that was accepted at `now`.
pub(crate) fn hub_at(now: Instant) -> Hub {
    HubSession::new(HubConfig::default(), memory(32 * 1024), memory(2048), now)
}

/// Moves what is outgoing, both ways.
pub(crate) fn carry(client: &mut Client, hub: &mut Hub, now: Instant) {
    let up = client.outgoing().to_vec();
    assert_eq!(hub.receive(now, &up), up.len());
    client.transmitted(up.len());
    let down = hub.outgoing().to_vec();
    assert_eq!(client.receive(now, &down), down.len());
    hub.transmitted(down.len());
}

/// The names of the client's outputs up to the next wait, and until when that is.
pub(crate) fn drain_until(client: &mut Client, now: Instant) -> (Vec<String>, Option<Instant>) {
    let mut seen = Vec::new();
    loop {
        let debug = match client.poll(now) {
            Output::Wait(until) => return (seen, until),
            Output::Event(event) => format!("{event:?}"),
            other => format!("{other:?}"),
        };
        seen.push(debug.split(['(', ' ']).next().unwrap().to_owned());
    }
}

/// The names of the client's outputs up to the next wait.
pub(crate) fn drain(client: &mut Client, now: Instant) -> Vec<String> {
    drain_until(client, now).0
}

/// The names of the hub's outputs up to the next wait, requests with their ids.
pub(crate) fn drain_hub(hub: &mut Hub, now: Instant) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        seen.push(match hub.poll(now) {
            HubOutput::Wait(_) => return seen,
            HubOutput::Event(HubEvent::Login(_)) => "Login".to_owned(),
            HubOutput::Event(HubEvent::Request { id, .. }) => format!("Request {id}"),
            HubOutput::Event(HubEvent::Malformed { id, .. }) => format!("Malformed {id}"),
            other => format!("{other:?}"),
        });
    }
}

/// Asked for a connection at `now`.
pub(crate) fn connecting(client: &mut Client, now: Instant) {
    client.login(now);
    assert_eq!(drain(client, now), ["NetState", "Connect"]);
}

/// From a fresh connection up to the LOGIN that the hub is asked to check.
pub(crate) fn approach(client: &mut Client, hub: &mut Hub, now: Instant) {
    client.connected(now);
    carry(client, hub, now);
    assert_eq!(drain_hub(hub, now), [""; 0]);
    carry(client, hub, now);
    assert_eq!(drain(client, now), [""; 0]);
    carry(client, hub, now);
    assert_eq!(drain_hub(hub, now), ["Login"]);
}

pub(crate) fn welcome(cursor: &[u8]) -> LoginResponse<'_> {
    LoginResponse {
        account: 99,
        time_ms: 5,
        cursor,
        nick: "",
        ..LoginResponse::default()
    }
}

/// Both ends, logged in and ready.
pub(crate) fn online_with(mut client: Client, mut hub: Hub) -> (Client, Hub) {
    connecting(&mut client, NOW);
    approach(&mut client, &mut hub, NOW);
    hub.accept(&welcome(&[1])).unwrap();
    hub.push(FrameKind::SYNCED, &Done).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["LoggedIn", "NetState", "Ready"]);
    (client, hub)
}

pub(crate) fn online() -> (Client, Hub) {
    online_with(client(), hub())
}

pub(crate) fn text(text: &str) -> Message<'_> {
    Message {
        envelope: Envelope {
            sequence: 0,
            time: 1,
            flags: 0,
            origin: 7,
            from: UserId::new("alice").unwrap(),
        },
        to: ConversationId::C2c(UserId::new("bob").unwrap()),
        id: MessageId {
            sender: 99,
            client_time: 1,
            random: 2,
        },
        client_sequence: 1,
        priority: Priority::NORMAL,
        payload: Payload::Text(Text { text }),
        extensions: Default::default(),
    }
}

pub(crate) fn send(client: &mut Client, now: Instant) -> Ticket {
    client.send(now, &text("x"), SendOptions::default()).unwrap()
}

/// The next delivery's text; nothing else may come before it.
pub(crate) fn delivered(client: &mut Client, now: Instant) -> String {
    match client.poll(now) {
        Output::Event(Event::Delivered(delivery)) => match delivery.message().payload {
            Payload::Text(text) => text.text.to_owned(),
            other => panic!("{other:?}"),
        },
        other => panic!("no delivery: {other:?}"),
    }
}

/// A frame as it goes on a stream.
pub(crate) fn frame<T: Encode>(kind: FrameKind, id: u32, body: &T) -> Vec<u8> {
    let mut bytes = vec![0; encoded_len(body) + 11];
    let mut writer = Writer::new(&mut bytes);
    Frame::encode_header(kind, id, encoded_len(body), &mut writer);
    body.encode(&mut writer);
    let len = writer.finish().unwrap();
    bytes.truncate(len);
    bytes
}

/// A frame of exactly `len` bytes, header included, whose body means nothing.
pub(crate) fn frame_of_len(kind: FrameKind, id: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xff; len + 11];
    for body_len in len.saturating_sub(11)..len {
        let mut writer = Writer::new(&mut bytes);
        Frame::encode_header(kind, id, body_len, &mut writer);
        if writer.len() + body_len == len {
            bytes.truncate(len);
            return bytes;
        }
    }
    panic!("no frame has {len} bytes");
}

/// A hello of this role and these versions.
pub(crate) fn hello(role: Role, versions: (u8, u8), max_frame: u32) -> [u8; Hello::LEN] {
    Hello {
        min_version: versions.0,
        max_version: versions.1,
        role,
        features: 0,
        max_frame,
        window: 2,
    }
    .to_bytes()
}
