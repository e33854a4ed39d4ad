//! `tim serve`: the hub on an embedded store.

use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::config::Given;
use crate::error::{EXIT_CODES, Failure};
use crate::local::{DataArg, DataDir, key_from};

const FILES: &str = "\
Every setting can be given as a flag, as a variable (TIM_ and the flag's name in capitals, with _ for -), or in a file:
flags go before variables, these before the file, the file before the default. The file is the one named with --config,
else serve.toml in the data directory, if it is there; --print-config prints all settings as they are written in it.

In the data directory: tim.sqlite3 (all messages), app.key (signs UserSigs; made at the first start, readable by its
owner only), endpoint.toml (where `tim chat` and its like find this hub).";

/// Run a hub: keep conversations on disk and move everybody's messages.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{FILES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArg,
    #[command(flatten)]
    settings: Given,
    /// The app key. Others on this machine can see it in the list of processes; --key-file avoids that.
    #[arg(
        long,
        value_name = "KEY",
        env = "TIM_KEY",
        hide_env_values = true,
        conflicts_with = "key_file"
    )]
    key: Option<String>,
    /// A file with the app key [default: app.key in the data directory, made if need be].
    #[arg(long, value_name = "FILE", env = "TIM_KEY_FILE", hide_env_values = true)]
    key_file: Option<PathBuf>,
    /// Read settings from this file.
    #[arg(long, value_name = "FILE", env = "TIM_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Print the settings in force and stop.
    #[arg(long)]
    print_config: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let data = DataDir::new(args.data.data)?;
    let settings = args.settings.resolve(args.config.as_deref(), data.path())?;
    if args.print_config {
        return Ok(write!(
            io::stdout(),
            "# Data directory: {}\n{}",
            data.path().display(),
            settings.to_toml()?
        )?);
    }
    data.create()?;
    let _key = match (args.key, &args.key_file) {
        (Some(key), _) => key,
        (None, Some(path)) => key_from(path)?,
        (None, None) => data.key_or_new()?.0,
    };
    Err(Failure::failed("this build has no hub"))
}
