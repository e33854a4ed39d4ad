//! Friends.

use serde_json::{Value, json};

use super::Rest;

fn with_users() -> Rest {
    let rest = Rest::start();
    rest.ok(
        "im_open_login_svc/multiaccount_import",
        json!({"Accounts": ["alice", "bob", "carol", "dave"]}),
    );
    rest
}

fn friend(name: &str) -> Value {
    json!({"To_Account": name, "AddSource": "AddSource_Type_web", "Remark": "", "GroupName": ""})
}

fn add(rest: &Rest, from: &str, items: &[Value], kind: &str) -> Value {
    let body = json!({"From_Account": from, "AddFriendItem": items, "AddType": kind, "ForceAddFlags": 1});
    rest.ok("sns/friend_add", body)
}

/// The friends of a user, with what is said of them.
fn friends(rest: &Rest, name: &str) -> Vec<(String, Value)> {
    let answer = rest.ok("sns/friend_get", json!({"From_Account": name, "StartIndex": 0}));
    assert_eq!(
        (&answer["CompleteFlag"], &answer["ErrorDisplay"]),
        (&json!(1), &json!(""))
    );
    let items = answer["UserDataItem"].as_array().unwrap().iter();
    items
        .map(|item| {
            let values = item["ValueItem"].as_array().unwrap().iter();
            let values =
                values.map(|value| (value["Tag"].as_str().unwrap().to_owned(), value["Value"].clone()));
            let values: serde_json::Map<_, _> =
                values.filter(|(tag, _)| tag != "Tag_SNS_IM_AddTime").collect();
            (item["To_Account"].as_str().unwrap().to_owned(), values.into())
        })
        .collect()
}

fn names(rest: &Rest, name: &str) -> Vec<String> {
    friends(rest, name).into_iter().map(|(name, _)| name).collect()
}

fn codes(answer: &Value) -> Vec<u64> {
    let items = answer["ResultItem"].as_array().unwrap().iter();
    items.map(|item| item["ResultCode"].as_u64().unwrap()).collect()
}

#[test]
fn friends_are_added_changed_and_removed_on_both_sides() {
    let rest = with_users();
    let mut bob = friend("bob");
    bob["Remark"] = "Bobby".into();
    bob["GroupName"] = "work".into();
    bob["AddWording"] = "hello".into();
    let mut bad = friend("dave");
    bad["AddSource"] = "web".into();
    let answer = add(
        &rest,
        "alice",
        &[bob, friend("carol"), friend("nobody"), friend("alice"), bad],
        "Add_Type_Both",
    );
    assert_eq!(codes(&answer), [0, 0, 30_003, 30_001, 30_001]);
    assert_eq!(answer["Fail_Account"], json!(["nobody", "alice", "dave"]));
    add(&rest, "alice", &[friend("dave")], "Add_Type_Single");
    assert_eq!(names(&rest, "alice"), ["bob", "carol", "dave"]);
    assert_eq!(
        (names(&rest, "bob"), names(&rest, "dave")),
        (vec!["alice".to_owned()], vec![])
    );
    assert_eq!(
        friends(&rest, "alice")[0].1,
        json!({"Tag_SNS_IM_Remark": "Bobby", "Tag_SNS_IM_Group": ["work"], "Tag_SNS_IM_AddWording": "hello",
            "Tag_SNS_IM_AddSource": "AddSource_Type_web"})
    );
    // Once more: nothing is lost.
    add(&rest, "alice", &[friend("bob")], "Add_Type_Both");
    assert_eq!(friends(&rest, "alice")[0].1["Tag_SNS_IM_Remark"], "Bobby");
    let set = |name: &str, tags: Value| json!({"To_Account": name, "SnsItem": tags});
    let answer = rest.ok(
        "sns/friend_update",
        json!({"From_Account": "alice", "UpdateItem": [
            set("bob", json!([{"Tag": "Tag_SNS_IM_Remark", "Value": "Rob"}, {"Tag": "Tag_SNS_IM_Group", "Value": ["club", "club"]},
                {"Tag": "Tag_SNS_Custom_Test", "Value": "x"}])),
            set("nobody", json!([{"Tag": "Tag_SNS_IM_Remark", "Value": "x"}])),
            set("carol", json!([{"Tag": "Tag_SNS_IM_AddTime", "Value": 5}])),
            set("carol", json!([{"Tag": "Tag_SNS_IM_Remark", "Value": "x".repeat(97)}])),
            set("carol", json!([])),
        ]}),
    );
    assert_eq!(codes(&answer), [0, 30_001, 30_001, 30_001, 30_001]);
    let answer = rest.ok(
        "sns/friend_get_list",
        json!({"From_Account": "alice", "To_Account": ["bob", "eve"], "TagList": ["Tag_SNS_IM_Remark", "Tag_SNS_Custom_Test", "Tag_Profile_IM_Nick"]}),
    );
    let tag = |name: &str, value: &str| json!({"Tag": name, "Value": value});
    assert_eq!(
        answer["InfoItem"][0]["SnsProfileItem"],
        json!([tag("Tag_SNS_IM_Remark", "Rob"), tag("Tag_SNS_Custom_Test", "x")])
    );
    assert_eq!(
        answer["InfoItem"][1]["ResultInfo"],
        "Err_SNS_FriendGetList_Friend_Not_Exist"
    );
    assert_eq!(answer["Fail_Account"], json!(["eve"]));
    let remove = |names: Value, kind: &str| {
        rest.ok(
            "sns/friend_delete",
            json!({"From_Account": "alice", "To_Account": names, "DeleteType": kind}),
        )
    };
    assert_eq!(
        codes(&remove(json!(["bob", "eve"]), "Delete_Type_Both")),
        [0, 31_704]
    );
    assert_eq!(codes(&remove(json!(["carol"]), "Delete_Type_Single")), [0]);
    assert_eq!(
        (names(&rest, "alice"), names(&rest, "bob")),
        (vec!["dave".to_owned()], vec![])
    );
    assert_eq!(names(&rest, "carol"), ["alice"]);
}

#[test]
fn lists_of_friends_have_names_and_outlast_a_restart() {
    let rest = with_users();
    add(&rest, "alice", &[friend("bob"), friend("carol")], "Add_Type_Both");
    let answer = rest.ok(
        "sns/group_add",
        json!({"From_Account": "alice", "GroupName": ["work", "club"], "To_Account": ["bob", "dave"]}),
    );
    assert_eq!(
        (codes(&answer), &answer["CurrentSequence"]),
        (vec![0, 32_216], &json!(2))
    );
    rest.ok(
        "sns/group_add",
        json!({"From_Account": "alice", "GroupName": ["empty"]}),
    );
    let get = |rest: &Rest, body: Value| {
        let mut body = body;
        body["From_Account"] = "alice".into();
        rest.ok("sns/group_get", body)["ResultItem"].clone()
    };
    let with = |names: &[&str]| {
        let lists = names.iter().map(|name| match *name {
            "empty" => json!({"GroupName": name, "FriendNumber": 0, "To_Account": []}),
            _ => json!({"GroupName": name, "FriendNumber": 1, "To_Account": ["bob"]}),
        });
        Value::from(lists.collect::<Vec<_>>())
    };
    let all = json!({"NeedFriend": "Need_Friend_Type_Yes"});
    assert_eq!(get(&rest, all.clone()), with(&["work", "club", "empty"]));
    assert_eq!(
        get(&rest, json!({"GroupName": ["club"]})),
        json!([{"GroupName": "club", "FriendNumber": 1}])
    );
    rest.ok(
        "sns/group_delete",
        json!({"From_Account": "alice", "GroupName": ["club", "nothing"]}),
    );
    let Rest { http, hub } = rest;
    drop(http);
    let rest = Rest::serve(hub.restart_with(|options| options.admins = vec![crate::support::user("admin")]));
    assert_eq!(get(&rest, all), with(&["work", "empty"]));
    assert_eq!(friends(&rest, "alice")[0].1["Tag_SNS_IM_Group"], json!(["work"]));
    let version =
        json!({"From_Account": "alice", "StartIndex": 0, "StandardSequence": 4, "CustomSequence": 4});
    let answer = rest.ok("sns/friend_get", version);
    assert_eq!(
        (
            &answer["StandardSequence"],
            &answer["UserDataItem"][0]["ValueItem"]
        ),
        (&json!(4), &json!([]))
    );
}

#[test]
fn faults_of_friends_have_their_codes_and_pages_go_on() {
    let rest = with_users();
    let long = "x".repeat(31);
    let many: Vec<_> = (0..33).map(|number| format!("l{number}")).collect();
    for (command, body, code) in [
        ("friend_add", json!({}), 30_001),
        ("friend_add", json!({"From_Account": "alice"}), 30_001),
        (
            "friend_add",
            json!({"From_Account": "nobody", "AddFriendItem": [friend("bob")]}),
            30_003,
        ),
        (
            "friend_add",
            json!({"From_Account": "alice", "AddFriendItem": [friend("bob")], "AddType": "x"}),
            30_001,
        ),
        (
            "friend_add",
            json!({"From_Account": "alice", "AddFriendItem": [{"AddSource": "AddSource_Type_x"}]}),
            30_001,
        ),
        (
            "friend_delete",
            json!({"From_Account": "alice", "To_Account": ["bob"], "DeleteType": "x"}),
            30_001,
        ),
        (
            "friend_update",
            json!({"From_Account": "alice", "UpdateItem": []}),
            30_001,
        ),
        (
            "friend_get",
            json!({"From_Account": "nobody", "StartIndex": 0}),
            30_003,
        ),
        ("friend_get", json!({"From_Account": "alice"}), 30_001),
        (
            "friend_get_list",
            json!({"From_Account": "alice", "To_Account": ["bob"]}),
            30_001,
        ),
        (
            "group_add",
            json!({"From_Account": "alice", "GroupName": [""]}),
            30_001,
        ),
        (
            "group_add",
            json!({"From_Account": "alice", "GroupName": [long]}),
            30_001,
        ),
        (
            "group_add",
            json!({"From_Account": "alice", "GroupName": many}),
            30_001,
        ),
        (
            "group_add",
            json!({"From_Account": "alice", "GroupName": "g"}),
            30_001,
        ),
        ("group_delete", json!({"From_Account": "alice"}), 30_001),
        ("group_get", json!({"From_Account": "nobody"}), 30_003),
    ] {
        assert_eq!(
            rest.code(&format!("sns/{command}"), body.clone()),
            code,
            "{command} {body}"
        );
    }
    assert_eq!(names(&rest, "alice"), Vec::<String>::new());
    rest.ok(
        "sns/group_add",
        json!({"From_Account": "alice", "GroupName": many[..32]}),
    );
    assert_eq!(
        rest.code(
            "sns/group_add",
            json!({"From_Account": "alice", "GroupName": ["more"]})
        ),
        30_011
    );
    let users: Vec<_> = (0..130).map(|number| format!("u{number:03}")).collect();
    for part in users.chunks(65) {
        rest.ok("im_open_login_svc/multiaccount_import", json!({"Accounts": part}));
        let items: Vec<_> = part.iter().map(|name| friend(name)).collect();
        add(&rest, "bob", &items, "Add_Type_Single");
    }
    let page = |start: u64| {
        rest.ok(
            "sns/friend_get",
            json!({"From_Account": "bob", "StartIndex": start}),
        )
    };
    let (first, last) = (page(0), page(100));
    assert_eq!(
        (
            &first["FriendNum"],
            &first["CompleteFlag"],
            &first["NextStartIndex"]
        ),
        (&json!(130), &json!(0), &json!(100))
    );
    assert_eq!(
        (
            last["UserDataItem"].as_array().unwrap().len(),
            &last["CompleteFlag"]
        ),
        (30, &json!(1))
    );
}

#[test]
fn many_callers_may_add_one_user_at_once() {
    let rest = Rest::start();
    let fans: Vec<String> = (0..20).map(|number| format!("fan{number}")).collect();
    let names: Vec<&str> = fans.iter().map(String::as_str).collect();
    rest.accounts(&names);
    rest.accounts(&["star"]);
    std::thread::scope(|scope| {
        for fan in &fans {
            let add = json!({"From_Account": fan, "AddFriendItem": [{"To_Account": "star", "AddSource": "AddSource_Type_Web"}]});
            scope.spawn(|| rest.ok("sns/friend_add", add));
        }
    });
    let friends = rest.ok("sns/friend_get", json!({"From_Account": "star", "StartIndex": 0}));
    assert_eq!(friends["FriendNum"], 20);
}
