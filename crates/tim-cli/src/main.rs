//! The `tim` program: one file per command in [`commands`], and around them what all commands share.

mod cli;
mod commands;
mod config;
mod connect;
mod emoji;
mod error;
mod frame;
mod json;
mod lines;
mod local;
mod log;
mod output;
mod session;
mod stdin;
mod terminal;
mod time;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    cli.color.write_global();
    match commands::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
