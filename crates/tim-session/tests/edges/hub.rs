//! The hub's limits on a connection.

use tim_session::proto::ErrorCode;
use tim_session::proto::message::to_vec;
use tim_session::proto::request::{Done, Failure};
use tim_session::proto::wire::{End, FrameKind, VERSION};
use tim_session::{
    CloseReason, DeliverError, GrowBuffer, HubConfig, HubEvent, HubOutput, HubSession, Instant, SendError,
};

use tim_testkit::RawBody;

use crate::support::*;

/// A request that the hub hands on, with this id.
fn request(id: u32) -> Vec<u8> {
    frame(FrameKind::CONVERSATION_PROFILE, id, &Done)
}

#[test]
fn requests_above_the_ceiling_wait_unread_until_one_is_answered() {
    let mut config = HubConfig::default();
    config.max_requests = 2;
    let (_client, mut hub) = online_with(client(), hub_with(config, [2048, 2048]));
    let bytes: Vec<u8> = (1..=5).flat_map(request).collect();
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    assert_eq!(drain_hub(&mut hub, NOW), ["Request 1", "Request 2"]);
    hub.respond_untyped(1, FrameKind::CONVERSATION_PROFILE, &Done)
        .unwrap();
    assert_eq!(drain_hub(&mut hub, NOW), ["Request 3"]);
    hub.fail(2, &Failure::new(ErrorCode(1), "")).unwrap();
    assert_eq!(drain_hub(&mut hub, NOW), ["Request 4"]);
    let too_long = "x".repeat(70_000);
    assert!(hub.fail(3, &Failure::new(ErrorCode(1), &too_long)).is_err());
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0], "3 is still open");
}

#[test]
fn frames_behind_the_end_of_a_session_are_not_looked_at() {
    let endings = [
        (FrameKind::LOGOUT, CloseReason::LoggedOut),
        (FrameKind::GOODBYE, CloseReason::LoggedOut),
        (
            FrameKind::LOGIN,
            CloseReason::Violation(ErrorCode::PROTOCOL_VIOLATION),
        ),
    ];
    for (kind, reason) in endings {
        let (_client, mut hub) = online();
        let bytes = [request(1), frame(kind, 0, &Done), request(2)].concat();
        assert_eq!(hub.receive(NOW, &bytes), bytes.len());
        assert!(matches!(
            hub.poll(NOW),
            HubOutput::Event(HubEvent::Request { id: 1, .. })
        ));
        hub.respond_untyped(1, FrameKind::CONVERSATION_PROFILE, &Done)
            .unwrap();
        assert_eq!(hub.poll(NOW), HubOutput::Close(reason));
        assert_eq!(hub.poll(NOW), HubOutput::Wait(None));
        let more = request(3);
        assert_eq!(hub.receive(NOW, &more), more.len());
        assert_eq!(hub.poll(NOW), HubOutput::Wait(None), "after {kind}");
        assert!(!hub.is_online());
    }
}

#[test]
fn a_logout_waits_for_the_requests_before_it_but_not_without_end() {
    let until = NOW + HubConfig::default().keep_alive_timeout;
    for is_in_time in [true, false] {
        let (_client, mut hub) = online();
        let bytes = [
            request(1),
            request(2),
            frame(FrameKind::LOGOUT, 9, &Done),
            request(3),
        ]
        .concat();
        assert_eq!(hub.receive(NOW, &bytes), bytes.len());
        assert_eq!(drain_hub(&mut hub, NOW), ["Request 1", "Request 2"]);
        assert!(!hub.is_online());
        assert_eq!(
            hub.push(FrameKind::CONVERSATION, &Done),
            Err(SendError::NotOnline)
        );
        assert_eq!(
            hub.deliver(&[], 0, &[]),
            Err(DeliverError::Send(SendError::NotOnline))
        );
        assert!(hub.outgoing().is_empty(), "the LOGOUT is not answered yet");
        // The cursor of what is answered comes before the answer.
        hub.push(FrameKind::SYNCED, &Done).unwrap();
        let len = hub.outgoing().len();
        assert!(len > 0);
        hub.transmitted(len);
        hub.fail(2, &Failure::new(ErrorCode(1), "")).unwrap();
        assert_eq!(hub.poll(NOW), HubOutput::Wait(Some(until)));
        let now = if is_in_time {
            hub.respond_untyped(1, FrameKind::CONVERSATION_PROFILE, &Done)
                .unwrap();
            NOW
        } else {
            until
        };
        let said = hub.outgoing().len();
        assert_eq!(hub.poll(now), HubOutput::Close(CloseReason::LoggedOut));
        let answer = frame(FrameKind::LOGOUT.answer(), 9, &Done);
        assert_eq!(hub.outgoing()[said..], answer);
        let late = hub.respond_untyped(1, FrameKind::CONVERSATION_PROFILE, &Done);
        assert_eq!(late, Err(SendError::NotOnline));
    }
}

#[test]
fn nothing_is_read_or_said_behind_the_hubs_own_goodbye() {
    let (mut client, mut hub) = online();
    hub.goodbye(&Failure::new(ErrorCode::SERVER_SHUTTING_DOWN, "later"));
    let bytes = request(1);
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    let said = hub.outgoing().len();
    hub.goodbye(&Failure::new(ErrorCode::KICKED_OUT_REST_API, "twice"));
    assert_eq!(hub.outgoing().len(), said, "one goodbye is enough");
    let refused = hub.respond_untyped(1, FrameKind::SEND, &Done);
    assert_eq!(refused, Err(SendError::NotOnline));
    let reason = CloseReason::Goodbye(ErrorCode::SERVER_SHUTTING_DOWN);
    assert_eq!(hub.poll(NOW), HubOutput::Close(reason));
    assert_eq!(hub.poll(NOW), HubOutput::Wait(None));
    hub.goodbye(&Failure::new(ErrorCode::KICKED_OUT_REST_API, "behind the end"));
    assert_eq!(hub.poll(NOW), HubOutput::Wait(None));
    assert_eq!(hub.outgoing().len(), said);
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["TurnedAway", "NetState", "Disconnect"]);
}

#[test]
fn a_request_of_exactly_the_limit_is_taken_and_one_byte_more_closes() {
    let mut config = HubConfig::default();
    config.max_frame = 500;
    let too_large = CloseReason::Violation(ErrorCode::FRAME_TOO_LARGE);
    for (len, fits) in [(500, true), (501, false)] {
        let (_client, mut hub) = online_with(client(), hub_with(config, [2048, 2048]));
        let bytes = frame_of_len(FrameKind::SEND, 5, len);
        assert_eq!(hub.receive(NOW, &bytes), len);
        let output = hub.poll(NOW);
        match fits {
            true => assert!(matches!(
                output,
                HubOutput::Event(HubEvent::Request { id: 5, .. })
            )),
            false => assert_eq!(output, HubOutput::Close(too_large)),
        }
    }
}

#[test]
fn before_the_login_a_frame_may_have_eight_kib_and_not_a_byte_more() {
    const LIMIT: usize = 8 * 1024;
    let mut config = HubConfig::default();
    for (max_frame, len, code) in [
        (65_536, LIMIT, ErrorCode::PROTOCOL_VIOLATION), // taken, and no login
        (65_536, LIMIT + 1, ErrorCode::FRAME_TOO_LARGE),
        (500, 500, ErrorCode::PROTOCOL_VIOLATION),
        (500, 501, ErrorCode::FRAME_TOO_LARGE),
    ] {
        config.max_frame = max_frame;
        let mut hub = hub_with(config, [16 * 1024, 2048]);
        let bytes = [
            &hello(End::CLIENT, (1, 1), 4096)[..],
            &frame_of_len(FrameKind::LOGIN, 0, len),
        ]
        .concat();
        assert_eq!(hub.receive(NOW, &bytes), bytes.len());
        assert_eq!(
            hub.poll(NOW),
            HubOutput::Close(CloseReason::Violation(code)),
            "{len} of {max_frame}"
        );
    }
    // After the login it is the configuration that counts.
    let (_client, mut hub) = online();
    let bytes = frame_of_len(FrameKind::SEND, 5, LIMIT + 1);
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    assert_eq!(drain_hub(&mut hub, NOW), ["Request 5"]);
}

#[test]
fn an_answer_of_exactly_the_clients_limit_goes_and_one_byte_more_does_not() {
    let (_client, mut hub) = online_with(client_with(config(), [256, 2048, 2048]), hub());
    assert_eq!(hub.peer_max_frame(), 256);
    let bytes = request(1);
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    assert_eq!(drain_hub(&mut hub, NOW), ["Request 1"]);
    let body = |len| RawBody(&[0; 4096][..len]);
    // 11 bytes of header are reckoned with, whatever it takes in the end.
    let refused = hub.respond_untyped(1, FrameKind::SEND, &body(246));
    assert_eq!(refused, Err(SendError::TooLarge { len: 257, max: 256 }));
    hub.respond_untyped(1, FrameKind::SEND, &body(245)).unwrap();
}

#[test]
fn a_delivery_of_exactly_the_clients_limit_goes_and_one_byte_more_uses_no_window() {
    let (mut client, mut hub) = online_with(client_with(config(), [256, 2048, 2048]), hub());
    let window = hub.window_capacity();
    let (mut refused, mut len) = (None, 256);
    while let Err(error) = hub.deliver(&[2], 0, &to_vec(&text(&"x".repeat(len)))) {
        assert_eq!(hub.window_capacity(), window);
        refused = Some(error);
        len -= 1;
    }
    let too_large = SendError::TooLarge { len: 257, max: 256 };
    assert_eq!(refused, Some(DeliverError::Send(too_large)));
    assert_eq!(hub.window_capacity(), window - 1);
    carry(&mut client, &mut hub, NOW);
    assert_eq!(delivered(&mut client, NOW), "x".repeat(len));
}

#[test]
fn the_window_is_the_smaller_of_what_both_ends_want() {
    for (wanted, most, window) in [(3, 256, 3), (300, 256, 256), (0, 256, 1), (5, 4, 4)] {
        let (mut client_config, mut hub_config) = (config(), HubConfig::default());
        client_config.window = wanted;
        hub_config.max_window = most;
        let (client, hub) = (
            client_with(client_config, [2048; 3]),
            hub_with(hub_config, [2048, 2048]),
        );
        let (_client, hub) = online_with(client, hub);
        assert_eq!((hub.window(), hub.window_capacity()), (window, window));
    }
}

#[test]
fn only_deliveries_that_were_made_can_be_acknowledged() {
    let message = to_vec(&text("hi"));
    for (acked, room) in [(0, Some(61)), (1, Some(62)), (3, Some(64)), (4, None)] {
        let (_client, mut hub) = online();
        for cursor in 2..5 {
            hub.deliver(&[cursor], 0, &message).unwrap();
        }
        let ack = frame(FrameKind::ACK, acked, &Done);
        assert_eq!(hub.receive(NOW, &ack), ack.len());
        match room {
            Some(room) => {
                assert_eq!(drain_hub(&mut hub, NOW), [""; 0]);
                assert_eq!(hub.window_capacity(), room, "ACK {acked}");
            }
            None => {
                let violation = CloseReason::Violation(ErrorCode::PROTOCOL_VIOLATION);
                assert_eq!(hub.poll(NOW), HubOutput::Close(violation));
            }
        }
    }
}

#[test]
fn answers_that_nobody_asked_for_are_passed_over() {
    let (_client, mut hub) = online();
    let bytes = [frame(FrameKind::SEND.answer(), 1, &Done), request(2)].concat();
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    assert_eq!(drain_hub(&mut hub, NOW), ["Request 2"]);
}

#[test]
fn a_ping_is_answered_with_its_own_number_even_before_the_login() {
    let mut hub = hub();
    let bytes = [
        &hello(End::CLIENT, (1, 1), 4096)[..],
        &frame(FrameKind::PING, 77, &Done),
    ]
    .concat();
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0]);
    assert_eq!(&hub.outgoing()[20..], frame(FrameKind::PONG, 77, &Done));
}

#[test]
fn requests_before_the_login_and_during_its_check_are_not_served() {
    let mut hub = hub();
    let bytes = [&hello(End::CLIENT, (1, 1), 4096)[..], &request(1)].concat();
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    let violation = CloseReason::Violation(ErrorCode::USER_NOT_LOGGED_IN);
    assert_eq!(hub.poll(NOW), HubOutput::Close(violation));

    let (mut client, mut hub) = (client(), crate::support::hub());
    connecting(&mut client, NOW);
    approach(&mut client, &mut hub, NOW);
    let bytes = request(2);
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0], "the login is being checked");
    assert_eq!(hub.push(FrameKind::SYNCED, &Done), Err(SendError::NotOnline));
    hub.accept(&welcome(&[1])).unwrap();
    assert_eq!(hub.accept(&welcome(&[1])), Err(SendError::NotOnline));
    hub.refuse(&Failure::new(ErrorCode(1), "too late"));
    assert!(hub.is_online());
    assert_eq!(drain_hub(&mut hub, NOW), ["Request 2"]);
}

#[test]
fn a_refusal_names_the_login_and_closes() {
    let (mut client, mut hub) = (client(), hub());
    connecting(&mut client, NOW);
    approach(&mut client, &mut hub, NOW);
    hub.refuse(&Failure::new(ErrorCode(70_001), "old"));
    let closed = HubOutput::Close(CloseReason::Goodbye(ErrorCode(70_001)));
    assert_eq!(hub.poll(NOW), closed);
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["LoginFailed", "Disconnect"]);
}

#[test]
fn a_hub_end_that_serves_a_stream_does_not_begin_again() {
    let (_client, mut hub) = online();
    hub.goodbye(&Failure::new(ErrorCode(1), ""));
    assert!(matches!(hub.poll(NOW), HubOutput::Close(_)));
    hub.begin_again(NOW);
    let bytes = hello(End::CLIENT, (1, 1), 4096);
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    assert_eq!(hub.poll(Instant::from_millis(1001)), HubOutput::Wait(None));
}

#[test]
fn a_second_login_on_a_connection_that_is_logged_in_is_a_breach() {
    let (mut client, mut hub) = (client(), hub());
    connecting(&mut client, NOW);
    client.connected(NOW);
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0]);
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), [""; 0]);
    let login = client.outgoing().to_vec();
    assert_eq!(hub.receive(NOW, &login), login.len());
    assert_eq!(drain_hub(&mut hub, NOW), ["Login"]);
    hub.accept(&welcome(&[1])).unwrap();
    assert_eq!(hub.receive(NOW, &login), login.len());
    let violation = CloseReason::Violation(ErrorCode::PROTOCOL_VIOLATION);
    assert_eq!(hub.poll(NOW), HubOutput::Close(violation));
}

#[test]
fn what_the_client_can_do_is_known_from_its_hello() {
    let mut hub = hub();
    assert_eq!(
        (hub.peer_features(), hub.peer_max_frame(), hub.window()),
        (0, 0, 0)
    );
    let mut bytes = hello(End::CLIENT, (1, 1), 999);
    bytes[8..12].copy_from_slice(&[6, 5, 4, 3]);
    assert_eq!(hub.receive(NOW, &bytes), bytes.len());
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0]);
    assert_eq!(hub.peer_features(), 0x0304_0506);
    assert_eq!((hub.peer_max_frame(), hub.window()), (999, 2));
}

#[test]
fn a_poll_handles_few_frames_by_itself_and_counts_those_without_effect() {
    let (_client, mut hub) = online();
    let pings = frame(FrameKind::PING, 0, &Done).repeat(40);
    assert_eq!(hub.receive(NOW, &pings), pings.len());
    let pong = frame(FrameKind::PING.answer(), 0, &Done);
    let mut polls = 0;
    while hub.poll(NOW) == HubOutput::Event(HubEvent::More) {
        polls += 1;
        let sent = hub.outgoing().len();
        assert_eq!(sent, pong.len() * 16);
        hub.transmitted(sent);
        assert_eq!((hub.take_idle_frames(), hub.take_idle_frames()), (16, 0));
    }
    assert_eq!((polls, hub.take_idle_frames()), (2, 8));
    // An ACK counts if it acknowledges nothing.
    hub.deliver(&[], 0, &[0; 8]).unwrap();
    for idle in [0, 1] {
        let ack = frame(FrameKind::ACK, 1, &Done);
        assert_eq!(hub.receive(NOW, &ack), ack.len());
        assert!(matches!(hub.poll(NOW), HubOutput::Wait(_)));
        assert_eq!(hub.take_idle_frames(), idle);
    }
}

#[test]
fn buffers_are_counted_whole_until_they_are_empty() {
    let config = HubConfig::default();
    let buffer = || GrowBuffer::new(64 * 1024);
    let mut hub = HubSession::new(config, buffer(), buffer(), NOW);
    assert_eq!(hub.buffered(), 0);
    let hello = hello(End::CLIENT, (VERSION, VERSION), 64 * 1024);
    assert_eq!(hub.receive(NOW, &hello[..7]), 7);
    let received = hub.buffered();
    assert!(received >= 7);
    assert_eq!(hub.receive(NOW, &hello[7..]), hello.len() - 7);
    assert_eq!(drain_hub(&mut hub, NOW), [""; 0]);
    let len = hub.outgoing().len();
    let queued = hub.buffered();
    assert!(queued >= len && len > 1);
    // One byte that is not sent keeps all of it.
    hub.transmitted(len - 1);
    assert_eq!(hub.buffered(), queued);
    hub.transmitted(1);
    assert_eq!(hub.buffered(), 0);
}
