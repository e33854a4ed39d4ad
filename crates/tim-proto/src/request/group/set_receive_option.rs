//! SET_RECEIVE_OPTION.

use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};
use crate::{GroupId, ReceiveOption};

wire! {
    /// SET_RECEIVE_OPTION: sets how the user receives a group's messages.
    #[derive(Debug)]
    pub struct SetReceiveOption {
        /// The group.
        pub group: GroupId,
        /// The receive option.
        pub option: ReceiveOption,
    }
}

impl Request for SetReceiveOption {
    const KIND: FrameKind = FrameKind::SET_RECEIVE_OPTION;
    type Response<'a> = Done;
}
