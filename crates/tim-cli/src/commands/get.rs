//! `tim get`: downloads the file of a message.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;
use tim_client::{ConversationId, FilePart, Message, MessageId, Payload};
use tim_proto::message::ImageFormat;
use tim_proto::{GroupId, check_file_name};

use crate::connect::{ConnectArgs, with};
use crate::error::{EXIT_CODES, Failure};
use crate::json;
use crate::session::{Session, failure};
use crate::terminal::Safe;
use crate::transfer::Transfer;

const EXAMPLES: &str = "\
Examples:
  $ tim history --as bob alice
  $ tim get --as bob alice '#12'
  $ tim get --as bob alice 144115188075855873-1700000000-4711 --out cat.jpg
  $ tim get --as bob --group trips '#3' --part thumbnail --out preview.jpg";

/// Download the picture, recording, video or file of a message.
///
/// `tim history` shows the number and the id of each message with a file. The file is first written beside its destination, under a
/// name that ends in .part, and moved there when it is complete. An interrupted download continues when the command is repeated.
/// An existing file is replaced only with --force, and only if it is a regular file, not a device or a symbolic link.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    /// The other user, then the message: its id, or # and its number. With --group, only the message.
    #[arg(value_name = "USER|MESSAGE", required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// The group.
    #[arg(long, short, value_name = "GROUP")]
    group: Option<GroupId>,
    /// Where to write it: a path, or a directory, in which it gets its own name [default: the current directory].
    #[arg(long, short, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Which part: file (as it was sent); of a picture also large or thumbnail; of a video also thumbnail.
    #[arg(long, value_name = "PART", value_parser = part, default_value = "file")]
    part: FilePart,
    /// Replace a file that exists.
    #[arg(long)]
    force: bool,
    /// Print a JSON object: path and size, or with --url, url and expires (Unix time in seconds).
    #[arg(long)]
    json: bool,
    /// Instead of downloading, print a URL at which anybody who has it can read the file until it expires. The hub needs --http.
    #[arg(long, conflicts_with_all = ["out", "force"])]
    url: bool,
}

fn part(text: &str) -> Result<FilePart, String> {
    let known = [FilePart::FILE, FilePart::LARGE, FilePart::THUMBNAIL];
    let known = known
        .into_iter()
        .find(|part| part.to_string().eq_ignore_ascii_case(text));
    known.ok_or_else(|| "use file, large or thumbnail".to_owned())
}

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Number(u64),
    Id(MessageId),
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (conversation, wanted) = args.message()?;
    let login = args.connect.resolve()?;
    Session::run(login, async |session| {
        let message = find(session, conversation, wanted).await?;
        if args.url {
            return print_url(session, &message, args).await;
        }
        let path = destination(&message, args.out.as_deref(), args.part);
        if path.exists() && !args.force {
            let path = path.display();
            return Err(Failure::usage(format_args!("{path} exists")).hint("--force replaces it"));
        }
        let size = save(session, &message, args.part, &path).await?;
        let mut out = anstream::stdout();
        let shown = path.display().to_string();
        match args.json {
            true => writeln!(out, "{}", json::Line(&json!({ "path": shown, "size": size })))?,
            false => writeln!(out, "{} ({size} bytes)", Safe::line(&shown))?,
        }
        Ok(out.flush()?)
    })
}

async fn print_url(session: &Session, message: &Message, args: &Args) -> Result<(), Failure> {
    let found = session
        .client
        .file_url(message, args.part)
        .await
        .map_err(failure)?;
    let mut out = anstream::stdout();
    match args.json {
        true => {
            let line = json!({ "url": found.url, "expires": found.expires });
            writeln!(out, "{}", json::Line(&line))?;
        }
        false => writeln!(out, "{}", Safe::line(&found.url))?,
    }
    Ok(out.flush()?)
}

impl Args {
    fn message(&self) -> Result<(ConversationId, Wanted), Failure> {
        let (conversation, message) = match (self.group, self.words.as_slice()) {
            (Some(group), [message]) => (ConversationId::Group(group), message),
            (None, [user, message]) => {
                let user = user
                    .parse()
                    .map_err(|fault| Failure::usage(format_args!("invalid user '{user}': {fault}")))?;
                (with(user), message)
            }
            _ => {
                return Err(Failure::usage("no conversation, or no message given")
                    .hint("name a user and a message, or a message and its group with --group GROUP"));
            }
        };
        let number = message.strip_prefix('#').unwrap_or(message).parse();
        let wanted = match (number, message.parse()) {
            (Ok(number), _) => Wanted::Number(number),
            (_, Ok(id)) => Wanted::Id(id),
            (_, Err(fault)) => {
                return Err(
                    Failure::usage(format_args!("invalid message '{message}': {fault}"))
                        .hint("`tim history` shows numbers, such as '#12', and ids"),
                );
            }
        };
        Ok((conversation, wanted))
    }
}

/// Looks for the message from the newest back.
async fn find(session: &Session, conversation: ConversationId, wanted: Wanted) -> Result<Message, Failure> {
    let mut next = None;
    loop {
        let page = session.client.get_message_list(conversation, next.as_ref(), None);
        let page = page.await.map_err(failure)?;
        session.extend_deadline();
        let is_wanted = |message: &&Message| match wanted {
            Wanted::Number(number) => message.sequence() == number,
            Wanted::Id(id) => message.id() == id,
        };
        if let Some(message) = page.message_list.iter().find(is_wanted) {
            return Ok(message.clone());
        }
        let passed = page.message_list.first().map_or(0, Message::sequence);
        let is_behind = matches!(wanted, Wanted::Number(number) if number > passed);
        if page.is_completed || is_behind {
            return Err(Failure::failed(format_args!("no such message in {conversation}"))
                .hint("`tim history` shows the messages, their numbers and ids"));
        }
        next = Some(page.next_req_message_id);
    }
}

/// Downloads to a path, and shows the progress.
pub(crate) async fn save(
    session: &Session,
    message: &Message,
    part: FilePart,
    path: &Path,
) -> Result<u64, Failure> {
    let download = session.client.download(message, part).map_err(failure)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let transfer = Transfer::new(&name);
    let download = download.with_progress(transfer.meter());
    transfer
        .watch(session, download.to_path(path))
        .await
        .map_err(failure)
}

/// Where the file goes: the path, or its own name in that or the current directory.
pub(crate) fn destination(message: &Message, out: Option<&Path>, part: FilePart) -> PathBuf {
    match out {
        Some(path) if path.is_dir() => path.join(own_name(message, part)),
        Some(path) => path.to_owned(),
        None => own_name(message, part).into(),
    }
}

/// The name that the sender gave, if it is valid, otherwise one made of the message's id.
fn own_name(message: &Message, part: FilePart) -> String {
    let extension = match message.payload() {
        Payload::Video(video) if part == FilePart::THUMBNAIL && is_plain(video.thumbnail.format) => {
            return format!("{}.{}", message.id(), video.thumbnail.format);
        }
        _ if part != FilePart::FILE => "jpg",
        Payload::File(file) if check_file_name(file.name).is_ok() => return file.name.to_owned(),
        Payload::Image(image) => match image.format {
            ImageFormat::JPEG => "jpg",
            ImageFormat::PNG => "png",
            ImageFormat::GIF => "gif",
            ImageFormat::BMP => "bmp",
            _ => "image",
        },
        Payload::Audio(audio) if is_plain(audio.format) => {
            return format!("{}.{}", message.id(), audio.format);
        }
        Payload::Video(video) if is_plain(video.format) => {
            return format!("{}.{}", message.id(), video.format);
        }
        _ => "file",
    };
    format!("{}.{extension}", message.id())
}

/// Whether the format that the sender gave can be an extension of a file name.
fn is_plain(format: &str) -> bool {
    (1..=8).contains(&format.len()) && format.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
