//! `tim revoke`: takes a message back.

use std::io::Write as _;
use std::str::FromStr;

use tim_client::{ConversationId, Message, MessageId};

use crate::connect::{ConnectArgs, PeerArgs};
use crate::error::{EXIT_CODES, Failure};
use crate::json;
use crate::session::{Session, failure};
use crate::terminal::{Look, MessageLine, When};

/// Revoke a message: mine, or in a group that I manage that of a member.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    peer: PeerArgs,
    /// The message: its sequence in the conversation, or its ID. Without it, my newest one.
    #[arg(long, short, value_name = "SEQUENCE|ID")]
    message: Option<Which>,
    /// Print the message as a JSON object, with the field names of the documented SDK.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    look: Look,
}

/// A message of a conversation.
#[derive(Debug, Clone, Copy)]
enum Which {
    Sequence(u64),
    Id(MessageId),
}

impl FromStr for Which {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sequence = text.parse().map(Self::Sequence);
        sequence
            .or_else(|_| text.parse().map(Self::Id))
            .map_err(|_| "neither a sequence, such as 12, nor a message ID, such as 1-1705307415-42")
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let conversation = args.peer.required()?;
    let login = args.connect.resolve()?;
    Session::run(login, async |session| {
        let message = find(session, conversation, args.message).await?;
        session.client.revoke_message(&message).await.map_err(failure)?;
        let mut out = anstream::stdout().lock();
        if args.json {
            writeln!(
                out,
                "{}",
                json::Line(&json::message(&message.view(), &session.me))
            )?;
        } else {
            let said = MessageLine {
                message: message.view(),
                me: session.me,
                look: args.look,
                when: When::Date,
            };
            writeln!(out, "{said}")?;
        }
        Ok(())
    })
}

/// Reads pages from the newest back until the message is there.
async fn find(
    session: &Session,
    conversation: ConversationId,
    which: Option<Which>,
) -> Result<Message, Failure> {
    let is_meant = |message: &&Message| match which {
        Some(Which::Sequence(sequence)) => message.sequence() == sequence,
        Some(Which::Id(id)) => message.id() == id,
        None => message.sender() == session.me && !message.is_revoked(),
    };
    let mut next = None;
    loop {
        let asked = session.client.get_message_list(conversation, next.as_ref(), None);
        let page = asked.await.map_err(failure)?;
        session.extend_deadline();
        let found = page.message_list.iter().rev().find(is_meant);
        if let Some(message) = found {
            return Ok(message.clone());
        }
        if page.is_completed {
            let hint = "`tim history --json` shows the sequence and the ID of each message";
            return Err(Failure::failed(format_args!("no such message in {conversation}")).hint(hint));
        }
        next = Some(page.next_req_message_id);
    }
}
