//! From bytes to hellos and frames, each with the place where it stands.

use tim_proto::wire::{Frame, FrameError, Hello, HelloError, MAGIC, Parsed};

/// A piece of the input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part<'a> {
    /// Its first byte, counted in the input from 0.
    pub(crate) at: usize,
    /// How many bytes it takes.
    pub(crate) len: usize,
    /// On a serial line, the packet's number.
    pub(crate) counter: Option<u16>,
    pub(crate) content: Content<'a>,
}

/// What a piece of the input is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content<'a> {
    Hello(Hello),
    Frame(Frame<'a>),
    /// What is wrong with it; on a stream nothing can follow.
    Broken(String),
}

/// The parts of a stream, in order; after a broken one there is no more.
pub(crate) fn stream_parts(bytes: &[u8], max_frame: usize) -> impl Iterator<Item = Part<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let (content, len) = first_part(rest, max_frame);
        let part = Part {
            at,
            len,
            counter: None,
            content,
        };
        at = if matches!(part.content, Content::Broken(_)) {
            bytes.len()
        } else {
            at + len
        };
        Some(part)
    })
}

/// What stands at the start of `bytes`, and how many bytes that takes.
pub(super) fn first_part(bytes: &[u8], max_frame: usize) -> (Content<'_>, usize) {
    let broken = |fault: String| (Content::Broken(fault), bytes.len());
    if bytes.starts_with(&MAGIC) || (bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes)) {
        return match bytes.first_chunk() {
            None => broken(format!(
                "a hello has {} bytes, only {} are here",
                Hello::LEN,
                bytes.len()
            )),
            Some(hello) => match Hello::from_bytes(hello) {
                Ok(hello) => (Content::Hello(hello), Hello::LEN),
                Err(fault) => broken(hello_fault(fault)),
            },
        };
    }
    match Frame::parse(bytes, max_frame) {
        Ok(Parsed::Frame(frame, len)) => (Content::Frame(frame), len),
        Ok(Parsed::Incomplete(needed)) => broken(format!(
            "the frame is cut short: it needs {needed} bytes or more, only {} are here",
            bytes.len()
        )),
        Err(fault) => broken(frame_fault(fault, bytes)),
    }
}

fn hello_fault(fault: HelloError) -> String {
    format!("the hello is malformed: {fault}")
}

fn frame_fault(fault: FrameError, bytes: &[u8]) -> String {
    match fault {
        FrameError::Header => {
            format!(
                "no frame can start here: {fault} ({})",
                super::fields::hex(bytes.get(..11).unwrap_or(bytes))
            )
        }
        other => other.to_string(),
    }
}
