//! Why a request is refused.

use tim_files::FileError;
use tim_proto::ErrorCode;
use tim_proto::request::Failure;
use tim_proto::wire::{DecodeError, FrameKind};
use tim_store::{NotStored, Refused, StoreError, WriteError};
use tracing::warn;

/// The retry interval while the queue of writes is full: it empties in a few commits.
const OVERLOAD_RETRY_MS: u32 = 500;
/// The retry interval while the hub restarts.
const RESTART_RETRY_MS: u32 = 1_000;
/// The retry interval after the storage failed.
const STORAGE_RETRY_MS: u32 = 1_000;
/// The retry interval while the storage is full: somebody or the next purge has to free some of it.
const FULL_RETRY_MS: u32 = 10_000;

/// The retry interval while the file store fails or is full, or an account has many uploads under way.
const FILES_RETRY_MS: u32 = 5_000;
/// The retry interval while an account has stored as much as it may: then retention has made another round.
const ACCOUNT_FULL_RETRY_MS: u32 = 60_000;

/// Why a request is refused: the code, when to try again, and a text for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// 0: not specified.
    pub(crate) retry_after_ms: u32,
    pub(crate) text: String,
}

impl Refusal {
    /// A refusal. For some codes it says when to try again.
    pub(crate) fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        let retry_after_ms = match code {
            ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR => OVERLOAD_RETRY_MS,
            ErrorCode::SERVER_SHUTTING_DOWN | ErrorCode::OUTCOME_UNKNOWN => RESTART_RETRY_MS,
            ErrorCode::STORAGE_FAILED => STORAGE_RETRY_MS,
            ErrorCode::STORAGE_FULL => FULL_RETRY_MS,
            ErrorCode::ACCOUNT_STORAGE_FULL => ACCOUNT_FULL_RETRY_MS,
            ErrorCode::TOO_MANY_UPLOADS | ErrorCode::FILE_STORE_FAILED => FILES_RETRY_MS,
            _ => 0,
        };
        Self {
            code,
            retry_after_ms,
            text: text.into(),
        }
    }

    /// A refusal because of a rate: the request is admitted in so many milliseconds.
    pub(crate) fn too_soon(code: ErrorCode, wait_ms: u64, text: impl Into<String>) -> Self {
        Self {
            // 0 would mean that it is not specified.
            retry_after_ms: u32::try_from(wait_ms).unwrap_or(u32::MAX).max(1),
            ..Self::new(code, text)
        }
    }

    /// The request cannot be decoded.
    pub(crate) fn malformed(kind: FrameKind, error: DecodeError) -> Self {
        let text = format!("the {kind} request is malformed: {error}");
        Self::new(ErrorCode::MSG_PKG_PARSE_FAILED, text)
    }

    /// The store's answer is not one to the write: a defect of the engine.
    pub(crate) fn wrong_answer() -> Self {
        Self::new(ErrorCode::STORAGE_FAILED, "the store gave a wrong answer")
    }

    /// The refusal as it is sent.
    pub(crate) fn failure(&self) -> Failure<'_> {
        Failure::new(self.code, &self.text).with_retry_after_ms(self.retry_after_ms)
    }
}

impl From<Refused> for Refusal {
    fn from(error: Refused) -> Self {
        Self::from(WriteError::from(error))
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        warn!(%error, "the store cannot be read");
        if let StoreError::Damaged(_) = error {
            return Self::new(ErrorCode::STORAGE_DAMAGED, error.to_string());
        }
        Self::from(WriteError::from(error))
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        let code = match &error {
            WriteError::Refused(refused) => refused.code(),
            WriteError::Store(StoreError::NotStored(NotStored::DiskFull)) => ErrorCode::STORAGE_FULL,
            // Of a batch with damage nothing was stored, and another write may be at fault.
            WriteError::Store(StoreError::NotStored(_) | StoreError::Damaged(_)) => ErrorCode::STORAGE_FAILED,
            WriteError::Store(_) => ErrorCode::OUTCOME_UNKNOWN,
            WriteError::Overloaded => ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR,
            WriteError::Closed => ErrorCode::SERVER_SHUTTING_DOWN,
        };
        // The engine's texts may name files; they are for the hub's log, not for clients.
        match error {
            WriteError::Store(
                StoreError::NotStored(NotStored::Engine(_))
                | StoreError::Damaged(_)
                | StoreError::Unknown(_)
                | StoreError::Fatal(_),
            ) => Self::new(code, ""),
            other => Self::new(code, other.to_string()),
        }
    }
}

impl From<FileError> for Refusal {
    fn from(error: FileError) -> Self {
        let code = match &error {
            FileError::UnknownUpload => ErrorCode::UPLOAD_UNKNOWN,
            FileError::OutOfOrder { .. } => ErrorCode::PIECE_OUT_OF_ORDER,
            FileError::OtherContent(_) => ErrorCode::UPLOAD_MISMATCH,
            FileError::NoPicture(_) => ErrorCode::MESSAGE_IMAGE_TYPES_LIMIT,
            FileError::TooManyPixels { .. } | FileError::TooManyScans { .. } => {
                ErrorCode::MESSAGE_IMAGE_SIZE_LIMIT
            }
            FileError::TooManyUploads(_) => ErrorCode::TOO_MANY_UPLOADS,
            FileError::NotFound => ErrorCode::FILE_NOT_FOUND,
            FileError::Damaged => ErrorCode::STORAGE_DAMAGED,
            _ => {
                warn!(%error, "a file cannot be stored or read");
                // The text may name files of the hub.
                return Self::new(ErrorCode::FILE_STORE_FAILED, "");
            }
        };
        Self::new(code, error.to_string())
    }
}
