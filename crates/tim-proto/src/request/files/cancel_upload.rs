//! CANCEL_UPLOAD: forgets an upload.

use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};

wire! {
    /// CANCEL_UPLOAD: removes what was uploaded. An upload that the hub does not know is cancelled already.
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
