//! `tim conversations`: lists conversations and their unread counts.

use std::io::Write;
use std::sync::Arc;

use serde_json::Value;
use tim_client::{Conversation, UserId};
use tim_json::{Json as _, Spelling};
use tim_proto::wire::List;
use tim_proto::{Words, conversation as wire};

use crate::connect::ConnectArgs;
use crate::error::{EXIT_CODES, Failure};
use crate::json;
use crate::output::{FAINT, STRONG};
use crate::session::{Session, failure};
use crate::terminal::{Look, MessageLine, Safe, When, clip, column, width};

/// List my conversations, newest first, with the unread count and the last message of each.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Print one JSON object per conversation, with the field names of the documented SDK.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    look: Look,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let login = args.connect.resolve()?;
    Session::run(login, async |session| {
        let list = session.client.get_conversation_list().await.map_err(failure)?;
        print(&session.me, args, &list.conversation_list)
    })
}

fn print(me: &UserId, args: &Args, list: &[Arc<Conversation>]) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    if args.json {
        for conversation in list {
            writeln!(out, "{}", json::Line(&as_json(conversation, me)))?;
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

/// The largest width of a name.
const MAX_NAME: usize = 24;
/// The largest width of a last message.
const MAX_PREVIEW: usize = 72;

/// A last message, with colours unless it is clipped.
struct Preview<'a>(&'a str);

impl std::fmt::Display for Preview<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = anstream::adapter::strip_str(self.0).to_string();
        if width(&plain) <= MAX_PREVIEW {
            f.write_str(self.0)
        } else {
            f.write_str(&clip(&plain, MAX_PREVIEW))
        }
    }
}

/// Conversations, one per line.
pub(crate) struct Table<'a> {
    pub(crate) list: &'a [Arc<Conversation>],
    pub(crate) me: &'a UserId,
    pub(crate) look: Look,
}

impl std::fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let widest = |text: &dyn Fn(&Conversation) -> String, most: usize| {
            let widths = self.list.iter().map(|it| width(&text(it)));
            widths.max().unwrap_or(0).min(most)
        };
        let id_of = |it: &Conversation| it.id.to_string();
        let name_of = |it: &Conversation| Safe::line(&it.name).to_string();
        let (ids, names) = (widest(&id_of, usize::MAX), widest(&name_of, MAX_NAME));
        for conversation in self.list {
            let id = id_of(conversation);
            match conversation.unread_count {
                0 => write!(f, "       ")?,
                unread => write!(f, "{STRONG}{unread:>3} new{STRONG:#}")?,
            }
            write!(f, "  {STRONG}{id:ids$}{STRONG:#}")?;
            if names > 0 {
                write!(f, "  {}", column(&name_of(conversation), names))?;
            }
            if let Some(last) = &conversation.last_message {
                let said = MessageLine {
                    message: last.view(),
                    me: *self.me,
                    look: self.look,
                    when: When::OneLine,
                };
                write!(f, "  {}", Preview(&said.to_string()))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// A conversation as the SDK presents it to `me`, with the sequences and the name that tim has beside. `lastMessage` is the whole
/// message too.
pub(super) fn as_json(it: &Conversation, me: &UserId) -> Value {
    let last = it.last_message.as_ref().map(|last| last.view());
    let encoded = last.map(|last| last.to_encoded());
    let mut entry = wire::Conversation::new(it.id)
        .with_unread(it.unread_count)
        .with_name(&it.name)
        .with_avatar(&it.avatar)
        .with_group_type(it.group_type)
        .with_receive_option(it.message_remind_type)
        .with_at(List::from_slice(&it.group_at_info_list));
    entry.last_message = encoded.as_ref().map(|last| last.as_bytes());
    let mut shown = tim_json::Conversation::of(me, &entry, Words::ENGLISH).to_value(Spelling::Sdk);
    shown["readSequence"] = it.read_sequence.into();
    shown["lastSequence"] = it.last_sequence.into();
    shown["name"] = it.name.as_str().into();
    match (last, shown.get_mut("lastMessage").and_then(Value::as_object_mut)) {
        (Some(last), Some(fields)) => {
            if let Value::Object(whole) = json::message(&last, me) {
                fields.extend(whole);
            }
        }
        _ => shown["lastMessage"] = Value::Null,
    }
    shown
}
