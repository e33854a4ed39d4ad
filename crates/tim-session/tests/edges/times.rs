//! Every wait ends exactly when it should, and the wake-up says when that is.

use std::time::Duration;

use tim_session::proto::ErrorCode;
use tim_session::proto::request::Done;
use tim_session::proto::request::Failure;
use tim_session::proto::wire::{End, FrameKind};
use tim_session::{CloseReason, Event, HubConfig, HubOutput, Instant, NetState, Output};

use crate::support::*;

/// Nothing happens until `until`, which is when the session wants to be woken; then `seen`.
fn ends_at(client: &mut Client, until: Instant, seen: &[&str]) {
    assert_eq!(drain_until(client, NOW), (vec![], Some(until)));
    let before = Instant::from_micros(until.as_micros() - 1);
    assert_eq!(
        drain_until(client, before),
        (vec![], Some(until)),
        "a moment before"
    );
    assert_eq!(drain(client, until), seen);
}

#[test]
fn a_connection_that_does_not_open_is_given_up_after_the_connect_time_out() {
    let mut config = config();
    config.connect_timeout = Duration::from_secs(3);
    let mut client = client_with(config, [2048; 3]);
    connecting(&mut client, NOW);
    ends_at(&mut client, NOW + Duration::from_secs(3), &["Disconnect"]);
    // And it is tried again, after a wait.
    let (seen, wake) = drain_until(&mut client, NOW + Duration::from_secs(3));
    assert_eq!(seen, [""; 0]);
    assert_eq!(drain(&mut client, wake.unwrap()), ["NetState", "Connect"]);
}

#[test]
fn a_hub_that_says_nothing_is_given_up_after_the_login_time_out() {
    let mut config = config();
    config.login_timeout = Duration::from_secs(4);
    let mut client = client_with(config, [2048; 3]);
    connecting(&mut client, NOW);
    client.connected(NOW);
    ends_at(&mut client, NOW + Duration::from_secs(4), &["Disconnect"]);
}

#[test]
fn a_login_without_an_answer_is_given_up_after_the_login_time_out() {
    let mut config = config();
    config.login_timeout = Duration::from_secs(4);
    let mut client = client_with(config, [2048; 3]);
    let mut hub = hub();
    connecting(&mut client, NOW);
    approach(&mut client, &mut hub, NOW);
    ends_at(&mut client, NOW + Duration::from_secs(4), &["Disconnect"]);
}

#[test]
fn a_logout_without_an_answer_ends_after_the_request_time_out() {
    let mut config = config();
    config.request_timeout = Duration::from_secs(5);
    let (mut client, _hub) = online_with(client_with(config, [2048; 3]), hub());
    client.logout(NOW);
    ends_at(
        &mut client,
        NOW + Duration::from_secs(5),
        &["NotReady", "Disconnect"],
    );
    assert!(client.is_idle());
}

#[test]
fn a_request_fails_at_its_time_out_and_not_before() {
    let mut config = config();
    config.request_timeout = Duration::from_secs(5);
    let (mut client, _hub) = online_with(client_with(config, [2048; 3]), hub());
    send(&mut client, NOW);
    ends_at(&mut client, NOW + Duration::from_secs(5), &["Failed"]);
}

#[test]
fn silence_is_questioned_after_the_keep_alive_time_and_ends_the_connection_after_its_time_out() {
    let mut config = config();
    (config.keep_alive, config.keep_alive_timeout) = (Duration::from_secs(20), Duration::from_secs(6));
    let (mut client, _hub) = online_with(client_with(config, [2048; 3]), hub());
    client.transmitted(client.outgoing().len());
    let asked = NOW + Duration::from_secs(20);
    ends_at(&mut client, asked, &[]);
    assert_eq!(client.outgoing(), frame(FrameKind::PING, 0, &Done));
    client.transmitted(client.outgoing().len());
    let lost = asked + Duration::from_secs(6);
    assert_eq!(drain_until(&mut client, lost_before(lost)), (vec![], Some(lost)));
    assert_eq!(drain(&mut client, lost), ["NetState", "Disconnect"]);
}

fn lost_before(moment: Instant) -> Instant {
    Instant::from_micros(moment.as_micros() - 1)
}

#[test]
fn any_byte_from_the_hub_is_a_sign_of_life() {
    let (mut client, _hub) = online();
    let (half, keep_alive) = (Duration::from_secs(10), client.config().keep_alive);
    let pong = frame(FrameKind::PONG, 0, &Done);
    assert_eq!(client.receive(NOW + half, &pong[..1]), 1);
    let (seen, wake) = drain_until(&mut client, NOW + half);
    assert_eq!((seen, wake), (vec![], Some(NOW + half + keep_alive)));
    // And one that comes behind the question answers it.
    let asked = NOW + half + keep_alive;
    assert_eq!(drain(&mut client, asked), [""; 0]);
    let later = asked + TICK;
    assert_eq!(client.receive(later, &pong[1..]), 2);
    assert_eq!(
        drain_until(&mut client, later),
        (vec![], Some(later + keep_alive))
    );
    let nothing = client.receive(later + half, b"");
    assert_eq!(nothing, 0);
    let (_, wake) = drain_until(&mut client, later + half);
    assert_eq!(wake, Some(later + keep_alive), "no bytes are no sign of life");
}

#[test]
fn readiness_ends_exactly_when_the_cut_is_longer_than_the_resume_window() {
    let (mut client, _hub) = online();
    client.disconnected(NOW);
    let until = NOW + client.config().resume_window;
    let before = lost_before(until);
    while !matches!(client.poll(before), Output::Wait(_)) {}
    assert!(client.is_ready());
    let (_, wake) = drain_until(&mut client, before);
    assert_eq!(wake, Some(until));
    while !matches!(client.poll(until), Output::Wait(_)) {}
    assert!(!client.is_ready());
}

#[test]
fn a_hub_end_waits_for_hello_and_login_together_no_longer_than_the_login_time_out() {
    let mut config = HubConfig::default();
    config.login_timeout = Duration::from_secs(7);
    let until = NOW + config.login_timeout;
    let closed = HubOutput::Close(CloseReason::TimedOut);
    for greeted in [false, true] {
        let mut hub = hub_with(config, [2048, 2048]);
        if greeted {
            let bytes = hello(End::CLIENT, (1, 1), 4096);
            let later = NOW + Duration::from_secs(2);
            assert_eq!(hub.receive(later, &bytes), bytes.len());
            assert_eq!(hub.poll(later), HubOutput::Wait(Some(until)));
        }
        assert_eq!(hub.poll(lost_before(until)), HubOutput::Wait(Some(until)));
        assert_eq!(hub.poll(until), closed);
    }
}

#[test]
fn a_hub_end_asks_a_silent_client_for_a_sign_of_life_and_closes_without_one() {
    let mut config = HubConfig::default();
    (config.keep_alive, config.keep_alive_timeout) = (Duration::from_secs(20), Duration::from_secs(6));
    let (_client, mut hub) = online_with(client(), hub_with(config, [2048, 2048]));
    let (asked, lost) = (NOW + config.keep_alive, NOW + Duration::from_secs(26));
    assert_eq!(hub.poll(NOW), HubOutput::Wait(Some(asked)));
    assert_eq!(hub.poll(lost_before(asked)), HubOutput::Wait(Some(asked)));
    assert_eq!(hub.outgoing(), b"");
    assert_eq!(hub.poll(asked), HubOutput::Wait(Some(lost)));
    assert_eq!(hub.outgoing(), frame(FrameKind::PING, 0, &Done));
    assert_eq!(hub.poll(lost_before(lost)), HubOutput::Wait(Some(lost)));
    assert_eq!(hub.poll(lost), HubOutput::Close(CloseReason::TimedOut));
}

#[test]
fn a_wait_of_the_reconnect_ends_at_its_wake_up_and_the_next_ones_are_longer() {
    let mut client = client();
    connecting(&mut client, NOW);
    let (mut now, mut waits) = (NOW, Vec::new());
    for _ in 0..10 {
        client.disconnected(now);
        let (seen, wake) = drain_until(&mut client, now);
        assert_eq!(seen, [""; 0]);
        let wake = wake.unwrap();
        assert_eq!(drain_until(&mut client, lost_before(wake)), (vec![], Some(wake)));
        waits.push(wake - now);
        now = wake;
        assert_eq!(
            client.poll(now),
            Output::Event(Event::NetState(NetState::Connecting))
        );
        assert_eq!(client.poll(now), Output::Connect);
    }
    let (min, max) = (client.config().backoff_min, client.config().backoff_max);
    let mut span = min;
    for wait in waits {
        assert!(wait >= span / 2 && wait <= span, "{wait:?} of {span:?}");
        span = (span * 2).min(max);
    }
}

#[test]
fn a_login_that_is_refused_for_now_is_tried_again() {
    for (code, again) in [
        (ErrorCode::SERVER_SHUTTING_DOWN, true),
        (ErrorCode::RATE_LIMITED, true),
        (ErrorCode::STORAGE_FAILED, true),
        (ErrorCode::STORAGE_FULL, true),
        (ErrorCode::OUTCOME_UNKNOWN, true),
        (ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, true),
        (ErrorCode(70_001), false),
        (ErrorCode(70_009), false),
    ] {
        let (mut client, mut hub) = (client(), hub());
        connecting(&mut client, NOW);
        approach(&mut client, &mut hub, NOW);
        hub.refuse(&Failure::new(code, ""));
        carry(&mut client, &mut hub, NOW);
        let (seen, wake) = drain_until(&mut client, NOW);
        match again {
            true => assert_eq!(
                (&seen[..], wake.is_some()),
                (&["TurnedAway".to_owned(), "Disconnect".to_owned()][..], true)
            ),
            false => assert_eq!(
                (&seen[..], wake),
                (&["LoginFailed".to_owned(), "Disconnect".to_owned()][..], None)
            ),
        }
    }
}

#[test]
fn any_byte_from_the_client_is_a_sign_of_life_to_the_hub() {
    let (_client, mut hub) = online();
    let (half, keep_alive) = (Duration::from_secs(30), HubConfig::default().keep_alive);
    let pong = frame(FrameKind::PONG, 0, &Done);
    assert_eq!(hub.receive(NOW + half, &pong[..1]), 1);
    let asks = NOW + half + keep_alive;
    assert_eq!(hub.poll(NOW + half), HubOutput::Wait(Some(asks)));
    assert_eq!(hub.receive(NOW + half + half, b""), 0);
    assert_eq!(hub.poll(NOW + half + half), HubOutput::Wait(Some(asks)));
    assert!(matches!(hub.poll(asks), HubOutput::Wait(_)));
    let later = asks + TICK;
    assert_eq!(hub.receive(later, &pong[1..]), 2);
    assert_eq!(hub.poll(later), HubOutput::Wait(Some(later + keep_alive)));
}

#[test]
fn reconnects_of_many_devices_are_spread_over_the_wait() {
    // Half of them come up with the same seed, as after a power cut, and differ in their numbers only.
    let seeds = (1..=100_u64).map(|number| (number.wrapping_mul(0x9E37_79B9_7F4A_7C15), 1));
    let numbers = (1..=100).map(|number| (0x5EED, number));
    let (mut shares, mut first_shares) = (Vec::new(), Vec::new());
    for (seed, device) in seeds.chain(numbers) {
        let mut config = config();
        config.device = device;
        let mut client: Client =
            tim_session::ClientSession::new(config, "sig", memory(512), memory(512), memory(512), seed);
        connecting(&mut client, NOW);
        let (mut now, mut span) = (NOW, client.config().backoff_min);
        for _ in 0..4 {
            client.disconnected(now);
            let (_, wake) = drain_until(&mut client, now);
            let wait = wake.unwrap() - now;
            let share = (wait - span / 2).as_secs_f64() / (span / 2).as_secs_f64();
            shares.push(share);
            if now == NOW {
                first_shares.push(share);
            }
            now = wake.unwrap();
            span = (span * 2).min(client.config().backoff_max);
            let _ = drain(&mut client, now);
        }
    }
    // Each quarter of the upper half of the span has about a quarter of the reconnects.
    for (shares, name) in [
        (shares, "all"),
        (first_shares.split_off(100), "first of one seed"),
    ] {
        for quarter in 0..4 {
            let (from, to) = (f64::from(quarter) / 4.0, f64::from(quarter + 1) / 4.0);
            let count = shares.iter().filter(|share| (from..to).contains(*share)).count();
            assert!(
                (shares.len() * 14 / 80..=shares.len() * 26 / 80).contains(&count),
                "{count} of {} in quarter {quarter}: {name}",
                shares.len()
            );
        }
    }
}

/// The session counts milliseconds in 32 bits, which are 49 days.
#[test]
fn times_are_exact_however_long_a_session_lasts() {
    const HOUR: Duration = Duration::from_secs(3600);
    let mut config = config();
    config.request_timeout = 240 * HOUR;
    let (mut client, mut hub) = online_with(client_with(config, [2048; 3]), hub());
    let (mut now, mut sent_at, mut failed) = (NOW, NOW, 0);
    send(&mut client, now);
    while failed < 13 {
        now = now + 6 * HOUR;
        let until = sent_at + 240 * HOUR;
        if now == until {
            let early = drain(&mut client, lost_before(until));
            assert_eq!(early, [""; 0], "{failed} requests after the start");
            assert_eq!(drain(&mut client, until), ["Failed"]);
            send(&mut client, until);
            (sent_at, failed) = (until, failed + 1);
        }
        // Both ends ask after the silence, and are answered.
        for _ in 0..3 {
            carry(&mut client, &mut hub, now);
            assert_eq!(
                drain(&mut client, now),
                [""; 0],
                "{failed} requests after the start"
            );
            drain_hub(&mut hub, now);
        }
        let (_, wake) = drain_until(&mut client, now);
        assert_eq!(
            wake,
            Some((now + client.config().keep_alive).min(sent_at + 240 * HOUR))
        );
        assert!(
            client.is_ready() && hub.is_online(),
            "{failed} requests after the start"
        );
    }
    // The line dies, and that is noticed in its usual time.
    let asked = now + client.config().keep_alive;
    let lost = asked + client.config().keep_alive_timeout;
    assert_eq!(drain(&mut client, asked), [""; 0]);
    assert_eq!(drain(&mut client, lost_before(lost)), [""; 0]);
    assert_eq!(drain(&mut client, lost), ["NetState", "Disconnect"]);
}
