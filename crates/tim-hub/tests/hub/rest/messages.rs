//! One-to-one messages.

use std::time::Duration;

use serde_json::{Value, json};
use tim_proto::message::MessageFlags;

use super::Rest;
use crate::support::{Device, Observed, START_MS, c2c, user};

const SEND: &str = "openim/sendmsg";
const START_S: u64 = START_MS / 1000;

pub(super) fn text(text: &str) -> Value {
    json!([{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}])
}

/// A message between two users.
pub(super) fn message(random: u32, from: &str, to: &str, body: Value) -> Value {
    json!({"From_Account": from, "To_Account": to, "MsgRandom": random, "MsgBody": body, "SyncOtherMachine": 1})
}

/// A hub with accounts of alice and bob, and a device of each.
fn with_devices(rest: &Rest) -> [Device; 3] {
    [("alice", 1), ("alice", 2), ("bob", 3)].map(|(name, number)| Device::login(&rest.hub, name, number))
}

/// The history of alice and bob, from old to new.
fn history(rest: &Rest) -> Vec<Value> {
    let asked = json!({"From_Account": "alice", "To_Account": "bob", "MaxCnt": 100, "MinTime": 0, "MaxTime": START_S + 9_999});
    let answer = rest.ok("openim/admin_getroammsg", asked);
    assert_eq!(answer["Complete"], 1);
    answer["MsgList"].as_array().unwrap().clone()
}

#[test]
fn a_message_reaches_all_devices_of_both_and_is_sent_once() {
    let rest = Rest::start();
    let [mut phone, mut laptop, mut bob] = with_devices(&rest);
    rest.ok(
        "im_open_login_svc/account_import",
        json!({"UserID": "alice", "Nick": "Alice"}),
    );
    let body = message(7, "alice", "bob", text("hi 😀"));
    let first = rest.ok(SEND, body.clone());
    assert_eq!(first["MsgKey"], format!("1_7_{START_S}"));
    assert_eq!(first["MsgTime"], START_S);
    for device in [&mut phone, &mut laptop, &mut bob] {
        device.until_texts(1);
        assert_eq!(device.texts(), ["hi 😀"]);
    }
    assert_eq!(bob.sender_names[0][1], "Alice");
    // The caller is told the same again, also in the next span of time and after a restart.
    for minutes in [0, 2, 4] {
        rest.hub.advance(Duration::from_secs(60 * minutes));
        let again = rest.ok(SEND, body.clone());
        assert_eq!(
            (&again["MsgKey"], &again["MsgTime"]),
            (&first["MsgKey"], &first["MsgTime"])
        );
    }
    // Another message with the same number is another one.
    let other = rest.ok(SEND, message(7, "alice", "bob", text("ho")));
    assert!(other["MsgKey"].as_str().unwrap().starts_with("2_7_"), "{other}");
    rest.ok(SEND, message(7, "bob", "alice", text("he")));
    phone.until_texts(3);
    assert_eq!(phone.texts(), ["hi 😀", "ho", "he"]);
    // The administrator is a user, too.
    rest.ok(
        SEND,
        json!({"To_Account": "bob", "MsgRandom": 1, "MsgBody": text("from the service")}),
    );
    bob.until_texts(4);
    assert!(
        bob.observed
            .iter()
            .any(|seen| matches!(seen, Observed::Message { from, .. } if from == "admin"))
    );
    let count = history(&rest).len();
    assert_eq!(count, 3);
}

#[test]
fn a_message_for_those_online_is_not_stored() {
    let rest = Rest::start();
    let [mut phone, _, mut bob] = with_devices(&rest);
    let mut body = message(7, "alice", "bob", text("now"));
    body["MsgLifeTime"] = 0.into();
    let sent = rest.ok(SEND, body.clone());
    assert_eq!(sent["MsgKey"], format!("0_7_{START_S}"));
    rest.ok(SEND, body.clone());
    body["MsgRandom"] = 8.into();
    body["SyncOtherMachine"] = 2.into();
    rest.ok(SEND, body);
    let mut kept = message(9, "alice", "bob", text("kept"));
    kept["MsgLifeTime"] = 60.into();
    kept["SendMsgControl"] = json!(["NoUnread", "NoLastMsg", "WithMuteNotifications"]);
    rest.ok(SEND, kept);
    phone.until_texts(2);
    bob.until_texts(3);
    assert_eq!(
        (phone.texts(), bob.texts()),
        (vec!["now", "kept"], vec!["now", "now", "kept"])
    );
    assert!(
        bob.observed
            .iter()
            .any(|seen| matches!(seen, Observed::Message { flags, .. }
        if flags.contains(MessageFlags::NO_UNREAD) && flags.contains(MessageFlags::NO_LAST)))
    );
    assert_eq!(history(&rest).len(), 1);
    assert_eq!(
        rest.code(
            "openim/admin_msgwithdraw",
            json!({"From_Account": "alice", "To_Account": "bob", "MsgKey": sent["MsgKey"]})
        ),
        20_022
    );
}

#[test]
fn every_element_comes_back_as_it_was_sent() {
    let rest = Rest::start();
    let [_, _, mut bob] = with_devices(&rest);
    let image = |kind| json!({"Type": kind, "Size": 5, "Width": 6, "Height": 7, "URL": "https://x/i"});
    let elements = [
        json!({"MsgType": "TIMTextElem", "MsgContent": {"Text": "你好"}}),
        json!({"MsgType": "TIMFaceElem", "MsgContent": {"Index": 6, "Data": "abc"}}),
        json!({"MsgType": "TIMCustomElem", "MsgContent": {"Data": "d", "Desc": "e", "Ext": "f"}}),
        json!({"MsgType": "TIMLocationElem", "MsgContent": {"Desc": "here", "Latitude": 29.34, "Longitude": 116.5}}),
        json!({"MsgType": "TIMSoundElem", "MsgContent": {"Url": "https://x/s", "UUID": "s", "Size": 62, "Second": 1, "Download_Flag": 2}}),
        json!({"MsgType": "TIMImageElem", "MsgContent": {"UUID": "i", "ImageFormat": 1, "ImageInfoArray": [image(1), image(2), image(3)]}}),
        json!({"MsgType": "TIMFileElem", "MsgContent": {"Url": "https://x/f", "FileSize": 3, "FileName": "f.txt", "Download_Flag": 2}}),
        json!({"MsgType": "TIMVideoFileElem", "MsgContent": {"VideoUrl": "https://x/v", "VideoUUID": "v", "VideoSize": 1, "VideoSecond": 2, "VideoFormat": "mp4",
            "VideoDownloadFlag": 2, "ThumbUrl": "https://x/t", "ThumbUUID": "t", "ThumbSize": 3, "ThumbWidth": 4, "ThumbHeight": 5, "ThumbFormat": "JPG", "ThumbDownloadFlag": 2}}),
    ];
    for (number, element) in elements.iter().enumerate() {
        let mut body = message(number as u32, "alice", "bob", json!([element]));
        body["CloudCustomData"] = "of the app".into();
        rest.ok(SEND, body);
    }
    // Several: the first is what clients show.
    rest.ok(
        SEND,
        message(99, "alice", "bob", elements.iter().cloned().collect()),
    );
    let history = history(&rest);
    let fields_of = |sent: &Value, got: &Value| {
        assert_eq!(sent["MsgType"], got["MsgType"]);
        for (name, value) in sent["MsgContent"].as_object().unwrap() {
            if name != "ImageInfoArray" {
                assert_eq!(value, &got["MsgContent"][name], "{name} of {got}");
            }
        }
    };
    for (sent, row) in elements.iter().zip(&history) {
        assert_eq!(row["CloudCustomData"], "of the app");
        assert_eq!(row["MsgBody"].as_array().unwrap().len(), 1, "{row}");
        fields_of(sent, &row["MsgBody"][0]);
    }
    assert_eq!(
        history[5]["MsgBody"][0]["MsgContent"]["ImageInfoArray"][2]["URL"],
        "https://x/i"
    );
    let all = history[8]["MsgBody"].as_array().unwrap();
    assert_eq!(all.len(), elements.len());
    for (sent, got) in elements.iter().zip(all) {
        fields_of(sent, got);
    }
    bob.until(|device| {
        let messages = device.observed.iter();
        messages
            .filter(|seen| matches!(seen, Observed::Message { .. }))
            .count()
            == 9
    });
}

#[test]
fn messages_to_many_go_to_each_and_unknown_ones_are_named() {
    let rest = Rest::start();
    let [mut phone, _, mut bob] = with_devices(&rest);
    let mut carol = Device::login(&rest.hub, "carol", 4);
    let body = |to: Value| json!({"From_Account": "alice", "To_Account": to, "MsgRandom": 5, "MsgBody": text("all")});
    let first = rest.ok(
        "openim/batchsendmsg",
        body(json!(["bob", "carol", "alice", "bob"])),
    );
    assert_eq!(
        (&first["ErrorList"], &first["ActionStatus"]),
        (&json!([]), &json!("OK"))
    );
    let some = rest.call("openim/batchsendmsg", body(json!(["bob", "nobody"])));
    assert_eq!(some["ActionStatus"], "SomeError");
    assert_eq!(
        some["ErrorList"],
        json!([{"To_Account": "nobody", "ErrorCode": 70107}])
    );
    assert_eq!(some["MsgKey"], first["MsgKey"]);
    assert_eq!(
        rest.code("openim/batchsendmsg", body(json!(["nobody", "noone"]))),
        90_012
    );
    for device in [&mut bob, &mut carol] {
        device.until_texts(1);
    }
    phone.until_texts(3);
    // Each is withdrawn by the one key of all.
    let withdraw = |to: &str| {
        rest.code(
            "openim/admin_msgwithdraw",
            json!({"From_Account": "alice", "To_Account": to, "MsgKey": first["MsgKey"]}),
        )
    };
    assert_eq!(
        (withdraw("carol"), withdraw("carol"), withdraw("nobody")),
        (0, 20_023, 20_022)
    );
    carol.until(|device| {
        device
            .observed
            .iter()
            .any(|seen| matches!(seen, Observed::Revoked { sequence: 1, .. }))
    });
    assert_eq!(history(&rest).len(), 1);
    assert_eq!(bob.texts(), ["all"]);
}

#[test]
fn history_goes_from_new_to_old_and_what_is_withdrawn_is_marked() {
    let rest = Rest::start();
    let [mut phone, mut laptop, mut bob] = with_devices(&rest);
    for number in 0..7_u32 {
        rest.ok(SEND, message(number, "alice", "bob", text(&format!("m{number}"))));
        rest.hub.advance(Duration::from_secs(10));
    }
    bob.send(c2c("alice"), "from a device");
    let ask = |max: u64, key: &str, min: u64| {
        rest.ok(
            "openim/admin_getroammsg",
            json!({"Operator_Account": "alice", "Peer_Account": "bob", "MaxCnt": 3, "MinTime": min, "MaxTime": max, "LastMsgKey": key}),
        )
    };
    let texts = |answer: &Value| -> Vec<String> {
        let rows = answer["MsgList"].as_array().unwrap().iter();
        rows.map(|row| {
            row["MsgBody"][0]["MsgContent"]["Text"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
    };
    let (mut answer, mut pages) = (ask(START_S + 1000, "", 0), Vec::new());
    loop {
        pages.push(texts(&answer));
        let first = &answer["MsgList"][0];
        assert_eq!(
            (&answer["LastMsgKey"], &answer["LastMsgTime"]),
            (&first["MsgKey"], &first["MsgTimeStamp"])
        );
        if answer["Complete"] == 1 {
            break;
        }
        answer = ask(
            answer["LastMsgTime"].as_u64().unwrap(),
            answer["LastMsgKey"].as_str().unwrap(),
            0,
        );
    }
    assert_eq!(
        pages,
        [
            vec!["m5", "m6", "from a device"],
            vec!["m2", "m3", "m4"],
            vec!["m0", "m1"]
        ]
    );
    // Both ends of the time count.
    let some = ask(START_S + 30, "", START_S + 20);
    assert_eq!(
        (texts(&some), &some["Complete"], &some["MsgCnt"]),
        (vec!["m2".into(), "m3".into()], &json!(1), &json!(2))
    );
    assert_eq!(ask(START_S - 1, "", 0)["MsgList"], json!([]));
    // What a device has sent is withdrawn as well, long after devices can.
    rest.hub.advance(Duration::from_secs(3600));
    let rows = history(&rest);
    let withdraw = |row: &Value| {
        let key = json!({"From_Account": row["From_Account"], "To_Account": row["To_Account"], "MsgKey": row["MsgKey"]});
        rest.code("openim/admin_msgwithdraw", key)
    };
    assert_eq!(
        (withdraw(&rows[7]), withdraw(&rows[2]), withdraw(&rows[2])),
        (0, 0, 20_023)
    );
    for device in [&mut phone, &mut laptop, &mut bob] {
        device.until(|device| {
            device
                .observed
                .iter()
                .filter(|seen| matches!(seen, Observed::Revoked { .. }))
                .count()
                == 2
        });
    }
    let flags: Vec<_> = history(&rest)
        .iter()
        .map(|row| {
            (
                row["MsgFlagBits"].clone(),
                row["MsgBody"].as_array().unwrap().len(),
            )
        })
        .collect();
    assert_eq!(flags[2], (json!(8), 0));
    assert_eq!(flags[3], (json!(0), 1));
    assert_eq!(flags[7], (json!(8), 0));
}

#[test]
fn what_is_read_and_unread_is_told_to_all_devices() {
    let rest = Rest::start();
    let [_, _, mut bob] = with_devices(&rest);
    let mut carol = Device::login(&rest.hub, "carol", 4);
    carol.create_group("g", &[user("bob")]).unwrap();
    carol.send(crate::support::group("g"), "in a group");
    for number in 0..3_u32 {
        rest.ok(SEND, message(number, "alice", "bob", text("a")));
        rest.ok(SEND, message(number, "carol", "bob", text("c")));
        rest.hub.advance(Duration::from_secs(10));
    }
    let all = || {
        rest.ok("openim/get_c2c_unread_msg_num", json!({"To_Account": "bob"}))["AllC2CUnreadMsgNum"].clone()
    };
    assert_eq!(all(), 6);
    let read = |time: Value| {
        rest.ok(
            "openim/admin_set_msg_read",
            json!({"Report_Account": "bob", "Peer_Account": "alice", "MsgReadTime": time}),
        )
    };
    read(json!(START_S - 1));
    assert_eq!(all(), 6);
    read(json!((START_S + 10).to_string()));
    let answer = rest.ok(
        "openim/get_c2c_unread_msg_num",
        json!({"To_Account": "bob", "Peer_Account": ["alice", "carol", "dave"]}),
    );
    assert_eq!(
        answer["C2CUnreadMsgNumList"],
        json!([{"Peer_Account": "alice", "C2CUnreadMsgNum": 1}, {"Peer_Account": "carol", "C2CUnreadMsgNum": 3}])
    );
    assert_eq!(
        answer["ErrorList"],
        json!([{"Peer_Account": "dave", "ErrorCode": 70107}])
    );
    read(Value::Null);
    assert_eq!(all(), 3);
    let is_told = |seen: &Observed| matches!(seen, Observed::Conversation { conversation, unread: 0, .. } if conversation == "C2Calice");
    bob.until(|device| device.observed.iter().any(is_told));
    assert_eq!(history(&rest)[0]["IsPeerRead"], 1);
}

#[test]
fn messages_of_another_system_are_imported_once() {
    let rest = Rest::start();
    let [_, _, _bob] = with_devices(&rest);
    let import = |to: &str, say: &str, mode: u32, time: u64| {
        let mut body = message(3, "alice", to, text(say));
        body["SyncFromOldSystem"] = mode.into();
        body["MsgTimeStamp"] = time.into();
        body
    };
    let _carol = Device::login(&rest.hub, "carol", 4);
    for body in [
        import("bob", "old", 1, 1_600_000_000),
        import("bob", "old", 1, 1_600_000_000),
        import("bob", "changed", 2, 1_600_000_000),
        import("carol", "to another", 1, 1_600_000_000),
        import("carol", "to another", 1, 1_600_000_000),
        import("bob", "silent", 2, 1_600_000_001),
    ] {
        rest.ok("openim/importmsg", body);
    }
    let rows = history(&rest);
    let said: Vec<_> = rows
        .iter()
        .map(|row| (&row["MsgBody"][0]["MsgContent"]["Text"], &row["MsgClientTime"]))
        .collect();
    assert_eq!(
        said,
        [
            (&json!("old"), &json!(1_600_000_000)),
            (&json!("silent"), &json!(1_600_000_001))
        ]
    );
    let unread = |name: &str| {
        rest.ok("openim/get_c2c_unread_msg_num", json!({"To_Account": name}))["AllC2CUnreadMsgNum"].clone()
    };
    assert_eq!((unread("bob"), unread("carol")), (json!(1), json!(1)));
}
