//! HISTORY: a page of a conversation's messages, newest page first.

use super::Request;
use crate::wire::{FrameKind, List, wire};
use crate::{ConversationId, Message};

wire! {
    /// HISTORY: a page of a conversation's messages.
    #[derive(Debug)]
    pub struct History<'a> {
        /// The conversation.
        pub conversation: ConversationId,
        /// [`HistoryResponse::next`] of the newer page; empty for the newest page.
        pub next: &'a [u8] = &[] => with_next,
        /// The largest number of messages; 0 for the default.
        pub count: u16 = 0 => with_count,
    }
}

impl Request for History<'_> {
    const KIND: FrameKind = FrameKind::HISTORY;
    type Response<'a> = HistoryResponse<'a>;
}

wire! {
    /// Response to [`History`].
    #[derive(Debug)]
    pub struct HistoryResponse<'a> {
        /// [`History::next`] of the older page (`nextReqMessageID`).
        pub next: &'a [u8] = &[] => with_next,
        /// Whether this is the oldest page.
        pub completed: bool = false => with_completed,
        /// The messages, oldest first.
        pub messages: List<'a, Message<'a>>,
    }
}
