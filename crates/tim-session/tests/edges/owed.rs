//! What an end owes the other one is sent when there is capacity, however full the buffers are when it is due.

use std::time::Duration;

use tim_session::proto::ErrorCode;
use tim_session::proto::message::{SendOptions, to_vec};
use tim_session::proto::request::{Done, Failure};
use tim_session::proto::wire::{Frame, FrameKind, MAX_FRAME_HEADER_LEN, Parsed, decode_body};
use tim_session::{CloseReason, Framing, HubConfig, HubEvent, HubOutput, Instant, SendError};

use crate::serial::serial_ends;
use crate::support::*;

const KIND: FrameKind = FrameKind::CONVERSATION_PROFILE;

fn request(id: u32) -> Vec<u8> {
    frame(KIND, id, &Done)
}

/// The kinds and ids of whole frames.
fn frames(mut bytes: &[u8]) -> Vec<(FrameKind, u32)> {
    let mut frames = Vec::new();
    while let Ok(Parsed::Frame(frame, len)) = Frame::parse(bytes, 1 << 20) {
        frames.push((frame.kind, frame.id));
        bytes = &bytes[len..];
    }
    frames
}

/// Fills the hub's outgoing bytes so that no frame fits any more.
fn fill(hub: &mut Hub) {
    let left = hub.outgoing_capacity();
    let padding = "x".repeat(left.saturating_sub(2 * MAX_FRAME_HEADER_LEN));
    let _ = hub.push(FrameKind::SYNCED, &RawText(&padding));
    while hub.push(FrameKind::SYNCED, &Done).is_ok() {}
    assert_eq!(hub.push(FrameKind::SYNCED, &Done), Err(SendError::Full));
}

struct RawText<'a>(&'a str);

impl tim_session::proto::wire::Encode for RawText<'_> {
    fn encode(&self, writer: &mut tim_session::proto::wire::Writer<'_>) {
        writer.put(self.0.as_bytes());
    }
}

/// A client whose outgoing bytes are full of a request that the line does not take.
fn full_client() -> (Client, Hub) {
    let (mut client, hub) = online_with(client_with(config(), [2048, 300, 2048]), hub());
    client.transmitted(client.outgoing().len());
    for len in [200, 30, 10, 0, 0, 0, 0] {
        let _ = client.send(NOW, &text(&"x".repeat(len)), SendOptions::default());
    }
    let _ = drain(&mut client, NOW);
    assert!(client.outgoing().len() > 300 - 14, "{}", client.outgoing().len());
    (client, hub)
}

#[test]
fn a_client_sends_a_pong_when_it_fits() {
    let (mut client, _hub) = full_client();
    let pings = [frame(FrameKind::PING, 5, &Done), frame(FrameKind::PING, 6, &Done)].concat();
    assert_eq!(client.receive(NOW, &pings), pings.len());
    assert_eq!(drain(&mut client, NOW), [""; 0]);
    let before = frames(client.outgoing());
    assert!(before.iter().all(|(kind, _)| *kind == FrameKind::SEND));
    // One PONG, the last one's, answers both.
    let mut after = Vec::new();
    for _ in 0..10 {
        after.extend(frames(client.outgoing()));
        client.transmitted(client.outgoing().len());
    }
    let pongs: Vec<_> = after
        .iter()
        .filter(|(kind, _)| *kind == FrameKind::PONG)
        .collect();
    assert_eq!(pongs, [&(FrameKind::PONG, 6)]);
}

#[test]
fn a_client_that_is_silent_and_full_asks_when_it_can_and_is_not_lost_meanwhile() {
    let (mut client, _hub) = full_client();
    let asked = NOW + client.config().keep_alive;
    let seen = drain(&mut client, asked);
    assert!(!seen.contains(&"Disconnect".to_owned()), "{seen:?}");
    // The hub says something in time; what was full goes out, and the PING behind it.
    let _ = client.receive(asked, &frame(FrameKind::PONG, 9, &Done));
    let mut sent = Vec::new();
    for _ in 0..10 {
        sent.extend(frames(client.outgoing()));
        client.transmitted(client.outgoing().len());
    }
    assert!(sent.contains(&(FrameKind::PING, 0)), "{sent:?}");
}

#[test]
fn a_client_without_a_sign_of_life_is_lost_though_its_ping_never_fitted() {
    let (mut client, _hub) = full_client();
    let asked = NOW + client.config().keep_alive;
    let _ = drain(&mut client, asked);
    let lost = asked + client.config().keep_alive_timeout;
    assert!(drain(&mut client, lost).contains(&"Disconnect".to_owned()));
}

#[test]
fn a_hub_end_sends_a_pong_when_it_fits() {
    let (_client, mut hub) = online();
    fill(&mut hub);
    let ping = frame(FrameKind::PING, 5, &Done);
    assert_eq!(hub.receive(NOW, &ping), ping.len());
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0]);
    assert!(!frames(hub.outgoing()).contains(&(FrameKind::PONG, 5)));
    hub.transmitted(hub.outgoing().len());
    assert_eq!(frames(hub.outgoing()), [(FrameKind::PONG, 5)]);
}

#[test]
fn a_hub_end_that_is_full_asks_when_it_can() {
    let (_client, mut hub) = online();
    fill(&mut hub);
    let asked = NOW + HubConfig::default().keep_alive;
    let lost = asked + HubConfig::default().keep_alive_timeout;
    assert_eq!(hub.poll(asked), HubOutput::Wait(Some(lost)));
    hub.transmitted(hub.outgoing().len());
    assert_eq!(frames(hub.outgoing()), [(FrameKind::PING, 0)]);
}

#[test]
fn a_goodbye_waits_for_capacity_but_not_for_ever() {
    let failure = Failure::new(ErrorCode::KICKED_OUT_MULT_DEVICE, "why").with_retry_after_ms(7);
    let closed = HubOutput::Close(CloseReason::Goodbye(failure.code));
    for is_taken in [true, false] {
        let (_client, mut hub) = online();
        fill(&mut hub);
        hub.goodbye(&failure);
        let until = NOW + HubConfig::default().keep_alive_timeout;
        assert_eq!(hub.poll(NOW), HubOutput::Wait(Some(until)));
        if is_taken {
            hub.transmitted(hub.outgoing().len());
            let Ok(Parsed::Frame(said, _)) = Frame::parse(hub.outgoing(), 100) else {
                panic!("no GOODBYE")
            };
            let said: Failure<'_> = decode_body(said.body).unwrap();
            assert_eq!((said.code, said.retry_after_ms, said.text), (failure.code, 7, ""));
            assert_eq!(hub.poll(NOW), closed);
        } else {
            assert_eq!(hub.poll(until), closed);
        }
    }
}

#[test]
fn a_logout_is_answered_when_the_answer_fits() {
    let (_client, mut hub) = online();
    fill(&mut hub);
    let logout = frame(FrameKind::LOGOUT, 0, &Done);
    assert_eq!(hub.receive(NOW, &logout), logout.len());
    assert!(matches!(hub.poll(NOW), HubOutput::Wait(Some(_))));
    hub.transmitted(hub.outgoing().len());
    assert_eq!(hub.poll(NOW), HubOutput::Close(CloseReason::LoggedOut));
    assert_eq!(frames(hub.outgoing()), [(FrameKind::LOGOUT.answer(), 0)]);
}

fn few_requests(framing: Framing) -> (Client, Hub) {
    let mut hub_config = HubConfig::default();
    let mut client_config = config();
    hub_config.max_requests = 2;
    (hub_config.framing, client_config.framing) = (framing, framing);
    let client = client_with(client_config, [2048; 3]);
    online_with(client, hub_with(hub_config, [2048, 2048]))
}

/// As many requests are open as may be. The client is served in everything else all the same.
#[test]
fn a_full_table_of_requests_stops_requests_and_nothing_else() {
    let (_client, mut hub) = few_requests(Framing::Stream);
    hub.transmitted(hub.outgoing().len());
    for id in 1..=2 {
        hub.deliver(&[id], 0, &to_vec(&text("x"))).unwrap();
    }
    hub.transmitted(hub.outgoing().len());
    let window = hub.window_capacity();
    let bytes = [
        request(1),
        request(2),
        frame(FrameKind::PING, 8, &Done),
        frame(FrameKind::ACK, 2, &Done),
        request(3),
        frame(FrameKind::PING, 9, &Done),
    ]
    .concat();
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    assert_eq!(drain_hub(&mut hub, NOW), ["Request 1", "Request 2"]);
    assert_eq!(frames(hub.outgoing()), [(FrameKind::PONG, 8)]);
    assert_eq!(hub.window_capacity(), window + 2);
    hub.transmitted(hub.outgoing().len());
    // Polling again and receiving more changes nothing; then the rest comes in order.
    assert_eq!(hub.receive(NOW, &request(4)), request(4).len());
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0]);
    hub.respond_untyped(1, KIND, &Done).unwrap();
    assert_eq!(drain_hub(&mut hub, NOW), ["Request 3"]);
    hub.respond_untyped(2, KIND, &Done).unwrap();
    assert_eq!(drain_hub(&mut hub, NOW), ["Request 4"]);
    let said = frames(hub.outgoing());
    assert!(said.contains(&(FrameKind::PONG, 9)), "{said:?}");
}

/// On a serial line this used to end the session within seconds: nobody read the PONG either.
#[test]
fn a_full_table_of_requests_does_not_end_a_serial_session() {
    let (mut client, mut hub) = few_requests(Framing::Serial);
    for text_ in ["one", "two"] {
        client.send(NOW, &text(text_), SendOptions::default()).unwrap();
    }
    hub.deliver(&[1], 0, &to_vec(&text("x"))).unwrap();
    let mut now = NOW;
    for _ in 0..100 {
        let _ = drain(&mut client, now);
        carry(&mut client, &mut hub, now);
        for seen in drain_hub(&mut hub, now) {
            assert!(seen.starts_with("Request"), "{seen}");
        }
        carry(&mut client, &mut hub, now);
        now = now + Duration::from_millis(100);
    }
    assert!(client.is_ready() && hub.is_online());
    assert_eq!((client.stats().reconnects, client.pending()), (0, 2));
}

#[test]
fn a_driver_that_takes_no_requests_still_has_pings_answered() {
    let (_client, mut hub) = online();
    hub.transmitted(hub.outgoing().len());
    hub.hold_requests(true);
    let bytes = [
        frame(FrameKind::PING, 7, &Done),
        request(1),
        frame(FrameKind::PING, 8, &Done),
    ]
    .concat();
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0]);
    assert_eq!(frames(hub.outgoing()), [(FrameKind::PONG, 7)]);
    hub.hold_requests(false);
    assert!(matches!(
        hub.poll(NOW),
        HubOutput::Event(HubEvent::Request { id: 1, .. })
    ));
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0]);
    assert_eq!(
        frames(hub.outgoing()),
        [(FrameKind::PONG, 7), (FrameKind::PONG, 8)]
    );
}

/// A PONG that was left out used to end a live line: the hub waits for it.
#[test]
fn a_serial_line_that_was_full_when_the_ping_came_lives_on() {
    let (mut client, mut hub) = serial_ends();
    let mut now = Instant::from_millis(11_000);
    client.hold_acknowledgements(true);
    hub.deliver(&[1], 0, &to_vec(&text("x"))).unwrap();
    carry(&mut client, &mut hub, now);
    let _ = drain(&mut client, now);
    // More is to go up than fits when the hub asks.
    for len in [600, 600, 500, 100, 30, 0, 0] {
        let _ = client.send(now, &text(&"x".repeat(len)), SendOptions::default());
    }
    let _ = drain_hub(&mut hub, now);
    now = now + Duration::from_secs(1);
    let _ = drain_hub(&mut hub, now);
    let ping = take_down(&mut hub);
    assert_eq!(client.receive(now, &ping), ping.len());
    let _ = drain(&mut client, now);
    for _ in 0..100 {
        carry(&mut client, &mut hub, now);
        for seen in drain_hub(&mut hub, now) {
            assert!(seen.starts_with("Request"), "{seen}");
        }
        let _ = drain(&mut client, now);
        now = now + Duration::from_millis(100);
    }
    assert!(client.is_ready() && hub.is_online());
    assert_eq!(client.stats().reconnects, 0);
}
