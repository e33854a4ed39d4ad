//! DOWNLOAD: a piece of the file of a message.

use crate::message::ImageSize;
use crate::open::open_newtype;
use crate::request::Request;
use crate::wire::{FrameKind, MAX_FRAME_HEADER_LEN, wire};
use crate::{ConversationId, MessageId};

open_newtype! {
    /// The part of a file that is read: the file itself, or a rendition.
    #[derive(PartialOrd, Ord)]
    pub struct FilePart(u8) {
        /// The file as it was uploaded.
        FILE = 0, "File";
        /// The same as [`FILE`](Self::FILE).
        ORIGINAL = 1, "Original";
        /// The rendition of a picture with at most 720 pixels on its smaller side.
        LARGE = 2, "Large";
        /// The rendition of a picture with at most 198 pixels on its smaller side; the thumbnail of a video, its own or the default one.
        THUMBNAIL = 3, "Thumbnail";
    }
}

impl From<ImageSize> for FilePart {
    fn from(size: ImageSize) -> Self {
        Self(size.0)
    }
}

wire! {
    /// DOWNLOAD: a piece of the file of a message. The hub checks each request: a user who may no longer read the message gets no
    /// more pieces.
    #[derive(Debug)]
    pub struct Download {
        /// The conversation.
        pub conversation: ConversationId,
        /// The message's sequence.
        pub sequence: u64,
        /// The message's id, checked by the hub; all zero if unknown.
        pub message: MessageId = MessageId::NONE => with_message,
        /// The part of the file.
        pub part: FilePart = FilePart::FILE => with_part,
        /// Where the piece begins.
        pub offset: u64,
        /// The maximum length of the piece, in bytes.
        pub len: u32,
    }
}

impl Request for Download {
    const KIND: FrameKind = FrameKind::DOWNLOAD;
    type Response<'a> = DownloadResponse<'a>;
}

wire! {
    /// Response to [`Download`].
    #[derive(Debug)]
    pub struct DownloadResponse<'a> {
        /// The size of the whole part.
        pub total: u64,
        /// The piece. It may be shorter than requested, and is empty only at and behind the end, and if none was requested.
        pub bytes: &'a [u8],
    }
}

impl DownloadResponse<'_> {
    /// The maximum number of bytes of a frame besides the piece: a frame of `max` bytes has room for a piece of `max - OVERHEAD`.
    pub const OVERHEAD: usize = MAX_FRAME_HEADER_LEN + 10 + 5;
}
