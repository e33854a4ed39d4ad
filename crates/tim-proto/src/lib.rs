#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! | module | contents |
//! |---|---|
//! | the root | ids: [`UserId`], [`GroupId`], [`ConversationId`], [`MessageId`] |
//! | [`message`] | [`Message`], its payloads and the options of sending |
//! | [`conversation`] | entries of the conversation list, profiles |
//! | [`request`] | requests, responses and pushes |
//! | [`wire`] | bytes: hello, frames, bodies, serial framing; `SPEC.md` has the tables |
//! | [`kind`] | kinds of message and group, priorities, roles |
//! | [`unread`](mod@unread) | the rule of unread counts, and a counter that follows it |
//! | [`render`] | what people read: emoji in text, notices, tips, revocations, placeholders |
//! | [`vendor`] | the vendor's tables: error codes, constants, limits, capabilities of platforms |
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod conversation;
#[cfg(feature = "defmt")]
mod defmt;
mod file_id;
mod file_name;
mod id;
pub mod kind;
pub mod message;
mod message_id;
mod open;
#[doc(hidden)]
pub mod planted;
pub mod render;
pub mod request;
mod shown_name;
pub mod unread;
pub mod vendor;
pub mod wire;

pub use file_id::{FileId, NoFileId};
pub use file_name::{FileNameError, check_file_name};
pub use id::{
    ConversationId, ConversationType, GroupId, IdError, MAX_GROUP_ID_LEN, MAX_USER_ID_LEN, MessageId,
    MessageIdError, SYSTEM_GROUP_PREFIX, UserId,
};
pub use kind::{
    AtKind, GroupType, InviteOption, JoinOption, JoinStatus, MemberResult, MessageKind, Priority,
    ReceiveOption, Role,
};
pub use message::{Encoded, MENTION_ALL, Message, MessageFlags, Payload};
pub use message_id::{ClientSequence, MAX_SUCCESSORS, MessageRandom};
pub use open::UnknownName;
pub use render::Words;
pub use shown_name::{ShownNameError, check_shown_name};
pub use vendor::capability::Platform;
pub use vendor::code::ErrorCode;
