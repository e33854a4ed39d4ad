//! Messages that are refused: the vendor's code for each fault, and nothing is stored.

use serde_json::{Value, json};

use super::Rest;
use super::messages::message;
use crate::support::Device;

fn text(text: &str) -> Value {
    json!([{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}])
}

/// A message from alice to bob, changed.
fn but(field: &str, value: Value) -> Value {
    let mut body = message(1, "alice", "bob", text("x"));
    if value.is_null() {
        body.as_object_mut().unwrap().remove(field);
    } else {
        body[field] = value;
    }
    body
}

fn body(body: Value) -> Value {
    but("MsgBody", body)
}

fn element(kind: &str, content: Value) -> Value {
    body(json!([{"MsgType": kind, "MsgContent": content}]))
}

#[test]
fn each_fault_of_a_message_has_its_code_and_nothing_is_stored() {
    let rest = Rest::start();
    let _devices = [("alice", 1), ("bob", 2)].map(|(name, number)| Device::login(&rest.hub, name, number));
    let custom = json!({"MsgType": "TIMCustomElem", "MsgContent": {"Data": "d"}});
    let nested = (0..100).fold(json!(1), |inner, _| json!([inner]));
    for (fault, code) in [
        (body(Value::Null), 90_002),
        (body(json!([])), 90_002),
        (body(json!({})), 90_007),
        (body(json!("x")), 90_007),
        (body(json!(["x"])), 90_002),
        (body(json!([{}])), 90_002),
        (body(json!([{"MsgType": 5, "MsgContent": {}}])), 90_002),
        (body(json!([{"MsgType": "TIMTextElem"}])), 90_002),
        (
            body(json!([{"MsgType": "TIMTextElem", "MsgContent": "x"}])),
            90_002,
        ),
        (element("TIMTextElem", json!({})), 90_002),
        (element("TIMTextElem", json!({"Text": 5})), 90_002),
        (element("TIMFaceElem", json!({"Index": "x", "Data": ""})), 90_002),
        (element("TIMFaceElem", json!({"Index": -1, "Data": ""})), 90_010),
        (element("TIMImageElem", json!({"UUID": "i"})), 90_002),
        (
            element("TIMImageElem", json!({"ImageInfoArray": [{"Type": 300}]})),
            90_010,
        ),
        (
            element(
                "TIMFileElem",
                json!({"FileName": "f", "FileSize": 1_u64 << 40, "Url": "u"}),
            ),
            90_010,
        ),
        (element("TIMCustomElem", json!({})), 90_010),
        (element("TIMFileElem", json!({"Url": "http://a"})), 90_010),
        (element("TIMFileElem", json!({"FileName": "n"})), 90_010),
        (element("TIMNoSuchElem", json!({})), 90_010),
        (element("TIMGroupTipElem", json!({"operationType": 1})), 90_010),
        (element("Revocation", json!({"sequence": 1})), 90_010),
        (
            body(json!([text("a")[0], {"MsgType": "TIMFaceElem", "MsgContent": {}}])),
            90_002,
        ),
        (body(json!([custom, custom])), 90_010),
        (
            body(json!([text("a")[0], {"MsgType": "TIMGroupTipElem", "MsgContent": {}}])),
            90_010,
        ),
        (body(text(&"x".repeat(13_000))), 93_000),
        (body(json!([text("a")[0], text(&"x".repeat(13_000))[0]])), 93_000),
        (but("CloudCustomData", json!("x".repeat(13_000))), 93_000),
        (but("CloudCustomData", json!(5)), 90_010),
        (but("SendMsgControl", json!("NoUnread")), 90_010),
        (but("MsgRandom", Value::Null), 90_005),
        (but("MsgRandom", json!("x")), 90_005),
        (but("MsgRandom", json!(1.5)), 90_005),
        (but("MsgRandom", json!(1_u64 << 32)), 90_005),
        (but("MsgTimeStamp", json!("now")), 90_006),
        (but("MsgLifeTime", json!("long")), 90_044),
        (but("MsgLifeTime", json!(-1)), 90_044),
        (but("SyncOtherMachine", json!(3)), 90_031),
        (but("To_Account", Value::Null), 90_003),
        (but("To_Account", json!(5)), 90_003),
        (but("To_Account", json!(["bob"])), 90_003),
        (but("To_Account", json!("nobody")), 90_012),
        (but("To_Account", json!("x".repeat(33))), 90_003),
        (but("From_Account", json!(5)), 90_008),
        (but("From_Account", json!("")), 90_008),
        (but("From_Account", json!("nobody")), 90_008),
        (but("From_Account", json!("@TIM#SYSTEM")), 90_008),
        (but("Extra", nested), 90_001),
    ] {
        let answer = rest.call("openim/sendmsg", fault.clone());
        assert_eq!(answer["ErrorCode"], code, "{fault}: {answer}");
    }
    for (command, fault, code) in [
        ("batchsendmsg", but("To_Account", json!("bob")), 90_003),
        ("batchsendmsg", but("To_Account", json!([])), 90_003),
        ("batchsendmsg", but("To_Account", json!(vec!["a"; 501])), 90_011),
        ("batchsendmsg", but("To_Account", json!(["bob", 1])), 90_003),
        ("importmsg", but("SyncFromOldSystem", json!(3)), 90_030),
        ("importmsg", but("SyncFromOldSystem", Value::Null), 90_030),
        ("importmsg", but("SyncFromOldSystem", json!(1)), 90_006),
        ("admin_getroammsg", json!({}), 90_008),
        ("admin_getroammsg", json!({"From_Account": "alice"}), 90_003),
        (
            "admin_getroammsg",
            json!({"From_Account": "alice", "To_Account": "bob"}),
            90_010,
        ),
        (
            "admin_getroammsg",
            json!({"From_Account": "alice", "To_Account": "bob", "MaxCnt": 1, "MinTime": 0, "MaxTime": 1, "LastMsgKey": "x"}),
            90_054,
        ),
        (
            "admin_msgwithdraw",
            json!({"From_Account": "alice", "To_Account": "bob"}),
            90_054,
        ),
        (
            "admin_msgwithdraw",
            json!({"From_Account": "alice", "To_Account": "bob", "MsgKey": "1_2"}),
            90_054,
        ),
        (
            "admin_msgwithdraw",
            json!({"From_Account": "alice", "To_Account": "bob", "MsgKey": "1_1_1"}),
            20_022,
        ),
        ("admin_set_msg_read", json!({"Report_Account": "alice"}), 90_003),
        (
            "admin_set_msg_read",
            json!({"Report_Account": "alice", "Peer_Account": "nobody"}),
            90_003,
        ),
        ("get_c2c_unread_msg_num", json!({}), 90_003),
        ("get_c2c_unread_msg_num", json!({"To_Account": "nobody"}), 90_003),
        (
            "get_c2c_unread_msg_num",
            json!({"To_Account": "bob", "Peer_Account": vec!["a"; 11]}),
            90_003,
        ),
    ] {
        let answer = rest.call(&format!("openim/{command}"), fault.clone());
        assert_eq!(answer["ErrorCode"], code, "{command} {fault}: {answer}");
    }
    let asked = json!({"From_Account": "alice", "To_Account": "bob", "MaxCnt": 100, "MinTime": 0, "MaxTime": 9_999_999_999_u64});
    assert_eq!(rest.ok("openim/admin_getroammsg", asked)["MsgList"], json!([]));
}

#[test]
fn numbers_may_be_strings_and_empty_fields_missing() {
    let rest = Rest::start();
    rest.accounts(&["alice", "bob"]);
    for (number, (kind, content, shown)) in [
        (
            "TIMFileElem",
            json!({"Url": "https://x/f", "FileSize": "12", "FileName": "f"}),
            ("FileSize", json!(12)),
        ),
        (
            "TIMFaceElem",
            json!({"Index": "6", "Data": "d"}),
            ("Index", json!(6)),
        ),
        ("TIMFaceElem", json!({"Index": 6}), ("Data", json!(""))),
        (
            "TIMFaceElem",
            json!({"Index": 6, "Data": null}),
            ("Data", json!("")),
        ),
        (
            "TIMSoundElem",
            json!({"Url": "https://x/s", "UUID": "s", "Size": "1", "Second": "2"}),
            ("Second", json!(2)),
        ),
        (
            "TIMLocationElem",
            json!({"Latitude": "29.5", "Longitude": 116}),
            ("Latitude", json!(29.5)),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut sent = element(kind, content);
        sent["MsgRandom"] = number.into();
        rest.ok("openim/sendmsg", sent);
        let asked = json!({"From_Account": "alice", "To_Account": "bob", "MaxCnt": 1, "MinTime": 0, "MaxTime": 9_999_999_999_u64});
        let row = rest.ok("openim/admin_getroammsg", asked)["MsgList"][0].clone();
        assert_eq!(row["MsgBody"][0]["MsgType"], kind);
        assert_eq!(row["MsgBody"][0]["MsgContent"][shown.0], shown.1, "{row}");
    }
}
