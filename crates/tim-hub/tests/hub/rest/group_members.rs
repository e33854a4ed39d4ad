//! Members of groups.

use serde_json::{Value, json};
use tim_proto::message::Text;
use tim_proto::{ErrorCode, JoinStatus, Role};

use super::Rest;
use crate::support::{Device, Observed, Reply, group};

fn accounts(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| json!({"Member_Account": name}))
        .collect::<Vec<_>>()
        .into()
}

/// Each named member's value of a field, from a list of an answer.
fn each(list: &Value, field: &str) -> Vec<(String, Value)> {
    let items = list.as_array().unwrap().iter();
    items
        .map(|item| {
            let user = item["Member_Account"].as_str().unwrap().to_owned();
            (user, item[field].clone())
        })
        .collect()
}

#[test]
fn members_come_and_go_silently_or_not() {
    let rest = Rest::start_with(|options| options.open_registration = false);
    rest.group("Public", "g", &["o", "m"]);
    rest.accounts(&["a", "b"]);
    let mut m = Device::login(&rest.hub, "m", 1);
    let mut a = Device::login(&rest.hub, "a", 2);
    let mut b = Device::login(&rest.hub, "b", 3);
    let add = |names: &[&str], silence: u32| {
        let body = json!({"GroupId": "g", "Silence": silence, "MemberList": accounts(names)});
        rest.call(&super::of_groups("add_group_member"), body)
    };
    let answer = add(&["a", "m", "nobody"], 0);
    assert_eq!(
        each(&answer["MemberList"], "Result"),
        [("a", 1), ("m", 2), ("nobody", 0)].map(|(name, result)| (name.to_owned(), json!(result)))
    );
    let tip = m.until_tip(1);
    assert_eq!(
        (tip.users.as_slice(), tip.shown[0].as_str()),
        (["a".to_owned()].as_slice(), "admin")
    );
    assert_eq!(a.until_notice(7).operator, "admin");
    // Nobody is told of b, who hears everything from now on, and may write.
    assert_eq!(add(&["b"], 1)["MemberList"][0]["Result"], 1);
    m.send(group("g"), "hello");
    b.until_texts(1);
    assert!(b.notices.is_empty() && b.tips.is_empty());
    b.send(group("g"), "hi");
    m.until_texts(1);
    assert!(m.tips.is_empty());

    let remove = |names: &[&str], silence: u32| {
        let body =
            json!({"GroupId": "g", "MemberToDel_Account": names, "Silence": silence, "Reason": "because"});
        rest.groups_code("delete_group_member", body)
    };
    assert_eq!(remove(&["b", "stranger"], 1), 0);
    let message = b.message(group("g"), Text::new("still here?"));
    assert_eq!(b.send_message(&message), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(remove(&["a"], 0), 0);
    let notice = a.until_notice(4);
    assert_eq!(
        (notice.operator.as_str(), notice.message.as_str()),
        ("admin", "because")
    );
    assert_eq!(m.until_tip(3).users, ["a"], "the first that m was told of");
    assert_eq!(remove(&["o"], 0), 10_007);
    assert_eq!(add(&["nobody"], 1)["ErrorCode"], 10_019);
    let many: Vec<String> = (0..301).map(|n| format!("u{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(add(&many, 1)["ErrorCode"], 10_005);
    rest.group("AVChatRoom", "room", &["o"]);
    let body = json!({"GroupId": "room", "MemberList": accounts(&["m"])});
    assert_eq!(rest.groups_code("add_group_member", body), 10_007);
    let body = json!({"GroupId": "room", "MemberToDel_Account": ["m"]});
    assert_eq!(rest.groups_code("delete_group_member", body), 10_004);
}

#[test]
fn a_full_group_takes_nobody() {
    let rest = Rest::start();
    rest.group("Public", "g", &["o", "m"]);
    rest.accounts(&["a", "b"]);
    let limit = |most: u32| {
        rest.groups_ok(
            "modify_group_base_info",
            json!({"GroupId": "g", "MaxMemberNum": most}),
        )
    };
    limit(2);
    let add = json!({"GroupId": "g", "MemberList": accounts(&["a", "b"])});
    assert_eq!(rest.groups_code("add_group_member", add.clone()), 10_014);
    limit(3);
    let answer = rest.groups_ok("add_group_member", add);
    let results: Vec<_> = each(&answer["MemberList"], "Result");
    assert_eq!(results, [("a".to_owned(), json!(1)), ("b".to_owned(), json!(0))]);
    let mut b = Device::login(&rest.hub, "b", 1);
    rest.groups_ok(
        "modify_group_base_info",
        json!({"GroupId": "g", "ApplyJoinOption": "FreeAccess"}),
    );
    assert_eq!(b.join("g"), Err(ErrorCode::GROUP_FULL_MEMBER_COUNT));
    limit(0);
    assert_eq!(b.join("g"), Ok(Reply::Joined(JoinStatus::JOINED)));
}

#[test]
fn a_member_is_changed() {
    let rest = Rest::start();
    rest.group("Public", "g", &["o", "m"]);
    rest.group("Private", "w", &["o", "m"]);
    let mut m = Device::login(&rest.hub, "m", 1);
    let mut o = Device::login(&rest.hub, "o", 2);
    let modify = |body: Value| rest.groups_code("modify_group_member_info", body);
    let golden = json!({
        "GroupId": "g", "Member_Account": "m", "Role": "Admin", "NameCard": "card", "ShutUpTime": 60,
        "AppMemberDefinedData": [{"Key": "k", "Value": "v"}],
    });
    assert_eq!(modify(golden), 0);
    assert_eq!(o.until_tip(4).users, ["m"]);
    assert_eq!(o.until_tip(7).shown, ["admin", "card"]);
    assert_eq!(m.until_notice(9).operator, "admin");
    let message = m.message(group("g"), Text::new("x"));
    assert_eq!(m.send_message(&message), Err(ErrorCode::GROUP_SHUTUP_DENY));
    assert_eq!(
        modify(json!({"GroupId": "g", "Member_Account": "m", "MsgFlag": "Discard", "MuteTime": 0})),
        0
    );
    assert_eq!(m.until_notice(20).custom, "Discard");
    m.send(group("g"), "again");
    let all = rest.groups_ok(
        "get_group_member_info",
        json!({"GroupId": "g", "Limit": 100, "Offset": 0}),
    );
    assert_eq!(all["MemberNum"], 2);
    let member = &all["MemberList"][1];
    for (name, value) in [
        ("Member_Account", json!("m")),
        ("Role", json!("Admin")),
        ("NameCard", json!("card")),
        ("MsgFlag", json!("Discard")),
        ("ShutUpUntil", json!(0)),
        ("AppMemberDefinedData", json!([{"Key": "k", "Value": "v"}])),
    ] {
        assert_eq!(member[name], value, "{member}");
    }
    for (body, code) in [
        (
            json!({"GroupId": "g", "Member_Account": "o", "Role": "Member"}),
            10_007,
        ),
        (
            json!({"GroupId": "g", "Member_Account": "o", "NameCard": "boss"}),
            0,
        ),
        (
            json!({"GroupId": "g", "Member_Account": "m", "Role": "Owner"}),
            10_004,
        ),
        (
            json!({"GroupId": "g", "Member_Account": "m", "MsgFlag": "Never"}),
            10_004,
        ),
        (
            json!({"GroupId": "g", "Member_Account": "m", "NameCard": "x".repeat(51)}),
            10_004,
        ),
        (
            json!({"GroupId": "g", "Member_Account": "nobody", "NameCard": "x"}),
            10_019,
        ),
        (
            json!({"GroupId": "w", "Member_Account": "m", "ShutUpTime": 9}),
            10_007,
        ),
        (json!({"GroupId": "w", "Member_Account": "m", "NameCard": "x"}), 0),
        (
            json!({"GroupId": "none", "Member_Account": "m", "NameCard": "x"}),
            10_010,
        ),
    ] {
        assert_eq!(modify(body.clone()), code, "{body}");
    }
}

#[test]
fn members_come_in_pages_and_by_role() {
    let rest = Rest::start();
    let names: Vec<String> = (0..25).map(|n| format!("u{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (kind, id) in [("Public", "g"), ("Community", "c")] {
        rest.group(kind, id, &names);
    }
    let ask = |body: Value| rest.groups_ok("get_group_member_info", body);
    let users = |answer: &Value| -> Vec<String> {
        each(&answer["MemberList"], "Role")
            .into_iter()
            .map(|(user, _)| user)
            .collect()
    };
    let (mut offset, mut found) = (0, Vec::new());
    while offset < 25 {
        let answer =
            ask(json!({"GroupId": "g", "Limit": 10, "Offset": offset, "MemberInfoFilter": ["Role"]}));
        assert_eq!(answer["MemberNum"], 25);
        assert!(answer.get("Next").is_none());
        found.extend(users(&answer));
        offset += 10;
    }
    assert_eq!(found, names);
    let (mut next, mut found) = (String::new(), Vec::new());
    loop {
        let answer = ask(json!({"GroupId": "c", "Limit": 10, "Next": next}));
        found.extend(users(&answer));
        next = answer["Next"].as_str().unwrap().to_owned();
        if next.is_empty() {
            break;
        }
    }
    assert_eq!(found, names);
    for name in ["u03", "u20"] {
        let body = json!({"GroupId": "g", "Member_Account": name, "Role": "Admin"});
        rest.groups_ok("modify_group_member_info", body);
    }
    for (roles, expected) in [
        (json!(["Owner"]), vec!["u00"]),
        (json!(["Owner", "Admin"]), vec!["u00", "u03", "u20"]),
        (
            json!(["Admin", "Member"]),
            vec!["u03", "u20", "u01", "u02", "u04"],
        ),
    ] {
        let body = json!({"GroupId": "g", "MemberRoleFilter": roles, "Limit": 5});
        assert_eq!(users(&ask(body)), expected, "{roles}");
    }
    let far = ask(json!({"GroupId": "g", "MemberRoleFilter": ["Member"], "Limit": 5, "Offset": 20}));
    assert_eq!(users(&far), ["u23", "u24"]);
    assert_eq!(
        rest.groups_code("get_group_member_info", json!({"GroupId": "c", "Next": "x"})),
        10_004
    );
    let roles = rest.groups_ok(
        "get_role_in_group",
        json!({"GroupId": "g", "User_Account": ["u00", "u03", "u04", "stranger"]}),
    );
    let roles: Vec<_> = each(&roles["UserIdList"], "Role")
        .into_iter()
        .map(|(_, role)| role)
        .collect();
    assert_eq!(roles, ["Owner", "Admin", "Member", "NotMember"]);
}

#[test]
fn mutes_are_set_listed_and_ended() {
    let rest = Rest::start();
    rest.group("ChatRoom", "g", &["o", "m", "n"]);
    rest.group("Private", "w", &["o", "m"]);
    rest.group("AVChatRoom", "room", &["o"]);
    let mut m = Device::login(&rest.hub, "m", 1);
    let mute = |id: &str, names: &[&str], seconds: u64| {
        let body = json!({"GroupId": id, "Members_Account": names, "ShutUpTime": seconds});
        rest.groups_code("forbid_send_msg", body)
    };
    assert_eq!(mute("g", &["m", "n"], 60), 0);
    let tip = m.until_tip(7);
    assert_eq!(
        (tip.users.as_slice(), tip.shown[0].as_str()),
        (["m".to_owned(), "n".to_owned()].as_slice(), "admin")
    );
    let message = m.message(group("g"), Text::new("x"));
    assert_eq!(m.send_message(&message), Err(ErrorCode::GROUP_SHUTUP_DENY));
    for (command, list, until) in [
        ("get_group_shutted_uin", "ShuttedUinList", "ShuttedUntil"),
        ("get_group_muted_account", "MutedAccountList", "MutedUntil"),
    ] {
        let answer = rest.groups_ok(command, json!({"GroupId": "g"}));
        assert_eq!(answer["GroupId"], "g");
        let found = each(&answer[list], until);
        assert_eq!(
            found.iter().map(|(user, _)| user.as_str()).collect::<Vec<_>>(),
            ["m", "n"]
        );
        assert!(found.iter().all(|(_, until)| until.as_u64().unwrap() > 0));
    }
    // It outlives leaving and joining again.
    m.quit("g").unwrap();
    m.join("g").unwrap();
    let message = m.message(group("g"), Text::new("x"));
    assert_eq!(m.send_message(&message), Err(ErrorCode::GROUP_SHUTUP_DENY));
    assert_eq!(mute("g", &["m"], 0), 0);
    m.send(group("g"), "free");
    assert_eq!(mute("g", &["n"], 4_294_967_295), 0);
    let answer = rest.groups_ok("get_group_shutted_uin", json!({"GroupId": "g"}));
    assert_eq!(each(&answer["ShuttedUinList"], "ShuttedUntil").len(), 1);
    for (id, names, code) in [
        ("w", ["m"].as_slice(), 10_007),
        ("g", &["o"], 10_007),
        ("g", &["stranger"], 10_019),
        ("g", &[], 10_004),
        ("room", &["m"], 0),
    ] {
        assert_eq!(mute(id, names, 60), code, "{id} {names:?}");
    }
    m.join("room").unwrap();
    let message = m.message(group("room"), Text::new("x"));
    assert_eq!(m.send_message(&message), Err(ErrorCode::GROUP_SHUTUP_DENY));
}

#[test]
fn the_groups_of_a_user_are_listed() {
    let rest = Rest::start();
    rest.group("Public", "a", &["o", "m"]);
    rest.group("Private", "b", &["o", "m"]);
    rest.group("AVChatRoom", "d", &["m"]);
    rest.group("Public", "e", &["o"]);
    let ask = |body: Value| {
        let mut body = body;
        body["Member_Account"] = "m".into();
        rest.groups_ok("get_joined_group_list", body)
    };
    let ids = |answer: &Value| -> Vec<String> {
        let groups = answer["GroupIdList"].as_array().unwrap().iter();
        groups
            .map(|it| it["GroupId"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = ask(json!({}));
    assert_eq!(
        (&all["TotalCount"], &all["GroupIdList"][0]),
        (&json!(2), &json!({"GroupId": "a"}))
    );
    assert_eq!(ids(&all), ["a", "b"]);
    assert_eq!(ids(&ask(json!({"WithHugeGroups": 1}))), ["a", "b", "d"]);
    assert_eq!(ids(&ask(json!({"GroupType": "Private"}))), ["b"]);
    let page = ask(json!({"Limit": 1, "Offset": 1}));
    assert_eq!(
        (ids(&page), &page["TotalCount"]),
        (vec!["b".to_owned()], &json!(2))
    );
    let filter =
        json!({"GroupBaseInfoFilter": ["Type", "Name"], "SelfInfoFilter": ["Role", "MsgSeq", "MsgFlag"]});
    let answer = ask(json!({"ResponseFilter": filter, "Limit": 1}));
    assert_eq!(
        answer["GroupIdList"][0],
        json!({
            "GroupId": "a", "Type": "Public", "Name": "name",
            "SelfInfo": {"Role": "Member", "MsgSeq": 0, "MsgFlag": "AcceptAndNotify"},
        })
    );
    assert_eq!(
        rest.groups_code("get_joined_group_list", json!({"Member_Account": "nobody"})),
        10_019
    );
}

#[test]
fn members_are_imported_and_their_unread_counts_set() {
    let rest = Rest::start();
    rest.group("Public", "g", &["o", "m"]);
    rest.accounts(&["a", "b"]);
    let created =
        rest.groups_ok("get_group_info", json!({"GroupIdList": ["g"]}))["GroupInfo"][0]["CreateTime"]
            .as_u64()
            .unwrap();
    rest.hub.advance(std::time::Duration::from_secs(60));
    let mut o = Device::login(&rest.hub, "o", 1);
    let import = |body: Value| {
        let answer = rest.groups_ok(
            "import_group_member",
            json!({"GroupId": "g", "MemberList": [body]}),
        );
        answer["MemberList"][0]["Result"].as_u64().unwrap()
    };
    assert_eq!(
        import(json!({"Member_Account": "a", "Role": "Admin", "JoinTime": 5, "UnreadMsgNum": 0})),
        0
    );
    assert_eq!(
        import(json!({"Member_Account": "a", "Role": "Admin", "JoinTime": created + 10})),
        1
    );
    assert_eq!(import(json!({"Member_Account": "a"})), 2);
    assert_eq!(
        import(json!({"Member_Account": "b", "JoinTime": created, "UnreadMsgNum": 7})),
        1
    );
    assert_eq!(
        import(json!({"Member_Account": "c", "JoinTime": created + 1_000})),
        0
    );
    let mut m = Device::login(&rest.hub, "m", 2);
    for text in ["1", "2", "3"] {
        o.send(group("g"), text);
    }
    assert_eq!(m.read(group("g")), 0);
    let set = |name: &str, unread: u64| {
        let body = json!({"GroupId": "g", "Member_Account": name, "UnreadMsgNum": unread});
        rest.groups_code("set_unread_msg_num", body)
    };
    assert_eq!(set("m", 2), 0);
    // The device is told to ask for the list.
    m.until(|device| {
        let told = |event: &Observed| matches!(event, Observed::Conversation { conversation, .. } if conversation == "GROUPg");
        device.observed.iter().any(told)
    });
    let unread = |device: &mut Device| {
        let found = device.conversations().into_iter().find(|(id, ..)| id == "GROUPg");
        found.map(|(_, unread, _)| unread)
    };
    assert_eq!(unread(&mut m), Some(2));
    assert_eq!(set("m", 1_000), 0);
    assert_eq!(unread(&mut m), Some(4), "with the tip of the creation");
    assert_eq!(set("stranger", 1), 10_019);
    assert!(o.tips.is_empty(), "nobody is told");
    let mut a = Device::login(&rest.hub, "a", 3);
    assert_eq!(
        a.set_role("g", "b", Role::ADMIN),
        Err(ErrorCode::GROUP_PERMISSION_DENY),
        "a is an admin, not the owner"
    );
    assert!(a.mute("g", "b", 5).is_ok());
}
