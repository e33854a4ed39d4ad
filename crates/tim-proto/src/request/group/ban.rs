//! BAN_MEMBERS.

use super::MembersResponse;
use crate::request::Request;
use crate::wire::{FrameKind, List, wire};
use crate::{GroupId, UserId};

wire! {
    /// BAN_MEMBERS: keeps users out of an AVChatRoom for some time.
    #[derive(Debug)]
    pub struct BanMembers<'a> {
        /// The group.
        pub group: GroupId,
        /// The users.
        pub users: List<'a, UserId>,
        /// The duration of the ban in seconds; 0 lifts it.
        pub seconds: u32,
        /// The reason; may be empty.
        pub reason: &'a str = "" => with_reason,
    }
}

impl Request for BanMembers<'_> {
    const KIND: FrameKind = FrameKind::BAN_MEMBERS;
    type Response<'a> = MembersResponse<'a>;
}
