//! CHANGE_OWNER.

use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};
use crate::{GroupId, UserId};

/// CHANGE_OWNER: transfers a group to another member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeOwner {
    /// The group.
    pub group: GroupId,
    /// The new owner.
    pub owner: UserId,
}
wire!(ChangeOwner { group, owner });

impl Request for ChangeOwner {
    const KIND: FrameKind = FrameKind::CHANGE_OWNER;
    type Response<'a> = Done;
}
