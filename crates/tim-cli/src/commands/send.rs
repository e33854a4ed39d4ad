//! `tim send`: one message, or one a line.

use std::io::{self, BufRead as _, Read as _, Write};

use serde_json::json;
use tim_client::{Custom, ImError, Message, Priority, SendOptions};
use tim_proto::{ConversationId, GroupId};

use crate::connect::ConnectArgs;
use crate::error::{EXIT_CODES, Failure, reading};
use crate::output::FAINT;
use crate::session::{Session, block_on, failure};

const EXAMPLES: &str = "\
Examples:
  $ tim send --as alice bob 'lunch?[微笑]'
  $ make 2>&1 | tail -1 | tim send --as ci --group builders
  $ tim send --as alice --group dice --custom dice --description 4 --priority high
  $ tail -f app.log | tim send --as app --lines --group logs";

/// Send a message to a user or a group, and say when the hub has stored it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    /// The user, then the text; with --group, only the text. Without a text: all of stdin.
    #[arg(value_name = "USER|TEXT")]
    words: Vec<String>,
    /// The group.
    #[arg(long, short, value_name = "GROUP")]
    group: Option<GroupId>,
    /// Send each line of stdin as a message of its own, as it comes.
    #[arg(long, conflicts_with_all = ["custom", "face"])]
    lines: bool,
    /// Send a custom message with this data instead of a text.
    #[arg(long, value_name = "DATA", conflicts_with = "face")]
    custom: Option<String>,
    /// The custom message's description.
    #[arg(long, value_name = "TEXT", requires = "custom", default_value = "")]
    description: String,
    /// The custom message's extension.
    #[arg(long, value_name = "TEXT", requires = "custom", default_value = "")]
    extension: String,
    /// Send the sticker with this number instead of a text.
    #[arg(long, value_name = "INDEX")]
    face: Option<u32>,
    /// What goes with the sticker.
    #[arg(long, value_name = "DATA", requires = "face", default_value = "")]
    face_data: String,
    /// How urgent it is in a busy group: high, normal, low or lowest.
    #[arg(long, value_parser = priority, default_value = "normal")]
    priority: Priority,
    /// Only for those online now: nothing is kept, counted or pushed.
    #[arg(long)]
    online_only: bool,
    /// Print one JSON object a message.
    #[arg(long)]
    json: bool,
}

fn priority(text: &str) -> Result<Priority, String> {
    let known = Priority::KNOWN
        .iter()
        .find(|known| known.to_string().eq_ignore_ascii_case(text));
    known
        .copied()
        .ok_or_else(|| "use high, normal, low or lowest".to_owned())
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (to, text) = args.target()?;
    let login = args.connect.resolve()?;
    block_on(async {
        let (session, events) = Session::open(login).await?;
        // What others say meanwhile is not for this command.
        drop(events);
        let sender = Sender {
            session: &session,
            to,
            args,
        };
        let result = sender.all(text).await;
        session.close().await;
        result
    })
}

impl Args {
    /// The conversation, and the text if there is one.
    fn target(&self) -> Result<(ConversationId, Option<String>), Failure> {
        let (to, words) = match (self.group, self.words.as_slice()) {
            (Some(group), words) => (ConversationId::Group(group), words),
            (None, [user, words @ ..]) => {
                let user = user.parse().map_err(|fault| {
                    Failure::usage(format_args!("'{user}' is no user: {fault}"))
                        .hint("first comes the user, then the text")
                })?;
                (ConversationId::C2c(user), words)
            }
            (None, []) => {
                return Err(
                    Failure::usage("nobody said to whom").hint("name a user, or a group with --group GROUP")
                );
            }
        };
        let other = self.lines || self.custom.is_some() || self.face.is_some();
        if other && !words.is_empty() {
            return Err(Failure::usage(
                "a text cannot go with --lines, --custom or --face",
            ));
        }
        Ok((to, Some(words.join(" ")).filter(|text| !text.is_empty())))
    }
}

struct Sender<'a> {
    session: &'a Session,
    to: ConversationId,
    args: &'a Args,
}

impl Sender<'_> {
    async fn all(&self, text: Option<String>) -> Result<(), Failure> {
        let client = &self.session.client;
        if self.args.lines {
            for line in io::stdin().lock().lines() {
                let line = line.map_err(reading("stdin"))?;
                if !line.trim().is_empty() {
                    self.one(client.create_text_message(self.to, &line)).await?;
                }
            }
            return Ok(());
        }
        self.one(match (&self.args.custom, self.args.face, text) {
            (Some(data), ..) => {
                let Args {
                    description,
                    extension,
                    ..
                } = self.args;
                client.create_custom_message(
                    self.to,
                    Custom {
                        data,
                        description,
                        extension,
                    },
                )
            }
            (None, Some(index), _) => client.create_face_message(self.to, index, &self.args.face_data),
            (None, None, Some(text)) => client.create_text_message(self.to, &text),
            (None, None, None) => client.create_text_message(self.to, &text_from_stdin()?),
        })
        .await
    }

    async fn one(&self, message: Result<Message, ImError>) -> Result<(), Failure> {
        let message = message
            .and_then(|message| message.with_priority(self.args.priority))
            .map_err(failure)?;
        let options = SendOptions {
            online_user_only: self.args.online_only,
            ..SendOptions::default()
        };
        self.session
            .client
            .send_message(&message, options)
            .await
            .map_err(failure)?;
        let (id, sequence) = (message.id(), message.sequence());
        let mut out = anstream::stdout();
        if self.args.json {
            writeln!(
                out,
                "{}",
                json!({ "ID": id.to_string(), "sequence": sequence, "time": message.time() })
            )?;
        } else if self.args.online_only {
            writeln!(out, "passed on {FAINT}{id}{FAINT:#}")?;
        } else {
            writeln!(out, "stored as #{sequence} of {} {FAINT}{id}{FAINT:#}", self.to)?;
        }
        Ok(out.flush()?)
    }
}

/// All of stdin, without the last line's end.
fn text_from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(reading("the text from stdin"))?;
    let len = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(len);
    if text.is_empty() {
        return Err(Failure::usage("there is no text to send").hint("give it as an argument, or on stdin"));
    }
    Ok(text)
}
