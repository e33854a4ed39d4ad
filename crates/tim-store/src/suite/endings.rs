//! Live rooms, and the end of groups.

use tim_groups::{GroupAction, GroupResponse, GroupUpdate};
use tim_proto::{ErrorCode, GroupType, MemberResult, UserId};

use super::groups::join;
use super::rosters::{mute, typed};
use super::{World, new_group, stored, texts};
use crate::{LogKey, Refused, Restriction, Write, Written};

pub fn a_live_room_keeps_its_owner_and_its_bans(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = typed(world, "room", GroupType::AV_CHAT_ROOM, alice, &[]);
    let log = LogKey::Group(group);
    assert_eq!(world.list(&alice), [LogKey::System(alice)], "no tip, one notice");
    let denied = |answer: Result<GroupResponse, Refused>| answer.unwrap_err().code();
    assert_eq!(
        denied(world.change(group, bob, join())),
        ErrorCode::GROUP_PERMISSION_DENY
    );
    assert_eq!(
        world.change(group, bob, GroupAction::Quit),
        Ok(GroupResponse::Done)
    );
    let message = world.message(log, alice, "x");
    let refused = world.write(Write::Append(message)).unwrap_err();
    assert_eq!(
        refused.code(),
        ErrorCode::GROUP_PERMISSION_DENY,
        "messages are not stored"
    );

    let ban = |seconds| GroupAction::Ban {
        users: vec![bob, alice, UserId::new("nobody").unwrap()],
        seconds,
        reason: "spam".to_owned(),
    };
    let write = world.command(group, alice, ban(60));
    let Ok(Written::GroupChanged(changed)) = world.write(write) else {
        panic!("not banned")
    };
    let results = |bobs| {
        let nobody = UserId::new("nobody").unwrap();
        let others = [
            (alice, MemberResult::NOT_ALLOWED),
            (nobody, MemberResult::NOT_FOUND),
        ];
        GroupResponse::Members([&[(bob, bobs)][..], &others].concat())
    };
    assert_eq!(changed.response, results(MemberResult::REMOVED));
    assert_eq!(changed.live.len(), 1, "the tip is for those who are there");
    assert_eq!(
        texts(&world.page(LogKey::System(bob), None, 9).entries),
        ["notice 21 by alice: spam"]
    );
    world.change(group, alice, mute(bob, 30)).unwrap();
    let restriction = Restriction {
        banned_until_ms: world.now_ms + 60_000,
        muted_until_ms: world.now_ms + 30_000,
    };
    assert_eq!(world.reader().restriction(&group, &bob), Ok(restriction));
    world.reopen();
    assert_eq!(world.reader().restriction(&group, &bob), Ok(restriction), "kept");
    assert_eq!(
        world.change(group, alice, ban(0)),
        Ok(results(MemberResult::REMOVED))
    );
    assert_eq!(
        world.change(group, alice, ban(0)),
        Ok(results(MemberResult::NOT_MEMBER))
    );
    assert_eq!(
        world.reader().restriction(&group, &bob).unwrap().banned_until_ms,
        0
    );
    assert!(world.page(log, None, 9).entries.is_empty());

    let dismiss = world.command(group, alice, GroupAction::Dismiss);
    let Ok(Written::GroupChanged(end)) = world.write(dismiss) else {
        panic!("not dismissed")
    };
    assert_eq!(
        (end.response, end.live.len()),
        (GroupResponse::Done, 1),
        "a notice for those who are there"
    );
    assert_eq!(world.reader().group(&group), Ok(None));
}

pub fn a_dismissed_group_is_gone_for_everybody(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = world.group("g1", &[alice, bob]);
    let log = LogKey::Group(group);
    world.change(group, carol, join()).unwrap();
    world.change(group, carol, GroupAction::Quit).unwrap();
    let sent = world.message(log, bob, "mine");
    let first = stored(world.write(Write::Append(sent.clone())));
    let cursor = world.reader().head_change().unwrap();
    world.change(group, alice, GroupAction::Dismiss).unwrap();
    world.reopen();
    for user in [alice, bob, carol] {
        assert!(!world.list(&user).contains(&log));
        assert_eq!(world.reader().conversation(&user, &log), Ok(None));
        let changes = world.changes(user, 0, 100);
        assert!(
            changes
                .entries
                .iter()
                .all(|change| change.log == LogKey::System(user)),
            "no entry of it"
        );
        assert!(changes.gaps.is_empty());
    }
    let told = world.changes(bob, cursor, 9).entries;
    assert_eq!(
        texts(told.iter().map(|change| &change.entry)),
        ["notice 5 by alice: "]
    );
    assert!(world.page(log, None, 9).entries.is_empty());
    assert_eq!(world.reader().entry(&log, first.sequence), Ok(None));

    let gone = Refused::NoSuchGroup(group);
    let late = world.message(log, bob, "late");
    assert_eq!(world.write(Write::Append(late)), Err(gone.clone()));
    let read = Write::MarkRead {
        user: bob,
        log,
        upto: None,
    };
    assert_eq!(world.write(read), Err(gone.clone()));
    assert_eq!(
        world.write(Write::Append(sent)),
        Ok(Written::Duplicate(first)),
        "a resend still is one"
    );
    assert_eq!(world.change(group, bob, join()), Err(gone.clone()));
    assert_eq!(world.change(group, bob, GroupAction::Dismiss), Err(gone));
    assert_eq!(
        world.change(group, alice, GroupAction::Dismiss),
        Ok(GroupResponse::Done),
        "asked again"
    );
    let again = Write::CreateGroup(Box::new(new_group(group, &[bob])));
    assert_eq!(
        world.write(again),
        Err(Refused::IdInUse(group)),
        "the id is never free again"
    );
    let everything = crate::Purge {
        older_than_ms: u64::MAX >> 1,
        forget_ids_before_ms: 0,
        over_before_ms: world.now_ms,
        budget: 1000,
        ..crate::Purge::NONE
    };
    assert!(matches!(
        world.write(Write::Purge(everything)),
        Ok(Written::Purged { entries: 7.., .. })
    ));
}

pub fn the_service_takes_a_group_back_and_tells_members(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = world.group("g1", &[alice, bob]);
    let eve = world.user("eve");
    let notify = |users| GroupAction::Notify {
        users,
        text: "hello".to_owned(),
    };
    for action in [notify(Vec::new()), GroupAction::Reclaim] {
        let refused = world.change(group, alice, action).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::GROUP_PERMISSION_DENY, "not for users");
    }
    world
        .change(group, UserId::SYSTEM, notify(vec![bob, eve]))
        .unwrap();
    world.change(group, UserId::SYSTEM, GroupAction::Reclaim).unwrap();
    world.change(group, UserId::SYSTEM, GroupAction::Reclaim).unwrap();
    let inbox = |user| texts(&world.page(LogKey::System(user), None, 9).entries);
    let reclaimed = format!("notice 11 by {}: ", UserId::SYSTEM);
    assert_eq!(inbox(alice), std::slice::from_ref(&reclaimed));
    assert_eq!(
        inbox(bob),
        [format!("notice 255 by {}: hello", UserId::SYSTEM), reclaimed]
    );
    assert!(inbox(eve).is_empty(), "no member");
    assert_eq!(world.reader().group(&group), Ok(None));
    assert_eq!(world.unread(&bob, &LogKey::System(bob)), 1);
}

pub fn a_batch_that_ends_a_group_writes_nothing_to_it_afterwards(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = world.group("crew", &[alice, bob]);
    let log = LogKey::Group(group);
    let messages = ["last", "late", "later"].map(|text| Write::Append(world.message(log, bob, text)));
    let [last, late, later] = messages;
    let end = world.command(group, alice, GroupAction::Dismiss);
    let results = world.batch(&[last, end, late]);
    stored(results[0].clone());
    assert!(matches!(results[1], Ok(Written::GroupChanged(_))), "{results:?}");
    let refused = world.write(later);
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(results[2], refused);
}

pub fn what_a_command_has_changed_is_returned(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = world.group("g1", &[alice, bob]);
    let delta = |world: &mut World, actor: UserId, action: &GroupAction| {
        let write = world.command(group, actor, action.clone());
        match world.write(write).unwrap() {
            Written::GroupChanged(changed) => changed.delta,
            other => panic!("{other:?}"),
        }
    };
    let rename = GroupAction::Update(GroupUpdate {
        name: Some("new".to_owned()),
        ..GroupUpdate::default()
    });
    for (actor, action) in [
        (carol, join()),
        (carol, GroupAction::Quit),
        (alice, rename),
        (alice, GroupAction::ChangeOwner { owner: bob }),
        (bob, GroupAction::Dismiss),
    ] {
        let change = delta(world, actor, &action).expect("something has changed");
        let (one, nobody): (&[_], &[UserId]) = (&[carol], &[]);
        let (joined, left) = match &action {
            GroupAction::Join { .. } => (one, nobody),
            GroupAction::Quit => (nobody, one),
            GroupAction::Dismiss => (nobody, &[alice, bob][..]),
            _ => (nobody, nobody),
        };
        assert_eq!((change.joined.as_slice(), change.left.as_slice()), (joined, left));
        assert_eq!(change.dismissed, matches!(action, GroupAction::Dismiss));
        assert_eq!(change.inviter, None);
        assert_eq!(
            change.owner,
            matches!(action, GroupAction::ChangeOwner { .. }).then_some(bob)
        );
        let name = change.profile.and_then(|profile| profile.name);
        assert_eq!(name.is_some(), matches!(action, GroupAction::Update(_)));
        assert_eq!(delta(world, actor, &action), None, "the same again");
    }
}
