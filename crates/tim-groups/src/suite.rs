//! The conformance test of everything that enforces the permissions: every cell of [`PERMISSIONS`], asked of a [`Host`].
//!
//! It panics where a host is wrong, as tests do.

use std::collections::BTreeSet;

use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, MemberResult, ReceiveOption, Role, UserId};

use crate::rules::PERMISSIONS;
use crate::{GroupAction, GroupResponse, GroupUpdate, NewGroup, Refused};

/// Something that has groups: a store, a hub, or a double in memory.
pub trait Host {
    /// Creates a user's account.
    fn user(&mut self, name: &str) -> UserId;

    /// Creates a group.
    ///
    /// # Errors
    /// As the rules refuse it; so for all calls.
    fn create(&mut self, new: NewGroup) -> Result<(), Refused>;

    /// Applies a change.
    ///
    /// # Errors
    /// As the rules refuse it.
    fn change(
        &mut self,
        group: GroupId,
        actor: UserId,
        action: GroupAction,
    ) -> Result<GroupResponse, Refused>;

    /// Sends a message into a group.
    ///
    /// # Errors
    /// As the rules refuse it.
    fn send(&mut self, group: GroupId, sender: UserId, mention_all: bool) -> Result<(), Refused>;

    /// Revokes, as `by`, a message that `sender` sent into the group. The sender need not be a member any more.
    ///
    /// # Errors
    /// As the rules refuse it.
    fn revoke(&mut self, group: GroupId, sender: UserId, by: UserId) -> Result<(), Refused>;

    /// The state of a group as text, which differs after every change.
    fn state(&self, group: GroupId) -> String;
}

const TYPES: [(&str, GroupType); 5] = [
    ("Work", GroupType::WORK),
    ("Public", GroupType::PUBLIC),
    ("Meeting", GroupType::MEETING),
    ("AVChatRoom", GroupType::AV_CHAT_ROOM),
    ("Community", GroupType::COMMUNITY),
];

/// Actions without a target.
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
/// Actions on a member.
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

/// Checks every cell of [`PERMISSIONS`]. `host` has no users yet.
///
/// # Panics
/// If a result is not the expected one, or a refused action changes something.
pub fn every_cell_of_the_table(host: &mut dyn Host) {
    let mut user = |name: &str| host.user(name);
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
            let group = make_group(host, &cast, group_type, count);
            let found = ask(host, &cast, group, &row);
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
fn make_group(host: &mut dyn Host, cast: &Cast, group_type: GroupType, number: usize) -> GroupId {
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
    let new = NewGroup {
        name: "old".to_owned(),
        members,
        random: 1,
        ..NewGroup::new(group, group_type, cast.owner)
    };
    host.create(new).unwrap();
    if has_admins {
        for admin in cast.admins {
            host.change(group, cast.owner, set(admin, Some(Role::ADMIN), None, None))
                .unwrap();
        }
    }
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

fn ask(host: &mut dyn Host, cast: &Cast, group: GroupId, row: &Row) -> String {
    let actor = cast.named(row.actor, 0);
    let target = match row.target {
        "." | "self" => actor,
        role => cast.named(role, 1),
    };
    if row.action == "handle-application" {
        propose(host, cast, group);
    }
    let before = host.state(group);
    let result = match row.action {
        "write" => host.send(group, actor, false),
        "mention-all" => host.send(group, actor, true),
        "revoke" => return outcome(host.revoke(group, target, actor)),
        _ => match host.change(group, actor, action(cast, row, target)) {
            Ok(GroupResponse::Members(results)) => return results[0].1.name().unwrap().to_owned(),
            result => result.map(|_| ()),
        },
    };
    assert!(
        result.is_ok() || host.state(group) == before,
        "a refused action changes nothing"
    );
    outcome(result)
}

fn outcome(result: Result<(), Refused>) -> String {
    result.map_or_else(|refused| refused.code().0.to_string(), |()| "ok".to_owned())
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

/// A member proposes a user, if the group permits that.
fn propose(host: &mut dyn Host, cast: &Cast, group: GroupId) {
    let by_leave = GroupUpdate {
        invite_option: Some(InviteOption::NEED_PERMISSION),
        ..GroupUpdate::default()
    };
    let invite = GroupAction::Invite {
        users: vec![cast.outside[1]],
        reason: String::new(),
    };
    if host
        .change(group, cast.owner, GroupAction::Update(by_leave))
        .is_ok()
    {
        let answer = host.change(group, cast.members[1], invite).unwrap();
        let waits = (cast.outside[1], MemberResult::WAIT_APPROVAL);
        assert_eq!(answer, GroupResponse::Members(vec![waits]));
    }
}
