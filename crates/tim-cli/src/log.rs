//! Logging to stderr.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use crate::error::Failure;

/// Starts logging; `levels` is a level, or `module=level` with commas between.
pub(crate) fn start(levels: &str) -> Result<Levels, Failure> {
    let (levels, handle) = reload::Layer::new(parse(levels)?);
    let colours =
        io::stderr().is_terminal() && anstream::ColorChoice::global() != anstream::ColorChoice::Never;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colours);
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
