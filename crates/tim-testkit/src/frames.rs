//! Frames and hellos as bytes.

use tim_session::proto::message::to_vec;
use tim_session::proto::wire::{Encode, Frame, FrameKind, Hello, MAX_FRAME_HEADER_LEN, Role, Writer};

/// A frame with this body.
#[must_use]
pub fn frame(kind: FrameKind, id: u32, body: &impl Encode) -> Vec<u8> {
    let body = to_vec(body);
    let mut bytes = vec![0; MAX_FRAME_HEADER_LEN + body.len()];
    let mut writer = Writer::new(&mut bytes);
    Frame {
        kind,
        id,
        body: &body,
    }
    .encode(&mut writer);
    let len = writer.len();
    bytes.truncate(len);
    bytes
}

/// The hello of one end, which takes frames of up to `max_frame` bytes and `window` deliveries ahead.
#[must_use]
pub fn hello(role: Role, max_frame: u32, window: u16) -> [u8; Hello::LEN] {
    Hello {
        min_version: 1,
        max_version: 1,
        role,
        features: 0,
        max_frame,
        window,
    }
    .to_bytes()
}
