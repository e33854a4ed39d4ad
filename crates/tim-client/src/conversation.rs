//! Conversations as the application holds them.

use tim_proto::conversation as wire;
use tim_proto::{ConversationId, ConversationType, GroupId, GroupType, Role, UserId};

use crate::Message;

/// An entry of the conversation list (S190): enough to draw it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Conversation {
    /// Which conversation.
    pub id: ConversationId,
    /// Messages not read yet, own ones not counted.
    pub unread_count: u32,
    /// Up to where the user has read.
    pub read_sequence: u64,
    /// The newest entry's sequence.
    pub last_sequence: u64,
    /// The group's name or the peer's nick; may be empty.
    pub name: String,
    /// Where the picture is; may be empty.
    pub avatar: String,
    /// The type of the group; 0 for others.
    pub group_type: GroupType,
    /// The newest message; absent if none is left.
    pub last_message: Option<Message>,
    /// Up to which sequence `unread_count` has counted.
    pub(crate) counted: u64,
}

impl Conversation {
    /// One of which nothing is known yet.
    pub(crate) const fn empty(id: ConversationId) -> Self {
        Self {
            id,
            unread_count: 0,
            read_sequence: 0,
            last_sequence: 0,
            name: String::new(),
            avatar: String::new(),
            group_type: GroupType(0),
            last_message: None,
            counted: 0,
        }
    }

    pub(crate) fn from_wire(conversation: &wire::Conversation<'_>, last_message: Option<Message>) -> Self {
        Self {
            id: conversation.id,
            unread_count: conversation.unread,
            read_sequence: conversation.read_sequence,
            last_sequence: conversation.last_sequence,
            name: conversation.name.into(),
            avatar: conversation.avatar.into(),
            group_type: conversation.group_type,
            last_message,
            counted: conversation.last_sequence,
        }
    }

    /// Which kind of conversation it is.
    #[must_use]
    pub const fn conversation_type(&self) -> ConversationType {
        self.id.conversation_type()
    }

    /// What to show as its title: its name, or else the user's or group's id.
    #[must_use]
    pub fn title(&self) -> &str {
        if self.name.is_empty() {
            self.id.target()
        } else {
            &self.name
        }
    }
}

/// All about one conversation (S196-S201).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConversationProfile {
    /// The list's entry.
    pub conversation: Conversation,
    /// The group, if it is one.
    pub group: Option<GroupProfile>,
    /// The peer, if it is a user.
    pub user: Option<UserProfile>,
}

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
    /// What the asking user is in it.
    pub role: Role,
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
