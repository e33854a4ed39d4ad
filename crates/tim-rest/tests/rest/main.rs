//! The client against a hub, and against servers that do not behave.

mod calls;
mod faults;
mod golden;
mod support;
