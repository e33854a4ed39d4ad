//! Conversations, owned by the application.

use tim_proto::conversation as wire;
use tim_proto::conversation::AtInfo;
use tim_proto::{ConversationId, ConversationType, GroupType, ReceiveOption};

use crate::{GroupProfile, Message, UserProfile};

/// An entry of the conversation list.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Conversation {
    /// The conversation's id.
    pub id: ConversationId,
    /// The unread messages; own messages are not counted.
    pub unread_count: u32,
    /// The read mark: the sequence up to which the user has read.
    pub read_sequence: u64,
    /// The sequence of the newest entry.
    pub last_sequence: u64,
    /// The group's name or the peer's nick; may be empty.
    pub name: String,
    /// The address of the avatar; may be empty.
    pub avatar: String,
    /// The type of the group; 0 for others.
    pub group_type: GroupType,
    /// The newest message, if there is one.
    pub last_message: Option<Message>,
    /// The receive option of the group; [`ReceiveOption::ACCEPT_AND_NOTIFY`] for other conversations.
    pub message_remind_type: ReceiveOption,
    /// The unread messages that mention the user, oldest first (`groupAtInfoList`); at most the newest 100.
    pub group_at_info_list: Vec<AtInfo>,
}

impl Conversation {
    /// A conversation of which nothing is known.
    pub(crate) fn empty(id: ConversationId) -> Self {
        Self {
            id,
            unread_count: 0,
            read_sequence: 0,
            last_sequence: 0,
            name: String::new(),
            avatar: String::new(),
            group_type: GroupType(0),
            last_message: None,
            message_remind_type: ReceiveOption::ACCEPT_AND_NOTIFY,
            group_at_info_list: Vec::new(),
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
            message_remind_type: conversation.receive_option,
            group_at_info_list: conversation.at.iter().collect(),
        }
    }

    /// Whether both are shown alike, except for changes of the last message itself.
    pub(crate) fn is_shown_as(&self, other: &Self) -> bool {
        let last = |one: &Self| one.last_message.as_ref().map(Message::id);
        let shown = |one: &Self| {
            (
                one.id,
                one.unread_count,
                one.read_sequence,
                one.last_sequence,
                one.group_type,
                one.message_remind_type,
            )
        };
        shown(self) == shown(other)
            && last(self) == last(other)
            && (&self.name, &self.avatar) == (&other.name, &other.avatar)
            && self.group_at_info_list == other.group_at_info_list
    }

    /// The type of the conversation.
    #[must_use]
    pub const fn conversation_type(&self) -> ConversationType {
        self.id.conversation_type()
    }

    /// Whether its unread messages count in the total. Notices do not, nor do groups with another receive option than
    /// [`ReceiveOption::ACCEPT_AND_NOTIFY`].
    #[must_use]
    pub fn counts_in_total(&self) -> bool {
        self.id != ConversationId::System && self.message_remind_type == ReceiveOption::ACCEPT_AND_NOTIFY
    }

    /// The title to show: the name, or else the id of the user or group.
    #[must_use]
    pub fn title(&self) -> &str {
        if self.name.is_empty() {
            self.id.target()
        } else {
            &self.name
        }
    }
}

/// A conversation with the profile of its group or user.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConversationProfile {
    /// The entry of the conversation list.
    pub conversation: Conversation,
    /// The group, for a group conversation.
    pub group: Option<GroupProfile>,
    /// The peer, for a one-to-one conversation.
    pub user: Option<UserProfile>,
}
