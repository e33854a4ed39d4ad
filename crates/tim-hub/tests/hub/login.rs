//! Who gets in.

use super::support::{APP, Device, Observed, Raw, START_MS, TestHub, c2c, user};
use tim_proto::ErrorCode;
use tim_proto::request::{Conversations, Done};
use tim_proto::wire::{FrameKind, LEAST_MAX_FRAME};
use tim_store::{Refused, WriteError};

#[test]
fn a_login_needs_a_good_signature_of_the_right_user() {
    let hub = TestHub::start();
    for (signature, code) in [
        (String::new(), ErrorCode::ACCOUNT_USERSIG_EMPTY),
        ("nonsense".to_owned(), ErrorCode::ACCOUNT_USERSIG_CHECK_FAILED),
        (
            super::support::sig("mallory"),
            ErrorCode::ACCOUNT_USERSIG_MISMATCH_ID,
        ),
    ] {
        let mut device = Device::new(&hub, "alice", 1);
        device.session.set_user_sig(signature);
        device.session.login(tim_session::Instant::ZERO);
        device.until(|device| !device.observed.is_empty());
        assert_eq!(device.observed, [Observed::LoginFailed(code)]);
    }
    hub.clock_ms.store(
        START_MS + 31 * 24 * 3600 * 1000,
        std::sync::atomic::Ordering::SeqCst,
    );
    let mut device = Device::new(&hub, "alice", 1);
    device.session.login(tim_session::Instant::ZERO);
    device.until(|device| !device.observed.is_empty());
    assert_eq!(
        device.observed,
        [Observed::LoginFailed(ErrorCode::ACCOUNT_USERSIG_EXPIRED)]
    );
}

#[test]
fn a_login_to_another_application_is_refused() {
    let hub = TestHub::start();
    let mut device = Device::with(&hub, "alice", 1, |config| config.app = APP + 1);
    device.session.login(tim_session::Instant::ZERO);
    device.until(|device| !device.observed.is_empty());
    let refused = Observed::LoginFailed(ErrorCode::ACCOUNT_USERSIG_MISMATCH_SDKAPPID);
    assert_eq!(device.observed, [refused]);
    assert!(!device.session.is_ready());
}

/// Two clients with one device number: the one that is taken over comes back once, and then one of them stays away.
#[test]
fn the_same_device_again_replaces_its_older_connection() {
    let hub = TestHub::start();
    let mut old = Device::login(&hub, "alice", 1);
    let mut new = Device::login(&hub, "alice", 1);
    let turned_away = Observed::TurnedAway(ErrorCode::SESSION_REPLACED);
    let kicked = Observed::KickedOut(ErrorCode::SESSION_REPLACED);
    old.until(|device| {
        new.turn();
        device.observed.contains(&kicked)
    });
    assert_eq!(old.observed, [Observed::Ready, turned_away.clone(), kicked]);
    assert_eq!(new.observed, [Observed::Ready, turned_away]);
    assert!(!old.session.is_ready());
    new.send(c2c("bob"), "still here");
}

#[test]
fn a_login_that_comes_late_is_refused_and_the_newer_session_lives() {
    const ANSWER: Option<(FrameKind, u32)> = Some((FrameKind::LOGIN.answer(), 0));
    let refused = Some((FrameKind::ERROR, ErrorCode::SESSION_REPLACED.0));
    let hub = TestHub::start();
    let mut late: Vec<Raw> = (0..3).map(|_| Raw::open(&hub, 4096)).collect();
    let mut current = Raw::open(&hub, 4096);
    current.login("alice", 7, 0xA11CE, 3);
    assert_eq!(current.next(), ANSWER);
    assert_eq!(current.next(), Some((FrameKind::SYNCED, 0)));
    for (connection, attempt) in late.iter_mut().zip([1, 2, 3]) {
        connection.login("alice", 7, 0xA11CE, attempt);
        assert_eq!(connection.next(), refused, "attempt {attempt}");
        assert_eq!(connection.next(), None, "the hub closes");
        current.say(FrameKind::PING, 5, &Done);
        assert_eq!(current.next(), Some((FrameKind::PONG, 0)));
    }
    // Another life of the device takes over, and what the first one said before comes late as well.
    let mut later = Raw::open(&hub, 4096);
    later.login("alice", 7, 0xB0B, 1);
    assert_eq!(later.next(), ANSWER);
    assert_eq!(
        current.next(),
        Some((FrameKind::GOODBYE, ErrorCode::SESSION_REPLACED.0))
    );
    let mut connection = Raw::open(&hub, 4096);
    connection.login("alice", 7, 0xA11CE, 2);
    assert_eq!(connection.next(), refused);
    // Another device, or another user, is nobody's twin.
    for (name, device) in [("alice", 8), ("carol", 7)] {
        let mut other = Raw::open(&hub, 4096);
        other.login(name, device, 0xB0B, 1);
        assert_eq!(other.next(), ANSWER);
    }
}

#[test]
fn requests_that_wait_do_not_keep_a_session_that_was_taken_over() {
    const REQUESTS: u32 = 2000;
    let (hub, faults) = TestHub::start_faulty();
    let mut old = Raw::open(&hub, 4096);
    old.login("alice", 7, 1, 1);
    assert_eq!(old.next(), Some((FrameKind::LOGIN.answer(), 0)));
    assert_eq!(old.next(), Some((FrameKind::SYNCED, 0)));
    faults.hold_reads();
    old.say_at_once(FrameKind::CONVERSATIONS, 1..=REQUESTS, &Conversations::new());
    let mut new = Raw::open(&hub, 4096);
    new.login("alice", 7, 2, 1);
    while faults.held() < 2 {
        std::thread::yield_now();
    }
    faults.release();
    let answer = Some((FrameKind::CONVERSATIONS.answer(), 0));
    let mut answered = 0;
    let last = loop {
        match old.next() {
            next if next == answer => answered += 1,
            next => break next,
        }
    };
    assert_eq!(last, Some((FrameKind::GOODBYE, ErrorCode::SESSION_REPLACED.0)));
    assert!((1..REQUESTS).contains(&answered), "{answered}");
    assert_eq!(new.next(), Some((FrameKind::LOGIN.answer(), 0)));
}

#[test]
fn a_full_hub_says_so_and_when_to_come_back() {
    let hub = TestHub::start_with(|options| options.max_connections = 1);
    let first = Device::login(&hub, "alice", 1);
    let mut second = Device::new(&hub, "bob", 2);
    second.session.login(tim_session::Instant::ZERO);
    second.until(|device| !device.observed.is_empty());
    let full = Observed::TurnedAway(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR);
    assert_eq!(second.observed, [full]);
    let wait = loop {
        if let tim_session::Output::Wait(wait) = second.session.poll(tim_session::Instant::ZERO) {
            break wait.expect("it comes back");
        }
    };
    let wait = wait.since(tim_session::Instant::ZERO);
    assert!((4_500..10_500).contains(&wait.as_millis()), "{wait:?}");
    drop(first);
}

#[test]
fn a_client_that_takes_no_stub_is_turned_away_and_misses_nothing_in_silence() {
    let hub = TestHub::start();
    let mut small = Raw::open(&hub, LEAST_MAX_FRAME - 1);
    assert_eq!(
        small.next(),
        Some((FrameKind::GOODBYE, ErrorCode::FRAME_TOO_LARGE.0))
    );
    assert_eq!(small.next(), None);
    let mut large = Raw::open(&hub, LEAST_MAX_FRAME);
    large.login("alice", 7, 1, 1);
    assert_eq!(large.next(), Some((FrameKind::LOGIN.answer(), 0)));
}

#[test]
fn who_is_kept_out_has_no_session_and_gets_none_until_let_in() {
    let hub = TestHub::start();
    let mut alice = [1, 2].map(|number| Device::login(&hub, "alice", number));
    let mut bob = Device::login(&hub, "bob", 3);
    let block = |name: &str, is_blocked| hub.tell(async |hub| hub.block(user(name), is_blocked).await);
    assert_eq!(block("alice", true), Ok(2));
    let kicked = Observed::KickedOut(ErrorCode::KICKED_OUT_REST_API);
    for device in &mut alice {
        device.until(|device| device.observed.contains(&kicked));
    }
    let refused = Observed::LoginFailed(ErrorCode::ACCOUNT_INVALID_USERSIG);
    // Also after a restart, and one who has no account yet.
    assert_eq!(block("mallory", true), Ok(0));
    bob.cut();
    let hub = hub.restart();
    for name in ["alice", "mallory"] {
        let mut device = Device::new(&hub, name, 4);
        device.begin_login();
        device.until(|device| device.observed.contains(&refused));
    }
    bob.move_to(&hub);
    bob.until(|device| device.session.is_ready());
    let block = |name: &str, is_blocked| hub.tell(async |hub| hub.block(user(name), is_blocked).await);
    let nobody = WriteError::Refused(Refused::NoSuchUser(user("nobody")));
    assert_eq!(block("nobody", false), Err(nobody));
    assert_eq!(
        hub.shared().user(&user("nobody")),
        Ok(None),
        "letting in makes no account"
    );
    for name in ["alice", "mallory"] {
        assert_eq!(block(name, false), Ok(0));
        Device::login(&hub, name, 5);
    }
}
