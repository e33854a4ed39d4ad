//! Messages that come again, and what the application says about them the second time; and what becomes of a change that is too much.

use serde_json::json;
use tim_hub::{CallbackCommand as Command, CallbackOptions, Endpoint};
use tim_proto::ErrorCode;
use tim_proto::message::{SendOptions, Text};

use super::{BEFORE, DEADLINE, GO, body, says, start};
use crate::rest::Rest;
use crate::support::{Answer, Device, Observed, Reply, TestHub, TestServer, c2c, group, user};

const BOTH: &[Command] = &[Command::BeforeC2c, Command::AfterC2c];

/// Whatever the application says of it then: its sender gets the first answer again.
#[test]
fn what_was_taken_is_not_refused_when_it_comes_again() {
    let server = TestServer::start([
        Answer::ok(GO),
        says(1, ""),
        says(2, ""),
        Answer::ok(GO),
        says(10_100, ""),
        Answer::ok(GO),
        says(1, ""),
    ]);
    let hub = start(&server, BEFORE, |options| options.timeout = DEADLINE);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.create_group("hikers", &[user("bob")]).unwrap();
    let mut sent = |message: &_, options| {
        let ticket = alice.start_send(message, options);
        alice.wait_for(ticket)
    };
    let stored = |sequence, duplicate| Ok(Reply::Sent { sequence, duplicate });
    let mut other = Device::login(&hub, "alice", 2);
    let message = other.message(c2c("bob"), Text::new("hello"));
    for duplicate in [false, true, true] {
        assert_eq!(sent(&message, SendOptions::default()), stored(1, duplicate));
    }
    let to_group = other.message(group("hikers"), Text::new("on Sunday"));
    for duplicate in [false, true] {
        assert_eq!(sent(&to_group, SendOptions::default()), stored(2, duplicate));
    }
    let now = other.message(c2c("bob"), Text::new("now"));
    let online_only = || SendOptions::default().with_online_user_only(true);
    for duplicate in [false, true] {
        assert_eq!(sent(&now, online_only()), stored(0, duplicate));
    }
    // It was not stored, and is not to be; nor is another one under an id that is known.
    let refused = Err(ErrorCode::MSG_PUSH_DENY);
    assert_eq!(sent(&now, SendOptions::default()), refused);
    let mut changed = message;
    let replaced = other.message(c2c("bob"), Text::new("something else"));
    changed.payload = replaced.payload;
    assert_eq!(sent(&changed, SendOptions::default()), refused);
}

/// The store has not committed the message yet when the application refuses it the second time.
#[test]
fn what_is_being_stored_is_not_refused_when_it_comes_again() {
    for late in [says(1, ""), says(2, "")] {
        let server = TestServer::start([Answer::ok(GO), late]);
        let mut options = CallbackOptions::new(Endpoint::new(server.url("/callback")));
        (options.commands, options.timeout) = (BEFORE.to_vec(), DEADLINE);
        let (hub, faults) = TestHub::start_faulty_with(|hub| hub.callbacks = Some(options));
        let mut alice = Device::login(&hub, "alice", 1);
        faults.hold_commits();
        let message = alice.message(c2c("bob"), Text::new("hello"));
        let ticket = alice.start_send(&message, SendOptions::default());
        alice.until(|_| faults.held() == 1);
        alice.cut();
        alice.until(|_| server.asked_now().len() == 2);
        for _ in 0..20 {
            alice.turn();
        }
        assert!(!alice.is_answered(ticket), "it is not known yet");
        faults.release();
        let stored = Reply::Sent {
            sequence: 1,
            duplicate: true,
        };
        assert_eq!(alice.wait_for(ticket), Ok(stored));
        let mut bob = Device::login(&hub, "bob", 2);
        let Ok(Reply::Page { texts, .. }) = bob.page(c2c("alice"), &[], 10) else {
            panic!("there is no page")
        };
        assert_eq!(texts, ["hello"]);
    }
}

#[test]
fn what_a_call_has_sent_is_not_refused_to_another_one_that_waits() {
    for late in [says(1, ""), says(2, "")] {
        let server = TestServer::start([late.held(), Answer::ok(GO)]);
        let rest = Rest::serve(start(&server, BEFORE, |options| options.timeout = DEADLINE));
        rest.accounts(&["alice", "bob"]);
        let message = json!({"From_Account": "alice", "To_Account": "bob", "MsgRandom": 1,
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}]});
        std::thread::scope(|scope| {
            let first = scope.spawn(|| rest.ok("openim/sendmsg", message.clone()));
            server.asked(1);
            let second = rest.ok("openim/sendmsg", message.clone());
            server.release();
            assert_eq!(first.join().unwrap()["MsgKey"], second["MsgKey"]);
        });
    }
    let server = TestServer::start([says(1, "").held(), Answer::ok(GO)]);
    let rest = Rest::serve(start(&server, BEFORE, |options| options.timeout = DEADLINE));
    rest.accounts(&["alice"]);
    rest.group("Public", "hikers", &["alice"]);
    let message = json!({"From_Account": "alice", "GroupId": "hikers", "Random": 1,
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "on Sunday"}}]});
    std::thread::scope(|scope| {
        let first = scope.spawn(|| rest.groups_ok("send_group_msg", message.clone()));
        server.asked(1);
        let second = rest.groups_ok("send_group_msg", message.clone());
        server.release();
        assert_eq!(first.join().unwrap()["MsgSeq"], second["MsgSeq"]);
    });
}

/// The application hears of that, as of everything that is refused after it was asked.
#[test]
fn a_change_that_is_too_long_is_refused_and_told_of() {
    let long = json!([{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x".repeat(20_000)}}]);
    let changed = json!({"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "MsgBody": long}).to_string();
    let too_long = Answer::ok(changed);
    let server = TestServer::start([too_long.clone(), Answer::ok(GO), too_long, Answer::ok(GO)]);
    let rest = Rest::serve(start(&server, BOTH, |options| {
        options.timeout = DEADLINE;
        options.max_concurrent = 1;
    }));
    rest.accounts(&["alice", "bob"]);
    let mut alice = Device::login(&rest.hub, "alice", 1);
    let message = alice.message(c2c("bob"), Text::new("hello"));
    assert_eq!(alice.send_message(&message).map(|_| ()), Err(ErrorCode(80_002)));
    let told = body(&server.asked(2)[1]);
    assert_eq!(
        (&told["CallbackCommand"], &told["SendMsgResult"]),
        (&json!("C2C.CallbackAfterSendMsg"), &json!(80_002))
    );
    let message = json!({"From_Account": "alice", "To_Account": "bob", "MsgRandom": 1,
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}]});
    let code = rest.code("openim/sendmsg", message);
    let told = body(&server.asked(4)[3]);
    assert_eq!(told["CallbackCommand"], "C2C.CallbackAfterSendMsg");
    assert_eq!(told["SendMsgResult"], code);
}

/// The session ends while the application is still asked, and its verdict is thrown away.
#[test]
fn who_is_kicked_out_waits_for_no_verdict() {
    let server = TestServer::start([Answer::ok(GO).held(), Answer::ok(GO)]);
    let hub = start(&server, BOTH, |options| options.timeout = 2 * DEADLINE);
    let mut mallory = Device::login(&hub, "mallory", 1);
    let message = mallory.message(c2c("bob"), Text::new("late"));
    mallory.start_send(&message, SendOptions::default());
    mallory.push_out();
    server.asked(1);
    hub.tell(async |hub| hub.kick(user("mallory")).await).unwrap();
    let out = Observed::KickedOut(ErrorCode::KICKED_OUT_REST_API);
    mallory.until(|device| device.observed.contains(&out));
    server.release();
    let told = body(&server.asked(2)[1]);
    assert_eq!(told["SendMsgResult"], ErrorCode::KICKED_OUT_REST_API.0);
    let mut bob = Device::login(&hub, "bob", 1);
    let found = bob.page(c2c("mallory"), &[], 10);
    assert!(
        !matches!(&found, Ok(Reply::Page { texts, .. }) if !texts.is_empty()),
        "{found:?}"
    );
}
