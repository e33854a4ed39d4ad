//! `setMessageRead`, `getConversationList`, `getConversationProfile`, `deleteConversation`.

use std::sync::Arc;

use tim_proto::request::{DeleteConversation, GetConversationProfile, MarkRead};
use tim_proto::{ConversationId, ErrorCode};

use crate::actor::Command;
use crate::call::encoded;
use crate::client::Client;
use crate::{Conversation, ConversationProfile, ImError};

/// The answer to [`Client::set_message_read`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetMessageReadResponse {
    /// Up to where the conversation is read now.
    pub read_sequence: u64,
    /// What is left unread: messages that have come since.
    pub unread_count: u32,
}

/// The answer to [`Client::get_conversation_list`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GetConversationListResponse {
    /// The conversations, newest first (S188, S193).
    pub conversation_list: Vec<Arc<Conversation>>,
    /// Whether there are more, for [`Client::get_latest_conversations`] to get.
    pub is_truncated: bool,
}

/// The answer to [`Client::get_conversation_profile`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GetConversationProfileResponse {
    /// All about it (S197, S199).
    pub conversation: ConversationProfile,
}

/// The answer to [`Client::delete_conversation`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteConversationResponse {
    /// The one that was deleted (S206).
    pub conversation_id: ConversationId,
}

impl Client {
    /// `setMessageRead` (S181-S186): all of a conversation's messages are read, on all devices of the account: those that
    /// the hub has when it gets the request, so also some that are still on their way to this client. With a user with whom
    /// nothing was said yet, and without any notice of the system's, nothing happens.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal:
    /// [`ErrorCode::GROUP_NOT_FOUND`](crate::ErrorCode::GROUP_NOT_FOUND) if there is no such group any more,
    /// [`ErrorCode::GROUP_PERMISSION_DENY`](crate::ErrorCode::GROUP_PERMISSION_DENY) if the user is not in it.
    pub async fn set_message_read(
        &self,
        conversation: impl Into<ConversationId>,
    ) -> Result<SetMessageReadResponse, ImError> {
        self.mark_read(conversation.into(), 0).await
    }

    /// A conversation's messages are read up to and with this one ([`Message::sequence`](crate::Message::sequence)), on all
    /// devices of the account. The SDK has no such call.
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
        let request = encoded(&MarkRead {
            conversation,
            sequence,
        });
        self.call(request, move |state, response| {
            state.take_count(&conversation, (&response).into(), 0);
            SetMessageReadResponse {
                read_sequence: response.read_sequence,
                unread_count: response.unread,
            }
        })
        .await
    }

    /// `getConversationList` (S187-S195): the latest conversations, newest first, 100 unless the limits say otherwise; what
    /// the events tell of the list goes on from there.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal.
    pub async fn get_conversation_list(&self) -> Result<GetConversationListResponse, ImError> {
        self.get_latest_conversations(self.shared.limits.conversations())
            .await
    }

    /// The latest `count` conversations, in as many pages of the hub's list as that takes. From now on the list that the
    /// events tell of has so many. An application that shows more and more of a long list asks for more each time, until
    /// the list is not truncated.
    ///
    /// # Errors
    /// As [`Client::get_conversation_list`].
    pub async fn get_latest_conversations(&self, count: u32) -> Result<GetConversationListResponse, ImError> {
        let depth = usize::try_from(count).unwrap_or(usize::MAX).max(1);
        self.command(|reply| Command::List(depth, reply)).await
    }

    /// `getTotalUnreadMessageCount`: what is unread in all the user's conversations, also in those that are not on this
    /// client's list, as it is known without asking the hub. The system's notices do not count, nor do groups of which the user wants to be told otherwise than
    /// usual ([`Client::set_message_remind_type`]).
    #[must_use]
    pub fn get_total_unread_message_count(&self) -> u64 {
        self.shared.total_unread()
    }

    /// `getConversationProfile` (S196-S201): the list's entry, and all about the group or the user. A conversation with a
    /// user in which nothing was said yet is an empty one; so is that of the system's notices.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal:
    /// [`ErrorCode::USER_OR_GROUP_NOT_FOUND`](crate::ErrorCode::USER_OR_GROUP_NOT_FOUND) if there is no such user,
    /// [`ErrorCode::CONVERSATION_NOT_FOUND`](crate::ErrorCode::CONVERSATION_NOT_FOUND) for a group that one is not in.
    pub async fn get_conversation_profile(
        &self,
        conversation: impl Into<ConversationId>,
    ) -> Result<GetConversationProfileResponse, ImError> {
        let request = encoded(&GetConversationProfile {
            conversation: conversation.into(),
        });
        self.call(request, |state, profile| GetConversationProfileResponse {
            conversation: ConversationProfile {
                conversation: state.described(&profile.conversation),
                group: profile.group.as_ref().map(Into::into),
                user: profile.user.as_ref().map(Into::into),
            },
        })
        .await
    }

    /// `deleteConversation` (S202-S208): takes a conversation off the list. Its messages stay, as read ones, and with the
    /// next one it is back.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal.
    pub async fn delete_conversation(
        &self,
        conversation: impl Into<ConversationId>,
    ) -> Result<DeleteConversationResponse, ImError> {
        let conversation = conversation.into();
        let request = encoded(&DeleteConversation { conversation });
        self.call(request, move |state, response| {
            state.take_count(&conversation, (&response).into(), response.counted);
            DeleteConversationResponse {
                conversation_id: conversation,
            }
        })
        .await
    }
}
