//! FILE_URL: a URL for the file of a message.

use super::FilePart;
use crate::request::Request;
use crate::wire::{FrameKind, wire};
use crate::{ConversationId, MessageId};

wire! {
    /// FILE_URL: a URL at which the file of a message can be read by HTTP for a while.
    #[derive(Debug)]
    pub struct FileUrl {
        /// The conversation.
        pub conversation: ConversationId,
        /// The message's sequence.
        pub sequence: u64,
        /// The message's id, checked by the hub; all zero if unknown.
        pub message: MessageId = MessageId::NONE => with_message,
        /// The part of the file.
        pub part: FilePart = FilePart::FILE => with_part,
    }
}

impl Request for FileUrl {
    const KIND: FrameKind = FrameKind::FILE_URL;
    type Response<'a> = FileUrlResponse<'a>;
}

wire! {
    /// Response to [`FileUrl`]. `Debug` leaves the URL out.
    pub struct FileUrlResponse<'a> {
        /// The URL. It is a credential: whoever has it can read the file.
        pub url: &'a str,
        /// When the URL expires, Unix time in seconds.
        pub expires: u64,
    }
}

impl core::fmt::Debug for FileUrlResponse<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The URL is a credential and must not reach logs.
        f.debug_struct("FileUrlResponse")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
