//! How a file store works, and what it answers.

use tim_proto::FileId;

use crate::faults::Faults;
use crate::pictures::Picture;
use crate::remote::Remote;

/// How a file store works.
#[derive(Clone)]
#[non_exhaustive]
pub struct FileStoreOptions {
    /// The maximum number of uploads that an owner has under way. Default 16.
    pub max_uploads: usize,
    /// How long an upload is kept to which nothing comes, in milliseconds. Default: a day.
    pub upload_life_ms: u64,
    /// How many bytes of the disk uploads leave free for others, as for messages. Default: 64 MiB.
    pub keep_free: u64,
    /// What the names of files are derived from: nobody may guess it.
    pub secret: [u8; 32],
    /// Where complete content is; `None` for a directory beside the uploads.
    pub content: Option<Remote>,
    /// What fails.
    pub faults: Faults,
}

impl FileStoreOptions {
    /// The defaults, with this secret.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            max_uploads: 16,
            upload_life_ms: 24 * 60 * 60 * 1000,
            keep_free: 64 << 20,
            secret,
            content: None,
            faults: Faults::default(),
        }
    }
}

/// An upload that has begun, or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The number of the upload.
    pub upload: u64,
    /// How many bytes of it are durable: the next piece begins there.
    pub received: u64,
}

/// How much of an upload has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// How many bytes have come. The next piece begins there.
    pub received: u64,
    /// How many of them are durable.
    pub confirmed: u64,
}

/// An upload whose content is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The name of the file.
    pub file: FileId,
    /// If it is a picture that was asked for: what it is.
    pub picture: Option<Picture>,
}
