//! CANCEL_UPLOAD: removes an upload.

use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};

wire! {
    /// CANCEL_UPLOAD: removes an upload and what was received of it. It succeeds too if there is no such upload.
    #[derive(Debug)]
    pub struct CancelUpload {
        /// The number of the upload.
        pub upload: u64,
    }
}

impl Request for CancelUpload {
    const KIND: FrameKind = FrameKind::CANCEL_UPLOAD;
    type Response<'a> = Done;
}
