//! Profiles of groups, members and users, owned by the application.

use tim_proto::conversation as wire;
use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, ReceiveOption, Role, UserId, request};

/// The profile of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupProfile {
    /// The group's id.
    pub id: GroupId,
    /// Its type.
    pub group_type: GroupType,
    /// Its name.
    pub name: String,
    /// The introduction.
    pub introduction: String,
    /// The announcement to the members.
    pub notification: String,
    /// The address of the avatar.
    pub avatar: String,
    /// The owner.
    pub owner: UserId,
    /// The number of members.
    pub member_count: u32,
    /// When the group was created, Unix time in seconds.
    pub created: u64,
    /// The role of the user of this client; `Role(0)` if the user is not a member.
    pub role: Role,
    /// How applications to join are handled.
    pub join_option: JoinOption,
    /// How invitations by members are handled.
    pub invite_option: InviteOption,
    /// Whether only the owner and the admins may send messages (`muteAllMembers`).
    pub mute_all: bool,
    /// The maximum number of members; 0 if unlimited.
    pub max_members: u32,
    /// The receive option of the user of this client.
    pub message_remind_type: ReceiveOption,
    /// When the mute of the user of this client ends, Unix time in seconds; a time in the past means not muted.
    pub muted_until: u64,
    /// The name card of the user of this client in this group; may be empty.
    pub name_card: String,
}

impl GroupProfile {
    /// Whether the user of this client is a member.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.role != Role(0)
    }
}

/// A member of a group, from [`Client::get_group_member_list`](crate::Client::get_group_member_list).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// The user's id.
    pub user: UserId,
    /// The role in the group.
    pub role: Role,
    /// When the member joined, Unix time in seconds.
    pub joined: u64,
    /// When the mute ends, Unix time in seconds; a time in the past means not muted.
    pub muted_until: u64,
    /// The display name; may be empty.
    pub nick: String,
    /// The address of the avatar; may be empty.
    pub avatar: String,
    /// The name card in this group; may be empty.
    pub name_card: String,
}

impl GroupMember {
    /// The name to show: the name card, or else the nick, or else the user id.
    #[must_use]
    pub fn title(&self) -> &str {
        [self.name_card.as_str(), self.nick.as_str()]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or(self.user.as_str())
    }
}

/// The profile of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserProfile {
    /// The user's id.
    pub id: UserId,
    /// The display name; may be empty.
    pub nick: String,
    /// The address of the avatar; may be empty.
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
