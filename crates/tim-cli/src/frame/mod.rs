//! What stands in the bytes of a connection: the parts from [`mod@walk`], the fields of each from [`mod@describe`].

mod describe;
mod fields;
mod group;
mod payload;
mod serial;
mod walk;

pub(crate) use describe::{describe, hello};
pub(crate) use fields::{Fields, Shown, hex};
pub(crate) use serial::serial_parts;
pub(crate) use walk::{Content, Part, stream_parts};
