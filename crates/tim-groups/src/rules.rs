//! Who may do what in which type of group.
//!
//! | | Work (Private) | Public | Meeting (ChatRoom) | AVChatRoom | Community |
//! |---|---|---|---|---|---|
//! | join option | DisableApply, fixed | NeedPermission | FreeAccess, fixed | FreeAccess, fixed | FreeAccess |
//! | invite option | FreeAccess | NeedPermission | DisableInvite | DisableInvite, fixed | FreeAccess |
//! | unread is counted | yes | yes | no | no | yes |
//! | messages, tips, members are stored | yes | yes | yes | only the owner | yes |
//! | members at most | `max_members` | `max_members` | `max_members` | any number | `max_community` |
//! | the owner may quit | yes: who stands longest follows | no (10009) | no | no | no |
//! | write | members | members | members | members | members |
//! | mention all | members | managers | managers | managers | managers |
//! | revoke others' messages | managers | managers | managers | nobody | managers |
//! | quit | members | members | members | members | members |
//! | handle applications | managers | managers | managers | nobody | managers |
//! | invite (as the invite option says) | members | members | members | nobody | members |
//! | remove a member (lower role) | owner | managers | managers | nobody: ban | managers |
//! | ban | nobody | nobody | nobody | owner | nobody |
//! | set and cancel admins | nobody | owner | owner | nobody | owner |
//! | mute a member (lower role) | managers | managers | managers | managers | managers |
//! | own name card | members | members | members | nobody | members |
//! | others' name card (lower role) | managers | managers | managers | nobody | managers |
//! | hand the group over | owner | owner | owner | nobody | owner |
//! | name, introduction, notification, avatar | members | managers | managers | managers | managers |
//! | change the join option | nobody | owner | nobody | nobody | owner |
//! | change the invite option | owner | owner | owner | nobody | owner |
//! | mute all | managers | managers | managers | managers | managers |
//! | dismiss | owner, when alone | owner | owner | owner | owner |
//! | receive option | members | members | members | nobody | members |
//!
//! Managers are the owner and the admins; Work groups and AVChatRooms have no admins. What nobody may do is refused
//! with 10007, as is what somebody without the right asks for.

use tim_proto::check_shown_name;
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
/// How many applications to a group may wait for an answer, those of whom members invite among them. One more is refused.
pub const MAX_APPLICATIONS: u32 = 1_000;
/// The longest words that go with an application, an invitation, a removal, or the answer to one, in bytes.
pub const MAX_WORDS: usize = 300;
/// The longest text of a notice of the application's own (255), in bytes.
pub const MAX_NOTICE: usize = 8_000;

/// What a type of group is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeRules {
    /// The type.
    pub group_type: GroupType,
    /// Who may join a new group.
    pub join_option: JoinOption,
    /// Whom members may bring into a new group.
    pub invite_option: InviteOption,
    /// Messages and tips count as unread.
    pub counts_unread: bool,
    /// Messages, tips and members are stored.
    pub is_stored: bool,
    /// The owner may quit, and another member follows.
    pub owner_quits: bool,
    /// The owner ends it by hand only when alone in it.
    pub dismissed_alone: bool,
    /// The column of [`RIGHTS`].
    column: usize,
}

/// The types, in the order of the columns above.
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

/// Every cell of the table above, for tests of a store or of a hub: what somebody in the role of the second column gets who
/// does what the first column names to somebody in the role of the third. `none` is a user outside the group, `self` the
/// actor, `.` nobody in particular. A cell is `ok`, what becomes of the target where a list is answered, the code of the
/// refusal, or `-` where the type has no such role.
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

/// What somebody may want to do in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Write a message.
    Write,
    /// Mention everybody in a message.
    MentionAll,
    /// Revoke somebody else's message.
    RevokeOthers,
    /// Leave.
    Quit,
    /// Accept or refuse an application.
    HandleApplication,
    /// Bring somebody in.
    Invite,
    /// Remove a member of a lower role.
    Remove,
    /// Keep somebody out.
    Ban,
    /// Make a member an admin, or an admin a member.
    SetRole,
    /// Mute a member of a lower role.
    Mute,
    /// Change the own name card.
    OwnNameCard,
    /// Change the name card of a member of a lower role.
    OthersNameCard,
    /// Make another member the owner.
    ChangeOwner,
    /// Change name, introduction, notification or picture.
    UpdateProfile,
    /// Change the join option.
    SetJoinOption,
    /// Change the invite option.
    SetInviteOption,
    /// Let nobody but owner and admins write.
    MuteAll,
    /// End the group.
    Dismiss,
    /// Say how to be told of messages.
    SetReceiveOption,
}

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Owner,
    Managers,
    Members,
}
use Who::{Managers, Members, Nobody, Owner};

/// Which columns there are: Work, Public, Meeting, AVChatRoom, Community.
type Row = (Action, [Who; 5]);

const RIGHTS: [Row; 19] = [
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
];

impl TypeRules {
    /// The rules of a type; `None` for one that is not known here.
    #[must_use]
    pub fn of(group_type: GroupType) -> Option<&'static Self> {
        TYPES.iter().find(|rules| rules.group_type == group_type)
    }

    /// The rules of a stored group's type. What a newer program made is treated strictly.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] for a type that is not known here.
    pub fn of_stored(group_type: GroupType) -> Result<&'static Self, Refused> {
        Self::of(group_type).ok_or(Refused::NotAllowed(
            "this program does not know groups of this type",
        ))
    }

    /// Whether somebody with this role may do this; `None` for who is no member.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] with the reason, or [`Refused::OwnerMayNotQuit`].
    pub fn may(&self, role: Option<Role>, action: Action) -> Result<(), Refused> {
        let Some(role) = role else {
            return Err(Refused::NotAllowed("only members may do this"));
        };
        let who = RIGHTS
            .iter()
            .find(|(named, _)| *named == action)
            .and_then(|(_, columns)| columns.get(self.column))
            .copied()
            .unwrap_or(Nobody);
        let (needed, otherwise) = match who {
            Nobody => return Err(Refused::NotAllowed("groups of this type do not have this")),
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

    /// How many members there may be; `None` for any number.
    #[must_use]
    pub fn ceiling(&self, policy: &GroupPolicy) -> Option<u32> {
        match self.group_type {
            GroupType::AV_CHAT_ROOM => None,
            GroupType::COMMUNITY => Some(policy.max_community),
            _ => Some(policy.max_members),
        }
    }
}

/// Whether a member may do to another what is only done to lower roles.
///
/// # Errors
/// [`Refused::NotAllowed`].
pub const fn outranks(actor: Role, target: Role) -> Result<(), Refused> {
    if rank(actor) > rank(target) {
        Ok(())
    } else {
        Err(Refused::NotAllowed(
            "this is done to members of a lower role only",
        ))
    }
}

/// Owner above admin above everybody else: a role that is not known here outranks nobody.
const fn rank(role: Role) -> u8 {
    match role {
        Role::OWNER => 2,
        Role::ADMIN => 1,
        _ => 0,
    }
}

/// Checks a shown name that somebody sent: a nick, a group's name, a name card.
///
/// # Errors
/// [`Refused::TextTooLong`], [`Refused::BadName`].
pub fn check_name(what: &'static str, name: &str, max: usize) -> Result<(), Refused> {
    check_text(what, name, max)?;
    check_shown_name(name).map_err(Refused::BadName)
}

/// Checks a text that somebody sent.
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
