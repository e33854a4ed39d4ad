//! Who gets in.

use super::support::{APP, Device, START_MS, Seen, TestHub, c2c};
use tim_proto::ErrorCode;
use tim_session::{Event, Output};

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
        device.until(|device| !device.seen.is_empty());
        assert_eq!(device.seen, [Seen::LoginFailed(code)]);
    }
    hub.clock_ms.store(
        START_MS + 31 * 24 * 3600 * 1000,
        std::sync::atomic::Ordering::SeqCst,
    );
    let mut device = Device::new(&hub, "alice", 1);
    device.session.login(tim_session::Instant::ZERO);
    device.until(|device| !device.seen.is_empty());
    assert_eq!(
        device.seen,
        [Seen::LoginFailed(ErrorCode::ACCOUNT_USERSIG_EXPIRED)]
    );
}

#[test]
fn a_login_to_another_application_is_refused() {
    let hub = TestHub::start();
    let mut device = Device::with(&hub, "alice", 1, |config| config.app = APP + 1);
    device.session.login(tim_session::Instant::ZERO);
    device.until(|device| !device.seen.is_empty());
    let refused = Seen::LoginFailed(ErrorCode::ACCOUNT_USERSIG_MISMATCH_SDKAPPID);
    assert_eq!(device.seen, [refused]);
    assert!(!device.session.is_ready());
}

#[test]
fn the_same_device_again_replaces_its_older_connection() {
    let hub = TestHub::start();
    let mut old = Device::login(&hub, "alice", 1);
    let mut new = Device::login(&hub, "alice", 1);
    old.until(|device| device.seen.len() > 1);
    assert_eq!(old.seen[1..], [Seen::KickedOut(ErrorCode::SESSION_REPLACED)]);
    assert!(!old.session.is_ready());
    new.send(c2c("bob"), "still here");
    assert!(matches!(
        old.session.poll(tim_session::Instant::ZERO),
        Output::Wait(None) | Output::Event(Event::NotReady(_))
    ));
}
