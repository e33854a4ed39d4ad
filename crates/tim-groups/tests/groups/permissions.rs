//! Who may do what.

use tim_groups::rules::TYPES;
use tim_groups::suite::{self, Host as _};
use tim_groups::{FieldChange, GroupAction, GroupUpdate, MemberEdit, NewGroup, NewMember};
use tim_proto::{GroupId, Role, UserId};

use crate::memory::Memory;

#[test]
fn every_cell_of_the_table() {
    suite::every_cell_of_the_table(&mut Memory::default());
}

/// What an administrator of the application may do to a group of each type, in the order of the table.
#[test]
fn administrators_do_what_owners_may_and_more() {
    let [owner, member, outsider] = ["owner", "member", "outsider"].map(|name| UserId::new(name).unwrap());
    let table = [
        (add(outsider), "yyyny"),
        (remove(member), "yyyny"),
        (mute(member), "nyyyy"),
        (edit(member, None), "yyyny"),
        (edit(owner, None), "yyyny"),
        (edit(member, Some(Role::ADMIN)), "nyyny"),
        (GroupAction::ChangeOwner { owner: member }, "yyyny"),
        (update("new"), "yyyyy"),
        (attributes(), "nnnyn"),
        (GroupAction::Dismiss, "yyyyy"),
    ];
    for (action, expected) in table {
        for (number, (rules, expected)) in TYPES.iter().zip(expected.chars()).enumerate() {
            let mut memory = Memory::default();
            for name in ["owner", "member", "outsider"] {
                memory.user(name);
            }
            let group = GroupId::new(&format!("g{number}")).unwrap();
            let members = if rules.is_stored { vec![member] } else { Vec::new() };
            let new = NewGroup {
                members,
                random: 1,
                ..NewGroup::new(group, rules.group_type, owner)
            };
            memory.create(new).unwrap();
            let by_owner = memory.command(group, owner, action.clone());
            let found = memory.administer(group, action.clone());
            assert_eq!(
                found.is_ok(),
                expected == 'y',
                "{action:?} in {rules:?}: {found:?}"
            );
            if let Err(refused) = found {
                assert_eq!(refused.code().0, 10007, "{action:?} in {rules:?}");
            }
            let is_for_administrators = matches!(
                action,
                GroupAction::Add { .. }
                    | GroupAction::MuteMembers { .. }
                    | GroupAction::Edit(_)
                    | GroupAction::SetAttributes { .. }
            );
            if is_for_administrators {
                assert_eq!(memory.apply_command(&by_owner).unwrap_err().code().0, 10007);
            }
        }
    }
}

fn add(user: UserId) -> GroupAction {
    GroupAction::Add {
        members: vec![NewMember::new(user)],
    }
}

fn remove(user: UserId) -> GroupAction {
    GroupAction::Remove {
        users: vec![user],
        reason: String::new(),
    }
}

fn mute(user: UserId) -> GroupAction {
    GroupAction::MuteMembers {
        users: vec![user],
        seconds: 60,
    }
}

fn edit(user: UserId, role: Option<Role>) -> GroupAction {
    GroupAction::Edit(Box::new(MemberEdit {
        role,
        name_card: Some("card".to_owned()),
        ..MemberEdit::new(user)
    }))
}

fn update(name: &str) -> GroupAction {
    GroupAction::Update(GroupUpdate {
        name: Some(name.to_owned()),
        max_members: Some(10),
        ..GroupUpdate::default()
    })
}

fn attributes() -> GroupAction {
    GroupAction::SetAttributes {
        clear: false,
        changes: vec![FieldChange {
            name: "key".to_owned(),
            value: Some("value".to_owned()),
        }],
    }
}
