//! SET_RECEIVE_OPTION.

use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};
use crate::{GroupId, ReceiveOption};

/// SET_RECEIVE_OPTION: sets how the user receives a group's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetReceiveOption {
    /// The group.
    pub group: GroupId,
    /// The receive option.
    pub option: ReceiveOption,
}
wire!(SetReceiveOption { group, option });

impl Request for SetReceiveOption {
    const KIND: FrameKind = FrameKind::SET_RECEIVE_OPTION;
    type Response<'a> = Done;
}
