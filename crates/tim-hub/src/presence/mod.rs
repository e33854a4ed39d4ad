//! Presence: which devices are online, and which groups and AVChatRooms their users are in.
//!
//! [`PresenceRegistry`] is the one lock; `tables` holds what it guards, `av_chat_rooms` and `grace_period` parts of that. `others` knows who
//! is online on other hubs of the same database.

mod av_chat_rooms;
mod device_set;
mod grace_period;
mod others;
mod registry;
mod tables;

pub(crate) use av_chat_rooms::Moves;
pub(crate) use others::{Consequence, Said, To};
pub(crate) use registry::PresenceRegistry;

/// Who came into a group, or left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Joined,
    Left,
}

/// How a device goes offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It has lost its connection and may come back: AVChatRooms keep its user for the grace period.
    Cut,
    ForGood,
}
