//! `tim parse`: renders texts, notices and tips, one JSON value per line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};
use tim_json::text::{NoticePayload, TipPayload};
use tim_proto::Words;
use tim_proto::render::text::{Span, Spans};

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
                let payload = NoticePayload::read(value).map_err(|error| error.to_string())?;
                Ok(json_text(&payload.text(self.words)))
            }
            Kind::Tip => {
                let payload = TipPayload::read(value).map_err(|error| error.to_string())?;
                Ok(json_text(&payload.text(self.words)))
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

/// A line without the byte order mark with which files from Windows may begin.
fn without_mark(bytes: &[u8], begins: bool) -> &[u8] {
    let behind = bytes.strip_prefix("\u{feff}".as_bytes()).filter(|_| begins);
    behind.unwrap_or(bytes)
}
