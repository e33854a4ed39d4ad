//! The simulator: real clients, devices and a real hub on a real store, in one thread and virtual time, driven by a plan that a seed
//! generates, and checked from outside by invariants.
//!
//! | module | contains |
//! |---|---|
//! | [`op`] | what a plan consists of: the population, every operation, every fault |
//! | `plan` | from a seed and a profile to a plan |
//! | `backend` | the application's server, which calls the hub by REST |
//! | `files` | what is in the files of messages |
//! | `servers` | the servers of others that the hub calls |
//! | `scenes` | sequences that take several parties in the right order |
//! | [`history`] | what was observed, and what everybody has at rest |
//! | [`invariants`] | what must hold of it |
//! | `shrink` | what of a failing plan matters |
//! | [`campaign`] | many seeds |

mod backend;
pub mod campaign;
mod files;
pub mod history;
mod hostile;
mod hub;
pub mod invariants;
mod net;
mod network;
pub mod op;
mod panics;
mod plan;
mod recorder;
mod scenes;
mod sdk;
mod seen;
mod servers;
mod shrink;
mod small;
mod snapshot;
mod time;
mod world;

pub use history::{History, Mark, Observation, Snapshot, What};
pub use invariants::{Counts, Invariant, Violation, check_all};
pub use op::{Plan, Profile};
pub use shrink::{Keep, shrink};
pub use world::{Failure, Outcome, run};
