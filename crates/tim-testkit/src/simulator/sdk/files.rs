//! Messages with files, and downloads.

use std::rc::Rc;
use std::sync::{Arc, Mutex};

use tim_client::{AudioMetadata, Client, FilePart, ImError, Message, Source, Status, VideoMetadata};
use tim_proto::message::to_vec;
use tim_proto::{ConversationId, ErrorCode, UserId};
use tokio::io::AsyncReadExt as _;

use super::calls::pick;
use super::{Own, Running, SdkDevice};
use crate::simulator::files::{content_of, file_in, hash_of, name_of, now, size_in, with_uploaded};
use crate::simulator::history::{Downloaded, FileOf, Log, Mark, Returned, Said, What};
use crate::simulator::net::lock;
use crate::simulator::op::{FileBody, FileKind, Which};

/// The longest file that is downloaded.
const MOST: usize = 1 << 20;

/// What was told of an upload, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Mutex<Vec<u64>>>);

impl Progress {
    /// The message, which tells of its upload from now on.
    fn of(message: Message) -> (Message, Self) {
        let progress = Self::default();
        let told = progress.clone();
        let message = message.with_progress(move |now| lock(&told.0).push(now.done));
        (message, progress)
    }
}

fn source(mark: Mark, file: FileOf) -> Source {
    Source::bytes(name_of(mark, file.body.kind), content_of(file))
}

/// Makes a message with a file. Its content is in memory, so nothing waits.
pub(super) fn make(
    client: &Client,
    to: ConversationId,
    mark: Mark,
    file: FileOf,
) -> Result<Message, ImError> {
    let source = source(mark, file);
    let made = now(async {
        match file.body.kind {
            FileKind::Image => client.create_image_message(to, source).await,
            FileKind::Audio => {
                let recorded = AudioMetadata {
                    format: mark.text(),
                    ..AudioMetadata::default()
                };
                client.create_audio_message(to, source, recorded).await
            }
            FileKind::Video => {
                let video = VideoMetadata {
                    format: mark.text(),
                    ..VideoMetadata::default()
                };
                client.create_video_message(to, source, video).await
            }
            FileKind::File => client.create_file_message(to, source).await,
        }
    });
    made.unwrap_or_else(|| panic!("a message was to be made of what is in memory, and something waits"))
}

/// Makes a message with the file of another one.
pub(super) fn forward(
    client: &Client,
    to: ConversationId,
    mark: Mark,
    file: FileOf,
    of: &Message,
) -> Result<Message, ImError> {
    let payload = of.payload();
    let uuid = file_in(&payload).map(|file| file.to_string()).unwrap_or_default();
    with_uploaded(mark, file, &uuid, size_in(&payload), |payload| {
        client.create_message(to, payload)
    })
}

impl SdkDevice {
    /// The file of a new message.
    pub(super) const fn new_file(mark: Mark, body: FileBody) -> FileOf {
        FileOf { origin: mark, body }
    }

    /// Watches the upload of a message that was made.
    pub(super) fn watch(message: Message) -> (Message, Option<Progress>) {
        match message.upload_progress() {
            Some(_) => {
                let (message, progress) = Progress::of(message);
                (message, Some(progress))
            }
            None => (message, None),
        }
    }

    /// Gives a message that was restored its file again.
    pub(super) fn attach_again(&self, running: &Running, mark: Mark, message: &Message) {
        let file = self.shared.file_of(mark);
        let mut all = running.own.borrow_mut();
        let own = all.iter_mut().find(|own| own.message.is_same(message));
        let (Some(file), Some(own)) = (file, own.filter(|own| own.progress.is_none())) else {
            return;
        };
        if message.upload_progress().is_none() || message.status() == Status::Success {
            return;
        }
        // A message of which all is at the hub needs none.
        let _ = now(running.client.attach_source(message, source(mark, file)));
        own.progress = Some(Progress::of(message.clone()).1);
    }

    /// Writes down what was told of an upload.
    pub(super) fn observe_progress(&self, running: &Running, call: u32, mark: Option<Mark>) {
        let Some(mark) = mark else { return };
        let told = {
            let all = running.own.borrow();
            let own = all.iter().find(|own| own.mark == mark);
            let progress = own.and_then(|own| Some((own.progress.as_ref()?, own.message.upload_progress()?)));
            progress.map(|(progress, now)| (std::mem::take(&mut *lock(&progress.0)), now.total))
        };
        if let Some((done, total)) = told.filter(|(done, _)| !done.is_empty()) {
            self.observe(What::Uploaded {
                call,
                mark,
                done,
                total,
            });
        }
    }

    /// An own message with a file that did not succeed.
    pub(super) fn unsent_file(&self, running: &Running, n: u16) -> Option<Message> {
        let own = running.own.borrow();
        let with_files = own
            .iter()
            .rev()
            .filter(|own| own.message.upload_progress().is_some() && own.message.status() != Status::Success);
        pick(&with_files.collect::<Vec<&Own>>(), n).map(|own| own.message.clone())
    }

    /// A message with a file that the hub has or had.
    pub(super) fn find_file(&self, running: &Running, which: Which) -> Option<Message> {
        let names_file = |message: &Message| message.sequence() > 0 && file_in(&message.payload()).is_some();
        match which {
            Which::Own(n) => {
                let own = running.own.borrow();
                let newest = own.iter().rev().filter(|own| names_file(&own.message));
                pick(&newest.collect::<Vec<&Own>>(), n).map(|own| own.message.clone())
            }
            Which::Of(target, n) => {
                let mut newest = running.newest(self.log(target));
                newest.retain(names_file);
                pick(&newest, n).cloned()
            }
        }
    }
}

/// The mark of a message.
pub(super) fn mark_of(message: &Message) -> Option<Mark> {
    let payload = message.payload();
    Said::of(payload.kind(), &to_vec(&payload)).mark
}

/// Downloads the file of a message from a position on, in one or two downloads.
pub(crate) async fn download(
    me: UserId,
    client: &Client,
    message: &Message,
    part: u8,
    from: u64,
    again_after: usize,
) -> Result<Returned, ImError> {
    let (log, sequence) = (Log::of(me, message.conversation_id()), message.sequence());
    let mark = mark_of(message);
    let download = |offset| Ok::<_, ImError>(client.download(message, FilePart(part))?.with_offset(offset));
    let mut bytes = Vec::new();
    if again_after > 0 {
        let mut reader = download(from)?.into_reader();
        let mut buffer = vec![0; again_after];
        while bytes.len() < again_after {
            match reader.read(&mut buffer[bytes.len()..]).await {
                Ok(0) => break,
                Ok(len) => bytes.extend_from_slice(&buffer[bytes.len()..][..len]),
                Err(error) => return Err(inner(error)),
            }
        }
    }
    let rest = download(from + bytes.len() as u64)?.to_bytes(MOST).await?;
    bytes.extend(rest);
    Ok(Returned::Downloaded(Downloaded {
        log,
        sequence,
        mark,
        part,
        offset: from,
        len: bytes.len() as u64,
        hash: hash_of(&bytes),
    }))
}

/// The error of the client in one of a reader.
fn inner(error: std::io::Error) -> ImError {
    let inner = error
        .into_inner()
        .and_then(|inner| inner.downcast::<ImError>().ok());
    inner.map_or_else(|| ErrorCode::PROTOCOL_VIOLATION.into(), |error| *error)
}

/// What a download of an application does.
pub(super) async fn download_of(
    device: Rc<SdkDevice>,
    client: Client,
    message: Message,
    part: u8,
    from: u32,
    again_after: u32,
) -> Result<Returned, ImError> {
    let size = size_in(&message.payload());
    let from = u64::from(from) % (size + 1);
    download(device.user(), &client, &message, part, from, again_after as usize).await
}
