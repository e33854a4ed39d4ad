//! Groups, their members and users, as the application holds them.

use tim_proto::conversation as wire;
use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, ReceiveOption, Role, UserId, request};

/// What there is to know about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupProfile {
    /// Which group.
    pub id: GroupId,
    /// Its type.
    pub group_type: GroupType,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub introduction: String,
    /// What its members are told.
    pub notification: String,
    /// Where its picture is.
    pub avatar: String,
    /// Who owns it.
    pub owner: UserId,
    /// How many members it has.
    pub member_count: u32,
    /// When it was made, Unix time in seconds.
    pub created: u64,
    /// What the asking user is in it; `Role(0)` for who is no member.
    pub role: Role,
    /// Who may join by asking.
    pub join_option: JoinOption,
    /// Whom members may bring in.
    pub invite_option: InviteOption,
    /// Whether nobody but owner and admins may write (`muteAllMembers`).
    pub mute_all: bool,
    /// How many members it can have; 0 for any number.
    pub max_members: u32,
    /// How the asking user wants to be told of its messages.
    pub message_remind_type: ReceiveOption,
    /// Until when the asking user may not write, Unix time in seconds; what lies in the past means nothing.
    pub muted_until: u64,
    /// The asking user's name in this group; may be empty.
    pub name_card: String,
}

impl GroupProfile {
    /// Whether the asking user is in it.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.role != Role(0)
    }
}

/// A member of a group, from [`Client::get_group_member_list`](crate::Client::get_group_member_list).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// Who.
    pub user: UserId,
    /// What they are in it.
    pub role: Role,
    /// Since when, Unix time in seconds.
    pub joined: u64,
    /// Until when they may not write, Unix time in seconds; what lies in the past means nothing.
    pub muted_until: u64,
    /// The name shown; may be empty.
    pub nick: String,
    /// Where the picture is; may be empty.
    pub avatar: String,
    /// The name shown in this group; may be empty.
    pub name_card: String,
}

impl GroupMember {
    /// What to call the member: the name card, or else the nick, or else the user's id.
    #[must_use]
    pub fn title(&self) -> &str {
        [self.name_card.as_str(), self.nick.as_str()]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or(self.user.as_str())
    }
}

/// What there is to know about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserProfile {
    /// Who.
    pub id: UserId,
    /// The name shown; may be empty.
    pub nick: String,
    /// Where the picture is; may be empty.
    pub avatar: String,
}

impl From<&wire::GroupProfile<'_>> for GroupProfile {
    fn from(group: &wire::GroupProfile<'_>) -> Self {
        Self {
            id: group.id,
            group_type: group.group_type,
            name: group.name.into(),
            introduction: group.introduction.into(),
            notification: group.notification.into(),
            avatar: group.avatar.into(),
            owner: group.owner,
            member_count: group.member_count,
            created: group.created,
            role: group.role,
            join_option: group.join_option,
            invite_option: group.invite_option,
            mute_all: group.mute_all,
            max_members: group.max_members,
            message_remind_type: group.receive_option,
            muted_until: group.muted_until,
            name_card: group.name_card.into(),
        }
    }
}

impl From<&wire::UserProfile<'_>> for UserProfile {
    fn from(user: &wire::UserProfile<'_>) -> Self {
        Self {
            id: user.id,
            nick: user.nick.into(),
            avatar: user.avatar.into(),
        }
    }
}

impl From<&request::GroupMember<'_>> for GroupMember {
    fn from(member: &request::GroupMember<'_>) -> Self {
        Self {
            user: member.user,
            role: member.role,
            joined: member.joined,
            muted_until: member.muted_until,
            nick: member.nick.into(),
            avatar: member.avatar.into(),
            name_card: member.name_card.into(),
        }
    }
}
