//! `tim history`: prints the messages of a conversation.

use tim_client::{ConversationId, EventStream, Message};

use super::listen::{Printer, Shape};
use crate::connect::{ConnectArgs, PeerArgs};
use crate::error::{EXIT_CODES, Failure};
use crate::session::{Session, block_on, failure};
use crate::terminal::Look;
use crate::time::Since;

/// How many messages are printed unless another number is asked for.
const PAGE: usize = 15;

/// Print the messages of a conversation, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    peer: PeerArgs,
    /// Number of messages, counted from the newest: 15, or with --since all.
    #[arg(long, short = 'n', value_name = "NUMBER", conflicts_with = "all")]
    count: Option<usize>,
    /// Print all stored messages.
    #[arg(long)]
    all: bool,
    /// Print messages from this time on: a span before now (90s, 2h, 7d), a date with or without a time, or @ and a Unix time.
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Go on with what arrives, until ctrl-C or SIGTERM.
    #[arg(long, short)]
    follow: bool,
    /// Print one JSON object per message, with the field names of the documented SDK.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    look: Look,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let conversation = args.peer.required()?;
    let login = args.connect.resolve()?;
    block_on(async {
        let (session, events) = Session::open(login).await?;
        // What arrives while pages are read is printed behind them.
        let events = args.follow.then_some(events);
        let ended = show(&session, conversation, args, events).await;
        session.close().await;
        ended
    })
}

async fn show(
    session: &Session,
    conversation: ConversationId,
    args: &Args,
    events: Option<EventStream>,
) -> Result<(), Failure> {
    let messages = session.in_time(messages(session, conversation, args)).await?;
    let mut printer = Printer {
        me: session.me,
        look: args.look,
        shape: if args.json { Shape::Messages } else { Shape::Text },
        only: Some(conversation),
        after: messages.last().map_or(0, Message::sequence),
        left: None,
    };
    messages.iter().try_for_each(|message| printer.message(message))?;
    match events {
        Some(mut events) => printer.follow(&mut events).await,
        None => Ok(()),
    }
}

/// Reads pages from the newest back; returns messages oldest first.
async fn messages(
    session: &Session,
    conversation: ConversationId,
    args: &Args,
) -> Result<Vec<Message>, Failure> {
    let since = args.since.map_or(0, |Since(since)| since);
    let all = args.all || args.since.is_some();
    let wanted = args.count.unwrap_or(if all { usize::MAX } else { PAGE });
    let mut pages = Vec::new();
    let (mut len, mut next) = (0, None);
    while len < wanted {
        let page = session
            .client
            .get_message_list(conversation, next.as_ref(), None)
            .await
            .map_err(failure)?;
        session.extend_deadline();
        len += page.message_list.len();
        let is_older = page
            .message_list
            .first()
            .is_some_and(|oldest| oldest.time() < since);
        pages.push(page.message_list);
        if page.is_completed || is_older {
            break;
        }
        next = Some(page.next_req_message_id);
    }
    let mut messages: Vec<Message> = pages.into_iter().rev().flatten().collect();
    messages.retain(|message| message.time() >= since);
    messages.drain(..messages.len().saturating_sub(wanted));
    Ok(messages)
}
