//! tim for devices: drives a client session over any [`embedded_io_async`] line.
#![no_std]

mod calls;
mod client;
mod clock;
mod device;
mod error;
mod events;
mod line;
mod shared;
mod wait;

pub use calls::NextReqMessageId;
pub use client::{Client, LoginResponse};
pub use clock::Clock;
#[cfg(feature = "embassy-time")]
pub use clock::EmbassyClock;
pub use device::{Device, Memory};
pub use error::Error;
pub use events::Events;
pub use line::{Line, MAX_ERRORS, NoisyReader, SerialLine};
pub use shared::MAX_CALLS;
pub use tim_session::{
    self as session, ClientConfig, Event, Framing, Instant, NetState, NotReadyReason, proto,
};
