//! The life of groups: who comes and goes, who may do what, and who is told.

use tim_proto::message::{SendOptions, Text};
use tim_proto::request::{
    ChangeOwner, DismissGroup, GroupMembers, Groups, HandleApplication, HandleInvitation, SetMember,
    SetReceiveOption, UpdateGroup,
};
use tim_proto::{ErrorCode, GroupType, JoinStatus, MemberResult, ReceiveOption, Role};
use tim_session::ClientConfig;

use super::support::{Device, Observed, Reply, TestHub, Tip, c2c, group, group_id, user};

const MEETING: GroupType = GroupType::MEETING;

fn set<'a>(group: &str, name: &str) -> SetMember<'a> {
    SetMember::new(group_id(group), user(name))
}

fn refused(device: &mut Device, text: &str) -> ErrorCode {
    let message = device.message(group("g"), Text::new(text));
    device.send_message(&message).unwrap_err()
}

#[test]
fn who_applies_is_let_in_by_an_admin_once() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    let mut eve = Device::login(&hub, "eve", 3);
    alice.create_group("g", &[user("carol")]).unwrap();
    assert_eq!(bob.join("g"), Ok(Reply::Joined(JoinStatus::WAIT_APPROVAL)));
    let asked = alice.until_notice(1);
    assert_eq!(
        (asked.operator.as_str(), asked.message.as_str()),
        ("bob", "let me in")
    );
    let handle = HandleApplication::new(group_id("g"), user("bob"), true)
        .with_message("welcome")
        .with_key(asked.key);
    assert_eq!(eve.ask(&handle), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(bob.ask(&handle), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(alice.ask(&handle), Ok(Reply::Done));
    let accepted = bob.until_notice(2);
    assert_eq!(
        (accepted.operator.as_str(), accepted.message.as_str()),
        ("alice", "welcome")
    );
    let tip = bob.until_tip(1);
    assert_eq!((tip.users, tip.members), (vec!["bob".to_owned()], 3));
    assert_eq!(alice.ask(&handle), Ok(Reply::Done), "the same again");
    assert_eq!(bob.join("g"), Ok(Reply::Joined(JoinStatus::ALREADY_IN_GROUP)));
    alice.send(group("g"), "hello bob");
    bob.until_texts(1);
    // Who is refused hears it, and stays out.
    assert_eq!(eve.join("g"), Ok(Reply::Joined(JoinStatus::WAIT_APPROVAL)));
    let refuse = HandleApplication::new(group_id("g"), user("eve"), false).with_message("not you");
    assert_eq!(alice.ask(&refuse), Ok(Reply::Done));
    assert_eq!(eve.until_notice(3).message, "not you");
    assert_eq!(refused(&mut eve, "x"), ErrorCode::GROUP_PERMISSION_DENY);
    assert_eq!(eve.join("none"), Err(ErrorCode::GROUP_NOT_FOUND));
}

#[test]
fn who_is_invited_agrees_or_does_not() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    let mut carol = Device::login(&hub, "carol", 3);
    alice.create_group("g", &[]).unwrap();
    let invited = alice.invite("g", &["bob", "carol", "alice"]);
    let expected = [
        ("bob", MemberResult::INVITED),
        ("carol", MemberResult::INVITED),
        ("alice", MemberResult::ALREADY_MEMBER),
    ];
    let expected = expected.map(|(name, result)| (name.to_owned(), result)).to_vec();
    assert_eq!(invited, Ok(Reply::Members(expected)));
    let answer = |accept| HandleInvitation::new(group_id("g"), accept);
    bob.until_notice(12);
    assert_eq!(bob.ask(&answer(true)), Ok(Reply::Done));
    assert_eq!(alice.until_notice(13).operator, "bob");
    assert_eq!(bob.until_tip(1).members, 2);
    assert_eq!(carol.ask(&answer(false)), Ok(Reply::Done));
    assert_eq!(alice.until_notice(14).operator, "carol");
    assert_eq!(
        carol.page(group("g"), &[], 0),
        Err(ErrorCode::GROUP_PERMISSION_DENY)
    );
    // Into a Work group any member brings anybody, at once, and nobody comes by asking.
    alice.create(GroupType::WORK, "w", &[user("bob")]).unwrap();
    let added = vec![("carol".to_owned(), MemberResult::ADDED)];
    assert_eq!(bob.invite("w", &["carol"]), Ok(Reply::Members(added)));
    assert_eq!(carol.until_notice(7).operator, "bob");
    let mut eve = Device::login(&hub, "eve", 4);
    assert_eq!(eve.join("w"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(eve.profile("w"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(eve.invite("w", &["eve"]), Err(ErrorCode::GROUP_PERMISSION_DENY));
}

#[test]
fn who_is_removed_hears_of_it_and_of_nothing_more() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    let (mut tablet, mut carol) = (Device::login(&hub, "bob", 3), Device::login(&hub, "carol", 4));
    alice.create(MEETING, "g", &[user("bob"), user("carol")]).unwrap();
    alice.send(group("g"), "before");
    bob.until_texts(1);
    assert_eq!(carol.remove("g", &["bob"]), Err(ErrorCode::GROUP_PERMISSION_DENY));
    let results = [
        ("bob", MemberResult::REMOVED),
        ("eve", MemberResult::NOT_MEMBER),
        ("alice", MemberResult::NOT_ALLOWED),
    ];
    let results = results.map(|(name, result)| (name.to_owned(), result)).to_vec();
    assert_eq!(
        alice.remove("g", &["bob", "eve", "alice"]),
        Ok(Reply::Members(results))
    );
    alice.send(group("g"), "after");
    carol.until_texts(2);
    let tip = carol.until_tip(3);
    assert_eq!((tip.users, tip.members), (vec!["bob".to_owned()], 2));
    alice.send(c2c("bob"), "sorry");
    for device in [&mut bob, &mut tablet] {
        let notice = device.until_notice(4);
        assert_eq!(
            (notice.operator.as_str(), notice.message.as_str()),
            ("alice", "because")
        );
        device.until(|device| device.texts().contains(&"sorry"));
        assert_eq!(device.texts(), ["before", "sorry"]);
        assert!(device.tips.iter().all(|tip| tip.operation == 1));
        let gone = Observed::Conversation {
            conversation: "GROUPg".to_owned(),
            unread: 0,
            deleted: true,
        };
        device.until(|device| device.observed.contains(&gone));
        assert!(device.conversations().iter().all(|(id, _, _)| id != "GROUPg"));
    }
    assert_eq!(refused(&mut bob, "x"), ErrorCode::GROUP_PERMISSION_DENY);
    // Back again, in what came meanwhile there is nothing for bob.
    assert_eq!(bob.join("g"), Ok(Reply::Joined(JoinStatus::JOINED)));
    alice.send(group("g"), "again");
    tablet.until(|device| device.texts().contains(&"again"));
    assert_eq!(tablet.texts(), ["before", "sorry", "again"]);
}

#[test]
fn who_quits_is_out_on_all_devices() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    let mut tablet = Device::login(&hub, "bob", 3);
    alice.create(MEETING, "g", &[user("bob")]).unwrap();
    tablet.until_tip(1);
    assert_eq!(bob.quit("g"), Ok(Reply::Done));
    assert_eq!(bob.quit("g"), Ok(Reply::Done), "the same again");
    tablet.until_notice(8);
    let tip = alice.until_tip(2);
    assert_eq!((tip.users, tip.members), (vec!["bob".to_owned()], 1));
    alice.send(group("g"), "alone");
    alice.send(c2c("bob"), "hello");
    tablet.until_texts(1);
    assert_eq!(tablet.texts(), ["hello"]);
    assert_eq!(alice.quit("g"), Err(ErrorCode::GROUP_SUPER_NOT_ALLOW_QUIT));
}

#[test]
fn members_are_made_admins_and_silenced_and_called_names() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    let mut carol = Device::login(&hub, "carol", 3);
    alice.create(MEETING, "g", &[user("bob"), user("carol")]).unwrap();
    let admin = |role| set("g", "bob").with_role(role);
    let mute = |seconds| set("g", "carol").with_mute_seconds(seconds);
    assert_eq!(
        carol.ask(&admin(Role::ADMIN)),
        Err(ErrorCode::GROUP_PERMISSION_DENY)
    );
    assert_eq!(bob.ask(&mute(60)), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(alice.ask(&admin(Role::ADMIN)), Ok(Reply::Done));
    bob.until_notice(9);
    assert_eq!(carol.until_tip(4).users, ["bob"]);
    carol.send(group("g"), "one"); // what the hub remembers of her is not what counts
    assert_eq!(bob.ask(&mute(60)), Ok(Reply::Done));
    assert_eq!(refused(&mut carol, "two"), ErrorCode::GROUP_SHUTUP_DENY);
    assert_eq!(carol.until_tip(7).users, ["carol"]);
    assert_eq!(bob.ask(&mute(0)), Ok(Reply::Done));
    carol.send(group("g"), "three");
    assert_eq!(bob.ask(&mute(60)), Ok(Reply::Done));
    hub.advance(std::time::Duration::from_secs(61));
    carol.send(group("g"), "four");
    let all = |mute_all| UpdateGroup::new(group_id("g")).with_mute_all(mute_all);
    assert_eq!(carol.ask(&all(true)), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(bob.ask(&all(true)), Ok(Reply::Done));
    assert_eq!(refused(&mut carol, "five"), ErrorCode::GROUP_SHUTUP_DENY);
    bob.send(group("g"), "only us");
    assert_eq!(alice.ask(&all(false)), Ok(Reply::Done));
    carol.send(group("g"), "six");
    assert_eq!(alice.ask(&admin(Role::MEMBER)), Ok(Reply::Done));
    bob.until_notice(10);
    assert_eq!(bob.ask(&all(true)), Err(ErrorCode::GROUP_PERMISSION_DENY));
}

#[test]
fn a_group_changes_hands_and_ends() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    let mut eve = Device::login(&hub, "eve", 3);
    alice.create(MEETING, "g", &[user("bob")]).unwrap();
    let rename = UpdateGroup::new(group_id("g"))
        .with_name("new")
        .with_introduction("what for");
    assert_eq!(bob.ask(&rename), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(alice.ask(&rename), Ok(Reply::Done));
    let changed = Tip {
        operation: 6,
        users: Vec::new(),
        members: 2,
        changes: 2,
        shown: vec!["alice".to_owned()],
    };
    assert_eq!(bob.until_tip(6), changed);
    let hand = |name| ChangeOwner::new(group_id("g"), user(name));
    assert_eq!(bob.ask(&hand("bob")), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(alice.ask(&hand("eve")), Err(ErrorCode::GROUP_INVALID_PARAMETERS));
    assert_eq!(alice.ask(&hand("bob")), Ok(Reply::Done));
    assert_eq!(bob.until_tip(6).changes, 1);
    let seen = |role| {
        Ok(Reply::GroupProfile {
            name: "new".to_owned(),
            owner: "bob".to_owned(),
            members: 2,
            role,
            name_card: String::new(),
        })
    };
    assert_eq!(alice.profile("g"), seen(Role::MEMBER));
    assert_eq!(bob.profile("g"), seen(Role::OWNER));
    assert_eq!(eve.profile("g"), seen(Role(0)));
    assert_eq!(alice.dismiss("g"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(bob.dismiss("g"), Ok(Reply::Done));
    assert_eq!(bob.dismiss("g"), Ok(Reply::Done), "the same again");
    assert_eq!(alice.until_notice(5).operator, "bob");
    alice.until(|device| {
        let gone = |seen: &Observed| matches!(seen, Observed::Conversation { deleted: true, .. });
        device.observed.iter().any(gone)
    });
    assert_eq!(refused(&mut alice, "x"), ErrorCode::GROUP_NOT_FOUND);
    assert_eq!(alice.profile("g"), Err(ErrorCode::GROUP_NOT_FOUND));
    assert_eq!(
        alice.create(MEETING, "g", &[]),
        Err(ErrorCode::GROUP_GROUPID_IN_USED)
    );
}

#[test]
fn members_come_in_pages_that_fit_the_device() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut kiosk = Device::with(&hub, "kiosk", 9, |config: &mut ClientConfig| {
        config.max_frame = 512
    });
    kiosk.log_in();
    let mut names: Vec<String> = (0..130)
        .map(|n| format!("a-member-with-a-long-name-{n:03}"))
        .collect();
    names.push("kiosk".to_owned());
    let users: Vec<_> = names.iter().map(|name| user(name)).collect();
    alice.create(MEETING, "g", &users).unwrap();
    names.push("alice".to_owned());
    names.sort();
    for device in [&mut alice, &mut kiosk] {
        let (mut all, mut next, mut pages) = (Vec::new(), Vec::new(), 0);
        loop {
            let Ok(Reply::GroupMembers {
                members,
                next: following,
                completed,
            }) = device.members("g", &next, 0)
            else {
                panic!()
            };
            assert_eq!(completed, following.is_empty());
            all.extend(members.into_iter().map(|(name, _)| name));
            next = following;
            pages += 1;
            if completed {
                break;
            }
        }
        all.sort();
        assert_eq!(all, names);
        assert!(pages > 1);
    }
    let owners = alice.ask(&GroupMembers::new(group_id("g")).with_role(Role::OWNER));
    let expected = vec![("alice".to_owned(), Role::OWNER)];
    assert!(
        matches!(owners, Ok(Reply::GroupMembers { members, completed: true, .. }) if members == expected)
    );
    assert_eq!(alice.members("g", b"nonsense", 0), Err(ErrorCode::CURSOR_INVALID));
    let mut eve = Device::login(&hub, "eve", 2);
    assert_eq!(eve.members("g", &[], 0), Err(ErrorCode::GROUP_PERMISSION_DENY));
    // What cannot be answered is not done.
    let many: Vec<&str> = names.iter().map(String::as_str).take(30).collect();
    assert_eq!(kiosk.invite("g", &many), Err(ErrorCode::FRAME_TOO_LARGE));
    let too_many = vec!["bob"; 501];
    assert_eq!(
        alice.remove("g", &too_many),
        Err(ErrorCode::GROUP_INVALID_PARAMETERS)
    );
}

#[test]
fn ones_groups_come_in_pages() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut names: Vec<String> = (0..60).map(|n| format!("group{n:02}")).collect();
    for name in &names {
        alice.create(MEETING, name, &[]).unwrap();
    }
    let quit = names.remove(7);
    assert_eq!(alice.dismiss(&quit), Ok(Reply::Done));
    let mut all = Vec::new();
    let mut next = Vec::new();
    for (len, last) in [(50, false), (9, true)] {
        let asked = Groups::new().with_next(&next);
        let Ok(Reply::Groups {
            groups,
            next: following,
            completed,
        }) = alice.ask(&asked)
        else {
            panic!()
        };
        assert_eq!((groups.len(), completed), (len, last));
        all.extend(groups);
        next = following;
    }
    assert_eq!(all, names);
}

#[test]
fn what_concerns_many_costs_as_many_messages() {
    let hub = TestHub::start_with(|options| options.sends_per_second = 100);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.create(MEETING, "g", &[]).unwrap();
    let names: Vec<String> = (0..300).map(|n| format!("m{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    alice.remove("g", &names).unwrap();
    assert_eq!(alice.remove("g", &["m1"]), Err(ErrorCode::RATE_LIMITED));
    assert_eq!(refused(&mut alice, "x"), ErrorCode::RATE_LIMITED);
    hub.advance(std::time::Duration::from_millis(1_100));
    alice.send(group("g"), "paid for");
}

#[test]
fn of_a_change_and_a_dismissal_one_is_first() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    for round in 0..20 {
        let name = format!("g{round}");
        alice.create(MEETING, &name, &[]).unwrap();
        let id = group_id(&name);
        let join = tim_proto::request::JoinGroup::new(id);
        let dismiss = DismissGroup::new(id);
        // Both at once, in either order.
        let (joining, dismissing) = if round % 2 == 0 {
            let joining = bob.start(&join);
            bob.turn();
            (joining, alice.start(&dismiss))
        } else {
            let dismissing = alice.start(&dismiss);
            alice.turn();
            (bob.start(&join), dismissing)
        };
        let joined = bob.wait_for(joining);
        assert_eq!(alice.wait_for(dismissing), Ok(Reply::Done));
        match joined {
            Ok(Reply::Joined(JoinStatus::JOINED)) => assert_eq!(bob.until_notice(5).group, name),
            Err(ErrorCode::GROUP_NOT_FOUND) => {
                assert!(bob.notices.iter().all(|notice| notice.group != name));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bob.profile(&name), Err(ErrorCode::GROUP_NOT_FOUND));
        assert!(
            bob.conversations()
                .iter()
                .all(|(id, _, _)| *id != format!("GROUP{name}"))
        );
    }
}

#[test]
fn a_member_who_does_not_read_delays_nobody() {
    let hub = TestHub::start_with(|options| options.max_live = 8);
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    let mut slow = Device::login(&hub, "carol", 3);
    alice.create(MEETING, "g", &[user("bob"), user("carol")]).unwrap();
    let expected: Vec<String> = (0..600).map(|n| n.to_string()).collect();
    let mut tickets = Vec::new();
    for text in &expected {
        let message = alice.message(group("g"), Text::new(text));
        alice.until(|device| device.session.pending() < 60);
        tickets.push(alice.start_send(&message, SendOptions::default()));
        bob.turn();
    }
    for ticket in tickets {
        alice.wait_for(ticket).unwrap();
    }
    bob.until_texts(600);
    assert_eq!(bob.texts(), expected);
    // And carol finds all of it when she looks.
    slow.until_texts(600);
    assert_eq!(slow.texts(), expected);
}

#[test]
fn how_to_be_told_is_known_on_the_other_devices() {
    let hub = TestHub::start();
    let (mut alice, mut tablet) = (Device::login(&hub, "alice", 1), Device::login(&hub, "alice", 2));
    alice.create(MEETING, "g", &[]).unwrap();
    let option = ReceiveOption::ACCEPT_NOT_NOTIFY;
    let set = SetReceiveOption::new(group_id("g"), option);
    assert_eq!(alice.ask(&set), Ok(Reply::Done));
    let told = tablet.until_notice(20);
    assert_eq!(
        (told.custom.as_str(), told.may_be_last),
        ("AcceptNotNotify", false)
    );
    let created = alice.until_notice(6);
    assert!(created.may_be_last);
    let unread: Vec<u32> = tablet
        .conversations()
        .iter()
        .map(|(_, unread, _)| *unread)
        .collect();
    assert!(unread.iter().all(|unread| *unread == 0), "{unread:?}");
}
