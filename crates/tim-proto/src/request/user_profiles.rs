//! USER_PROFILES: the profiles of other users.

use super::Request;
use crate::UserId;
use crate::conversation::UserProfile;
use crate::wire::{FrameKind, List, wire};

wire! {
    /// USER_PROFILES: looks up user profiles.
    #[derive(Debug)]
    pub struct UserProfiles<'a> {
        /// The users; at most [`crate::vendor::limits::MAX_USER_PROFILES`].
        pub users: List<'a, UserId>,
    }
}

impl Request for UserProfiles<'_> {
    const KIND: FrameKind = FrameKind::USER_PROFILES;
    type Response<'a> = UserProfilesResponse<'a>;
}

wire! {
    /// Response to [`UserProfiles`].
    #[derive(Debug)]
    pub struct UserProfilesResponse<'a> {
        /// The profiles of those users that have an account, in the requested order.
        pub users: List<'a, UserProfile<'a>>,
    }
}
