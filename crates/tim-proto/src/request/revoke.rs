//! REVOKE: revokes a stored message.

use super::Request;
use crate::wire::{FrameKind, wire};
use crate::{ConversationId, MessageId};

wire! {
    /// REVOKE: revokes a message.
    ///
    /// ```
    /// use tim_proto::Message;
    /// use tim_proto::request::Revoke;
    ///
    /// fn revoke<'a>(message: &Message<'_>, reason: &'a str) -> Revoke<'a> {
    ///     Revoke::new(message.to, message.envelope.sequence).with_message(message.id).with_reason(reason)
    /// }
    /// ```
    #[derive(Debug)]
    pub struct Revoke<'a> {
        /// The conversation.
        pub conversation: ConversationId,
        /// The message's sequence.
        pub sequence: u64,
        /// The message's id, checked by the hub; all zero if unknown.
        pub message: MessageId = MessageId::NONE => with_message,
        /// The reason; may be empty.
        pub reason: &'a str = "" => with_reason,
    }
}

impl Request for Revoke<'_> {
    const KIND: FrameKind = FrameKind::REVOKE;
    type Response<'a> = RevokeResponse;
}

wire! {
    /// Response to [`Revoke`].
    #[derive(Debug)]
    pub struct RevokeResponse {
        /// The sequence of the revocation entry.
        pub sequence: u64,
    }
}
