//! `tim parse`: renders texts, notices and tips, one JSON value per line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};
use tim_proto::Words;
use tim_proto::message::TipOperation;
use tim_proto::message::{NoticeOperation, SystemNotice};
use tim_proto::render::text::{Span, Spans};
use tim_proto::render::tip_text;

use crate::emoji::{Table, TableChoice};
use crate::error::{EXIT_CODES, Failure, reading};
use crate::json;
use crate::output::BAD;
use crate::terminal::Safe;

const FORMATS: &str = "\
One JSON value per line in and out, in the same order (empty lines are skipped):

  text    in:  a string, or {\"text\": a string}
          out: [{\"name\":\"text\",\"text\":…},{\"name\":\"img\",\"src\":…},…]; adjacent text is one node
  notice  in:  {\"operationType\":…,\"operatorID\":…,\"groupProfile\":{\"name\":…,\"groupName\":…,\"groupID\":…}}
          out: a string, or null for an operation that has no text
  tip     in:  {\"operationType\":…,\"operatorID\":…,\"userIDList\":[…]}
          out: a string

A missing or null operatorID is empty. The name of a group is the first of name (newer payloads), groupName and groupID that
is not missing, null, false, 0 or empty, or else empty. For an invalid line the output has {\"error\":…}, so that lines still
match; stderr has the error with its line number, and the exit code is 2.

Example:
  $ echo '\"好[呲牙]\"' | tim parse text
  [{\"name\":\"text\",\"text\":\"好\"},{\"name\":\"img\",\"src\":\"http://xxxxxxxx/emoji/emoji_1.png\"}]";

/// Parse texts into text and emojis, or render system notices and group tips (JSON lines in and out).
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{FORMATS}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// The kind of the lines.
    kind: Kind,
    /// Files to read instead of stdin; `-` is stdin.
    files: Vec<PathBuf>,
    /// Emoji table for `text`: seed, tui, classic, or a file with a JSON object of key to file name.
    #[arg(long, value_name = "NAME|FILE", default_value = "seed")]
    table: TableChoice,
    /// Prefix of the file name in an emoji's `src`, for `text`.
    #[arg(long, value_name = "URL", default_value = "http://xxxxxxxx/emoji/")]
    base: String,
    /// Words for `notice` and `tip`: seed (Chinese, ASCII punctuation), full-width, or english.
    #[arg(long, value_name = "NAME", default_value_t)]
    profile: Words,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// Text with emojis.
    Text,
    /// Payloads of group system notices.
    Notice,
    /// Payloads of group tips.
    Tip,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let parser = Parser {
        kind: args.kind,
        table: Table::load(&args.table)?,
        base: &args.base,
        words: args.profile,
    };
    let mut lines = LineParser {
        parser,
        out: io::BufWriter::new(io::stdout().lock()),
        bad: 0,
    };
    if args.files.is_empty() {
        lines.read("stdin", BufReader::new(io::stdin()))?;
    }
    for path in &args.files {
        if path.as_os_str() == "-" {
            lines.read("stdin", BufReader::new(io::stdin()))?;
        } else {
            let name = path.display().to_string();
            lines.read(&name, BufReader::new(File::open(path).map_err(reading(&name))?))?;
        }
    }
    lines.out.flush()?;
    match lines.bad {
        0 => Ok(()),
        1 => Err(Failure::usage("one line is invalid")),
        bad => Err(Failure::usage(format_args!("{bad} lines are invalid"))),
    }
    .map_err(|failure| failure.hint("`tim parse --help` describes the format"))
}

/// Reads and writes lines, and counts invalid ones.
struct LineParser<'a, W> {
    parser: Parser<'a>,
    out: W,
    bad: u64,
}

impl<W: Write> LineParser<'_, W> {
    fn read<R: io::Read>(&mut self, name: &str, mut input: BufReader<R>) -> Result<(), Failure> {
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            if input.read_until(b'\n', &mut line).map_err(reading(name))? == 0 {
                break;
            }
            let json = without_mark(&line, number == 1);
            if !json.trim_ascii().is_empty() {
                self.line(name, number, json)?;
            }
            // A process that writes a line and waits for the result gets it.
            if input.buffer().is_empty() {
                self.out.flush()?;
            }
        }
        Ok(())
    }

    fn line(&mut self, name: &str, number: u64, line: &[u8]) -> Result<(), Failure> {
        let outcome = serde_json::from_slice(line)
            .map_err(|error| format!("not a JSON value: {error}"))
            .and_then(|value| self.parser.parse(&value));
        let json = outcome.unwrap_or_else(|fault| {
            self.bad += 1;
            // A closed stderr must not stop the output.
            let _ = writeln!(
                anstream::stderr(),
                "{BAD}error:{BAD:#} {name}, line {number}: {}",
                Safe::line(&fault)
            );
            json_text(&json!({ "error": fault }))
        });
        Ok(writeln!(self.out, "{json}")?)
    }
}

/// Renders a line.
struct Parser<'a> {
    kind: Kind,
    table: Table,
    base: &'a str,
    words: Words,
}

impl Parser<'_> {
    /// The JSON to print for a value, or an error message.
    fn parse(&self, value: &Value) -> Result<String, String> {
        match self.kind {
            Kind::Text => {
                let text = value.as_str().or_else(|| value.get("text")?.as_str());
                let text = text.ok_or("a text is a string, or an object with the string \"text\"")?;
                Ok(nodes(self.table.spans(text), self.base))
            }
            Kind::Notice => {
                let payload = NoticePayload::read(value)?;
                let text = payload.notice().text(self.words).map(|text| text.to_string());
                Ok(json_text(&text))
            }
            Kind::Tip => {
                let TipPayload {
                    operation,
                    operator_id,
                    users,
                } = TipPayload::read(value)?;
                let text = tip_text(operation, &operator_id, &users, self.words).to_string();
                Ok(json_text(&text))
            }
        }
    }
}

/// A node of the original implementation's output.
#[derive(Serialize)]
#[serde(tag = "name", rename_all = "lowercase")]
enum Node<'a> {
    Text { text: &'a str },
    Img { src: String },
}

fn nodes(spans: Spans<'_, '_>, base: &str) -> String {
    let node = |span: Span<'_, '_>| match span.src(base) {
        Some(src) => json_text(&Node::Img { src: src.to_string() }),
        None => json_text(&Node::Text { text: span.source() }),
    };
    let nodes: Vec<String> = spans.map(node).collect();
    format!("[{}]", nodes.join(","))
}

fn json_text(value: &impl Serialize) -> String {
    json::Line(value).to_string()
}

/// The fields of a notice's payload that its text uses.
struct NoticePayload {
    operation: NoticeOperation,
    operator_id: String,
    group: String,
}

impl NoticePayload {
    fn read(payload: &Value) -> Result<Self, String> {
        let fields = payload.as_object().ok_or("a notice's payload is an object")?;
        let profile = fields.get("groupProfile").and_then(Value::as_object);
        let profile = profile.ok_or("the payload has no object \"groupProfile\"")?;
        let named = ["name", "groupName"]
            .into_iter()
            .find(|key| profile.get(*key).is_some_and(is_truthy));
        Ok(Self {
            operation: NoticeOperation(operation(fields.get("operationType"))),
            operator_id: printed("operatorID", fields.get("operatorID"))?,
            // The original's `groupName || groupID`, after the `name` of newer payloads.
            group: match named {
                Some(key) => printed(key, profile.get(key))?,
                None => printed("groupID", profile.get("groupID"))?,
            },
        })
    }

    fn notice(&self) -> SystemNotice<'_> {
        SystemNotice::new(self.operation)
            .with_operator_id(&self.operator_id)
            .with_group_name(&self.group)
    }
}

/// The fields of a tip's payload that its text uses.
struct TipPayload {
    operation: TipOperation,
    operator_id: String,
    users: Vec<String>,
}

impl TipPayload {
    fn read(payload: &Value) -> Result<Self, String> {
        let fields = payload.as_object().ok_or("a tip's payload is an object")?;
        let operation = TipOperation(operation(fields.get("operationType")));
        let shows_users = (TipOperation::JOIN..=TipOperation::CANCELED_ADMIN).contains(&operation);
        let users = match fields.get("userIDList").and_then(Value::as_array) {
            _ if !shows_users => Vec::new(),
            Some(list) => list
                .iter()
                .map(|id| printed("userIDList", Some(id)))
                .collect::<Result<_, _>>()?,
            None => {
                return Err("the payload has no list \"userIDList\", which this operation shows".to_owned());
            }
        };
        let operator_id = printed("operatorID", fields.get("operatorID"))?;
        Ok(Self {
            operation,
            operator_id,
            users,
        })
    }
}

/// The number of an operation; 0 for any other value, such as a string.
fn operation(value: Option<&Value>) -> u32 {
    let Some(number) = value.and_then(Value::as_f64) else {
        return 0;
    };
    let whole = number as u32; // saturates
    if f64::from(whole) == number { whole } else { 0 }
}

/// Whether a value is truthy in JavaScript.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// A line without the byte order mark with which files from Windows may begin.
fn without_mark(bytes: &[u8], begins: bool) -> &[u8] {
    let behind = bytes.strip_prefix("\u{feff}".as_bytes()).filter(|_| begins);
    behind.unwrap_or(bytes)
}

/// A field as it appears in a text; missing and null are empty.
fn printed(name: &str, value: Option<&Value>) -> Result<String, String> {
    match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(other) => Err(format!("\"{name}\" is {other}, not a string")),
    }
}
