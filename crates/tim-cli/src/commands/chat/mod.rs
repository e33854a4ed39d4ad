//! `tim chat`: an interactive conversation.

mod complete;
mod group;
mod history;
mod input;
mod keyboard;
mod run;
mod show;

use clap::builder::FalseyValueParser;

use crate::connect::{ConnectArgs, PeerArgs};
use crate::error::{EXIT_CODES, Failure};
use crate::session::{Session, block_on};
use crate::terminal::Look;

use complete::SharedNames;
use history::HistoryFile;
use keyboard::Keyboard;
use run::Chat;

/// Chat with a user or a group: prints the history and new messages, and sends each line of input.
///
/// /help lists the commands. Input may also come from a pipe: each line is sent, and the end of input ends the chat.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    peer: PeerArgs,
    #[command(flatten)]
    look: Look,
    /// Do not ring the terminal's bell when I am mentioned.
    #[arg(long, env = "TIM_NO_BELL", hide_env_values = true, value_parser = FalseyValueParser::new())]
    no_bell: bool,
    /// Do not store input lines. By default they are stored in chat_history in the data directory, readable by its owner only.
    #[arg(long, env = "TIM_NO_HISTORY", hide_env_values = true, value_parser = FalseyValueParser::new())]
    no_history: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let login = args.connect.resolve()?;
    block_on(async {
        let (session, events) = Session::open(login).await?;
        let data = args.connect.data().filter(|_| !args.no_history);
        let history = data.filter(|data| data.create().is_ok());
        let history = history.map(|data| HistoryFile::new(data.path()));
        let names = SharedNames::default();
        let keyboard = Keyboard::start(history, names.clone())?;
        let mut chat = Chat::new(&session, keyboard, args.look, names, !args.no_bell);
        let result = chat.run(events, args.peer.conversation()).await;
        drop(chat);
        session.close().await;
        result
    })
}
