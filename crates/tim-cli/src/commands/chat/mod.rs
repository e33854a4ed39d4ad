//! `tim chat`: talking in a terminal.

mod group;
mod input;
mod keyboard;
mod talk;

use crate::connect::{ConnectArgs, PeerArgs};
use crate::error::{EXIT_CODES, Failure};
use crate::session::{Session, block_on};
use crate::terminal::Look;

use keyboard::Keyboard;
use talk::Talk;

/// Talk with a user or a group: shows what was said, then what is being said; every line typed is sent.
///
/// /help shows what else can be typed. Input may also come from a pipe: each line is sent, and the end of input leaves.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    peer: PeerArgs,
    #[command(flatten)]
    look: Look,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let login = args.connect.resolve()?;
    block_on(async {
        let (session, events) = Session::open(login).await?;
        let keyboard = Keyboard::start()?;
        let mut talk = Talk::new(&session, keyboard, args.look);
        let result = talk.run(events, args.peer.conversation()).await;
        drop(talk);
        session.close().await;
        result
    })
}
