//! `tim admin`: what the operator asks a running hub to do.

use std::io::{self, Write as _};
use std::path::PathBuf;

use serde_json::Value;
use tim_proto::{GroupId, UserId};

use crate::admin::{MAX_PAGE, Request, ask};
use crate::error::{EXIT_CODES, Failure};
use crate::json::Line;
use crate::local::DataDir;

const ABOUT: &str = "\
These commands reach the hub through admin.sock in its data directory, which only the user of the hub can open. Each prints an object of
JSON, or with `groups` one for each line.";

/// Ask a running hub for numbers, users and groups, and end sessions or groups.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{ABOUT}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// The hub's data directory [default: tim in $XDG_DATA_HOME or ~/.local/share].
    #[arg(
        long,
        value_name = "DIR",
        env = "TIM_DATA",
        hide_env_values = true,
        global = true
    )]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the hub's numbers, as at /metrics.
    #[command(after_help = EXIT_CODES)]
    Statistics {
        /// Print one object.
        #[arg(long)]
        json: bool,
    },
    /// Show what is known of a user.
    #[command(after_help = EXIT_CODES)]
    User {
        /// The user.
        user: UserId,
    },
    /// End all sessions of a user, and make the UserSigs void that were issued before now. With a new one, the user can log in again.
    #[command(after_help = EXIT_CODES)]
    Kick {
        /// The user.
        user: UserId,
    },
    /// Keep a user out: all sessions end, and the user cannot log in until `unblock`.
    #[command(after_help = EXIT_CODES)]
    Block {
        /// The user, who need not have an account.
        user: UserId,
    },
    /// Let a user log in again.
    #[command(after_help = EXIT_CODES)]
    Unblock {
        /// The user.
        user: UserId,
    },
    /// Print the ids of all groups, one a line.
    #[command(after_help = EXIT_CODES)]
    Groups,
    /// Show what is known of a group.
    #[command(after_help = EXIT_CODES)]
    Group {
        /// The group.
        group: GroupId,
    },
    /// Dismiss a group in the system's name: its members get a notice, and it is gone.
    #[command(after_help = EXIT_CODES)]
    Dismiss {
        /// The group.
        group: GroupId,
    },
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let data = DataDir::new(args.data)?;
    let mut out = io::stdout();
    let request = match args.command {
        Command::Statistics { json } => {
            let found = ask(&data, &Request::Statistics)?;
            if json {
                return Ok(writeln!(out, "{}", Line(&found))?);
            }
            for (series, value) in found["metrics"].as_object().into_iter().flatten() {
                writeln!(out, "{series} {value}")?;
            }
            return Ok(());
        }
        Command::Groups => return groups(&data, &mut out),
        Command::User { user } => Request::User { user },
        Command::Kick { user } => Request::Kick { user },
        Command::Block { user } => Request::Block { user, blocked: true },
        Command::Unblock { user } => Request::Block { user, blocked: false },
        Command::Group { group } => Request::Group { group },
        Command::Dismiss { group } => Request::Dismiss { group },
    };
    match ask(&data, &request)? {
        Value::Null => Ok(()),
        found => Ok(writeln!(out, "{}", Line(&found))?),
    }
}

fn groups(data: &DataDir, out: &mut impl io::Write) -> Result<(), Failure> {
    let mut after = Some(0);
    while let Some(behind) = after {
        let limit = MAX_PAGE;
        let page = ask(data, &Request::Groups { after: behind, limit })?;
        for group in page["groups"].as_array().into_iter().flatten() {
            writeln!(out, "{}", group.as_str().unwrap_or_default())?;
        }
        after = page["next"].as_u64();
    }
    Ok(())
}
