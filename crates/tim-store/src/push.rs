//! Offline push: where users are notified, and up to where they were.

use tim_proto::UserId;
use tim_proto::request::PushPlatform;

/// A token of a push service, to be registered for a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterPush {
    /// The user.
    pub user: UserId,
    /// The push service.
    pub platform: PushPlatform,
    /// The token, at most [`MAX_PUSH_TOKEN`](tim_proto::request::MAX_PUSH_TOKEN) bytes.
    pub token: String,
    /// The token as the application has written it, if that is not the form that is kept: it may have been registered like that before.
    pub written: Option<String>,
    /// Whether notifications are sent to it.
    pub enabled: bool,
}

/// A token that a user has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushToken {
    /// Its number. It stays as long as the token is this user's.
    pub number: u64,
    /// The push service.
    pub platform: PushPlatform,
    /// The token.
    pub token: String,
    /// Whether notifications are sent to it.
    pub enabled: bool,
}

/// A user with tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushUser {
    /// The user.
    pub user: UserId,
    /// The change through which the user was notified, or was not to be. Everything after it is still to be looked at.
    pub pushed: u64,
}
