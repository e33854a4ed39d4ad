//! `IMError`: how every call fails.

use std::fmt;
use std::time::Duration;

use tim_proto::capability::UnsupportedPlatform;
use tim_proto::request::Failure;
use tim_proto::{ErrorCode, IdError, ShownNameError};

/// How every call fails (S25, S214): a code, and what went wrong in words.
///
/// ```
/// use tim_client::{ErrorCode, ImError};
/// let error = ImError::new(ErrorCode::SDK_IS_NOT_READY, "");
/// assert_eq!(error.to_string(), "2999 SDK_IS_NOT_READY: The client is not ready; wait for SDK_READY.");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImError {
    /// The code; [`ErrorCode::explain`] says what it means and what to do.
    pub code: ErrorCode,
    /// What this very case was about; may be empty.
    pub text: String,
    /// In how many milliseconds to try again; 0: not said.
    retry_after_ms: u32,
}

impl ImError {
    /// An error with this code and text.
    #[must_use]
    pub fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            retry_after_ms: 0,
        }
    }

    /// When the same call may be repeated, as the hub says; `None` if it does not say. Whether repeating it can help at
    /// all: [`ErrorCode::is_transient`].
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.retry_after_ms {
            0 => None,
            ms => Some(Duration::from_millis(ms as u64)),
        }
    }

    /// The client's task has ended, so nobody is there to answer.
    pub(crate) fn ended() -> Self {
        Self::new(ErrorCode::LOGGED_OUT, "the client has ended")
    }

    /// The hub answered something else than was asked.
    pub(crate) fn unexpected_answer() -> Self {
        Self::new(
            ErrorCode::PROTOCOL_VIOLATION,
            "the answer is not one to this request",
        )
    }
}

impl fmt::Display for ImError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code.explain())?;
        if self.text.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.text)
        }
    }
}

impl std::error::Error for ImError {}

impl From<ErrorCode> for ImError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, "")
    }
}

impl From<Failure<'_>> for ImError {
    fn from(failure: Failure<'_>) -> Self {
        Self {
            retry_after_ms: failure.retry_after_ms,
            ..Self::new(failure.code, failure.text)
        }
    }
}

impl From<IdError> for ImError {
    fn from(error: IdError) -> Self {
        Self::new(ErrorCode::INVALID_CONVERSATION_ID, error.to_string())
    }
}

impl From<ShownNameError> for ImError {
    fn from(error: ShownNameError) -> Self {
        Self::new(ErrorCode::GROUP_INVALID_PARAMETERS, error.to_string())
    }
}

impl From<UnsupportedPlatform> for ImError {
    fn from(error: UnsupportedPlatform) -> Self {
        Self::new(ErrorCode::UNSUPPORTED_PLATFORM, error.to_string())
    }
}
