//! `tim listen`: prints what happens to a user, as it happens.

use std::io::Write as _;

use serde_json::{Value, json};
use tim_client::{ConversationId, Event, EventStream, Gap, Message, UserId, net_state_name};

use super::conversations;
use super::serve::stop_signal;
use crate::connect::{ConnectArgs, PeerArgs};
use crate::error::{EXIT_CODES, Failure};
use crate::json;
use crate::session::{Session, block_on, failure};
use crate::terminal::{Look, MessageLine, When};

/// Print messages and revocations as they arrive, until ctrl-C or SIGTERM.
///
/// With a user or a group, only what belongs to that conversation is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    peer: PeerArgs,
    /// End after this many messages.
    #[arg(long, short = 'n', value_name = "NUMBER")]
    count: Option<u64>,
    /// Print every event as a JSON object with its name in the documented SDK and its data.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    look: Look,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let login = args.connect.resolve()?;
    block_on(async {
        let (session, mut events) = Session::open(login).await?;
        let mut printer = Printer {
            me: session.me,
            look: args.look,
            shape: if args.json { Shape::Events } else { Shape::Text },
            only: args.peer.conversation(),
            after: 0,
            left: args.count,
        };
        let ended = printer.follow(&mut events).await;
        session.close().await;
        ended
    })
}

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Messages as lines of text.
    Text,
    /// Messages as JSON objects.
    Messages,
    /// Events as JSON objects.
    Events,
}

/// Prints messages and events.
pub(super) struct Printer {
    pub(super) me: UserId,
    pub(super) look: Look,
    pub(super) shape: Shape,
    /// Only this conversation.
    pub(super) only: Option<ConversationId>,
    /// Messages up to this sequence are printed already.
    pub(super) after: u64,
    /// How many messages are still wanted.
    pub(super) left: Option<u64>,
}

impl Printer {
    /// Prints events until a signal, the last message that is wanted, or the end of the session.
    pub(super) async fn follow(&mut self, events: &mut EventStream) -> Result<(), Failure> {
        let stop = stop_signal()
            .map_err(|error| Failure::failed(format_args!("cannot wait for signals: {error}")))?;
        let mut stop = std::pin::pin!(stop);
        while self.left != Some(0) {
            let event = tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                event = events.next() => event,
            };
            match event {
                Some(event) => self.event(event)?,
                None => break,
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), Failure> {
        let name = event.name();
        match event {
            Event::MessageReceived(messages) => {
                let (only, after) = (self.only, self.after);
                let mut new: Vec<Message> = messages
                    .into_iter()
                    .filter(|message| is_in(message, only))
                    .filter(|message| message.sequence() == 0 || message.sequence() > after)
                    .collect();
                if let Some(left) = &mut self.left {
                    new.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left = left.saturating_sub(new.len() as u64);
                }
                self.messages(name, &new)
            }
            Event::MessageRevoked(messages) => {
                let only = self.only;
                let here: Vec<Message> = messages
                    .into_iter()
                    .filter(|message| is_in(message, only))
                    .collect();
                self.messages(name, &here)
            }
            Event::KickedOut(error) => {
                self.other(
                    name,
                    || json!({ "code": error.code.0, "message": error.to_string() }),
                )?;
                Err(failure(error))
            }
            other => self.other(name, || data(&other, &self.me)),
        }
    }

    fn messages(&self, name: &str, messages: &[Message]) -> Result<(), Failure> {
        if self.shape != Shape::Events {
            return messages.iter().try_for_each(|message| self.message(message));
        }
        if messages.is_empty() {
            return Ok(());
        }
        let all = messages
            .iter()
            .map(|message| json::message(&message.view(), &self.me));
        print(&json!({ "name": name, "data": all.collect::<Vec<_>>() }))
    }

    /// Prints a message that is no event of its own.
    pub(super) fn message(&self, message: &Message) -> Result<(), Failure> {
        let view = message.view();
        if self.shape != Shape::Text {
            return print(&json::message(&view, &self.me));
        }
        let said = MessageLine {
            message: view,
            me: self.me,
            look: self.look,
            when: When::Date,
        };
        Ok(writeln!(anstream::stdout(), "{said}")?)
    }

    /// Prints an event that is no message, if events are wanted.
    fn other(&self, name: &str, data: impl FnOnce() -> Value) -> Result<(), Failure> {
        if self.shape != Shape::Events || self.only.is_some() {
            return Ok(());
        }
        print(&json!({ "name": name, "data": data() }))
    }
}

fn is_in(message: &Message, only: Option<ConversationId>) -> bool {
    only.is_none_or(|only| message.conversation_id() == only)
}

fn print(value: &Value) -> Result<(), Failure> {
    Ok(writeln!(anstream::stdout(), "{}", json::Line(value))?)
}

/// The data of an event.
fn data(event: &Event, me: &UserId) -> Value {
    match event {
        Event::SdkNotReady(reason) => json!({ "reason": format!("{reason:?}") }),
        Event::ConversationListUpdated(list) => {
            list.iter().map(|one| conversations::as_json(one, me)).collect()
        }
        Event::TotalUnreadMessageCountUpdated(total) => json!(total),
        Event::NetStateChange(state) => json!({ "state": net_state_name(*state) }),
        Event::UserSigExpiring(at) => json!({ "expire": at }),
        Event::Gap(gap) => gap_data(gap),
        _ => Value::Null,
    }
}

fn gap_data(gap: &Gap) -> Value {
    json!({
        "conversationID": gap.conversation.to_string(),
        "from": gap.from,
        "to": gap.to,
        "isRestored": gap.is_restored(),
    })
}
