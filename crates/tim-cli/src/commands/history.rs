//! `tim history`: prints the messages of a conversation.

use std::io::Write;

use tim_client::{ConversationId, Message};

use crate::connect::{ConnectArgs, PeerArgs};
use crate::error::{EXIT_CODES, Failure};
use crate::json;
use crate::session::{Session, failure};
use crate::terminal::{Look, MessageLine, When};

/// Print the messages of a conversation, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    peer: PeerArgs,
    /// Number of messages, counted from the newest.
    #[arg(
        long,
        short = 'n',
        value_name = "NUMBER",
        default_value_t = 15,
        conflicts_with = "all"
    )]
    count: usize,
    /// Print all stored messages.
    #[arg(long)]
    all: bool,
    /// Print one JSON object per message, with the field names of the documented SDK.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    look: Look,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let conversation = args.peer.required()?;
    let login = args.connect.resolve()?;
    Session::run(login, async |session| {
        let messages = messages(session, conversation, args).await?;
        print(session, args, &messages)
    })
}

/// Reads pages from the newest back; returns messages oldest first.
async fn messages(
    session: &Session,
    conversation: ConversationId,
    args: &Args,
) -> Result<Vec<Message>, Failure> {
    let wanted = if args.all { usize::MAX } else { args.count };
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
        pages.push(page.message_list);
        if page.is_completed {
            break;
        }
        next = Some(page.next_req_message_id);
    }
    let mut messages: Vec<Message> = pages.into_iter().rev().flatten().collect();
    messages.drain(..messages.len().saturating_sub(wanted));
    Ok(messages)
}

fn print(session: &Session, args: &Args, messages: &[Message]) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    for message in messages {
        let view = message.view();
        if args.json {
            writeln!(out, "{}", json::Line(&json::message(&view, &session.me)))?;
        } else {
            let said = MessageLine {
                message: view,
                me: session.me,
                look: args.look,
                when: When::Date,
            };
            writeln!(out, "{said}")?;
        }
    }
    Ok(())
}
