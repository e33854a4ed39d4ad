//! `tim frame`: decodes captured bytes.

use std::fmt::{self, Display};
use std::io::{self, Read as _, Write};
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tim_inspect::{Content, Part, describe, describe_hello, serial, stream};

use crate::error::{EXIT_CODES, Failure, reading};
use crate::hex::from_hex;
use crate::json;
use crate::output::{BAD, FAINT, STRONG};
use crate::terminal::is_treacherous;
use crate::time::date_and_time;

const EXAMPLES: &str = "\
The input is one direction of a connection: a hello and frames, or frames alone. Each part is printed with its position, kind, id
and length, and the fields of its body. Errors name the byte. UserSigs are replaced by what they claim.

Examples:
  $ tim frame 74696d1a 01 01 02 00 01000000 00000100 0000 0000
  $ tcpflow … | tim frame --raw --json
  $ tim frame --serial --raw --file uart.bin";

/// Decode the bytes of a connection: hellos, frames and their fields, and where they are damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// Hexadecimal digits; spaces, commas, colons and 0x between them are ignored [default: stdin].
    hex: Vec<String>,
    /// Read this file.
    #[arg(long, value_name = "FILE", conflicts_with = "hex")]
    file: Option<PathBuf>,
    /// The file or stdin has raw bytes instead of hexadecimal digits.
    #[arg(long, conflicts_with = "hex")]
    raw: bool,
    /// The input is from a serial line: COBS packets with a counter and a CRC, between zero bytes.
    #[arg(long)]
    serial: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    /// Reject larger frames.
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
        serial(&bytes, max_frame, |part| printer.part(&part))?;
    } else {
        stream(&bytes, max_frame).try_for_each(|part| printer.part(&part))?;
    }
    match printer.broken {
        0 => Ok(()),
        1 => Err(Failure::usage("one part of the input is malformed")),
        broken => Err(Failure::usage(format_args!(
            "{broken} parts of the input are malformed"
        ))),
    }
}

fn input(args: &Args) -> Result<Vec<u8>, Failure> {
    let mut bytes = args.hex.join(" ").into_bytes();
    match &args.file {
        Some(path) => bytes = std::fs::read(path).map_err(reading(path.display()))?,
        None if args.hex.is_empty() => _ = io::stdin().read_to_end(&mut bytes).map_err(reading("stdin"))?,
        None => {}
    }
    if args.raw {
        return Ok(bytes);
    }
    from_hex(&bytes).map_err(|fault| Failure::usage(fault).hint("use --raw if the input is raw bytes"))
}

struct Printer<W> {
    out: W,
    json: bool,
    broken: u32,
    /// The expected counter of the next packet of a serial line.
    next: Option<u16>,
}

impl<W: Write> Printer<W> {
    fn part(&mut self, part: &Part<'_>) -> Result<(), Failure> {
        let mut head = json!({ "at": part.at, "len": part.len });
        if let Some(counter) = part.counter {
            head["counter"] = json!(counter);
            if let Some(missing) = self.missing(counter, &part.content) {
                head["missing"] = json!(missing);
                if !self.json {
                    writeln!(self.out, "      {BAD}{missing} packets are missing here{BAD:#}")?;
                }
            }
        }
        let (title, fields) = match &part.content {
            Content::Hello(hello) => ("HELLO".to_owned(), Ok(describe_hello(hello))),
            Content::Broken(error) => ("malformed".to_owned(), Err(error.to_string())),
            Content::Frame(frame) => {
                let name = frame.kind.to_string();
                head["kind"] = json!(frame.kind.0);
                head["name"] = json!(name);
                head["id"] = json!(frame.id);
                let title = match frame.id {
                    0 => name,
                    id => format!("{name} #{id}"),
                };
                let fields = describe(frame.kind, frame.body).map_err(|error| {
                    let body_at = part.at + part.len - frame.body.len();
                    let at = body_at + error.at;
                    let in_body = format!("byte {} of the body, which starts at {body_at}", error.at);
                    format!("{} at byte {at} ({in_body})", error.fault)
                });
                (title, fields)
            }
            other => ("part".to_owned(), Err(format!("{other:?}"))),
        };
        self.broken += u32::from(fields.is_err());
        if self.json {
            match fields {
                Ok(fields) => head["fields"] = fields,
                Err(error) => head["error"] = json!(error),
            }
            return Ok(writeln!(self.out, "{}", json::Line(&head))?);
        }
        let Part { at, len, .. } = part;
        let style = if fields.is_ok() { STRONG } else { BAD };
        writeln!(
            self.out,
            "{FAINT}{at:>5}{FAINT:#} {style}{title}{style:#} {FAINT}{len} bytes{FAINT:#}"
        )?;
        match fields {
            Ok(fields) => write!(self.out, "{}", Tree(&fields))?,
            Err(error) => writeln!(self.out, "      {BAD}{error}{BAD:#}")?,
        }
        Ok(())
    }

    /// How many packets are missing before this one; a hello restarts the counter.
    fn missing(&mut self, counter: u16, content: &Content<'_>) -> Option<u16> {
        let expected = self.next.replace(counter.wrapping_add(1));
        match content {
            Content::Hello(_) => None,
            _ => expected
                .map(|expected| counter.wrapping_sub(expected))
                .filter(|missing| *missing > 0),
        }
    }
}

/// Fields, one per line, indented by depth.
struct Tree<'a>(&'a Value);

/// Fields with a Unix time in seconds.
const TIMES: [&str; 5] = ["time", "created", "joined", "muted_until", "expires"];

impl Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Object(fields) => write_fields(f, fields, 6),
            value => write_field(f, "body", value, 6),
        }
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &Map<String, Value>, indent: usize) -> fmt::Result {
    fields
        .iter()
        .try_for_each(|(name, value)| write_field(f, name, value, indent))
}

fn write_field(f: &mut fmt::Formatter<'_>, name: &str, value: &Value, indent: usize) -> fmt::Result {
    write!(f, "{:indent$}{name}:", "")?;
    match value {
        Value::Object(fields) => {
            writeln!(f)?;
            write_fields(f, fields, indent + 2)
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            writeln!(f)?;
            let mut items = items.iter().enumerate();
            items.try_for_each(|(at, item)| write_field(f, &at.to_string(), item, indent + 2))
        }
        Value::Array(items) if items.is_empty() => writeln!(f, " (none)"),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| scalar(name, item)).collect();
            writeln!(f, " {}", items.join(", "))
        }
        other => writeln!(f, " {}", scalar(name, other)),
    }
}

/// A value on one line: text as it is if that is safe and unambiguous, else in quotes with escapes.
fn scalar(name: &str, value: &Value) -> String {
    let is_plain = |text: &str| {
        !text.is_empty() && text.trim() == text && !text.starts_with('"') && !text.chars().any(is_treacherous)
    };
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(text) => format!("{text:?}"),
        other => match other.as_u64() {
            Some(seconds) if seconds > 0 && TIMES.contains(&name) => {
                format!("{seconds} ({})", date_and_time(seconds))
            }
            _ => other.to_string(),
        },
    }
}
