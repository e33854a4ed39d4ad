//! The tim server: accounts, conversation logs, live push, on an embedded store.
//!
//! Two parts stand alone: [`usersig`] checks who somebody is, [`store`] keeps what was said.

pub mod store;
pub mod usersig;
