//! Groups and their members.

use tim_groups::{GroupAction, GroupResponse};
use tim_proto::{GroupId, GroupType, JoinStatus, MemberResult, Role, UserId};

use super::rosters::typed;
use super::{World, new_group, stored, texts};
use crate::{CreateGroup, LogKey, Refused, Write, Written};

fn names(world: &World, group: &GroupId) -> Vec<String> {
    world
        .members(group)
        .iter()
        .map(|member| member.account.user.to_string())
        .collect()
}

pub fn created_whole_with_tip_and_notices(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = GroupId::new("@TGS#1").unwrap();
    let mut new = new_group(group, &[alice, bob, carol, bob]);
    new.group.introduction = "intro".to_owned();
    new.tip = Some(world.prepared("alice invited bob, carol"));
    new.notices = [bob, carol]
        .map(|user| (user, world.prepared("you were invited")))
        .to_vec();
    assert_eq!(
        world.write(Write::CreateGroup(Box::new(new))),
        Ok(Written::Group { created: true })
    );

    let profile = world.reader().group(&group).unwrap().unwrap();
    assert_eq!(
        (profile.owner, profile.member_count, profile.created_ms),
        (alice, 3, world.now_ms)
    );
    assert_eq!(profile.introduction, "intro");
    assert_eq!(names(world, &group), ["alice", "bob", "carol"]);
    let roles = [alice, bob].map(|user| world.reader().membership(&group, &user).unwrap().unwrap().role);
    assert_eq!(roles, [Role::OWNER, Role::MEMBER]);
    assert_eq!(world.reader().groups_of(&bob).unwrap(), [profile]);
    let log = LogKey::Group(group);
    assert_eq!(
        texts(&world.page(log, None, 15).entries),
        ["alice invited bob, carol"]
    );
    assert_eq!(world.list(&bob), [LogKey::System(bob), log]);
    assert_eq!(world.list(&alice), [log]);
    assert_eq!(world.unread(&bob, &LogKey::System(bob)), 1);
    let order: Vec<LogKey> = world.published.iter().map(|published| published.log).collect();
    assert_eq!(order, [log, LogKey::System(bob), LogKey::System(carol)]);
}

pub fn creation_is_idempotent(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = GroupId::new("g1").unwrap();
    let mut new = new_group(group, &[alice, bob]);
    new.tip = Some(world.prepared("tip"));
    let create = |new: &_| Write::CreateGroup(Box::new(CreateGroup::clone(new)));
    assert_eq!(world.write(create(&new)), Ok(Written::Group { created: true }));
    assert_eq!(
        world.write(create(&new)),
        Ok(Written::Group { created: false }),
        "the same request again"
    );
    assert_eq!(
        world.page(LogKey::Group(group), None, 15).entries.len(),
        1,
        "one tip"
    );
    let mut second = new.clone();
    second.group.random = 2;
    assert_eq!(world.write(create(&second)), Err(Refused::IdInUse(group)));
    new.group.owner = bob;
    assert_eq!(world.write(create(&new)), Err(Refused::IdInUse(group)));
}

pub fn a_random_number_is_used_for_one_group(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = GroupId::new("g1").unwrap();
    let new = new_group(group, &[alice, bob]);
    let create = |new: &_| Write::CreateGroup(Box::new(CreateGroup::clone(new)));
    let mut other = new.clone();
    other.group.name = "another name".to_owned();
    let answers = world.batch(&[create(&new), create(&other)]);
    assert_eq!(
        answers,
        [Ok(Written::Group { created: true }), Err(Refused::IdReused)]
    );
    world.reopen();
    assert_eq!(world.write(create(&other)), Err(Refused::IdReused));
    assert_eq!(world.write(create(&new)), Ok(Written::Group { created: false }));
}

pub fn a_refused_group_leaves_nothing(world: &mut World) {
    let alice = world.user("alice");
    let nobody = UserId::new("nobody").unwrap();
    let group = GroupId::new("g1").unwrap();
    let mut unknown_member = new_group(group, &[alice, nobody]);
    unknown_member.tip = Some(world.prepared("tip"));
    let mut unknown_notified = new_group(group, &[alice]);
    unknown_notified.notices = vec![(nobody, world.prepared("notice"))];
    let writes = [unknown_member, unknown_notified].map(|new| Write::CreateGroup(Box::new(new)));
    assert_eq!(
        world.batch(&writes),
        [Err(Refused::NoSuchUser(nobody)), Err(Refused::NoSuchUser(nobody))]
    );
    assert_eq!(world.reader().group(&group), Ok(None));
    assert!(world.reader().groups_of(&alice).unwrap().is_empty() && world.published.is_empty());
    assert_eq!(world.reader().head_change(), Ok(0));
    world.group("g1", &[alice]);
}

pub fn join() -> GroupAction {
    GroupAction::Join {
        message: String::new(),
    }
}

pub fn members_see_from_joining_on(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = world.group("g1", &[alice]);
    let log = LogKey::Group(group);
    world.say(log, alice, "before");
    assert_eq!(
        world.change(group, bob, join()),
        Ok(GroupResponse::Joined(JoinStatus::JOINED))
    );
    world.say(log, alice, "after");

    let entries: Vec<_> = world
        .changes(bob, 0, 10)
        .entries
        .into_iter()
        .map(|change| change.entry)
        .collect();
    assert_eq!(
        texts(&entries),
        ["tip 1 by bob: bob (2)", "notice 2 by alice: ", "after"]
    );
    assert_eq!(world.unread(&bob, &log), 2);
    let standing = world.reader().membership(&group, &bob).unwrap().unwrap();
    assert_eq!((standing.joined_at, standing.joined_ms), (1, world.now_ms));
    assert_eq!(world.reader().group(&group).unwrap().unwrap().member_count, 2);

    let promote = GroupAction::SetMember {
        user: bob,
        role: Some(Role::ADMIN),
        mute_seconds: None,
        name_card: None,
    };
    assert_eq!(world.change(group, alice, promote), Ok(GroupResponse::Done));
    let promoted = world.reader().membership(&group, &bob).unwrap().unwrap();
    assert_eq!(
        (promoted.role, promoted.joined_at),
        (Role::ADMIN, 1),
        "a new role is no new joining"
    );
    assert_eq!(world.reader().group(&group).unwrap().unwrap().member_count, 2);
    let missing = GroupId::new("missing").unwrap();
    assert_eq!(
        world.change(missing, bob, join()),
        Err(Refused::NoSuchGroup(missing))
    );
}

pub fn leaving_ends_sending_and_reading(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = world.group("g1", &[alice, bob]);
    let log = LogKey::Group(group);
    let sent = world.message(log, bob, "mine");
    let first = stored(world.write(Write::Append(sent.clone())));
    let cursor = world.reader().head_change().unwrap();
    let leave = world.command(group, bob, GroupAction::Quit);
    let late = world.message(log, bob, "late");
    // In one batch: what comes before the removal goes through, what comes after does not.
    let answers = world.batch(&[leave, Write::Append(late)]);
    assert!(answers[0].is_ok());
    assert_eq!(answers[1], Err(Refused::NotParticipant(bob)));
    assert_eq!(
        world.write(Write::Append(sent)),
        Ok(Written::Duplicate(first)),
        "a resend still is one"
    );
    assert_eq!(world.reader().membership(&group, &bob), Ok(None));
    let told = world.changes(bob, cursor, 10);
    assert_eq!(
        texts(told.entries.iter().map(|change| &change.entry)),
        ["notice 8 by bob: "]
    );
    let cursor = told.cursor;
    assert_eq!(world.list(&bob), [LogKey::System(bob)]);
    assert!(world.reader().groups_of(&bob).unwrap().is_empty());
    assert_eq!(names(world, &group), ["alice"]);

    world.say(log, alice, "while away");
    world.change(group, bob, join()).unwrap();
    world.say(log, alice, "welcome back");
    world.say(log, bob, "thanks");
    let seen: Vec<_> = world
        .changes(bob, cursor, 10)
        .entries
        .into_iter()
        .map(|change| change.entry)
        .collect();
    let expected = [
        "tip 1 by bob: bob (2)",
        "notice 2 by alice: ",
        "welcome back",
        "thanks",
    ];
    assert_eq!(texts(&seen), expected);
    assert_eq!(world.unread(&bob, &log), 2);
}

pub fn a_message_writes_no_member_row(world: &mut World) {
    // What can be seen of it: 500 members, each with the right count, and marks that do not disturb each other.
    let users: Vec<UserId> = (0..500).map(|n| world.user(&format!("user{n}"))).collect();
    let log = LogKey::Group(world.group("big", &users));
    for n in 0..20 {
        world.say(log, users[n % 4], "x");
    }
    assert_eq!(world.unread(&users[0], &log), 15);
    assert_eq!(world.unread(&users[499], &log), 20);
    assert_eq!(world.read(users[499], log, Some(10)), (10, 10));
    assert_eq!(world.unread(&users[498], &log), 20);
}

pub fn nobody_is_in_too_many_groups(world: &mut World) {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| world.user(name));
    world.policy.max_groups = 2;
    for (name, group_type) in [("one", GroupType::COMMUNITY), ("two", GroupType::MEETING)] {
        typed(world, name, group_type, bob, &[]);
    }
    let open = typed(world, "open", GroupType::MEETING, alice, &[carol]);
    let asked = typed(world, "asked", GroupType::PUBLIC, alice, &[carol]);
    let full = Refused::TooManyGroups { user: bob, max: 2 };
    let join = || GroupAction::Join {
        message: String::new(),
    };
    for group in [open, asked] {
        assert_eq!(world.change(group, bob, join()), Err(full.clone()));
    }
    let invite = GroupAction::Invite {
        users: vec![bob],
        reason: String::new(),
    };
    let work = typed(world, "work", GroupType::WORK, alice, &[]);
    let outcome = world.change(work, alice, invite.clone());
    assert_eq!(
        outcome,
        Ok(GroupResponse::Members(vec![(bob, MemberResult::NOT_ALLOWED)]))
    );
    for users in [[bob, alice], [alice, bob]] {
        let new = CreateGroup {
            max_groups: 2,
            ..new_group(GroupId::new("new").unwrap(), &users)
        };
        let refused = world.write(Write::CreateGroup(Box::new(new))).unwrap_err();
        assert_eq!(refused.code().0, 10037, "{refused}");
    }
    // Whose application is open when the last place goes is let in when there is one again.
    let [one, two] = ["one", "two"].map(|name| GroupId::new(name).unwrap());
    world.change(two, bob, GroupAction::Dismiss).unwrap();
    assert!(world.change(asked, bob, join()).is_ok());
    typed(world, "three", GroupType::MEETING, bob, &[]);
    let accept = || GroupAction::HandleApplication {
        applicant: bob,
        accept: true,
        message: String::new(),
        key: 0,
    };
    assert_eq!(world.change(asked, alice, accept()), Err(full));
    world.change(one, bob, GroupAction::Dismiss).unwrap();
    assert_eq!(world.change(asked, alice, accept()), Ok(GroupResponse::Done));
    assert!(world.reader().membership(&asked, &bob).unwrap().is_some());
}

pub fn a_thousand_applications_wait_at_most(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = typed(world, "asked", GroupType::PUBLIC, alice, &[bob]);
    let users: Vec<UserId> = (0..1_001)
        .map(|number| UserId::new(&format!("user{number}")).unwrap())
        .collect();
    world.write(Write::EnsureAccounts(users.clone())).unwrap();
    let (last, others) = users.split_last().unwrap();
    let apply = || GroupAction::Join {
        message: String::new(),
    };
    for part in others.chunks(100) {
        let batch: Vec<_> = part
            .iter()
            .map(|user| world.command(group, *user, apply()))
            .collect();
        assert!(world.batch(&batch).iter().all(Result::is_ok));
    }
    let refused = world.change(group, *last, apply()).unwrap_err();
    assert_eq!(refused.code().0, 10006, "{refused}");
    let waits = Ok(GroupResponse::Joined(JoinStatus::WAIT_APPROVAL));
    assert_eq!(world.change(group, others[0], apply()), waits, "waits already");
    let invite = || GroupAction::Invite {
        users: vec![*last],
        reason: String::new(),
    };
    let outcome = |result| Ok(GroupResponse::Members(vec![(*last, result)]));
    assert_eq!(world.change(group, bob, invite()), outcome(MemberResult::FULL));
    let again = GroupAction::Invite {
        users: vec![others[1]],
        reason: String::new(),
    };
    let waiting = vec![(others[1], MemberResult::WAIT_APPROVAL)];
    assert_eq!(
        world.change(group, bob, again),
        Ok(GroupResponse::Members(waiting)),
        "waits already"
    );
    let refuse = GroupAction::HandleApplication {
        applicant: others[0],
        accept: false,
        message: String::new(),
        key: 0,
    };
    assert_eq!(world.change(group, alice, refuse), Ok(GroupResponse::Done));
    assert_eq!(
        world.change(group, bob, invite()),
        outcome(MemberResult::WAIT_APPROVAL)
    );
    assert_eq!(world.change(group, others[0], apply()).unwrap_err(), refused);
}
