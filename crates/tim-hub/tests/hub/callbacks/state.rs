//! Who is online, and messages that are taken back.

use serde_json::{Value, json};
use tim_hub::CallbackCommand as Command;

use super::{GO, body, serve, so_far};
use crate::support::{Answer, Device, TestServer, c2c, group, user};

#[test]
fn who_comes_and_goes_is_told() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(&server, &[Command::StateChange]);
    let mut told = Vec::new();
    let mut until = |count| {
        let asked = server.asked(count);
        assert!(asked[0].target.contains("CallbackCommand=State.StateChange"));
        told = asked
            .iter()
            .map(|asked| {
                let body = body(asked);
                assert_eq!(body["EventTime"], 1_700_000_000_000_u64);
                body["Info"].clone()
            })
            .collect::<Vec<Value>>();
        told.clone()
    };
    let change = |name, action, reason| json!({"To_Account": name, "Action": action, "Reason": reason});
    let mut alice = Device::login(&rest.hub, "alice", 1);
    until(1);
    let now = alice.now();
    alice.session.logout(now);
    alice.until(|device| !device.is_connected());
    until(2);
    // A cut line, and the next login.
    let mut bob = Device::login(&rest.hub, "bob", 2);
    until(3);
    bob.cut();
    until(4);
    bob.send(c2c("alice"), "back");
    until(5);
    rest.hub.tell(async |hub| hub.kick(user("bob")).await).unwrap();
    bob.until(|device| !device.is_connected());
    let all = until(6);
    assert_eq!(
        all,
        [
            change("alice", "Login", "Register"),
            change("alice", "Logout", "Unregister"),
            change("bob", "Login", "Register"),
            change("bob", "Disconnect", "LinkClose"),
            change("bob", "Login", "Register"),
            change("bob", "Logout", "Unregister"),
        ]
    );
}

/// A device that connects again before its old connection has ended was never away.
#[test]
fn a_connection_that_is_replaced_does_not_end_the_login() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(&server, &[Command::StateChange]);
    let _old = Device::login(&rest.hub, "carol", 3);
    let _new = Device::login(&rest.hub, "carol", 3);
    let mut dave = Device::login(&rest.hub, "dave", 4);
    dave.cut();
    let actions: Vec<_> = server
        .asked(4)
        .iter()
        .map(|asked| body(asked)["Info"].clone())
        .map(|info| format!("{} {}", info["To_Account"], info["Action"]).replace('"', ""))
        .collect();
    assert_eq!(
        actions,
        ["carol Login", "carol Login", "dave Login", "dave Disconnect"]
    );
}

#[test]
fn what_is_taken_back_is_told_once() {
    let server = TestServer::start([Answer::ok(GO)]);
    let commands = [
        Command::AfterRecall,
        Command::AfterWithdraw,
        Command::AfterCreateGroup,
    ];
    let rest = serve(&server, &commands);
    let mut alice = Device::login(&rest.hub, "alice", 1);
    rest.accounts(&["bob"]);
    alice.create_group("hikers", &[user("bob")]).unwrap();
    for text in ["one", "two"] {
        alice.send(c2c("bob"), text);
        alice.send(group("hikers"), text);
    }
    for _ in 0..2 {
        alice.revoke(c2c("bob"), 1).unwrap();
        alice.revoke(group("hikers"), 2).unwrap();
    }
    let key = |sequence, random| format!("{sequence}_{random}_1700000000");
    let withdraw = json!({"From_Account": "alice", "To_Account": "bob", "MsgKey": key(2, 1_000_003)});
    let recall = json!({"GroupId": "hikers", "MsgSeqList": [{"MsgSeq": 3}]});
    rest.ok("openim/admin_msgwithdraw", withdraw);
    for _ in 0..2 {
        rest.groups_ok("group_msg_recall", recall.clone());
    }
    let told = so_far(&server, &rest);
    let told = told.get(1..).expect("the first one is of the group");
    let platforms = ["Unknown", "Unknown", "RESTAPI", "RESTAPI"];
    for (told, platform) in told.iter().zip(platforms) {
        assert!(
            told.target.ends_with(&format!("OptPlatform={platform}")),
            "{}",
            told.target
        );
    }
    let of_users = |sequence, random| {
        json!({"CallbackCommand": "C2C.CallbackAfterMsgWithDraw", "From_Account": "alice", "To_Account": "bob",
            "MsgKey": key(sequence, random)})
    };
    let of_group = |sequence: u64, by| {
        json!({"CallbackCommand": "Group.CallbackAfterRecallMsg", "Operator_Account": by, "GroupId": "hikers",
            "Type": "Public", "MsgSeqList": [{"MsgSeq": sequence}], "EventTime": 1_700_000_000_000_u64})
    };
    let told: Vec<_> = told.iter().map(body).collect();
    let expected = [
        of_users(1, 1_000_001),
        of_group(2, "alice"),
        of_users(2, 1_000_003),
        of_group(3, "admin"),
    ];
    assert_eq!(told, expected);
}
