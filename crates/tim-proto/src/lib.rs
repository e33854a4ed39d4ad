//! The language of tim: ids, messages, notices, text and the wire format. No std, no heap.
#![no_std]

#[cfg(feature = "std")]
extern crate std;
#[cfg(feature = "alloc")]
extern crate alloc;

mod id;
pub mod text;

pub use id::{
    ConversationId, ConversationType, GroupId, IdError, MAX_GROUP_ID_LEN, MAX_USER_ID_LEN, MessageId, MessageIdError,
    SYSTEM_GROUP_PREFIX, UserId,
};
