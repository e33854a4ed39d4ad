#![doc = include_str!("../README.md")]

mod client;
mod connect;
mod hub;

pub use client::{ClientBuffers, ClientDriver, Clock, StdClientSession};
pub use connect::{Connector, MemoryConnector, MemoryListener, TcpConnector, memory_listener};
pub use hub::HubConnection;
pub use tim_session as session;
