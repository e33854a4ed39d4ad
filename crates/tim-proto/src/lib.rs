//! The language of tim: ids, messages, notices, text and the wire format. No std, no heap.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod capability;
pub mod code;
pub mod constants;
pub mod conversation;
mod id;
pub mod kind;
pub mod limits;
pub mod message;
pub mod notice;
mod open;
pub mod placeholder;
pub mod request;
pub mod revoked;
pub mod text;
pub mod tip;
pub mod wire;
pub mod words;

pub use capability::Platform;
pub use code::ErrorCode;
pub use id::{
    ConversationId, ConversationType, GroupId, IdError, MAX_GROUP_ID_LEN, MAX_USER_ID_LEN, MessageId,
    MessageIdError, SYSTEM_GROUP_PREFIX, UserId,
};
pub use kind::{GroupType, MessageKind, Priority, Role};
pub use message::{Encoded, Message, Payload};
pub use open::UnknownName;
pub use words::Words;
