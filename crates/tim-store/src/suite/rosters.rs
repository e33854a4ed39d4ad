//! Who is in a group: in pages, in live rooms, at the end; and who is mentioned.

use tim_groups::{GroupAction, GroupPolicy, GroupResponse, GroupUpdate, NewGroup, create};
use tim_proto::{AtKind, ErrorCode, GroupId, GroupType, JoinOption, JoinStatus, MemberResult, Role, UserId};

use super::groups::join;
use super::{World, stored};
use crate::{
    EntryFlags, ListPosition, LogKey, MAX_AT, MAX_AT_LOOK, MAX_BATCH, MAX_MENTIONS, MembersRequest, Refused,
    Restriction, Write, Written,
};

pub fn typed(
    world: &mut World,
    name: &str,
    group_type: GroupType,
    owner: UserId,
    members: &[UserId],
) -> GroupId {
    let group = GroupId::new(name).unwrap();
    let wish = NewGroup {
        name: name.to_owned(),
        members: members.to_vec(),
        random: 1,
        ..NewGroup::new(group, group_type, owner)
    };
    let new = create(
        wish,
        &GroupPolicy::default(),
        world.now_ms,
        &std::collections::BTreeMap::new(),
    )
    .unwrap();
    world.write(Write::CreateGroup(Box::new(new))).unwrap();
    group
}

fn set_role(user: UserId, role: Role) -> GroupAction {
    GroupAction::SetMember {
        user,
        role: Some(role),
        mute_seconds: None,
        name_card: None,
    }
}

pub(super) fn mute(user: UserId, seconds: u32) -> GroupAction {
    GroupAction::SetMember {
        user,
        role: None,
        mute_seconds: Some(seconds),
        name_card: None,
    }
}

fn walk(world: &World, group: GroupId, role: Option<Role>, limit: usize) -> Vec<UserId> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let request = MembersRequest {
            group,
            role,
            after,
            limit,
        };
        let page = world.reader().members_page(&request).unwrap();
        assert!(page.members.len() <= limit.max(1));
        found.extend(page.members.iter().map(|member| member.account.user));
        after = page.next;
        if after.is_none() {
            return found;
        }
        assert_eq!(page.members.len(), limit.max(1), "only the last page is short");
    }
}

pub fn members_come_in_pages_by_standing_and_role(world: &mut World) {
    let users: Vec<UserId> = (0..7).map(|n| world.user(&format!("user{n}"))).collect();
    let group = world.group("g1", &users[..3]);
    for user in &users[3..] {
        world.now_ms += 1;
        world.change(group, *user, join()).unwrap();
    }
    for admin in [users[5], users[1]] {
        world
            .change(group, users[0], set_role(admin, Role::ADMIN))
            .unwrap();
    }
    for limit in [0, 1, 3, 7, 100] {
        assert_eq!(walk(world, group, None, limit), users);
        assert_eq!(walk(world, group, Some(Role::ADMIN), limit), [users[1], users[5]]);
        assert_eq!(walk(world, group, Some(Role::OWNER), limit), [users[0]]);
        let members = [users[2], users[3], users[4], users[6]];
        assert_eq!(walk(world, group, Some(Role::MEMBER), limit), members);
    }
    let managers = world.reader().managers(&group).unwrap();
    let managers: Vec<UserId> = managers.iter().map(|member| member.account.user).collect();
    assert_eq!(managers, [users[0], users[1], users[5]]);

    // Between two pages somebody leaves, and comes back as the last.
    let request = MembersRequest {
        group,
        role: None,
        after: None,
        limit: 2,
    };
    let first = world.reader().members_page(&request).unwrap();
    world.now_ms += 1;
    world.change(group, users[3], GroupAction::Quit).unwrap();
    world.change(group, users[3], join()).unwrap();
    let after = first
        .next
        .and_then(|next| ListPosition::from_bytes(next.as_bytes()));
    let rest = world.reader().members_page(&MembersRequest {
        after,
        limit: 100,
        ..request
    });
    let rest: Vec<UserId> = rest
        .unwrap()
        .members
        .iter()
        .map(|member| member.account.user)
        .collect();
    assert_eq!(rest, [users[2], users[4], users[5], users[6], users[3]]);
    assert_eq!(ListPosition::from_bytes(b"short"), None);
    let missing = GroupId::new("missing").unwrap();
    assert!(walk(world, missing, None, 5).is_empty());
}

pub fn ones_groups_come_in_pages(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let groups: Vec<GroupId> = (0..5)
        .map(|n| world.group(&format!("g{n}"), &[alice, bob]))
        .collect();
    world.change(groups[1], bob, GroupAction::Quit).unwrap();
    world.change(groups[3], alice, GroupAction::Dismiss).unwrap();
    for limit in [0, 1, 2, 100] {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = world.reader().groups_page(&bob, after, limit).unwrap();
            found.extend(
                page.groups
                    .iter()
                    .map(|(group, standing)| (group.group, standing.role)),
            );
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let member = Role::MEMBER;
        assert_eq!(
            found,
            [(groups[0], member), (groups[2], member), (groups[4], member)]
        );
    }
    let nobody = UserId::new("nobody").unwrap();
    assert!(
        world
            .reader()
            .groups_page(&nobody, None, 9)
            .unwrap()
            .groups
            .is_empty()
    );
    let asked = [bob, nobody, alice, UserId::SYSTEM];
    let accounts = world.reader().accounts(&asked).unwrap();
    let named: Vec<UserId> = accounts.iter().map(|account| account.user).collect();
    assert_eq!(named, [bob, alice]);
}

pub fn the_muted_write_again_in_time(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = world.group("g1", &[alice, bob]);
    let log = LogKey::Group(group);
    let before = world.message(log, bob, "before");
    let first = stored(world.write(Write::Append(before.clone())));
    world.change(group, alice, mute(bob, 60)).unwrap();
    let until_ms = Some(world.now_ms + 60_000);
    world.now_ms += 59_999;
    let write = world.message(log, bob, "x");
    assert_eq!(
        world.write(Write::Append(write.clone())),
        Err(Refused::Muted { until_ms })
    );
    assert_eq!(
        world.write(Write::Append(before)),
        Ok(Written::Duplicate(first)),
        "a resend still is one"
    );
    let mut by_server = world.message(log, bob, "by the server");
    by_server.require_membership = false;
    stored(world.write(Write::Append(by_server)));
    world.now_ms += 1;
    stored(world.write(Write::Append(write)));
    let mute_all = GroupUpdate {
        mute_all: Some(true),
        ..GroupUpdate::default()
    };
    world.change(group, alice, GroupAction::Update(mute_all)).unwrap();
    let write = world.message(log, bob, "x");
    assert_eq!(
        world.write(Write::Append(write)),
        Err(Refused::Muted { until_ms: None })
    );
    world.say(log, alice, "the owner may");
    world.change(group, alice, mute(bob, 600)).unwrap();
    world.change(group, bob, GroupAction::Quit).unwrap();
    world.change(group, bob, join()).unwrap();
    let standing = world.reader().membership(&group, &bob).unwrap().unwrap();
    assert_eq!(standing.muted_until_ms, world.now_ms + 600_000, "still muted");
    assert_eq!(standing.name_card, "", "else a new member is a new member");
}

/// Bob is muted for 600 s, leaves and comes back, in every way that there is.
pub fn a_mute_lasts_however_its_user_left_and_came_back(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let kick = GroupAction::Remove {
        users: vec![bob],
        reason: String::new(),
    };
    let by = |action: &GroupAction| {
        if matches!(action, GroupAction::Quit) {
            bob
        } else {
            alice
        }
    };
    let invited = || GroupAction::Invite {
        users: vec![bob],
        reason: String::new(),
    };
    let mut number = 0;
    for (group_type, back) in [
        (GroupType::WORK, "invited"),
        (GroupType::PUBLIC, "applies"),
        (GroupType::PUBLIC, "is proposed"),
        (GroupType::PUBLIC, "agrees"),
        (GroupType::MEETING, "joins"),
        (GroupType::COMMUNITY, "joins"),
        (GroupType::COMMUNITY, "invited"),
    ] {
        for leaves in [GroupAction::Quit, kick.clone()] {
            number += 1;
            let group = typed(world, &format!("g{number}"), group_type, alice, &[bob, carol]);
            let log = LogKey::Group(group);
            let until_ms = world.now_ms + 600_000;
            world.change(group, alice, mute(bob, 600)).unwrap();
            world.change(group, by(&leaves), leaves.clone()).unwrap();
            // What is over is purged, what is not stays.
            let purge = crate::Purge {
                older_than_ms: 0,
                forget_ids_before_ms: 0,
                over_before_ms: world.now_ms,
                budget: 100,
                ..crate::Purge::NONE
            };
            world.write(Write::Purge(purge)).unwrap();
            let restriction = world.reader().restriction(&group, &bob).unwrap();
            assert_eq!(restriction.muted_until_ms, until_ms);
            match back {
                "invited" => drop(world.change(group, alice, invited()).unwrap()),
                "joins" => drop(world.change(group, bob, join()).unwrap()),
                "agrees" => {
                    world.change(group, alice, invited()).unwrap();
                    let agree = GroupAction::HandleInvitation {
                        accept: true,
                        message: String::new(),
                    };
                    world.change(group, bob, agree).unwrap();
                }
                _ => {
                    let (who, asks) = if back == "applies" {
                        (bob, join())
                    } else {
                        (carol, invited())
                    };
                    world.change(group, who, asks).unwrap();
                    let accept = GroupAction::HandleApplication {
                        applicant: bob,
                        accept: true,
                        message: String::new(),
                        key: 0,
                    };
                    world.change(group, alice, accept).unwrap();
                }
            }
            let standing = world.reader().membership(&group, &bob).unwrap().unwrap();
            assert_eq!(
                standing.muted_until_ms, until_ms,
                "{group_type} {back} {leaves:?}"
            );
            let members = world.members(&group);
            assert!(
                members
                    .iter()
                    .all(|one| (one.membership.muted_until_ms > 0) == (one.account.user == bob))
            );
            world.reopen();
            let write = world.message(log, bob, "x");
            let muted = Err(Refused::Muted {
                until_ms: Some(until_ms),
            });
            assert_eq!(
                world.write(Write::Append(write)),
                muted,
                "{group_type} {back} {leaves:?}"
            );
            // It ends by being lifted, too.
            world.change(group, alice, mute(bob, 0)).unwrap();
            world.say(log, bob, "at last");
            // And by time, while away.
            world.change(group, alice, mute(bob, 600)).unwrap();
            world.change(group, by(&leaves), leaves).unwrap();
            world.now_ms += 600_000;
            let purge = crate::Purge {
                over_before_ms: world.now_ms,
                ..purge
            };
            world.write(Write::Purge(purge)).unwrap();
            assert_eq!(
                world.reader().restriction(&group, &bob),
                Ok(Restriction::default())
            );
        }
    }
}

pub fn an_owner_is_never_muted(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = world.group("g1", &[alice, bob]);
    let muted_until = |world: &World, group, user| {
        let standing = world.reader().membership(&group, user).unwrap();
        standing.unwrap().muted_until_ms
    };
    world.change(group, alice, mute(bob, u32::MAX)).unwrap();
    world
        .change(group, alice, GroupAction::ChangeOwner { owner: bob })
        .unwrap();
    assert_eq!(muted_until(world, group, &bob), 0, "nobody could lift it");
    world.say(LogKey::Group(group), bob, "mine");

    let work = typed(world, "w1", GroupType::WORK, alice, &[carol]);
    world.change(work, alice, mute(carol, u32::MAX)).unwrap();
    world.change(work, alice, GroupAction::Quit).unwrap();
    assert_eq!(muted_until(world, work, &carol), 0);
}

pub fn mentions_are_kept_until_read(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = world.group("g1", &[alice, bob]);
    let log = LogKey::Group(group);
    let mention = |world: &mut World, users: &[UserId], all: bool| {
        let mut append = world.message(log, alice, "@");
        append.mentions = users.to_vec();
        append.mention_all = all;
        stored(world.write(Write::Append(append))).sequence
    };
    let at = |world: &World, user: &UserId| -> Vec<(u64, AtKind)> {
        let found = world.conversation(user, &log).at;
        assert!(found.iter().all(|at| at.from == alice));
        found.iter().map(|at| (at.sequence, at.kind)).collect()
    };
    mention(world, &[bob, alice, carol, UserId::SYSTEM], false);
    mention(world, &[], true);
    mention(world, &[bob, bob], true);
    let kinds = [AtKind::AT_ME, AtKind::AT_ALL, AtKind::AT_ALL_AT_ME];
    let expected: Vec<_> = (1..=3).zip(kinds).collect();
    assert_eq!(at(world, &bob), expected);
    assert!(at(world, &alice).is_empty(), "not one's own");
    world.change(group, carol, join()).unwrap();
    assert!(at(world, &carol).is_empty(), "nothing from before");
    let revoke = super::revoke::by(world, log, 2, alice);
    world.write(Write::Revoke(revoke)).unwrap();
    assert_eq!(at(world, &bob), [expected[0], expected[2]], "revoked");
    world.read(bob, log, Some(1));
    assert_eq!(at(world, &bob), [expected[2]]);
    world.read(bob, log, None);
    assert!(at(world, &bob).is_empty());

    let last = (0..15)
        .map(|n| mention(world, &[bob], n % 2 == 0))
        .last()
        .unwrap();
    let newest: Vec<u64> = at(world, &bob).iter().map(|(sequence, _)| *sequence).collect();
    let expected: Vec<u64> = (last + 1 - MAX_AT as u64..=last).collect();
    assert_eq!(newest, expected, "the newest ones, oldest first");
    world.reopen();
    assert_eq!(at(world, &bob).len(), MAX_AT);

    world.read(bob, log, None);
    let mut many: Vec<UserId> = (0..MAX_MENTIONS)
        .map(|n| UserId::new(&format!("u{n}")).unwrap())
        .collect();
    many.push(bob);
    mention(world, &many, false);
    assert!(at(world, &bob).is_empty(), "one too many");
}

pub fn mentions_are_looked_for_among_the_newest(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = world.group("g1", &[alice, bob]);
    let log = LogKey::Group(group);
    let mention_all = |world: &mut World, sender, count: usize| {
        let messages: Vec<Write> = (0..count)
            .map(|_| {
                let mut append = world.message(log, sender, "@");
                (append.mention_all, append.require_membership) = (true, false);
                Write::Append(append)
            })
            .collect();
        for some in messages.chunks(MAX_BATCH) {
            assert!(world.batch(some).iter().all(Result::is_ok));
        }
    };
    mention_all(world, alice, 1);
    mention_all(world, bob, MAX_AT_LOOK - 1);
    assert_eq!(world.conversation(&bob, &log).at.len(), 1);
    mention_all(world, bob, 1);
    assert!(world.conversation(&bob, &log).at.is_empty());
}

pub fn a_message_to_ten_thousand_is_one_entry(world: &mut World) {
    let users: Vec<UserId> = (0..10_000)
        .map(|n| UserId::new(&format!("user{n}")).unwrap())
        .collect();
    world.write(Write::EnsureAccounts(users.clone())).unwrap();
    let group = typed(world, "big", GroupType::COMMUNITY, users[0], &[]);
    for some in users[1..].chunks(2_500) {
        let invite = GroupAction::Invite {
            users: some.to_vec(),
            reason: String::new(),
        };
        let answer = world.change(group, users[0], invite).unwrap();
        let GroupResponse::Members(results) = answer else {
            panic!("{answer:?}")
        };
        assert!(results.iter().all(|(_, result)| *result == MemberResult::ADDED));
    }
    let log = LogKey::Group(group);
    let change = world.reader().head_change().unwrap();
    world.published.clear();
    let mut append = world.message(log, users[0], "to all");
    append.mention_all = true;
    let at = stored(world.write(Write::Append(append)));
    assert_eq!(at.change, change + 1, "one entry, and no other");
    assert_eq!(world.published.len(), 1);
    for user in [users[1], users[5_000], users[9_999]] {
        let seen = world.conversation(&user, &log);
        assert_eq!((seen.last.unwrap().sequence, seen.at.len()), (at.sequence, 1));
    }
    assert_eq!(
        world.unread(&users[9_999], &log),
        2,
        "the tip of joining, and the message"
    );
}

pub fn rosters_say_who_came_and_went(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = typed(world, "g1", GroupType::COMMUNITY, alice, &[bob]);
    world.change(group, carol, join()).unwrap();
    let rename = GroupUpdate {
        name: Some("new".to_owned()),
        ..GroupUpdate::default()
    };
    world.change(group, alice, GroupAction::Update(rename)).unwrap();
    world.change(group, bob, GroupAction::Quit).unwrap();
    world.change(group, alice, GroupAction::Dismiss).unwrap();
    let rosters = world
        .published
        .iter()
        .filter_map(|published| published.roster.as_deref());
    let rosters: Vec<_> = rosters
        .map(|roster| {
            assert_eq!(roster.group, group);
            (roster.joined.clone(), roster.left.clone(), roster.dismissed)
        })
        .collect();
    let expected = [
        (vec![alice, bob], vec![], false),
        (vec![carol], vec![], false),
        (vec![], vec![bob], false),
        (vec![], vec![], true),
    ];
    assert_eq!(rosters, expected);
    let mut last = 0;
    for published in &world.published {
        if let Some(roster) = &published.roster {
            assert_eq!(roster.sequence, last, "before {roster:?}");
        }
        if published.log == LogKey::Group(group) {
            last = published.entry.as_ref().unwrap().sequence;
        }
    }
    assert!(last > 1);
    let tip = world
        .published
        .iter()
        .find(|published| published.roster.is_some())
        .unwrap();
    assert_eq!(tip.log, LogKey::Group(group), "with the entry that tells of it");
}

pub fn a_meeting_counts_nothing_as_unread(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = typed(world, "m1", GroupType::MEETING, alice, &[]);
    assert_eq!(
        world.change(group, bob, join()),
        Ok(GroupResponse::Joined(JoinStatus::JOINED))
    );
    let log = LogKey::Group(group);
    world.say(log, alice, "x");
    assert_eq!(world.unread(&bob, &log), 0);
    let page = world.page(log, None, 9).entries;
    assert!(
        page.len() == 3
            && page
                .iter()
                .all(|entry| entry.flags.contains(EntryFlags::NO_UNREAD))
    );
    assert_eq!(world.conversation(&bob, &log).last.unwrap().sequence, 3);
}

pub fn what_is_written_down_has_a_length(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = world.group("g1", &[alice]);
    let long = "x".repeat(301);
    let too_long = [
        GroupAction::Join {
            message: long.clone(),
        },
        GroupAction::Invite {
            users: vec![bob],
            reason: long.clone(),
        },
        GroupAction::Update(GroupUpdate {
            name: Some(long.clone()),
            ..GroupUpdate::default()
        }),
        GroupAction::SetMember {
            user: alice,
            role: None,
            mute_seconds: None,
            name_card: Some(long),
        },
    ];
    for action in too_long {
        let refused = world.change(group, alice, action).unwrap_err();
        assert!(matches!(refused, Refused::TextTooLong { .. }), "{refused}");
    }
    let owner = set_role(alice, Role::OWNER);
    assert_eq!(
        world.change(group, alice, owner).unwrap_err().code(),
        ErrorCode::GROUP_INVALID_PARAMETERS
    );
    let unknown = GroupUpdate {
        join_option: Some(JoinOption(9)),
        ..GroupUpdate::default()
    };
    let refused = world
        .change(group, alice, GroupAction::Update(unknown))
        .unwrap_err();
    assert!(matches!(refused, Refused::BadValue(_)));
    let nobody = UserId::new("nobody").unwrap();
    assert_eq!(
        world.change(group, nobody, join()),
        Err(Refused::NoAccount(nobody))
    );
}
