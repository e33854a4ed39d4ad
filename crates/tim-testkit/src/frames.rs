//! Frames and hellos as bytes.

use tim_session::proto::message::to_vec;
use tim_session::proto::wire::{Encode, End, Frame, FrameKind, Hello, MAX_FRAME_HEADER_LEN, Writer};

/// A frame with this body.
#[must_use]
pub fn frame(kind: FrameKind, id: u32, body: &impl Encode) -> Vec<u8> {
    raw_frame(kind, id, &to_vec(body))
}

/// A frame with these bytes as its body.
#[must_use]
pub fn raw_frame(kind: FrameKind, id: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; MAX_FRAME_HEADER_LEN + body.len()];
    let mut writer = Writer::new(&mut bytes);
    Frame { kind, id, body }.encode(&mut writer);
    let len = writer.len();
    bytes.truncate(len);
    bytes
}

/// Bytes that are a body as they are.
#[derive(Debug)]
pub struct RawBody<'a>(pub &'a [u8]);

impl Encode for RawBody<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put(self.0);
    }
}

/// A frame of exactly `len` bytes, header included, whose body means nothing.
///
/// # Panics
/// If no frame has this length.
#[must_use]
pub fn frame_of_len(kind: FrameKind, id: u32, len: usize) -> Vec<u8> {
    let body = vec![0xff; len];
    let mut frames = (len.saturating_sub(MAX_FRAME_HEADER_LEN)..len)
        .map(|body_len| raw_frame(kind, id, &body[..body_len]));
    let frame = frames.find(|frame| frame.len() == len);
    frame.expect("a frame of this length")
}

/// The hello of one end, which takes frames of up to `max_frame` bytes and `window` deliveries ahead.
#[must_use]
pub fn hello(end: End, versions: (u8, u8), max_frame: u32, window: u16) -> [u8; Hello::LEN] {
    Hello {
        min_version: versions.0,
        max_version: versions.1,
        end,
        features: 0,
        max_frame,
        window,
    }
    .to_bytes()
}
