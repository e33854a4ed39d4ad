//! The tim server: accounts, conversation logs, live push, on an embedded store.
//!
//! [`Hub`] is all of it. Two parts stand alone: [`usersig`] checks who somebody is, [`store`] keeps what was said.

mod hub;
pub mod store;
pub mod usersig;

pub use hub::{Hub, HubError, HubOptions};
