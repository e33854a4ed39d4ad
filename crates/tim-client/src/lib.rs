//! The tim SDK: every call of the documented API under its Rust name.
//!
//! A [`Client`] is a user's device. It logs in, stays logged in over any number of connections, and turns what the hub
//! delivers into [`Event`]s, each message once and in order. Calls have typed answers and one error type, [`ImError`].
//!
//! ```no_run
//! use tim_client::{Client, Event, UserId};
//!
//! # async fn example(user_sig: String) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder(1_400_000_000, UserId::new("alice")?, user_sig).build_tcp("127.0.0.1:7878");
//! let mut events = client.events();
//! client.login().await?;
//! client.wait_until_ready().await?;
//!
//! let message = client.create_text_message(UserId::new("bob")?, "Hello world!")?;
//! client.send_message(&message, Default::default()).await?;
//!
//! while let Some(event) = events.next().await {
//!     if let Event::MessageReceived(messages) = event {
//!         for message in messages {
//!             println!("{}: {}", message.sender(), message.text().unwrap_or("(no text)"));
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod actor;
mod builder;
mod bus;
mod call;
mod calls;
mod client;

mod conversation;
mod error;
mod event;
mod handlers;
mod message;
mod options;
mod profile;
mod shared;
mod state;
mod system;

pub use builder::ClientBuilder;
pub use bus::EventStream;
pub use calls::*;
pub use client::{Client, LoginResponse};
pub use conversation::{Conversation, ConversationProfile};
pub use error::ImError;
pub use event::{Event, EventKind, NetState, NotReadyReason, net_state_name};
pub use handlers::HandlerId;
pub use message::{Flow, MENTION_ALL, Message, Status};
pub use options::{OfflinePush, SendOptions};
pub use profile::{GroupMember, GroupProfile, UserProfile};
pub use tim_proto as proto;
pub use tim_proto::conversation::AtInfo;
pub use tim_proto::limits::Limits;
pub use tim_proto::message::{Custom, Payload};
pub use tim_proto::request::{Gap, MemberOutcome};
pub use tim_proto::{
    AtKind, ConversationId, ConversationType, ErrorCode, GroupId, GroupType, InviteOption, JoinOption,
    JoinStatus, MemberResult, MessageId, MessageKind, Platform, Priority, ReceiveOption, Role, UserId,
};
pub use tim_transport_std as transport;

/// The README's examples are compiled with this crate's.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
