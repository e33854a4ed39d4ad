//! Accounts.

use std::time::Duration;

use serde_json::{Value, json};
use tim_hub::usersig::UserSig;
use tim_proto::ErrorCode;
use tim_proto::message::Text;
use tim_proto::request::{Renew, UserProfiles};
use tim_proto::wire::List;

use super::Rest;
use crate::support::{Device, Observed, Reply, START_MS, app, c2c, user};

const IMPORT: &str = "im_open_login_svc/account_import";

#[test]
fn accounts_are_made_named_and_found() {
    let rest = Rest::start_with(|options| options.open_registration = false);
    let mut alice = Device::login(&rest.hub, "alice", 1);
    let message = alice.message(c2c("bob"), Text::new("hi"));
    assert!(alice.send_message(&message).is_err());
    rest.ok(
        IMPORT,
        json!({"UserID": "bob", "Nick": "Bob 群", "FaceUrl": "https://x/b.png"}),
    );
    // Once more: nothing is lost, and what is given is changed.
    rest.ok(IMPORT, json!({"UserID": "bob"}));
    rest.ok(
        IMPORT,
        json!({"UserID": "bob", "Nick": "", "FaceUrl": "https://x/c.png"}),
    );
    alice.send(c2c("bob"), "hi");
    assert_eq!(
        alice.ask(&UserProfiles::new(List::from_slice(&[user("bob")]))),
        Ok(Reply::Users(vec![
            ["bob", "Bob 群", "https://x/c.png"].map(str::to_owned)
        ]))
    );
    // A user who is online is called by the new name at once.
    let mut bob = Device::login(&rest.hub, "bob", 2);
    bob.send(c2c("alice"), "a");
    rest.ok(IMPORT, json!({"UserID": "bob", "Nick": "Robert"}));
    bob.send(c2c("alice"), "b");
    alice.until_texts(2);
    let names = alice
        .sender_names
        .iter()
        .map(|[text, nick, ..]| (text.as_str(), nick.as_str()));
    assert_eq!(names.collect::<Vec<_>>(), [("a", "Bob 群"), ("b", "Robert")]);
    let answer = rest.ok(
        "im_open_login_svc/multiaccount_import",
        json!({"Accounts": ["carol", "", "carol", "dave", " eve", "@TIM#SYSTEM", "x".repeat(33)]}),
    );
    assert_eq!(
        answer["FailAccounts"],
        json!(["", " eve", "@TIM#SYSTEM", "x".repeat(33)])
    );
    let items: Vec<_> = ["alice", "carol", "dave", "nobody"]
        .map(|name| json!({"UserID": name}))
        .into();
    let answer = rest.ok("im_open_login_svc/account_check", json!({"CheckItem": items}));
    let status: Vec<_> = answer["ResultItem"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["AccountStatus"])
        .collect();
    assert_eq!(status, ["Imported", "Imported", "Imported", "NotImported"]);
    let items: Vec<_> = ["", "alice", "@TIM#SYSTEM"]
        .map(|name| json!({"UserID": name}))
        .into();
    let answer = rest.ok("im_open_login_svc/account_check", json!({"CheckItem": items}));
    let results = answer["ResultItem"].as_array().unwrap().iter();
    let results: Vec<_> = results
        .map(|item| (&item["ResultCode"], &item["AccountStatus"]))
        .collect();
    assert_eq!(
        results,
        [
            (&json!(70_402), &json!("NotImported")),
            (&json!(0), &json!("Imported")),
            (&json!(70_402), &json!("NotImported"))
        ]
    );
}

#[test]
fn names_and_lists_have_limits() {
    let rest = Rest::start();
    for (body, code) in [
        (json!({"UserID": "bob", "Nick": "x".repeat(101)}), 40_601),
        (json!({"UserID": "bob", "FaceUrl": "x".repeat(9_000)}), 40_601),
        (json!({"UserID": "bob", "Nick": "a\u{202e}b"}), 70_402),
        (json!({"UserID": "bob", "Nick": 5}), 70_402),
    ] {
        assert_eq!(rest.code(IMPORT, body.clone()), code, "{body}");
    }
    let many: Vec<_> = (0..101).map(|number| format!("u{number}")).collect();
    let items: Vec<_> = many.iter().map(|name| json!({"UserID": name})).collect();
    for (command, body) in [
        ("multiaccount_import", json!({"Accounts": many})),
        ("multiaccount_import", json!({"Accounts": []})),
        ("multiaccount_import", json!({"Accounts": ["a", 1]})),
        ("multiaccount_import", json!({"Accounts": "a"})),
        ("account_check", json!({"CheckItem": items})),
        ("account_check", json!({"CheckItem": ["a"]})),
        ("account_check", json!({"CheckItem": [{"User": "a"}]})),
    ] {
        assert_eq!(
            rest.code(&format!("im_open_login_svc/{command}"), body.clone()),
            70_402,
            "{body}"
        );
    }
    let answer = rest.ok(
        "im_open_login_svc/account_check",
        json!({"CheckItem": [{"UserID": "bob"}, {"UserID": "u1"}, {"UserID": "a"}]}),
    );
    assert!(answer.to_string().matches("NotImported").count() == 3, "{answer}");
}

#[test]
fn it_is_told_who_is_online() {
    let rest = Rest::start();
    let alice = [
        Device::login(&rest.hub, "alice", 1),
        Device::login(&rest.hub, "alice", 2),
    ];
    rest.ok(IMPORT, json!({"UserID": "bob"}));
    let asked = json!({"To_Account": ["alice", "bob", "nobody"], "IsNeedDetail": 1});
    let answer = rest.ok("openim/query_online_status", asked.clone());
    let device = json!({"Platform": "Unknown", "Status": "Online"});
    assert_eq!(
        answer["QueryResult"],
        json!([
            {"To_Account": "alice", "Status": "Online", "Detail": [device, device]},
            {"To_Account": "bob", "Status": "Offline"},
        ])
    );
    assert_eq!(
        answer["ErrorList"],
        json!([{"To_Account": "nobody", "ErrorCode": 70107}])
    );
    let answer = rest.ok("openim/querystate", json!({"To_Account": ["bob"]}));
    assert_eq!(
        answer["QueryResult"],
        json!([{"To_Account": "bob", "State": "Offline"}])
    );
    drop(alice);
    // The hub hears of it in a moment.
    while rest.ok("openim/query_online_status", asked.clone())["QueryResult"][0]["Status"] == "Online" {
        std::thread::yield_now();
    }
    for (body, code) in [
        (json!({"To_Account": ["nobody", "noone"]}), 70_107),
        (json!({"To_Account": []}), 90_001),
        (json!({}), 90_001),
        (json!({"To_Account": "alice"}), 90_003),
        (json!({"To_Account": [1]}), 90_003),
        (json!({"To_Account": vec!["a"; 501]}), 90_011),
    ] {
        assert_eq!(
            rest.code("openim/query_online_status", body.clone()),
            code,
            "{body}"
        );
    }
}

#[test]
fn a_kick_ends_sessions_and_makes_tickets_void() {
    let rest = Rest::start();
    let mut alice = [
        Device::login(&rest.hub, "alice", 1),
        Device::login(&rest.hub, "alice", 2),
    ];
    let bob = Device::login(&rest.hub, "bob", 3);
    rest.hub.advance(Duration::from_secs(10));
    let kick = |body: Value| rest.code("im_open_login_svc/kick", body);
    assert_eq!(kick(json!({"UserID": "alice"})), 0);
    let kicked = Observed::KickedOut(ErrorCode::KICKED_OUT_REST_API);
    for device in &mut alice {
        device.until(|device| device.observed.contains(&kicked));
    }
    let mut again = Device::new(&rest.hub, "alice", 4);
    again.begin_login();
    let refused = Observed::LoginFailed(ErrorCode::ACCOUNT_INVALID_USERSIG);
    again.until(|device| device.observed.contains(&refused));
    assert_eq!(kick(json!({"Identifier": "alice"})), 0);
    assert_eq!(
        (kick(json!({"UserID": "nobody"})), kick(json!({}))),
        (70_107, 70_402)
    );
    assert!(bob.session.is_ready());
    // One that is made later is good, for a renewal of a session, too.
    let sig = |seconds: u64| UserSig::sign(&app(), &user("alice"), START_MS / 1000 + seconds, 3600);
    let mut later = Device::new(&rest.hub, "alice", 5);
    later.session.set_user_sig(sig(10));
    later.log_in();
    assert_eq!(
        later.ask(&Renew::new(&sig(9))),
        Err(ErrorCode::ACCOUNT_INVALID_USERSIG)
    );
}

#[test]
fn nobody_is_locked_out_by_a_kick_while_the_clock_was_ahead() {
    let rest = Rest::start();
    rest.accounts(&["alice"]);
    let kick = || rest.ok("im_open_login_svc/kick", json!({"UserID": "alice"}));
    rest.hub.set_clock(START_MS + 1_000_000_000);
    kick();
    rest.hub.set_clock(START_MS + 10_000);
    kick();
    let mut old = Device::new(&rest.hub, "alice", 1);
    old.begin_login();
    let refused = Observed::LoginFailed(ErrorCode::ACCOUNT_INVALID_USERSIG);
    old.until(|device| device.observed.contains(&refused));
    let mut new = Device::new(&rest.hub, "alice", 2);
    let user_sig = UserSig::sign(&app(), &user("alice"), START_MS / 1000 + 10, 3600);
    new.session.set_user_sig(user_sig);
    new.log_in();
}

#[test]
fn a_deleted_account_has_nothing_and_may_come_back() {
    let rest = Rest::start();
    let mut alice = Device::login(&rest.hub, "alice", 1);
    let mut bob = Device::login(&rest.hub, "bob", 2);
    rest.ok(IMPORT, json!({"UserID": "alice", "Nick": "Alice"}));
    alice.send(c2c("bob"), "hi");
    bob.until_texts(1);
    rest.ok("sns/friend_add", json!({"From_Account": "bob", "AddFriendItem": [{"To_Account": "alice", "AddSource": "AddSource_Type_x"}]}));
    rest.hub.advance(Duration::from_secs(10));
    let answer = rest.ok(
        "im_open_login_svc/account_delete",
        json!({"DeleteItem": [{"UserID": "alice"}, {"UserID": "nobody"}]}),
    );
    let codes: Vec<_> = answer["ResultItem"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["ResultCode"])
        .collect();
    assert_eq!(codes, [&json!(0), &json!(70_107)]);
    let kicked = Observed::KickedOut(ErrorCode::KICKED_OUT_REST_API);
    alice.until(|device| device.observed.contains(&kicked));
    let status = || {
        let answer = rest.ok(
            "im_open_login_svc/account_check",
            json!({"CheckItem": [{"UserID": "alice"}]}),
        );
        answer["ResultItem"][0]["AccountStatus"].clone()
    };
    assert_eq!(status(), "NotImported");
    assert_eq!(
        rest.ok("sns/friend_get", json!({"From_Account": "bob", "StartIndex": 0}))["FriendNum"],
        0
    );
    let body = json!({"From_Account": "bob", "To_Account": "alice", "MsgRandom": 1, "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x"}}]});
    assert_eq!(rest.code("openim/sendmsg", body.clone()), 90_012);
    let mut again = Device::new(&rest.hub, "alice", 4);
    again.begin_login();
    let refused = Observed::LoginFailed(ErrorCode::ACCOUNT_INVALID_USERSIG);
    again.until(|device| device.observed.contains(&refused));
    rest.ok(IMPORT, json!({"UserID": "alice"}));
    assert_eq!(status(), "Imported");
    rest.ok("openim/sendmsg", body);
    assert_eq!(
        bob.ask(&UserProfiles::new(List::from_slice(&[user("alice")]))),
        Ok(Reply::Users(vec![["alice", "", ""].map(str::to_owned)]))
    );
}
