#![doc = include_str!("../README.md")]

pub mod address;
mod any;
#[cfg(feature = "blocking")]
pub mod blocking;
mod client;
mod connect;
mod failover;
#[cfg(feature = "forwarded")]
pub mod forwarded;
mod hub;
#[cfg(feature = "serial")]
mod serial;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(all(feature = "unix", unix))]
pub mod unix;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use address::Address;
pub use any::{AnyConnector, AnyLink, ConnectOptions, ConnectorError};
pub use client::{ClientBuffers, ClientDriver, Clock, StdClientSession};
#[cfg(feature = "tcp")]
pub use connect::TcpConnector;
pub use connect::{ConnectionEnd, Connector, MemoryConnector, MemoryListener, memory_listener};
pub use failover::{CONNECT_LIMIT, Failover, SPREAD};
pub use hub::HubConnection;
#[cfg(feature = "serial")]
pub use serial::SerialConnector;
pub use tim_session as session;
#[cfg(all(feature = "unix", unix))]
pub use unix::UnixConnector;
