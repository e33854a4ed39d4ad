//! What else happens before a notification is sent: the token moves, the sink is down for long, the hub is killed.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tim_hub::PushOptions;

use super::super::support::{Device, TestHub, c2c, user};
use super::{PHONE, TestSink, offline, start, stats_once};

/// Whoever has the phone now sees nothing of what was for the former user.
#[test]
fn a_token_that_moves_while_a_notification_waits_gets_it_no_more() {
    let (hub, sink) = start();
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    sink.fail();
    alice.send(c2c("bob"), "for Bob");
    sink.wait(|state| state.attempts > 0);
    offline(&hub, "carol", 3, PHONE);
    sink.set(None);
    alice.send(c2c("carol"), "for Carol");
    assert_eq!(sink.texts(1), ["for Carol"]);
    assert_eq!(sink.last().user, user("carol"));
    // Bob has been looked up once more.
    stats_once(&hub, |stats| stats.users == 1 && stats.waiting == 0);
    assert_eq!(sink.texts(1), ["for Carol"]);
}

#[test]
fn a_sink_that_is_down_for_an_hour_costs_no_queue_and_gets_everything_once() {
    let (hub, sink) = start();
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    sink.fail();
    for minute in 0..60 {
        alice.send(c2c("bob"), &format!("minute {minute}"));
        hub.advance(Duration::from_secs(60));
        assert!(hub.shared().stats().push.waiting <= 1, "one user");
    }
    sink.wait(|state| state.attempts > 0);
    sink.set(None);
    let expected: Vec<_> = (0..60).map(|minute| format!("minute {minute}")).collect();
    assert_eq!(sink.texts(60), expected);
    stats_once(&hub, |stats| stats.waiting == 0);
    assert_eq!(sink.texts(60), expected);
}

/// What a hub leaves that is killed when a message is durable, and nobody has been told of it.
#[test]
fn a_hub_that_is_killed_behind_a_commit_notifies_when_it_is_back() {
    let sink = Arc::new(TestSink::default());
    sink.fail();
    let options = PushOptions::new(sink.clone());
    let (hub, faults) = TestHub::start_faulty_with(|hub| hub.push = Some(options));
    offline(&hub, "bob", 2, PHONE);
    let mut alice = Device::login(&hub, "alice", 1);
    let left = Arc::new(tempfile::tempdir().unwrap());
    let (from, to) = (hub.data_dir().to_owned(), left.path().to_owned());
    let is_sent = Arc::new(AtomicBool::new(false));
    let has_died = Arc::clone(&is_sent);
    faults.after_commits(move || {
        if !has_died.load(Ordering::SeqCst) {
            copy(&from, &to);
        }
    });
    alice.send(c2c("bob"), "durable");
    is_sent.store(true, Ordering::SeqCst);
    // The one that was killed might have sent it already, but not have stored that.
    sink.set(None);
    assert_eq!(sink.texts(1), ["durable"]);
    drop(alice);
    drop(hub);
    let later = Arc::new(TestSink::default());
    let options = PushOptions::new(later.clone());
    let _hub = TestHub::start_on(left, |hub| hub.push = Some(options));
    assert_eq!(later.texts(1), ["durable"]);
    assert_eq!(
        later.last().id,
        sink.last().id,
        "so it can be told that it is the same"
    );
}

fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}
