#![doc = include_str!("../README.md")]

mod command;
mod create;
mod decide;
mod delta;
pub mod fields;
mod group;
mod prepared;
mod refused;
pub mod rules;
#[cfg(feature = "suite")]
pub mod suite;
pub mod tips;
mod view;

pub use command::{
    Authority, GroupAction, GroupCommand, GroupPolicy, GroupResponse, GroupUpdate, MemberEdit, NewMember,
};
pub use create::{CreateGroup, NewGroup, create};
pub use decide::{DecideError, decide};
pub use delta::GroupDelta;
pub use fields::{Field, FieldChange, FieldScope};
pub use group::{Group, Membership, Restriction};
pub use prepared::{EntryFlags, SystemEntry};
pub use refused::Refused;
pub use view::{
    Effects, GroupState, GroupView, LiveGroup, NewRequest, Request, RequestKind, RowChange, Verdict,
};
