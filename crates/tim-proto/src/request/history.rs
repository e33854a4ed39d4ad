//! HISTORY: a page of a conversation's messages, newest page first.

use super::Request;
use crate::wire::{FrameKind, List, wire};
use crate::{ConversationId, Message};

wire! {
    /// HISTORY: a page of a conversation's messages.
    ///
    /// ```
    /// use tim_proto::request::{History, HistoryResponse};
    ///
    /// /// The request for the page of older messages, unless this is the oldest page.
    /// fn older<'a>(request: &History<'_>, response: &HistoryResponse<'a>) -> Option<History<'a>> {
    ///     let next = History::new(request.conversation).with_next(response.next).with_count(request.count);
    ///     (!response.completed).then_some(next)
    /// }
    /// # let request = History::new(tim_proto::ConversationId::System).with_count(20);
    /// # let page = HistoryResponse::new(tim_proto::wire::List::EMPTY).with_next(&[7]);
    /// # assert_eq!(older(&request, &page), Some(request.with_next(&[7])));
    /// # assert_eq!(older(&request, &page.with_completed(true)), None);
    /// ```
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
