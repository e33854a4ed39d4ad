//! The language of tim: ids, messages, notices, text and the wire format. No std, no heap.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod capability;
pub mod code;
pub mod constants;
mod id;
pub mod kind;
pub mod limits;
pub mod notice;
mod open;
pub mod placeholder;
pub mod revoked;
pub mod text;
pub mod tip;
pub mod words;

pub use id::{
    ConversationId, ConversationType, GroupId, IdError, MAX_GROUP_ID_LEN, MAX_USER_ID_LEN, MessageId,
    MessageIdError, SYSTEM_GROUP_PREFIX, UserId,
};
pub use open::UnknownName;
