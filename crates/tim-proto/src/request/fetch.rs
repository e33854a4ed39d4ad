//! FETCH: a piece of the payload of a message that was delivered as a stub.

use super::Request;
use crate::ConversationId;
use crate::wire::{FrameKind, wire};

wire! {
    /// FETCH: a piece of a payload.
    #[derive(Debug)]
    pub struct Fetch {
        /// The conversation.
        pub conversation: ConversationId,
        /// The message's sequence.
        pub sequence: u64,
        /// The offset of the piece in the payload.
        pub offset: u32,
        /// The largest length of the piece, in bytes.
        pub len: u32,
    }
}

impl Request for Fetch {
    const KIND: FrameKind = FrameKind::FETCH;
    type Response<'a> = FetchResponse<'a>;
}

wire! {
    /// Response to [`Fetch`].
    #[derive(Debug)]
    pub struct FetchResponse<'a> {
        /// The length of the whole payload.
        pub total: u32,
        /// The piece; may be shorter than requested.
        pub bytes: &'a [u8],
    }
}
