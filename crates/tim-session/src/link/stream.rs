//! Packets on a stream: the hello, then frames, which are delimited by the length in their header.

use tim_proto::wire::{BufferTooSmall, Frame, FrameError, Hello, HelloError, MAGIC, Parsed, Writer};

use super::{FrameAt, FramingChoice, Link, Write};
use crate::buffer::Buffer;

impl<B: Buffer, F: FramingChoice> Link<B, F> {
    /// The peer's hello, once it has arrived completely.
    pub(crate) fn take_hello(&mut self) -> Result<Option<Hello>, HelloError> {
        let bytes = self.rx.as_slice();
        let Some((hello, _)) = bytes.split_first_chunk::<{ Hello::LEN }>() else {
            // Recognise another protocol by its first bytes, without waiting for 20 of them.
            let seen = bytes.len().min(MAGIC.len());
            let fits = bytes.get(..seen) == MAGIC.get(..seen);
            return if fits { Ok(None) } else { Err(HelloError::Magic) };
        };
        let hello = Hello::from_bytes(hello)?;
        self.rx.consume(Hello::LEN);
        self.count_received();
        Ok(Some(hello))
    }

    /// The next whole frame; [`Link::release_taken`] removes it.
    pub(crate) fn next_frame(&mut self, max: usize) -> Result<Option<FrameAt>, FrameError> {
        match Frame::parse(self.rx.as_slice(), max)? {
            Parsed::Incomplete(_) => Ok(None),
            Parsed::Frame(Frame { kind, id, body }, len) => {
                let body = (len - body.len(), len);
                self.taken = len;
                self.count_received();
                Ok(Some(FrameAt { kind, id, body }))
            }
        }
    }
}

/// Whether `bytes` starts with a whole frame.
pub(super) fn has_frame(bytes: &[u8], max: usize) -> bool {
    matches!(Frame::parse(bytes, max), Ok(Parsed::Frame(..)))
}

/// Writes a packet without encoding.
pub(super) fn write(room: &mut [u8], write: Write<'_>) -> Result<usize, BufferTooSmall> {
    let mut writer = Writer::new(room);
    write(&mut writer);
    writer.finish()
}
