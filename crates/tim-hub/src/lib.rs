//! The tim server: accounts, conversation logs, live push, on an embedded store.
//!
//! [`Hub`] is all of it. Three parts stand alone: [`usersig`] checks who somebody is, [`store`] keeps what was said,
//! [`groups`] says who may do what in a group.

pub mod groups;
pub mod store;

mod admission;
mod client_context;
mod clock;
mod connection;
mod delivery;
mod device;
mod encoding;
mod handlers;
mod hub;
mod listener;
mod options;
mod permissions;
mod presence;
mod refusal;
mod retention;
mod service;
mod settings;
mod threads;

pub use tim_usersig as usersig;

pub use clock::Clock;
pub use handlers::groups::Audience;
pub use hub::{Hub, HubError};
pub use listener::Listener;
pub use options::{HubOptions, MIN_KEY_LEN};
