//! Messages of groups, and what happens when the application's server and members act at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tim_proto::request::UpdateGroup;
use tim_proto::{AtKind, ErrorCode};

use super::Rest;
use crate::support::{Device, Observed, Reply, group, group_id};

fn text(words: &str) -> Value {
    json!([{"MsgType": "TIMTextElem", "MsgContent": {"Text": words}}])
}

fn send(rest: &Rest, body: Value) -> Value {
    rest.call(&super::of_groups("send_group_msg"), body)
}

#[test]
fn a_message_by_rest_reaches_members_and_the_senders_devices() {
    let rest = Rest::start_with(|options| options.open_registration = false);
    rest.group("Public", "g", &["o", "m"]);
    rest.accounts(&["out"]);
    let mut o = Device::login(&rest.hub, "o", 1);
    let mut m = Device::login(&rest.hub, "m", 2);
    let body = json!({"GroupId": "g", "Random": 1, "From_Account": "o", "MsgPriority": "High", "MsgBody": text("hi \u{1f600}")});
    let first = send(&rest, body.clone());
    assert_eq!(
        (&first["ErrorCode"], &first["MsgSeq"]),
        (&json!(0), &json!(2)),
        "{first}"
    );
    assert!(first["MsgTime"].as_u64().unwrap() > 0);
    // The same again is the same message.
    assert_eq!(send(&rest, body.clone())["MsgSeq"], 2);
    for device in [&mut o, &mut m] {
        device.until_texts(1);
        assert_eq!(device.texts(), ["hi \u{1f600}"]);
    }
    // Other words with the same number are another one; so is one of the administrator, or of a user who is no member.
    let mut other = body;
    other["MsgBody"] = text("other");
    assert_eq!(send(&rest, other)["MsgSeq"], 3);
    let from = |name: &str| json!({"GroupId": "g", "Random": 1, "From_Account": name, "MsgBody": text(name)});
    assert_eq!(send(&rest, from("out"))["MsgSeq"], 4);
    assert_eq!(
        send(
            &rest,
            json!({"GroupId": "g", "Random": 1, "MsgBody": text("admin")})
        )["MsgSeq"],
        5
    );
    m.until_texts(4);
    assert_eq!(m.texts()[1..], ["other", "out", "admin"]);
    let mention = json!({
        "GroupId": "g", "Random": 2, "MsgBody": text("you"),
        "GroupAtInfo": [{"GroupAtAllFlag": 0, "GroupAt_Account": "m"}],
    });
    assert_eq!(send(&rest, mention)["MsgSeq"], 6);
    m.ask(&tim_proto::request::GetConversationProfile::new(group("g")))
        .unwrap();
    assert_eq!(m.at, [(6, "admin".to_owned(), AtKind::AT_ME)]);

    let online = json!({"GroupId": "g", "Random": 3, "OnlineOnlyFlag": 1, "MsgBody": text("now")});
    assert_eq!(send(&rest, online)["MsgSeq"], 0);
    m.until_texts(6);
    for (body, code) in [
        (
            json!({"GroupId": "g", "Random": 9, "From_Account": "nobody", "MsgBody": text("x")}),
            10_019,
        ),
        (
            json!({"GroupId": "none", "Random": 9, "MsgBody": text("x")}),
            10_010,
        ),
        (
            json!({"GroupId": "g", "Random": 9, "To_Account": ["m"], "MsgBody": text("x")}),
            10_007,
        ),
        (json!({"GroupId": "g", "Random": 9}), 10_004),
        (json!({"GroupId": "g", "MsgBody": text("x")}), 10_004),
        (
            json!({"GroupId": "g", "Random": 9, "MsgBody": text(&"x".repeat(20_000))}),
            80_002,
        ),
        (
            json!({"GroupId": "g", "Random": 9, "MsgPriority": "Soon", "MsgBody": text("x")}),
            10_004,
        ),
    ] {
        assert_eq!(send(&rest, body.clone())["ErrorCode"], code, "{body}");
    }
    rest.groups_ok(
        "forbid_send_msg",
        json!({"GroupId": "g", "Members_Account": ["m"], "ShutUpTime": 60}),
    );
    assert_eq!(send(&rest, from("m"))["ErrorCode"], 10_017);
    rest.groups_ok(
        "modify_group_base_info",
        json!({"GroupId": "g", "ShutUpAllMember": "On"}),
    );
    let by_admin = json!({"GroupId": "g", "Random": 4, "MsgBody": text("all are muted")});
    assert_eq!(send(&rest, by_admin)["ErrorCode"], 0, "but not the administrator");
}

#[test]
fn rooms_hear_messages_by_rest() {
    let rest = Rest::start();
    rest.group("AVChatRoom", "room", &["o"]);
    rest.accounts(&["m", "n"]);
    let mut m = Device::login(&rest.hub, "m", 1);
    m.join("room").unwrap();
    let body = json!({"GroupId": "room", "Random": 1, "From_Account": "n", "MsgBody": text("live")});
    let answer = send(&rest, body.clone());
    assert_eq!((&answer["ErrorCode"], &answer["MsgSeq"]), (&json!(0), &json!(0)));
    assert_eq!(send(&rest, body)["ErrorCode"], 0, "once more, which nobody hears");
    let last = json!({"GroupId": "room", "Random": 2, "MsgBody": text("end")});
    assert_eq!(send(&rest, last)["ErrorCode"], 0);
    m.until_texts(2);
    assert_eq!(m.texts(), ["live", "end"]);
    rest.groups_ok(
        "forbid_send_msg",
        json!({"GroupId": "room", "Members_Account": ["m"], "ShutUpTime": 60}),
    );
    let muted = json!({"GroupId": "room", "Random": 3, "From_Account": "m", "MsgBody": text("x")});
    assert_eq!(send(&rest, muted)["ErrorCode"], 10_017);
    assert_eq!(
        rest.groups_code(
            "group_msg_get_simple",
            json!({"GroupId": "room", "ReqMsgNumber": 20})
        ),
        10_007
    );
}

#[test]
fn history_goes_back_from_the_newest() {
    let rest = Rest::start();
    rest.group("Public", "g", &["o", "m"]);
    let mut o = Device::login(&rest.hub, "o", 1);
    for n in 2..=26 {
        assert_eq!(o.send(group("g"), &n.to_string()), n);
    }
    o.revoke(group("g"), 25).unwrap();
    let ask = |body: Value| rest.groups_ok("group_msg_get_simple", body);
    let sequences = |answer: &Value| -> Vec<u64> {
        let rows = answer["RspMsgList"].as_array().unwrap().iter();
        rows.map(|row| row["MsgSeq"].as_u64().unwrap()).collect()
    };
    let newest = ask(json!({"GroupId": "g", "ReqMsgNumber": 3, "WithRecalledMsg": 1}));
    assert_eq!(
        (sequences(&newest), &newest["IsFinished"]),
        (vec![26, 25, 24], &json!(1))
    );
    let rows = &newest["RspMsgList"];
    assert_eq!(rows[0]["MsgBody"], text("26"));
    assert_eq!(
        (&rows[0]["From_Account"], &rows[0]["MsgPriority"]),
        (&json!("o"), &json!(2))
    );
    assert_eq!(
        (&rows[1]["IsPlaceMsg"], &rows[1]["MsgBody"]),
        (&json!(2), &json!([]))
    );
    let without = ask(json!({"GroupId": "g", "ReqMsgNumber": 3}));
    assert_eq!(
        (sequences(&without), &without["IsFinished"]),
        (vec![26, 24, 23], &json!(1))
    );
    for sequence in [24, 23, 22, 3] {
        o.revoke(group("g"), sequence).unwrap();
    }
    let behind = ask(json!({"GroupId": "g", "ReqMsgNumber": 2, "ReqMsgSeq": 25}));
    assert_eq!(
        (sequences(&behind), &behind["IsFinished"]),
        (vec![21, 20], &json!(1)),
        "those that were revoked do not count"
    );
    let oldest = ask(json!({"GroupId": "g", "ReqMsgNumber": 5, "ReqMsgSeq": 3}));
    assert_eq!(
        (sequences(&oldest), &oldest["IsFinished"]),
        (vec![2, 1], &json!(1))
    );
    let many = ask(json!({"GroupId": "g", "ReqMsgNumber": 100, "WithRecalledMsg": 1}));
    assert_eq!((sequences(&many).len(), &many["IsFinished"]), (20, &json!(0)));
    let last = ask(json!({"GroupId": "g", "ReqMsgNumber": 20, "ReqMsgSeq": 6, "WithRecalledMsg": 1}));
    assert_eq!(
        (sequences(&last), &last["IsFinished"]),
        (vec![6, 5, 4, 3, 2, 1], &json!(1))
    );
    let tip = &last["RspMsgList"][5];
    assert_eq!(
        (&tip["IsSystemMsg"], &tip["MsgBody"][0]["MsgType"]),
        (&json!(1), &json!("TIMGroupTipElem"))
    );
}

#[test]
fn messages_are_imported_in_their_order() {
    let rest = Rest::start();
    rest.group("Public", "g", &["o", "m"]);
    let created =
        rest.groups_ok("get_group_info", json!({"GroupIdList": ["g"]}))["GroupInfo"][0]["CreateTime"]
            .as_u64()
            .unwrap();
    rest.hub.advance(Duration::from_secs(60));
    let mut m = Device::login(&rest.hub, "m", 1);
    let message = |from: &str, time: u64, random: u64, words: &str| json!({"From_Account": from, "SendTime": time, "Random": random, "MsgBody": text(words)});
    let import = |messages: Value| {
        let body = json!({"GroupId": "g", "RecentContactFlag": 1, "MsgList": messages});
        rest.call(&super::of_groups("import_group_msg"), body)
    };
    let answer = import(json!([
        message("o", 5, 1, "too old"),
        message("o", created + 10, 1, "first"),
        message("nobody", created + 11, 1, "x"),
        message("m", created + 20, 2, "second"),
        message("o", created + 15, 3, "behind"),
        message("o", created + 10_000, 4, "not yet"),
        {"From_Account": "o", "SendTime": created + 21, "Random": 5, "MsgBody": []},
    ]));
    let results = answer["ImportMsgResult"].as_array().unwrap();
    let results: Vec<_> = results
        .iter()
        .map(|it| {
            (
                it["Result"].as_u64().unwrap(),
                it["MsgSeq"].as_u64().unwrap(),
                it["MsgTime"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        results,
        [
            (10_004, 0, 0),
            (0, 2, created + 10),
            (10_019, 0, 0),
            (0, 3, created + 20),
            (10_004, 0, 0),
            (10_004, 0, 0),
            (10_004, 0, 0),
        ]
    );
    m.until_texts(2);
    assert_eq!(m.texts(), ["first", "second"], "devices of the senders, too");
    let listed = m.conversations();
    let found = listed.iter().find(|(id, ..)| id == "GROUPg").unwrap();
    assert_eq!((found.1, found.2.as_str()), (0, "second"), "{listed:?}");
    let history = rest.groups_ok("group_msg_get_simple", json!({"GroupId": "g", "ReqMsgNumber": 2}));
    assert_eq!(history["RspMsgList"][1]["MsgTimeStamp"], created + 10);
    assert_eq!(import(json!([]))["ErrorCode"], 10_004);
    let eight: Vec<_> = (0..8).map(|n| message("o", created + 30, n, "x")).collect();
    assert_eq!(import(eight.into())["ErrorCode"], 10_004);
}

/// What a device was told of a group, in its order.
fn told(device: &Device) -> Vec<String> {
    let events = device.observed.iter();
    events
        .filter_map(|event| match event {
            Observed::Message { sequence, text, .. } => Some(format!("{sequence} {text}")),
            Observed::Tip(tip) => Some(tip.clone()),
            _ => None,
        })
        .collect()
}

#[test]
fn the_server_and_members_act_at_once_in_one_order() {
    let rest = Rest::start();
    rest.group("Public", "g", &["o", "m", "n", "k"]);
    let [mut o, mut m, mut n, mut k] =
        [("o", 1), ("m", 2), ("n", 3), ("k", 4)].map(|(name, number)| Device::login(&rest.hub, name, number));
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..8 {
                let rename = json!({"GroupId": "g", "Name": format!("server {round}")});
                rest.groups_ok("modify_group_base_info", rename);
                let seconds = if round % 2 == 0 { 600 } else { 0 };
                let mute = json!({"GroupId": "g", "Members_Account": ["k"], "ShutUpTime": seconds});
                rest.groups_ok("forbid_send_msg", mute);
                let say =
                    json!({"GroupId": "g", "Random": round, "MsgBody": text(&format!("server {round}"))});
                assert_eq!(send(&rest, say)["ErrorCode"], 0);
                let kick = json!({"GroupId": "g", "MemberToDel_Account": ["k"]});
                rest.groups_ok("delete_group_member", kick);
                let add = json!({"GroupId": "g", "MemberList": [{"Member_Account": "k"}]});
                rest.groups_ok("add_group_member", add);
            }
            is_done.store(true, Ordering::Release);
        });
        let mut round = 0;
        while !is_done.load(Ordering::Acquire) {
            let name = format!("owner {round}");
            o.ask(&UpdateGroup::new(group_id("g")).with_name(&name)).unwrap();
            o.send(group("g"), &name);
            // Muted or not, a member or not: it is decided, and nothing else happens.
            let message = k.message(group("g"), tim_proto::message::Text::new("k"));
            if let Err(code) = k.send_message(&message) {
                assert!(
                    [ErrorCode::GROUP_SHUTUP_DENY, ErrorCode::GROUP_PERMISSION_DENY].contains(&code),
                    "{code}"
                );
            }
            m.turn();
            n.turn();
            round += 1;
        }
    });
    rest.groups_ok("destroy_group", json!({"GroupId": "g"}));
    for device in [&mut o, &mut m, &mut n] {
        assert_eq!(device.until_notice(5).operator, "admin");
    }
    assert_eq!(told(&m), told(&n), "the same in the same order");
    let sequences: Vec<u64> = m
        .observed
        .iter()
        .filter_map(|event| match event {
            Observed::Message { sequence, .. } => Some(*sequence),
            _ => None,
        })
        .collect();
    assert!(sequences.is_sorted() && sequences.len() > 8);
    assert_eq!(o.dismiss("g"), Err(ErrorCode::GROUP_NOT_FOUND));
    assert!(matches!(
        o.create(tim_proto::GroupType::PUBLIC, "h", &[]),
        Ok(Reply::Group(_))
    ));
}
