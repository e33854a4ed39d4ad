//! `tim completions`: a completion script for a shell.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::{EXIT_CODES, Failure};

const INSTALL: &str = "\
Where a shell looks for it:
  bash  tim completions bash > ~/.local/share/bash-completion/completions/tim
  zsh   tim completions zsh > ~/.zfunc/_tim    # with ~/.zfunc in fpath
  fish  tim completions fish > ~/.config/fish/completions/tim.fish";

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{INSTALL}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tim", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
