#![doc = include_str!("../README.md")]

mod client;
mod connect;
mod hub;

pub use client::{ClientBuffers, ClientDriver, Clock, StdClientSession};
#[cfg(feature = "tcp")]
pub use connect::TcpConnector;
pub use connect::{Connector, MemoryConnector, MemoryListener, memory_listener};
pub use hub::HubConnection;
pub use tim_session as session;
