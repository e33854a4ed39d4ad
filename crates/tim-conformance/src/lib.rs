#![doc = include_str!("../README.md")]

mod chapters;
mod check;
mod device;
mod lab;
#[cfg(feature = "hub")]
mod own_hub;
mod person;
mod report;
mod row;
mod run;
mod spec;
mod tap;
mod target;
#[cfg(feature = "transport")]
pub mod transport;

#[cfg(feature = "hub")]
pub use own_hub::{OwnHub, OwnHubs};
pub use report::{Outcome, Report, RowReport};
pub use row::{Requirement, requirements};
pub use run::{Selection, UnknownRow, run};
pub use target::{Boxed, HubFactory, HubSettings, SeenPush, StartedHub, Target};
