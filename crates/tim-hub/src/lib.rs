#![doc = include_str!("../README.md")]

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

use tim_groups as groups;
use tim_store as store;

pub use tim_usersig as usersig;

pub use clock::Clock;
pub use handlers::groups::Audience;
pub use hub::{Hub, HubError};
pub use listener::Listener;
pub use options::{HubOptions, MIN_KEY_LEN};
