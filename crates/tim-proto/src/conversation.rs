//! Conversations as a user sees them: the list's entries, and the full profile (S187-S201).

use crate::wire::{List, wire};
use crate::{
    AtKind, ConversationId, GroupId, GroupType, InviteOption, JoinOption, ReceiveOption, Role, UserId,
};

wire! {
    /// One entry of the conversation list (S190): enough to draw it.
    #[derive(Debug)]
    pub struct Conversation<'a> {
        /// Which conversation.
        pub id: ConversationId,
        /// Messages not read yet, own ones not counted; see [`crate::unread`].
        pub unread: u32,
        /// Up to where the user has read.
        pub read_sequence: u64,
        /// The newest entry's sequence, and so the one up to which `unread` has counted.
        pub last_sequence: u64,
        /// The group's name or the peer's nick; may be empty.
        pub name: &'a str,
        /// Where the picture is; may be empty.
        pub avatar: &'a str,
        /// The type of the group; 0 for others.
        pub group_type: GroupType,
        /// The newest message, an encoded [`crate::Message`]; absent if none is left.
        pub last_message: Option<&'a [u8]>,
        /// How the user wants to be told of its messages; [`ReceiveOption::ACCEPT_AND_NOTIFY`] if it is no group.
        pub receive_option: ReceiveOption,
        /// The unread messages that mention the user, oldest first (`groupAtInfoList`).
        pub at: List<'a, AtInfo>,
    }
}

wire! {
    /// A message of a group that mentions the user.
    #[derive(Debug)]
    pub struct AtInfo {
        /// Where it stands.
        pub sequence: u64,
        /// Who sent it.
        pub from: UserId,
        /// Whom it mentions.
        pub kind: AtKind,
    }
}

impl<'a> Conversation<'a> {
    /// The newest message.
    #[must_use]
    pub fn last_message(&self) -> Option<crate::Message<'a>> {
        self.last_message
            .and_then(|bytes| crate::Message::decode_from(bytes).ok())
    }
}

wire! {
    /// All about one conversation (S196-S201).
    #[derive(Debug)]
    pub struct ConversationProfile<'a> {
        /// The list's entry.
        pub conversation: Conversation<'a>,
        /// The group, if it is one.
        pub group: Option<GroupProfile<'a>>,
        /// The peer, if it is a user.
        pub user: Option<UserProfile<'a>>,
    }
}

wire! {
    /// What there is to know about a group.
    #[derive(Debug)]
    pub struct GroupProfile<'a> {
        /// Which group.
        pub id: GroupId,
        /// Its type.
        pub group_type: GroupType,
        /// Its name.
        pub name: &'a str,
        /// What it is about.
        pub introduction: &'a str,
        /// What its members are told.
        pub notification: &'a str,
        /// Where its picture is.
        pub avatar: &'a str,
        /// Who owns it.
        pub owner: UserId,
        /// How many members it has.
        pub member_count: u32,
        /// When it was made, Unix time in seconds.
        pub created: u64,
        /// What the asking user is in it; `Role(0)` for somebody who is no member.
        pub role: Role,
        /// Who may join by asking.
        pub join_option: JoinOption,
        /// Whom members may bring in.
        pub invite_option: InviteOption,
        /// Whether nobody but owner and admins may write.
        pub mute_all: bool,
        /// How many members it can have; 0 for any number.
        pub max_members: u32,
        /// How the asking user wants to be told of its messages.
        pub receive_option: ReceiveOption,
        /// Until when the asking user may not write, Unix time in seconds; what lies in the past means nothing.
        pub muted_until: u64,
        /// The asking user's name in this group; may be empty.
        pub name_card: &'a str,
    }
}

wire! {
    /// What there is to know about a user.
    #[derive(Debug)]
    pub struct UserProfile<'a> {
        /// Who.
        pub id: UserId,
        /// The name shown; may be empty.
        pub nick: &'a str,
        /// Where the picture is; may be empty.
        pub avatar: &'a str,
    }
}

/// The conversations of an answer, newest first.
pub type ConversationList<'a> = List<'a, Conversation<'a>>;
