//! Who may do what: every cell of the table of [`PERMISSIONS`], asked of the store.
//!
//! The actor and the target are in a group of that type in the role that the row names, `none` is somebody outside,
//! `self` the actor. A cell is `ok`, what becomes of the target where a list is answered, the code of the refusal, or
//! `-`: there is no such role in this type, or who has it is the hub's to know.

use std::collections::BTreeSet;

use crate::{LogKey, Write, Written};
use tim_groups::rules::PERMISSIONS;
use tim_groups::{GroupAction, GroupPolicy, GroupResponse, GroupUpdate, NewGroup, create};
use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, MemberResult, ReceiveOption, Role, UserId};

use super::World;

const TYPES: [(&str, GroupType); 5] = [
    ("Work", GroupType::WORK),
    ("Public", GroupType::PUBLIC),
    ("Meeting", GroupType::MEETING),
    ("AVChatRoom", GroupType::AV_CHAT_ROOM),
    ("Community", GroupType::COMMUNITY),
];

/// What is done to nobody in particular.
const ALONE: [&str; 12] = [
    "write",
    "mention-all",
    "quit",
    "handle-application",
    "invite",
    "ban",
    "profile",
    "join-option",
    "invite-option",
    "mute-all",
    "dismiss",
    "receive-option",
];
const ROLES: [&str; 4] = ["none", "member", "admin", "owner"];
/// What is done to a member.
const TARGETED: [&str; 7] = [
    "revoke",
    "remove",
    "set-admin",
    "cancel-admin",
    "mute",
    "card",
    "change-owner",
];
const TARGETS: [&str; 5] = ["none", "member", "admin", "owner", "self"];

struct Row {
    action: &'static str,
    actor: &'static str,
    target: &'static str,
    cells: Vec<&'static str>,
}

fn rows() -> Vec<Row> {
    let lines = PERMISSIONS.lines().skip(1).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words.len(), 8, "{line}");
            Row {
                action: words[0],
                actor: words[1],
                target: words[2],
                cells: words[3..].to_vec(),
            }
        })
        .collect()
}

/// The owner, two admins, two members, and two who are in no group.
struct Cast {
    owner: UserId,
    admins: [UserId; 2],
    members: [UserId; 2],
    outside: [UserId; 2],
}

impl Cast {
    /// Who acts is the first of a role, whom it is done to the second.
    fn named(&self, role: &str, who: usize) -> UserId {
        match role {
            "none" => self.outside[who],
            "member" => self.members[who],
            "admin" => self.admins[who],
            "owner" => self.owner,
            other => panic!("no role {other}"),
        }
    }
}

pub fn every_cell_of_the_table(world: &mut World) {
    let mut user = |name: &str| world.user(name);
    let cast = Cast {
        owner: user("owner"),
        admins: [user("admin"), user("admin2")],
        members: [user("member"), user("member2")],
        outside: [user("none"), user("none2")],
    };
    let mut named = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in rows() {
        assert!(named.insert((row.action, row.actor, row.target)), "named twice");
        for ((type_name, group_type), expected) in TYPES.into_iter().zip(&row.cells) {
            count += 1;
            if *expected == "-" {
                continue;
            }
            let group = make_group(world, &cast, group_type, count);
            let found = ask(world, &cast, group, &row);
            if found != *expected {
                let Row {
                    action,
                    actor,
                    target,
                    ..
                } = row;
                wrong.push(format!(
                    "{action} {actor} {target} in {type_name}: {found}, not {expected}"
                ));
            }
        }
    }
    assert_eq!(named, all_rows(), "each combination is named");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn all_rows() -> BTreeSet<(&'static str, &'static str, &'static str)> {
    let mut all = BTreeSet::new();
    for actor in ROLES {
        all.extend(ALONE.map(|action| (action, actor, ".")));
        for action in TARGETED {
            // There is one owner, whose doings to the owner are those to themselves.
            let targets = TARGETS
                .iter()
                .filter(|target| actor != "owner" || **target != "owner");
            all.extend(targets.map(|target| (action, actor, *target)));
        }
    }
    all
}

/// A group of the type with everybody in it whom such a group can have.
fn make_group(world: &mut World, cast: &Cast, group_type: GroupType, number: usize) -> GroupId {
    let group = GroupId::new(&format!("cell{number}")).unwrap();
    let has_members = group_type != GroupType::AV_CHAT_ROOM;
    let has_admins = has_members && group_type != GroupType::WORK;
    let mut members = Vec::new();
    if has_members {
        members.extend(cast.members);
    }
    if has_admins {
        members.extend(cast.admins);
    }
    let wish = NewGroup {
        group,
        group_type,
        owner: cast.owner,
        name: "old".to_owned(),
        introduction: String::new(),
        notification: String::new(),
        avatar: String::new(),
        join_option: JoinOption::AS_USUAL,
        invite_option: InviteOption::AS_USUAL,
        members,
        random: 1,
    };
    let new = create(
        wish,
        &GroupPolicy::default(),
        world.now_ms,
        &std::collections::BTreeMap::new(),
    )
    .unwrap();
    let mut batch = vec![Write::CreateGroup(Box::new(new))];
    if has_admins {
        batch.extend(cast.admins.map(|admin| {
            let role = set(admin, Some(Role::ADMIN), None, None);
            world.command(group, cast.owner, role)
        }));
    }
    let answers = world.batch(&batch);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    group
}

fn set(user: UserId, role: Option<Role>, mute_seconds: Option<u32>, name_card: Option<&str>) -> GroupAction {
    GroupAction::SetMember {
        user,
        role,
        mute_seconds,
        name_card: name_card.map(str::to_owned),
    }
}

fn ask(world: &mut World, cast: &Cast, group: GroupId, row: &Row) -> String {
    let actor = cast.named(row.actor, 0);
    let write = match row.action {
        "write" | "mention-all" => {
            let mut append = world.message(LogKey::Group(group), actor, "x");
            append.mention_all = row.action == "mention-all";
            Write::Append(append)
        }
        "revoke" => {
            let sender = match row.target {
                "self" => actor,
                role => cast.named(role, 1),
            };
            revoke_what(world, group, sender, actor)
        }
        _ => {
            let target = match row.target {
                "." | "self" => actor,
                role => cast.named(role, 1),
            };
            if row.action == "handle-application" {
                propose(world, cast, group);
            }
            world.command(group, actor, action(cast, row, target))
        }
    };
    let before = state(world, &group);
    match world.write(write) {
        Ok(Written::GroupChanged(changed)) => match changed.response {
            GroupResponse::Members(results) => results[0].1.name().unwrap().to_owned(),
            _ => "ok".to_owned(),
        },
        Ok(_) => "ok".to_owned(),
        Err(refused) => {
            assert_eq!(state(world, &group), before, "a refused command changes nothing");
            refused.code().0.to_string()
        }
    }
}

fn action(cast: &Cast, row: &Row, target: UserId) -> GroupAction {
    let update = GroupUpdate::default();
    match row.action {
        "quit" => GroupAction::Quit,
        "handle-application" => GroupAction::HandleApplication {
            applicant: cast.outside[1],
            accept: true,
            message: String::new(),
            key: 0,
        },
        "invite" => GroupAction::Invite {
            users: vec![cast.outside[1]],
            reason: String::new(),
        },
        "ban" => GroupAction::Ban {
            users: vec![cast.outside[1]],
            seconds: 60,
            reason: String::new(),
        },
        "profile" => GroupAction::Update(GroupUpdate {
            name: Some("new".to_owned()),
            ..update
        }),
        "join-option" => GroupAction::Update(GroupUpdate {
            join_option: Some(JoinOption::DISABLE_APPLY),
            ..update
        }),
        "invite-option" => GroupAction::Update(GroupUpdate {
            invite_option: Some(InviteOption::NEED_PERMISSION),
            ..update
        }),
        "mute-all" => GroupAction::Update(GroupUpdate {
            mute_all: Some(true),
            ..update
        }),
        "dismiss" => GroupAction::Dismiss,
        "receive-option" => GroupAction::SetReceiveOption {
            option: ReceiveOption::DISCARD,
        },
        "remove" => GroupAction::Remove {
            users: vec![target],
            reason: String::new(),
        },
        "set-admin" => set(target, Some(Role::ADMIN), None, None),
        "cancel-admin" => set(target, Some(Role::MEMBER), None, None),
        "mute" => set(target, None, Some(60), None),
        "card" => set(target, None, None, Some("card")),
        "change-owner" => GroupAction::ChangeOwner { owner: target },
        other => panic!("no action {other}"),
    }
}

/// A member proposes somebody, where a group can have that.
fn propose(world: &mut World, cast: &Cast, group: GroupId) {
    let by_leave = GroupUpdate {
        invite_option: Some(InviteOption::NEED_PERMISSION),
        ..GroupUpdate::default()
    };
    let invite = GroupAction::Invite {
        users: vec![cast.outside[1]],
        reason: String::new(),
    };
    if world
        .change(group, cast.owner, GroupAction::Update(by_leave))
        .is_ok()
    {
        let answer = world.change(group, cast.members[1], invite).unwrap();
        let waits = (cast.outside[1], MemberResult::WAIT_APPROVAL);
        assert_eq!(answer, GroupResponse::Members(vec![waits]));
    }
}

/// A wish of `by`'s to revoke what `sender` wrote, who may be no member any more.
fn revoke_what(world: &mut World, group: GroupId, sender: UserId, by: UserId) -> Write {
    let log = LogKey::Group(group);
    let mut append = world.message(log, sender, "x");
    append.require_membership = false;
    let sequence = match world.write(Write::Append(append)) {
        Ok(Written::Stored(at)) => at.sequence,
        _ => 1, // an AVChatRoom keeps nothing
    };
    Write::Revoke(super::revoke::by(world, log, sequence, by))
}

fn state(world: &World, group: &GroupId) -> impl PartialEq + std::fmt::Debug + use<> {
    let reader = world.reader();
    (
        reader.head_change().unwrap(),
        reader.group(group).unwrap(),
        reader.members(group).unwrap(),
    )
}
