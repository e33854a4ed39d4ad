//! The commands, one module each.

#[cfg(unix)]
pub(crate) mod admin;
pub(crate) mod backup;
pub(crate) mod chat;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod conformance;
pub(crate) mod conversations;
pub(crate) mod demo;
pub(crate) mod frame;
pub(crate) mod get;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod listen;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod parse;
pub(crate) mod profile;
pub(crate) mod revoke;
pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod sig;
mod store;

use crate::cli::Command;
use crate::error::Failure;

/// Runs a command.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(*args),
        Command::Check(args) => check::run(args),
        Command::Backup(args) => backup::run(args),
        Command::Migrate(args) => migrate::run(args),
        #[cfg(unix)]
        Command::Admin(args) => admin::run(args),
        Command::Demo(args) => demo::run(&args),
        Command::Chat(args) => chat::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Get(args) => get::run(&args),
        Command::History(args) => history::run(&args),
        Command::Listen(args) => listen::run(&args),
        Command::Revoke(args) => revoke::run(&args),
        Command::Conversations(args) => conversations::run(&args),
        Command::Group(args) => group::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Sig(args) => sig::run(args),
        Command::Parse(args) => parse::run(&args),
        Command::Frame(args) => frame::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
