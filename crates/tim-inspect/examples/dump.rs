//! Prints the hellos and frames of a capture of one direction of a connection, one per line.
//!
//! ```sh
//! cargo run -p tim-inspect --example dump -- capture.bin
//! ```

use std::error::Error;
use std::io::{self, Write as _};

use tim_inspect::{Content, describe, describe_hello, stream};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: dump FILE")?;
    let bytes = std::fs::read(path)?;
    let mut out = io::stdout().lock();
    for part in stream(&bytes, usize::MAX) {
        write!(out, "{:6} ", part.at)?;
        match part.content {
            Content::Hello(hello) => writeln!(out, "HELLO {}", describe_hello(&hello))?,
            Content::Frame(frame) => match describe(frame.kind, frame.body) {
                Ok(fields) => writeln!(out, "{} #{} {fields}", frame.kind, frame.id)?,
                Err(error) => writeln!(out, "{} #{}: {error}", frame.kind, frame.id)?,
            },
            Content::Broken(error) => writeln!(out, "{error}")?,
            _ => writeln!(out, "unknown part")?,
        }
    }
    Ok(())
}
