//! The driver and the calls against a real hub session, in virtual time, over lines of memory.

mod calls;
mod cancel;
mod clock;
mod files;
mod flash;
mod hub;
mod ids;
mod polled;
mod power;
mod reports;
mod support;
mod tasks;
mod transports;
mod uncancellable;
mod world;
