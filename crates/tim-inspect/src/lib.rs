#![doc = include_str!("../README.md")]
//!
//! [`stream`] and [`serial`] find the parts of a capture. [`describe`] decodes the body of a frame and explains it;
//! [`fields`] decodes it and adds nothing.

mod endpoints;
mod explain;
mod serial;
mod stream;

pub use tim_proto as proto;

pub use endpoints::fields;
pub use explain::{describe, describe_hello};
pub use serial::serial;
pub use stream::{Broken, Content, Part, stream};
