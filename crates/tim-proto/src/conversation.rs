//! Conversations: entries of a user's conversation list, and profiles.

use crate::wire::{List, wire};
use crate::{
    AtKind, ConversationId, GroupId, GroupType, InviteOption, JoinOption, ReceiveOption, Role, UserId,
};

wire! {
    /// An entry of the conversation list.
    #[derive(Debug)]
    pub struct Conversation<'a> {
        /// The conversation.
        pub id: ConversationId,
        /// The number of unread messages, the user's own not counted; see [`crate::unread`].
        pub unread: u32 = 0 => with_unread,
        /// The sequence up to which the user has read.
        pub read_sequence: u64 = 0 => with_read_sequence,
        /// The sequence of the newest entry, up to which `unread` counts.
        pub last_sequence: u64 = 0 => with_last_sequence,
        /// The group's name or the peer's nick; may be empty.
        pub name: &'a str = "" => with_name,
        /// The URL of the picture; may be empty.
        pub avatar: &'a str = "" => with_avatar,
        /// The type of the group; 0 for others.
        pub group_type: GroupType = GroupType(0) => with_group_type,
        /// The newest message, an encoded [`crate::Message`]; `None` if none is left.
        pub last_message: Option<&'a [u8]> = None => with_last_message,
        /// The user's receive option; [`ReceiveOption::ACCEPT_AND_NOTIFY`] for conversations other than groups.
        pub receive_option: ReceiveOption = ReceiveOption::ACCEPT_AND_NOTIFY => with_receive_option,
        /// The unread messages that mention the user, oldest first (`groupAtInfoList`).
        pub at: List<'a, AtInfo> = List::EMPTY => with_at,
    }
}

wire! {
    /// A message of a group that mentions the user.
    #[derive(Debug)]
    pub struct AtInfo {
        /// Its sequence.
        pub sequence: u64,
        /// The sender.
        pub from: UserId,
        /// How it mentions the user.
        pub kind: AtKind,
    }
}

impl<'a> Conversation<'a> {
    /// The newest message, decoded.
    #[must_use]
    pub fn last_message(&self) -> Option<crate::Message<'a>> {
        self.last_message
            .and_then(|bytes| crate::Message::decode_from(bytes).ok())
    }
}

wire! {
    /// The full description of a conversation.
    #[derive(Debug)]
    pub struct ConversationProfile<'a> {
        /// The list's entry.
        pub conversation: Conversation<'a>,
        /// The group, if it is one.
        pub group: Option<GroupProfile<'a>> = None => with_group,
        /// The peer, if it is a user.
        pub user: Option<UserProfile<'a>> = None => with_user,
    }
}

wire! {
    /// The profile of a group, as the requesting user sees it.
    #[derive(Debug)]
    pub struct GroupProfile<'a> {
        /// The group.
        pub id: GroupId,
        /// Its type.
        pub group_type: GroupType,
        /// Its name.
        pub name: &'a str = "" => with_name,
        /// The introduction.
        pub introduction: &'a str = "" => with_introduction,
        /// The notification to its members.
        pub notification: &'a str = "" => with_notification,
        /// The URL of its picture.
        pub avatar: &'a str = "" => with_avatar,
        /// The owner.
        pub owner: UserId,
        /// The number of members.
        pub member_count: u32 = 0 => with_member_count,
        /// When it was created, Unix time in seconds.
        pub created: u64 = 0 => with_created,
        /// The user's role; `Role(0)` for a user who is not a member.
        pub role: Role = Role(0) => with_role,
        /// Who may join by applying.
        pub join_option: JoinOption = JoinOption::FREE_ACCESS => with_join_option,
        /// Whether members may invite users.
        pub invite_option: InviteOption = InviteOption::FREE_ACCESS => with_invite_option,
        /// Whether everybody but owner and admins is muted.
        pub mute_all: bool = false => with_mute_all,
        /// The maximal number of members; 0 for no limit.
        pub max_members: u32 = 0 => with_max_members,
        /// The user's receive option.
        pub receive_option: ReceiveOption = ReceiveOption::ACCEPT_AND_NOTIFY => with_receive_option,
        /// When the user's mute ends, Unix time in seconds; a time in the past has no meaning.
        pub muted_until: u64 = 0 => with_muted_until,
        /// The user's name card in this group; may be empty.
        pub name_card: &'a str = "" => with_name_card,
    }
}

wire! {
    /// The profile of a user.
    #[derive(Debug)]
    pub struct UserProfile<'a> {
        /// The user.
        pub id: UserId,
        /// The name shown; may be empty.
        pub nick: &'a str = "" => with_nick,
        /// The URL of the picture; may be empty.
        pub avatar: &'a str = "" => with_avatar,
    }
}

/// The conversations of an answer, newest first.
pub type ConversationList<'a> = List<'a, Conversation<'a>>;
