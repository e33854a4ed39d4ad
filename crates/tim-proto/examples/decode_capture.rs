//! Walks a captured stream of one direction: the hello, then one frame after another. Nothing is copied.
//!
//! ```sh
//! cargo run -p tim-proto --example decode_capture < capture.bin
//! cargo run -p tim-proto --example decode_capture    # without input: a small capture made here
//! ```
#![allow(clippy::print_stdout)] // an example prints

use std::io::{IsTerminal as _, Read as _};

use tim_proto::request::{AnyRequest as Request, Push};
use tim_proto::wire::{Frame, FrameKind, Hello, MAGIC, Parsed};

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
        Ok(Push::Unknown(_)) if !frame.kind.is_answer() => match Request::decode(frame.kind, frame.body) {
            Ok(Request::Unknown(_)) => {}
            Ok(request) => println!("  {request:?}"),
            Err(error) => println!("  malformed: {error}"),
        },
        Ok(Push::Unknown(_)) => {}
        Ok(push) => println!("  {push:?}"),
        Err(error) => println!("  malformed: {error}"),
    }
}

/// A PING, and the hub's word that nothing is waiting.
fn sample() -> Vec<u8> {
    let mut bytes = Vec::new();
    for kind in [FrameKind::PING, FrameKind::SYNCED] {
        bytes.extend([kind.0, 0, 0]);
    }
    bytes
}
