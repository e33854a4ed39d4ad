//! Where the content of an image, audio, video or file message comes from.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::AsyncRead;

/// The file of a message, as the application has it. It is read piece by piece when the message is sent, and is not needed
/// any more once [`Client::send_message`](crate::Client::send_message) has succeeded.
///
/// Paths and [`UploadSource`]s in an `Arc` convert into it. So does an `Option`, whose `None` is refused as a missing file, and a
/// `Vec`, which must contain exactly one source.
///
/// ```no_run
/// use std::path::Path;
/// use tim_client::Source;
///
/// let from_path = Source::from(Path::new("photos/cat.jpg"));
/// let from_memory = Source::bytes("cat.jpg", std::fs::read("photos/cat.jpg")?);
/// let renamed = Source::path("/tmp/upload-4711").with_name("cat.jpg").with_media_type("image/jpeg");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub struct Source {
    pub(super) content: Content,
    pub(super) name: Option<String>,
    pub(super) media_type: Option<String>,
}

pub(super) enum Content {
    /// The application has selected nothing.
    Nothing,
    /// More than one file, which no message can carry.
    Several(usize),
    Path(PathBuf),
    Bytes(Vec<u8>),
    Reader(Pin<Box<dyn AsyncRead + Send>>),
    Own(Arc<dyn UploadSource>),
}

/// A source of an application's own: content of a known size that can be read at any position, as often as needed.
///
/// ```
/// use tim_client::UploadSource;
///
/// /// A recording in the ring buffer of a sound card.
/// struct Recording(Vec<u8>);
///
/// impl UploadSource for Recording {
///     fn name(&self) -> &str {
///         "recording.aac"
///     }
///     fn size(&self) -> u64 {
///         self.0.len() as u64
///     }
///     fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
///         let rest = &self.0[usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len())..];
///         let len = rest.len().min(buffer.len());
///         buffer[..len].copy_from_slice(&rest[..len]);
///         Ok(len)
///     }
/// }
/// ```
pub trait UploadSource: Send + Sync + 'static {
    /// The name of the file, which receivers see. Only what follows the last `/` or `\` is sent.
    fn name(&self) -> &str;

    /// The size in bytes. It must not change.
    fn size(&self) -> u64;

    /// The media type, such as `image/png`; if it is empty, it is derived from the content and the name.
    fn media_type(&self) -> &str {
        ""
    }

    /// Reads bytes from `offset` on into `buffer`, and returns how many. These may be fewer than fit, and 0 only at the end. It may
    /// block: it is called on one of tokio's threads for blocking work.
    ///
    /// # Errors
    /// Any. Sending the message then fails, and can be tried again.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Source {
    /// The file at a path. It is opened when it is read, so the path must stay valid until the message is sent.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::new(Content::Path(path.into()))
    }

    /// Bytes in memory.
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Content::Bytes(bytes.into())).with_name(name)
    }

    /// The content of a reader. It is read to its end when the message is created: up to 1 MiB into memory, more into a temporary file
    /// that is deleted after the message was sent. Content beyond the limit of the kind of message is refused.
    pub fn reader(name: impl Into<String>, reader: impl AsyncRead + Send + 'static) -> Self {
        Self::new(Content::Reader(Box::pin(reader))).with_name(name)
    }

    const fn new(content: Content) -> Self {
        Self {
            content,
            name: None,
            media_type: None,
        }
    }

    /// The same with this name, which receivers see. The default is the name of the path or source.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same with this media type, such as `image/png`. By default it is derived from the content and the name.
    pub fn with_media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match &self.content {
            Content::Nothing => "nothing".to_owned(),
            Content::Several(count) => format!("{count} files"),
            Content::Path(path) => path.display().to_string(),
            Content::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Content::Reader(_) => "a reader".to_owned(),
            Content::Own(own) => format!("a source of {} bytes", own.size()),
        };
        f.debug_struct("Source")
            .field("content", &content)
            .field("name", &self.name)
            .field("media_type", &self.media_type)
            .finish()
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::path(path)
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::path(path)
    }
}

impl<S: UploadSource> From<Arc<S>> for Source {
    fn from(source: Arc<S>) -> Self {
        Self::new(Content::Own(source))
    }
}

impl From<Arc<dyn UploadSource>> for Source {
    fn from(source: Arc<dyn UploadSource>) -> Self {
        Self::new(Content::Own(source))
    }
}

/// What the user has selected, if anything.
impl<S: Into<Self>> From<Option<S>> for Source {
    fn from(selected: Option<S>) -> Self {
        selected.map_or(Self::new(Content::Nothing), Into::into)
    }
}

/// All that the user has selected; a message carries exactly one.
impl<S: Into<Self>> From<Vec<S>> for Source {
    fn from(mut selected: Vec<S>) -> Self {
        match selected.len() {
            0 | 1 => selected.pop().into(),
            several => Self::new(Content::Several(several)),
        }
    }
}
