//! A session lasts as long as its UserSig.

use std::time::Duration;

use tim_hub::usersig::{App, UserSig};
use tim_proto::ErrorCode;
use tim_proto::request::{Conversations, Renew};
use tim_proto::wire::FrameKind;

use super::support::{APP, Device, Observed, Raw, Reply, START_MS, TestHub, app, c2c, sig_for, user};

fn login_for(hub: &TestHub, name: &str, seconds: u64) -> Device {
    let mut device = Device::new(hub, name, 1);
    device.session.set_user_sig(sig_for(name, seconds));
    device.log_in();
    device
}

fn expiring(device: &Device) -> Vec<u32> {
    let seconds = device.observed.iter().filter_map(|seen| match seen {
        Observed::Expiring(seconds) => Some(*seconds),
        _ => None,
    });
    seconds.collect()
}

#[test]
fn a_session_is_warned_and_ends_with_its_user_sig() {
    let hub = TestHub::start();
    let mut alice = login_for(&hub, "alice", 3600);
    hub.advance(Duration::from_secs(3300 - 1));
    alice.conversations();
    assert!(expiring(&alice).is_empty());
    hub.advance(Duration::from_secs(1));
    alice.conversations();
    alice.conversations();
    assert_eq!(expiring(&alice), [300], "once");
    hub.advance(Duration::from_secs(299));
    alice.conversations();
    hub.advance(Duration::from_secs(1));
    let kicked = Observed::KickedOut(ErrorCode::KICKED_OUT_USERSIG_EXPIRED);
    let list = Conversations::new();
    alice.start(&list); // something, so that the hub looks at the time
    alice.until(|device| device.observed.contains(&kicked));
}

#[test]
fn requests_that_wait_do_not_prolong_a_session() {
    let (hub, faults) = TestHub::start_faulty();
    let mut alice = Raw::open(&hub, 4096);
    alice.login("alice", 1, 1, 1);
    assert_eq!(alice.next(), Some((FrameKind::LOGIN.answer(), 0)));
    assert_eq!(alice.next(), Some((FrameKind::SYNCED, 0)));
    faults.hold_reads();
    alice.say_at_once(FrameKind::CONVERSATIONS, 1..=3, &Conversations::new());
    while faults.held() == 0 {
        std::thread::yield_now();
    }
    hub.advance(Duration::from_secs(30 * 24 * 3600));
    faults.release();
    let answer = Some((FrameKind::CONVERSATIONS.answer(), 0));
    assert_eq!(alice.next(), answer, "it was being read");
    let expired = ErrorCode::KICKED_OUT_USERSIG_EXPIRED.0;
    assert_eq!(alice.next(), Some((FrameKind::GOODBYE, expired)));
    assert_eq!(alice.next(), None, "the others are not answered");
}

#[test]
fn a_newer_user_sig_goes_on_without_a_new_connection() {
    let hub = TestHub::start();
    let mut alice = login_for(&hub, "alice", 600);
    hub.advance(Duration::from_secs(400));
    alice.conversations();
    assert_eq!(expiring(&alice).len(), 1);
    let newer = sig_for("alice", 3600);
    let renew = Renew::new(&newer);
    assert_eq!(alice.ask(&renew), Ok(Reply::Renewed(START_MS / 1000 + 3600)));
    hub.advance(Duration::from_secs(600));
    assert_eq!(alice.send(c2c("bob"), "still here"), 1);
    hub.advance(Duration::from_secs(2400));
    alice.conversations();
    assert_eq!(expiring(&alice).len(), 2, "of the newer one in its turn");
    hub.advance(Duration::from_secs(200));
    alice.start(&Conversations::new());
    let kicked = Observed::KickedOut(ErrorCode::KICKED_OUT_USERSIG_EXPIRED);
    alice.until(|device| device.observed.contains(&kicked));
}

#[test]
fn a_session_is_not_renewed_by_what_would_not_let_in() {
    let hub = TestHub::start();
    let mut alice = login_for(&hub, "alice", 600);
    hub.advance(Duration::from_secs(60));
    let guessed = App::new(APP, "another key, of the same length or not");
    for (user_sig, code) in [
        (sig_for("bob", 3600), ErrorCode::ACCOUNT_USERSIG_MISMATCH_ID),
        (sig_for("alice", 30), ErrorCode::ACCOUNT_USERSIG_EXPIRED),
        (
            UserSig::sign(&guessed, &user("alice"), START_MS / 1000, 3600),
            ErrorCode(70_009),
        ),
        (
            UserSig::sign(&app(), &user("alice"), START_MS, 3600),
            ErrorCode(70_005),
        ),
    ] {
        let renew = Renew::new(&user_sig);
        assert_eq!(alice.ask(&renew), Err(code));
    }
    assert_eq!(alice.send(c2c("bob"), "the session goes on"), 1);
    hub.advance(Duration::from_secs(540));
    alice.start(&Conversations::new());
    let kicked = Observed::KickedOut(ErrorCode::KICKED_OUT_USERSIG_EXPIRED);
    alice.until(|device| device.observed.contains(&kicked));
}

#[test]
fn a_wall_clock_that_jumps_ends_nobodys_session() {
    let hub = TestHub::start();
    let mut alice = login_for(&hub, "alice", 600);
    hub.set_clock(START_MS + 8 * 24 * 3600 * 1000);
    assert_eq!(alice.send(c2c("bob"), "a week later, it says"), 1);
    hub.set_clock(START_MS);
    alice.conversations();
    assert!(expiring(&alice).is_empty());
}
