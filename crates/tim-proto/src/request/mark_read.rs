//! MARK_READ: marks the messages of a conversation as read.

use super::Request;
use crate::ConversationId;
use crate::wire::{FrameKind, wire};

wire! {
    /// MARK_READ: marks a conversation's messages as read.
    #[derive(Debug)]
    pub struct MarkRead {
        /// The conversation.
        pub conversation: ConversationId,
        /// The last sequence to mark; 0 for all messages.
        pub sequence: u64 = 0 => with_sequence,
    }
}

impl Request for MarkRead {
    const KIND: FrameKind = FrameKind::MARK_READ;
    type Response<'a> = MarkReadResponse;
}

wire! {
    /// Response to [`MarkRead`] and [`DeleteConversation`](super::DeleteConversation). Deleting a conversation marks all of it
    /// as read: `unread` is 0, and the conversation stays off the list until an entry after `counted`.
    #[derive(Debug)]
    pub struct MarkReadResponse {
        /// The last sequence that is read.
        pub read_sequence: u64,
        /// The number of messages that remain unread.
        pub unread: u32 = 0 => with_unread,
        /// The last sequence that `unread` takes into account; see [`crate::unread`].
        pub counted: u64 = 0 => with_counted,
    }
}
