//! Files of messages: sources, uploads, downloads.
//!
//! - `source`: what an application passes in; `opened`: the same, readable at any position; `spool`: temporary files for readers
//! - `formats`: which files are pictures or videos, and media types
//! - `attachment`: the files of a message until it is sent, and the progress of their upload
//! - `create`: messages with files; `payload`: their payloads
//! - `upload`, `download`: the transfer in pieces; `pace`: how many bytes are under way
//! - `part`: temporary files of downloads

mod attachment;
mod blocking;
mod create;
mod download;
mod formats;
mod opened;
mod pace;
mod part;
mod payload;
mod source;
mod spool;
mod upload;

use std::time::Duration;

use tim_proto::{ErrorCode, MessageKind};

use crate::ImError;
use opened::OpenError;

pub use attachment::Progress;
pub(crate) use attachment::{Attachment, Files};
pub use create::{AudioMetadata, VideoMetadata};
pub use download::{Download, DownloadReader, FileUrlResponse};
pub use source::{Source, UploadSource};
pub(crate) use upload::Uploads;

/// How often in a row a transfer goes on after an error without progress, before it fails.
const MAX_SETBACKS: u32 = 4;
/// The longest wait after a refusal that a transfer waits out by itself.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// After which time a transfer goes on after this error; `None` if it does not.
fn goes_on(error: &ImError) -> Option<Duration> {
    match error.code {
        // The connection was lost for long.
        ErrorCode::NETWORK_TIMEOUT => Some(Duration::ZERO),
        // Such as the limit of pieces per second.
        code if code.is_transient() => error.retry_after().filter(|wait| *wait <= MAX_WAIT),
        _ => None,
    }
}

/// A source cannot be used for a message of this kind.
fn unreadable(kind: MessageKind, error: OpenError) -> ImError {
    let nothing = match kind {
        MessageKind::IMAGE => ErrorCode::MESSAGE_IMAGE_SELECT_FILE_FIRST,
        _ => ErrorCode::MESSAGE_FILE_SELECT_FILE_FIRST,
    };
    match error {
        OpenError::Nothing => nothing.into(),
        OpenError::Several(count) => ImError::new(ErrorCode::SEVERAL_FILES, format!("{count} files")),
        OpenError::TooLarge => match kind {
            MessageKind::IMAGE => ErrorCode::MESSAGE_IMAGE_SIZE_LIMIT,
            MessageKind::AUDIO => ErrorCode::MESSAGE_AUDIO_SIZE_LIMIT,
            MessageKind::VIDEO => ErrorCode::MESSAGE_VIDEO_SIZE_LIMIT,
            _ => ErrorCode::MESSAGE_FILE_SIZE_LIMIT,
        }
        .into(),
        OpenError::Unreadable(what, error) => ImError::new(nothing, format!("{what}: {error}")),
    }
}
