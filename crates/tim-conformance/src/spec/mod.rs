//! A client written from `SPEC.md` alone. It shares no code with `tim-proto` and `tim-session`, so a fault that both ends of
//! tim have in common shows.

mod bodies;
mod client;
mod wire;

pub(crate) use bodies::{Push, RawMessage, SendBody, send_options};
pub(crate) use client::RawClient;
#[cfg(feature = "transport")]
pub(crate) use wire::{HELLO_LEN, MAGIC, first_frame, frame, hello};
pub(crate) use wire::{Input, Output, RawFrame, To, frames_behind_hello};

/// Kinds of frames.
pub(crate) mod kind {
    pub(crate) const LOGIN: u8 = 0x01;
    #[cfg(feature = "transport")]
    pub(crate) const LOGOUT: u8 = 0x02;
    pub(crate) const PING: u8 = 0x03;
    pub(crate) const PONG: u8 = 0x04;
    pub(crate) const ACK: u8 = 0x05;
    pub(crate) const GOODBYE: u8 = 0x06;
    pub(crate) const ERROR: u8 = 0x07;
    pub(crate) const SEND: u8 = 0x10;
    pub(crate) const REVOKE: u8 = 0x11;
    pub(crate) const HISTORY: u8 = 0x12;
    pub(crate) const CONVERSATIONS: u8 = 0x14;
    pub(crate) const DELIVER: u8 = 0x40;
    #[cfg(feature = "transport")]
    pub(crate) const SYNCED: u8 = 0x42;
    /// Set in the kind of a response.
    pub(crate) const RESPONSE: u8 = 0x80;
}
