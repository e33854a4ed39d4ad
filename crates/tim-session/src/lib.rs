#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;

mod buffer;
mod client;
mod config;
#[cfg(feature = "defmt")]
mod defmt;
mod hub;
mod keepalive;
mod link;
mod stats;
mod time;

#[cfg(feature = "alloc")]
pub use buffer::GrowBuffer;
pub use buffer::{Buffer, FixedBuffer};
pub use client::{
    ClientConfig, ClientSession, Event, MAX_CURSOR_LEN, NetState, NotReadyReason, Output, RequestError,
    RequestId, Ticket,
};
pub use config::ConfigError;
pub use hub::{CloseReason, DeliverError, HubConfig, HubEvent, HubOutput, HubSession, SendError};
pub use link::{Framing, FramingChoice, OnlySerial, OnlyStream};
pub use stats::SessionStats;
pub use tim_proto as proto;
pub use time::Instant;
