//! Groups: their life, and what is known of them.

use serde_json::{Value, json};
use tim_proto::{ErrorCode, GroupType};

use super::Rest;
use crate::support::{Device, Observed, Reply, group};

/// What is shown of one group.
fn shown(rest: &Rest, id: &str, filter: &Value) -> Value {
    let mut body = json!({"GroupIdList": [id]});
    if !filter.is_null() {
        body["ResponseFilter"] = filter.clone();
    }
    rest.groups_ok("get_group_info", body)["GroupInfo"][0].clone()
}

#[test]
fn a_group_is_made_changed_handed_over_and_dismissed() {
    let rest = Rest::start_with(|options| options.open_registration = false);
    rest.accounts(&["o", "m", "n"]);
    let mut owner = Device::login(&rest.hub, "o", 1);
    let mut member = Device::login(&rest.hub, "m", 2);
    let new = json!({
        "Owner_Account": "o", "Type": "Public", "Name": "n", "MaxMemberCount": 500, "GroupId": "gid",
        "MemberList": [
            {"Member_Account": "m", "Role": "Admin", "JoinTime": 5, "UnreadMsgNum": 0},
            {"Member_Account": "n"},
        ],
        "AppDefinedData": [{"Key": "k", "Value": "v"}],
    });
    let answer = rest.groups_ok("create_group", new.clone());
    assert_eq!(answer["GroupId"], "gid");
    assert_eq!(rest.groups_code("create_group", new.clone()), 10_025, "again");
    let mut others = new;
    others["Owner_Account"] = "n".into();
    assert_eq!(rest.groups_code("create_group", others), 10_021);
    assert_eq!(member.until_notice(7).group, "gid");
    assert_eq!(owner.until_tip(1).members, 3);

    let all = shown(&rest, "gid", &Value::Null);
    for (name, value) in [
        ("ErrorCode", json!(0)),
        ("Type", json!("Public")),
        ("Name", json!("n")),
        ("Owner_Account", json!("o")),
        ("MemberNum", json!(3)),
        ("MaxMemberNum", json!(500)),
        ("NextMsgSeq", json!(2)),
        ("ApplyJoinOption", json!("NeedPermission")),
        ("ShutUpAllMember", json!("Off")),
        ("AppDefinedData", json!([{"Key": "k", "Value": "v"}])),
        ("InfoSeq", json!(0)),
    ] {
        assert_eq!(all[name], value, "{name}: {all}");
    }
    assert!(all["CreateTime"].as_u64().unwrap() > 0 && all["LastMsgTime"].as_u64().unwrap() > 0);
    let member_list = all["MemberList"].as_array().unwrap();
    assert_eq!(member_list.len(), 3);
    let admin = member_list.iter().find(|it| it["Member_Account"] == "m").unwrap();
    assert_eq!(
        (&admin["Role"], &admin["MsgFlag"], &admin["ShutUpUntil"]),
        (&json!("Admin"), &json!("AcceptAndNotify"), &json!(0))
    );
    let filter = json!({
        "GroupBaseInfoFilter": ["Name"], "MemberInfoFilter": ["Role"],
        "AppDefinedDataFilter_Group": ["k"], "AppDefinedDataFilter_GroupMember": ["k2"],
    });
    let some = shown(&rest, "gid", &filter);
    assert_eq!((&some["Name"], &some["Type"]), (&json!("n"), &Value::Null));
    assert_eq!(some["MemberList"][0]["NameCard"], Value::Null);
    let only_name = shown(&rest, "gid", &json!({"GroupBaseInfoFilter": ["Name"]}));
    assert_eq!(
        (&only_name["MemberList"], &only_name["AppDefinedData"]),
        (&Value::Null, &Value::Null)
    );

    rest.groups_ok(
        "modify_group_base_info",
        json!({
            "GroupId": "gid", "Name": "other", "Introduction": "i", "Notification": "no", "FaceUrl": "f",
            "MaxMemberNum": 9, "ApplyJoinOption": "FreeAccess", "ShutUpAllMember": "On",
            "AppDefinedData": [{"Key": "k", "Value": ""}, {"Key": "k3", "Value": "v3"}],
        }),
    );
    let tip = member.until_tip(6);
    assert_eq!((tip.changes, tip.shown[0].as_str()), (6, "admin"));
    let now = shown(&rest, "gid", &Value::Null);
    assert_eq!(
        [
            &now["Name"],
            &now["Introduction"],
            &now["FaceUrl"],
            &now["ShutUpAllMember"],
            &now["ApplyJoinOption"]
        ],
        ["other", "i", "f", "On", "FreeAccess"]
    );
    assert_eq!((&now["MaxMemberNum"], &now["InfoSeq"]), (&json!(9), &json!(1)));
    assert_eq!(now["AppDefinedData"], json!([{"Key": "k3", "Value": "v3"}]));

    assert_eq!(
        rest.groups_code(
            "change_group_owner",
            json!({"GroupId": "gid", "NewOwner_Account": "stranger"})
        ),
        10_019
    );
    rest.groups_ok(
        "change_group_owner",
        json!({"GroupId": "gid", "NewOwner_Account": "m"}),
    );
    assert_eq!(member.until_tip(6).changes, 1);
    // At once: who was the owner is muted with all others now.
    let message = owner.message(group("gid"), tim_proto::message::Text::new("mine?"));
    assert_eq!(owner.send_message(&message), Err(ErrorCode::GROUP_SHUTUP_DENY));
    member.send(group("gid"), "mine");
    rest.groups_ok("destroy_group", json!({"GroupId": "gid"}));
    let notice = owner.until_notice(5);
    assert_eq!(
        (notice.operator.as_str(), notice.group.as_str()),
        ("admin", "gid")
    );
    assert_eq!(shown(&rest, "gid", &Value::Null)["ErrorCode"], 10_010);
    assert_eq!(
        rest.groups_code("modify_group_base_info", json!({"GroupId": "gid", "Name": "x"})),
        10_010
    );
}

#[test]
fn groups_without_owner_and_with_ids_of_the_hub() {
    let rest = Rest::start_with(|options| options.open_registration = false);
    rest.accounts(&["m"]);
    let answer = rest.groups_ok(
        "create_group",
        json!({"Type": "ChatRoom", "Name": "n", "MemberList": [{"Member_Account": "m"}]}),
    );
    let id = answer["GroupId"].as_str().unwrap();
    assert!(id.starts_with("@TGS#") && !id.starts_with("@TGS#_"), "{id}");
    let all = shown(&rest, id, &Value::Null);
    assert_eq!(
        (&all["Owner_Account"], &all["MemberNum"]),
        (&json!(""), &json!(1))
    );
    rest.groups_ok(
        "change_group_owner",
        json!({"GroupId": id, "NewOwner_Account": "m"}),
    );
    assert_eq!(shown(&rest, id, &Value::Null)["Owner_Account"], "m");

    let answer = rest.groups_ok("create_group", json!({"Type": "Community", "Name": "n"}));
    assert!(answer["GroupId"].as_str().unwrap().starts_with("@TGS#_"));
    for (body, code) in [
        (
            json!({"Type": "Public", "Name": "n", "GroupId": "@TGS#x"}),
            10_015,
        ),
        (
            json!({"Type": "Public", "Name": "n", "GroupId": "x".repeat(49)}),
            10_015,
        ),
        (
            json!({"Type": "Community", "Name": "n", "GroupId": "@TGS#x"}),
            10_015,
        ),
        (json!({"Type": "Community", "Name": "n", "GroupId": "@TGS#_x"}), 0),
        (json!({"Type": "Clan", "Name": "n"}), 10_004),
        (json!({"Type": "Public"}), 10_004),
        (json!({"Name": "n"}), 10_004),
        (json!({"Type": "Public", "Name": "n".repeat(101)}), 10_004),
        (
            json!({"Type": "Public", "Name": "n", "Owner_Account": "nobody"}),
            10_019,
        ),
        (
            json!({"Type": "Public", "Name": "n", "MemberList": [{"Member_Account": "nobody"}]}),
            10_019,
        ),
        (
            json!({"Type": "AVChatRoom", "Name": "n", "MemberList": [{"Member_Account": "m"}]}),
            10_007,
        ),
        (
            json!({"Type": "Private", "Name": "n", "MemberList": [{"Member_Account": "m", "Role": "Admin"}]}),
            10_007,
        ),
        (
            json!({"Type": "Public", "Name": "n", "ApplyJoinOption": "Sometimes"}),
            10_004,
        ),
        (
            json!({"Type": "Public", "Name": "n", "AppDefinedData": [{"Key": "no-dash", "Value": "v"}]}),
            10_004,
        ),
    ] {
        assert_eq!(rest.groups_code("create_group", body.clone()), code, "{body}");
    }
    let many: Vec<_> = (0..101)
        .map(|n| json!({"Member_Account": format!("u{n}")}))
        .collect();
    let body = json!({"Type": "Public", "Name": "n", "MemberList": many});
    assert_eq!(rest.groups_code("create_group", body), 10_005);
}

#[test]
fn all_groups_of_the_application_come_in_pages() {
    let rest = Rest::start();
    for (kind, id) in [
        ("Public", "a"),
        ("Private", "b"),
        ("Public", "c"),
        ("AVChatRoom", "d"),
        ("Public", "e"),
    ] {
        rest.group(kind, id, &["o"]);
    }
    let mut next = json!(0);
    let mut found = Vec::new();
    loop {
        let body = json!({"Limit": 2, "Next": next, "GroupType": ""});
        let answer = rest.groups_ok("get_appid_group_list", body);
        assert_eq!(answer["TotalCount"], 5);
        found.extend(
            answer["GroupIdList"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["GroupId"].clone()),
        );
        next = answer["Next"].clone();
        if next == 0 {
            break;
        }
    }
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
    let answer = rest.groups_ok("get_appid_group_list", json!({"GroupType": "Public"}));
    assert_eq!(
        (
            &answer["TotalCount"],
            answer["GroupIdList"].as_array().unwrap().len()
        ),
        (&json!(3), 3)
    );
    assert_eq!(
        rest.groups_code("get_appid_group_list", json!({"GroupType": "Clan"})),
        10_004
    );
}

#[test]
fn attributes_are_those_of_rooms() {
    let rest = Rest::start();
    rest.group("AVChatRoom", "room", &["o"]);
    rest.group("Public", "g", &["o"]);
    rest.group("Community", "c", &["o"]);
    let set = |id: &str, attributes: Value| {
        // Five changes a second are allowed; of more than that the last test speaks.
        rest.hub.advance(std::time::Duration::from_secs(1));
        rest.groups_code(
            "modify_group_attr",
            json!({"GroupId": id, "GroupAttr": attributes}),
        )
    };
    assert_eq!(
        set(
            "room",
            json!([{"key": "k", "value": "v"}, {"key": "l", "value": "w"}])
        ),
        0
    );
    assert_eq!(set("room", json!([{"key": "k", "value": "x"}])), 0);
    let expected = json!([{"key": "k", "value": "x"}, {"key": "l", "value": "w"}]);
    for service in ["group_open_http_svc", "group_open_attr_http_svc"] {
        let answer = rest.ok(&format!("{service}/get_group_attr"), json!({"GroupId": "room"}));
        assert_eq!(answer["GroupAttrAry"], expected);
    }
    assert_eq!(set("g", json!([{"key": "k", "value": "v"}])), 10_007);
    assert_eq!(set("room", json!([])), 10_004);
    assert_eq!(
        set("room", json!([{"key": "k".repeat(33), "value": "v"}])),
        10_045
    );
    assert_eq!(
        set("room", json!([{"key": "k", "value": "v".repeat(4_001)}])),
        10_046
    );
    assert_eq!(
        rest.groups_ok("get_group_attr", json!({"GroupId": "g"}))["GroupAttrAry"],
        json!([])
    );
    assert_eq!(
        rest.groups_code("get_group_attr", json!({"GroupId": "c"})),
        10_007
    );
    rest.groups_ok("clear_group_attr", json!({"GroupId": "room"}));
    assert_eq!(
        rest.groups_ok("get_group_attr", json!({"GroupId": "room"}))["GroupAttrAry"],
        json!([])
    );
    let clear = || rest.groups_code("clear_group_attr", json!({"GroupId": "room"}));
    let codes: Vec<_> = (0..20).map(|_| clear()).collect();
    assert!(codes.contains(&10_049), "{codes:?}");
}

#[test]
fn rooms_count_who_is_there_and_hear_notices() {
    let rest = Rest::start();
    rest.group("AVChatRoom", "room", &["o"]);
    rest.group("Public", "g", &["o", "m", "n"]);
    let [mut m, mut n] = [("m", 1), ("n", 2)].map(|(name, number)| Device::login(&rest.hub, name, number));
    m.join("room").unwrap();
    let count = |id: &str| rest.call(&super::of_groups("get_online_member_num"), json!({"GroupId": id}));
    assert_eq!(count("room")["OnlineMemberNum"], 1);
    assert_eq!(count("g")["ErrorCode"], 10_007);
    let notify = |body: Value| rest.groups_code("send_group_system_notification", body);
    assert_eq!(notify(json!({"GroupId": "room", "Content": "hello"})), 0);
    let notice = m.until_notice(255);
    assert_eq!(
        (
            notice.group.as_str(),
            notice.custom.as_str(),
            notice.operator.as_str()
        ),
        ("room", "hello", "admin")
    );
    assert_eq!(
        notify(json!({"GroupId": "room", "Content": "c", "ToMembers_Account": ["m"]})),
        10_007
    );
    assert_eq!(
        notify(json!({"GroupId": "g", "Content": "c", "ToMembers_Account": ["n", "stranger"]})),
        0
    );
    assert_eq!(
        notify(json!({"GroupId": "g", "Content": "all", "ToMembers_Account": []})),
        0
    );
    assert_eq!(m.until_notice(255).custom, "all", "the one before was not for m");
    assert_eq!(n.until_notice(255).custom, "c");
    assert_eq!(notify(json!({"GroupId": "g"})), 10_004);
    assert_eq!(
        notify(json!({"GroupId": "g", "Content": "x".repeat(8_001)})),
        10_004
    );
    let mut o = Device::login(&rest.hub, "o", 3);
    assert_eq!(
        o.create(GroupType::PUBLIC, "own", &[]),
        Ok(Reply::Group("own".to_owned()))
    );
    assert_eq!(notify(json!({"GroupId": "own", "Content": "c"})), 0);
}

/// What a device was told of revoked messages: the message, and who revoked it.
fn revoked(device: &Device) -> Vec<(u64, String)> {
    let events = device.observed.iter();
    events
        .filter_map(|event| match event {
            Observed::Revoked { sequence, by, .. } => Some((*sequence, by.clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn messages_of_anybody_are_revoked() {
    let rest = Rest::start();
    rest.group("Public", "g", &["o", "m"]);
    rest.group("AVChatRoom", "room", &["o"]);
    let mut m = Device::login(&rest.hub, "m", 1);
    let mut o = Device::login(&rest.hub, "o", 2);
    let at: Vec<u64> = ["a", "b", "c"].map(|text| m.send(group("g"), text)).into();
    let own = o.send(group("g"), "mine");
    rest.hub.advance(std::time::Duration::from_secs(24 * 3600));
    let list = json!([{"MsgSeq": at[0].to_string()}, {"MsgSeq": 999}, {"MsgSeq": 1}]);
    let answer = rest.groups_ok("group_msg_recall", json!({"GroupId": "g", "MsgSeqList": list}));
    assert_eq!(
        answer["RecallRetList"],
        json!([
            {"MsgSeq": at[0], "RetCode": 0}, {"MsgSeq": 999, "RetCode": 10_030}, {"MsgSeq": 1, "RetCode": 10_032},
        ])
    );
    o.until(|device| !revoked(device).is_empty());
    assert_eq!(revoked(&o), [(at[0], "admin".to_owned())]);
    rest.groups_ok(
        "delete_group_msg_by_sender",
        json!({"GroupId": "g", "Sender_Account": "m"}),
    );
    o.until(|device| revoked(device).len() == 3);
    assert!(!revoked(&o).iter().any(|(sequence, _)| *sequence == own));
    // Once more: they are revoked.
    let answer = rest.groups_ok(
        "group_msg_recall",
        json!({"GroupId": "g", "MsgSeqList": [{"MsgSeq": at[0]}]}),
    );
    assert_eq!(answer["RecallRetList"][0]["RetCode"], 0);
    rest.groups_ok(
        "delete_group_msg_by_sender",
        json!({"GroupId": "room", "Sender_Account": "m"}),
    );
    let in_room = json!({"GroupId": "room", "MsgSeqList": [{"MsgSeq": 1}]});
    assert_eq!(rest.groups_code("group_msg_recall", in_room), 10_033);
}

#[test]
fn an_answer_that_would_be_too_long_is_refused() {
    let rest = Rest::start();
    let names: Vec<String> = (0..100).map(|number| format!("u{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rest.group("Public", "g", &names);
    let ask = |filter: Value| {
        let asked = json!({"GroupIdList": vec!["g"; 50], "ResponseFilter": filter});
        rest.call("group_open_http_svc/get_group_info", asked)
    };
    let ids = ask(json!({"MemberInfoFilter": ["Member_Account"]}));
    let members = |of: usize| ids["GroupInfo"][of]["MemberList"].as_array().unwrap().len();
    assert_eq!((members(0), members(49)), (100, 100));
    // With all their fields so many members do not fit.
    let long = "x".repeat(50);
    for name in &names {
        let card = json!({"GroupId": "g", "Member_Account": name, "NameCard": long});
        rest.groups_ok("modify_group_member_info", card);
    }
    assert_eq!(ask(Value::Null)["ErrorCode"], 10_018);
}
