//! QUIT_GROUP.

use crate::GroupId;
use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};

wire! {
    /// QUIT_GROUP: leaves a group.
    #[derive(Debug)]
    pub struct QuitGroup {
        /// The group.
        pub group: GroupId,
    }
}

impl Request for QuitGroup {
    const KIND: FrameKind = FrameKind::QUIT_GROUP;
    type Response<'a> = Done;
}
