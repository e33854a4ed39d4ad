//! The two ends of a tim connection, as machines without input or output of their own. No std, no heap.
//!
//! [`ClientSession`] is a user's device: it logs in, stays logged in over any number of connections, keeps every request
//! until it is answered or timed out, and hands over each message once. [`HubSession`] is the hub's end of one
//! connection. Neither opens a socket, reads a clock or draws a random number: a *driver* moves the bytes, passes the
//! time, and gives a seed. The same machines run on a microcontroller and in the hub.
//!
//! # Driving a session
//!
//! Four things go in and out, in any order and any portion, and none of them waits:
//!
//! - received bytes: read into [`ClientSession::space`], then [`ClientSession::received`];
//! - bytes to send: write what [`ClientSession::outgoing`] shows, then confirm with [`ClientSession::transmitted`];
//! - time and events: [`ClientSession::poll`] until it says [`Output::Wait`];
//! - commands: [`ClientSession::request`] and its relatives, which return at once.
//!
//! A driver keeps no protocol state, so it can be cancelled between any two calls without losing anything.
//! Bytes to send are a view beside `poll`, not one of its outputs, so that a blocked line never keeps events back and
//! two tasks can share a session.
#![no_std]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;

mod buffer;
mod client;
mod hub;
mod link;
mod time;

#[cfg(feature = "alloc")]
pub use buffer::GrowBuffer;
pub use buffer::{Buffer, FixedBuffer};
pub use client::{
    ClientConfig, ClientSession, Event, MAX_CURSOR_LEN, NetState, NotReadyReason, Output, RequestError,
    Ticket,
};
pub use hub::{AnswerError, CloseReason, DeliverError, HubConfig, HubEvent, HubOutput, HubSession};
pub use tim_proto as proto;
pub use time::Instant;
