//! Files: uploads from flash and downloads into it, piece by piece.

use tim_session::proto::message::{Audio, File, Image, ImageFormat, ImageInfo, ImageSize, Thumbnail, Video};
use tim_session::proto::request::{
    BeginUpload, BeginUploadResponse, CancelUpload, Download, DownloadResponse, EndUpload, EndUploadResponse,
    Upload,
};
use tim_session::proto::vendor::limits::Limits;
use tim_session::proto::wire::List;
use tim_session::proto::{ConversationId, ErrorCode, FileId, Message};

use crate::file_io::clamp;
use crate::{Client, Error, FileSink, FileSource, FramingChoice};

/// How many times in a row an upload begins again without progress.
const MAX_RESTARTS: u32 = 4;
/// How many renditions a picture has.
const MAX_IMAGES: usize = 3;

/// A file in the hub, for the payload of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadedFile {
    uuid: [u8; FileId::LEN],
    size: u64,
    format: ImageFormat,
    images: [ImageInfo<'static>; MAX_IMAGES],
    image_count: u8,
}

impl UploadedFile {
    fn new(response: &EndUploadResponse<'_>) -> Option<Self> {
        response.uuid.parse::<FileId>().ok()?;
        let mut file = Self {
            uuid: response.uuid.as_bytes().try_into().ok()?,
            size: response.size,
            format: response.format,
            images: [ImageInfo::new(ImageSize::ORIGINAL); MAX_IMAGES],
            image_count: 0,
        };
        for (to, image) in file.images.iter_mut().zip(response.images.iter()) {
            *to = ImageInfo::new(image.size_type)
                .with_instance(image.instance)
                .with_size(image.size)
                .with_width(image.width)
                .with_height(image.height);
            file.image_count += 1;
        }
        Some(file)
    }

    /// The file's name in the hub: the `uuid` of payloads.
    #[must_use]
    pub fn uuid(&self) -> &str {
        core::str::from_utf8(&self.uuid).unwrap_or_default()
    }

    /// The size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The renditions of a picture; the default thumbnail of a video; otherwise empty.
    #[must_use]
    pub fn images(&self) -> &[ImageInfo<'static>] {
        self.images.get(..self.image_count.into()).unwrap_or_default()
    }

    /// The payload of an image message.
    #[must_use]
    pub fn image(&self) -> Image<'_> {
        Image::new(self.format, List::from_slice(self.images())).with_uuid(self.uuid())
    }

    /// The payload of a file message.
    #[must_use]
    pub fn file<'a>(&'a self, name: &'a str) -> File<'a> {
        File::new()
            .with_uuid(self.uuid())
            .with_name(name)
            .with_size(self.size)
    }

    /// The payload of a video message. `thumbnail` is a picture that was uploaded for an image message; without one, receivers get
    /// the hub's default picture.
    #[must_use]
    pub fn video<'a>(&'a self, seconds: u32, thumbnail: Option<&'a Self>) -> Video<'a> {
        let shown = match thumbnail {
            Some(own) => Thumbnail::new()
                .with_uuid(own.uuid())
                .with_format(own.extension()),
            None => Thumbnail::new().with_is_default(true).with_format("png"),
        };
        let shown = match thumbnail.unwrap_or(self).images().first() {
            Some(picture) => shown
                .with_size(picture.size)
                .with_width(picture.width)
                .with_height(picture.height),
            None => shown,
        };
        Video::new()
            .with_uuid(self.uuid())
            .with_size(self.size)
            .with_seconds(seconds)
            .with_thumbnail(shown)
    }

    /// What the format of a picture is called in a thumbnail.
    const fn extension(&self) -> &'static str {
        match self.format {
            ImageFormat::JPEG => "jpg",
            ImageFormat::GIF => "gif",
            ImageFormat::PNG => "png",
            ImageFormat::BMP => "bmp",
            _ => "",
        }
    }

    /// The payload of an audio message.
    #[must_use]
    pub fn audio(&self, duration_ms: u32) -> Audio<'_> {
        Audio::new()
            .with_uuid(self.uuid())
            .with_size(self.size)
            .with_duration_ms(duration_ms)
    }
}

/// The progress of an upload.
struct Progress<F> {
    /// The end of the furthest piece that the hub has.
    furthest: u64,
    size: u64,
    report: F,
}

impl<F: FnMut(u64, u64)> Progress<F> {
    /// Reports that the hub has so many bytes, unless more was reported before.
    fn reach(&mut self, offset: u64) {
        if offset > self.furthest {
            self.furthest = offset;
            (self.report)(offset, self.size);
        }
    }
}

impl<F: FramingChoice> Client<'_, F> {
    /// `createImageMessage`, for a picture that was uploaded. It does not send anything.
    ///
    /// # Errors
    /// As [`Client::create_message`].
    pub fn create_image_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        file: &'a UploadedFile,
    ) -> Result<Message<'a, Image<'a>>, Error> {
        self.make(to.into(), file.image())
    }

    /// `createAudioMessage`, for a recording that was uploaded. Fields such as its format can be set in the payload of the message.
    ///
    /// # Errors
    /// As [`Client::create_message`].
    pub fn create_audio_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        file: &'a UploadedFile,
        duration_ms: u32,
    ) -> Result<Message<'a, Audio<'a>>, Error> {
        self.make(to.into(), file.audio(duration_ms))
    }

    /// `createVideoMessage`, for a video that was uploaded, with the thumbnail of [`UploadedFile::video`]. Its format, such as `mp4`,
    /// can be set in the payload of the message.
    ///
    /// # Errors
    /// As [`Client::create_message`].
    pub fn create_video_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        file: &'a UploadedFile,
        seconds: u32,
        thumbnail: Option<&'a UploadedFile>,
    ) -> Result<Message<'a, Video<'a>>, Error> {
        self.make(to.into(), file.video(seconds, thumbnail))
    }

    /// `createFileMessage`, for a file that was uploaded.
    ///
    /// # Errors
    /// As [`Client::create_message`].
    pub fn create_file_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        file: &'a UploadedFile,
        name: &'a str,
    ) -> Result<Message<'a, File<'a>>, Error> {
        self.make(to.into(), file.file(name))
    }

    /// Uploads a file piece by piece, and returns it for the payload of its message. `piece` holds one piece at a time; the outbox
    /// and the send buffer hold it once more each, and limit its length. `on_progress` is passed how many bytes are uploaded, and
    /// the size.
    ///
    /// One piece is under way at a time, so each piece takes at least a round trip: with pieces of 400 bytes and a round trip of 50 ms,
    /// the rate is at most 8 kB/s. Larger buffers make such uploads faster. On a serial port, the line itself is usually the limit.
    ///
    /// An upload continues where it stopped: by itself after a lost connection, and otherwise when this is called again with the same
    /// file, also after a reset. A file that the hub has already is not uploaded again, so a device that is reset before it has sent
    /// the message calls this again and sends the message under the id that it kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a file that cannot be uploaded; [`Error::File`] from the source; otherwise as [`Client::send_message`].
    /// After [`Error::Refused`], [`Error::retry_after`] says when to call again, for example after
    /// [`TOO_MANY_UPLOADS`](ErrorCode::TOO_MANY_UPLOADS) and [`FILE_STORE_FAILED`](ErrorCode::FILE_STORE_FAILED).
    pub async fn upload_file(
        &self,
        file: &BeginUpload<'_>,
        source: &mut impl FileSource,
        piece: &mut [u8],
        on_progress: impl FnMut(u64, u64),
    ) -> Result<UploadedFile, Error> {
        file.check(&Limits::new())
            .map_err(|refused| Error::Invalid(refused.code()))?;
        let mut progress = Progress {
            furthest: 0,
            size: file.size,
            report: on_progress,
        };
        let mut restarts = 0;
        loop {
            let begun = self.begin_upload(file).await?;
            let before = progress.furthest;
            let result = self.upload_rest(&begun, source, piece, &mut progress).await;
            if progress.furthest > before {
                restarts = 0;
            }
            match result {
                // The hub has lost the upload, or a part of it.
                Err(Error::Refused {
                    code: ErrorCode::UPLOAD_UNKNOWN | ErrorCode::PIECE_OUT_OF_ORDER,
                    ..
                }) if restarts < MAX_RESTARTS => {
                    restarts += 1;
                }
                result => return result,
            }
        }
    }

    /// Uploads what the hub does not have yet, and ends the upload.
    async fn upload_rest(
        &self,
        begun: &BeginUploadResponse,
        source: &mut impl FileSource,
        piece: &mut [u8],
        progress: &mut Progress<impl FnMut(u64, u64)>,
    ) -> Result<UploadedFile, Error> {
        let mut offset = begun.offset;
        if offset > progress.size {
            return Err(Error::Protocol);
        }
        progress.reach(offset);
        while offset < progress.size {
            // The hub of the next connection may take other frames.
            let max = self.shared.max_request().saturating_sub(Upload::OVERHEAD);
            let longest = max.min(piece.len()).min(begun.piece_len as usize);
            let len = clamp(progress.size - offset, longest);
            let Some(bytes) = piece.get_mut(..len).filter(|bytes| !bytes.is_empty()) else {
                return Err(Error::TooLarge { len: 1, max: longest });
            };
            source.read_at(offset, bytes).await?;
            let request = Upload::new(begun.upload, offset, bytes);
            self.call(&request, |_| ()).await?;
            offset += len as u64;
            progress.reach(offset);
        }
        self.end_upload(begun.upload).await
    }

    /// Announces a file, or asks for the offset of its upload; [`Client::upload_file`] makes all calls of an upload.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn begin_upload(&self, file: &BeginUpload<'_>) -> Result<BeginUploadResponse, Error> {
        self.call(file, |begun| *begun).await
    }

    /// Ends an upload of which the hub has all pieces.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn end_upload(&self, upload: u64) -> Result<UploadedFile, Error> {
        self.call(&EndUpload::new(upload), UploadedFile::new)
            .await?
            .ok_or(Error::Protocol)
    }

    /// Cancels an upload: the hub removes what it has received. [`Client::begin_upload`] returns the number of an upload.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn cancel_upload(&self, upload: u64) -> Result<(), Error> {
        self.call(&CancelUpload::new(upload), |_| ()).await
    }

    /// Reads a piece of the file of a message, and passes it to `on_piece`: the bytes from `offset` on, at most `len` and no more than
    /// fit into a frame.
    ///
    /// # Errors
    /// As [`Client::send_message`]; [`Error::Refused`] also if the message was revoked, or the user may no longer read it.
    pub async fn download<R>(
        &self,
        file: &Download,
        on_piece: impl FnOnce(&DownloadResponse<'_>) -> R,
    ) -> Result<R, Error> {
        let mut request = *file;
        request.len = request.len.min(self.shared.fetch_piece);
        self.call(&request, on_piece).await
    }

    /// Reads the file of a message from `offset` to its end into `sink`, in pieces of at most `len` bytes, which go through `piece`.
    /// Returns the size of the file. `on_progress` is passed how many bytes were read, and the size.
    ///
    /// After an error, call it again with the offset up to which the sink has written, to continue there.
    ///
    /// # Errors
    /// [`Error::File`] from the sink; otherwise as [`Client::download`].
    pub async fn download_file(
        &self,
        file: &Download,
        piece: &mut [u8],
        sink: &mut impl FileSink,
        mut on_progress: impl FnMut(u64, u64),
    ) -> Result<u64, Error> {
        let (mut next, mut size) = (*file, None);
        next.len = next.len.min(u32::try_from(piece.len()).unwrap_or(u32::MAX));
        if next.len == 0 {
            return Err(Error::TooLarge { len: 1, max: 0 });
        }
        loop {
            let (total, len) = self
                .download(&next, |response| {
                    for (to, from) in piece.iter_mut().zip(response.bytes) {
                        *to = *from;
                    }
                    (response.total, response.bytes.len())
                })
                .await?;
            let bytes = piece.get(..len).ok_or(Error::Protocol)?;
            let end = next.offset.checked_add(len as u64).ok_or(Error::Protocol)?;
            if *size.get_or_insert(total) != total || (len > 0 && end > total) {
                return Err(Error::Protocol);
            }
            if len > 0 {
                sink.write_at(next.offset, bytes).await?;
                next.offset = end;
                on_progress(end, total);
            }
            if next.offset >= total {
                return Ok(total);
            }
            if len == 0 {
                return Err(Error::Protocol);
            }
        }
    }
}
