//! REMOVE_MEMBERS.

use super::MembersResponse;
use crate::request::Request;
use crate::wire::{FrameKind, List, wire};
use crate::{GroupId, UserId};

wire! {
    /// REMOVE_MEMBERS: removes members from a group.
    #[derive(Debug)]
    pub struct RemoveMembers<'a> {
        /// The group.
        pub group: GroupId,
        /// The members.
        pub users: List<'a, UserId>,
        /// The reason; may be empty.
        pub reason: &'a str = "" => with_reason,
    }
}

impl Request for RemoveMembers<'_> {
    const KIND: FrameKind = FrameKind::REMOVE_MEMBERS;
    type Response<'a> = MembersResponse<'a>;
}
