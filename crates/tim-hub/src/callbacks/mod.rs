//! Callbacks: the hub asks a server of the application before something is done, and tells it afterwards.
//!
//! What is asked *before* keeps back only the connection that the request came on, or the call of the REST interface: later requests of the
//! connection are held, as behind a read of the store, and no thread waits. What is told *afterwards* waits in a bounded queue. A
//! [circuit breaker](breaker) keeps an endpoint that hangs from costing every message its time. When the hub stops, nothing is waited for.

mod after;
mod breaker;
mod client;
mod commands;
mod group;
mod message;
mod read;
#[cfg(feature = "rest")]
mod server;
mod state;
mod under_way;

pub(crate) use after::{AfterSend, Sender};
pub use client::{CallbackOptions, CallbackStats};
pub(crate) use client::{Callbacks, Unanswered};
pub use commands::CallbackCommand;
pub(crate) use commands::Platform;
pub(crate) use group::{AfterChange, AfterCreate, Question, RoomMove};
pub(crate) use message::{About, Decision};
pub(crate) use read::AfterRead;
pub(crate) use state::{AfterRevoke, StateChange};
pub(crate) use under_way::Passage;
