#![doc = include_str!("../README.md")]
#![no_std]

mod caller;
mod calls;
mod client;
mod clock;
mod device;
mod error;
mod file_io;
mod files;
mod ids;
mod outbox;
mod polled;
mod runner;
mod shared;
mod transport;
mod user_sig;
mod wait;

pub use calls::NextReqMessageId;
pub use client::{Client, LoginResponse};
#[cfg(feature = "embassy-time")]
pub use clock::EmbassyClock;
pub use clock::{Clock, Counter, WideningClock};
pub use device::{Device, Resources};
pub use error::Error;
#[cfg(feature = "sha2")]
pub use file_io::sha256_of;
pub use file_io::{FileFailed, FileSink, FileSource, read_through};
pub use files::UploadedFile;
pub use outbox::{OutboxStorage, StorageFailed};
pub use polled::{ConnectionLost, PolledClock, PolledDevice, PolledTransport};
pub use runner::{Events, Runner};
pub use shared::MAX_CALLS;
pub use tim_session::{
    self as session, ClientConfig, Event, Framing, FramingChoice, Instant, NetState, NotReadyReason,
    OnlySerial, OnlyStream, SessionStats, proto,
};
pub use transport::{Connection, MAX_ERRORS, NoisyReader, SerialPort, Transport};
pub use user_sig::UserSig;

// The size that the front page states.
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<shared::Shared<'static>>() < 1024);
