//! `createImageMessage` and the other messages that carry a file.

use std::time::Duration;

use tim_proto::message::{Audio, File, Image, ImageFormat, Payload, Thumbnail, Video};
use tim_proto::wire::{Extensions, List};
use tim_proto::{ConversationId, ErrorCode, MessageKind, check_file_name};

use super::attachment::{At, AttachedFile, Attachment, Files, Progress};
use super::opened::Opened;
use super::payload::{self, DEFAULT_THUMBNAIL};
use super::source::Source;
use super::{formats, unreadable};
use crate::client::Client;
use crate::{ImError, Message};

/// What is known of a recording; all fields are optional.
///
/// ```
/// use std::time::Duration;
/// use tim_client::AudioMetadata;
/// let recorded = AudioMetadata {
///     duration: Duration::from_secs(60),
///     sample_rate: 44_100,
///     channels: 1,
///     bit_rate: 192_000,
///     format: "aac".into(),
/// };
/// assert!(recorded.plays_everywhere());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudioMetadata {
    /// Its duration: at most ten minutes.
    pub duration: Duration,
    /// Samples per second; 0 if unknown.
    pub sample_rate: u32,
    /// The number of channels; 0 if unknown.
    pub channels: u8,
    /// Bits per second; 0 if unknown.
    pub bit_rate: u32,
    /// The format, such as `aac`. If it is empty, the name of the file says it.
    pub format: String,
}

impl AudioMetadata {
    /// Whether every platform plays this format: `aac`. Other formats may play only where they were recorded.
    #[must_use]
    pub fn plays_everywhere(&self) -> bool {
        self.format.eq_ignore_ascii_case("aac")
    }
}

/// What is known of a video; all fields are optional.
#[derive(Debug, Default)]
pub struct VideoMetadata {
    /// Its duration.
    pub duration: Duration,
    /// The format, such as `mp4`. If it is empty, the name of the file says it.
    pub format: String,
    /// The picture that is shown before the video plays. Without one, the thumbnail of the message is the hub's default picture: its
    /// `is_default` is true and its `url` empty. Receivers read it as they read any thumbnail, with [`Client::download`] or
    /// [`Client::file_url`] and [`FilePart::THUMBNAIL`](crate::FilePart::THUMBNAIL).
    pub thumbnail: Option<Source>,
}

impl Client {
    /// `createImageMessage`: a picture (jpg, gif, png, bmp or webp, at most 20 MiB). It is uploaded when the message is sent; the hub
    /// then finds out its width and height, and makes the smaller renditions.
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::path::Path;
    /// use tim_client::{SendOptions, UserId};
    ///
    /// let message = client
    ///     .create_image_message(UserId::new("bob")?, Path::new("photos/cat.jpg"))
    ///     .await?
    ///     .with_progress(|progress| println!("{:.0} %", progress.fraction() * 100.0));
    /// client.send_message(&message, SendOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Nothing is uploaded, and there is no message:
    /// - [`ErrorCode::MESSAGE_IMAGE_SELECT_FILE_FIRST`] if there is no file, or it cannot be read;
    /// - [`ErrorCode::SEVERAL_FILES`] for more than one;
    /// - [`ErrorCode::MESSAGE_FILE_IS_EMPTY`], [`ErrorCode::MESSAGE_IMAGE_TYPES_LIMIT`],
    ///   [`ErrorCode::MESSAGE_IMAGE_SIZE_LIMIT`];
    /// - [`ErrorCode::GROUP_INVALID_PARAMETERS`] for a name of more than 255 bytes or with control characters;
    /// - and as [`Client::create_message`].
    pub async fn create_image_message(
        &self,
        to: impl Into<ConversationId>,
        source: impl Into<Source>,
    ) -> Result<Message, ImError> {
        let (to, source) = (to.into(), source.into());
        let file = self.attach(MessageKind::IMAGE, source).await?;
        let (format, _) = formats::picture(file.head()).unwrap_or((ImageFormat::UNKNOWN, ""));
        let images = payload::unsent_images(file.size);
        let image = Image::new(format, List::from_slice(&images));
        self.create_attached(to, image.into(), Files::of(file))
    }

    /// `createAudioMessage`: a recording (at most ten minutes and 20 MiB) with its metadata.
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client, recording: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use tim_client::{AudioMetadata, SendOptions, Source, UserId};
    ///
    /// let recorded = AudioMetadata { duration: Duration::from_secs(12), format: "aac".into(), ..Default::default() };
    /// let source = Source::bytes("recording.aac", recording);
    /// let message = client.create_audio_message(UserId::new("bob")?, source, recorded).await?;
    /// client.send_message(&message, SendOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::create_image_message`], with [`ErrorCode::MESSAGE_FILE_SELECT_FILE_FIRST`] for a missing file,
    /// [`ErrorCode::MESSAGE_AUDIO_SIZE_LIMIT`], [`ErrorCode::RECORDING_TOO_LONG`], and [`ErrorCode::UNSUPPORTED_PLATFORM`] on
    /// the Web.
    pub async fn create_audio_message(
        &self,
        to: impl Into<ConversationId>,
        source: impl Into<Source>,
        recorded: AudioMetadata,
    ) -> Result<Message, ImError> {
        let (to, source) = (to.into(), source.into());
        let duration_ms = u32::try_from(recorded.duration.as_millis()).unwrap_or(u32::MAX);
        let most = self.shared.limits.sound_millis();
        if duration_ms > most {
            let text = format!("{duration_ms} ms, at most {most} can be sent");
            return Err(ImError::new(ErrorCode::RECORDING_TOO_LONG, text));
        }
        let file = self.attach(MessageKind::AUDIO, source).await?;
        let format = named(&recorded.format, &file);
        let audio = Audio::new()
            .with_size(file.size)
            .with_duration_ms(duration_ms)
            .with_sample_rate(recorded.sample_rate)
            .with_channels(recorded.channels)
            .with_bit_rate(recorded.bit_rate)
            .with_format(&format);
        self.create_attached(to, audio.into(), Files::of(file))
    }

    /// `createVideoMessage`: a video (mp4 or mov, at most 100 MiB), with or without a thumbnail.
    ///
    /// # Errors
    /// As [`Client::create_image_message`], with [`ErrorCode::MESSAGE_FILE_SELECT_FILE_FIRST`] for a missing file,
    /// [`ErrorCode::MESSAGE_VIDEO_TYPES_LIMIT`] and [`ErrorCode::MESSAGE_VIDEO_SIZE_LIMIT`]. A thumbnail is refused with the codes of
    /// an image.
    pub async fn create_video_message(
        &self,
        to: impl Into<ConversationId>,
        source: impl Into<Source>,
        video: VideoMetadata,
    ) -> Result<Message, ImError> {
        let (to, source) = (to.into(), source.into());
        let file = self.attach(MessageKind::VIDEO, source).await?;
        let thumbnail = match video.thumbnail {
            Some(source) => Some(self.attach(MessageKind::IMAGE, source).await?),
            None => None,
        };
        let preview = match &thumbnail {
            Some(own) => Thumbnail::new()
                .with_size(own.size)
                .with_format(formats::short_name(&own.media_type)),
            None => Thumbnail::new()
                .with_is_default(true)
                .with_format("png")
                .with_width(DEFAULT_THUMBNAIL)
                .with_height(DEFAULT_THUMBNAIL),
        };
        let format = named(&video.format, &file);
        let payload = Video::new()
            .with_size(file.size)
            .with_seconds(u32::try_from(video.duration.as_secs()).unwrap_or(u32::MAX))
            .with_format(&format)
            .with_thumbnail(preview);
        let files = Files {
            main: Some(file),
            thumbnail,
        };
        self.create_attached(to, payload.into(), files)
    }

    /// `createFileMessage`: a file of any type, at most 100 MiB
    /// ([`MAX_FILE_BYTES`](crate::proto::vendor::limits::MAX_FILE_BYTES)).
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client, group: tim_client::GroupId) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::path::Path;
    /// use tim_client::SendOptions;
    ///
    /// let message = client.create_file_message(group, Path::new("report.pdf")).await?;
    /// client.send_message(&message, SendOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::create_image_message`], with [`ErrorCode::MESSAGE_FILE_SELECT_FILE_FIRST`] for a missing file,
    /// [`ErrorCode::MESSAGE_FILE_SIZE_LIMIT`], and [`ErrorCode::UNSUPPORTED_PLATFORM`] in a mini program.
    pub async fn create_file_message(
        &self,
        to: impl Into<ConversationId>,
        source: impl Into<Source>,
    ) -> Result<Message, ImError> {
        let (to, source) = (to.into(), source.into());
        let attached = self.attach(MessageKind::FILE, source).await?;
        let name = attached.name.clone();
        let file = File::new().with_name(&name).with_size(attached.size);
        self.create_attached(to, file.into(), Files::of(attached))
    }

    /// Attaches the file to a message that was restored from bytes. It is needed if the source was not a path: only paths are
    /// persisted with a message. The content must be the same as before.
    ///
    /// # Errors
    /// As the call that created the message; [`ErrorCode::INVALID_OPERATION`] if the message was sent, was not created with a file by
    /// this library, or had a file of another size.
    pub async fn attach_source(&self, message: &Message, source: impl Into<Source>) -> Result<(), ImError> {
        let source = source.into();
        let Some(attachment) = message.attachment().filter(|_| message.is_to_be_sent()) else {
            let text = "the message has no file to be sent";
            return Err(ImError::new(ErrorCode::INVALID_OPERATION, text));
        };
        let file = self.attach(message.kind(), source).await?;
        let size = payload::size(&message.payload());
        if file.size != size {
            let text = format!("the file has {} bytes; that of the message has {size}", file.size);
            return Err(ImError::new(ErrorCode::INVALID_OPERATION, text));
        }
        attachment.set_files(Files {
            main: Some(file),
            ..attachment.files()
        });
        Ok(())
    }

    fn create_attached(
        &self,
        to: ConversationId,
        payload: Payload<'_>,
        files: Files,
    ) -> Result<Message, ImError> {
        self.create(to, payload, Extensions::NONE, Some(Attachment::new(files)))
    }

    /// Opens and checks the file of a message of this kind.
    async fn attach(&self, kind: MessageKind, source: Source) -> Result<AttachedFile, ImError> {
        self.shared.capabilities.check(kind)?;
        let limits = &self.shared.limits;
        let most = match kind {
            MessageKind::IMAGE => limits.image_bytes(),
            MessageKind::AUDIO => limits.sound_bytes(),
            MessageKind::VIDEO => limits.video_bytes(),
            _ => limits.file_bytes(),
        };
        let opened = Opened::open(&self.runtime, source, most).await;
        let opened = opened.map_err(|error| unreadable(kind, error))?;
        if opened.size == 0 {
            return Err(ImError::new(ErrorCode::MESSAGE_FILE_IS_EMPTY, opened.name));
        }
        if opened.size > most {
            let text = format!("{} bytes, at most {most} can be sent", opened.size);
            let refused = unreadable(kind, super::OpenError::TooLarge);
            return Err(ImError::new(refused.code, text));
        }
        let media_type = formats::media_type(kind, &opened)?;
        let name = match (&*opened.name, kind) {
            ("", MessageKind::IMAGE) => "image",
            ("", MessageKind::AUDIO) => "recording",
            ("", MessageKind::VIDEO) => "video",
            (name, _) => name,
        };
        check_file_name(name)
            .map_err(|error| ImError::new(ErrorCode::GROUP_INVALID_PARAMETERS, error.to_string()))?;
        Ok(AttachedFile {
            name: name.to_owned(),
            media_type,
            size: opened.size,
            at: At::Open(opened),
        })
    }
}

impl Message {
    /// The same instance with a function that is called with the progress of the upload: at least once, with growing numbers, and
    /// with 100 % before [`Client::send_message`] succeeds. It must not block. For a message without a file it is never called.
    #[must_use]
    pub fn with_progress(self, on_progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        if let Some(attachment) = self.attachment() {
            attachment.set_on_progress(std::sync::Arc::new(on_progress));
        }
        self
    }

    /// The progress of the upload; `None` for a message that was not created with a file by this client.
    #[must_use]
    pub fn upload_progress(&self) -> Option<Progress> {
        self.attachment().map(Attachment::progress)
    }
}

impl Files {
    fn of(main: AttachedFile) -> Self {
        Self {
            main: Some(main),
            thumbnail: None,
        }
    }
}

impl AttachedFile {
    fn head(&self) -> &[u8] {
        match &self.at {
            At::Open(opened) => &opened.head,
            At::Path(_) => &[],
        }
    }
}

/// The format that was given, or that of the file.
fn named(format: &str, file: &AttachedFile) -> String {
    match format {
        "" => formats::short_name(&file.media_type).to_owned(),
        format => format.to_owned(),
    }
}
