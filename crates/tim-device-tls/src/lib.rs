#![doc = include_str!("../README.md")]
#![no_std]

mod pins;
mod transport;

pub use pins::{PIN_LEN, Pins};
pub use transport::{Link, Shared, Socket, TlsTransport};
