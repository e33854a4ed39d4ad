//! Conversations as a user sees them: the list's entries, and the full profile (S187-S201).

use crate::wire::{List, wire};
use crate::{ConversationId, GroupId, GroupType, Role, UserId};

/// One entry of the conversation list (S190): enough to draw it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversation<'a> {
    /// Which conversation.
    pub id: ConversationId,
    /// Messages not read yet, own ones not counted.
    pub unread: u32,
    /// Up to where the user has read.
    pub read_sequence: u64,
    /// The newest entry's sequence.
    pub last_sequence: u64,
    /// The group's name or the peer's nick; may be empty.
    pub name: &'a str,
    /// Where the picture is; may be empty.
    pub avatar: &'a str,
    /// The type of the group; 0 for others.
    pub group_type: GroupType,
    /// The newest message, an encoded [`crate::Message`]; absent if none is left.
    pub last_message: Option<&'a [u8]>,
}
wire!(Conversation<'a> { id, unread, read_sequence, last_sequence, name, avatar, group_type, last_message });

impl<'a> Conversation<'a> {
    /// The newest message.
    #[must_use]
    pub fn last_message(&self) -> Option<crate::Message<'a>> {
        self.last_message
            .and_then(|bytes| crate::Message::decode_from(bytes).ok())
    }
}

/// All about one conversation (S196-S201).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConversationProfile<'a> {
    /// The list's entry.
    pub conversation: Conversation<'a>,
    /// The group, if it is one.
    pub group: Option<GroupProfile<'a>>,
    /// The peer, if it is a user.
    pub user: Option<UserProfile<'a>>,
}
wire!(ConversationProfile<'a> { conversation, group, user });

/// What there is to know about a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// What the asking user is in it.
    pub role: Role,
}
wire!(GroupProfile<'a> {
    id,
    group_type,
    name,
    introduction,
    notification,
    avatar,
    owner,
    member_count,
    created,
    role,
});

/// What there is to know about a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserProfile<'a> {
    /// Who.
    pub id: UserId,
    /// The name shown; may be empty.
    pub nick: &'a str,
    /// Where the picture is; may be empty.
    pub avatar: &'a str,
}
wire!(UserProfile<'a> { id, nick, avatar });

/// The conversations of an answer, newest first.
pub type ConversationList<'a> = List<'a, Conversation<'a>>;

wire!(GroupType(..), Role(..));
