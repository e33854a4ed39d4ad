//! Uploading the files of a message, before it is sent.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use tim_proto::message::{ImageFormat, ImageInfo, ImageSize};
use tim_proto::request::{BeginUpload, CancelUpload, EndUpload, EndUploadResponse, Upload};
use tim_proto::vendor::limits;
use tim_proto::{ErrorCode, MessageKind};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::attachment::{At, AttachedFile, Attachment};
use super::opened::{OpenError, Opened};
use super::pace::Pace;
use super::source::Source;
use super::{MAX_SETBACKS, goes_on, payload, unreadable};
use crate::call::encoded;
use crate::client::Client;
use crate::{ImError, Message};

/// What the hub has made of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) uuid: String,
    pub(super) size: u64,
    pub(super) format: ImageFormat,
    pub(super) images: Vec<StoredImage>,
}

/// A rendition of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredImage {
    pub(super) size_type: ImageSize,
    pub(super) instance: u32,
    pub(super) size: u64,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) url: String,
}

impl Stored {
    fn new(response: &EndUploadResponse<'_>) -> Self {
        Self {
            uuid: response.uuid.into(),
            size: response.size,
            format: response.format,
            images: response.images.iter().map(StoredImage::new).collect(),
        }
    }

    pub(super) fn image(&self, size_type: ImageSize) -> Option<&StoredImage> {
        self.images.iter().find(|image| image.size_type == size_type)
    }
}

impl StoredImage {
    fn new(info: ImageInfo<'_>) -> Self {
        Self {
            size_type: info.size_type,
            instance: info.instance,
            size: info.size,
            width: info.width,
            height: info.height,
            url: info.url.into(),
        }
    }
}

/// The upload of one file: for which kind of message, and how many bytes of the message were uploaded before it.
struct Task<'a> {
    message: &'a Message,
    kind: MessageKind,
    duration_ms: u32,
    file: AttachedFile,
    content: Opened,
    attachment: &'a Attachment,
    before: u64,
}

impl Task<'_> {
    /// The source has changed, or cannot be read any more.
    fn unreadable(&self, error: std::io::Error) -> ImError {
        unreadable(self.kind, OpenError::Unreadable(self.content.what(), error))
    }
}

/// An upload that the hub has begun or continues.
#[derive(Debug, Clone, Copy)]
struct Begun {
    upload: u64,
    offset: u64,
    piece: u32,
    window: u8,
}

impl Client {
    /// Uploads the files of the message, unless that is done.
    pub(crate) async fn upload(&self, message: &Message) -> Result<(), ImError> {
        let Some(attachment) = message.attachment() else {
            return Ok(());
        };
        let uploading = attachment.begin();
        let mut work = pin!(self.upload_files(message, attachment));
        let mut cancelled = pin!(attachment.cancelled());
        let result = poll_fn(|context| match cancelled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(cancelled_by_application())),
            Poll::Pending => work.as_mut().poll(context),
        })
        .await;
        drop(uploading);
        result
    }

    /// Cancels the upload of a message: the hub removes what it has received, and if the message is being sent, that fails with
    /// [`ErrorCode::UPLOAD_CANCELLED`]. [`Client::resend_message`] then uploads from the beginning. To pause an upload, drop the
    /// future of [`Client::send_message`] instead.
    ///
    /// # Errors
    /// [`ErrorCode::INVALID_OPERATION`] if the message has no file, or was sent. It is no error if the hub cannot be reached: the hub
    /// removes incomplete uploads after a while.
    pub async fn cancel_upload(&self, message: &Message) -> Result<(), ImError> {
        let attachment = message.attachment().filter(|_| message.is_to_be_sent());
        let Some(attachment) = attachment else {
            let text = "the message has no upload to cancel";
            return Err(ImError::new(ErrorCode::INVALID_OPERATION, text));
        };
        for upload in attachment.cancel() {
            let request = encoded(&CancelUpload::new(upload));
            if let Err(error) = self.call(request, |_, _| ()).await {
                tracing::debug!(
                    code = error.code.0,
                    "the cancellation of an upload did not reach the hub"
                );
            }
        }
        Ok(())
    }

    async fn upload_files(&self, message: &Message, attachment: &Attachment) -> Result<(), ImError> {
        let kind = message.kind();
        let files = attachment.files();
        let Some(main) = files.main else {
            return match payload::is_uploaded(&message.payload()) {
                true => Ok(()),
                false => Err(not_at_hand(kind)),
            };
        };
        let main = self.open(kind, main).await;
        let (main, content) = match main {
            Ok(main) => main,
            // The upload is complete, and the file may be gone since.
            Err(_) if payload::is_uploaded(&message.payload()) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut preview = None;
        let mut before = 0;
        if let Some(thumbnail) = files.thumbnail {
            let (file, content) = self.open(MessageKind::IMAGE, thumbnail).await?;
            before = file.size;
            let task = Task {
                message,
                kind: MessageKind::IMAGE,
                duration_ms: 0,
                file,
                content,
                attachment,
                before: 0,
            };
            preview = Some(self.upload_file(task).await?);
        }
        let task = Task {
            message,
            kind,
            duration_ms: payload::duration_ms(&message.payload()),
            file: main,
            content,
            attachment,
            before,
        };
        let stored = self.upload_file(task).await?;
        let outcome = payload::with_uploaded(message, &stored, preview.as_ref());
        message.set_payload(&outcome);
        attachment.report_all();
        Ok(())
    }

    /// Opens a file whose path was persisted.
    async fn open(&self, kind: MessageKind, file: AttachedFile) -> Result<(AttachedFile, Opened), ImError> {
        let path = match &file.at {
            At::Open(opened) => {
                let opened = opened.clone();
                return Ok((file, opened));
            }
            At::Path(path) => path.clone(),
        };
        let source = Source::path(path).with_name(&*file.name);
        let opened = Opened::open(&self.runtime, source, u64::MAX).await;
        let opened = opened.map_err(|error| unreadable(kind, error))?;
        if opened.size != file.size {
            let changed = std::io::Error::other("its size has changed since the message was created");
            let error = OpenError::Unreadable(opened.name, changed);
            return Err(unreadable(kind, error));
        }
        Ok((file, opened))
    }

    /// Uploads one file, from the offset that the hub has.
    async fn upload_file(&self, task: Task<'_>) -> Result<Stored, ImError> {
        let sha256 = task.content.sha256(&self.runtime).await;
        let sha256 = sha256.map_err(|error| task.unreadable(error))?;
        // Another message with the same content waits here, and then finds the content in the hub.
        let turn = self.shared.uploads.turn((task.kind, sha256));
        let _turn = turn.lock().await;
        let (mut setbacks, mut most) = (0, 0);
        loop {
            let done = self
                .attempt_upload(&task, &sha256, &mut most, &mut setbacks)
                .await;
            let Err(error) = done else {
                return done;
            };
            match begins_again(&error) {
                Some(wait) if setbacks < MAX_SETBACKS => {
                    setbacks += 1;
                    if !wait.is_zero() {
                        task.message.set_refusal(Some(error));
                    }
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(error),
            }
        }
    }

    /// Uploads from the offset that the hub has. An offset beyond `most` is progress, and resets `setbacks`.
    async fn attempt_upload(
        &self,
        task: &Task<'_>,
        sha256: &[u8; 32],
        most: &mut u64,
        setbacks: &mut u32,
    ) -> Result<Stored, ImError> {
        let begun = self.begin_upload(task, sha256).await?;
        if begun.offset > *most {
            (*setbacks, *most) = (0, begun.offset);
        }
        self.upload_pieces(task, begun).await?;
        let stored = self.end_upload(begun.upload).await?;
        task.attachment.ended(begun.upload);
        Ok(stored)
    }

    async fn begin_upload(&self, task: &Task<'_>, sha256: &[u8; 32]) -> Result<Begun, ImError> {
        let file = &task.file;
        let request = BeginUpload::new(task.kind, &file.name, file.size, sha256)
            .with_media_type(&file.media_type)
            .with_duration_ms(task.duration_ms);
        request
            .check(&self.shared.limits)
            .map_err(|refused| ImError::new(refused.code(), refused.to_string()))?;
        let begun = self.call(encoded(&request), |_, response| Begun {
            upload: response.upload,
            offset: response.offset,
            piece: response.piece_len,
            window: response.window,
        });
        let begun = begun.await?;
        task.attachment.begun(begun.upload);
        Ok(begun)
    }

    /// Sends everything from the offset on, and waits for the answers.
    async fn upload_pieces(&self, task: &Task<'_>, begun: Begun) -> Result<(), ImError> {
        let size = task.file.size;
        let window = usize::from(begun.window.clamp(1, limits::MAX_UPLOAD_WINDOW));
        let piece = begun.piece.clamp(1, limits::MAX_PIECE_BYTES) as usize;
        let mut pace = Pace::new(piece, window);
        let mut pieces: VecDeque<Piece> = VecDeque::new();
        let mut next = begun.offset;
        task.attachment.report(task.before.saturating_add(next));
        loop {
            let under_way: usize = pieces.iter().map(|piece| piece.len).sum();
            let len = pace.next(under_way) as u64;
            let len = len.min(size.saturating_sub(next)) as usize;
            if len > 0 && pieces.len() < window {
                let bytes = task.content.read(&self.runtime, next, len).await;
                let bytes = bytes.map_err(|error| task.unreadable(error))?;
                let request = encoded(&Upload::new(begun.upload, next, &bytes));
                let response = self.submit(request, |_, response| Ok(response?.offset)).await?;
                next += len as u64;
                pieces.push_back(Piece {
                    end: next,
                    len,
                    sent: Instant::now(),
                    response,
                });
                continue;
            }
            let Some(piece) = pieces.pop_front() else {
                return Ok(());
            };
            let confirmed = piece.response.await.unwrap_or_else(|_| Err(ImError::ended()))?;
            pace.took(piece.len, piece.sent.elapsed());
            task.message.set_refusal(None);
            // Another device may be ahead with the same file.
            next = next.max(confirmed.min(size));
            task.attachment
                .report(task.before.saturating_add(piece.end.max(confirmed)));
        }
    }

    async fn end_upload(&self, upload: u64) -> Result<Stored, ImError> {
        self.call(encoded(&EndUpload::new(upload)), |_, response| {
            Stored::new(&response)
        })
        .await
    }
}

/// A piece that is under way.
struct Piece {
    end: u64,
    len: usize,
    sent: Instant,
    response: oneshot::Receiver<Result<u64, ImError>>,
}

/// After which time an upload begins again after this error; `None` if it does not.
fn begins_again(error: &ImError) -> Option<Duration> {
    match error.code {
        // The hub has lost what was not confirmed, or another device uploads the same file.
        ErrorCode::UPLOAD_UNKNOWN | ErrorCode::PIECE_OUT_OF_ORDER => Some(Duration::ZERO),
        _ => goes_on(error),
    }
}

fn cancelled_by_application() -> ImError {
    ErrorCode::UPLOAD_CANCELLED.into()
}

fn not_at_hand(kind: MessageKind) -> ImError {
    let error = std::io::Error::other("the message was restored without it; pass it to attach_source");
    unreadable(kind, OpenError::Unreadable("its content".into(), error))
}

/// Uploads of the same content take turns.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<HashMap<Content, Weak<tokio::sync::Mutex<()>>>>);

type Content = (MessageKind, [u8; 32]);

impl Uploads {
    fn turn(&self, content: Content) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&content).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(content, Arc::downgrade(&turn));
        turn
    }
}
