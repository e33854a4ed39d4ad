//! CONVERSATIONS: a page of the conversation list.

use super::Request;
use crate::conversation::ConversationList;
use crate::wire::{FrameKind, wire};

wire! {
    /// CONVERSATIONS: a page of the user's conversations, newest first.
    #[derive(Debug, Default)]
    pub struct Conversations<'a> {
        /// [`ConversationsResponse::next`] of the previous page; empty for the first page.
        pub next: &'a [u8] = &[] => with_next,
        /// The largest number of conversations; 0 for the default, which is also the hub's maximum.
        pub count: u16 = 0 => with_count,
    }
}

impl Request for Conversations<'_> {
    const KIND: FrameKind = FrameKind::CONVERSATIONS;
    type Response<'a> = ConversationsResponse<'a>;
}

wire! {
    /// Response to [`Conversations`].
    #[derive(Debug)]
    pub struct ConversationsResponse<'a> {
        /// [`Conversations::next`] of the next page; empty on the last page.
        pub next: &'a [u8] = &[] => with_next,
        /// Whether this is the last page.
        pub completed: bool = false => with_completed,
        /// The number of unread messages in the conversations of this page and all later pages: on the first page, the user's
        /// total unread. System notices do not count, nor do groups whose receive option is not
        /// [`ACCEPT_AND_NOTIFY`](crate::ReceiveOption::ACCEPT_AND_NOTIFY).
        pub total_unread: u64 = 0 => with_total_unread,
        /// The conversations, newest first; fewer than requested if no more fit into a frame that the client accepts. The whole
        /// page and its total are one snapshot.
        pub conversations: ConversationList<'a>,
    }
}
