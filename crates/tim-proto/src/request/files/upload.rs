//! UPLOAD: a piece of a file.

use crate::request::Request;
use crate::wire::{FrameKind, MAX_FRAME_HEADER_LEN, wire};

wire! {
    /// UPLOAD: the next piece of a file.
    #[derive(Debug)]
    pub struct Upload<'a> {
        /// The number of the upload.
        pub upload: u64,
        /// Where the piece begins: the end of the piece before it.
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
    /// The most bytes of a frame that are not the piece. The largest piece in a frame of `max` bytes has `max` less this.
    pub const OVERHEAD: usize = MAX_FRAME_HEADER_LEN + 10 + 10 + 5;
}

wire! {
    /// Response to [`Upload`].
    #[derive(Debug)]
    pub struct UploadResponse {
        /// How many bytes are stored so that not even a crash of the hub loses them.
        pub offset: u64,
    }
}
