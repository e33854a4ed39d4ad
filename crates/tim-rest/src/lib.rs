#![doc = include_str!("../README.md")]

#[macro_use]
mod macros;

pub mod accounts;
mod administrator;
mod answer;
mod builder;
mod client;
mod driver;
mod error;
pub mod friends;
pub mod groups;
#[cfg(feature = "hyper")]
mod hyper_driver;
pub mod messages;
mod values;
mod wire;

pub use tim_json as json;

pub use accounts::*;
pub use administrator::Administrator;
pub use answer::{MAX_ANSWER, Request, read_response};
pub use builder::Builder;
pub use client::Client;
pub use driver::{Driver, HttpRequest, HttpResponse, Posting, Sleeping};
pub use error::{ApiError, Error, TransportError, TransportErrorKind};
pub use friends::*;
pub use groups::*;
#[cfg(feature = "hyper")]
pub use hyper_driver::HyperDriver;
pub use messages::*;
pub use values::*;
