//! One life of a group, from beginning to end, beside the model.

use std::collections::BTreeSet;

use tim_proto::GroupType;

use super::World;
use super::group_model::{Step, begin, step_both};
use super::group_model_state::{MAX_ADMINS, MAX_MEMBERS, Update};

/// Each tip and each notice that a change of a stored group makes; the proposals of members apart.
const EVERYTHING: [&str; 24] = [
    "notice 1",
    "notice 10",
    "notice 12",
    "notice 13",
    "notice 14",
    "notice 2",
    "notice 20",
    "notice 255",
    "notice 3",
    "notice 4",
    "notice 5",
    "notice 6",
    "notice 7",
    "notice 8",
    "notice 9",
    "proposal accepted",
    "proposal refused",
    "tip 1",
    "tip 2",
    "tip 3",
    "tip 4",
    "tip 5",
    "tip 6",
    "tip 7",
];

/// One life in which all of it happens; the third and fourth user begin outside.
pub fn a_life_with_every_tip_and_notice(world: &mut World) {
    world.policy.max_members = MAX_MEMBERS as u32;
    world.policy.max_admins = MAX_ADMINS as u32;
    let mut model = begin(world, 0, GroupType::PUBLIC);
    let life = [
        (3, Step::Join),
        (3, Step::Join),
        (0, Step::HandleApplication(3, false)),
        (3, Step::Join),
        (0, Step::SetAdmin(1, true)),
        (0, Step::SetAdmin(2, true)),
        (1, Step::HandleApplication(3, true)),
        (0, Step::HandleApplication(3, true)),
        (1, Step::HandleApplication(3, true)),
        (1, Step::HandleApplication(3, false)),
        (4, Step::Join),
        (0, Step::HandleApplication(4, true)),
        (1, Step::Remove(vec![0, 1, 2, 3, 3, 4])),
        (0, Step::HandleApplication(4, true)),
        (4, Step::Invite(vec![2, 4, 3])),
        (0, Step::HandleApplication(2, false)),
        (4, Step::Invite(vec![2])),
        (1, Step::HandleApplication(2, true)),
        (1, Step::Invite(vec![3])),
        (2, Step::Quit),
        (3, Step::HandleInvitation(false)),
        (0, Step::Invite(vec![3])),
        (3, Step::HandleInvitation(true)),
        (3, Step::HandleInvitation(true)),
        (3, Step::HandleInvitation(false)),
        (1, Step::Say(vec![3, 0, 1], true)),
        (3, Step::Say(vec![1], false)),
        (3, Step::Say(vec![], true)),
        (3, Step::Read(5)),
        (3, Step::Read(100)),
        (1, Step::Mute(3, 60)),
        (3, Step::Say(vec![], false)),
        (1, Step::Mute(0, 60)),
        (1, Step::Mute(3, 0)),
        (1, Step::Mute(3, 0)),
        (3, Step::Say(vec![], false)),
        (0, Step::Update(Update::MuteAll(true))),
        (3, Step::Say(vec![], false)),
        (1, Step::Say(vec![], false)),
        (3, Step::Card(3, 1)),
        (1, Step::Card(3, 1)),
        (3, Step::Receive(2)),
        (3, Step::Receive(2)),
        (0, Step::Announce),
        (0, Step::SetAdmin(1, false)),
        (0, Step::ChangeOwner(1)),
        (0, Step::ChangeOwner(1)),
        (0, Step::Dismiss),
        (1, Step::Dismiss),
        (1, Step::Dismiss),
        (0, Step::Dismiss),
        (0, Step::Join),
        (0, Step::Say(vec![], false)),
        (0, Step::Read(1)),
    ];
    for (actor, step) in life {
        step_both(world, &mut model, actor, &step);
    }
    let happened: BTreeSet<String> = model.happened().collect();
    let expected: BTreeSet<String> = EVERYTHING.iter().map(|&what| what.to_owned()).collect();
    assert_eq!(happened, expected);
}
