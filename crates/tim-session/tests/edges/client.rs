//! The client's own limits, and every kind of frame that it knows.

use tim_session::proto::message::{SendOptions, to_vec};
use tim_session::proto::request::{Done, Gap, Resume, Send, SendResponse, Synced};
use tim_session::proto::wire::{End, FrameKind};
use tim_session::proto::{ConversationId, ErrorCode};
use tim_session::{CloseReason, Event, HubConfig, HubEvent, HubOutput, MAX_CURSOR_LEN, Output, RequestError};

use crate::support::*;

const SENT: SendResponse<'static> = SendResponse::new(1, 2);

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
    hub.respond::<Send<'_>>(first.number(), &SENT).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["Response"]);
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
    hub.respond::<Send<'_>>(first.number(), &SENT).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["Response"]);
    send(&mut client, NOW);
    assert_eq!(client.pending(), pending);
}

#[test]
fn a_gap_and_a_change_of_a_conversation_reach_the_application_as_they_were_sent() {
    let (mut client, mut hub) = online();
    let conversation: ConversationId = "C2Cbob".parse().unwrap();
    let gap = Gap::new(conversation, 3, 9);
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
    config.max_frame = 300;
    for (len, seen) in [
        (300, ["Malformed"].as_slice()),
        (301, &["NetState", "Disconnect"]),
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
fn a_hub_of_another_version_is_told_at_once_and_tried_again_later() {
    for versions in [(0, 0), (2, 9)] {
        let mut client = client();
        connecting(&mut client, NOW);
        client.connected(NOW);
        let bytes = hello(End::HUB, versions, 65536);
        assert_eq!(client.receive(NOW, &bytes), bytes.len());
        let Output::Event(Event::TurnedAway(failure)) = client.poll(NOW) else {
            panic!("not said: {versions:?}")
        };
        assert_eq!(failure.code, ErrorCode::UNSUPPORTED_VERSION);
        let (seen, wake) = drain_until(&mut client, NOW);
        assert_eq!(
            (&seen[..], wake.is_some()),
            (&["Disconnect".to_owned()][..], true)
        );
        assert!(!client.is_idle());
    }
    for versions in [(1, 1), (0, 9)] {
        let mut client = client();
        connecting(&mut client, NOW);
        client.connected(NOW);
        client.transmitted(20);
        let bytes = hello(End::HUB, versions, 65536);
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

#[test]
fn a_logout_that_is_answered_ends_at_once() {
    let (mut client, mut hub) = online();
    client.logout(NOW);
    carry(&mut client, &mut hub, NOW);
    assert_eq!(hub.poll(NOW), HubOutput::Close(CloseReason::LoggedOut));
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["NotReady", "Disconnect"]);
    assert!(client.is_idle());
}

#[test]
fn an_answer_to_a_logout_that_was_not_made_is_passed_over() {
    let (mut client, _hub) = online();
    let answer = frame(FrameKind::LOGOUT.answer(), 0, &Done);
    assert_eq!(client.receive(NOW, &answer), answer.len());
    assert_eq!(drain(&mut client, NOW), [""; 0]);
    assert!(client.is_ready());
}

#[test]
fn the_end_of_what_waited_moves_the_cursor_if_it_says_where_to() {
    let (mut client, mut hub) = online();
    for (cursor, stands) in [(&[5, 6][..], [5, 6]), (&[], [5, 6])] {
        hub.push(FrameKind::SYNCED, &Synced::new().with_cursor(cursor))
            .unwrap();
        carry(&mut client, &mut hub, NOW);
        assert_eq!(drain(&mut client, NOW), [""; 0]);
        assert_eq!(client.cursor(), stands);
    }
}

#[test]
fn a_session_is_idle_only_when_it_has_nothing_left_to_do_or_to_say() {
    let mut client = client();
    assert!(client.is_idle());
    client.login(NOW);
    assert!(!client.is_idle());
    let (mut client, _hub) = online();
    assert!(!client.is_idle());
    client.disconnected(NOW);
    client.logout(NOW);
    assert!(!client.is_idle(), "there is an end to tell of");
    let _ = drain(&mut client, NOW);
    assert!(client.is_idle());
}

#[test]
fn a_lost_connection_that_nobody_has_changes_nothing() {
    let mut client = client();
    client.disconnected(NOW);
    assert!(client.is_idle());
    assert_eq!(drain_until(&mut client, NOW), (vec![], None));
    connecting(&mut client, NOW);
    client.disconnected(NOW);
    let waits = drain_until(&mut client, NOW);
    client.disconnected(NOW);
    assert_eq!(drain_until(&mut client, NOW), waits, "the wait is not drawn anew");
}

#[test]
fn a_pong_that_nobody_asked_for_is_passed_over_even_before_the_login() {
    let (mut client, mut hub) = (client(), hub());
    connecting(&mut client, NOW);
    approach(&mut client, &mut hub, NOW);
    let pong = frame(FrameKind::PONG, 3, &Done);
    assert_eq!(client.receive(NOW, &pong), pong.len());
    assert_eq!(drain(&mut client, NOW), [""; 0]);
    hub.accept(&welcome(&[1])).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["LoggedIn", "NetState"]);
    assert_eq!(client.receive(NOW, &pong), pong.len());
    assert_eq!(drain(&mut client, NOW), [""; 0]);
}

/// Two requests wait at a time, of every length; whatever room the older ones leave is found.
#[test]
fn an_outbox_that_holds_two_requests_always_holds_two() {
    let (mut client, mut hub) = online_with(client_with(config(), [2048, 2048, 400]), hub());
    let mut waiting = std::collections::VecDeque::new();
    for round in 0..300 {
        let text = "x".repeat(round * 7 % 64);
        let ticket = client.send(NOW, &crate::support::text(&text), SendOptions::default());
        waiting.push_back(ticket.unwrap_or_else(|error| panic!("round {round}: {error}")));
        carry(&mut client, &mut hub, NOW);
        assert_eq!(drain_hub(&mut hub, NOW).len(), 1);
        if waiting.len() == 2 {
            let ticket = waiting.pop_front().unwrap();
            hub.respond::<Send<'_>>(ticket.id().number(), &SENT).unwrap();
            carry(&mut client, &mut hub, NOW);
            assert_eq!(drain(&mut client, NOW), ["Response"]);
        }
    }
}

#[test]
fn debug_output_of_a_buffer_says_only_how_large_it_is() {
    assert_eq!(format!("{:?}", memory(3)), "FixedBuffer(3 bytes)");
    let (client, hub) = online();
    let (client, hub) = (format!("{client:?}"), format!("{hub:?}"));
    assert!(
        client.contains("phase: Online") && client.contains("ready: true"),
        "{client}"
    );
    assert!(
        hub.contains("phase: Online") && hub.contains("FixedBuffer(2048 bytes)"),
        "{hub}"
    );
}

#[cfg(feature = "alloc")]
mod growing {
    use super::*;
    use tim_session::{Buffer, ClientSession, GrowBuffer};

    #[test]
    fn a_growing_buffer_doubles_and_says_how_large_it_is() {
        let mut buffer = GrowBuffer::new(10_000);
        assert_eq!(format!("{buffer:?}"), "GrowBuffer(0 of 10000 bytes)");
        for (asked, has) in [
            (1, 1024),
            (1025, 2048),
            (2049, 4096),
            (4097, 8192),
            (8193, 10_000),
        ] {
            assert!(buffer.grow(asked));
            assert_eq!(buffer.bytes().len(), has);
        }
        assert!(!buffer.grow(10_001));
        assert_eq!(format!("{buffer:?}"), "GrowBuffer(10000 of 10000 bytes)");
    }

    #[test]
    fn an_outbox_on_the_heap_takes_requests_of_any_length_up_to_its_limit() {
        for offset in 0..60 {
            let [rx, tx, outbox] = [0; 3].map(|_| GrowBuffer::new(64 * 1024));
            let mut client = ClientSession::new(config(), "sig", rx, tx, outbox, 1);
            let mut hub = hub();
            client.login(NOW);
            let step = |client: &mut ClientSession<&'static str, GrowBuffer>, hub: &mut Hub| {
                while let Output::Event(_) | Output::Connect = client.poll(NOW) {}
                let up = client.outgoing().to_vec();
                assert_eq!(hub.receive(NOW, &up), up.len());
                client.transmitted(up.len());
                if let HubOutput::Event(HubEvent::Login(_)) = hub.poll(NOW) {
                    hub.accept(&welcome(&[1])).unwrap();
                    hub.push(FrameKind::SYNCED, &Done).unwrap();
                }
                let down = hub.outgoing().to_vec();
                assert_eq!(client.receive(NOW, &down), down.len());
                hub.transmitted(down.len());
            };
            while let Output::Event(_) | Output::Connect = client.poll(NOW) {}
            client.connected(NOW);
            for _ in 0..3 {
                step(&mut client, &mut hub);
            }
            while let Output::Event(_) = client.poll(NOW) {}
            assert!(client.is_ready());
            for number in 0..60 {
                let text = "x".repeat(offset + number % 3);
                let sent = client.send(NOW, &crate::support::text(&text), SendOptions::default());
                assert!(sent.is_ok(), "{offset}, {number}: {sent:?}");
            }
        }
    }
}

/// A broken or hostile hub must not end the session of a device that nobody attends.
#[test]
fn a_hub_that_takes_less_than_a_login_is_tried_again_later() {
    let mut client = client();
    connecting(&mut client, NOW);
    let (mut now, mut waits) = (NOW, Vec::new());
    for max_frame in [0, 1, 8, 20, 0, 0] {
        client.connected(now);
        let bytes = hello(End::HUB, (1, 1), max_frame);
        assert_eq!(client.receive(now, &bytes), bytes.len());
        let Output::Event(Event::TurnedAway(failure)) = client.poll(now) else {
            panic!("not said: {max_frame}")
        };
        assert_eq!(failure.code, ErrorCode::FRAME_TOO_LARGE);
        let (seen, wake) = drain_until(&mut client, now);
        assert_eq!(seen, ["Disconnect"], "{max_frame}");
        let wake = wake.expect("it tries again");
        waits.push(wake - now);
        now = wake;
        assert_eq!(drain(&mut client, now), ["NetState", "Connect"]);
    }
    let span = client.config().backoff_min * 32;
    assert!(
        waits[5] >= span / 2 && waits[0] <= client.config().backoff_min,
        "{waits:?}"
    );
    // The next hub is right.
    let mut hub = hub_at(now);
    approach(&mut client, &mut hub, now);
    let_in(&mut hub);
    carry(&mut client, &mut hub, now);
    assert_eq!(drain(&mut client, now), ["LoggedIn", "NetState", "Ready"]);
}

/// What a stranger on the line says while the connection is lost is not what the hub says.
#[test]
fn requests_of_a_cut_do_not_become_too_large_for_a_hub_that_is_turned_away() {
    let (mut client, _hub) = online();
    let max = client.max_request();
    client.disconnected(NOW);
    let (_, wake) = drain_until(&mut client, NOW);
    let now = wake.expect("it tries again");
    assert_eq!(drain(&mut client, now), ["NetState", "Connect"]);
    client.connected(now);
    assert_eq!(client.receive(now, &hello(End::HUB, (1, 1), 0)), 20);
    assert_eq!(drain(&mut client, now), ["TurnedAway", "Disconnect"]);
    assert_eq!(client.max_request(), max);
    send(&mut client, now);
}

#[test]
fn a_configuration_without_room_for_a_request_has_room_for_one() {
    let mut config = config();
    config.max_pending = 0;
    let small = config.check().map_err(|error| error.to_string());
    assert_eq!(small, Err("max_pending must be at least 1".to_owned()));
    let (mut client, _hub) = online_with(client_with(config, [2048; 3]), hub());
    assert_eq!(client.config().max_pending, 1);
    send(&mut client, NOW);
    let refused = client.send(NOW, &text("x"), SendOptions::default());
    assert_eq!(refused, Err(RequestError::Full));

    let mut config = HubConfig::default();
    (config.max_requests, config.max_window) = (0, 0);
    let (mut client, mut hub) = online_with(crate::support::client(), hub_with(config, [2048, 2048]));
    send(&mut client, NOW);
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain_hub(&mut hub, NOW).len(), 1);
    assert_eq!(hub.window(), 1);
}
