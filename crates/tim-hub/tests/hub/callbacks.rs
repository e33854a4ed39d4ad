//! Callbacks: what the application is asked and told about messages, and an endpoint that hangs, refuses or dies.

mod crossings;
mod down;
mod groups;
mod repeated;
mod rest;
mod state;
mod told;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tim_hub::{CallbackCommand, CallbackOptions, Endpoint};
use tim_proto::ErrorCode;
use tim_proto::message::{SendOptions, Text, tags, to_vec};
use tim_proto::wire::{Extension, Extensions};

use super::rest::Rest;
use super::support::{Answer, Asked, Device, Reply, TestHub, TestServer, c2c, group, user};

const GO: &str = r#"{"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}"#;
/// Long enough for everything.
const DEADLINE: Duration = Duration::from_secs(30);

const BEFORE: &[CallbackCommand] = &[CallbackCommand::BeforeC2c, CallbackCommand::BeforeGroup];
const AFTER: &[CallbackCommand] = &[CallbackCommand::AfterC2c, CallbackCommand::AfterGroup];

fn start(
    server: &TestServer,
    commands: &[CallbackCommand],
    change: impl FnOnce(&mut CallbackOptions),
) -> TestHub {
    let mut options = CallbackOptions::new(Endpoint::new(server.url("/callback?x=1")));
    options.commands = commands.to_vec();
    change(&mut options);
    TestHub::start_with(|hub| {
        hub.admins = vec![user("admin")];
        hub.callbacks = Some(options);
    })
}

/// A hub whose application is told of one event after the other.
fn serve(server: &TestServer, commands: &[CallbackCommand]) -> Rest {
    Rest::serve(start(server, commands, |options| {
        options.timeout = DEADLINE;
        options.max_concurrent = 1;
    }))
}

/// Everything that the application was asked and told until now: it is told of a group that is made now behind all that. It has to want to
/// be told of that.
fn so_far(server: &TestServer, rest: &Rest) -> Vec<Asked> {
    rest.group("Public", "fence", &["fence"]);
    let is_fence = |asked: &Asked| body(asked)["Owner_Account"] == "fence";
    let is_told = |asked: &Asked| is_fence(asked) && body(asked)["GroupId"] == "fence";
    let asked = server.asked_until(|asked| asked.iter().any(is_told));
    asked.into_iter().filter(|asked| !is_fence(asked)).collect()
}

fn body(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).unwrap()
}

fn says(code: u64, info: &str) -> Answer {
    Answer::ok(json!({"ActionStatus": "OK", "ErrorInfo": info, "ErrorCode": code}).to_string())
}

#[test]
fn the_application_is_asked_with_the_vendors_fields() {
    let server = TestServer::start([Answer::ok(GO)]);
    let hub = start(&server, BEFORE, |options| {
        "xxxxyyyy".clone_into(&mut options.endpoint.token)
    });
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    alice.send(c2c("bob"), "hello");
    alice.create_group("hikers", &[user("bob")]).unwrap();
    alice.send(group("hikers"), "on Sunday");
    bob.until_texts(2);
    let asked = server.asked(2);
    let start = "/callback?x=1&SdkAppid=1400000000&CallbackCommand=C2C.CallbackBeforeSendMsg&contenttype=json&\
                 ClientIP=&OptPlatform=Unknown&Sign=";
    assert!(asked[0].target.starts_with(start), "{}", asked[0].target);
    assert!(
        asked[0].target.ends_with("&RequestTime=1700000000"),
        "{}",
        asked[0].target
    );
    let element = |text: &str| json!([{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}]);
    let mut first = body(&asked[0]);
    assert_eq!(first["MsgRandom"], 1_000_001);
    assert_eq!(first["MsgKey"], format!("{}_1000001_1700000000", first["MsgSeq"]));
    for field in ["MsgKey", "MsgSeq", "MsgRandom"] {
        first.as_object_mut().unwrap().remove(field);
    }
    assert_eq!(
        first,
        json!({
            "CallbackCommand": "C2C.CallbackBeforeSendMsg", "From_Account": "alice", "To_Account": "bob",
            "MsgTime": 1_700_000_000, "OnlineOnlyFlag": 0, "MsgBody": element("hello"), "CloudCustomData": "",
        })
    );
    assert_eq!(
        body(&asked[1]),
        json!({
            "CallbackCommand": "Group.CallbackBeforeSendMsg", "GroupId": "hikers", "Type": "Public",
            "From_Account": "alice", "Operator_Account": "alice", "Random": 1_000_002, "OnlineOnlyFlag": 0,
            "MsgBody": element("on Sunday"), "CloudCustomData": "", "EventTime": 1_700_000_000_000_u64,
        })
    );
}

#[test]
fn the_application_refuses_drops_and_changes() {
    let element = json!([{"MsgType": "TIMTextElem", "MsgContent": {"Text": "***"}}]);
    let changed =
        json!({"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "MsgBody": element}).to_string();
    let server = TestServer::start([
        says(1, ""),
        says(120_007, "no bad words"),
        says(2, ""),
        Answer::ok(changed.as_str()),
        Answer::ok(changed.as_str()),
        Answer::ok(GO),
    ]);
    let hub = start(&server, BEFORE, |_| ());
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    for code in [ErrorCode::MSG_PUSH_DENY, ErrorCode(120_007)] {
        let message = alice.message(c2c("bob"), Text::new("bad"));
        assert_eq!(alice.send_message(&message).map(|_| ()), Err(code));
    }
    assert_eq!(alice.refusal, "no bad words");
    let message = alice.message(c2c("bob"), Text::new("dropped"));
    let dropped = alice.send_message(&message).unwrap();
    assert!(
        matches!(
            dropped,
            Reply::Sent {
                sequence: 0,
                duplicate: false
            }
        ),
        "{dropped:?}"
    );
    let message = alice.message(c2c("bob"), Text::new("damn"));
    let sent = |duplicate| Reply::Sent {
        sequence: 1,
        duplicate,
    };
    assert_eq!(alice.send_message(&message), Ok(sent(false)));
    assert_eq!(
        alice.send_message(&message),
        Ok(sent(true)),
        "the same message again"
    );
    alice.send(c2c("bob"), "the end");
    bob.until_texts(2);
    assert_eq!(bob.texts(), ["***", "the end"]);
}

/// Messages of one connection stay in order, and others do not wait.
#[test]
fn who_is_asked_about_holds_up_nobody_else() {
    let server = TestServer::start([Answer::Hang, Answer::ok(GO)]);
    let hub = start(&server, &[CallbackCommand::BeforeC2c], |options| {
        options.timeout = Duration::from_secs(3);
    });
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    let mut carol = Device::login(&hub, "carol", 3);
    let mut tickets = Vec::new();
    for text in ["one", "two", "three"] {
        let message = alice.message(c2c("bob"), Text::new(text));
        tickets.push(alice.start_send(&message, SendOptions::default()));
    }
    alice.push_out();
    server.asked(1);
    carol.send(c2c("bob"), "at once");
    bob.until_texts(1);
    assert_eq!(bob.texts(), ["at once"]);
    for ticket in tickets {
        alice.wait_for(ticket).unwrap();
    }
    bob.until_texts(4);
    assert_eq!(bob.texts(), ["at once", "one", "two", "three"]);
}

/// Deliveries, a cut line, the same message again, and the end of the hub.
#[test]
fn while_the_application_is_asked_everything_else_goes_on() {
    let server = TestServer::start([Answer::Hang, Answer::ok(GO)]);
    let hub = start(&server, &[CallbackCommand::BeforeC2c], |options| {
        options.timeout = Duration::from_secs(600);
    });
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    let mut carol = Device::login(&hub, "carol", 3);
    let message = alice.message(c2c("bob"), Text::new("one"));
    let ticket = alice.start_send(&message, SendOptions::default());
    alice.push_out();
    server.asked(1);
    carol.send(c2c("alice"), "meanwhile");
    alice.until_texts(1);
    assert!(!alice.is_answered(ticket));
    alice.cut();
    let sent = Reply::Sent {
        sequence: 1,
        duplicate: false,
    };
    assert_eq!(alice.wait_for(ticket), Ok(sent), "it was asked about again");
    bob.until_texts(1);
    // The first question is still open.
    let hub = TestHub::start_on(hub.stop(), |_| ());
    let mut alice = Device::login(&hub, "alice", 4);
    assert_eq!(alice.send(c2c("bob"), "two"), 2, "it is there once");
}

#[test]
fn nobody_makes_the_hub_ask_about_more_than_may_be_sent() {
    let server = TestServer::start([Answer::ok(GO)]);
    let callbacks = CallbackOptions::new(Endpoint::new(server.url("/")));
    let hub = TestHub::start_with(|hub| {
        hub.callbacks = Some(callbacks);
        hub.callbacks.as_mut().unwrap().commands = BEFORE.to_vec();
        hub.sends_per_second = 5;
    });
    let mut alice = Device::login(&hub, "alice", 1);
    let long = "x".repeat(20_000);
    let message = alice.message(c2c("bob"), Text::new(&long));
    assert!(alice.send_message(&message).is_err());
    let mut taken = 0;
    for _ in 0..20 {
        let message = alice.message(c2c("bob"), Text::new("hello"));
        match alice.send_message(&message) {
            Ok(_) => taken += 1,
            Err(code) => assert_eq!(code, ErrorCode::RATE_LIMITED),
        }
    }
    assert_eq!((taken, hub.shared().stats().callbacks.answered), (10, 10));
}

#[test]
fn what_a_callback_puts_in_place_of_a_message_is_all_of_it() {
    let element = json!([{"MsgType": "TIMTextElem", "MsgContent": {"Text": "***"}}]);
    let changed = json!({"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "MsgBody": element});
    let server = TestServer::start([Answer::ok(changed.to_string()), Answer::ok(GO)]);
    let hub = start(
        &server,
        &[CallbackCommand::BeforeC2c, CallbackCommand::AfterC2c],
        |_| (),
    );
    let mut alice = Device::login(&hub, "alice", 1);
    let more = json!([{"MsgType": "TIMTextElem", "MsgContent": {"Text": "damn"}}]).to_string();
    let extensions: Vec<_> = [
        (tags::CLOUD_CUSTOM_DATA, "data".as_bytes()),
        (tags::MORE_ELEMENTS, more.as_bytes()),
    ]
    .into_iter()
    .flat_map(|(tag, bytes)| to_vec(&Extension::new(tag, bytes)))
    .collect();
    let mut message = alice.message(c2c("bob"), Text::new("well"));
    message.extensions = Extensions::new(&extensions).unwrap();
    alice.send_message(&message).unwrap();
    let asked = server.asked(2);
    assert_eq!(body(&asked[0])["MsgBody"].as_array().unwrap().len(), 2);
    let stored = body(&asked[1]);
    assert_eq!(
        (&stored["MsgBody"], &stored["CloudCustomData"]),
        (&element, &json!("data"))
    );
}

#[test]
fn without_an_answer_messages_go_or_are_refused_as_the_operator_wants() {
    for (answer, what) in [
        (Answer::Close, "closes the connection"),
        (Answer::Status(500, "", GO.to_owned()), "answers 500"),
        (
            Answer::Status(302, "Location: http://127.0.0.1:1/\r\n", String::new()),
            "redirects",
        ),
        (Answer::ok("no JSON"), "answers something else"),
        (says(7, ""), "answers with an unknown code"),
        (Answer::ok("x".repeat(200_000)), "answers too much"),
    ] {
        for refuses in [false, true] {
            let server = TestServer::start([answer.clone()]);
            let hub = start(&server, BEFORE, |options| options.refuse_without_answer = refuses);
            let mut alice = Device::login(&hub, "alice", 1);
            let message = alice.message(c2c("bob"), Text::new("hello"));
            let expected = if refuses {
                Err(ErrorCode::MSG_PUSH_DENY)
            } else {
                Ok(())
            };
            assert_eq!(alice.send_message(&message).map(|_| ()), expected, "{what}");
            assert_eq!(hub.shared().stats().callbacks.failed, 1, "{what}");
        }
    }
}

#[test]
fn the_application_is_told_afterwards() {
    let server = TestServer::start([Answer::ok(GO)]);
    let hub = start(&server, AFTER, |options| options.max_concurrent = 1);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.create_group("hikers", &[user("bob")]).unwrap();
    let message = alice.message(c2c("bob"), Text::new("hello"));
    alice.send_message(&message).unwrap();
    alice.send_message(&message).unwrap();
    alice.send(group("hikers"), "on Sunday");
    let asked = server.asked(2);
    let (first, second) = (body(&asked[0]), body(&asked[1]));
    assert_eq!(
        (
            &first["CallbackCommand"],
            &first["SendMsgResult"],
            &first["ErrorInfo"]
        ),
        (
            &json!("C2C.CallbackAfterSendMsg"),
            &json!(0),
            &json!("send msg succeed")
        )
    );
    assert_eq!(second["CallbackCommand"], "Group.CallbackAfterSendMsg");
    assert_eq!(
        (&second["MsgSeq"], &second["MsgTime"], &second["Type"]),
        (&json!(2), &json!(1_700_000_000), &json!("Public")),
        "behind the first tip"
    );
    // As the REST interface has it.
    assert_eq!(
        (&first["MsgSeq"], &first["MsgKey"]),
        (&json!(1), &json!("1_1000001_1700000000"))
    );
}

#[test]
fn what_the_application_is_told_has_a_ceiling() {
    let server = TestServer::start([Answer::Hang]);
    let hub = start(&server, AFTER, |options| {
        options.max_waiting = 10;
        options.max_concurrent = 1;
        options.timeout = Duration::from_secs(20);
    });
    let mut alice = Device::login(&hub, "alice", 1);
    alice.send(c2c("bob"), "0");
    server.asked(1);
    for n in 1..=30 {
        alice.send(c2c("bob"), &n.to_string());
    }
    let start = Instant::now();
    let stats = || hub.shared().stats().callbacks;
    while stats().dropped < 20 {
        assert!(start.elapsed() < DEADLINE, "{:?}", stats());
    }
    assert_eq!((stats().waiting, stats().dropped), (10, 20));
}
