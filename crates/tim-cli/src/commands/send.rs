//! `tim send`: sends one message, or one per line.

use std::io::{self, Read as _, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tim_client::{
    AudioMetadata, Client, Custom, ErrorCode, ImError, Message, Priority, SendOptions, Source, VideoMetadata,
};
use tim_proto::{ConversationId, GroupId};

use crate::connect::ConnectArgs;
use crate::error::{EXIT_CODES, Failure, reading};
use crate::json;
use crate::output::{BAD, FAINT};
use crate::session::{Session, block_on, failure};
use crate::stdin::{Line, Stdin};
use crate::terminal::Safe;
use crate::transfer::Transfer;

/// How long a temporary refusal, such as an exceeded rate, is retried.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  $ tim send --as alice bob 'lunch?[微笑]'
  $ make 2>&1 | tail -1 | tim send --as ci --group builders
  $ tim send --as alice bob --image cat.jpg 'look at her'
  $ tim send --as alice --group dice --custom dice --description 4 --priority high
  $ tail -f app.log | tim send --as app --lines --group logs";

/// Send a message to a user or a group, and wait until the hub has taken it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    /// The user, then the text; with --group, only the text. Without a text or a file: all of stdin.
    #[arg(value_name = "USER|TEXT")]
    words: Vec<String>,
    /// The group.
    #[arg(long, short, value_name = "GROUP")]
    group: Option<GroupId>,
    /// Send each line of stdin as one message, as it arrives.
    ///
    /// Sending pauses while the hub limits the rate. A line that cannot be sent is reported on stderr with its number, the
    /// others are sent, and the exit code is 2.
    #[arg(long, conflicts_with_all = ["custom", "face", "file"])]
    lines: bool,
    /// Send a custom message with this data instead of a text.
    #[arg(long, value_name = "DATA", conflicts_with_all = ["face", "file"])]
    custom: Option<String>,
    /// The custom message's description.
    #[arg(long, value_name = "TEXT", requires = "custom", default_value = "")]
    description: String,
    /// The custom message's extension.
    #[arg(long, value_name = "TEXT", requires = "custom", default_value = "")]
    extension: String,
    /// Send the sticker with this number instead of a text.
    #[arg(long, value_name = "INDEX", conflicts_with = "file")]
    face: Option<u32>,
    /// The sticker's data.
    #[arg(long, value_name = "DATA", requires = "face", default_value = "")]
    face_data: String,
    #[command(flatten)]
    attach: AttachArgs,
    /// Priority in a busy group: high, normal, low or lowest.
    #[arg(long, value_parser = priority, default_value = "normal")]
    priority: Priority,
    /// Deliver to online users only: not stored, not counted as unread, no push.
    #[arg(long)]
    online_only: bool,
    /// Print one JSON object per message.
    #[arg(long)]
    json: bool,
}

/// The file of a message.
#[derive(Debug, clap::Args)]
#[group(multiple = true)]
struct AttachArgs {
    /// Send a picture: jpg, png, gif, bmp or webp, at most 20 MiB. With a text, this is sent after the picture, as after other files.
    #[arg(long, value_name = "PATH", group = "file")]
    image: Option<PathBuf>,
    /// Send a recording: at most ten minutes and 20 MiB.
    #[arg(long, value_name = "PATH", group = "file")]
    audio: Option<PathBuf>,
    /// Send a video: mp4 or mov, at most 100 MiB.
    #[arg(long, value_name = "PATH", group = "file")]
    video: Option<PathBuf>,
    /// Send a file of any type, at most 100 MiB.
    #[arg(long = "file", value_name = "PATH", group = "file")]
    any: Option<PathBuf>,
    /// The duration of the recording or video, in seconds.
    #[arg(long, value_name = "SECONDS", requires = "file", default_value_t)]
    duration: u32,
    /// The picture that is shown before the video plays [default: one from the hub].
    #[arg(long, value_name = "PATH", requires = "video")]
    thumbnail: Option<PathBuf>,
}

impl AttachArgs {
    /// The path of the file, if there is one.
    fn path(&self) -> Option<&PathBuf> {
        let paths = [&self.image, &self.audio, &self.video, &self.any];
        paths.into_iter().find_map(Option::as_ref)
    }

    /// The message with the file.
    async fn message(&self, client: &Client, to: ConversationId) -> Result<Option<Message>, ImError> {
        let duration = Duration::from_secs(self.duration.into());
        let message = if let Some(path) = &self.image {
            client.create_image_message(to, path.as_path()).await
        } else if let Some(path) = &self.audio {
            let recorded = AudioMetadata {
                duration,
                ..AudioMetadata::default()
            };
            client.create_audio_message(to, path.as_path(), recorded).await
        } else if let Some(path) = &self.video {
            let metadata = VideoMetadata {
                duration,
                thumbnail: self.thumbnail.as_deref().map(Source::from),
                ..VideoMetadata::default()
            };
            client.create_video_message(to, path.as_path(), metadata).await
        } else if let Some(path) = &self.any {
            client.create_file_message(to, path.as_path()).await
        } else {
            return Ok(None);
        };
        message.map(Some)
    }
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
    let has_file = args.attach.path().is_some();
    let is_text = !args.lines && !has_file && args.custom.is_none() && args.face.is_none();
    let text = match text {
        // Before connecting: the text may take long to arrive.
        None if is_text => Some(text_from_stdin()?),
        text => text,
    };
    block_on(async {
        let (session, events) = Session::open(login).await?;
        // This command ignores incoming messages.
        drop(events);
        let sender = Sender {
            session: &session,
            to,
            args,
        };
        let result = match args.lines {
            true => sender.lines().await,
            false => {
                let all = async {
                    sender.attached().await?;
                    match &text {
                        None if has_file => Ok(()),
                        text => sender.single(text.as_deref().unwrap_or("")).await,
                    }
                };
                session.in_time(all).await
            }
        };
        session.close().await;
        result
    })
}

impl Args {
    /// The conversation, and the text if one is given.
    fn target(&self) -> Result<(ConversationId, Option<String>), Failure> {
        let (to, words) = match (self.group, self.words.as_slice()) {
            (Some(group), words) => (ConversationId::Group(group), words),
            (None, [user, words @ ..]) => {
                let user = user.parse().map_err(|fault| {
                    Failure::usage(format_args!("invalid user '{user}': {fault}"))
                        .hint("the user comes first, then the text")
                })?;
                (ConversationId::C2c(user), words)
            }
            (None, []) => {
                return Err(Failure::usage("no conversation given")
                    .hint("name a user, or a group with --group GROUP"));
            }
        };
        let other = self.lines || self.custom.is_some() || self.face.is_some();
        if other && !words.is_empty() {
            return Err(Failure::usage(
                "a text cannot be combined with --lines, --custom or --face",
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
    /// Sends the file, if there is one, and shows the progress.
    async fn attached(&self) -> Result<(), Failure> {
        let Some(path) = self.args.attach.path() else {
            return Ok(());
        };
        let message = self.args.attach.message(&self.session.client, self.to).await;
        let Some(message) = message.map_err(failure)? else {
            return Ok(());
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let transfer = Transfer::new(&name);
        let message = message.with_progress(transfer.meter());
        let sent = transfer.watch(self.session, self.one(Ok(message))).await;
        self.session.extend_deadline();
        sent?.map_err(failure)
    }

    /// Sends the single message.
    async fn single(&self, text: &str) -> Result<(), Failure> {
        let client = &self.session.client;
        let message = match (&self.args.custom, self.args.face) {
            (Some(data), _) => client.create_custom_message(
                self.to,
                Custom::new()
                    .with_data(data)
                    .with_description(&self.args.description)
                    .with_extension(&self.args.extension),
            ),
            (None, Some(index)) => client.create_face_message(self.to, index, &self.args.face_data),
            (None, None) => client.create_text_message(self.to, text),
        };
        self.one(message).await?.map_err(failure)
    }

    /// Sends each line of stdin, in order. A line that cannot be sent is skipped.
    async fn lines(&self) -> Result<(), Failure> {
        let mut stdin = Stdin::start();
        let mut bad = 0_u64;
        while let Some(line) = stdin.next().await {
            let Line { number, text } = line?;
            let fault = match text {
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => match self
                    .one(self.session.client.create_text_message(self.to, &text))
                    .await?
                {
                    Ok(()) => continue,
                    Err(error) if is_over(error.code) => {
                        let why = format!("line {number} and the lines after it were not sent");
                        return Err(failure(ImError::new(error.code, why)));
                    }
                    Err(error) => error.to_string(),
                },
                Err(fault) => fault.to_string(),
            };
            bad += 1;
            let fault = Safe::line(&fault);
            // A closed stderr must not stop sending.
            let _ = writeln!(anstream::stderr(), "{BAD}error:{BAD:#} line {number}: {fault}");
        }
        match bad {
            0 => Ok(()),
            1 => Err(Failure::usage("one line was not sent")),
            bad => Err(Failure::usage(format_args!("{bad} lines were not sent"))),
        }
    }

    /// Sends a message and prints its id; the inner error is why it was not sent.
    async fn one(&self, message: Result<Message, ImError>) -> Result<Result<(), ImError>, Failure> {
        let options = SendOptions {
            online_user_only: self.args.online_only,
            ..SendOptions::default().retry_for(PATIENCE)
        };
        let sent = match message.and_then(|message| message.with_priority(self.args.priority)) {
            Ok(message) => {
                self.session.note_sending(&message);
                self.session.client.send_message(&message, options).await
            }
            Err(error) => return Ok(Err(error)),
        };
        let message = match sent {
            Ok(sent) => sent.message,
            Err(error) => return Ok(Err(error)),
        };
        let (id, sequence) = (message.id(), message.sequence());
        let mut out = anstream::stdout();
        if self.args.json {
            let value = json!({ "ID": id.to_string(), "sequence": sequence, "time": message.time() });
            writeln!(out, "{}", json::Line(&value))?;
        } else if sequence == 0 {
            // It has no place: it was passed on, or an application's server has dropped it, which its sender does not hear.
            writeln!(out, "sent to {} {FAINT}{id}{FAINT:#}", self.to)?;
        } else {
            writeln!(out, "stored as #{sequence} of {} {FAINT}{id}{FAINT:#}", self.to)?;
        }
        Ok(Ok(out.flush()?))
    }
}

/// Whether no further message can be sent: the session is over, or the hub is unreachable.
const fn is_over(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NETWORK_ERROR
            | ErrorCode::NETWORK_TIMEOUT
            | ErrorCode::USER_NOT_LOGGED_IN
            | ErrorCode::SDK_IS_NOT_READY
            | ErrorCode::LOGIN_FAILED
            | ErrorCode::KICKED_OUT_MULT_DEVICE
            | ErrorCode::KICKED_OUT_MULT_ACCOUNT
            | ErrorCode::KICKED_OUT_USERSIG_EXPIRED
            | ErrorCode::KICKED_OUT_REST_API
            | ErrorCode::LOGGED_OUT
            | ErrorCode::SESSION_REPLACED
    )
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
        return Err(Failure::usage("no text to send").hint("pass it as an argument, or on stdin"));
    }
    Ok(text)
}
