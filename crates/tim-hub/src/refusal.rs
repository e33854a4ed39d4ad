//! A refusal on its way to the client.

use tim_proto::ErrorCode;
use tim_proto::request::Failure;
use tracing::warn;

use crate::store::{NotStored, StoreError, WriteError};

/// When to come back to a hub whose queue of writes is full: it empties in a few commits.
const OVERLOAD_RETRY_MS: u32 = 500;
/// When to come back to a hub that restarts.
const RESTART_RETRY_MS: u32 = 1_000;
/// When to try again after the storage failed.
const STORAGE_RETRY_MS: u32 = 1_000;
/// When to try again after the storage was full: somebody or the next purge has to make room.
const FULL_RETRY_MS: u32 = 10_000;

/// Why a request is refused: the code, when to try again, and words for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// 0: not said.
    pub(crate) retry_after_ms: u32,
    pub(crate) text: String,
}

impl Refusal {
    /// A refusal; where the code itself tells when to try again, it says so.
    pub(crate) fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        let retry_after_ms = match code {
            ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR => OVERLOAD_RETRY_MS,
            ErrorCode::SERVER_SHUTTING_DOWN | ErrorCode::OUTCOME_UNKNOWN => RESTART_RETRY_MS,
            ErrorCode::STORAGE_FAILED => STORAGE_RETRY_MS,
            ErrorCode::STORAGE_FULL => FULL_RETRY_MS,
            _ => 0,
        };
        Self {
            code,
            retry_after_ms,
            text: text.into(),
        }
    }

    /// More than the rate allows; the next permit comes in so many milliseconds.
    pub(crate) fn too_soon(code: ErrorCode, wait_ms: u64, text: impl Into<String>) -> Self {
        Self {
            // Whoever is told 0 is told nothing.
            retry_after_ms: u32::try_from(wait_ms).unwrap_or(u32::MAX).max(1),
            ..Self::new(code, text)
        }
    }

    /// As it goes to the client.
    pub(crate) fn failure(&self) -> Failure<'_> {
        Failure::new(self.code, &self.text).retry_after_ms(self.retry_after_ms)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        warn!(%error, "the store cannot be read");
        Self::from(&WriteError::from(error))
    }
}

/// What a client is told when the store does not do something.
impl From<&WriteError> for Refusal {
    fn from(error: &WriteError) -> Self {
        let code = match error {
            WriteError::Refused(refused) => refused.code(),
            WriteError::Store(StoreError::NotStored(NotStored::DiskFull)) => ErrorCode::STORAGE_FULL,
            WriteError::Store(StoreError::NotStored(_)) => ErrorCode::STORAGE_FAILED,
            WriteError::Store(_) => ErrorCode::OUTCOME_UNKNOWN,
            WriteError::Overloaded => ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR,
            WriteError::Closed => ErrorCode::SERVER_SHUTTING_DOWN,
        };
        // The engine's own words may name files; they are for the hub's log, not for clients.
        match error {
            WriteError::Store(
                StoreError::NotStored(NotStored::Engine(_)) | StoreError::Unknown(_) | StoreError::Fatal(_),
            ) => Self::new(code, ""),
            other => Self::new(code, other.to_string()),
        }
    }
}
