//! What is kept of a group and of its members.

use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, ReceiveOption, Role, UserId};

/// A group's profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The group.
    pub group: GroupId,
    /// What kind of group.
    pub group_type: GroupType,
    /// Who owns it.
    pub owner: UserId,
    /// The shown name, maybe empty.
    pub name: String,
    /// The introduction, maybe empty.
    pub introduction: String,
    /// The notification, maybe empty.
    pub notification: String,
    /// The picture's address, maybe empty.
    pub avatar: String,
    /// When it was created, unix time in milliseconds.
    pub created_ms: u64,
    /// How many members it has; of an AVChatRoom only the owner is stored.
    pub member_count: u64,
    /// Who may join by asking.
    pub join_option: JoinOption,
    /// Whom members may bring in.
    pub invite_option: InviteOption,
    /// Whether only the owner and admins may write.
    pub mute_all: bool,
}

/// A user's standing in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The member's role. An unknown one has a member's rights.
    pub role: Role,
    /// When the user joined, unix time in milliseconds.
    pub joined_ms: u64,
    /// The head of the log at joining: what the user may see begins behind it.
    pub joined_at: u64,
    /// Until when the user may not write here, unix ms; what lies in the past means nothing.
    pub muted_until_ms: u64,
    /// How the user wants to be told of messages.
    pub receive_option: ReceiveOption,
    /// The name shown in this group, maybe empty.
    pub name_card: String,
}

/// What a user may not do in a group. It ends with its time, not with the user's membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restriction {
    /// Until when the user may not enter (AVChatRooms only), unix ms; 0 if not banned.
    pub banned_until_ms: u64,
    /// Until when the user may not write, unix ms; 0 if not muted.
    pub muted_until_ms: u64,
}
