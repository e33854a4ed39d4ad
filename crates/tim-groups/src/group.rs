//! What a store keeps of a group and its members.

use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, ReceiveOption, Role, UserId};

/// A group's profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The id.
    pub group: GroupId,
    /// The type.
    pub group_type: GroupType,
    /// The owner.
    pub owner: UserId,
    /// The name; may be empty.
    pub name: String,
    /// The introduction; may be empty.
    pub introduction: String,
    /// The notification; may be empty.
    pub notification: String,
    /// The address of the picture; may be empty.
    pub avatar: String,
    /// The time of creation, Unix time in milliseconds.
    pub created_ms: u64,
    /// The number of members. Of an AVChatRoom only the owner is stored.
    pub member_count: u64,
    /// Who may join on request.
    pub join_option: JoinOption,
    /// Whom members may invite.
    pub invite_option: InviteOption,
    /// Whether all members except the managers are muted.
    pub mute_all: bool,
    /// The most members that the application wants it to have; 0 for as many as a group of its type may have.
    pub max_members: u32,
}

/// A user's membership in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The member's role. An unknown one has a member's rights.
    pub role: Role,
    /// When the user joined, Unix time in milliseconds.
    pub joined_ms: u64,
    /// The sequence of the log's newest entry when the user joined. Later entries are visible to the user.
    pub joined_at: u64,
    /// The end of the user's mute, Unix time in milliseconds. A time in the past means not muted.
    pub muted_until_ms: u64,
    /// How the user receives messages.
    pub receive_option: ReceiveOption,
    /// The user's name in this group; may be empty.
    pub name_card: String,
}

/// A ban or mute of a user in a group. It outlives the user's membership and ends at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restriction {
    /// The end of the ban (AVChatRooms only), Unix time in milliseconds; 0 if not banned.
    pub banned_until_ms: u64,
    /// The end of the mute, Unix time in milliseconds; 0 if not muted.
    pub muted_until_ms: u64,
}
