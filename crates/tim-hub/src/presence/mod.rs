//! Presence: which devices are online, and which groups and AVChatRooms their users are in.

pub(crate) mod av_chat_rooms;
pub(crate) mod device_set;
pub(crate) mod grace_period;
pub(crate) mod registry;
