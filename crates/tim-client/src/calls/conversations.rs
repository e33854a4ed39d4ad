//! `setMessageRead`, `getConversationList`, `getConversationProfile`, `deleteConversation`.

use std::sync::Arc;

use tim_proto::request::{DeleteConversation, GetConversationProfile, MarkRead};
use tim_proto::{ConversationId, ErrorCode};

use crate::actor::Command;
use crate::call::encoded;
use crate::client::Client;
use crate::{Conversation, ConversationProfile, ImError};

/// The response of [`Client::set_message_read`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetMessageReadResponse {
    /// The read mark: the sequence up to which the conversation is read.
    pub read_sequence: u64,
    /// The messages that are still unread because they have arrived since.
    pub unread_count: u32,
}

/// The response of [`Client::get_conversation_list`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GetConversationListResponse {
    /// The conversations, newest first.
    pub conversation_list: Vec<Arc<Conversation>>,
    /// Whether there are more, which [`Client::get_latest_conversations`] returns.
    pub is_truncated: bool,
}

/// The response of [`Client::get_conversation_profile`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GetConversationProfileResponse {
    /// The conversation.
    pub conversation: ConversationProfile,
}

/// The response of [`Client::delete_conversation`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteConversationResponse {
    /// The deleted conversation.
    pub conversation_id: ConversationId,
}

impl Client {
    /// `setMessageRead`: marks all messages of a conversation as read, on all devices of the account. That covers all messages
    /// that the hub has when the request arrives, including those still on their way to this client. For a conversation
    /// without messages nothing happens.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal:
    /// [`ErrorCode::GROUP_NOT_FOUND`](crate::ErrorCode::GROUP_NOT_FOUND) if the group does not exist,
    /// [`ErrorCode::GROUP_PERMISSION_DENY`](crate::ErrorCode::GROUP_PERMISSION_DENY) if the user is not a member.
    pub async fn set_message_read(
        &self,
        conversation: impl Into<ConversationId>,
    ) -> Result<SetMessageReadResponse, ImError> {
        self.mark_read(conversation.into(), 0).await
    }

    /// Marks the messages of a conversation as read up to and including this sequence
    /// ([`Message::sequence`](crate::Message::sequence)), on all devices of the account. Not in the Web SDK.
    ///
    /// # Errors
    /// [`ErrorCode::INVALID_OPERATION`] for 0, which no stored message has; not being ready, or the hub's refusal.
    pub async fn set_message_read_up_to(
        &self,
        conversation: impl Into<ConversationId>,
        sequence: u64,
    ) -> Result<SetMessageReadResponse, ImError> {
        if sequence == 0 {
            let text = "no stored message has the sequence 0";
            return Err(ImError::new(ErrorCode::INVALID_OPERATION, text));
        }
        self.mark_read(conversation.into(), sequence).await
    }

    async fn mark_read(
        &self,
        conversation: ConversationId,
        sequence: u64,
    ) -> Result<SetMessageReadResponse, ImError> {
        let request = encoded(&MarkRead::new(conversation).with_sequence(sequence));
        self.call(request, move |state, response| {
            state.take_count(&conversation, (&response).into(), 0);
            SetMessageReadResponse {
                read_sequence: response.read_sequence,
                unread_count: response.unread,
            }
        })
        .await
    }

    /// `getConversationList`: the latest conversations, newest first, 100 unless the limits set another number. Events report
    /// later changes of the list.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal.
    pub async fn get_conversation_list(&self) -> Result<GetConversationListResponse, ImError> {
        self.get_latest_conversations(self.shared.limits.conversations())
            .await
    }

    /// The latest `count` conversations, in as many pages of the hub's list as needed. From now on the list in events has
    /// that length. To show more of a long list, call this with a larger count, until the list is not truncated.
    ///
    /// # Errors
    /// As [`Client::get_conversation_list`].
    pub async fn get_latest_conversations(&self, count: u32) -> Result<GetConversationListResponse, ImError> {
        let depth = usize::try_from(count).unwrap_or(usize::MAX).max(1);
        self.command(|reply| Command::List(depth, reply)).await
    }

    /// `getTotalUnreadMessageCount`: the unread messages in all conversations of the user, including those beyond this
    /// client's list, as far as known without asking the hub. Notices do not count, nor do groups with another receive
    /// option than the default ([`Client::set_message_remind_type`]).
    #[must_use]
    pub fn get_total_unread_message_count(&self) -> u64 {
        self.shared.total_unread()
    }

    /// `getConversationProfile`: the entry of the conversation list, and the profile of the group or user. A one-to-one
    /// conversation without messages is an empty one, as is that of notices without any.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal:
    /// [`ErrorCode::USER_OR_GROUP_NOT_FOUND`](crate::ErrorCode::USER_OR_GROUP_NOT_FOUND) if the user does not exist,
    /// [`ErrorCode::CONVERSATION_NOT_FOUND`](crate::ErrorCode::CONVERSATION_NOT_FOUND) for a group that the user is not in.
    pub async fn get_conversation_profile(
        &self,
        conversation: impl Into<ConversationId>,
    ) -> Result<GetConversationProfileResponse, ImError> {
        let request = encoded(&GetConversationProfile::new(conversation.into()));
        self.call(request, |state, profile| GetConversationProfileResponse {
            conversation: ConversationProfile {
                conversation: state.described(&profile.conversation),
                group: profile.group.as_ref().map(Into::into),
                user: profile.user.as_ref().map(Into::into),
            },
        })
        .await
    }

    /// `deleteConversation`: removes a conversation from the list. Its messages remain, marked as read; the next message
    /// brings it back.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal.
    pub async fn delete_conversation(
        &self,
        conversation: impl Into<ConversationId>,
    ) -> Result<DeleteConversationResponse, ImError> {
        let conversation = conversation.into();
        let request = encoded(&DeleteConversation::new(conversation));
        self.call(request, move |state, response| {
            state.take_count(&conversation, (&response).into(), response.counted);
            DeleteConversationResponse {
                conversation_id: conversation,
            }
        })
        .await
    }
}
