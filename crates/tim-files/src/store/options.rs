//! How a file store works, and what it answers.

use tim_proto::FileId;
use tim_proto::vendor::limits::MAX_OPEN_UPLOADS;

use crate::faults::Faults;
use crate::pictures::Picture;
use crate::remote::Remote;

/// How a file store works.
#[derive(Clone)]
#[non_exhaustive]
pub struct FileStoreOptions {
    /// The maximum number of uploads that an owner has under way. Default 16.
    pub max_uploads: usize,
    /// How long an upload is kept that receives nothing, in milliseconds; across a restart, since it began. Default: a day.
    pub upload_life_ms: u64,
    /// How many bytes of the disk uploads leave free for other uses, such as messages. Default: 64 MiB.
    pub keep_free: u64,
    /// The secret from which the names of files are derived. It must be impossible to guess.
    pub secret: [u8; 32],
    /// Where complete content is stored; `None` for a directory beside the uploads.
    pub content: Option<Remote>,
    /// Faults to inject, for tests.
    pub faults: Faults,
}

impl FileStoreOptions {
    /// The defaults, with this secret.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            max_uploads: MAX_OPEN_UPLOADS as usize,
            upload_life_ms: 24 * 60 * 60 * 1000,
            keep_free: 64 << 20,
            secret,
            content: None,
            faults: Faults::default(),
        }
    }
}

/// An upload that has begun or continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The number of the upload.
    pub upload: u64,
    /// How many bytes of it are durable: the next piece begins there.
    pub received: u64,
}

/// How much of an upload was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// How many bytes were received. The next piece begins there.
    pub received: u64,
    /// How many of them are durable.
    pub confirmed: u64,
}

/// An upload whose content is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The name of the file.
    pub file: FileId,
    /// The picture that it is, if one was asked for.
    pub picture: Option<Picture>,
}
