//! Ids from literals, which a test knows to be valid.

use tim_session::proto::{ConversationId, GroupId, UserId};

/// The user with this name.
///
/// # Panics
/// If it is not a user id.
#[must_use]
#[track_caller]
pub fn user(name: &str) -> UserId {
    UserId::new(name).expect("a user id")
}

/// The group with this name.
///
/// # Panics
/// If it is not a group id.
#[must_use]
#[track_caller]
pub fn group(name: &str) -> GroupId {
    GroupId::new(name).expect("a group id")
}

/// The conversation with this user.
///
/// # Panics
/// If `name` is not a user id.
#[must_use]
#[track_caller]
pub fn c2c(name: &str) -> ConversationId {
    ConversationId::C2c(user(name))
}
