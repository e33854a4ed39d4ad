//! The tim server: accounts, conversation logs, live push, on an embedded store.
//!
//! [`Hub`] is all of it. Three parts stand alone: [`usersig`] checks who somebody is, [`store`] keeps what was said,
//! [`groups`] says who may do what in a group.

pub mod groups;
mod hub;
pub mod store;
pub use tim_usersig as usersig;

pub use hub::{Audience, Clock, Hub, HubError, HubOptions, Listener, MIN_KEY_LEN};
