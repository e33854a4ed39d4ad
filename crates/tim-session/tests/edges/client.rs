//! The client's own limits, and every kind of frame that it knows.

use tim_session::proto::message::{SendOptions, to_vec};
use tim_session::proto::request::{Answer, Done, Gap, Resume, SendAnswer};
use tim_session::proto::wire::{FrameKind, Role};
use tim_session::proto::{ConversationId, ErrorCode};
use tim_session::{Event, HubConfig, HubEvent, HubOutput, MAX_CURSOR_LEN, Output, RequestError};

use crate::support::*;

const SENT: Answer<'static> = Answer::Send(SendAnswer {
    sequence: 1,
    time: 2,
    duplicate: false,
    extensions: tim_session::proto::wire::Extensions::NONE,
});

#[test]
fn no_more_requests_than_configured_wait_for_an_answer() {
    let mut config = config();
    config.max_pending = 2;
    let (mut client, mut hub) = online_with(client_with(config, [2048; 3]), hub());
    let first = send(&mut client, NOW);
    send(&mut client, NOW);
    assert_eq!(client.pending(), 2);
    let refused = client.send(NOW, &text("x"), SendOptions::default());
    assert_eq!(refused, Err(RequestError::Full));
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain_hub(&mut hub, NOW).len(), 2);
    hub.answer(first.number(), FrameKind::SEND, &SENT).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["Answer"]);
    assert_eq!(client.pending(), 1);
    send(&mut client, NOW);
}

#[test]
fn an_outbox_without_room_refuses_until_an_answer_has_made_room() {
    let (mut client, mut hub) = online_with(client_with(config(), [2048, 2048, 120]), hub());
    let first = send(&mut client, NOW);
    while client.send(NOW, &text("x"), SendOptions::default()).is_ok() {}
    let refused = client.send(NOW, &text("x"), SendOptions::default());
    assert_eq!(refused, Err(RequestError::Full));
    let pending = client.pending();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain_hub(&mut hub, NOW).len(), pending);
    hub.answer(first.number(), FrameKind::SEND, &SENT).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["Answer"]);
    send(&mut client, NOW);
    assert_eq!(client.pending(), pending);
}

#[test]
fn a_gap_and_a_change_of_a_conversation_reach_the_application_as_they_were_sent() {
    let (mut client, mut hub) = online();
    let conversation: ConversationId = "C2Cbob".parse().unwrap();
    let gap = Gap {
        conversation,
        from: 3,
        to: 9,
    };
    hub.push(FrameKind::GAP, &gap).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(client.poll(NOW), Output::Event(Event::Gap(gap)));
    assert_eq!(client.cursor(), [1], "a gap has no cursor of its own");
    hub.push(FrameKind::GAP, &Done).unwrap();
    carry(&mut client, &mut hub, NOW);
    let malformed = Event::Malformed { kind: FrameKind::GAP };
    assert_eq!(client.poll(NOW), Output::Event(malformed));
    hub.push(FrameKind::CONVERSATION, &Done).unwrap();
    carry(&mut client, &mut hub, NOW);
    let malformed = Event::Malformed {
        kind: FrameKind::CONVERSATION,
    };
    assert_eq!(client.poll(NOW), Output::Event(malformed));
}

/// What the LOGIN of a session asks to resume from.
fn login_of(client: &mut Client, now: tim_session::Instant) -> (Resume, Vec<u8>) {
    let mut hub = hub_at(now);
    client.connected(now);
    carry(client, &mut hub, now);
    assert_eq!(drain_hub(&mut hub, now), [""; 0]);
    carry(client, &mut hub, now);
    assert_eq!(drain(client, now), [""; 0]);
    carry(client, &mut hub, now);
    let HubOutput::Event(HubEvent::Login(login)) = hub.poll(now) else {
        panic!("no login")
    };
    (login.resume, login.cursor.to_vec())
}

#[test]
fn a_login_says_where_the_device_left_off() {
    let mut fresh = client();
    connecting(&mut fresh, NOW);
    assert_eq!(login_of(&mut fresh, NOW), (Resume::NOW, vec![]));

    let mut from_start = client();
    assert!(from_start.resume_from(b"later"));
    from_start.resume_from_start();
    assert_eq!(from_start.cursor(), b"");
    connecting(&mut from_start, NOW);
    assert_eq!(login_of(&mut from_start, NOW), (Resume::START, vec![]));

    let mut resumed = client();
    let longest = [7; MAX_CURSOR_LEN];
    assert!(resumed.resume_from(&longest));
    assert_eq!(resumed.cursor(), longest);
    assert!(!resumed.resume_from(&[8; MAX_CURSOR_LEN + 1]));
    assert!(!resumed.resume_from(b""));
    assert_eq!(resumed.cursor(), longest, "what is no cursor changes nothing");
    connecting(&mut resumed, NOW);
    assert_eq!(login_of(&mut resumed, NOW), (Resume::CURSOR, longest.to_vec()));
}

#[test]
fn a_device_that_wants_everything_still_does_after_a_cut_before_the_first_delivery() {
    let mut client = client();
    client.resume_from_start();
    let mut hub = hub();
    connecting(&mut client, NOW);
    approach(&mut client, &mut hub, NOW);
    hub.accept(&welcome(&[9])).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["LoggedIn", "NetState"]);
    assert_eq!(client.cursor(), b"", "the hub's place is not this device's");
    client.disconnected(NOW);
    let later = NOW + client.config().backoff_max;
    assert_eq!(drain(&mut client, later)[..2], ["NetState", "NetState"]);
    assert_eq!(login_of(&mut client, later), (Resume::START, vec![]));
}

#[test]
fn a_delivered_frame_of_exactly_the_limit_is_taken_and_one_byte_more_is_a_breach() {
    let mut config = config();
    config.max_frame = 200;
    for (len, seen) in [
        (200, ["Malformed"].as_slice()),
        (201, &["NetState", "Disconnect"]),
    ] {
        let client = client_with(config.clone(), [2048; 3]);
        let (mut client, _hub) = online_with(client, hub());
        let bytes = frame_of_len(FrameKind::GAP, 0, len);
        assert_eq!(client.receive(NOW, &bytes), len);
        assert_eq!(drain(&mut client, NOW), seen, "{len} bytes");
    }
}

#[test]
fn a_frame_that_fills_the_whole_buffer_is_taken() {
    let (mut client, _hub) = online_with(client_with(config(), [300, 2048, 2048]), hub());
    assert_eq!(client.max_frame(), 300);
    let bytes = frame_of_len(FrameKind::GAP, 0, 300);
    assert_eq!(client.receive(NOW, &bytes), 300);
    assert_eq!(drain(&mut client, NOW), ["Malformed"]);
}

#[test]
fn a_request_of_exactly_the_hubs_limit_goes_and_one_byte_more_does_not() {
    let mut config = HubConfig::default();
    config.max_frame = 150;
    let (mut client, mut hub) = online_with(client(), hub_with(config, [2048, 2048]));
    let mut refused = None;
    for len in (0..200).rev() {
        match send_of_len(&mut client, len) {
            Ok(()) => break,
            Err(error) => refused = Some(error),
        }
    }
    assert_eq!(refused, Some(RequestError::TooLarge { len: 151, max: 150 }));
    carry(&mut client, &mut hub, NOW);
    assert_eq!(
        drain_hub(&mut hub, NOW).len(),
        1,
        "the hub takes what it announced"
    );
}

fn send_of_len(client: &mut Client, len: usize) -> Result<(), RequestError> {
    let text = "x".repeat(len);
    let message = crate::support::text(&text);
    client.send(NOW, &message, SendOptions::default()).map(|_| ())
}

#[test]
fn a_hub_of_another_version_is_not_tried_again() {
    for versions in [(0, 0), (2, 9)] {
        let mut client = client();
        connecting(&mut client, NOW);
        client.connected(NOW);
        let bytes = hello(Role::HUB, versions, 65536);
        assert_eq!(client.receive(NOW, &bytes), bytes.len());
        let Output::Event(Event::LoginFailed(failure)) = client.poll(NOW) else {
            panic!("not said: {versions:?}")
        };
        assert_eq!(failure.code, ErrorCode::UNSUPPORTED_VERSION);
        assert_eq!(
            drain_until(&mut client, NOW),
            (vec!["Disconnect".to_owned()], None)
        );
        assert!(client.is_idle());
    }
    for versions in [(1, 1), (0, 9)] {
        let mut client = client();
        connecting(&mut client, NOW);
        client.connected(NOW);
        client.transmitted(20);
        let bytes = hello(Role::HUB, versions, 65536);
        assert_eq!(client.receive(NOW, &bytes), bytes.len());
        assert_eq!(drain(&mut client, NOW), [""; 0]);
        assert_eq!(client.outgoing()[0], FrameKind::LOGIN.0, "{versions:?}");
    }
}

#[test]
fn a_ping_is_answered_with_its_own_number() {
    let (mut client, _hub) = online();
    let ping = frame(FrameKind::PING, 77, &Done);
    assert_eq!(client.receive(NOW, &ping), ping.len());
    assert_eq!(drain(&mut client, NOW), [""; 0]);
    assert_eq!(client.outgoing(), frame(FrameKind::PONG, 77, &Done));
}

#[test]
fn deliveries_are_acknowledged_at_half_the_window_or_when_nothing_more_waits() {
    let mut config = config();
    config.window = 8;
    let (mut client, mut hub) = online_with(client_with(config, [2048; 3]), hub());
    let message = to_vec(&text("hi"));
    for cursor in 2..8 {
        hub.deliver(&[cursor], 0, &message).unwrap();
    }
    carry(&mut client, &mut hub, NOW);
    let mut acked = Vec::new();
    for _ in 0..6 {
        assert_eq!(delivered(&mut client, NOW), "hi");
        acked.push(client.outgoing().len());
    }
    assert_eq!(acked, [0, 0, 0, 0, 3, 3], "an ACK behind the fourth");
    assert_eq!(drain(&mut client, NOW), [""; 0]);
    let both = [frame(FrameKind::ACK, 4, &Done), frame(FrameKind::ACK, 6, &Done)].concat();
    assert_eq!(client.outgoing(), both);
}
