//! END_UPLOAD: all pieces were sent.

use crate::message::{ImageFormat, ImageInfo};
use crate::request::Request;
use crate::wire::{FrameKind, List, wire};

wire! {
    /// END_UPLOAD: all pieces were sent. The hub compares size and SHA-256 with what was announced.
    #[derive(Debug)]
    pub struct EndUpload {
        /// The number of the upload.
        pub upload: u64,
    }
}

impl Request for EndUpload {
    const KIND: FrameKind = FrameKind::END_UPLOAD;
    type Response<'a> = EndUploadResponse<'a>;
}

wire! {
    /// Response to [`EndUpload`]: what goes into the payload of the message.
    #[derive(Debug)]
    pub struct EndUploadResponse<'a> {
        /// The file's name in the hub: the `uuid` of the payload.
        pub uuid: &'a str,
        /// The size in bytes.
        pub size: u64,
        /// The renditions of an image: original, thumbnail, large. Of a video the default thumbnail, a PNG.
        /// Otherwise empty.
        pub images: List<'a, ImageInfo<'a>> = List::EMPTY => with_images,
        /// The format of an image, determined from its content.
        pub format: ImageFormat = ImageFormat::UNKNOWN => with_format,
    }
}
