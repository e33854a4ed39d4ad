//! What administrators of the application do to groups.

use tim_groups::{
    Field, FieldChange, FieldScope, GroupAction, GroupResponse, GroupUpdate, MemberEdit, NewGroup, NewMember,
};
use tim_proto::{GroupId, GroupType, MemberResult, ReceiveOption, Role, UserId};

use super::rosters::typed;
use super::{World, stored, texts};
use crate::{
    AllGroupsRequest, Fingerprint, ImportMessages, ImportedMessage, LogKey, Refused, Write, Written,
};

fn by(world: &mut World, group: GroupId, action: GroupAction) -> Result<GroupResponse, Refused> {
    administer(world, group, false, action)
}

fn administer(
    world: &mut World,
    group: GroupId,
    silent: bool,
    action: GroupAction,
) -> Result<GroupResponse, Refused> {
    let operator = world.user("operator");
    let write = world.administer(group, operator, silent, action);
    match world.write(write)? {
        Written::GroupChanged(changed) => Ok(changed.response),
        other => panic!("{other:?}"),
    }
}

fn add(users: &[UserId]) -> GroupAction {
    GroupAction::Add {
        members: users.iter().map(|user| NewMember::new(*user)).collect(),
    }
}

fn set(name: &str, value: Option<&str>) -> FieldChange {
    FieldChange {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    }
}

fn field(name: &str, value: &str) -> Field {
    Field {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn fields(world: &World, group: GroupId, of: FieldScope) -> Vec<Field> {
    let found = world.reader().fields(&group, &[of]).unwrap();
    found.into_iter().flatten().collect()
}

pub fn an_administrator_needs_no_membership(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = typed(world, "g", GroupType::PUBLIC, alice, &[bob]);
    let log = LogKey::Group(group);
    // Without consent, though the group asks for it.
    assert_eq!(
        by(world, group, add(&[carol, bob])),
        Ok(GroupResponse::Members(vec![
            (carol, MemberResult::ADDED),
            (bob, MemberResult::ALREADY_MEMBER),
        ]))
    );
    let edit = MemberEdit {
        role: Some(Role::ADMIN),
        name_card: Some("Caro".to_owned()),
        receive_option: Some(ReceiveOption::DISCARD),
        ..MemberEdit::new(carol)
    };
    by(world, group, GroupAction::Edit(Box::new(edit))).unwrap();
    let mute = GroupAction::MuteMembers {
        users: vec![bob, carol],
        seconds: 60,
    };
    by(world, group, mute).unwrap();
    by(world, group, GroupAction::ChangeOwner { owner: bob }).unwrap();
    let found = world.reader().membership(&group, &carol).unwrap().unwrap();
    assert_eq!(
        (found.role, found.name_card.as_str(), found.receive_option),
        (Role::ADMIN, "Caro", ReceiveOption::DISCARD)
    );
    let muted = world.reader().muted_users(&group, world.now_ms, 10).unwrap();
    let until_ms = world.now_ms + 60_000;
    assert_eq!(muted, [(carol, until_ms)], "the new owner is not muted");
    let roles = [alice, bob].map(|user| world.reader().membership(&group, &user).unwrap().unwrap().role);
    assert_eq!(roles, [Role::MEMBER, Role::OWNER]);
    assert_eq!(
        texts(&world.page(log, None, 15).entries),
        [
            "tip 1 by alice: alice,bob (2)",
            "tip 1 by operator: carol (3)",
            "tip 4 by operator: carol (3)",
            "tip 7 by operator: carol (3)",
            "tip 7 by operator: bob,carol (3)",
            "tip 6 by operator:  (3)",
        ]
    );
    // The owner can be neither removed nor muted.
    let remove = GroupAction::Remove {
        users: vec![bob, alice],
        reason: String::new(),
    };
    assert_eq!(
        by(world, group, remove),
        Ok(GroupResponse::Members(vec![
            (bob, MemberResult::NOT_ALLOWED),
            (alice, MemberResult::REMOVED)
        ]))
    );
    let mute = GroupAction::MuteMembers {
        users: vec![bob],
        seconds: 60,
    };
    assert_eq!(by(world, group, mute.clone()).unwrap_err().code().0, 10007);
    // Nobody else may do that.
    assert_eq!(world.change(group, bob, mute).unwrap_err().code().0, 10007);
    assert_eq!(
        world.change(group, bob, add(&[alice])).unwrap_err().code().0,
        10007
    );
    by(world, group, GroupAction::Dismiss).unwrap();
    assert_eq!(world.reader().group(&group), Ok(None));
    assert_eq!(
        by(world, group, GroupAction::Dismiss),
        Ok(GroupResponse::Done),
        "again"
    );
}

pub fn what_is_silent_is_told_to_nobody(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = typed(world, "g", GroupType::COMMUNITY, alice, &[bob]);
    let log = LogKey::Group(group);
    world.user("operator");
    world.published.clear();
    let operator = world.user("operator");
    let kick = GroupAction::Remove {
        users: vec![bob],
        reason: String::new(),
    };
    let batch = [
        world.administer(group, operator, true, add(&[carol])),
        Write::Append(world.message(log, alice, "hello")),
        world.administer(group, operator, true, kick),
    ];
    assert!(world.batch(&batch).iter().all(Result::is_ok));
    // In their places between the entries.
    let told: Vec<_> = world
        .published
        .iter()
        .map(|published| {
            let roster = published.roster.as_deref();
            (
                published.entry.is_some(),
                roster.map(|roster| (roster.joined.clone(), roster.left.clone())),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (false, Some((vec![carol], vec![]))),
            (true, None),
            (false, Some((vec![], vec![bob]))),
        ]
    );
    assert_eq!(
        texts(&world.page(log, None, 9).entries),
        ["tip 1 by alice: alice,bob (2)", "hello"]
    );
    assert!(world.page(LogKey::System(carol), None, 9).entries.is_empty());
    assert_eq!(world.unread(&carol, &log), 1);
    assert_eq!(world.reader().group(&group).unwrap().unwrap().member_count, 2);
    assert_eq!(world.reader().membership(&group, &bob), Ok(None));
}

pub fn groups_without_owner_are_handed_over(world: &mut World) {
    let bob = world.user("bob");
    let group = GroupId::new("ownerless").unwrap();
    let new = NewGroup {
        name: "name".to_owned(),
        members: vec![bob],
        admins: vec![bob],
        max_members: 1,
        fields: vec![field("colour", "red")],
        random: 9,
        ..NewGroup::new(group, GroupType::PUBLIC, UserId::SYSTEM)
    };
    let create = tim_groups::create(
        new,
        &world.policy,
        world.now_ms,
        &std::collections::BTreeMap::new(),
    );
    world
        .write(Write::CreateGroup(Box::new(create.unwrap())))
        .unwrap();
    let found = world.reader().group(&group).unwrap().unwrap();
    assert_eq!(
        (found.owner, found.member_count, found.max_members),
        (UserId::SYSTEM, 1, 1)
    );
    assert_eq!(
        world.reader().membership(&group, &bob).unwrap().unwrap().role,
        Role::ADMIN
    );
    assert_eq!(fields(world, group, FieldScope::Group), [field("colour", "red")]);
    let carol = world.user("carol");
    let full = GroupResponse::Members(vec![(carol, MemberResult::FULL)]);
    assert_eq!(by(world, group, add(&[carol])), Ok(full));
    let more = GroupUpdate {
        max_members: Some(2),
        ..GroupUpdate::default()
    };
    by(world, group, GroupAction::Update(more)).unwrap();
    by(world, group, add(&[carol])).unwrap();
    by(world, group, GroupAction::ChangeOwner { owner: carol }).unwrap();
    let found = world.reader().group(&group).unwrap().unwrap();
    assert_eq!((found.owner, found.member_count), (carol, 2));
    assert_eq!(
        texts(&world.page(LogKey::Group(group), None, 9).entries),
        [
            "tip 1 by @TIM#SYSTEM: bob (1)",
            "tip 1 by operator: carol (2)",
            "tip 6 by operator:  (2)"
        ]
    );
}

pub fn fields_end_with_what_they_are_of(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = typed(world, "g", GroupType::COMMUNITY, alice, &[bob]);
    let edit = |fields: &[FieldChange]| {
        GroupAction::Edit(Box::new(MemberEdit {
            fields: fields.to_vec(),
            ..MemberEdit::new(bob)
        }))
    };
    by(world, group, edit(&[set("a", Some("1")), set("b", Some("2"))])).unwrap();
    by(world, group, edit(&[set("a", None), set("c", Some(""))])).unwrap();
    let update = |fields: &[FieldChange]| {
        GroupAction::Update(GroupUpdate {
            fields: fields.to_vec(),
            ..GroupUpdate::default()
        })
    };
    by(world, group, update(&[set("g", Some("x"))])).unwrap();
    let of_bob = FieldScope::Member(bob);
    assert_eq!(
        world
            .reader()
            .fields(&group, &[FieldScope::Group, of_bob, FieldScope::Member(alice)]),
        Ok(vec![
            vec![field("g", "x")],
            vec![field("b", "2"), field("c", "")],
            vec![]
        ])
    );
    for (wrong, code) in [
        (edit(&[set("d", Some(&"x".repeat(65)))]), 10004),
        (edit(&[set("no-dash", Some(""))]), 10004),
        (edit(&[set("", Some(""))]), 10004),
        (edit(&["d", "e", "f", "g"].map(|name| set(name, Some("")))), 10004),
        (update(&[set("longer_than_16_by", Some(""))]), 10004),
        (update(&[set("g", Some(&"x".repeat(513)))]), 10004),
        (
            GroupAction::SetAttributes {
                clear: false,
                changes: vec![],
            },
            10007,
        ),
    ] {
        assert_eq!(
            by(world, group, wrong.clone()).unwrap_err().code().0,
            code,
            "{wrong:?}"
        );
    }
    let denied = world.change(group, alice, update(&[set("g", None)]));
    assert_eq!(denied.unwrap_err().code().0, 10007);
    world.change(group, bob, GroupAction::Quit).unwrap();
    by(world, group, add(&[bob])).unwrap();
    assert_eq!(fields(world, group, of_bob), []);
    attributes(world, alice);
    by(world, group, GroupAction::Dismiss).unwrap();
    assert_eq!(fields(world, group, FieldScope::Group), []);
}

fn attributes(world: &mut World, owner: UserId) {
    let room = typed(world, "room", GroupType::AV_CHAT_ROOM, owner, &[]);
    let change = |clear, changes: &[FieldChange]| GroupAction::SetAttributes {
        clear,
        changes: changes.to_vec(),
    };
    let all: Vec<_> = (0..16).map(|n| set(&format!("key {n:02}"), Some("v"))).collect();
    by(world, room, change(false, &all)).unwrap();
    for (wrong, code) in [
        (set("one more", Some("v")), 10047),
        (set("key 00", Some(&"v".repeat(4_001))), 10046),
        (set(&"k".repeat(33), Some("v")), 10045),
        (set("", Some("v")), 10004),
    ] {
        let refused = by(world, room, change(false, std::slice::from_ref(&wrong)));
        assert_eq!(refused.unwrap_err().code().0, code, "{wrong:?}");
    }
    let large: Vec<_> = (0..4)
        .map(|n| set(&format!("key {n:02}"), Some(&"v".repeat(4_000))))
        .collect();
    assert_eq!(
        by(world, room, change(true, &large)).unwrap_err().code().0,
        10048,
        "names count"
    );
    by(world, room, change(true, &large[..3])).unwrap();
    assert_eq!(fields(world, room, FieldScope::Attributes).len(), 3);
    by(world, room, change(true, &[])).unwrap();
    assert_eq!(fields(world, room, FieldScope::Attributes), []);
}

pub fn all_groups_come_in_pages(world: &mut World) {
    let alice = world.user("alice");
    let kinds = [GroupType::PUBLIC, GroupType::COMMUNITY, GroupType::PUBLIC];
    let groups: Vec<GroupId> = (0..9)
        .map(|n| typed(world, &format!("g{n}"), kinds[n % 3], alice, &[]))
        .collect();
    by(world, groups[3], GroupAction::Dismiss).unwrap();
    for (wanted, expected) in [
        (None, [0, 1, 2, 4, 5, 6, 7, 8].as_slice()),
        (Some(GroupType::PUBLIC), &[0, 2, 5, 6, 8]),
        (Some(GroupType::WORK), &[]),
    ] {
        let mut found = Vec::new();
        let mut after = 0;
        loop {
            let request = AllGroupsRequest {
                group_type: wanted,
                after,
                limit: 2,
            };
            let page = world.reader().all_groups(&request).unwrap();
            assert_eq!(page.total, expected.len() as u64);
            assert!(page.groups.len() <= 2);
            found.extend(page.groups);
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        let expected: Vec<_> = expected.iter().map(|n| groups[*n]).collect();
        assert_eq!(found, expected, "{wanted:?}");
    }
    let far = AllGroupsRequest {
        group_type: None,
        after: u64::MAX,
        limit: 2,
    };
    assert!(world.reader().all_groups(&far).unwrap().groups.is_empty());
}

fn imported(world: &mut World, log: LogKey, sender: UserId, text: &str, time_ms: u64) -> ImportedMessage {
    let message = world.message(log, sender, text);
    ImportedMessage {
        sender,
        id: message.id,
        fingerprint: Fingerprint::of(&[text.as_bytes()]),
        time_ms,
        kind: message.kind,
        flags: message.flags,
        content: message.content,
    }
}

pub fn messages_are_imported_in_their_order(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = typed(world, "g", GroupType::COMMUNITY, alice, &[bob]);
    let log = LogKey::Group(group);
    let begin = world.now_ms;
    world.now_ms += 100_000;
    let message = |world: &mut World, sender, text: &str, after_s: u64| {
        imported(world, log, sender, text, (begin / 1000 + after_s) * 1000)
    };
    let messages = vec![
        message(world, carol, "first", 0),
        message(world, alice, "third", 3),
        message(world, alice, "too old", 2),
        message(world, bob, "fourth", 3),
        message(world, bob, "not yet", 101),
    ];
    let nobody = ImportedMessage {
        sender: UserId::new("nobody").unwrap(),
        ..messages[3].clone()
    };
    let again = messages[3].clone();
    let all = [messages, vec![nobody, again]].concat();
    let import = Write::ImportMessages(Box::new(ImportMessages { group, messages: all }));
    let Ok(Written::Imported(results)) = world.write(import) else {
        panic!("imported");
    };
    let results: Vec<_> = results
        .iter()
        .map(|result| match result {
            Ok(stored) => Ok((stored.sequence, stored.time_ms - begin)),
            Err(refused) => Err(refused.code().0),
        })
        .collect();
    let third = (begin / 1000 + 3) * 1000 - begin;
    assert_eq!(
        results,
        [
            Ok((2, 0)),
            Ok((3, third)),
            Err(10004),
            Ok((4, third)),
            Err(10004),
            Err(tim_proto::ErrorCode::MSG_INVALID_ID.0),
            Ok((4, third)),
        ]
    );
    assert_eq!(
        texts(&world.page(log, None, 9).entries),
        ["tip 1 by alice: alice,bob (2)", "first", "third", "fourth"]
    );
    assert_eq!([alice, bob].map(|user| world.unread(&user, &log)), [0, 0]);
    let status = world.reader().group_status(&group).unwrap().unwrap();
    assert_eq!((status.head_sequence, status.last_ms), (4, begin + third));
    assert_eq!((status.profile_changes, status.profile_ms), (0, begin));
    world.say(log, alice, "new");
    assert_eq!(world.unread(&bob, &log), 1);
    let room = typed(world, "room", GroupType::AV_CHAT_ROOM, alice, &[]);
    let import = ImportMessages {
        group: room,
        messages: Vec::new(),
    };
    let refused = world.write(Write::ImportMessages(Box::new(import)));
    assert_eq!(refused.unwrap_err().code().0, 10007);
}

pub fn unread_counts_are_set(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = typed(world, "g", GroupType::COMMUNITY, alice, &[bob]);
    let log = LogKey::Group(group);
    for text in ["1", "2"] {
        world.say(log, alice, text);
        world.say(log, bob, "mine");
    }
    world.read(bob, log, None);
    let mut set = |user, unread| {
        let write = Write::SetUnread { user, group, unread };
        match world.write(write) {
            Ok(Written::Read { unread, .. }) => Ok((unread, world.unread(&user, &log))),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused.code().0),
        }
    };
    for (wanted, expected) in [(2, 2), (0, 0), (1, 1), (3, 3), (1_000_000, 3), (0, 0)] {
        assert_eq!(set(bob, wanted), Ok((expected, expected)), "{wanted}");
    }
    assert_eq!(set(bob, 1), Ok((1, 1)));
    assert_eq!(set(carol, 1), Err(10004));
    world.say(log, alice, "3");
    assert_eq!(world.unread(&bob, &log), 2);
    assert_eq!(world.read(bob, log, None), (6, 0));
}

pub fn an_administrator_revokes_everything(world: &mut World) {
    let (alice, bob, operator) = (world.user("alice"), world.user("bob"), world.user("operator"));
    let group = typed(world, "g", GroupType::COMMUNITY, alice, &[bob]);
    let (talk, log) = (LogKey::c2c(alice, bob), LogKey::Group(group));
    let at = stored_at(world, log, bob);
    let in_talk = stored_at(world, talk, alice);
    world.now_ms += 365 * super::DAY_MS;
    for (log, sequence) in [(log, at), (talk, in_talk)] {
        let mut revoke = super::revoke::by(world, log, sequence, operator);
        let refused = world.write(Write::Revoke(revoke.clone())).unwrap_err();
        assert_eq!(refused.code().0, 10007, "an outsider");
        revoke.as_administrator = true;
        assert!(world.write(Write::Revoke(revoke.clone())).is_ok());
        let left = world.reader().entry(&log, sequence).unwrap().unwrap();
        assert!(left.is_revoked());
        let again = world.write(Write::Revoke(revoke));
        assert!(
            matches!(again, Ok(Written::Revoked { already: true, .. })),
            "{again:?}"
        );
    }
    let mut tip = super::revoke::by(world, log, 1, operator);
    tip.as_administrator = true;
    assert_eq!(world.write(Write::Revoke(tip)).unwrap_err().code().0, 10032);
    world.reopen();
    assert!(world.reader().entry(&log, at).unwrap().unwrap().is_revoked());
}

fn stored_at(world: &mut World, log: LogKey, sender: UserId) -> u64 {
    let message = world.message(log, sender, "x");
    stored(world.write(Write::Append(message))).sequence
}

pub fn administered_groups_are_kept(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = typed(world, "g", GroupType::PUBLIC, alice, &[]);
    let before = NewMember {
        role: Role::ADMIN,
        joined_ms: Some(world.now_ms),
        ..NewMember::new(bob)
    };
    world.now_ms += 5_000;
    let too_early = NewMember {
        joined_ms: Some(1),
        ..before
    };
    for (member, result) in [
        (too_early, MemberResult::NOT_ALLOWED),
        (before, MemberResult::ADDED),
    ] {
        let add = GroupAction::Add {
            members: vec![member],
        };
        assert_eq!(
            administer(world, group, true, add),
            Ok(GroupResponse::Members(vec![(bob, result)]))
        );
    }
    let update = GroupUpdate {
        name: Some("other".to_owned()),
        max_members: Some(7),
        fields: vec![set("a", Some("b"))],
        ..GroupUpdate::default()
    };
    by(world, group, GroupAction::Update(update)).unwrap();
    let state = |world: &World| {
        let member = world.reader().membership(&group, &bob).unwrap().unwrap();
        (
            world.reader().group_status(&group).unwrap().unwrap(),
            fields(world, group, FieldScope::Group),
            (member.role, member.joined_ms),
        )
    };
    let before = state(world);
    assert_eq!((before.0.group.max_members, before.0.profile_changes), (7, 1));
    assert_eq!(before.2, (Role::ADMIN, world.now_ms - 5_000));
    world.reopen();
    assert_eq!(state(world), before);
}
