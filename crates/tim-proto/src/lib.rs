//! The language of tim: ids, messages, notices, text and the wire format. No std, no heap.
//!
//! Everything that can be said in tim is a type here, and everything that arrives is read in place: a [`Message`] borrows
//! from the bytes that it came in. Nothing panics, whatever the bytes; numbers that nobody here knows yet (kinds, codes,
//! operations) are values like any other and are passed on as they came. To talk to a hub, take this crate by way of
//! `tim-session`, which re-exports it.
//!
//! # Ids
//!
//! An id is checked once, when it is made, and fits in place:
//!
//! ```
//! use tim_proto::{ConversationId, IdError, UserId};
//!
//! const ALICE: UserId = match UserId::new("alice") {
//!     Ok(id) => id,
//!     Err(_) => panic!("a literal, checked by the compiler"),
//! };
//! let chat: ConversationId = "C2Calice".parse()?;
//! assert_eq!(chat, ConversationId::C2c(ALICE));
//! assert_eq!(UserId::new("小明"), Err(IdError::BadByte { at: 0, byte: 0xe5 }));
//! # Ok::<(), IdError>(())
//! ```
//!
//! # A message
//!
//! The bytes of a message, as a DELIVER frame or a store has them, and what they say:
//!
//! ```
//! use tim_proto::{ConversationId, Message, Payload, UserId};
//!
//! let bytes = b"\x05\xd7\x92\x95\xad\x06\0\x07\x05alice\x01\x03bob\x63\xd7\x92\x95\xad\x06\x2a\x01\x02\x01\x03\x02hi";
//! let message = Message::decode_from(bytes)?;
//! assert_eq!((message.envelope.sequence, message.sender().as_str()), (5, "alice"));
//! // Bob reads it in his conversation with Alice.
//! let bob = UserId::new("bob")?;
//! assert_eq!(message.conversation_of(&bob).to_string(), "C2Calice");
//! match message.payload {
//!     Payload::Text(said) => assert_eq!(said.text, "hi"),
//!     Payload::Unknown(kind, bytes) => println!("{} bytes of kind {kind}", bytes.len()),
//!     other => println!("{other:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Message`] shows how to make one; [`Encoded`] keeps the bytes of one that was checked.
//!
//! # What people read
//!
//! Text with emojis, group tips, system notices, revoked messages and placeholders are iterators or values that print, in
//! the words of your choice:
//!
//! ```
//! use tim_proto::text::{self, Span};
//! use tim_proto::tip::{TipOperation, tip_text};
//! use tim_proto::Words;
//!
//! let mut spans = text::spans("好[呲牙]", &text::SEED);
//! assert_eq!(spans.next(), Some(Span::Text("好")));
//! assert_eq!(spans.next(), Some(Span::Emoji { key: "[呲牙]", file: "emoji_1.png" }));
//!
//! let tip = tip_text(TipOperation::QUIT, "", ["bob"], Words::ENGLISH);
//! assert_eq!(tip.to_string(), "Left the group: bob");
//! ```
//!
//! # The modules
//!
//! | module | what it has |
//! |---|---|
//! | the root | ids: [`UserId`], [`GroupId`], [`ConversationId`], [`MessageId`] (S1-S8, S12) |
//! | [`message`] | [`Message`], its payloads and the options of sending (S9-S107) |
//! | [`conversation`] | entries of the conversation list, profiles (S187-S201) |
//! | [`request`] | what a client asks and what the hub answers and pushes |
//! | [`wire`] | bytes: hello, frames, bodies, serial lines; `SPEC.md` has the tables |
//! | [`kind`] | kinds of message and group, priorities, roles |
//! | [`code`](mod@code) | error codes with names and advice (S25) |
//! | [`text`] | emojis in text (S133-S145) |
//! | [`notice`], [`tip`], [`revoked`], [`placeholder`] | what stands for messages that are no text (S115, S116, S146-S170) |
//! | [`words`] | in which words: the seed's Chinese, full-width Chinese, English |
//! | [`unread`](mod@unread) | how many messages are unread: the rule, and a count that keeps it |
//! | [`capability`] | what runs on which platform, and since when (S39, S55, S64, S103, S209, S210) |
//! | [`limits`] | every limit of the service, to read and to change |
//! | [`constants`] | the SDK's constants by name |
//!
//! # Features
//!
//! None by default: no heap, no std. `alloc` adds owned forms (`Message::to_owned`); `std` adds a faster search for
//! brackets in long texts.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod capability;
pub mod code;
pub mod constants;
pub mod conversation;
#[cfg(feature = "defmt")]
mod defmt;
mod id;
pub mod kind;
pub mod limits;
pub mod message;
mod message_id;
pub mod notice;
mod open;
pub mod placeholder;
pub mod request;
pub mod revoked;
mod shown_name;
pub mod text;
pub mod tip;
pub mod unread;
pub mod wire;
pub mod words;

pub use capability::Platform;
pub use code::ErrorCode;
pub use id::{
    ConversationId, ConversationType, GroupId, IdError, MAX_GROUP_ID_LEN, MAX_USER_ID_LEN, MessageId,
    MessageIdError, SYSTEM_GROUP_PREFIX, UserId,
};
pub use kind::{
    AtKind, GroupType, InviteOption, JoinOption, JoinStatus, MemberResult, MessageKind, Priority,
    ReceiveOption, Role,
};
pub use message::{Encoded, MENTION_ALL, Message, Payload};
pub use message_id::{ClientSequence, MAX_SUCCESSORS, MessageRandom};
pub use open::UnknownName;
pub use shown_name::{ShownNameError, check_shown_name};
pub use words::Words;
