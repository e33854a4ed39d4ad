//! UPLOAD: a piece of a file.

use crate::request::Request;
use crate::wire::{FrameKind, MAX_FRAME_HEADER_LEN, wire};

wire! {
    /// UPLOAD: the next piece of a file.
    #[derive(Debug)]
    pub struct Upload<'a> {
        /// The number of the upload.
        pub upload: u64,
        /// Where the piece begins: at the end of the previous one.
        pub offset: u64,
        /// The piece.
        pub bytes: &'a [u8],
    }
}

impl Request for Upload<'_> {
    const KIND: FrameKind = FrameKind::UPLOAD;
    type Response<'a> = UploadResponse;
}

impl Upload<'_> {
    /// The maximum number of bytes of a frame besides the piece: a frame of `max` bytes has room for a piece of `max - OVERHEAD`.
    pub const OVERHEAD: usize = MAX_FRAME_HEADER_LEN + 10 + 10 + 5;
}

wire! {
    /// Response to [`Upload`].
    #[derive(Debug)]
    pub struct UploadResponse {
        /// How many bytes of the upload are durable.
        pub offset: u64,
    }
}
