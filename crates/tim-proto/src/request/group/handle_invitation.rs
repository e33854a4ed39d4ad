//! HANDLE_INVITATION.

use crate::GroupId;
use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};

wire! {
    /// HANDLE_INVITATION: accepts or declines an invitation to a group.
    #[derive(Debug)]
    pub struct HandleInvitation<'a> {
        /// The group.
        pub group: GroupId,
        /// Whether the invitation is accepted.
        pub accept: bool,
        /// A text for the inviter; may be empty.
        pub message: &'a str = "" => with_message,
    }
}

impl Request for HandleInvitation<'_> {
    const KIND: FrameKind = FrameKind::HANDLE_INVITATION;
    type Response<'a> = Done;
}
