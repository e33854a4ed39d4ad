//! Virtual time, faulty links and a model of the hub, for testing tim without sockets, clocks or sleeps.
//!
//! A [`World`] holds any number of devices, each a real [`ClientSession`](tim_session::ClientSession), and a
//! [`ModelHub`], whose connections are real [`HubSession`](tim_session::HubSession)s. Between them run simulated links that
//! delay bytes, fragment them and break, as [`Faults`] configures. Time passes only when every session waits, and then
//! jumps to the next moment at which something happens, so that an hour takes milliseconds. All randomness comes from one
//! seed: the same seed gives the same run.
//!
//! Every world also has a [`deadline`] in real time, so that a test fails if a session never comes to rest.
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
#[cfg(feature = "tokio")]
mod scripted_hub;
mod world;

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
