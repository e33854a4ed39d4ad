//! QUIT_GROUP.

use crate::GroupId;
use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};

/// QUIT_GROUP: leaves a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuitGroup {
    /// The group.
    pub group: GroupId,
}
wire!(QuitGroup { group });

impl Request for QuitGroup {
    const KIND: FrameKind = FrameKind::QUIT_GROUP;
    type Response<'a> = Done;
}
