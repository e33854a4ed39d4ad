//! The command line.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

use crate::commands;
use crate::error::EXIT_CODES;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default());

/// Messaging from the terminal: run a hub, chat, and inspect what travels between them.
#[derive(Debug, Parser)]
#[command(name = "tim", version, after_help = EXIT_CODES, styles = STYLES, infer_subcommands = true)]
pub(crate) struct Cli {
    /// When to use colours: auto, always or never.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    pub(crate) color: Color,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The value of `--color`.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// Applies the choice to all output streams.
    pub(crate) fn write_global(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(commands::demo::Args),
    Serve(Box<commands::serve::Args>),
    Check(commands::check::Args),
    Backup(commands::backup::Args),
    Migrate(commands::migrate::Args),
    #[cfg(unix)]
    Admin(commands::admin::Args),
    Chat(commands::chat::Args),
    Send(commands::send::Args),
    Get(commands::get::Args),
    History(commands::history::Args),
    Listen(commands::listen::Args),
    Revoke(commands::revoke::Args),
    Conversations(commands::conversations::Args),
    Group(commands::group::Args),
    Profile(commands::profile::Args),
    Sig(commands::sig::Args),
    Parse(commands::parse::Args),
    Frame(commands::frame::Args),
    Conformance(commands::conformance::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
}
