//! Who users are, as they say it themselves, and as they prove it anew.

use crate::UserId;
use crate::conversation::UserProfile;
use crate::wire::{List, wire};

/// USER_PROFILES: who are these?
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UserProfiles<'a> {
    /// Whom to look up; at most [`crate::limits::MAX_USER_PROFILES`].
    pub users: List<'a, UserId>,
}
wire!(UserProfiles<'a> { users });

/// USER_PROFILES answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UserProfilesAnswer<'a> {
    /// Those that have an account, in the order asked for.
    pub users: List<'a, UserProfile<'a>>,
}
wire!(UserProfilesAnswer<'a> { users });

/// UPDATE_USER_PROFILE: from now on I am shown like this. What is absent stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpdateUserProfile<'a> {
    /// The name shown; may be empty.
    pub nick: Option<&'a str>,
    /// Where the picture is; may be empty.
    pub avatar: Option<&'a str>,
}
wire!(UpdateUserProfile<'a> { nick, avatar });

/// RENEW: this is a newer UserSig of mine; the session goes on with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Renew<'a> {
    /// The proof of who I am, for as long as it says.
    pub user_sig: &'a str,
}
wire!(Renew<'a> { user_sig });

impl core::fmt::Debug for Renew<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // A credential stays out of logs.
        f.debug_struct("Renew").finish_non_exhaustive()
    }
}

/// RENEW answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewAnswer {
    /// When the session ends now, Unix time in seconds.
    pub expires: u64,
}
wire!(RenewAnswer { expires });
