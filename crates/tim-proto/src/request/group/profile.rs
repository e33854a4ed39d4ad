//! GROUP_PROFILE.

use crate::GroupId;
use crate::conversation::GroupProfile;
use crate::request::Request;
use crate::wire::{FrameKind, wire};

/// GROUP_PROFILE: the profile of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetGroupProfile {
    /// The group.
    pub group: GroupId,
}
wire!(GetGroupProfile { group });

impl Request for GetGroupProfile {
    const KIND: FrameKind = FrameKind::GROUP_PROFILE;
    type Response<'a> = GroupProfile<'a>;
}
