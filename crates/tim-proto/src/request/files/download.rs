//! DOWNLOAD: a piece of the file of a message.

use crate::message::ImageSize;
use crate::open::open_newtype;
use crate::request::Request;
use crate::wire::{FrameKind, MAX_FRAME_HEADER_LEN, wire};
use crate::{ConversationId, MessageId};

open_newtype! {
    /// What of a message is read: its file, or a rendition of its picture.
    #[derive(PartialOrd, Ord)]
    pub struct FilePart(u8) {
        /// The file itself, as it was uploaded.
        FILE = 0, "File";
        /// The picture, as it was uploaded.
        ORIGINAL = 1, "Original";
        /// The picture, with at most 720 pixels on its smaller side.
        LARGE = 2, "Large";
        /// The picture, with at most 198 pixels on its smaller side; the thumbnail of a video.
        THUMBNAIL = 3, "Thumbnail";
    }
}

impl From<ImageSize> for FilePart {
    fn from(size: ImageSize) -> Self {
        Self(size.0)
    }
}

wire! {
    /// DOWNLOAD: a piece of the file of a message. Each request is checked anew: whoever may no longer read the message gets
    /// no further piece.
    #[derive(Debug)]
    pub struct Download {
        /// The conversation.
        pub conversation: ConversationId,
        /// The message's sequence.
        pub sequence: u64,
        /// The message's id, checked by the hub; all zero if unknown.
        pub message: MessageId = MessageId::NONE => with_message,
        /// What is read.
        pub part: FilePart = FilePart::FILE => with_part,
        /// Where the piece begins.
        pub offset: u64,
        /// The largest length of the piece, in bytes.
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
        /// The size of the whole.
        pub total: u64,
        /// The piece; may be shorter than requested, and is empty at and behind the end only.
        pub bytes: &'a [u8],
    }
}

impl DownloadResponse<'_> {
    /// The most bytes of a frame that are not the piece. The largest piece in a frame of `max` bytes has `max` less this.
    pub const OVERHEAD: usize = MAX_FRAME_HEADER_LEN + 10 + 5;
}
