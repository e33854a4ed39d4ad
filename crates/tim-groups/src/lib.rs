//! The rules of groups, apart from any store: who may do what, what comes of it, and who is told.
//!
//! A store gives [`decide`] a [`GroupView`] of its open transaction and a [`GroupCommand`], and applies the [`Effects`]
//! in the same transaction. So a change, its tip and its notices happen together or not at all, and of two that race
//! the second sees what the first has done.
//!
//! [`rules`] has the tables, [`tips`] the words.

mod command;
mod create;
mod decide;
mod group;
mod prepared;
mod refused;
pub mod rules;
pub mod tips;
mod view;

pub use command::{GroupAction, GroupCommand, GroupPolicy, GroupResponse, GroupUpdate};
pub use create::{CreateGroup, NewGroup, create};
pub use decide::{DecideError, decide};
pub use group::{Group, Membership, Restriction};
pub use prepared::{EntryFlags, SystemEntry};
pub use refused::Refused;
pub use view::{
    Effects, GroupState, GroupView, LiveGroup, NewRequest, Request, RequestKind, RowChange, Verdict,
};
