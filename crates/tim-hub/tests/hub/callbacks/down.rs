//! An endpoint that hangs, closes connections, or cannot be reached: what that costs whom.

use std::net::TcpListener;
use std::time::Duration;

use tim_hub::{CallbackCommand as Command, CallbackOptions, Endpoint};
use tim_proto::ErrorCode;
use tim_proto::message::Text;

use super::{BEFORE, DEADLINE, GO, says, start};
use crate::support::{Answer, Device, TestHub, TestServer, c2c};

/// What chat costs beside an endpoint that hangs: its time for some messages, then nothing.
#[test]
fn an_endpoint_that_hangs_is_left_alone() {
    let server = TestServer::start([Answer::Hang]);
    let timeout = Duration::from_millis(100);
    let hub = start(&server, BEFORE, |options| options.timeout = timeout);
    let mut senders = ["alice", "carol", "dave"].map(|name| Device::login(&hub, name, 1));
    for n in 0..66 {
        for sender in &mut senders {
            sender.send(c2c("bob"), &n.to_string());
        }
    }
    let stats = hub.shared().stats().callbacks;
    assert_eq!((stats.answered, stats.waiting), (0, 0));
    // On a slow machine one more may have tried meanwhile.
    assert!(
        stats.failed >= 5 && stats.failed + stats.skipped == 198,
        "{stats:?}"
    );
    assert!(stats.skipped > 100, "{stats:?}");
}

/// It answers what it is told, which does not make it one that answers questions.
#[test]
fn an_endpoint_that_hangs_on_questions_alone_is_not_asked_any_more() {
    let pairs = (0..5).flat_map(|_| [Answer::Hang, Answer::ok(GO)]);
    let server = TestServer::start(pairs.chain([Answer::ok(GO)]));
    let hub = start(&server, &[Command::BeforeC2c, Command::AfterC2c], |options| {
        options.timeout = Duration::from_millis(500);
    });
    let mut senders = ["alice", "carol", "dave"].map(|name| Device::login(&hub, name, 1));
    for n in 0..5 {
        senders[n % 3].send(c2c("bob"), &n.to_string());
        server.asked(2 * n + 2);
    }
    let stats = hub.shared().stats().callbacks;
    assert!(stats.is_open && stats.failed == 5, "{stats:?}");
    senders[0].send(c2c("bob"), "not asked about, but told");
    let told = server.asked(11).pop().unwrap();
    assert!(
        told.target.contains("C2C.CallbackAfterSendMsg"),
        "{}",
        told.target
    );
    assert_eq!(hub.shared().stats().callbacks.skipped, 1);
}

/// A message on which the endpoint hangs, or to which it answers nothing of use, is its sender's affair.
#[test]
fn one_user_takes_the_callbacks_from_nobody() {
    for answer in [
        Answer::Hang,
        Answer::Close,
        Answer::Status(500, "", GO.to_owned()),
        Answer::ok("no JSON"),
        says(7, ""),
    ] {
        let bad = (0..12).map(|_| answer.clone());
        let server = TestServer::start(bad.chain([says(1, "")]));
        let hub = start(&server, BEFORE, |options| {
            options.timeout = match answer {
                Answer::Hang => Duration::from_millis(50),
                _ => DEADLINE,
            };
        });
        let mut mallory = Device::login(&hub, "mallory", 1);
        let mut alice = Device::login(&hub, "alice", 2);
        for n in 0..12 {
            mallory.send(c2c("bob"), &n.to_string());
        }
        let stats = hub.shared().stats().callbacks;
        assert_eq!((stats.failed, stats.skipped), (12, 0), "{answer:?}: {stats:?}");
        assert!(!stats.is_open);
        if !matches!(answer, Answer::Hang) {
            let message = alice.message(c2c("bob"), Text::new("asked about"));
            let refused = alice.send_message(&message).map(|_| ());
            assert_eq!(refused, Err(ErrorCode::MSG_PUSH_DENY), "{answer:?}");
        }
    }
}

#[test]
fn an_endpoint_without_connections_is_left_alone_whoever_sends() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = CallbackOptions::new(Endpoint::new(format!("http://{nobody}/")));
    options.timeout = DEADLINE;
    let hub = TestHub::start_with(|hub| hub.callbacks = Some(options));
    let mut alice = Device::login(&hub, "alice", 1);
    for n in 0..20 {
        alice.send(c2c("bob"), &n.to_string());
    }
    assert!(hub.shared().stats().callbacks.is_open);
}

/// Servers close connections after a while: what was on its way then is asked on another one, but nothing is told twice.
#[test]
fn a_connection_that_the_server_closes_meanwhile_costs_no_answer() {
    let server = TestServer::start([Answer::Last(GO.to_owned())]);
    let hub = start(&server, &[Command::BeforeC2c], |options| {
        options.timeout = DEADLINE;
        options.refuse_without_answer = true;
    });
    let mut alice = Device::login(&hub, "alice", 1);
    for n in 0..8 {
        alice.send(c2c("bob"), &n.to_string());
    }
    let stats = hub.shared().stats().callbacks;
    assert_eq!((stats.answered, stats.failed), (8, 0), "{stats:?}");

    let server = TestServer::start([Answer::Last(GO.to_owned())]);
    let hub = start(&server, &[Command::AfterC2c], |options| {
        options.timeout = DEADLINE;
        options.max_concurrent = 1;
    });
    let mut alice = Device::login(&hub, "alice", 1);
    for n in 1..=3 {
        alice.send(c2c("bob"), &n.to_string());
    }
    // The second one may have been read by the server.
    let asked = server.asked(2);
    assert!(asked[1].body.contains("\"Text\":\"3\""), "{}", asked[1].body);
    assert_eq!(hub.shared().stats().callbacks.failed, 1);
}

/// The token of the options is another one, as after a hangup.
#[test]
fn requests_are_signed_with_the_token_of_the_last_reload() {
    let server = TestServer::start([Answer::ok(GO)]);
    let hub = start(&server, &[Command::BeforeC2c], |_| ());
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "one");
    let reload = |url: &str| {
        let mut endpoint = Endpoint::new(url);
        "xxxxyyyy".clone_into(&mut endpoint.token);
        hub.reload(|options| options.callbacks = Some(CallbackOptions::new(endpoint)));
    };
    reload("http://127.0.0.1:1/");
    alice.send(c2c("bob"), "two");
    reload(&server.url("/callback?x=1"));
    alice.send(c2c("bob"), "three");
    let signed: Vec<_> = server
        .asked(3)
        .iter()
        .map(|asked| asked.target.contains("&Sign="))
        .collect();
    assert_eq!(signed, [false, false, true]);
}
