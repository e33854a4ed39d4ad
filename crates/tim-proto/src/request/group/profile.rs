//! GROUP_PROFILE.

use crate::GroupId;
use crate::conversation::GroupProfile;
use crate::request::Request;
use crate::wire::{FrameKind, wire};

wire! {
    /// GROUP_PROFILE: the profile of a group.
    #[derive(Debug)]
    pub struct GetGroupProfile {
        /// The group.
        pub group: GroupId,
    }
}

impl Request for GetGroupProfile {
    const KIND: FrameKind = FrameKind::GROUP_PROFILE;
    type Response<'a> = GroupProfile<'a>;
}
