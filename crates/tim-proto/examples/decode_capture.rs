//! Walks a captured stream of one direction: the hello, then one frame after another. Nothing is copied.
//!
//! ```sh
//! cargo run -p tim-proto --example decode_capture < capture.bin
//! cargo run -p tim-proto --example decode_capture    # without input: a small capture made here
//! ```
#![allow(clippy::print_stdout)] // an example prints

use std::fmt::Debug;
use std::io::{IsTerminal as _, Read as _};

use tim_proto::request::{Push, Request, for_each_request};
use tim_proto::wire::{Decode, DecodeError, Frame, FrameKind, Hello, MAGIC, Parsed, decode_body};

/// The largest frame that this program believes in.
const MAX_FRAME: usize = 1 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut capture = Vec::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().lock().read_to_end(&mut capture)?;
    }
    if capture.is_empty() {
        capture = sample();
    }
    let mut rest = capture.as_slice();
    if rest.starts_with(&MAGIC)
        && let Some((hello, after)) = rest.split_first_chunk::<{ Hello::LEN }>()
    {
        println!("{:?}", Hello::from_bytes(hello)?);
        rest = after;
    }
    while !rest.is_empty() {
        match Frame::parse(rest, MAX_FRAME)? {
            Parsed::Frame(frame, len) => {
                describe(&frame);
                rest = rest.get(len..).unwrap_or_default();
            }
            Parsed::Incomplete(_) => {
                println!("{} bytes of a frame that is cut off", rest.len());
                break;
            }
        }
    }
    Ok(())
}

/// Requests and pushes are decoded by their kind. An unknown kind is shown as its number.
fn describe(frame: &Frame<'_>) {
    let name = frame.kind.name().unwrap_or("unknown");
    println!(
        "{name} ({:#04x}), id {}, {} bytes",
        frame.kind.0,
        frame.id,
        frame.body.len()
    );
    match Push::decode(frame.kind, frame.body) {
        Ok(Push::Unknown(_)) => match describe_request(frame) {
            Some(Ok(request)) => println!("  {request}"),
            Some(Err(error)) => println!("  malformed: {error}"),
            None => {}
        },
        Ok(push) => println!("  {push:?}"),
        Err(error) => println!("  malformed: {error}"),
    }
}

/// A request or response, decoded by its kind; `None` for other frames.
fn describe_request(frame: &Frame<'_>) -> Option<Result<String, DecodeError>> {
    macro_rules! describe {
        ([] $($request:ty),+) => {
            match frame.kind {
                $(kind if kind == <$request as Request>::KIND => Some(debug::<$request>(frame.body)),
                kind if kind == <$request as Request>::KIND.answer() => {
                    Some(debug::<<$request as Request>::Response<'_>>(frame.body))
                })+
                _ => None,
            }
        };
    }
    for_each_request!(describe![])
}

fn debug<'a, T: Decode<'a> + Debug>(body: &'a [u8]) -> Result<String, DecodeError> {
    decode_body::<T>(body).map(|body| format!("{body:?}"))
}

/// A PING, and the hub's word that nothing is waiting.
fn sample() -> Vec<u8> {
    let mut bytes = Vec::new();
    for kind in [FrameKind::PING, FrameKind::SYNCED] {
        bytes.extend([kind.0, 0, 0]);
    }
    bytes
}
