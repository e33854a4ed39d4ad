//! The `tim` program. [`commands`] has a module per command; the modules around it are shared by them.

mod address;
#[cfg(unix)]
mod admin;
mod cli;
mod commands;
mod config;
mod connect;
mod emoji;
mod error;
mod file_place;
mod hex;
mod json;
mod listeners;
mod local;
mod log;
mod needs;
mod notify;
mod outgoing;
mod output;
mod push_sinks;
mod serial_ports;
mod session;
mod stdin;
mod terminal;
mod time;
mod transfer;

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
