//! The rules without a store: decided on groups in memory.

mod changes;
mod memory;
mod permissions;
