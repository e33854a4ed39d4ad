//! Messages that an application's server sends by the REST interface.

use serde_json::{Value, json};
use tim_hub::CallbackCommand as Command;
use tim_proto::message::Text;

use super::{DEADLINE, GO, body, says, start};
use crate::rest::{Rest, of_groups};
use crate::support::{Answer, Device, TestServer, c2c, group};

const ALL: &[Command] = &[
    Command::BeforeC2c,
    Command::AfterC2c,
    Command::BeforeGroup,
    Command::AfterGroup,
];

fn serve(server: &TestServer, commands: &[Command]) -> Rest {
    let rest = Rest::serve(start(server, commands, |options| {
        options.timeout = DEADLINE;
        options.max_concurrent = 1;
    }));
    rest.accounts(&["alice", "bob"]);
    rest
}

fn text(text: &str) -> Value {
    json!([{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}])
}

/// A message of Alice to Bob.
fn message(random: u32, said: &str) -> Value {
    json!({"From_Account": "alice", "To_Account": "bob", "MsgRandom": random, "MsgSeq": 5, "MsgBody": text(said)})
}

fn of_group(random: u32, said: &str) -> Value {
    json!({"From_Account": "alice", "GroupId": "hikers", "Random": random, "MsgBody": text(said)})
}

#[test]
fn a_message_to_a_user_is_asked_about_and_told_of() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(&server, ALL);
    let mut bob = Device::login(&rest.hub, "bob", 2);
    let sent = rest.ok("openim/sendmsg", message(7, "hello"));
    bob.until_texts(1);
    let asked = server.asked(2);
    for (asked, command) in asked
        .iter()
        .zip(["C2C.CallbackBeforeSendMsg", "C2C.CallbackAfterSendMsg"])
    {
        let query = format!("&CallbackCommand={command}&contenttype=json&ClientIP=&OptPlatform=RESTAPI");
        assert!(asked.target.ends_with(&query), "{}", asked.target);
    }
    let mut expected = json!({
        "CallbackCommand": "C2C.CallbackBeforeSendMsg", "From_Account": "alice", "To_Account": "bob", "MsgSeq": 5,
        "MsgRandom": 7, "MsgTime": 1_700_000_000, "MsgKey": "5_7_1700000000", "OnlineOnlyFlag": 0,
        "MsgBody": text("hello"), "CloudCustomData": "",
    });
    assert_eq!(body(&asked[0]), expected);
    expected["CallbackCommand"] = "C2C.CallbackAfterSendMsg".into();
    expected["MsgSeq"] = 1.into();
    expected["MsgKey"] = sent["MsgKey"].clone();
    expected["SendMsgResult"] = 0.into();
    expected["ErrorInfo"] = "send msg succeed".into();
    assert_eq!(body(&asked[1]), expected);
    // Who was told of a message can revoke it.
    let revoke = json!({"From_Account": "alice", "To_Account": "bob", "MsgKey": expected["MsgKey"]});
    rest.ok("openim/admin_msgwithdraw", revoke);

    let mut online_only = message(8, "now");
    online_only["OnlineOnlyFlag"] = 1.into();
    let sent = rest.ok("openim/sendmsg", online_only);
    let asked = server.asked(4);
    let told = body(&asked[3]);
    assert_eq!(
        (&told["OnlineOnlyFlag"], &told["SendMsgResult"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(sent["MsgKey"], "0_8_1700000000");
}

#[test]
fn a_message_to_a_group_is_asked_about_and_told_of() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(&server, ALL);
    rest.group("Public", "hikers", &["alice", "bob"]);
    let sent = rest.groups_ok("send_group_msg", of_group(7, "on Sunday"));
    let asked = server.asked(2);
    let mut expected = json!({
        "CallbackCommand": "Group.CallbackBeforeSendMsg", "GroupId": "hikers", "Type": "Public", "From_Account": "alice",
        "Operator_Account": "admin", "Random": 7, "OnlineOnlyFlag": 0, "MsgBody": text("on Sunday"), "CloudCustomData": "",
        "EventTime": 1_700_000_000_000_u64,
    });
    assert_eq!(body(&asked[0]), expected);
    expected["CallbackCommand"] = "Group.CallbackAfterSendMsg".into();
    expected["MsgSeq"] = sent["MsgSeq"].clone();
    expected["MsgTime"] = sent["MsgTime"].clone();
    assert_eq!(body(&asked[1]), expected);
    assert!(asked[1].target.ends_with("OptPlatform=RESTAPI"));

    // What is not stored, too.
    rest.group("AVChatRoom", "room", &["alice"]);
    let mut room = of_group(8, "hello");
    room["GroupId"] = "room".into();
    rest.groups_ok("send_group_msg", room);
    let told = body(&server.asked(4)[3]);
    assert_eq!(
        (&told["CallbackCommand"], &told["Type"], &told["MsgSeq"]),
        (
            &json!("Group.CallbackAfterSendMsg"),
            &json!("AVChatRoom"),
            &json!(0)
        )
    );
}

#[test]
fn the_application_refuses_drops_and_changes() {
    let changed = json!({"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "MsgBody": text("***")});
    let changed = Answer::ok(changed.to_string());
    let long = json!({"ErrorCode": 0, "MsgBody": text(&"x".repeat(20_000))});
    let server = TestServer::start([
        says(1, ""),
        says(120_007, "no bad words"),
        says(2, ""),
        changed.clone(),
        Answer::ok(long.to_string()),
        says(1, ""),
        says(10_107, "not here"),
        says(2, ""),
        changed,
    ]);
    let rest = serve(&server, &[Command::BeforeC2c, Command::BeforeGroup]);
    rest.group("Public", "hikers", &["alice", "bob"]);
    let mut bob = Device::login(&rest.hub, "bob", 2);
    assert_eq!(rest.code("openim/sendmsg", message(1, "bad")), 20_006);
    let refused = rest.call("openim/sendmsg", message(2, "bad"));
    assert_eq!(
        (&refused["ErrorCode"], &refused["ErrorInfo"]),
        (&json!(120_007), &json!("no bad words"))
    );
    assert_eq!(
        rest.ok("openim/sendmsg", message(3, "dropped"))["MsgKey"],
        "0_3_1700000000"
    );
    let sent = rest.ok("openim/sendmsg", message(4, "damn"));
    // A repetition is known by what its caller says.
    assert_eq!(rest.ok("openim/sendmsg", message(4, "damn")), sent);
    assert_eq!(rest.code("openim/sendmsg", message(5, "too long")), 93_000);
    assert_eq!(rest.groups_code("send_group_msg", of_group(1, "bad")), 10_016);
    assert_eq!(rest.groups_code("send_group_msg", of_group(2, "bad")), 10_107);
    assert_eq!(
        rest.groups_ok("send_group_msg", of_group(3, "dropped"))["MsgSeq"],
        0
    );
    let sent = rest.groups_ok("send_group_msg", of_group(4, "damn"));
    assert_eq!(rest.groups_ok("send_group_msg", of_group(4, "damn")), sent);
    bob.until_texts(2);
    assert_eq!(bob.texts(), ["***", "***"]);
    assert_eq!(server.asked_now().len(), 9);
}

#[test]
fn callbacks_are_forbidden_and_some_calls_have_none() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(&server, ALL);
    rest.group("Public", "hikers", &["alice", "bob"]);
    let forbidden = json!(["ForbidBeforeSendMsgCallback", "ForbidAfterSendMsgCallback", "?"]);
    let (mut one, mut to_group) = (message(1, "quiet"), of_group(1, "quiet"));
    one["ForbidCallbackControl"] = forbidden.clone();
    to_group["ForbidCallbackControl"] = forbidden;
    rest.ok("openim/sendmsg", one);
    rest.groups_ok("send_group_msg", to_group);
    let many =
        json!({"From_Account": "alice", "To_Account": ["bob"], "MsgRandom": 2, "MsgBody": text("many")});
    rest.ok("openim/batchsendmsg", many);
    let mut imported = message(3, "old");
    imported["MsgTimeStamp"] = 1_600_000_000.into();
    imported["SyncFromOldSystem"] = 1.into();
    rest.ok("openim/importmsg", imported);
    let old =
        json!({"From_Account": "alice", "SendTime": 1_699_999_999, "Random": 4, "MsgBody": text("old")});
    let import = json!({"GroupId": "hikers", "MsgList": [old]});
    rest.groups_ok("import_group_msg", import);
    let notice = json!({"GroupId": "hikers", "Content": "notice"});
    rest.groups_ok("send_group_system_notification", notice);
    // One of the two.
    let mut half = message(5, "half");
    half["ForbidCallbackControl"] = json!(["ForbidBeforeSendMsgCallback"]);
    rest.ok("openim/sendmsg", half);
    let asked = server.asked(1);
    assert_eq!(asked.len(), 1);
    assert_eq!(body(&asked[0])["MsgRandom"], 5);
    let mut wrong = message(6, "?");
    wrong["ForbidCallbackControl"] = 1.into();
    assert_eq!(rest.code("openim/sendmsg", wrong), 90_010);
}

/// A call that is repeated while it is asked about is asked about again, and its message is told of once.
#[test]
fn the_same_call_twice() {
    let server = TestServer::start([Answer::ok(GO).held(), Answer::ok(GO).held(), Answer::ok(GO)]);
    let rest = serve(&server, &[Command::BeforeC2c, Command::AfterC2c]);
    let keys: Vec<Value> = std::thread::scope(|scope| {
        let calls = [(); 2].map(|()| scope.spawn(|| rest.ok("openim/sendmsg", message(1, "once"))));
        server.asked(2);
        server.release();
        calls.map(|call| call.join().unwrap()["MsgKey"].clone()).into()
    });
    assert_eq!(keys[0], keys[1]);
    // Later the hub knows it.
    assert_eq!(rest.ok("openim/sendmsg", message(1, "once"))["MsgKey"], keys[0]);
    rest.ok("openim/sendmsg", message(2, "another"));
    let commands: Vec<_> = server
        .asked(5)
        .iter()
        .map(|asked| {
            (
                body(asked)["CallbackCommand"].clone(),
                body(asked)["MsgRandom"].clone(),
            )
        })
        .collect();
    let told = commands
        .iter()
        .filter(|(command, _)| command == "C2C.CallbackAfterSendMsg");
    let told: Vec<_> = told.map(|(_, random)| random.as_u64().unwrap()).collect();
    assert_eq!((told, commands.len()), (vec![1, 2], 5), "{commands:?}");
}

/// No thread waits while the application is asked: calls, devices and reads go on.
#[test]
fn calls_that_are_asked_about_hold_up_nobody() {
    const CALLS: u32 = 40;
    let server = TestServer::start([Answer::ok(GO).held()]);
    let rest = serve(&server, &[Command::BeforeC2c]);
    let mut bob = Device::login(&rest.hub, "bob", 2);
    let mut carol = Device::login(&rest.hub, "carol", 3);
    let mut dave = Device::login(&rest.hub, "dave", 4);
    std::thread::scope(|scope| {
        for n in 0..CALLS {
            let rest = &rest;
            scope.spawn(move || rest.ok("openim/sendmsg", message(n, &n.to_string())));
        }
        let message = carol.message(c2c("bob"), Text::new("from a device"));
        let ticket = carol.start_send(&message, tim_proto::message::SendOptions::default());
        carol.push_out();
        server.asked(CALLS as usize + 1);
        // Reads, writes, and other calls.
        dave.create_group("hikers", &[]).unwrap();
        dave.page(group("hikers"), &[], 10).unwrap();
        let unread = rest.ok("openim/get_c2c_unread_msg_num", json!({"To_Account": "bob"}));
        assert_eq!(unread["AllC2CUnreadMsgNum"], 0);
        assert!(bob.texts().is_empty() && !carol.is_answered(ticket));
        server.release();
        carol.wait_for(ticket).unwrap();
    });
    bob.until_texts(CALLS as usize + 1);
}

/// The verdict comes late: rights are checked after it.
#[test]
fn what_happens_to_sender_and_group_while_the_application_is_asked_counts() {
    let server = TestServer::start([Answer::ok(GO).held()]);
    let rest = serve(&server, &[Command::BeforeGroup, Command::BeforeC2c]);
    for id in ["muted", "dismissed", "left", "room"] {
        let kind = if id == "room" { "AVChatRoom" } else { "Public" };
        let names: &[&str] = if id == "room" { &["bob"] } else { &["bob", "alice"] };
        rest.group(kind, id, names);
    }
    let codes = std::thread::scope(|scope| {
        let to = |group: &str| {
            let mut message = of_group(1, "late");
            message["GroupId"] = group.into();
            message
        };
        let rest = &rest;
        let calls = ["muted", "dismissed", "left", "room"].map(|group| {
            let message = to(group);
            scope.spawn(move || rest.code(&of_groups("send_group_msg"), message))
        });
        let gone = scope.spawn(|| rest.code("openim/sendmsg", message(1, "late")));
        server.asked(5);
        let mute = json!({"GroupId": "muted", "Members_Account": ["alice"], "ShutUpTime": 600});
        rest.groups_ok("forbid_send_msg", mute);
        for group in ["dismissed", "room"] {
            rest.groups_ok("destroy_group", json!({"GroupId": group}));
        }
        let leave = json!({"GroupId": "left", "MemberToDel_Account": ["alice"]});
        rest.groups_ok("delete_group_member", leave);
        let delete = json!({"DeleteItem": [{"UserID": "bob"}]});
        rest.ok("im_open_login_svc/account_delete", delete);
        server.release();
        let codes = calls.map(|call| call.join().unwrap());
        (codes, gone.join().unwrap())
    });
    // An administrator sends for those who are no members, too.
    assert_eq!(codes, ([10_017, 10_010, 0, 10_010], 90_012));
    let mut bob = Device::login(&rest.hub, "bob", 9);
    assert!(bob.page(group("muted"), &[], 10).is_ok());
}
