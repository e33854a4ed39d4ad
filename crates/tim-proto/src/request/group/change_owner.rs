//! CHANGE_OWNER.

use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};
use crate::{GroupId, UserId};

wire! {
    /// CHANGE_OWNER: transfers a group to another member.
    #[derive(Debug)]
    pub struct ChangeOwner {
        /// The group.
        pub group: GroupId,
        /// The new owner.
        pub owner: UserId,
    }
}

impl Request for ChangeOwner {
    const KIND: FrameKind = FrameKind::CHANGE_OWNER;
    type Response<'a> = Done;
}
