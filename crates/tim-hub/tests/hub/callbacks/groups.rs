//! Groups: what the application is asked and told of what members and administrators do in them.

use serde_json::{Value, json};
use tim_hub::CallbackCommand as Command;
use tim_proto::request::{
    BanMembers, ChangeOwner, CreateGroup, HandleApplication, InviteMembers, JoinGroup, UpdateGroup,
};
use tim_proto::wire::List;
use tim_proto::{ErrorCode, GroupType, JoinStatus, MemberResult};

use super::{GO, body, says, serve, so_far};
use crate::rest::of_groups;
use crate::support::{Answer, Asked, Device, Reply, TestServer, group_id, user};

const NOW: u64 = 1_700_000_000_000;

/// All commands about groups but those about messages.
fn commands() -> Vec<Command> {
    let all = Command::ALL.iter().copied();
    all.filter(|command| command.name().starts_with("Group.") && !command.name().ends_with("SendMsg"))
        .collect()
}

/// What was asked and told of this command, without what all have.
fn bodies(asked: &[Asked], command: &str, platform: &str) -> Vec<Value> {
    let is_it = |asked: &&Asked| body(asked)["CallbackCommand"] == command;
    asked
        .iter()
        .filter(is_it)
        .map(|asked| {
            let platform = format!("&OptPlatform={platform}");
            assert!(asked.target.ends_with(&platform), "{}", asked.target);
            let Value::Object(mut body) = body(asked) else {
                panic!("{asked:?}")
            };
            body.remove("CallbackCommand");
            assert_eq!(body.remove("EventTime"), Some(json!(NOW)), "{command}");
            Value::Object(body)
        })
        .collect()
}

fn list(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"Member_Account": name})).collect()
}

#[test]
fn what_members_do_is_asked_about_and_told_of() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(&server, &commands());
    let mut alice = Device::login(&rest.hub, "alice", 1);
    let mut carol = Device::login(&rest.hub, "carol", 3);
    for _ in 0..2 {
        alice.create(GroupType::MEETING, "m", &[user("bob")]).unwrap();
        carol.join("m").unwrap();
    }
    alice.create(GroupType::WORK, "w", &[user("bob")]).unwrap();
    for _ in 0..2 {
        alice.invite("w", &["bob", "dave"]).unwrap();
    }
    let update = UpdateGroup::new(group_id("m"))
        .with_name("new")
        .with_notification("soon");
    for _ in 0..2 {
        alice.ask(&update).unwrap();
        alice
            .ask(&UpdateGroup::new(group_id("m")).with_mute_all(true))
            .unwrap();
        alice.remove("m", &["bob"]).unwrap();
        carol.quit("m").unwrap();
        alice.ask(&ChangeOwner::new(group_id("w"), user("dave"))).unwrap();
    }
    for _ in 0..2 {
        alice.dismiss("m").unwrap();
    }
    let asked = so_far(&server, &rest);
    assert_eq!(asked.len(), 13, "what is repeated is neither asked nor told");
    let of = |command: &str| bodies(&asked, &format!("Group.{command}"), "Unknown");
    let new = |kind, owned| {
        json!({"Operator_Account": "alice", "Owner_Account": "alice", "Type": kind, "Name": "周末去哪",
            "CreateGroupNum": owned, "MemberList": list(&["bob"])})
    };
    assert_eq!(
        of("CallbackBeforeCreateGroup"),
        [new("ChatRoom", 0), new("Private", 1)]
    );
    let created = |group, kind| {
        json!({"GroupId": group, "Operator_Account": "alice", "Owner_Account": "alice", "Type": kind, "Name": "周末去哪",
            "MemberList": list(&["bob"]), "UserDefinedDataList": []})
    };
    assert_eq!(
        of("CallbackAfterCreateGroup"),
        [created("m", "ChatRoom"), created("w", "Private")]
    );
    assert_eq!(
        of("CallbackBeforeApplyJoinGroup"),
        [json!({"GroupId": "m", "Type": "ChatRoom", "Requestor_Account": "carol"})]
    );
    assert_eq!(
        of("CallbackBeforeInviteJoinGroup"),
        [
            json!({"GroupId": "w", "Type": "Private", "Operator_Account": "alice", "DestinationMembers": list(&["dave"])})
        ]
    );
    assert_eq!(
        of("CallbackAfterNewMemberJoin"),
        [
            json!({"GroupId": "m", "Type": "ChatRoom", "JoinType": "Apply", "Operator_Account": "carol",
                "NewMemberList": list(&["carol"])}),
            json!({"GroupId": "w", "Type": "Private", "JoinType": "Invited", "Operator_Account": "alice",
                "NewMemberList": list(&["dave"])}),
        ]
    );
    assert_eq!(
        of("CallbackAfterGroupInfoChanged"),
        [
            json!({"GroupId": "m", "Type": "ChatRoom", "Operator_Account": "alice", "Name": "new", "Notification": "soon"})
        ]
    );
    assert_eq!(
        of("CallbackAfterMemberExit"),
        [
            json!({"GroupId": "m", "Type": "ChatRoom", "ExitType": "Kicked", "Operator_Account": "alice",
                "ExitMemberList": list(&["bob"])}),
            json!({"GroupId": "m", "Type": "ChatRoom", "ExitType": "Quit", "Operator_Account": "carol",
                "ExitMemberList": list(&["carol"])}),
        ]
    );
    assert_eq!(
        of("CallbackAfterChangeGroupOwner"),
        [
            json!({"GroupId": "w", "Type": "Private", "Operator_Account": "alice", "OldOwner_Account": "alice",
            "NewOwner_Account": "dave"})
        ]
    );
    assert_eq!(
        of("CallbackAfterGroupDestroyed"),
        [
            json!({"GroupId": "m", "Type": "ChatRoom", "Owner_Account": "alice", "Name": "new", "MemberList": list(&["alice"])})
        ]
    );
}

#[test]
fn what_administrators_do_is_asked_about_and_told_of() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(&server, &commands());
    rest.accounts(&["alice", "bob", "carol", "dave", "eve", "old"]);
    let new = json!({"Type": "Public", "Name": "name", "GroupId": "g", "Owner_Account": "alice", "MaxMemberCount": 4,
        "MemberList": [{"Member_Account": "bob"}], "AppDefinedData": [{"Key": "k", "Value": "v"}]});
    rest.groups_ok("create_group", new.clone());
    assert_eq!(rest.groups_code("create_group", new), 10_025);
    let add = |names: &[&str]| json!({"GroupId": "g", "Silence": 1, "MemberList": list(names)});
    for _ in 0..2 {
        rest.groups_ok("add_group_member", add(&["bob", "carol"]));
    }
    // Imported members are not told of.
    rest.groups_ok(
        "import_group_member",
        json!({"GroupId": "g", "MemberList": list(&["old"])}),
    );
    let out = |name| json!({"GroupId": "g", "MemberToDel_Account": [name]});
    rest.groups_ok("delete_group_member", out("old"));
    rest.groups_ok("add_group_member", add(&["dave", "eve"]));
    rest.groups_ok(
        "modify_group_base_info",
        json!({"GroupId": "g", "Introduction": "hi", "FaceUrl": "f", "MaxMemberNum": 9}),
    );
    rest.groups_ok(
        "change_group_owner",
        json!({"GroupId": "g", "NewOwner_Account": "bob"}),
    );
    rest.groups_ok("destroy_group", json!({"GroupId": "g"}));
    let asked = so_far(&server, &rest);
    assert_eq!(asked.len(), 11);
    let of = |command: &str| bodies(&asked, &format!("Group.{command}"), "RESTAPI");
    let before = of("CallbackBeforeCreateGroup");
    assert_eq!(
        before,
        [
            json!({"Operator_Account": "admin", "Owner_Account": "alice", "Type": "Public", "Name": "name",
            "CreateGroupNum": 0, "MemberList": list(&["bob"])})
        ]
    );
    assert_eq!(
        of("CallbackAfterCreateGroup")[0]["UserDefinedDataList"],
        json!([{"Key": "k", "Value": "v"}])
    );
    let invited = of("CallbackBeforeInviteJoinGroup");
    let invited: Vec<_> = invited.iter().map(|body| &body["DestinationMembers"]).collect();
    assert_eq!(invited, [&list(&["carol"]), &list(&["dave", "eve"])]);
    let joined = of("CallbackAfterNewMemberJoin");
    assert_eq!(
        joined[0],
        json!({"GroupId": "g", "Type": "Public", "JoinType": "Invited", "Operator_Account": "admin",
            "NewMemberList": list(&["carol"])})
    );
    assert_eq!(joined[1]["NewMemberList"], list(&["dave"]), "then it is full");
    assert_eq!(of("CallbackAfterGroupFull"), [json!({"GroupId": "g"})]);
    let left = of("CallbackAfterMemberExit");
    assert_eq!(
        (&left[0]["ExitType"], &left[0]["ExitMemberList"]),
        (&json!("Kicked"), &list(&["old"]))
    );
    assert_eq!(
        of("CallbackAfterGroupInfoChanged"),
        [
            json!({"GroupId": "g", "Type": "Public", "Operator_Account": "admin", "Introduction": "hi", "FaceUrl": "f"})
        ]
    );
    assert_eq!(of("CallbackAfterChangeGroupOwner")[0]["NewOwner_Account"], "bob");
    let end = of("CallbackAfterGroupDestroyed");
    assert_eq!(
        end,
        [
            json!({"GroupId": "g", "Type": "Public", "Owner_Account": "bob", "Name": "name",
            "MemberList": list(&["alice", "bob", "carol", "dave"])})
        ]
    );
}

#[test]
fn the_application_refuses_what_is_done_in_groups() {
    let refuse_bob = json!({"ErrorCode": 0, "RefusedMembers_Account": ["bob", "nobody"]}).to_string();
    let all = json!({"ErrorCode": 0, "RefusedMembers_Account": ["bob", "carol"]}).to_string();
    let before = [
        Command::BeforeCreateGroup,
        Command::BeforeJoin,
        Command::BeforeInvite,
    ];
    let server = TestServer::start([
        says(1, ""),
        says(10_107, "no more groups"),
        Answer::ok(GO),
        Answer::ok(GO),
        says(10_108, "members only"),
        Answer::ok(refuse_bob.as_str()),
        Answer::ok(all.as_str()),
        Answer::ok(all.as_str()),
        Answer::ok(refuse_bob.as_str()),
        // Nothing that decides.
        says(2, ""),
        says(120_001, ""),
    ]);
    let rest = serve(&server, &before);
    rest.accounts(&["bob", "carol", "dave"]);
    let mut alice = Device::login(&rest.hub, "alice", 1);
    let mut eve = Device::login(&rest.hub, "eve", 5);
    let refused = ErrorCode::GROUP_REJECT_FROM_THIRDPARTY;
    assert_eq!(alice.create(GroupType::WORK, "w", &[]), Err(refused));
    let new = json!({"Type": "Work", "Name": "name", "GroupId": "w", "Owner_Account": "alice"});
    let answer = rest.call(&of_groups("create_group"), new);
    assert_eq!(
        (&answer["ErrorCode"], &answer["ErrorInfo"]),
        (&json!(10_107), &json!("no more groups"))
    );
    alice.create(GroupType::WORK, "w", &[]).unwrap();
    alice.create(GroupType::MEETING, "m", &[]).unwrap();
    assert_eq!(eve.join("m"), Err(ErrorCode(10_108)));
    assert_eq!(eve.refusal, "members only");
    let result = |name: &str, result| (name.to_owned(), result);
    let invited = alice.invite("w", &["bob", "carol"]).unwrap();
    let (added, refused_one) = (MemberResult::ADDED, MemberResult::NOT_ALLOWED);
    assert_eq!(
        invited,
        Reply::Members(vec![result("carol", added), result("bob", refused_one)])
    );
    rest.groups_ok(
        "delete_group_member",
        json!({"GroupId": "w", "MemberToDel_Account": ["carol"]}),
    );
    assert_eq!(alice.invite("w", &["bob", "carol"]), Err(refused));
    let add = json!({"GroupId": "w", "MemberList": list(&["bob", "carol"])});
    assert_eq!(rest.groups_code("add_group_member", add.clone()), 10_016);
    assert_eq!(
        rest.groups_ok("add_group_member", add)["MemberList"],
        json!([{"Member_Account": "carol", "Result": 1}, {"Member_Account": "bob", "Result": 0}])
    );
    assert_eq!(eve.join("m"), Ok(Reply::Joined(JoinStatus::JOINED)));
    alice.create(GroupType::WORK, "more", &[]).unwrap();
    assert_eq!(server.asked_now().len(), 11);
}

/// Nobody makes the hub ask about what is refused anyway.
#[test]
fn what_is_refused_anyway_is_not_asked_about() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(
        &server,
        &[
            Command::BeforeCreateGroup,
            Command::BeforeJoin,
            Command::BeforeInvite,
        ],
    );
    rest.group("Work", "w", &["alice", "bob"]);
    rest.group("Community", "@TGS#_c", &["alice"]);
    let mut eve = Device::login(&rest.hub, "eve", 5);
    let asked = server.asked(2).len();
    let long = "x".repeat(1_000);
    let new = CreateGroup::new(GroupType::WORK, &long, 1).with_group(group_id("n"));
    assert!(eve.ask(&new).is_err());
    assert!(eve.ask(&CreateGroup::new(GroupType(99), "x", 1)).is_err());
    assert!(eve.create(GroupType::WORK, "w", &[]).is_err());
    assert!(eve.join("w").is_err() && eve.join("none").is_err());
    assert!(eve.invite("w", &["carol"]).is_err() && eve.invite("none", &["carol"]).is_err());
    assert_eq!(server.asked_now().len(), asked);
}

#[test]
fn who_applies_is_told_of_when_let_in() {
    let server = TestServer::start([Answer::ok(GO)]);
    let rest = serve(&server, &[Command::BeforeJoin, Command::AfterJoin]);
    let mut alice = Device::login(&rest.hub, "alice", 1);
    let mut bob = Device::login(&rest.hub, "bob", 2);
    alice.create_group("g", &[]).unwrap();
    assert_eq!(bob.join("g"), Ok(Reply::Joined(JoinStatus::WAIT_APPROVAL)));
    let key = alice.until_notice(1).key;
    assert_eq!(server.asked_now().len(), 1, "it still needs a manager");
    let handle = HandleApplication::new(group_id("g"), user("bob"), true).with_key(key);
    alice.ask(&handle).unwrap();
    let joined = bodies(&server.asked(2), "Group.CallbackAfterNewMemberJoin", "Unknown");
    assert_eq!(
        joined,
        [
            json!({"GroupId": "g", "Type": "Public", "JoinType": "Apply", "Operator_Account": "alice",
            "NewMemberList": list(&["bob"])})
        ]
    );
}

#[test]
fn who_comes_into_a_room_and_leaves_it() {
    let server = TestServer::start([says(1, ""), Answer::ok(GO)]);
    let rest = serve(
        &server,
        &[Command::BeforeJoin, Command::AfterJoin, Command::AfterExit],
    );
    let mut alice = Device::login(&rest.hub, "alice", 1);
    let mut bob = Device::login(&rest.hub, "bob", 2);
    alice.create(GroupType::AV_CHAT_ROOM, "room", &[]).unwrap();
    assert_eq!(bob.join("room"), Err(ErrorCode::GROUP_REJECT_FROM_THIRDPARTY));
    for _ in 0..2 {
        bob.join("room").unwrap();
        bob.quit("room").unwrap();
    }
    bob.join("room").unwrap();
    let users = [user("bob"), user("carol")];
    let ban = BanMembers::new(group_id("room"), List::from_slice(&users), 60);
    alice.ask(&ban).ok();
    let asked = server.asked(10);
    let joined = bodies(&asked, "Group.CallbackAfterNewMemberJoin", "Unknown");
    assert_eq!((joined.len(), &joined[0]["JoinType"]), (3, &json!("Apply")));
    let left = bodies(&asked, "Group.CallbackAfterMemberExit", "Unknown");
    let of = |kind: &str, by: &str| {
        json!({"GroupId": "room", "Type": "AVChatRoom", "ExitType": kind, "Operator_Account": by,
            "ExitMemberList": list(&["bob"])})
    };
    assert_eq!(
        left,
        [of("Quit", "bob"), of("Quit", "bob"), of("Kicked", "alice")]
    );
}

/// The verdict comes late: what may be done is decided after it.
#[test]
fn the_group_changes_while_the_application_is_asked() {
    let server = TestServer::start([Answer::ok(GO), Answer::ok(GO).held()]);
    let rest = serve(
        &server,
        &[
            Command::BeforeCreateGroup,
            Command::BeforeJoin,
            Command::BeforeInvite,
        ],
    );
    let [mut alice, mut bob, mut carol, mut dave] = [("alice", 1), ("bob", 2), ("carol", 3), ("dave", 4)]
        .map(|(name, n)| Device::login(&rest.hub, name, n));
    alice.create(GroupType::WORK, "w", &[user("bob")]).unwrap();
    let join = carol.start(&JoinGroup::new(group_id("m")));
    carol.wait_for(join).unwrap_err();
    let invited = [user("carol")];
    let invite = bob.start(&InviteMembers::new(group_id("w"), List::from_slice(&invited)));
    let create = dave.start(&CreateGroup::new(GroupType::WORK, "dave's", 3).with_group(group_id("taken")));
    bob.push_out();
    dave.push_out();
    server.asked(3);
    // Administrators' calls with other callbacks go on.
    rest.groups_ok(
        "delete_group_member",
        json!({"GroupId": "w", "MemberToDel_Account": ["bob"]}),
    );
    let taken = std::thread::scope(|scope| {
        let taking = scope.spawn(|| {
            let new = json!({"Type": "Work", "Name": "name", "GroupId": "taken", "Owner_Account": "alice"});
            rest.groups_code("create_group", new)
        });
        server.asked(4);
        server.release();
        taking.join().unwrap()
    });
    assert_eq!(bob.wait_for(invite), Err(ErrorCode::GROUP_PERMISSION_DENY));
    // One of the two has got it.
    match dave.wait_for(create) {
        Ok(_) => assert_eq!(taken, 10_021),
        Err(code) => assert_eq!((code, taken), (ErrorCode(10_021), 0)),
    }
}
