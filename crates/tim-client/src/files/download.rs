//! Downloading the file of a message.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tim_proto::message::{ImageSize, Payload, to_vec};
use tim_proto::request::{self, FilePart, FileUrl};
use tim_proto::wire::crc32;
use tim_proto::{ConversationId, ErrorCode, MessageId};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::attachment::Progress;
use super::blocking::blocking;
use super::pace::Pace;
use super::part::PartFile;
use super::{MAX_SETBACKS, goes_on, payload};
use crate::call::encoded;
use crate::client::Client;
use crate::{ImError, Message};

/// The maximum number of pieces that are under way.
const WINDOW: usize = 16;
/// How much of what an earlier attempt has left is compared with the file: a power cut may have taken its end.
const COMPARED: u64 = 64 << 10;
/// How many pieces wait for a slow reader.
const READ_AHEAD: usize = 2;

/// The response of [`Client::file_url`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileUrlResponse {
    /// The URL. It is a credential: whoever has it can read the file.
    pub url: String,
    /// When it expires, Unix time in seconds.
    pub expires: u64,
}

impl Client {
    /// Downloads the file of a message in pieces: [`FilePart::FILE`] as it was sent, a rendition of a picture
    /// ([`FilePart::LARGE`], [`FilePart::THUMBNAIL`]), or the thumbnail of a video. Nothing is requested before a method of
    /// [`Download`] is called.
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client, message: tim_client::Message) -> Result<(), Box<dyn std::error::Error>> {
    /// use tim_client::FilePart;
    ///
    /// // Into memory, for the list of messages: at most 1 MiB.
    /// let preview = client.download(&message, FilePart::THUMBNAIL)?.to_bytes(1 << 20).await?;
    /// // To a file. After an interruption, the same call continues where it stopped.
    /// client.download(&message, FilePart::FILE)?.to_path("downloads/cat.jpg").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorCode::FILE_NOT_FOUND`] for a message without a file in the hub; if the file is elsewhere, the text of the error has its
    /// URL.
    pub fn download(&self, message: &Message, part: FilePart) -> Result<Download, ImError> {
        Ok(Download {
            client: self.clone(),
            expected: expected_size(&message.payload(), part),
            place: Place::of(message, part)?,
            offset: 0,
            on_progress: None,
        })
    }

    /// A URL at which the file of a message can be read by HTTP for a while, for example by a media player.
    ///
    /// # Errors
    /// As [`Client::download`]; [`ErrorCode::FILE_NOT_FOUND`] also if the hub does not serve files by HTTP.
    pub async fn file_url(&self, message: &Message, part: FilePart) -> Result<FileUrlResponse, ImError> {
        let place = Place::of(message, part)?;
        let request = FileUrl::new(place.conversation, place.sequence)
            .with_message(place.message)
            .with_part(part);
        self.call(encoded(&request), |_, response| FileUrlResponse {
            url: response.url.into(),
            expires: response.expires,
        })
        .await
    }
}

/// A file in the hub.
#[derive(Debug, Clone, Copy)]
struct Place {
    conversation: ConversationId,
    sequence: u64,
    message: MessageId,
    part: FilePart,
}

impl Place {
    fn of(message: &Message, part: FilePart) -> Result<Self, ImError> {
        let payload = message.payload();
        let refused = |text: String| Err(ImError::new(ErrorCode::FILE_NOT_FOUND, text));
        if !payload::is_uploaded(&payload) {
            return match payload::url(&payload) {
                "" => refused("the message has no file".into()),
                url => refused(format!("the file is not in the hub but at {url}")),
            };
        }
        if message.sequence() == 0 {
            return refused("the message is not stored at the hub".into());
        }
        Ok(Self {
            conversation: message.conversation_id(),
            sequence: message.sequence(),
            message: message.id(),
            part,
        })
    }

    fn request(&self, offset: u64, len: u32) -> request::Download {
        request::Download::new(self.conversation, self.sequence, offset, len)
            .with_message(self.message)
            .with_part(self.part)
    }

    /// Tells partial downloads of different files apart.
    fn fingerprint(&self) -> u32 {
        crc32(&[&to_vec(&self.request(0, 0))])
    }
}

/// The size that the message states; 0 if it states none.
fn expected_size(payload: &Payload<'_>, part: FilePart) -> u64 {
    match (payload, part) {
        (_, FilePart::FILE) => payload::size(payload),
        (Payload::Image(image), part) => {
            let mut images = image.images.iter();
            let rendition = images.find(|it| it.size_type == ImageSize(part.0));
            rendition.map_or(0, |rendition| rendition.size)
        }
        (Payload::Video(video), FilePart::THUMBNAIL) => video.thumbnail.size,
        _ => 0,
    }
}

/// A download, from [`Client::download`].
#[must_use = "a download does nothing until one of its methods is called"]
pub struct Download {
    client: Client,
    place: Place,
    expected: u64,
    offset: u64,
    on_progress: Option<OnProgress>,
}

type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

impl Download {
    /// The same with a function that is called with the progress of the download. It must not block.
    pub fn with_progress(mut self, on_progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(on_progress));
        self
    }

    /// The same from this offset of the file on, for [`Download::to_bytes`] and [`Download::into_reader`].
    pub fn with_offset(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// Downloads to a path, which then has the whole file or, after an error, what it had before. Meanwhile the bytes are in a
    /// file beside it whose name ends in `.part`; after an error, the same download to the same path goes on from there. The size of the
    /// whole is compared with what the hub and the message say, and the last 64 KiB of what an earlier attempt has left with the file: if
    /// they differ, the download begins anew. What is in front of them is not compared, as neither the hub nor the message has a hash of
    /// the file: whoever can write to the directory can change what is downloaded there. Returns the size.
    ///
    /// A regular file at the path is replaced. Nothing is downloaded if something else is there, such as a directory, a device or a
    /// symbolic link, or if the directory does not exist.
    ///
    /// # Errors
    /// The user may not read the file any more, and what was downloaded of it is removed: [`ErrorCode::FILE_NOT_FOUND`] if the message
    /// was revoked or is no longer kept, [`ErrorCode::GROUP_PERMISSION_DENY`] if the user is no member of the group any more,
    /// [`ErrorCode::GROUP_NOT_FOUND`] if the group was dismissed. [`ErrorCode::INVALID_OPERATION`] if the file cannot be written; the
    /// text says why. Not being ready, or another refusal of the hub.
    pub async fn to_path(self, path: impl AsRef<Path>) -> Result<u64, ImError> {
        let path = path.as_ref().to_owned();
        let runtime = self.client.runtime.clone();
        let failed = |error: io::Error| {
            let text = format!("cannot write {}: {error}", path.display());
            ImError::new(ErrorCode::INVALID_OPERATION, text)
        };
        let (destination, fingerprint) = (path.clone(), self.place.fingerprint());
        let opened = blocking(&runtime, move || PartFile::open(&destination, fingerprint));
        let mut part = opened.await.map_err(failed)?;
        let mut pieces = self.pieces(part.len().saturating_sub(COMPARED));
        loop {
            let at = pieces.at;
            let next = match pieces.next().await {
                Err(error) if is_gone(error.code) => {
                    return Err(take_back(&runtime, part, error).await);
                }
                next => next?,
            };
            let is_same = match next {
                None if pieces.total == Some(part.len()) => break,
                // What is left of an earlier attempt is longer than the file.
                None => false,
                Some(bytes) => {
                    let take = move || part.take(at, &bytes).map(|is_same| (part, is_same));
                    let is_same;
                    (part, is_same) = blocking(&runtime, take).await.map_err(failed)?;
                    is_same
                }
            };
            if !is_same {
                part = blocking(&runtime, move || part.remove().map(|()| part))
                    .await
                    .map_err(failed)?;
                pieces.start_at(0);
            }
        }
        blocking(&runtime, move || part.complete()).await.map_err(failed)
    }

    /// Downloads into memory.
    ///
    /// # Errors
    /// As [`Download::to_path`]; [`ErrorCode::RES_SIZE_LIMIT`] if there are more than `most` bytes.
    pub async fn to_bytes(self, most: usize) -> Result<Vec<u8>, ImError> {
        let mut bytes = Vec::new();
        let mut pieces = self.pieces(self.offset);
        while let Some(piece) = pieces.next().await? {
            let total = pieces.total.unwrap_or_default().saturating_sub(self.offset);
            if total > most as u64 {
                let text = format!("the file has {total} bytes; the limit is {most}");
                return Err(ImError::new(ErrorCode::RES_SIZE_LIMIT, text));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// The file as a reader. A few pieces are requested ahead. A slow consumer slows the download down, and dropping the reader ends
    /// it. Errors contain an [`ImError`].
    #[must_use]
    pub fn into_reader(self) -> DownloadReader {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let mut pieces = self.pieces(self.offset);
        let runtime = self.client.runtime.clone();
        runtime.spawn(async move {
            loop {
                let piece = match pieces.next().await {
                    Ok(None) => break,
                    Ok(Some(piece)) => Ok(piece),
                    Err(error) => Err(error),
                };
                let is_last = piece.is_err();
                if sender.send(piece).await.is_err() || is_last {
                    break;
                }
            }
        });
        DownloadReader {
            pieces: receiver,
            piece: Vec::new(),
            read: 0,
        }
    }

    fn pieces(&self, from: u64) -> Pieces {
        Pieces {
            client: self.client.clone(),
            place: self.place,
            expected: self.expected,
            on_progress: self.on_progress.clone(),
            total: None,
            at: from,
            next: from,
            longest: self.client.shared.file_piece,
            pace: Pace::new(self.client.shared.file_piece as usize, WINDOW),
            under_way: VecDeque::new(),
        }
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("place", &self.place)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// Whether the user may not read the file any more: it is gone, the group was dismissed, or the user has left it.
const fn is_gone(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::FILE_NOT_FOUND | ErrorCode::GROUP_NOT_FOUND | ErrorCode::GROUP_PERMISSION_DENY
    )
}

/// The user may not read the file any more, as `error` says: removes what was downloaded of it.
async fn take_back(runtime: &Handle, mut part: PartFile, error: ImError) -> ImError {
    let path = part.path().to_owned();
    match blocking(runtime, move || part.remove()).await {
        Ok(()) => error,
        Err(left) => {
            let text = format!(
                "the partial download cannot be removed: {}: {left}",
                path.display()
            );
            ImError::new(error.code, text)
        }
    }
}

/// The pieces of a file, in order.
struct Pieces {
    client: Client,
    place: Place,
    expected: u64,
    on_progress: Option<OnProgress>,
    /// The size of the file, once the hub has said it.
    total: Option<u64>,
    /// Where the next piece begins that is returned, and the next one that is requested.
    at: u64,
    next: u64,
    /// The longest piece that the hub returns.
    longest: u32,
    pace: Pace,
    under_way: VecDeque<Requested>,
}

struct Requested {
    len: u32,
    sent: Instant,
    response: oneshot::Receiver<Result<(u64, Vec<u8>), ImError>>,
}

impl Pieces {
    fn start_at(&mut self, offset: u64) {
        self.under_way.clear();
        (self.at, self.next) = (offset, offset);
    }

    /// The next piece; `None` at the end. Goes on where it is when the connection was lost for long.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, ImError> {
        let mut setbacks = 0;
        loop {
            match self.attempt().await {
                Err(error) if setbacks < MAX_SETBACKS => {
                    let Some(wait) = goes_on(&error) else {
                        return Err(error);
                    };
                    setbacks += 1;
                    self.start_at(self.at);
                    tokio::time::sleep(wait).await;
                }
                next => return next,
            }
        }
    }

    async fn attempt(&mut self) -> Result<Option<Vec<u8>>, ImError> {
        if self.total.is_some_and(|total| self.at >= total) {
            return Ok(None);
        }
        self.request_more().await?;
        let Some(piece) = self.under_way.pop_front() else {
            return Ok(None);
        };
        let response = piece.response.await.unwrap_or_else(|_| Err(ImError::ended()));
        let (total, bytes) = response?;
        self.pace.took(piece.len as usize, piece.sent.elapsed());
        self.check(total, &bytes, piece.len)?;
        self.total = Some(total);
        if bytes.is_empty() {
            return Ok(None);
        }
        self.at += bytes.len() as u64;
        if self.at < total && bytes.len() < piece.len as usize {
            // The hub returns shorter pieces: those under way have left a hole.
            self.longest = bytes.len() as u32;
            self.start_at(self.at);
        }
        if let Some(on_progress) = &self.on_progress {
            on_progress(Progress { done: self.at, total });
        }
        Ok(Some(bytes))
    }

    async fn request_more(&mut self) -> Result<(), ImError> {
        loop {
            let under_way: usize = self.under_way.iter().map(|piece| piece.len as usize).sum();
            let most = match self.total {
                // The first response says how much there is.
                None if !self.under_way.is_empty() => 0,
                None => u64::MAX,
                Some(total) => total.saturating_sub(self.next),
            };
            let len = self.pace.next(under_way).min(self.longest as usize);
            let len = (len as u64).min(most) as u32;
            if len == 0 || self.under_way.len() >= WINDOW {
                return Ok(());
            }
            let request = encoded(&self.place.request(self.next, len));
            let response = self.client.submit(request, |_, response| {
                let piece = response?;
                Ok((piece.total, piece.bytes.to_vec()))
            });
            self.under_way.push_back(Requested {
                len,
                sent: Instant::now(),
                response: response.await?,
            });
            self.next = self.next.saturating_add(u64::from(len));
        }
    }

    /// Checks what the hub says against what is known.
    fn check(&self, total: u64, bytes: &[u8], asked: u32) -> Result<(), ImError> {
        let wrong = |text: String| Err(ImError::new(ErrorCode::PROTOCOL_VIOLATION, text));
        if self.total.is_some_and(|before| before != total) {
            return wrong("the size of the file has changed".into());
        }
        if self.expected != 0 && self.expected != total {
            return wrong(format!(
                "the file has {total} bytes, but {} according to its message",
                self.expected
            ));
        }
        let rest = total.saturating_sub(self.at);
        let len = bytes.len() as u64;
        if len > u64::from(asked) || len > rest || (len == 0 && rest > 0) {
            return wrong(format!(
                "a piece of {asked} bytes was requested, and {len} have arrived"
            ));
        }
        Ok(())
    }
}

/// The file of a message as a reader, from [`Download::into_reader`].
#[derive(Debug)]
pub struct DownloadReader {
    pieces: mpsc::Receiver<Result<Vec<u8>, ImError>>,
    piece: Vec<u8>,
    /// How much of the piece was read.
    read: usize,
}

impl AsyncRead for DownloadReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read >= this.piece.len() {
            match ready!(this.pieces.poll_recv(context)) {
                Some(Ok(piece)) => (this.piece, this.read) = (piece, 0),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let rest = this.piece.get(this.read..).unwrap_or_default();
        let len = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..len]);
        this.read += len;
        Poll::Ready(Ok(()))
    }
}
