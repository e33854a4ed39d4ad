//! Users without accounts: those who never had one, and those whose account was deleted.

use serde_json::{Value, json};

use super::Rest;
use super::messages::{message, text};

#[test]
fn the_conversation_with_a_deleted_account_is_still_there() {
    let rest = Rest::start();
    rest.accounts(&["alice", "bob"]);
    rest.ok("openim/sendmsg", message(1, "alice", "bob", text("to bob")));
    rest.ok("openim/sendmsg", message(2, "bob", "alice", text("to alice")));
    let history = |from: &str, to: &str, max: u64| {
        let asked =
            json!({"From_Account": from, "To_Account": to, "MaxCnt": 9, "MinTime": 0, "MaxTime": max});
        rest.call("openim/admin_getroammsg", asked)
    };
    let unread = |peers: Value| {
        rest.ok(
            "openim/get_c2c_unread_msg_num",
            json!({"To_Account": "alice", "Peer_Account": peers}),
        )
    };
    let set_read = |user: &str, peer: &str| {
        let body = json!({"Report_Account": user, "Peer_Account": peer});
        rest.code("openim/admin_set_msg_read", body)
    };
    let before = history("alice", "bob", 9_999_999_999);
    rest.ok(
        "im_open_login_svc/account_delete",
        json!({"DeleteItem": [{"UserID": "bob"}]}),
    );
    assert_eq!(history("alice", "bob", 9_999_999_999), before);
    assert_eq!(before["MsgCnt"], 2);
    assert_eq!(history("bob", "alice", 9_999_999_999)["MsgCnt"], 2);
    assert_eq!(history("alice", "bob", 1)["MsgCnt"], 0);
    let counts = unread(json!(["bob", "nobody"]));
    assert_eq!(
        counts["C2CUnreadMsgNumList"],
        json!([{"Peer_Account": "bob", "C2CUnreadMsgNum": 1}])
    );
    assert_eq!(
        counts["ErrorList"],
        json!([{"Peer_Account": "nobody", "ErrorCode": 70107}])
    );
    assert_eq!(set_read("alice", "bob"), 0);
    assert_eq!(unread(Value::Null)["AllC2CUnreadMsgNum"], 0);
    assert_eq!(
        unread(json!(["bob"]))["C2CUnreadMsgNumList"][0]["C2CUnreadMsgNum"],
        0
    );
    // Whoever never had an account has no messages.
    assert_eq!(history("alice", "nobody", 1)["ErrorCode"], 90_003);
    assert_eq!(history("nobody", "alice", 1)["ErrorCode"], 90_008);
    assert_eq!(set_read("alice", "nobody"), 90_003);
    assert_eq!(set_read("bob", "alice"), 90_003);
}

#[test]
fn no_group_is_given_to_a_deleted_account() {
    let rest = Rest::start();
    rest.group("Public", "g", &["o", "m"]);
    rest.ok(
        "im_open_login_svc/account_delete",
        json!({"DeleteItem": [{"UserID": "m"}]}),
    );
    for owner in ["m", "nobody"] {
        let body = json!({"GroupId": "g", "NewOwner_Account": owner});
        assert_eq!(rest.groups_code("change_group_owner", body), 10_019);
        let body = json!({"GroupId": "h", "Type": "Public", "Name": "h", "Owner_Account": owner});
        assert_eq!(rest.groups_code("create_group", body), 10_019);
    }
    let nameless = json!({"GroupId": "g", "Random": 1, "From_Account": "", "MsgBody": text("x")});
    assert_eq!(rest.groups_code("send_group_msg", nameless), 10_004);
    rest.groups_ok("destroy_group", json!({"GroupId": "g"}));
    assert_eq!(rest.groups_code("destroy_group", json!({"GroupId": "g"})), 10_010);
}
