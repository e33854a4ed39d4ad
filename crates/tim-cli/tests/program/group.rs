//! `tim group`, and groups in `tim chat`, against a hub that runs as its own process.

use serde_json::Value;

use super::chat::{Chat, World};

/// The objects that a command prints.
fn objects(world: &World, user: &str, args: &[&str]) -> Vec<Value> {
    let all = [&["group"], args, &["--json"]].concat();
    let out = world.tim(user, &all, "").ok();
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What a command of a group says, which must go well.
#[track_caller]
fn said(world: &World, user: &str, args: &[&str]) -> String {
    world.tim(user, &[&["group"], args].concat(), "").ok()
}

/// What a command that must fail says of it.
#[track_caller]
fn refused(world: &World, user: &str, args: &[&str]) -> String {
    let ran = world.tim(user, &[&["group"], args].concat(), "");
    assert_eq!(ran.code, 1, "{args:?}: {}", ran.out);
    ran.out + &ran.err
}

#[test]
fn a_group_is_made_applied_to_managed_and_ended() {
    let world = World::new();
    // Who never logged in is nobody.
    said(&world, "bob", &["list"]);
    let made = said(&world, "alice", &["create", "hikers", "--name", "The hikers"]);
    assert_eq!(made, "hikers is there\n");
    let taken = refused(&world, "bob", &["create", "hikers"]);
    assert!(taken.contains("10021"), "{taken}");

    let asked = said(&world, "bob", &["join", "hikers", "--message", "I have boots"]);
    assert!(asked.contains("has to agree"), "{asked}");
    assert!(refused(&world, "bob", &["accept", "hikers", "bob"]).contains("10007"));
    said(&world, "alice", &["accept", "hikers", "bob"]);
    let notices = world.tim("alice", &["history", "@TIM#SYSTEM"], "").ok();
    assert!(notices.contains("bob 申请加入群组:The hikers"), "{notices}");

    let invited = said(&world, "alice", &["invite", "hikers", "carol", "bob"]);
    assert!(
        invited.contains("carol was asked") && invited.contains("bob is a member already"),
        "{invited}"
    );
    said(&world, "carol", &["accept", "hikers"]);
    let members = objects(&world, "carol", &["members", "hikers"]);
    let mut roles: Vec<_> = members
        .iter()
        .map(|it| (it["userID"].as_str(), it["role"].as_str()))
        .collect();
    roles.sort_unstable();
    let role = |name, role| (Some(name), Some(role));
    assert_eq!(
        roles,
        [
            role("alice", "Owner"),
            role("bob", "Member"),
            role("carol", "Member")
        ]
    );

    assert!(refused(&world, "bob", &["kick", "hikers", "carol"]).contains("10007"));
    assert_eq!(
        said(&world, "alice", &["admin", "hikers", "bob"]),
        "hikers: bob is Admin\n"
    );
    said(&world, "bob", &["mute", "hikers", "carol", "--seconds", "60"]);
    let muted = world.tim("carol", &["send", "--group", "hikers", "hi"], "");
    assert!(muted.code == 1 && muted.err.contains("10017"), "{}", muted.err);
    said(&world, "bob", &["unmute", "hikers", "carol"]);
    said(&world, "carol", &["card", "hikers", "The slow one"]);
    world
        .tim("carol", &["send", "--group", "hikers", "wait!"], "")
        .ok();
    let history = world.tim("bob", &["history", "--group", "hikers"], "").ok();
    assert!(history.contains("The slow one (carol): wait!"), "{history}");

    said(
        &world,
        "alice",
        &["update", "hikers", "--name", "Walkers", "--mute-all", "true"],
    );
    said(&world, "alice", &["remind", "hikers", "quiet"]);
    let shown = &objects(&world, "alice", &["show", "hikers"])[0];
    assert_eq!(
        (&shown["name"], &shown["muteAllMembers"], &shown["memberCount"]),
        (&"Walkers".into(), &true.into(), &3.into())
    );
    assert_eq!(shown["selfInfo"]["messageRemindType"], "AcceptNotNotify");
    let card = said(&world, "dave", &["show", "hikers"]);
    assert!(
        card.contains("NeedPermission") && card.contains("no member"),
        "{card}"
    );

    said(
        &world,
        "bob",
        &["kick", "hikers", "carol", "--reason", "too slow"],
    );
    let tips = world
        .tim("alice", &["history", "--group", "hikers", "--all"], "")
        .ok();
    for detail in [
        "(alice: name Walkers, mute all true)",
        "(bob: carol may not write for 60 s)",
        "(bob: too slow)",
    ] {
        assert!(tips.contains(detail), "{detail} in {tips}");
    }
    let kicked = refused(&world, "bob", &["kick", "hikers", "carol", "alice"]);
    assert!(
        kicked.contains("carol was not there") && kicked.contains("alice has your role or a higher one"),
        "{kicked}"
    );
    assert!(kicked.contains("for 2 of them"), "{kicked}");
    said(&world, "alice", &["unadmin", "hikers", "bob"]);
    assert!(refused(&world, "alice", &["quit", "hikers"]).contains("10009"));
    said(&world, "alice", &["owner", "hikers", "bob"]);
    said(&world, "alice", &["quit", "hikers"]);
    let list = said(&world, "bob", &["list"]);
    assert!(
        list.contains("hikers  Walkers") && list.contains("Owner"),
        "{list}"
    );
    said(&world, "bob", &["dismiss", "hikers"]);
    assert_eq!(said(&world, "bob", &["list"]), "no groups yet\n");
    assert!(refused(&world, "alice", &["show", "hikers"]).contains("10010"));
}

#[test]
fn invitations_and_applications_are_refused_and_rooms_ban() {
    let world = World::new();
    said(&world, "bob", &["list"]);
    said(&world, "alice", &["create", "g"]);
    said(&world, "alice", &["invite", "g", "bob"]);
    said(&world, "bob", &["refuse", "g", "--message", "no time"]);
    assert!(refused(&world, "bob", &["accept", "g"]).contains("10024"));
    said(&world, "bob", &["join", "g"]);
    said(&world, "alice", &["refuse", "g", "bob"]);
    let notices = world.tim("bob", &["history", "@TIM#SYSTEM"], "").ok();
    assert!(notices.contains("申请加入群组:g被拒绝"), "{notices}");

    said(&world, "alice", &["create", "live", "--type", "AVChatRoom"]);
    assert_eq!(said(&world, "alice", &["ban", "live", "bob"]), "bob is banned\n");
    assert!(refused(&world, "bob", &["join", "live"]).contains("10007"));
    said(&world, "alice", &["unban", "live", "bob"]);
    assert_eq!(said(&world, "bob", &["join", "live"]), "live: joined\n");
}

#[test]
fn a_wrong_command_line_says_what_is_right() {
    let world = World::new();
    for (args, told) in [
        (
            &["group", "create", "g", "--type", "secret"][..],
            "use work, public",
        ),
        (&["group", "update", "g"], "--name NAME"),
        (&["group", "invite", "g"], "<USER>..."),
        (&["group", "update", "g", "--join-option", "x"], "FreeAccess"),
        (
            &["group", "members", "g", "--role", "king"],
            "owner, admin or member",
        ),
    ] {
        let ran = world.tim("alice", args, "");
        assert!(ran.code == 2 && ran.err.contains(told), "{args:?}: {}", ran.err);
    }
}

#[test]
fn profiles_are_set_and_shown() {
    let world = World::new();
    let set = world
        .tim(
            "alice",
            &["profile", "--nick", "Ali", "--avatar", "a.png", "--json"],
            "",
        )
        .ok();
    let set: Value = serde_json::from_str(&set).unwrap();
    assert_eq!(
        set,
        serde_json::json!({ "userID": "alice", "nick": "Ali", "avatar": "a.png" })
    );
    let seen = world.tim("bob", &["profile", "alice", "bob"], "").ok();
    assert!(seen.starts_with("alice  Ali  a.png\nbob"), "{seen}");
    let nobody = world.tim("bob", &["profile", "nobody"], "");
    assert!(
        nobody.code == 1 && nobody.err.contains("no such user: nobody"),
        "{}",
        nobody.err
    );
}

#[test]
fn a_chat_mentions_invites_and_lists_members() {
    let world = World::new();
    said(&world, "carol", &["list"]);
    let mut bob = Chat::start(&world.data, &["--as", "bob"]);
    bob.expect(&["no conversations yet"]);
    let mut alice = Chat::start(&world.data, &["--as", "alice"]);
    alice.type_line("/nick Ali");
    alice.expect(&["your next messages will show it"]);
    alice.type_line("/create dice bob");
    alice.expect(&["群成员:Ali,bob,加入群组"]);
    alice.type_line("@bob your turn, mail@example.org");
    bob.expect(&["[GROUPdice]", "Ali (alice): @ @bob your turn"]);
    alice.type_line("@all hello");
    bob.expect(&["Ali (alice): @ @all hello"]);
    bob.type_line("/group dice");
    bob.type_line("@all not mine to say");
    bob.expect(&["10007"]);
    alice.type_line("/members");
    alice.expect(&["Owner", "alice", "Ali"]);
    alice.type_line("/invite carol bob");
    alice.expect(&["bob is a member already"]);
    alice.expect(&["carol was asked and has to agree"]);
    let mut carol = Chat::start(&world.data, &["--as", "carol"]);
    carol.type_line("/join dice");
    carol.expect(&["has to accept"]);
    alice.expect(&["carol 申请加入群组:dice"]);
    alice.type_line("/accept carol");
    carol.expect(&["成功加入群组:dice"]);
    alice.type_line("/kick carol");
    carol.expect(&["被管理员alice踢出群组:dice"]);
    bob.type_line("/leave");
    bob.expect(&["you have left dice"]);
    alice.expect(&["群成员:bob,退出群组"]);
    assert_eq!((alice.leave(), carol.leave()), (Some(0), Some(0)));
    assert_eq!(bob.leave(), Some(2), "one of his texts was refused");
    let said = world.history("alice", &["--group", "dice"]);
    let at: Vec<_> = said
        .iter()
        .filter(|it| it["type"] == "TIMTextElem")
        .map(|it| it["atUserList"].clone())
        .collect();
    assert_eq!(
        at,
        [
            serde_json::json!(["bob"]),
            serde_json::json!(["__kImSDK_MesssageAtALL__"])
        ]
    );
}
