//! Emoji tables that a user can choose: one of the library's, or a file.

use std::path::Path;
use std::str::FromStr;

use serde_json::{Map, Value};
use tim_proto::render::text::{self, EmojiTable, Spans};

use crate::error::{Failure, reading};

/// What `--table` says.
#[derive(Debug, Clone)]
pub(crate) enum TableChoice {
    Seed,
    Tui,
    Classic,
    File(String),
}

impl FromStr for TableChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "seed" => Self::Seed,
            "tui" => Self::Tui,
            "classic" => Self::Classic,
            file => Self::File(file.to_owned()),
        })
    }
}

/// An emoji table, ready to parse with.
pub(crate) enum Table {
    Usual(&'static EmojiTable<'static>),
    /// With an index for as many entries as can be indexed.
    Large(Box<EmojiTable<'static, LARGE>>),
}

/// Slots for 49,152 entries; beyond that, tables work but get slower.
const LARGE: usize = 65_536;
/// More entries than this do not fit the index of the usual size.
const USUAL_ENTRIES: usize = text::DEFAULT_SLOTS / 4 * 3;

impl Table {
    /// Reads the table's file, if it is in one.
    pub(crate) fn load(choice: &TableChoice) -> Result<Self, Failure> {
        Ok(match choice {
            TableChoice::Seed => Self::Usual(&text::SEED),
            TableChoice::Tui => Self::Usual(&text::TUI),
            TableChoice::Classic => Self::Usual(&text::CLASSIC),
            TableChoice::File(path) => Self::from_file(Path::new(path))?,
        })
    }

    fn from_file(path: &Path) -> Result<Self, Failure> {
        let json = std::fs::read_to_string(path).map_err(|error| {
            reading(format_args!("the emoji table {}", path.display()))(error)
                .hint("--table takes seed, tui, classic, or a JSON file such as {\"[cat]\":\"cat.png\"}")
        })?;
        // Files from Windows begin with a byte order mark.
        let entries = entries(json.strip_prefix('\u{feff}').unwrap_or(&json)).map_err(|fault| {
            Failure::usage(format_args!(
                "the emoji table {} is not usable: {fault}",
                path.display()
            ))
            .hint("it must be one JSON object of keys and file names, such as {\"[cat]\":\"cat.png\"}")
        })?;
        // One table per run of the program: it may as well live for ever.
        let entries: &'static [_] = entries.leak();
        Ok(if entries.len() <= USUAL_ENTRIES {
            Self::Usual(Box::leak(Box::new(EmojiTable::new(entries))))
        } else {
            Self::Large(Box::new(EmojiTable::with_slots(entries)))
        })
    }

    /// The spans of `text`.
    pub(crate) fn spans<'t>(&self, text: &'t str) -> Spans<'t, '_> {
        match self {
            Self::Usual(table) => text::spans(text, table),
            Self::Large(table) => text::spans(text, table),
        }
    }
}

fn entries(json: &str) -> Result<Vec<(&'static str, &'static str)>, String> {
    let object: Map<String, Value> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let entry = |(key, value): (String, Value)| match value {
        Value::String(file) => Ok((&*key.leak(), &*file.leak())),
        // As in the original, where any value that is not true is no entry.
        Value::Null | Value::Bool(false) => Ok((&*key.leak(), "")),
        other => Err(format!("the file of {key:?} is {other}, not a string")),
    };
    object.into_iter().map(entry).collect()
}
