//! `tim frame`: what stands in these bytes.

use std::io::{self, Read as _, Write};
use std::path::PathBuf;

use crate::error::{EXIT_CODES, Failure, reading};
use crate::frame::{Content, Fields, Part, Shown, describe, hello, serial_parts, stream_parts};
use crate::json;
use crate::output::{BAD, FAINT, STRONG};

const EXAMPLES: &str = "\
The bytes are a hello and frames one after another, as they travel in one direction of a connection, or frames alone.
Each is shown with the byte it starts at, its kind, id and length, and its fields; what is broken is said with the very
byte. UserSigs are taken apart and not repeated.

Examples:
  $ tim frame 74696d1a 01 01 02 00 01000000 00000100 0000 0000
  $ tcpflow … | tim frame --raw --json
  $ tim frame --serial --raw --file uart.bin";

/// Show what stands in the bytes of a connection: hellos, frames, their fields, and where they are broken.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// Hex digits; spaces, commas, colons and 0x between them do not matter. Without any: stdin.
    hex: Vec<String>,
    /// Read this file.
    #[arg(long, value_name = "FILE", conflicts_with = "hex")]
    file: Option<PathBuf>,
    /// The file or stdin holds the bytes themselves, not hex digits.
    #[arg(long, conflicts_with = "hex")]
    raw: bool,
    /// The bytes are from a serial line: COBS packets with a counter and a CRC, between zero bytes.
    #[arg(long)]
    serial: bool,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Call larger frames broken.
    #[arg(long, value_name = "BYTES", default_value_t = u32::MAX, hide_default_value = true)]
    max_frame: u32,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let bytes = input(args)?;
    let max_frame = usize::try_from(args.max_frame).unwrap_or(usize::MAX);
    let mut printer = Printer {
        out: anstream::AutoStream::auto(io::stdout().lock()),
        json: args.json,
        broken: 0,
        next: None,
    };
    if args.serial {
        serial_parts(&bytes, max_frame, |part| printer.part(&part))?;
    } else {
        stream_parts(&bytes, max_frame).try_for_each(|part| printer.part(&part))?;
    }
    match printer.broken {
        0 => Ok(()),
        1 => Err(Failure::usage("one part of the input is broken")),
        broken => Err(Failure::usage(format_args!(
            "{broken} parts of the input are broken"
        ))),
    }
}

fn input(args: &Args) -> Result<Vec<u8>, Failure> {
    if !args.hex.is_empty() {
        return from_hex(args.hex.join(" ").as_bytes());
    }
    let mut bytes = Vec::new();
    match &args.file {
        Some(path) => bytes = std::fs::read(path).map_err(reading(path.display()))?,
        None => _ = io::stdin().read_to_end(&mut bytes).map_err(reading("stdin"))?,
    }
    if args.raw { Ok(bytes) } else { from_hex(&bytes) }
}

/// Two digits a byte. Spaces and separators may stand between digits, `0x` before them.
fn from_hex(text: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut half = None;
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        let digit = char::from(*first).to_digit(16);
        match (digit, half.take()) {
            (Some(0), None) if matches!(behind, [b'x' | b'X', ..]) => rest = behind.get(1..).unwrap_or(&[]),
            (Some(digit), None) => half = Some(digit),
            (Some(digit), Some(high)) => bytes.push((high * 16 + digit) as u8),
            (None, before) if first.is_ascii_whitespace() || b",:".contains(first) => half = before,
            (None, _) => {
                let at = text.len() - rest.len();
                let shown = char::from(*first).escape_default();
                return Err(Failure::usage(format_args!(
                    "'{shown}', character {at} of the input, is no hex digit"
                ))
                .hint("use --raw if the input is the bytes themselves"));
            }
        }
    }
    match half {
        None => Ok(bytes),
        Some(_) => Err(Failure::usage("the input has an odd number of hex digits")),
    }
}

struct Printer<W> {
    out: W,
    json: bool,
    broken: u32,
    /// The number that the next packet of a serial line should have.
    next: Option<u16>,
}

impl<W: Write> Printer<W> {
    fn part(&mut self, part: &Part<'_>) -> Result<(), Failure> {
        let mut head = Fields::new()
            .with("at", part.at as u64)
            .with("len", part.len as u64);
        if let Some(counter) = part.counter {
            head = head.with("counter", counter);
            if let Some(missing) = self.missing(counter, &part.content) {
                head = head.with("missing", missing);
                if !self.json {
                    writeln!(self.out, "      {BAD}{missing} packets are missing here{BAD:#}")?;
                }
            }
        }
        match &part.content {
            Content::Hello(it) => self.good(part, "HELLO", head, hello(it)),
            Content::Broken(fault) => self.bad(part, "broken", head, fault),
            Content::Frame(frame) => {
                let name = frame.kind.to_string();
                let head = head
                    .with("kind", frame.kind.0)
                    .with("name", name.as_str())
                    .with("id", frame.id);
                let title = if frame.id == 0 {
                    name
                } else {
                    format!("{name} #{}", frame.id)
                };
                match describe(frame) {
                    Ok(fields) => self.good(part, &title, head, fields),
                    Err(fault) => {
                        let body_at = part.at + part.len - frame.body.len();
                        let place = format!(
                            "{} at byte {} (byte {} of the body, which starts at {body_at})",
                            fault.fault,
                            body_at + fault.at,
                            fault.at
                        );
                        self.bad(part, &title, head, &place)
                    }
                }
            }
        }
    }

    /// How many packets are missing before this one; a hello starts the counting anew.
    fn missing(&mut self, counter: u16, content: &Content<'_>) -> Option<u16> {
        let expected = self.next.replace(counter.wrapping_add(1));
        match content {
            Content::Hello(_) => None,
            _ => expected
                .map(|expected| counter.wrapping_sub(expected))
                .filter(|missing| *missing > 0),
        }
    }

    fn good(&mut self, part: &Part<'_>, title: &str, head: Fields, fields: Fields) -> Result<(), Failure> {
        if self.json {
            return self.json(&head.with("fields", fields));
        }
        let Part { at, len, .. } = part;
        writeln!(
            self.out,
            "{FAINT}{at:>5}{FAINT:#} {STRONG}{title}{STRONG:#} {FAINT}{len} bytes{FAINT:#}"
        )?;
        Ok(write!(self.out, "{fields}")?)
    }

    fn bad(&mut self, part: &Part<'_>, title: &str, head: Fields, fault: &str) -> Result<(), Failure> {
        self.broken += 1;
        if self.json {
            return self.json(&head.with("error", Shown::from(fault)));
        }
        let Part { at, len, .. } = part;
        writeln!(
            self.out,
            "{FAINT}{at:>5}{FAINT:#} {BAD}{title}{BAD:#} {FAINT}{len} bytes{FAINT:#}"
        )?;
        Ok(writeln!(self.out, "      {BAD}{fault}{BAD:#}")?)
    }

    fn json(&mut self, fields: &Fields) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{}", json::Line(fields))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_in_all_its_spellings() {
        for text in [
            "01abFF",
            " 01 ab ff\n",
            "0x01,0xAB,0xff",
            "01:ab:FF",
            "0 1 a b f f",
        ] {
            assert_eq!(from_hex(text.as_bytes()).unwrap(), [1, 0xab, 0xff], "{text}");
        }
        assert!(from_hex(b"").unwrap().is_empty());
        for text in ["0", "0g", "zz", "01 a"] {
            assert!(from_hex(text.as_bytes()).is_err(), "{text}");
        }
    }
}
