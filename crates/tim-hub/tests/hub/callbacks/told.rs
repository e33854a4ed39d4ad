//! Conversations that are read, friends, and attributes of groups.

use serde_json::{Value, json};
use tim_hub::CallbackCommand as Command;
use tim_proto::request::MarkRead;

use super::{GO, body, serve, so_far};
use crate::support::{Answer, Asked, Device, TestServer, c2c, group};

const COMMANDS: &[Command] = &[
    Command::AfterRead,
    Command::AfterAttributes,
    Command::AfterFriendAdd,
    Command::AfterFriendDelete,
    Command::AfterCreateGroup,
];

/// What was told, but of groups that are made: where from, and the body without the time of the event.
fn told(asked: &[Asked]) -> Vec<(String, Value)> {
    let event = |asked: &Asked| {
        let platform = asked.target.rsplit('=').next().unwrap().to_owned();
        let Value::Object(mut body) = body(asked) else {
            panic!("{asked:?}")
        };
        if let Some(time) = body.remove("EventTime") {
            assert_eq!(time, 1_700_000_000_000_u64);
        }
        (platform, Value::Object(body))
    };
    let all = asked.iter().map(event);
    all.filter(|(_, body)| body["CallbackCommand"] != "Group.CallbackAfterCreateGroup")
        .collect()
}

#[test]
fn the_application_is_told_of_each_time_that_somebody_reads_what_another_has_written() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(&server, COMMANDS);
    let mut alice = Device::login(&rest.hub, "alice", 1);
    let mut bob = Device::login(&rest.hub, "bob", 2);
    alice.create_group("hikers", &[]).unwrap();
    alice.send(c2c("bob"), "hello");
    bob.until_texts(1);
    bob.ask(&MarkRead::new(c2c("alice"))).unwrap();
    // Of no conversation, of a group, and by the application's own server.
    bob.ask(&MarkRead::new(c2c("nobody"))).ok();
    alice.ask(&MarkRead::new(group("hikers"))).unwrap();
    let read = json!({"Report_Account": "alice", "Peer_Account": "bob"});
    rest.ok("openim/admin_set_msg_read", read);
    let event = |platform: &str, user: &str, peer: &str| {
        let body = json!({"CallbackCommand": "C2C.CallbackAfterMsgReport", "Report_Account": user, "Peer_Account": peer,
            "LastReadTime": 1_700_000_000});
        (platform.to_owned(), body)
    };
    assert_eq!(
        told(&so_far(&server, &rest)),
        [event("Unknown", "bob", "alice"), event("RESTAPI", "alice", "bob")]
    );
}

#[test]
fn the_application_is_told_who_has_become_whose_friend_and_who_is_none_any_more() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(&server, COMMANDS);
    rest.accounts(&["alice", "bob", "carol"]);
    let add = |kind: &str, forced: u32, names: &[&str]| {
        let items = names.iter();
        let items = items.map(|name| json!({"To_Account": name, "AddSource": "AddSource_Type_web"}));
        let body = json!({"From_Account": "alice", "AddType": kind, "ForceAddFlags": forced,
            "AddFriendItem": items.collect::<Vec<_>>()});
        rest.ok("sns/friend_add", body);
    };
    add("Add_Type_Single", 0, &["bob", "nobody"]);
    // Nothing is told of who is a friend already; the other one has a new one, too.
    add("Add_Type_Both", 1, &["bob", "carol"]);
    add("Add_Type_Both", 1, &["carol"]);
    let item = json!({"To_Account": "bob", "SnsItem": [{"Tag": "Tag_SNS_IM_Remark", "Value": "Bobby"}]});
    rest.ok(
        "sns/friend_update",
        json!({"From_Account": "alice", "UpdateItem": [item]}),
    );
    let delete = |kind: &str, name: &str| {
        let body = json!({"From_Account": "alice", "To_Account": [name], "DeleteType": kind});
        rest.ok("sns/friend_delete", body);
    };
    delete("Delete_Type_Single", "bob");
    delete("Delete_Type_Single", "bob");
    delete("Delete_Type_Both", "carol");
    let pair = |from: &str, to: &str| json!({"From_Account": from, "To_Account": to});
    let begun = |forced: u32, pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(from, to)| {
                let mut pair = pair(from, to);
                pair["Initiator_Account"] = "alice".into();
                pair
            })
            .collect();
        json!({"CallbackCommand": "Sns.CallbackFriendAdd", "PairList": pairs, "ClientCmd": "friend_add",
            "Admin_Account": "admin", "ForceFlag": forced})
    };
    let ended = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.iter().map(|(from, to)| pair(from, to)).collect();
        json!({"CallbackCommand": "Sns.CallbackFriendDelete", "PairList": pairs})
    };
    let told = told(&so_far(&server, &rest));
    assert!(told.iter().all(|(platform, _)| platform == "RESTAPI"), "{told:?}");
    let bodies: Vec<_> = told.into_iter().map(|(_, body)| body).collect();
    assert_eq!(
        bodies,
        [
            begun(0, &[("alice", "bob")]),
            begun(1, &[("alice", "carol"), ("bob", "alice"), ("carol", "alice")]),
            ended(&[("alice", "bob")]),
            ended(&[("alice", "carol"), ("carol", "alice")]),
        ]
    );
}

#[test]
fn the_application_is_told_of_attributes_of_groups() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(&server, COMMANDS);
    rest.group("AVChatRoom", "room", &["alice"]);
    let set =
        json!({"GroupId": "room", "GroupAttr": [{"key": "a", "value": "1"}, {"key": "b", "value": ""}]});
    rest.groups_ok("modify_group_attr", set);
    let long = json!({"GroupId": "room", "GroupAttr": [{"key": "x".repeat(100), "value": "1"}]});
    assert_ne!(rest.groups_code("modify_group_attr", long), 0);
    assert_ne!(
        rest.groups_code("clear_group_attr", json!({"GroupId": "none"})),
        0
    );
    rest.groups_ok("clear_group_attr", json!({"GroupId": "room"}));
    let event = |kind: &str, attributes: Value| {
        let body = json!({"CallbackCommand": "Group.CallbackAfterGroupAttrChanged", "GroupId": "room", "Type": "AVChatRoom",
            "Operator_Account": "admin", "OptionType": kind, "GroupAttr": attributes});
        ("RESTAPI".to_owned(), body)
    };
    let both = json!([{"key": "a", "value": "1"}, {"key": "b", "value": ""}]);
    assert_eq!(
        told(&so_far(&server, &rest)),
        [event("modify", both), event("clear", json!([]))]
    );
}
