//! UPDATE_USER_PROFILE: changes the user's own profile.

use super::{Done, Request};
use crate::wire::{FrameKind, wire};

wire! {
    /// UPDATE_USER_PROFILE: changes the user's own profile. Absent fields stay unchanged.
    #[derive(Debug, Default)]
    pub struct UpdateUserProfile<'a> {
        /// The display name; may be empty.
        pub nick: Option<&'a str> = None => with_nick,
        /// The avatar's address; may be empty.
        pub avatar: Option<&'a str> = None => with_avatar,
    }
}

impl Request for UpdateUserProfile<'_> {
    const KIND: FrameKind = FrameKind::UPDATE_USER_PROFILE;
    type Response<'a> = Done;
}
