//! `setMessageRead`, `getConversationList`, `getConversationProfile`, `deleteConversation`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tim_proto::ConversationId;
use tim_proto::request::{Answer, Conversations, MarkRead, OneConversation, Request};

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
    /// Whether some were left out because the answer would have been larger than this client accepts.
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
    /// `setMessageRead` (S181-S186): all of a conversation's messages are read, on all devices of the account. Where there
    /// is none, nothing happens.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal.
    pub async fn set_message_read(
        &self,
        conversation: impl Into<ConversationId>,
    ) -> Result<SetMessageReadResponse, ImError> {
        let conversation = conversation.into();
        let request = Request::MarkRead(MarkRead {
            conversation,
            sequence: 0,
        });
        self.request(request, move |core, answer| match answer {
            Answer::MarkRead(read) => {
                core.conversations
                    .mark_read(&conversation, read.read_sequence, read.unread);
                core.list_has_changed();
                Ok(SetMessageReadResponse {
                    read_sequence: read.read_sequence,
                    unread_count: read.unread,
                })
            }
            _ => Err(ImError::unexpected_answer()),
        })
        .await
    }

    /// `getConversationList` (S187-S195): the latest conversations, newest first; what the events tell of the list goes on
    /// from there.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal.
    pub async fn get_conversation_list(&self) -> Result<GetConversationListResponse, ImError> {
        let request = Request::Conversations(Conversations { count: 0 });
        self.request(request, |core, answer| match answer {
            Answer::Conversations(list) => {
                core.replace_list(list);
                let conversation_list = core.conversations.list();
                Ok(GetConversationListResponse {
                    conversation_list,
                    is_truncated: list.truncated,
                })
            }
            _ => Err(ImError::unexpected_answer()),
        })
        .await
    }

    /// `getTotalUnreadMessageCount`: what is unread in all conversations of the list, as this client knows it without
    /// asking the hub. The system's notices do not count, nor do groups of which the user wants to be told otherwise than
    /// usual ([`Client::set_message_remind_type`]).
    #[must_use]
    pub fn get_total_unread_message_count(&self) -> u64 {
        self.shared.total_unread.load(Ordering::Relaxed)
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
        let request = Request::ConversationProfile(OneConversation {
            conversation: conversation.into(),
        });
        self.request(request, |core, answer| match answer {
            Answer::ConversationProfile(profile) => Ok(GetConversationProfileResponse {
                conversation: ConversationProfile {
                    conversation: core.conversation(&profile.conversation),
                    group: profile.group.as_ref().map(Into::into),
                    user: profile.user.as_ref().map(Into::into),
                },
            }),
            _ => Err(ImError::unexpected_answer()),
        })
        .await
    }

    /// `deleteConversation` (S202-S208): takes a conversation off the list. Its messages stay, and with the next one it is
    /// back.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal.
    pub async fn delete_conversation(
        &self,
        conversation: impl Into<ConversationId>,
    ) -> Result<DeleteConversationResponse, ImError> {
        let conversation = conversation.into();
        let request = Request::DeleteConversation(OneConversation { conversation });
        self.request(request, move |core, answer| match answer {
            Answer::Done => {
                core.conversations.remove(&conversation);
                core.list_has_changed();
                Ok(DeleteConversationResponse {
                    conversation_id: conversation,
                })
            }
            _ => Err(ImError::unexpected_answer()),
        })
        .await
    }
}
