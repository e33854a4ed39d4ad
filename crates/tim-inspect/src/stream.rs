//! Hellos and frames of a stream, each with its position.

use tim_proto::wire::{
    Frame, FrameError, Hello, HelloError, MAGIC, MAX_FRAME_HEADER_LEN, Parsed, SerialError,
};

use crate::endpoints::hex;

/// A part of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part<'a> {
    /// The position of its first byte in the capture.
    pub at: usize,
    /// How many bytes it takes.
    pub len: usize,
    /// On a serial line, the counter of its packet.
    pub counter: Option<u16>,
    /// What it is.
    pub content: Content<'a>,
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content<'a> {
    /// The first bytes of an end.
    Hello(Hello),
    /// A frame, whose body may be malformed.
    Frame(Frame<'a>),
    /// Neither. On a stream, nothing can follow.
    Broken(Broken),
}

/// Why bytes are neither a hello nor a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// The capture ends inside a hello.
    #[error("the hello is cut short: {needed} bytes are needed, {0} are here", needed = Hello::LEN)]
    ShortHello(usize),
    /// A hello that starts well and is not valid.
    #[error("the hello is malformed: {0}")]
    Hello(HelloError),
    /// The capture ends inside a frame.
    #[error("the frame is cut short: at least {needed} bytes are needed, {here} are here")]
    ShortFrame {
        /// How many bytes the frame needs at least.
        needed: usize,
        /// How many there are.
        here: usize,
    },
    /// These bytes are no header.
    #[error("no frame can start here: {error} ({start})")]
    Header {
        /// What is wrong.
        error: FrameError,
        /// The bytes as hexadecimal digits.
        start: String,
    },
    /// The frame is too large.
    #[error(transparent)]
    Frame(FrameError),
    /// The capture of a serial line ends inside a packet.
    #[error("the input ends inside a packet")]
    ShortPacket,
    /// A packet of a serial line is damaged.
    #[error(transparent)]
    Packet(SerialError),
    /// A packet of a serial line has no counter.
    #[error("the packet is too short for its counter")]
    NoCounter,
    /// A packet of a serial line has so many bytes after its frame.
    #[error("{0} bytes follow the frame in its packet")]
    Trailing(usize),
}

/// The parts of a stream in order: a hello, if the capture starts with one, and frames of up to `max_frame` bytes. A broken
/// part is the last.
pub fn stream(bytes: &[u8], max_frame: usize) -> impl Iterator<Item = Part<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let part = match first_part(rest, max_frame) {
            Ok((content, len)) => Part {
                at,
                len,
                counter: None,
                content,
            },
            Err(broken) => Part {
                at,
                len: rest.len(),
                counter: None,
                content: Content::Broken(broken),
            },
        };
        at += part.len;
        Some(part)
    })
}

/// The hello or the frame at the start of `bytes`, and its length.
pub(crate) fn first_part(bytes: &[u8], max_frame: usize) -> Result<(Content<'_>, usize), Broken> {
    if bytes.starts_with(&MAGIC) || (bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes)) {
        let hello = bytes.first_chunk().ok_or(Broken::ShortHello(bytes.len()))?;
        let hello = Hello::from_bytes(hello).map_err(Broken::Hello)?;
        return Ok((Content::Hello(hello), Hello::LEN));
    }
    match Frame::parse(bytes, max_frame) {
        Ok(Parsed::Frame(frame, len)) => Ok((Content::Frame(frame), len)),
        Ok(Parsed::Incomplete(needed)) => Err(Broken::ShortFrame {
            needed,
            here: bytes.len(),
        }),
        Err(error @ FrameError::Header) => Err(Broken::Header {
            error,
            start: hex(bytes.get(..MAX_FRAME_HEADER_LEN).unwrap_or(bytes)),
        }),
        Err(error) => Err(Broken::Frame(error)),
    }
}
