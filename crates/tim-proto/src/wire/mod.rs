//! The wire format, version 1. `SPEC.md` in this crate's directory describes every byte; `vectors/` holds examples.
//!
//! A connection begins with a [`Hello`] from each end. [`Frame`]s follow, each with a kind, an id, a length and a body. A body
//! is a sequence of fields in postcard's encoding, which never changes once released, followed by [`Extensions`], which
//! readers of an older version skip. [`Encode`] writes a body; [`decode_body`] and its siblings read one.

#[cfg(feature = "arbitrary")]
mod arbitrary;
mod codec;
mod cursor;
mod extensions;
mod frame;
mod hello;
mod list;
mod macros;
#[cfg(feature = "serde")]
pub(crate) mod serde;
mod serial;

#[cfg(feature = "arbitrary")]
pub use arbitrary::arbitrary_body;
pub(crate) use codec::sealed::Read;
pub use codec::{
    BufferTooSmall, Decode, DecodeError, DecodeFault, Encode, decode_body, decode_prefix, decode_with,
    encode_body, encoded_len,
};
pub use cursor::{Reader, Writer};
pub use extensions::{Extension, Extensions};
pub use frame::{Frame, FrameError, FrameKind, MAX_FRAME_HEADER_LEN, Parsed};
pub use hello::{End, Hello, HelloError, LEAST_MAX_FRAME, MAGIC, features};
pub use list::{List, ListIter, Nested};
pub(crate) use macros::{body, constructors, declare, features, owned, wire, wire_number};
#[cfg(feature = "serde")]
pub(crate) use macros::{deserialize, serialize};
#[cfg(all(feature = "serde", feature = "alloc"))]
pub(crate) use macros::{transcode_fields, visit_fields};
#[cfg(all(feature = "serde", feature = "alloc"))]
pub use serde::transcode;
pub use serial::{
    SerialDecoder, SerialError, crc32, serial_decode, serial_encode, serial_encode_in_place,
    serial_encoded_max_len, serial_gap,
};

/// The version of the wire format that this crate speaks.
pub const VERSION: u8 = 1;
