//! Logging to stderr: as text, or each event as a line of JSON.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

use crate::config::text_in_files;
use crate::error::Failure;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is not text or json")),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

text_in_files!(LogFormat);

/// Starts logging; `levels` is a level, or `module=level` with commas between.
pub(crate) fn start(levels: &str, format: LogFormat) -> Result<Levels, Failure> {
    let (levels, handle) = reload::Layer::new(parse(levels)?);
    let colours =
        io::stderr().is_terminal() && anstream::ColorChoice::global() != anstream::ColorChoice::Never;
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(colours).boxed(),
        // The fields of an event are fields beside its message; those of the connection and the request are in `spans`.
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .boxed(),
    };
    tracing_subscriber::registry().with(levels).with(layer).init();
    Ok(Levels(handle))
}

/// The log levels, which can change while the program runs.
#[derive(Debug, Clone)]
pub(crate) struct Levels(reload::Handle<Targets, Registry>);

impl Levels {
    pub(crate) fn set(&self, levels: &str) -> Result<(), Failure> {
        self.0.reload(parse(levels)?).map_err(Failure::failed)
    }
}

fn parse(levels: &str) -> Result<Targets, Failure> {
    levels.parse().map_err(|fault| {
        Failure::usage(format_args!("invalid log level '{levels}': {fault}"))
            .hint("use error, warn, info, debug or trace, or levels per module, such as info,tim_hub=debug")
    })
}
