//! Virtual time, simulated links, hubs and builders, for tests of tim without sockets, clocks or sleeps.
//!
//! A [`World`] holds any number of devices, each a real [`ClientSession`](tim_session::ClientSession), and a
//! [`ModelHub`], whose connections are real [`HubSession`](tim_session::HubSession)s. [`SimulatedLink`]s between them
//! delay bytes, cut them into fragments and break, according to [`Faults`]. Time passes only when every end waits, and
//! then jumps to the next event, so an hour takes milliseconds. All randomness comes from one seed: the same seed is the
//! same run.
//!
//! | to test | use |
//! |---|---|
//! | clients against a hub over faulty links | [`World`] |
//! | one client against a hub that keeps what it is sent | [`ModelHub`] |
//! | one client against a hub that does what the test says | `ScriptedHub`, with the feature `tokio` |
//! | both sessions, step by step | [`ends`] |
//! | a hub under load | [`RawClient`] |
//! | the limits of payloads | [`borders`](fn@borders) |
//!
//! Every harness is under a [`deadline`] in real time, so that a test fails instead of hanging.
//!
//! ```
//! use std::time::Duration;
//! use tim_testkit::{Faults, World};
//!
//! let mut world = World::new(42, Faults::NONE);
//! let alice = world.add_device("alice", |_| {});
//! let bob = world.add_device("bob", |_| {});
//! world.run_until(Duration::from_secs(5), |world| world.device(alice).session().is_ready());
//! world.send(alice, "C2Cbob", "hi")?;
//! world.run_for(Duration::from_secs(1));
//! assert_eq!(world.device(bob).texts(), ["hi"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod borders;
#[cfg(feature = "certificates")]
pub mod certificates;
mod deadline;
mod device;
pub mod ends;
mod frames;
mod ids;
mod incoming;
mod link;
pub mod messages;
mod model_hub;
mod raw_client;
mod rng;
pub mod scale;
#[cfg(feature = "tokio")]
mod scripted_hub;
#[cfg(feature = "simulator")]
pub mod simulator;
mod world;

pub use borders::{Border, borders};
pub use deadline::{deadline, deadline_in};
pub use device::{Device, Observed};
pub use frames::{RawBody, frame, frame_of_len, hello, raw_frame};
pub use ids::{c2c, group, user};
pub use incoming::Incoming;
pub use link::{End, Faults, SimulatedLink};
pub use model_hub::{Behavior, ModelHub, Statistics};
pub use raw_client::RawClient;
pub use rng::Rng;
#[cfg(feature = "tokio")]
pub use scripted_hub::{IncomingLogin, ScriptedHub, in_time};
pub use world::World;

/// The examples of the README at the top are compiled with this crate's: it is not published, and what is published has no
/// file from outside its own directory.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So are those of the page about transports.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/transports.md")]
struct Transports;
