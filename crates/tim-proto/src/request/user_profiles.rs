//! USER_PROFILES: the profiles of other users.

use super::Request;
use crate::UserId;
use crate::conversation::UserProfile;
use crate::wire::{FrameKind, List, wire};

/// USER_PROFILES: looks up user profiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UserProfiles<'a> {
    /// The users; at most [`crate::limits::MAX_USER_PROFILES`].
    pub users: List<'a, UserId>,
}
wire!(UserProfiles<'a> { users });

impl Request for UserProfiles<'_> {
    const KIND: FrameKind = FrameKind::USER_PROFILES;
    type Response<'a> = UserProfilesResponse<'a>;
}

/// Response to [`UserProfiles`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UserProfilesResponse<'a> {
    /// The profiles of those users that have an account, in the requested order.
    pub users: List<'a, UserProfile<'a>>,
}
wire!(UserProfilesResponse<'a> { users });
