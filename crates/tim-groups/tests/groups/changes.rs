//! What a change does, and who is notified of it.

use tim_groups::suite::Host as _;
use tim_groups::{EntryFlags, GroupAction, GroupResponse, NewGroup, Refused, RowChange};
use tim_proto::{GroupId, GroupType, JoinStatus, MemberResult, Role, UserId};

use crate::memory::{Memory, NOW_MS};

/// A group of the first user's, and its members.
fn group_of<const N: usize>(memory: &mut Memory, group_type: GroupType) -> (GroupId, [UserId; N]) {
    let users: [UserId; N] = std::array::from_fn(|number| memory.user(&format!("user{number}")));
    let group = GroupId::new("g").unwrap();
    let new = NewGroup {
        name: "name".to_owned(),
        members: users[1..].to_vec(),
        random: 1,
        ..NewGroup::new(group, group_type, users[0])
    };
    memory.create(new).unwrap();
    (group, users)
}

fn set_role(user: UserId, role: Role) -> GroupAction {
    GroupAction::SetMember {
        user,
        role: Some(role),
        mute_seconds: None,
        name_card: None,
    }
}

fn join() -> GroupAction {
    GroupAction::Join {
        message: String::new(),
    }
}

fn handle(applicant: UserId, accept: bool) -> GroupAction {
    GroupAction::HandleApplication {
        applicant,
        accept,
        message: String::new(),
        key: 0,
    }
}

#[test]
fn an_application_is_decided_once() {
    let mut memory = Memory::default();
    let (group, [owner, admin]) = group_of(&mut memory, GroupType::PUBLIC);
    let bob = memory.user("bob");
    memory.change(group, owner, set_role(admin, Role::ADMIN)).unwrap();

    let applied = memory.apply(group, bob, join()).unwrap();
    assert_eq!(applied.response, GroupResponse::Joined(JoinStatus::WAIT_APPROVAL));
    let notified: Vec<UserId> = applied.notices.iter().map(|(user, _)| *user).collect();
    assert_eq!(notified, [owner, admin], "both managers");
    let again = memory.apply(group, bob, join()).unwrap();
    assert_eq!(again.response, applied.response);
    assert_eq!((again.rows, again.notices), (vec![], vec![]));

    let accepted = memory.apply(group, admin, handle(bob, true)).unwrap();
    assert_eq!((accepted.tips.len(), accepted.notices.len()), (1, 1));
    assert_eq!(memory.role(group, bob), Some(Role::MEMBER));
    let repeated = memory.apply(group, admin, handle(bob, true)).unwrap();
    assert_eq!(repeated.rows, [], "repeated by the same manager");
    for (manager, accept) in [(admin, false), (owner, true), (owner, false)] {
        let refused = memory.change(group, manager, handle(bob, accept));
        assert_eq!(refused, Err(Refused::AlreadyHandled));
    }
}

#[test]
fn the_owner_of_a_work_group_is_followed_by_the_earliest_member_without_a_mute() {
    let mut memory = Memory::default();
    let (group, [owner, first, second]) = group_of(&mut memory, GroupType::WORK);
    let mute = GroupAction::SetMember {
        user: first,
        role: None,
        mute_seconds: Some(600),
        name_card: None,
    };
    memory.change(group, owner, mute).unwrap();
    let muted = Err(Refused::Muted {
        until_ms: Some(NOW_MS + 600_000),
    });
    assert_eq!(memory.send(group, first, false), muted);

    let left = memory.apply(group, owner, GroupAction::Quit).unwrap();
    assert_eq!(left.tips.len(), 2, "one of leaving, one of the new owner");
    assert!(left.rows.contains(&RowChange::MutedUntil(first, 0)));
    assert_eq!(memory.role(group, owner), None);
    assert_eq!(memory.role(group, first), Some(Role::OWNER));
    assert_eq!(memory.role(group, second), Some(Role::MEMBER));
    assert_eq!(memory.send(group, first, false), Ok(()));
}

#[test]
fn a_handover_is_idempotent() {
    let mut memory = Memory::default();
    let (group, [owner, next]) = group_of(&mut memory, GroupType::PUBLIC);
    let hand_over = GroupAction::ChangeOwner { owner: next };
    let done = memory.apply(group, owner, hand_over.clone()).unwrap();
    assert_eq!(done.tips.len(), 1);
    let again = memory.apply(group, owner, hand_over).unwrap();
    assert_eq!((again.rows.len(), again.tips.len()), (0, 0));
    assert_eq!(memory.role(group, next), Some(Role::OWNER));
}

#[test]
fn limits_hold_within_one_invitation() {
    let mut memory = Memory::default();
    memory.policy.max_community = 3;
    let (group, [owner]) = group_of(&mut memory, GroupType::COMMUNITY);
    let users = ["a", "b", "c"].map(|name| memory.user(name));
    let nobody = UserId::new("nobody").unwrap();
    let invite = GroupAction::Invite {
        users: vec![users[0], nobody, users[0], users[1], users[2]],
        reason: String::new(),
    };
    let invited = memory.apply(group, owner, invite).unwrap();
    let expected = [
        (users[0], MemberResult::ADDED),
        (nobody, MemberResult::NOT_FOUND),
        (users[1], MemberResult::ADDED),
        (users[2], MemberResult::FULL),
    ];
    assert_eq!(invited.response, GroupResponse::Members(expected.to_vec()));
    assert_eq!(invited.tips.len(), 1, "one tip for all of them");
}

#[test]
fn a_dismissal_notifies_every_member_and_counts_as_unread_for_all_but_the_owner() {
    let mut memory = Memory::default();
    let (group, [owner, member]) = group_of(&mut memory, GroupType::MEETING);
    let ended = memory.apply(group, owner, GroupAction::Dismiss).unwrap();
    let notified: Vec<_> = ended
        .notices
        .iter()
        .map(|(user, notice)| (*user, notice.flags))
        .collect();
    assert_eq!(
        notified,
        [(owner, EntryFlags::NO_UNREAD), (member, EntryFlags::NONE)]
    );
    assert_eq!(
        memory.change(group, owner, GroupAction::Dismiss),
        Ok(GroupResponse::Done)
    );
    let gone = Err(Refused::NoSuchGroup(group));
    assert_eq!(memory.change(group, member, GroupAction::Quit), gone);
}
