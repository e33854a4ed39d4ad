//! What goes wrong between two ends, and that it goes no further: cuts, late polls, odd answers, small buffers.

use std::time::Duration;

use tim_session::proto::message::{Envelope, MessageFlags, Payload, SendOptions};
use tim_session::proto::request::{
    DeleteConversation, Deliver, Failure, MarkReadResponse, Resume, Send, SendResponse,
};
use tim_session::proto::wire::{Frame, FrameKind, MAX_FRAME_HEADER_LEN, encoded_len};
use tim_session::proto::{ErrorCode, GroupId, MessageId, MessageKind, UserId};
use tim_session::{
    ClientSession, Event, HubConfig, HubEvent, HubOutput, MAX_CURSOR_LEN, Output, RequestError,
};
use tim_testkit::RawBody;
use tim_testkit::ends::{
    Client, Hub, NOW, approach, carry, config, drain, hub, hub_at, memory, online_with, send, text, welcome,
};

const SIG: &str = "eJw-this-is-a-secret";

fn client_with(rx: usize, tx: usize, outbox: usize) -> Client {
    ClientSession::new(config(), SIG, memory(rx), memory(tx), memory(outbox), 1)
}

fn client() -> Client {
    client_with(1024, 1024, 1024)
}

/// A client that is ready, and the hub's end of its connection.
fn online(client: Client) -> (Client, Hub) {
    online_with(client, hub())
}

const SENT: SendResponse<'static> = SendResponse::new(1, 2);

/// Whether `debug` shows `secret`, as text or as a list of numbers.
fn shows(debug: &str, secret: &str) -> bool {
    let numbers = format!("{:?}", secret.as_bytes());
    debug.contains(secret) || debug.contains(numbers.trim_matches(['[', ']']))
}

#[test]
fn no_debug_output_shows_the_user_sig() {
    let mut client = client();
    assert!(!shows(&format!("{client:?}"), SIG));
    client.login(NOW);
    let _ = drain(&mut client, NOW);
    let mut hub = hub();
    client.connected(NOW);
    carry(&mut client, &mut hub, NOW);
    let _ = hub.poll(NOW);
    carry(&mut client, &mut hub, NOW);
    let _ = drain(&mut client, NOW);
    // Now the LOGIN frame stands in the outgoing bytes.
    assert!(shows(&format!("{:?}", client.outgoing()), SIG));
    assert!(!shows(&format!("{client:?}"), SIG));
    let up = client.outgoing().to_vec();
    let frame = Frame::parse(&up, up.len()).unwrap();
    assert!(!shows(&format!("{frame:?}"), SIG));
    assert_eq!(hub.receive(NOW, &up), up.len());
    assert!(!shows(&format!("{hub:?}"), SIG));
    assert!(!shows(&format!("{:?}", hub.poll(NOW)), SIG));
}

#[test]
fn what_waits_at_a_logout_fails_even_if_a_login_follows_at_once() {
    let (mut client, _hub) = online(client());
    let ticket = send(&mut client, NOW);
    client.disconnected(NOW); // the line is cut, so the logout is immediate
    client.logout(NOW);
    client.login(NOW);
    let Output::Event(Event::Failed { id: failed, failure }) = client.poll(NOW) else {
        panic!("the request outlived the logout")
    };
    assert_eq!((failed, failure.code), (ticket, ErrorCode::LOGGED_OUT));
    assert_eq!(client.pending(), 0);
}

#[test]
fn a_cut_during_the_logout_leaves_no_bytes_behind() {
    let (mut client, _hub) = online(client());
    client.logout(NOW);
    assert!(!client.outgoing().is_empty(), "the LOGOUT");
    client.disconnected(NOW);
    assert_eq!(client.outgoing(), b"");
    assert_eq!(drain(&mut client, NOW), ["NotReady"]);
}

#[test]
fn a_request_that_never_fits_says_what_would_fit() {
    for (tx, outbox) in [(1024, 100), (100, 1024)] {
        let mut client = client_with(1024, 200, outbox);
        client = ClientSession::new(
            client.config().clone(),
            "s",
            memory(1024),
            memory(tx),
            memory(outbox),
            1,
        );
        let (mut client, _hub) = online(client);
        let long = "x".repeat(100);
        let refused = client.send(NOW, &text(&long), SendOptions::default());
        let Err(RequestError::TooLarge { len, max }) = refused else {
            panic!("{refused:?}")
        };
        assert!(len > max, "{len} bytes are said not to fit {max}");
        // And what it names does fit.
        let fits = "x".repeat(100 - (len - max));
        client.send(NOW, &text(&fits), SendOptions::default()).unwrap();
    }
}

#[test]
fn a_peer_in_the_wrong_role_is_left_and_tried_again_later() {
    let mut other = client();
    other.login(NOW);
    let _ = drain(&mut other, NOW);
    other.connected(NOW);
    let mut client = client();
    client.login(NOW);
    let _ = drain(&mut client, NOW);
    client.connected(NOW);
    assert_eq!(client.receive(NOW, other.outgoing()), 20);
    assert_eq!(drain(&mut client, NOW), ["TurnedAway", "Disconnect"]);
    assert!(
        matches!(client.poll(NOW), Output::Wait(Some(_))),
        "it has given up"
    );
}

#[test]
fn a_tx_buffer_too_small_for_the_login_is_said_and_not_tried_forever() {
    let mut client = client_with(1024, 40, 1024);
    let mut hub = hub();
    client.login(NOW);
    assert_eq!(drain(&mut client, NOW), ["NetState", "Connect"]);
    client.connected(NOW);
    carry(&mut client, &mut hub, NOW);
    let _ = hub.poll(NOW);
    carry(&mut client, &mut hub, NOW);
    let Output::Event(Event::LoginFailed(failure)) = client.poll(NOW) else {
        panic!("not said")
    };
    assert_eq!(failure.code, ErrorCode::FRAME_TOO_LARGE);
    assert_eq!(drain(&mut client, NOW), ["Disconnect"]);
    assert_eq!(client.poll(NOW), Output::Wait(None));
}

#[test]
fn buffers_too_small_are_said_and_not_tried_forever() {
    for (rx, tx) in [(255, 1024), (1024, 19), (0, 0)] {
        let mut client = client_with(rx, tx, 1024);
        client.login(NOW);
        if rx >= 256 {
            assert_eq!(drain(&mut client, NOW), ["NetState", "Connect"]);
            client.connected(NOW);
        }
        assert_eq!(drain(&mut client, NOW), ["LoginFailed", "Disconnect"]);
        assert_eq!(client.poll(NOW), Output::Wait(None));
    }
}

#[test]
fn a_malformed_answer_says_so_when_it_is_read() {
    let (mut client, mut hub) = online(client());
    let ticket = send(&mut client, NOW);
    carry(&mut client, &mut hub, NOW);
    assert!(matches!(hub.poll(NOW), HubOutput::Event(_)));
    hub.respond_untyped(ticket.number(), FrameKind::SEND, &RawBody(b"\x01\x02\x03"))
        .unwrap();
    carry(&mut client, &mut hub, NOW);
    let Output::Event(Event::Response { response: answer, .. }) = client.poll(NOW) else {
        panic!("no answer")
    };
    assert_eq!(answer.kind(), FrameKind::SEND);
    let failure = answer.decode::<Send<'_>>().unwrap_err();
    assert_eq!(failure.code, ErrorCode::PROTOCOL_VIOLATION);
    assert_eq!((drain(&mut client, NOW), client.pending()), (vec![], 0));
}

#[test]
fn an_answer_of_another_kind_than_the_request_is_no_answer() {
    let (mut client, mut hub) = online(client());
    let ticket = send(&mut client, NOW);
    carry(&mut client, &mut hub, NOW);
    assert!(matches!(hub.poll(NOW), HubOutput::Event(_)));
    let deleted = MarkReadResponse::new(1).with_counted(1);
    hub.respond::<DeleteConversation>(ticket.number(), &deleted)
        .unwrap();
    carry(&mut client, &mut hub, NOW);
    let Output::Event(Event::Failed { id: failed, failure }) = client.poll(NOW) else {
        panic!("believed")
    };
    assert_eq!((failed, failure.code), (ticket, ErrorCode::PROTOCOL_VIOLATION));
    assert_eq!((drain(&mut client, NOW), client.pending()), (vec![], 0));
}

#[test]
fn a_late_poll_uses_what_came_in_time_before_anything_times_out() {
    // An answer.
    let (mut client_end, mut hub_end) = online(client());
    let ticket = send(&mut client_end, NOW);
    carry(&mut client_end, &mut hub_end, NOW);
    assert!(matches!(hub_end.poll(NOW), HubOutput::Event(_)));
    hub_end.respond::<Send<'_>>(ticket.number(), &SENT).unwrap();
    carry(&mut client_end, &mut hub_end, NOW);
    let late = NOW + client_end.config().request_timeout;
    let Output::Event(Event::Response {
        id: answered,
        response: answer,
    }) = client_end.poll(late)
    else {
        panic!("no answer")
    };
    assert_eq!((answered, answer.decode::<Send<'_>>()), (ticket, Ok(SENT)));
    // The answer to a login.
    let (mut client, mut hub) = (client(), hub());
    client.login(NOW);
    let _ = drain(&mut client, NOW);
    approach(&mut client, &mut hub, NOW);
    hub.accept(&welcome(&[1])).unwrap();
    carry(&mut client, &mut hub, NOW);
    let late = NOW + client.config().login_timeout;
    assert_eq!(drain(&mut client, late), ["LoggedIn", "NetState"]);
}

#[test]
fn a_hub_that_polls_late_uses_what_came_in_time() {
    let (mut client, mut hub) = (client(), hub());
    client.login(NOW);
    let _ = drain(&mut client, NOW);
    client.connected(NOW);
    carry(&mut client, &mut hub, NOW);
    let _ = hub.poll(NOW);
    carry(&mut client, &mut hub, NOW);
    let _ = drain(&mut client, NOW);
    carry(&mut client, &mut hub, NOW); // the LOGIN is there
    let late = NOW + HubConfig::default().login_timeout + Duration::from_secs(1);
    assert!(matches!(hub.poll(late), HubOutput::Event(HubEvent::Login(_))));
}

#[test]
fn a_delivery_that_cannot_be_read_is_reported_once_and_left_behind() {
    let (mut client, mut hub) = online(client());
    hub.deliver(&[9], 0, b"\xff\xff").unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["Malformed"]);
    assert_eq!(client.cursor(), [9], "it would come again after every cut");
    carry(&mut client, &mut hub, NOW);
    let _ = hub.poll(NOW);
    assert_eq!(hub.window_capacity(), hub.window());
}

#[test]
fn a_hub_that_gives_no_cursor_at_login_is_not_asked_to_resume_behind_it() {
    let (mut client, mut hub) = (client(), hub());
    client.login(NOW);
    let _ = drain(&mut client, NOW);
    approach(&mut client, &mut hub, NOW);
    hub.accept(&welcome(&[])).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["LoggedIn", "NetState"]);
    client.disconnected(NOW);
    let later = NOW + Duration::from_secs(1);
    let _ = drain(&mut client, later);
    let mut hub = hub_at(later);
    client.connected(later);
    carry(&mut client, &mut hub, later);
    let _ = hub.poll(later);
    carry(&mut client, &mut hub, later);
    let _ = drain(&mut client, later);
    carry(&mut client, &mut hub, later);
    let HubOutput::Event(HubEvent::Login(login)) = hub.poll(later) else {
        panic!("no login")
    };
    assert_eq!((login.resume, login.cursor), (Resume::NOW, &[][..]));
}

#[test]
fn acknowledgements_held_over_a_cut_are_not_sent_on_the_next_connection() {
    let (mut client, mut hub) = online(client());
    client.hold_acknowledgements(true);
    for cursor in [2, 3] {
        hub.deliver(&[cursor], 0, text("hi").to_encoded().as_bytes())
            .unwrap();
    }
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["Delivered", "Delivered"]);
    client.disconnected(NOW);
    let later = NOW + Duration::from_secs(1);
    assert_eq!(drain(&mut client, later), ["NetState", "NetState", "Connect"]);
    let mut hub = hub_at(later);
    approach(&mut client, &mut hub, later);
    hub.accept(&welcome(&[3])).unwrap();
    carry(&mut client, &mut hub, later);
    client.hold_acknowledgements(false);
    assert_eq!(drain(&mut client, later), ["LoggedIn", "NetState"]);
    assert_eq!((client.outgoing(), client.cursor()), (&[][..], &[3][..]));
}

#[test]
fn a_kick_is_told_before_what_it_ends() {
    let (mut client, mut hub) = online(client());
    let _ = send(&mut client, NOW);
    hub.goodbye(&Failure::new(ErrorCode::KICKED_OUT_MULT_DEVICE, "another device"));
    carry(&mut client, &mut hub, NOW);
    assert_eq!(
        drain(&mut client, NOW),
        ["KickedOut", "Failed", "NotReady", "Disconnect"]
    );
    assert_eq!(client.poll(NOW), Output::Wait(None));
    assert_eq!(client.pending(), 0);
}

#[test]
fn a_stub_with_the_longest_ids_fits_what_the_documentation_says() {
    let longest = UserId::new(&"u".repeat(UserId::MAX_LEN)).unwrap();
    let mut stub = text("");
    stub.envelope = Envelope::new(longest)
        .with_sequence(u64::MAX)
        .with_time(u64::MAX)
        .with_flags(MessageFlags(u32::MAX))
        .with_origin(u64::MAX);
    stub.to = GroupId::new(&"g".repeat(GroupId::MAX_LEN)).unwrap().into();
    stub.id = MessageId {
        sender: u64::MAX,
        client_time: u64::MAX,
        random: u32::MAX,
    };
    stub.client_sequence = u64::MAX;
    stub.payload = Payload::Unknown(MessageKind(u16::MAX), &[]);
    let body = Deliver::new(stub)
        .with_cursor(&[0xff; MAX_CURSOR_LEN])
        .with_payload_len(u32::MAX);
    let len = encoded_len(&body) + MAX_FRAME_HEADER_LEN;
    assert!(len <= 256, "{len}");
}

#[test]
fn a_second_connection_that_nobody_asked_for_is_a_cut_and_not_a_session_without_a_line() {
    let (mut client, _hub) = online(client());
    client.connected(NOW);
    assert_eq!(drain(&mut client, NOW), ["NetState", "Disconnect"]);
    let later = NOW + Duration::from_secs(1);
    assert_eq!(drain(&mut client, later), ["NetState", "Connect"]);
}
