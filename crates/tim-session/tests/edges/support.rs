//! Two ends with buffers of any size, and what the tests send to them.

pub(crate) use tim_testkit::ends::*;
pub(crate) use tim_testkit::{frame, frame_of_len};

use tim_session::proto::wire::{End, Hello};

/// A hello of this end and these versions.
pub(crate) fn hello(end: End, versions: (u8, u8), max_frame: u32) -> [u8; Hello::LEN] {
    tim_testkit::hello(end, versions, max_frame, 2)
}
