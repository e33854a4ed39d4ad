//! Both ends against each other, byte by byte, without a socket or a clock.

use tim_session::proto::ErrorCode;
use tim_session::proto::message::SendOptions;
use tim_session::proto::request::{Failure, Fetch, Send, SendResponse};
use tim_session::proto::wire::{DecodeFault, FrameKind};
use tim_session::{
    ClientSession, DeliverError, Event, FixedBuffer, Framing, FramingChoice, HubConfig, HubEvent, HubOutput,
    HubSession, NetState, NotReadyReason, OnlySerial, OnlyStream, Output, RequestError,
};

use tim_testkit::ends::{
    Client, Hub, NOW, approach, approach_in_pieces, carry, carry_in_pieces, client_with, config, connecting,
    drain, hub_with, let_in, memory, text, welcome,
};

/// A client that takes two deliveries ahead, and a hub's end.
fn ends() -> (Client, Hub) {
    let mut config = config();
    config.window = 2;
    (
        client_with(config, [2048; 3]),
        hub_with(HubConfig::default(), [2048; 2]),
    )
}

/// Logs in, in pieces of `step` bytes.
fn login(client: &mut Client, hub: &mut Hub, step: usize) {
    connecting(client, NOW);
    approach_in_pieces(client, hub, NOW, step);
    let HubOutput::Event(HubEvent::Login(login)) = hub.poll(NOW) else {
        panic!("no login")
    };
    assert_eq!(
        (login.user.as_str(), login.user_sig, login.device),
        ("alice", "sig", 7)
    );
    let_in(hub);
    carry_in_pieces(client, hub, NOW, step);
    assert_eq!(drain(client, NOW), ["LoggedIn", "NetState", "Ready"]);
    assert_eq!((client.account(), client.cursor()), (99, &[1][..]));
}

#[test]
fn logs_in_sends_and_is_answered_even_one_byte_at_a_time() {
    for step in [1, 3, 4096] {
        let (mut client, mut hub) = ends();
        assert_eq!(
            client.send(NOW, &text("x"), SendOptions::default()),
            Err(RequestError::NotReady)
        );
        login(&mut client, &mut hub, step);
        let ticket = client.send(NOW, &text("你好"), SendOptions::default()).unwrap();
        carry_in_pieces(&mut client, &mut hub, NOW, step);
        let HubOutput::Event(HubEvent::Request { id, request }) = hub.poll(NOW) else {
            panic!("no request")
        };
        let (send, body) = (request.decode::<Send<'_>>().unwrap(), request.body());
        assert_eq!(request.decode::<Fetch>().unwrap_err().fault, DecodeFault::Kind);
        assert_eq!(send.content.to, text("").to);
        assert!(body.ends_with(Send::content_bytes(body).unwrap()));
        let answer = SendResponse::new(1, 2);
        hub.respond::<Send<'_>>(id, &answer).unwrap();
        carry_in_pieces(&mut client, &mut hub, NOW, step);
        let Output::Event(Event::Response {
            id: answered,
            response: raw,
        }) = client.poll(NOW)
        else {
            panic!("no answer")
        };
        assert_eq!(
            (answered, ticket.response(&raw), raw.decode::<Fetch>()),
            (ticket.id(), Ok(answer), Err(Failure::MALFORMED))
        );
        assert_eq!(drain(&mut client, NOW), [""; 0]);
        assert_eq!(client.pending(), 0);
    }
}

#[test]
fn deliveries_stop_at_the_window_and_go_on_after_the_acknowledgement() {
    let (mut client, mut hub) = ends();
    login(&mut client, &mut hub, usize::MAX);
    let mut message = text("hi");
    let mut deliver = |hub: &mut Hub, sequence: u64| {
        message.envelope.sequence = sequence;
        hub.deliver(&sequence.to_le_bytes(), 0, message.to_encoded().as_bytes())
    };
    deliver(&mut hub, 1).unwrap();
    deliver(&mut hub, 2).unwrap();
    assert_eq!(deliver(&mut hub, 3), Err(DeliverError::Window));
    carry(&mut client, &mut hub, NOW);
    assert!(matches!(client.poll(NOW), Output::Event(Event::Delivered(_))));
    assert_eq!(
        client.cursor(),
        1_u64.to_le_bytes(),
        "behind the delivery that the application holds"
    );
    assert!(matches!(client.poll(NOW), Output::Event(Event::Delivered(_))));
    assert_eq!(client.cursor(), 2_u64.to_le_bytes());
    assert_eq!(drain(&mut client, NOW), [""; 0]);
    assert_eq!(client.cursor(), 2_u64.to_le_bytes());
    carry(&mut client, &mut hub, NOW);
    assert!(matches!(hub.poll(NOW), HubOutput::Wait(_)));
    assert_eq!(hub.window_capacity(), 2);
    deliver(&mut hub, 3).unwrap();
}

#[test]
fn held_acknowledgements_stop_the_hub_at_the_window_but_not_answers() {
    let (mut client, mut hub) = ends();
    login(&mut client, &mut hub, usize::MAX);
    client.hold_acknowledgements(true);
    let message = text("hi").to_encoded();
    hub.deliver(&[2], 0, message.as_bytes()).unwrap();
    hub.deliver(&[3], 0, message.as_bytes()).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["Delivered", "Delivered"]);
    assert_eq!(client.cursor(), [3]);
    let ticket = client.send(NOW, &text("x"), SendOptions::default()).unwrap();
    carry(&mut client, &mut hub, NOW);
    let HubOutput::Event(HubEvent::Request { id, .. }) = hub.poll(NOW) else {
        panic!("no request")
    };
    assert_eq!((id, hub.window_capacity()), (ticket.id().number(), 0));
    let answer = SendResponse::new(1, 2);
    hub.respond::<Send<'_>>(id, &answer).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["Response"]);
    client.hold_acknowledgements(false);
    assert_eq!(drain(&mut client, NOW), [""; 0]);
    carry(&mut client, &mut hub, NOW);
    assert!(matches!(hub.poll(NOW), HubOutput::Wait(_)));
    assert_eq!(hub.window_capacity(), 2);
}

#[test]
fn a_request_outlives_a_cut_and_is_answered_once() {
    let (mut client, mut hub) = ends();
    login(&mut client, &mut hub, usize::MAX);
    let ticket = client.send(NOW, &text("x"), SendOptions::default()).unwrap();
    carry(&mut client, &mut hub, NOW); // it reached the hub, whose answer is lost with the line
    client.disconnected(NOW);
    assert_eq!(drain(&mut client, NOW), ["NetState"]);
    assert!(client.is_ready(), "a short cut does not end readiness");
    let later = NOW + std::time::Duration::from_secs(1);
    assert!(matches!(
        client.poll(later),
        Output::Event(Event::NetState(NetState::Connecting))
    ));
    assert_eq!(client.poll(later), Output::Connect);
    let (_, mut hub) = ends();
    client.connected(later);
    carry(&mut client, &mut hub, NOW);
    assert!(matches!(hub.poll(NOW), HubOutput::Wait(_)));
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), [""; 0]);
    carry(&mut client, &mut hub, NOW);
    let HubOutput::Event(HubEvent::Login(login)) = hub.poll(NOW) else {
        panic!()
    };
    assert_eq!(login.cursor, [1]);
    hub.accept(&welcome(&[1])).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert_eq!(drain(&mut client, NOW), ["LoggedIn", "NetState"]);
    carry(&mut client, &mut hub, NOW);
    let HubOutput::Event(HubEvent::Request { id, .. }) = hub.poll(NOW) else {
        panic!("not sent again")
    };
    assert_eq!(id, ticket.id().number());
}

#[test]
fn a_request_without_an_answer_times_out_once() {
    let (mut client, mut hub) = ends();
    login(&mut client, &mut hub, usize::MAX);
    let ticket = client.send(NOW, &text("x"), SendOptions::default()).unwrap();
    let late = NOW + client.config().request_timeout;
    let Output::Event(Event::Failed { id: failed, failure }) = client.poll(late) else {
        panic!()
    };
    assert_eq!((failed, failure.code), (ticket.id(), ErrorCode::NETWORK_TIMEOUT));
    assert_eq!(client.pending(), 0);
}

#[test]
fn a_response_that_comes_behind_the_deadline_is_told_as_what_it_is() {
    let (mut client, mut hub) = ends();
    login(&mut client, &mut hub, usize::MAX);
    let ticket = client.send(NOW, &text("x"), SendOptions::default()).unwrap();
    carry(&mut client, &mut hub, NOW);
    let HubOutput::Event(HubEvent::Request { id, .. }) = hub.poll(NOW) else {
        panic!("no request")
    };
    assert_eq!(id, ticket.id().number());
    let late = NOW + client.config().request_timeout;
    assert_eq!(drain(&mut client, late), ["Failed"]);
    hub.respond::<Send<'_>>(id, &SendResponse::new(1, 2)).unwrap();
    carry(&mut client, &mut hub, late);
    let kind = FrameKind::SEND;
    assert_eq!(client.poll(late), Output::Event(Event::Late { kind }));
    assert_eq!(drain(&mut client, late), [""; 0]);
}

#[test]
fn a_long_cut_ends_readiness_and_a_login_restores_it() {
    let (mut client, mut hub) = ends();
    login(&mut client, &mut hub, usize::MAX);
    client.disconnected(NOW);
    assert_eq!(drain(&mut client, NOW), ["NetState"]);
    let late = NOW + client.config().resume_window;
    assert_eq!(
        client.poll(late),
        Output::Event(Event::NotReady(NotReadyReason::ConnectionLost))
    );
    assert_eq!(
        client.send(late, &text("x"), SendOptions::default()),
        Err(RequestError::NotReady)
    );
}

#[test]
fn strangers_and_liars_are_turned_away() {
    for (bytes, code) in [
        (&b"GET / HTTP/1.1\r\n"[..], ErrorCode::PROTOCOL_VIOLATION),
        (
            &b"tim\x1a\x02\x09\x01\0\0\0\0\0\0\x10\0\0\x01\0\0\0"[..],
            ErrorCode::UNSUPPORTED_VERSION,
        ),
    ] {
        let (_, mut hub) = ends();
        assert_eq!(hub.receive(NOW, bytes), bytes.len());
        assert_eq!(
            hub.poll(NOW),
            HubOutput::Close(tim_session::CloseReason::Violation(code))
        );
        assert!(!hub.outgoing().is_empty(), "the peer is told");
    }
    // Before the login, less is taken than after it.
    let (mut rx, mut tx) = ([0; 20_000], [0; 2048]);
    let mut hub = HubSession::new(
        HubConfig::default(),
        FixedBuffer(&mut rx),
        FixedBuffer(&mut tx),
        NOW,
    );
    let hello = *b"tim\x1a\x01\x01\x01\0\0\0\0\0\0\x10\0\0\x01\0\0\0";
    assert_eq!(hub.receive(NOW, &hello), hello.len());
    assert_eq!(
        hub.receive(NOW, &[FrameKind::LOGIN.0, 0, 0x80, 0x60]),
        4,
        "12 KiB are announced"
    );
    assert_eq!(
        hub.poll(NOW),
        HubOutput::Close(tim_session::CloseReason::Violation(ErrorCode::FRAME_TOO_LARGE))
    );
    let (mut client, mut hub) = ends();
    login(&mut client, &mut hub, usize::MAX);
    // An acknowledgement of what was never delivered.
    assert_eq!(hub.receive(NOW, &[FrameKind::ACK.0, 9, 0]), 3);
    assert!(matches!(hub.poll(NOW), HubOutput::Close(_)));
}

#[test]
fn a_poll_that_comes_late_still_leaves_the_peer_its_time() {
    let (mut client, mut hub) = ends();
    login(&mut client, &mut hub, usize::MAX);
    // Both were asleep for an hour.
    let late = NOW + std::time::Duration::from_secs(3600);
    let timeout = client.config().keep_alive_timeout;
    assert_eq!(client.poll(late), Output::Wait(Some(late + timeout)));
    let until = late + HubConfig::default().keep_alive_timeout;
    assert_eq!(hub.poll(late), HubOutput::Wait(Some(until)));
    assert!(matches!(hub.poll(until), HubOutput::Close(_)));
}

#[test]
fn a_delivery_that_was_handed_over_before_a_cut_is_not_handed_over_again() {
    let (mut client, mut hub) = ends();
    login(&mut client, &mut hub, usize::MAX);
    hub.deliver(&[9], 0, text("x").to_encoded().as_bytes()).unwrap();
    carry(&mut client, &mut hub, NOW);
    assert!(matches!(client.poll(NOW), Output::Event(Event::Delivered(_))));
    client.disconnected(NOW); // before the next poll
    assert_eq!(client.cursor(), [9]);
}

/// A framing that is chosen when the program is compiled is the one that the session speaks, whatever the configuration says.
#[test]
fn a_framing_can_be_a_type() {
    fn logs_in_and_sends<F: FramingChoice>(framing: F, configured: Framing, spoken: Framing) {
        let (mut client_config, mut hub_config) = (config(), HubConfig::default());
        (client_config.framing, hub_config.framing) = (configured, spoken);
        let [rx, tx, outbox] = [2048; 3].map(memory);
        let mut client = ClientSession::with_framing(framing, client_config, "sig", rx, tx, outbox, 1);
        assert_eq!(client.config().framing, spoken);
        let mut hub = hub_with(hub_config, [2048; 2]);
        connecting(&mut client, NOW);
        approach(&mut client, &mut hub, NOW);
        let_in(&mut hub);
        carry(&mut client, &mut hub, NOW);
        assert_eq!(drain(&mut client, NOW), ["LoggedIn", "NetState", "Ready"]);
        assert!(client.send(NOW, &text("x"), SendOptions::default()).is_ok());
        carry(&mut client, &mut hub, NOW);
        assert!(matches!(
            hub.poll(NOW),
            HubOutput::Event(HubEvent::Request { .. })
        ));
    }
    logs_in_and_sends(OnlyStream, Framing::Serial, Framing::Stream);
    logs_in_and_sends(OnlySerial, Framing::Stream, Framing::Serial);
    logs_in_and_sends(Framing::Serial, Framing::Stream, Framing::Serial);
}
