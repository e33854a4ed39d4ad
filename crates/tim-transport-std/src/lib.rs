//! Socket drivers for tim sessions: tokio TCP and an in-memory pair.
//!
//! A driver moves bytes and passes the time; all protocol state is in the session, so dropping a future of this crate at
//! any await loses nothing.

mod client;
mod connect;
mod hub;

pub use client::{ClientBuffers, ClientDriver, Clock, StdClientSession};
pub use connect::{Connector, MemoryConnector, MemoryListener, TcpConnector, memory_listener};
pub use hub::HubConnection;
pub use tim_session as session;
