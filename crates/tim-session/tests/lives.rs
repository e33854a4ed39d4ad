//! Lives of a session: what arrives late, who takes over whom, who is refused for how long, and which clocks go wrong.

use std::time::Duration;

use tim_session::proto::ErrorCode;
use tim_session::proto::request::{Conversations, Done, Failure, LoginResponse};
use tim_session::proto::wire::{End, FrameKind, Hello, LEAST_MAX_FRAME};
use tim_session::{
    ClientConfig, ClientSession, CloseReason, ConfigError, Event, FixedBuffer, Framing, HubConfig, HubEvent,
    HubOutput, HubSession, Instant, Output, RequestId,
};
use tim_testkit::ends::{memory, take_down, take_up};
use tim_testkit::{c2c, messages, user};

type Client = ClientSession<String, FixedBuffer<'static>>;
type Hub = HubSession<FixedBuffer<'static>>;

const NOW: Instant = Instant::from_millis(1000);
const SECOND: Duration = Duration::from_secs(1);

fn buffer() -> FixedBuffer<'static> {
    memory(4000)
}

fn client(user: &str, framing: Framing, seed: u64) -> Client {
    let mut config = ClientConfig::new(1, tim_testkit::user(user), 7);
    config.framing = framing;
    ClientSession::new(
        config,
        format!("sig of {user}"),
        buffer(),
        buffer(),
        buffer(),
        seed,
    )
}

fn hub(framing: Framing, now: Instant) -> Hub {
    let mut config = HubConfig::default();
    config.framing = framing;
    HubSession::new(config, buffer(), buffer(), now)
}

/// What the client says next, up to its next wait.
fn drain(client: &mut Client, now: Instant) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        match client.poll(now) {
            Output::Wait(_) => return seen,
            Output::Event(event) => seen.push(match event {
                Event::LoggedIn(answer) => format!("LoggedIn {}", answer.account),
                Event::TurnedAway(failure) => format!("TurnedAway {}", failure.code),
                Event::LoginFailed(failure) => format!("LoginFailed {}", failure.code),
                Event::KickedOut(failure) => format!("KickedOut {}", failure.code),
                Event::NetState(state) => format!("{state:?}"),
                other => format!("{other:?}").split(['(', ' ']).next().unwrap().to_owned(),
            }),
            other => seen.push(format!("{other:?}")),
        }
    }
}

/// Connects, as the client asked, and brings its LOGIN to this hub's end of the connection.
fn approach(client: &mut Client, hub: &mut Hub, now: Instant) {
    client.connected(now);
    let _ = drain(client, now);
    let hello = take_up(client);
    assert_eq!(hub.receive(now, &hello), hello.len());
    assert!(matches!(hub.poll(now), HubOutput::Wait(_)));
    let hello = take_down(hub);
    assert_eq!(client.receive(now, &hello), hello.len());
    let _ = drain(client, now);
    let login = take_up(client);
    assert_eq!(hub.receive(now, &login), login.len());
    assert!(matches!(hub.poll(now), HubOutput::Event(HubEvent::Login(_))));
}

fn welcome(account: u64) -> LoginResponse<'static> {
    LoginResponse::new(account).with_cursor(&[1])
}

/// Waits as long as the client wants to, until it asks for a connection; when that is.
fn until_it_connects(client: &mut Client, mut now: Instant) -> Instant {
    for _ in 0..100 {
        loop {
            match client.poll(now) {
                Output::Connect => return now,
                Output::Wait(Some(until)) => break now = until,
                Output::Wait(None) => panic!("it has stopped"),
                _ => {}
            }
        }
    }
    panic!("it never connects");
}

/// Logged in on a connection of its own, and ready.
fn get_in(client: &mut Client, framing: Framing, now: Instant) -> Hub {
    let mut hub = hub(framing, now);
    approach(client, &mut hub, now);
    hub.accept(&welcome(99)).unwrap();
    hub.push(FrameKind::SYNCED, &Done).unwrap();
    let bytes = take_down(&mut hub);
    assert_eq!(client.receive(now, &bytes), bytes.len());
    let seen = drain(client, now);
    assert!(seen.contains(&"LoggedIn 99".to_owned()), "{seen:?}");
    hub
}

fn for_alice() -> Vec<u8> {
    let message = messages::text(user("carol"), c2c("alice"), "for alice only");
    message.to_encoded().into_inner()
}

/// The hub's hello to alice and what it says to her login, on a serial line; and bob, who has said hello on it since.
fn a_line_from_alice_to_bob(answer: impl FnOnce(&mut Hub)) -> (Vec<u8>, Vec<u8>, Client) {
    let mut hub = hub(Framing::Serial, NOW);
    let mut alice = client("alice", Framing::Serial, 0x5EED);
    alice.login(NOW);
    let _ = drain(&mut alice, NOW);
    alice.connected(NOW);
    let hello = take_up(&mut alice);
    assert_eq!(hub.receive(NOW, &hello), hello.len());
    assert!(matches!(hub.poll(NOW), HubOutput::Wait(_)));
    let hubs_hello = take_down(&mut hub);
    assert_eq!(alice.receive(NOW, &hubs_hello), hubs_hello.len());
    let _ = drain(&mut alice, NOW);
    let login = take_up(&mut alice);
    assert_eq!(hub.receive(NOW, &login), login.len());
    assert!(matches!(hub.poll(NOW), HubOutput::Event(HubEvent::Login(_))));
    answer(&mut hub);
    let rest = take_down(&mut hub);
    let mut bob = client("bob", Framing::Serial, 0x5EED);
    bob.login(NOW);
    let _ = drain(&mut bob, NOW);
    bob.connected(NOW);
    let _ = take_up(&mut bob);
    (hubs_hello, rest, bob)
}

#[test]
fn a_device_set_up_anew_takes_no_answer_to_the_login_of_its_earlier_life() {
    let (hello, rest, mut bob) = a_line_from_alice_to_bob(|hub| {
        hub.accept(&welcome(1111)).unwrap();
        hub.deliver(&[2], 0, &for_alice()).unwrap();
        hub.push(FrameKind::SYNCED, &Done).unwrap();
    });
    for chunk in [hello, rest] {
        assert_eq!(bob.receive(NOW, &chunk), chunk.len());
        assert_eq!(drain(&mut bob, NOW), [""; 0]);
    }
    assert_eq!((bob.is_ready(), bob.account()), (false, 0));
}

#[test]
fn a_device_set_up_anew_takes_no_refusal_and_no_kick_of_its_earlier_life() {
    type Answer = fn(&mut Hub);
    let answers: [(Answer, &[&str]); 3] = [
        (
            |hub| hub.refuse(&Failure::new(ErrorCode::ACCOUNT_USERSIG_EXPIRED, "")),
            &[],
        ),
        (
            |hub| hub.goodbye(&Failure::new(ErrorCode::KICKED_OUT_MULT_DEVICE, "")),
            &["TurnedAway 3002", "Disconnect"],
        ),
        (
            |hub| hub.goodbye(&Failure::new(ErrorCode::SESSION_REPLACED, "")),
            &["TurnedAway 200009", "Disconnect"],
        ),
    ];
    for (answer, seen) in answers {
        let (hello, rest, mut bob) = a_line_from_alice_to_bob(answer);
        assert_eq!(bob.receive(NOW, &hello), hello.len());
        assert_eq!(bob.receive(NOW, &rest), rest.len());
        assert_eq!(drain(&mut bob, NOW), seen);
        assert!(!bob.is_idle(), "it has stopped");
        // It gets in all the same, on the same line.
        let mut now = NOW;
        if !seen.is_empty() {
            now = until_it_connects(&mut bob, now);
        } else {
            bob.disconnected(now);
            now = until_it_connects(&mut bob, now);
        }
        get_in(&mut bob, Framing::Serial, now);
    }
}

#[test]
fn a_session_that_is_taken_over_comes_back_once_and_stays_away_if_that_repeats() {
    let mut client = client("alice", Framing::Stream, 5);
    client.login(NOW);
    let mut now = until_it_connects(&mut client, NOW);
    for (round, patience) in [(0, 120), (1, 120), (2, 120), (3, 30)] {
        let mut hub = get_in(&mut client, Framing::Stream, now);
        now = now + patience * SECOND;
        hub.goodbye(&Failure::new(ErrorCode::SESSION_REPLACED, ""));
        let bytes = take_down(&mut hub);
        assert_eq!(client.receive(now, &bytes), bytes.len());
        let seen = drain(&mut client, now);
        if round < 3 {
            // Each time after more than a minute: that is a first time again.
            assert_eq!(
                seen,
                ["TurnedAway 200009", "Disconnected", "Disconnect"],
                "round {round}"
            );
            now = until_it_connects(&mut client, now);
        } else {
            assert_eq!(seen, ["KickedOut 200009", "NotReady", "Disconnect"]);
            assert_eq!(client.poll(now), Output::Wait(None));
        }
    }
}

#[test]
fn whose_login_is_taken_for_an_old_one_draws_a_new_session() {
    let mut one = client("alice", Framing::Stream, 5);
    let mut sessions = Vec::new();
    one.login(NOW);
    let mut now = NOW;
    for _ in 0..2 {
        now = until_it_connects(&mut one, now);
        let mut hub = hub(Framing::Stream, now);
        one.connected(now);
        let hello = take_up(&mut one);
        assert_eq!(hub.receive(now, &hello), hello.len());
        let _ = hub.poll(now);
        let hello = take_down(&mut hub);
        assert_eq!(one.receive(now, &hello), hello.len());
        let _ = drain(&mut one, now);
        let login = take_up(&mut one);
        assert_eq!(hub.receive(now, &login), login.len());
        let HubOutput::Event(HubEvent::Login(login)) = hub.poll(now) else {
            panic!("no login")
        };
        sessions.push(login.session);
        hub.refuse(&Failure::new(ErrorCode::SESSION_REPLACED, ""));
        let refusal = take_down(&mut hub);
        assert_eq!(one.receive(now, &refusal), refusal.len());
        assert_eq!(drain(&mut one, now), ["TurnedAway 200009", "Disconnect"]);
    }
    assert_ne!(sessions[0], sessions[1]);
}

#[test]
fn only_tickets_and_kicks_end_a_session() {
    for code in [
        60_022, 200_005, 200_006, 200_007, 200_008, 200_011, 200_500, 10_002, 70_050, 70_169, 1, 0,
    ] {
        let mut client = client("alice", Framing::Stream, 5);
        client.login(NOW);
        let mut now = until_it_connects(&mut client, NOW);
        let told = [format!("TurnedAway {code}"), "Disconnect".to_owned()];
        for _ in 0..3 {
            let mut hub = hub(Framing::Stream, now);
            approach(&mut client, &mut hub, now);
            hub.refuse(&Failure::new(ErrorCode(code), "not now"));
            let bytes = take_down(&mut hub);
            assert_eq!(client.receive(now, &bytes), bytes.len());
            assert_eq!(drain(&mut client, now), told);
            now = until_it_connects(&mut client, now);
        }
        get_in(&mut client, Framing::Stream, now);
    }
    for code in [
        70_001, 70_003, 70_013, 70_051, 79_999, 3002, 3003, 3004, 3006, 20_002,
    ] {
        let mut client = client("alice", Framing::Stream, 5);
        client.login(NOW);
        let now = until_it_connects(&mut client, NOW);
        let mut hub = hub(Framing::Stream, now);
        approach(&mut client, &mut hub, now);
        hub.refuse(&Failure::new(ErrorCode(code), "never"));
        let bytes = take_down(&mut hub);
        assert_eq!(client.receive(now, &bytes), bytes.len());
        assert_eq!(
            drain(&mut client, now),
            [format!("LoginFailed {code}"), "Disconnect".to_owned()]
        );
        assert_eq!(client.poll(now), Output::Wait(None));
    }
}

#[test]
fn a_hub_that_lets_in_and_hangs_up_is_not_asked_ever_faster() {
    let mut client = client("alice", Framing::Stream, 5);
    client.login(NOW);
    let (mut now, mut logins) = (NOW, 0);
    loop {
        now = until_it_connects(&mut client, now);
        if now.since(NOW) > 16 * SECOND {
            break;
        }
        get_in(&mut client, Framing::Stream, now);
        logins += 1;
        client.disconnected(now);
    }
    assert!((4..=9).contains(&logins), "{logins} logins in 16 s");
    // A minute of peace, and the next loss is an ordinary one.
    get_in(&mut client, Framing::Stream, now);
    now = now + 61 * SECOND;
    client.disconnected(now);
    let again = until_it_connects(&mut client, now);
    assert!(
        again.since(now) <= Duration::from_millis(250),
        "{:?}",
        again.since(now)
    );
}

#[test]
fn what_is_no_hub_or_one_of_another_version_is_told_at_once_and_tried_again() {
    let strangers: [(&[u8], u32); 3] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", 200_026),
        (b"SSH-2.0-OpenSSH", 200_026),
        (b"tim\x1a\x07\x09\x02\0\0\0\0\0\0\x10\0\0\0\0\0\0", 200_002),
    ];
    for (bytes, code) in strangers {
        let mut client = client("alice", Framing::Stream, 5);
        client.login(NOW);
        let now = until_it_connects(&mut client, NOW);
        client.connected(now);
        let _ = client.receive(now, bytes);
        assert_eq!(
            drain(&mut client, now),
            [format!("TurnedAway {code}"), "Disconnect".to_owned()]
        );
        let later = until_it_connects(&mut client, now);
        get_in(&mut client, Framing::Stream, later);
    }
}

#[test]
fn a_clock_that_steps_back_or_wraps_ends_no_dead_line_detection() {
    for back in [1, 1000, 1_000_000, u64::MAX] {
        let mut client = client("alice", Framing::Stream, 5);
        let start = Instant::from_millis(50_000_000);
        client.login(start);
        let now = until_it_connects(&mut client, start);
        let mut hub = get_in(&mut client, Framing::Stream, now);
        // The clock steps back, and then the hub is silent: both ends find that out in their usual time.
        let mut now = Instant::from_micros(now.as_micros().saturating_sub(back));
        let (stepped, mut lost) = (now, [None; 2]);
        while now.since(stepped) < 200 * SECOND && lost.contains(&None) {
            if drain(&mut client, now).contains(&"Disconnected".to_owned()) {
                lost[0].get_or_insert_with(|| now.since(stepped));
            }
            if matches!(hub.poll(now), HubOutput::Close(_)) {
                lost[1].get_or_insert_with(|| now.since(stepped));
            }
            let _ = (take_up(&mut client), take_down(&mut hub));
            now = now + SECOND;
        }
        assert!(
            lost[0].is_some_and(|after| after < 45 * SECOND),
            "{back}: {lost:?}"
        );
        assert!(
            lost[1].is_some_and(|after| after < 90 * SECOND),
            "{back}: {lost:?}"
        );
    }
}

#[test]
fn no_clock_and_no_configuration_makes_a_session_poll_without_end() {
    type Change = fn(&mut ClientConfig, Duration);
    let changes: [Change; 4] = [
        |config, wait| (config.connect_timeout, config.login_timeout) = (wait, wait),
        |config, wait| (config.backoff_min, config.backoff_max) = (wait, wait),
        |config, wait| (config.keep_alive, config.keep_alive_timeout) = (wait, wait),
        |config, wait| {
            (config.request_timeout, config.resume_window, config.serial_retry) = (wait, wait, wait)
        },
    ];
    for back in [0, 1, 1_000_000, 20_000_000, u64::MAX] {
        let now = Instant::from_micros(u64::MAX - back);
        for wait in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            for case in 0..16 {
                let mut config = ClientConfig::new(1, user("a"), 7);
                for (at, change) in changes.iter().enumerate() {
                    if case & (1 << at) != 0 {
                        change(&mut config, wait);
                    }
                }
                assert_eq!(
                    config.check().is_ok(),
                    case == 0 || wait == Duration::MAX,
                    "{config:?}"
                );
                for connects in [true, false] {
                    let mut client = ClientSession::new(config.clone(), "s", buffer(), buffer(), buffer(), 5);
                    client.login(now);
                    let mut polls = 0;
                    loop {
                        polls += 1;
                        assert!(polls < 20, "{config:?} at {now:?}");
                        match client.poll(now) {
                            Output::Wait(until) => break assert!(until.is_none_or(|until| until >= now)),
                            Output::Connect if connects => client.connected(now),
                            Output::Connect => client.disconnected(now),
                            _ => {}
                        }
                    }
                }
            }
        }
        let mut hub = hub(Framing::Stream, now);
        assert!(
            matches!(hub.poll(now), HubOutput::Wait(Some(_))),
            "it gives up at once"
        );
    }
}

#[test]
fn who_takes_no_frame_large_enough_for_a_stub_is_told_so_by_either_end() {
    let mut config = ClientConfig::new(1, user("alice"), 7);
    config.max_frame = LEAST_MAX_FRAME - 1;
    assert!(matches!(
        config.check(),
        Err(ConfigError::TooSmall {
            what: "max_frame",
            ..
        })
    ));
    let mut client = ClientSession::new(config, String::new(), buffer(), buffer(), buffer(), 1);
    client.login(NOW);
    assert_eq!(drain(&mut client, NOW), ["LoginFailed 200004", "Disconnect"]);
    assert!(client.is_idle());
    for (max_frame, taken) in [(LEAST_MAX_FRAME, true), (LEAST_MAX_FRAME - 1, false), (0, false)] {
        let mut hub = hub(Framing::Stream, NOW);
        let hello = Hello {
            min_version: 1,
            max_version: 1,
            end: End::CLIENT,
            features: 0,
            max_frame,
            window: 1,
        };
        let _ = hub.receive(NOW, &hello.to_bytes());
        let closed = HubOutput::Close(CloseReason::Violation(ErrorCode::FRAME_TOO_LARGE));
        assert_eq!(hub.poll(NOW) != closed, taken, "{max_frame}");
    }
}

/// The code with which the hub's refusal of each request in this order is told.
fn refusals(
    client: &mut Client,
    hub: &mut Hub,
    now: Instant,
    refusals: &[(RequestId, Failure<'_>)],
) -> Vec<ErrorCode> {
    for (id, failure) in refusals {
        hub.fail(id.number(), failure).unwrap();
    }
    let bytes = take_down(hub);
    assert_eq!(client.receive(now, &bytes), bytes.len());
    let mut codes = Vec::new();
    loop {
        match client.poll(now) {
            Output::Event(Event::Failed { failure, .. }) => codes.push(failure.code),
            Output::Wait(_) => return codes,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_refusal_for_the_moment_says_nothing_about_a_request_that_was_sent_before() {
    let mut client = client("alice", Framing::Stream, 0x5EED);
    client.login(NOW);
    let now = until_it_connects(&mut client, NOW);
    let mut hub = get_in(&mut client, Framing::Stream, now);
    let ask = |client: &mut Client| client.request(now, &Conversations::new()).unwrap().id();
    let [first, second, third] = [ask(&mut client), ask(&mut client), ask(&mut client)];
    let _ = drain(&mut client, now);
    let _ = take_up(&mut client);
    // The third one is refused on the connection on which it was sent.
    let full = Failure::new(ErrorCode::STORAGE_FULL, "").with_retry_after_ms(10_000);
    let denied = Failure::new(ErrorCode::GROUP_PERMISSION_DENY, "");
    assert_eq!(
        refusals(&mut client, &mut hub, now, &[(third, full)]),
        [ErrorCode::STORAGE_FULL]
    );
    client.disconnected(now);
    let now = until_it_connects(&mut client, now);
    let mut hub = get_in(&mut client, Framing::Stream, now);
    let fresh = client.request(now, &Conversations::new()).unwrap().id();
    let _ = drain(&mut client, now);
    let seen = refusals(
        &mut client,
        &mut hub,
        now,
        &[(first, full), (second, denied), (fresh, full)],
    );
    assert_eq!(
        seen,
        [
            ErrorCode::OUTCOME_UNKNOWN,
            ErrorCode::GROUP_PERMISSION_DENY,
            ErrorCode::STORAGE_FULL
        ]
    );
}
