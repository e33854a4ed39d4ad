//! Permissions and limits of the group types.
//!
//! | | Work (Private) | Public | Meeting (ChatRoom) | AVChatRoom | Community |
//! |---|---|---|---|---|---|
//! | join option | DisableApply, fixed | NeedPermission | FreeAccess, fixed | FreeAccess, fixed | FreeAccess |
//! | invite option | FreeAccess | NeedPermission | DisableInvite | DisableInvite, fixed | FreeAccess |
//! | unread is counted | yes | yes | no | no | yes |
//! | messages, tips, members are stored | yes | yes | yes | only the owner | yes |
//! | members at most | `max_members` | `max_members` | `max_members` | any number | `max_community` |
//! | the owner may leave | yes: the earliest member follows | no (10009) | no | no | no |
//! | write | members | members | members | members | members |
//! | mention all members | members | managers | managers | managers | managers |
//! | revoke others' messages | managers | managers | managers | nobody | managers |
//! | leave | members | members | members | members | members |
//! | handle applications | managers | managers | managers | nobody | managers |
//! | invite (as the invite option says) | members | members | members | nobody | members |
//! | remove a member (lower role) | owner | managers | managers | nobody | managers |
//! | ban | nobody | nobody | nobody | owner | nobody |
//! | appoint and dismiss admins | nobody | owner | owner | nobody | owner |
//! | mute a member (lower role) | managers | managers | managers | managers | managers |
//! | change the own name card | members | members | members | nobody | members |
//! | change others' name cards (lower role) | managers | managers | managers | nobody | managers |
//! | hand the group over | owner | owner | owner | nobody | owner |
//! | change name, introduction, notification, avatar | members | managers | managers | managers | managers |
//! | change the join option | nobody | owner | nobody | nobody | owner |
//! | change the invite option | owner | owner | owner | nobody | owner |
//! | mute all members | managers | managers | managers | managers | managers |
//! | dismiss | owner as the last member | owner | owner | owner | owner |
//! | set the receive option | members | members | members | nobody | members |
//!
//! Managers are the owner and the admins. Work groups and AVChatRooms have no admins. What is not permitted is refused with
//! 10007.
//!
//! An administrator of the application, who need not be a member, may do what the owner may, and besides:
//!
//! | | Work (Private) | Public | Meeting (ChatRoom) | AVChatRoom | Community |
//! |---|---|---|---|---|---|
//! | add members without their consent | yes | yes | yes | no | yes |
//! | mute a member | no | yes | yes | yes | yes |
//! | change the owner's name card, receive options, fields of members | yes | yes | yes | no | yes |
//! | dismiss | yes | yes | yes | yes | yes |
//! | change attributes | no | no | no | yes | no |
//! | change the group's fields and its largest number of members, send notices | yes | yes | yes | yes | yes |
//!
//! The owner can be neither removed, nor muted, nor given another role: the group is handed over first.

use tim_proto::check_shown_name;
use tim_proto::planted::{self, Fault};
use tim_proto::{GroupType, InviteOption, JoinOption, Role};

use super::GroupPolicy;
use crate::Refused;

/// The longest name of a group, in bytes.
pub const MAX_NAME: usize = 100;
/// The longest introduction, in bytes.
pub const MAX_INTRODUCTION: usize = 400;
/// The longest notification, in bytes.
pub const MAX_NOTIFICATION: usize = 400;
/// The longest address of a picture, in bytes.
pub const MAX_AVATAR: usize = 500;
/// The longest name card, in bytes.
pub const MAX_NAME_CARD: usize = 50;
/// The most open applications to a group, proposals of members included.
pub const MAX_APPLICATIONS: u32 = 1_000;
/// The longest message of an application, an invitation, a removal or a decision, in bytes.
pub const MAX_MESSAGE: usize = 300;
/// The longest text of a notice of the application (255), in bytes.
pub const MAX_NOTICE: usize = 8_000;

/// The rules of a group type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeRules {
    /// The type.
    pub group_type: GroupType,
    /// The join option of a new group.
    pub join_option: JoinOption,
    /// The invite option of a new group.
    pub invite_option: InviteOption,
    /// Whether messages and tips count as unread.
    pub counts_unread: bool,
    /// Whether messages, tips and members are stored.
    pub is_stored: bool,
    /// Whether the owner may leave, and another member follows.
    pub owner_quits: bool,
    /// Whether the owner may dismiss the group only as its last member.
    pub dismissed_alone: bool,
    /// The column of [`RIGHTS`].
    column: usize,
}

/// The known types, in the order of the table above.
pub const TYPES: [TypeRules; 5] = [
    TypeRules {
        join_option: JoinOption::DISABLE_APPLY,
        owner_quits: true,
        dismissed_alone: true,
        ..usual(GroupType::WORK, 0)
    },
    TypeRules {
        join_option: JoinOption::NEED_PERMISSION,
        invite_option: InviteOption::NEED_PERMISSION,
        ..usual(GroupType::PUBLIC, 1)
    },
    TypeRules {
        invite_option: InviteOption::DISABLE_INVITE,
        counts_unread: false,
        ..usual(GroupType::MEETING, 2)
    },
    TypeRules {
        invite_option: InviteOption::DISABLE_INVITE,
        counts_unread: false,
        is_stored: false,
        ..usual(GroupType::AV_CHAT_ROOM, 3)
    },
    usual(GroupType::COMMUNITY, 4),
];

/// Every combination of action, actor and target with its expected result, as text, for tests of engines and hubs.
///
/// The columns are the action, the role of the actor, the role of the target, and the result in each type. Roles are `none` (not
/// a member), `self` (the actor) and `.` (no target). A result is `ok`, the result for the target, the code of the refusal, or
/// `-` if the type has no such role.
pub const PERMISSIONS: &str = include_str!("permissions.txt");

const fn usual(group_type: GroupType, column: usize) -> TypeRules {
    TypeRules {
        group_type,
        join_option: JoinOption::FREE_ACCESS,
        invite_option: InviteOption::FREE_ACCESS,
        counts_unread: true,
        is_stored: true,
        owner_quits: false,
        dismissed_alone: false,
        column,
    }
}

/// An action that a role may permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Send a message.
    Write,
    /// Mention all members in a message.
    MentionAll,
    /// Revoke another member's message.
    RevokeOthers,
    /// Leave.
    Quit,
    /// Accept or refuse an application.
    HandleApplication,
    /// Invite users.
    Invite,
    /// Remove a member of a lower role.
    Remove,
    /// Ban users.
    Ban,
    /// Appoint or dismiss an admin.
    SetRole,
    /// Mute a member of a lower role.
    Mute,
    /// Change the own name card.
    OwnNameCard,
    /// Change the name card of a member of a lower role.
    OthersNameCard,
    /// Hand the group over to another member.
    ChangeOwner,
    /// Change name, introduction, notification or picture.
    UpdateProfile,
    /// Change the join option.
    SetJoinOption,
    /// Change the invite option.
    SetInviteOption,
    /// Mute all members except the managers.
    MuteAll,
    /// Dismiss the group.
    Dismiss,
    /// Set the own receive option.
    SetReceiveOption,
    /// Add members without their consent: administrators only.
    Add,
    /// Change a member's receive option and fields: administrators only.
    EditMember,
    /// Change attributes: administrators only.
    SetAttributes,
}

/// What a member's permission to send depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The member's role.
    pub role: Role,
    /// The end of the member's mute, Unix time in milliseconds.
    pub muted_until_ms: u64,
    /// Whether all members except the managers are muted.
    pub mute_all: bool,
}

/// Who is permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Owner,
    Managers,
    Members,
    /// Administrators of the application.
    App,
}
use Who::{App, Managers, Members, Nobody, Owner};

/// An action, and who is permitted in Work, Public, Meeting, AVChatRoom and Community groups.
type Row = (Action, [Who; 5]);

const RIGHTS: [Row; 22] = [
    (Action::Write, [Members; 5]),
    (
        Action::MentionAll,
        [Members, Managers, Managers, Managers, Managers],
    ),
    (
        Action::RevokeOthers,
        [Managers, Managers, Managers, Nobody, Managers],
    ),
    (Action::Quit, [Members; 5]),
    (
        Action::HandleApplication,
        [Managers, Managers, Managers, Nobody, Managers],
    ),
    (Action::Invite, [Members, Members, Members, Nobody, Members]),
    (Action::Remove, [Owner, Managers, Managers, Nobody, Managers]),
    (Action::Ban, [Nobody, Nobody, Nobody, Owner, Nobody]),
    (Action::SetRole, [Nobody, Owner, Owner, Nobody, Owner]),
    (Action::Mute, [Managers; 5]),
    (Action::OwnNameCard, [Members, Members, Members, Nobody, Members]),
    (
        Action::OthersNameCard,
        [Managers, Managers, Managers, Nobody, Managers],
    ),
    (Action::ChangeOwner, [Owner, Owner, Owner, Nobody, Owner]),
    (
        Action::UpdateProfile,
        [Members, Managers, Managers, Managers, Managers],
    ),
    (Action::SetJoinOption, [Nobody, Owner, Nobody, Nobody, Owner]),
    (Action::SetInviteOption, [Owner, Owner, Owner, Nobody, Owner]),
    (Action::MuteAll, [Managers; 5]),
    (Action::Dismiss, [Owner; 5]),
    (
        Action::SetReceiveOption,
        [Members, Members, Members, Nobody, Members],
    ),
    (Action::Add, [App, App, App, Nobody, App]),
    (Action::EditMember, [App, App, App, Nobody, App]),
    (Action::SetAttributes, [Nobody, Nobody, Nobody, App, Nobody]),
];

impl TypeRules {
    /// The rules of a type; `None` for an unknown one.
    #[must_use]
    pub fn of(group_type: GroupType) -> Option<&'static Self> {
        TYPES.iter().find(|rules| rules.group_type == group_type)
    }

    /// The rules of a stored group's type. Everything is refused in a group of an unknown type.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] for an unknown type.
    pub fn of_stored(group_type: GroupType) -> Result<&'static Self, Refused> {
        Self::of(group_type).ok_or(Refused::NotAllowed("this hub does not know groups of this type"))
    }

    /// Checks whether a member with this role may do this; `None` is a user who is not a member.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] with the reason, or [`Refused::OwnerMayNotQuit`].
    pub fn may(&self, role: Option<Role>, action: Action) -> Result<(), Refused> {
        let Some(role) = role else {
            return Err(Refused::NotAllowed("only members may do this"));
        };
        let (needed, otherwise) = match self.who(action) {
            Nobody => return Err(NOT_IN_THIS_TYPE),
            App => {
                return Err(Refused::NotAllowed(
                    "only an administrator of the application may do this",
                ));
            }
            Owner => (Role::OWNER, "only the owner may do this"),
            Managers => (Role::ADMIN, "only the owner and admins may do this"),
            Members => (Role::MEMBER, ""),
        };
        if rank(role) < rank(needed) {
            return Err(Refused::NotAllowed(otherwise));
        }
        if action == Action::Quit && role == Role::OWNER && !self.owner_quits {
            return Err(Refused::OwnerMayNotQuit);
        }
        Ok(())
    }

    fn who(&self, action: Action) -> Who {
        RIGHTS
            .iter()
            .find(|(named, _)| *named == action)
            .and_then(|(_, columns)| columns.get(self.column))
            .copied()
            .unwrap_or(Nobody)
    }

    /// Checks whether an administrator of the application, who need not be a member, may do this: whatever the owner may, except to
    /// mute members of a Work group, and what is for administrators only.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] for what is not possible in groups of this type.
    pub fn administrator_may(&self, action: Action) -> Result<(), Refused> {
        let is_work = self.group_type == GroupType::WORK;
        match self.who(action) {
            Nobody => Err(NOT_IN_THIS_TYPE),
            _ if is_work && action == Action::Mute => Err(NOT_IN_THIS_TYPE),
            _ => Ok(()),
        }
    }

    /// Checks whether a member may send a message at this time (Unix time in milliseconds).
    ///
    /// # Errors
    /// [`Refused::NotAllowed`], [`Refused::Muted`].
    pub fn may_send(&self, sender: &Sender, mention_all: bool, now_ms: u64) -> Result<(), Refused> {
        self.may(Some(sender.role), Action::Write)?;
        if mention_all {
            self.may(Some(sender.role), Action::MentionAll)?;
        }
        if sender.muted_until_ms > now_ms {
            let until_ms = Some(sender.muted_until_ms);
            return Err(Refused::Muted { until_ms });
        }
        if sender.mute_all && !sender.role.is_manager() {
            return Err(Refused::Muted { until_ms: None });
        }
        Ok(())
    }

    /// Checks whether a member may revoke a message of another user with this role; `None` if that user is not a member.
    ///
    /// # Errors
    /// [`Refused::NotYours`] for members who may revoke their own messages only, [`Refused::NotOutranked`].
    pub fn may_revoke(&self, revoker: Role, sender: Option<Role>) -> Result<(), Refused> {
        self.may(Some(revoker), Action::RevokeOthers)
            .map_err(|_| Refused::NotYours)?;
        if planted::is(Fault::RankIgnored) {
            return Ok(());
        }
        outranks(revoker, sender.unwrap_or(Role::MEMBER)).map_err(|_| Refused::NotOutranked)
    }

    /// The largest number of members of a group for which the application wants at most `wanted`, or 0 for any number; `None` for no
    /// limit.
    #[must_use]
    pub fn ceiling_of(&self, policy: &GroupPolicy, wanted: u32) -> Option<u32> {
        let ceiling = self.ceiling(policy)?;
        Some(match wanted {
            0 => ceiling,
            wanted => ceiling.min(wanted),
        })
    }

    /// The largest number of members of any group of this type; `None` for no limit.
    #[must_use]
    pub fn ceiling(&self, policy: &GroupPolicy) -> Option<u32> {
        match self.group_type {
            GroupType::AV_CHAT_ROOM => None,
            GroupType::COMMUNITY => Some(policy.max_community),
            _ => Some(policy.max_members),
        }
    }
}

const NOT_IN_THIS_TYPE: Refused = Refused::NotAllowed("not possible in groups of this type");

/// Checks whether the actor's role is higher than the target's, which actions on other members require.
///
/// # Errors
/// [`Refused::NotAllowed`].
pub const fn outranks(actor: Role, target: Role) -> Result<(), Refused> {
    if rank(actor) > rank(target) {
        Ok(())
    } else {
        Err(Refused::NotAllowed("the member's role must be lower than yours"))
    }
}

/// Owner above admin above all others. An unknown role outranks nobody.
const fn rank(role: Role) -> u8 {
    match role {
        Role::OWNER => 2,
        Role::ADMIN => 1,
        _ => 0,
    }
}

/// Checks a display name of a request: a nick, a group's name, a name card.
///
/// # Errors
/// [`Refused::TextTooLong`], [`Refused::BadName`].
pub fn check_name(what: &'static str, name: &str, max: usize) -> Result<(), Refused> {
    check_text(what, name, max)?;
    check_shown_name(name).map_err(Refused::BadName)
}

/// Checks the length of a text of a request.
///
/// # Errors
/// [`Refused::TextTooLong`].
pub const fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), Refused> {
    if text.len() > max {
        return Err(Refused::TextTooLong {
            what,
            len: text.len(),
            max,
        });
    }
    Ok(())
}
