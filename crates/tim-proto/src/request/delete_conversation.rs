//! DELETE_CONVERSATION: removes a conversation from the list.

use super::{MarkReadResponse, Request};
use crate::ConversationId;
use crate::wire::{FrameKind, wire};

wire! {
    /// DELETE_CONVERSATION: removes a conversation from the list and marks it as read. Its messages are kept.
    #[derive(Debug)]
    pub struct DeleteConversation {
        /// The conversation.
        pub conversation: ConversationId,
    }
}

impl Request for DeleteConversation {
    const KIND: FrameKind = FrameKind::DELETE_CONVERSATION;
    type Response<'a> = MarkReadResponse;
}
