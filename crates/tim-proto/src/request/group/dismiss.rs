//! DISMISS_GROUP.

use crate::GroupId;
use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};

wire! {
    /// DISMISS_GROUP: dissolves a group.
    #[derive(Debug)]
    pub struct DismissGroup {
        /// The group.
        pub group: GroupId,
    }
}

impl Request for DismissGroup {
    const KIND: FrameKind = FrameKind::DISMISS_GROUP;
    type Response<'a> = Done;
}
