//! Files: records of content that is kept elsewhere, and the entries that use it.

use tim_proto::{FileId, MessageKind, UserId};

/// A complete file. Its content is kept elsewhere, under its id.
///
/// A file is *used* while an entry names it that is kept and not revoked, and whose group was not dismissed. The name that the
/// sender gave to it is only in the message, and is removed with that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub id: FileId,
    /// Who has uploaded it.
    pub owner: UserId,
    /// The kind of message that it is for.
    pub kind: MessageKind,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content.
    pub sha256: [u8; 32],
    /// Its media type: of a picture by its content, otherwise as its owner announced it. At most
    /// [`MAX_MEDIA_TYPE`](super::MAX_MEDIA_TYPE) bytes; may be empty.
    pub media_type: String,
    /// The number of its format, for the hub.
    pub format: u8,
    /// Of a picture: itself and its renditions, at most [`MAX_IMAGES`](super::MAX_IMAGES).
    pub images: Vec<FileImage>,
    /// When it was stored, Unix time in milliseconds. The store sets it.
    pub created_ms: u64,
}

impl File {
    /// What it counts for in its owner's [`FileQuota`]: its size, and those of the renditions that are stored beside it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let renditions = self.images.iter().filter(|image| !image.is_original);
        renditions.fold(self.size, |sum, image| sum.saturating_add(image.size))
    }

    /// What identifies its content: an owner has one file with each content.
    #[must_use]
    pub const fn content(&self) -> FileContent {
        FileContent {
            owner: self.owner,
            kind: self.kind,
            size: self.size,
            sha256: self.sha256,
        }
    }
}

/// A picture, or a rendition of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileImage {
    /// Which one it is, for the hub.
    pub part: u8,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is the file itself.
    pub is_original: bool,
}

/// The identity of content. An owner has one file with each content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileContent {
    /// The owner.
    pub owner: UserId,
    /// The kind of message that it is for.
    pub kind: MessageKind,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// The limits for the files of an account. The hub passes them with each file, and the store enforces them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileQuota {
    /// The maximum sum of [`File::bytes`].
    pub bytes: u64,
    /// The maximum number of files.
    pub files: u64,
}

impl FileQuota {
    /// No limit.
    pub const NONE: Self = Self {
        bytes: u64::MAX,
        files: u64::MAX,
    };
}

/// The usage of an account: all its files, used or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileUsage {
    /// The sum of [`File::bytes`].
    pub bytes: u64,
    /// The number of files.
    pub files: u64,
}

/// A file to be stored. Its content is in its place already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddFile {
    /// The file.
    pub file: File,
    /// The limits for its owner's files.
    pub quota: FileQuota,
}

/// A bounded step that removes unused files: those whose last use has ended at once, and after a while those that were never used or
/// that their owners have [claimed](super::Write::ClaimFile) since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoveFiles {
    /// Files that wait for a message are removed if they were stored or claimed before this time (Unix time in milliseconds). Those
    /// whose last use has ended are removed if it is greater than 0.
    pub unsent_before_ms: u64,
    /// The maximum number of files to remove.
    pub most: u32,
}
