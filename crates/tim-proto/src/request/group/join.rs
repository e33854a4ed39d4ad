//! JOIN_GROUP.

use crate::request::Request;
use crate::wire::{FrameKind, wire};
use crate::{GroupId, JoinStatus};

wire! {
    /// JOIN_GROUP: joins a group, or applies to join it.
    #[derive(Debug)]
    pub struct JoinGroup<'a> {
        /// The group.
        pub group: GroupId,
        /// The application's text for the admins that decide on it; may be empty.
        pub message: &'a str = "" => with_message,
    }
}

impl Request for JoinGroup<'_> {
    const KIND: FrameKind = FrameKind::JOIN_GROUP;
    type Response<'a> = JoinGroupResponse;
}

wire! {
    /// Response to [`JoinGroup`].
    #[derive(Debug)]
    pub struct JoinGroupResponse {
        /// Whether the user is now a member or must wait for approval.
        pub status: JoinStatus,
    }
}
