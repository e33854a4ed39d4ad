//! Many messages with one random number, and those to many users.

use std::time::Duration;

use serde_json::{Value, json};

use super::Rest;
use super::messages::{message, text};
use crate::support::START_MS;

const BATCH: &str = "openim/batchsendmsg";

#[test]
fn any_number_of_messages_may_have_one_random_number() {
    let rest = Rest::start();
    rest.group("Public", "g", &["alice", "bob", "carol"]);
    let send = |number: usize| {
        let to = ["bob", "carol"][number % 2];
        // Each text goes to both.
        let body = message(1, "alice", to, text(&(number / 2).to_string()));
        rest.ok("openim/sendmsg", body)
    };
    let to_group = |number: usize| {
        let body = json!({"GroupId": "g", "Random": 1, "From_Account": "alice", "MsgBody": text(&number.to_string())});
        rest.groups_ok("send_group_msg", body)["MsgSeq"].clone()
    };
    let first: Vec<Value> = (0..40).map(send).collect();
    let sequences: Vec<Value> = (0..20).map(to_group).collect();
    for (number, sent) in first.iter().enumerate() {
        let key = sent["MsgKey"].as_str().unwrap();
        let place = (number / 2 + 1).to_string();
        assert_eq!(
            key.split('_').next(),
            Some(place.as_str()),
            "a message of its own"
        );
        assert_eq!(send(number)["MsgKey"], key, "the same one");
    }
    assert_eq!(sequences, (2..22).map(Value::from).collect::<Vec<_>>());
    assert_eq!((0..20).map(to_group).collect::<Vec<_>>(), sequences);
}

#[test]
fn what_is_not_stored_takes_no_id_of_what_is() {
    let rest = Rest::start();
    rest.accounts(&["alice", "bob"]);
    let stored: Vec<Value> = (0..5)
        .map(|n| message(7, "alice", "bob", text(&format!("stored {n}"))))
        .collect();
    let send = || -> Vec<Value> {
        let sent = stored.iter().map(|body| rest.ok("openim/sendmsg", body.clone()));
        sent.collect()
    };
    let first = send();
    // There are sixty ids for a random number.
    for number in 0..100 {
        let mut online = message(7, "alice", "bob", text(&format!("online {number}")));
        online["OnlineOnlyFlag"] = 1.into();
        rest.ok("openim/sendmsg", online);
    }
    assert_eq!(send(), first);
}

#[test]
fn a_repeated_call_sends_nothing_in_the_next_span_of_time_and_after_the_clock_went_back() {
    // The ids of calls change every 300 seconds, and the hub starts 200 seconds behind a change.
    let rest = Rest::start();
    rest.group("Public", "g", &["alice", "bob"]);
    rest.group("AVChatRoom", "room", &["alice"]);
    let stored = message(1, "alice", "bob", text("stored"));
    let mut online = message(2, "alice", "bob", text("online"));
    online["OnlineOnlyFlag"] = 1.into();
    let to_group = |group: &str, online: u32| json!({"GroupId": group, "Random": 3, "From_Account": "alice", "OnlineOnlyFlag": online, "MsgBody": text(group)});
    let many =
        json!({"From_Account": "alice", "To_Account": ["bob"], "MsgRandom": 4, "MsgBody": text("many")});
    let send = || {
        [
            rest.ok("openim/sendmsg", stored.clone()),
            rest.ok("openim/sendmsg", online.clone()),
            rest.ok(BATCH, many.clone()),
            rest.groups_ok("send_group_msg", to_group("g", 0)),
            rest.groups_ok("send_group_msg", to_group("g", 1)),
            rest.groups_ok("send_group_msg", to_group("room", 0)),
        ]
    };
    let at = |second: u64| rest.hub.set_clock(START_MS + second * 1_000);
    for [first, second] in [[99, 101], [701, 699]] {
        at(first);
        let sent = send();
        at(second);
        assert_eq!(send(), sent, "{first} s, then {second} s");
    }
}

#[test]
fn the_key_of_a_message_to_many_names_no_other() {
    let rest = Rest::start();
    rest.accounts(&["alice", "bob", "carol"]);
    let send = |say: &str| {
        let body = json!({"From_Account": "alice", "To_Account": ["bob", "carol"], "MsgRandom": 777, "MsgBody": text(say)});
        rest.ok(BATCH, body)["MsgKey"].clone()
    };
    let keys = [send("first"), send("second")];
    assert_ne!(keys[0], keys[1]);
    assert_eq!(send("first"), keys[0]);
    let rows = || {
        let asked = json!({"From_Account": "alice", "To_Account": "bob", "MaxCnt": 9, "MinTime": 0, "MaxTime": 9_999_999_999_u64});
        rest.ok("openim/admin_getroammsg", asked)["MsgList"].clone()
    };
    assert_eq!(rows()[0]["MsgRandom"], 777, "as the caller has said");
    rest.hub.advance(Duration::from_secs(400));
    for (key, flags) in keys.iter().zip([[8, 0], [8, 8]]) {
        let withdraw = json!({"From_Account": "alice", "To_Account": "bob", "MsgKey": key});
        rest.ok("openim/admin_msgwithdraw", withdraw);
        let rows = rows();
        assert_eq!([&rows[0]["MsgFlagBits"], &rows[1]["MsgFlagBits"]], flags);
    }
}

#[test]
fn a_full_store_is_nobodys_account() {
    let rest = Rest::start_with(|options| {
        options.max_data = 1024 * 1024;
        options.purge_interval = Duration::from_millis(5);
    });
    rest.accounts(&["alice", "bob", "carol"]);
    let long = text(&"x".repeat(11_000));
    let full =
        (0..).find(|number| rest.code("openim/sendmsg", message(*number, "alice", "bob", long.clone())) != 0);
    let mut body = message(1_000, "alice", "bob", long);
    assert!(full > Some(50));
    assert_eq!(rest.code("openim/sendmsg", body.clone()), 91_000);
    body["To_Account"] = json!(["bob", "carol"]);
    assert_eq!(rest.code(BATCH, body.clone()), 91_000);
    body["To_Account"] = json!(["bob", "nobody"]);
    assert_eq!(rest.code(BATCH, body.clone()), 91_000);
    body["To_Account"] = json!(["nobody"]);
    assert_eq!(rest.code(BATCH, body), 90_012);
}
