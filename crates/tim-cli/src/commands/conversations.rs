//! `tim conversations`: who there is to talk with, and what is unread.

use std::io::Write;
use std::sync::Arc;

use serde_json::{Value, json};
use tim_client::{Conversation, UserId};

use crate::connect::ConnectArgs;
use crate::error::{EXIT_CODES, Failure};
use crate::json;
use crate::output::{FAINT, STRONG};
use crate::session::{Session, block_on, failure};
use crate::terminal::{Look, Safe, Said, When};

/// List my conversations, newest first, with what is unread and the last message of each.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Print one JSON object a conversation, with the fields of the documented SDK.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    look: Look,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let login = args.connect.resolve()?;
    block_on(async {
        let (session, events) = Session::open(login).await?;
        drop(events);
        let list = session.client.get_conversation_list().await.map_err(failure);
        let printed = list.and_then(|list| print(&session.me, args, &list.conversation_list));
        session.close().await;
        printed
    })
}

fn print(me: &UserId, args: &Args, list: &[Arc<Conversation>]) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    if args.json {
        for conversation in list {
            writeln!(out, "{}", as_json(conversation, me))?;
        }
        return Ok(());
    }
    if list.is_empty() {
        writeln!(out, "{FAINT}no conversations yet{FAINT:#}")?;
    }
    write!(
        out,
        "{}",
        Table {
            list,
            me,
            look: args.look
        }
    )?;
    Ok(())
}

/// Conversations, one a line.
pub(crate) struct Table<'a> {
    pub(crate) list: &'a [Arc<Conversation>],
    pub(crate) me: &'a UserId,
    pub(crate) look: Look,
}

impl std::fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let widest = self
            .list
            .iter()
            .map(|it| it.id.to_string().len())
            .max()
            .unwrap_or(0);
        for conversation in self.list {
            let id = conversation.id.to_string();
            match conversation.unread_count {
                0 => write!(f, "       ")?,
                unread => write!(f, "{STRONG}{unread:>3} new{STRONG:#}")?,
            }
            write!(f, "  {STRONG}{id:widest$}{STRONG:#}")?;
            if !conversation.name.is_empty() {
                write!(f, "  {}", Safe::line(&conversation.name))?;
            }
            if let Some(last) = &conversation.last_message {
                write!(
                    f,
                    "  {}",
                    Said {
                        message: last.view(),
                        me: *self.me,
                        look: self.look,
                        when: When::NoNumber
                    }
                )?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn as_json(conversation: &Conversation, me: &UserId) -> Value {
    json!({
        "conversationID": conversation.id.to_string(),
        "type": conversation.conversation_type().as_str(),
        "unreadCount": conversation.unread_count,
        "readSequence": conversation.read_sequence,
        "lastSequence": conversation.last_sequence,
        "name": conversation.name,
        "lastMessage": conversation.last_message.as_ref().map(|last| json::message(&last.view(), me)),
    })
}
