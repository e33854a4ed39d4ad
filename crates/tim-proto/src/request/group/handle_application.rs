//! HANDLE_APPLICATION.

use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};
use crate::{GroupId, UserId};

wire! {
    /// HANDLE_APPLICATION: accepts or rejects an application to join.
    #[derive(Debug)]
    pub struct HandleApplication<'a> {
        /// The group.
        pub group: GroupId,
        /// The applicant.
        pub applicant: UserId,
        /// Whether the application is accepted.
        pub accept: bool,
        /// A text for the applicant; may be empty.
        pub message: &'a str = "" => with_message,
        /// The application: `message_key` of its notice, or 0 for the applicant's newest one.
        pub key: u64 = 0 => with_key,
    }
}

impl Request for HandleApplication<'_> {
    const KIND: FrameKind = FrameKind::HANDLE_APPLICATION;
    type Response<'a> = Done;
}
