//! `IMError`: the error of every call.

use std::fmt;
use std::time::Duration;

use tim_proto::request::Failure;
use tim_proto::vendor::capability::UnsupportedPlatform;
use tim_proto::{ErrorCode, IdError, ShownNameError};

/// The error of every call: a code, and what happened in this case.
///
/// [`Display`](fmt::Display) and [`Debug`] show the code's name and advice, the text, and when to retry.
///
/// ```
/// use tim_client::{ErrorCode, ImError};
/// let error = ImError::new(ErrorCode::SDK_IS_NOT_READY, "");
/// assert_eq!(error.to_string(), "2999 SDK_IS_NOT_READY: The client is not ready; wait for SDK_READY.");
/// assert_eq!(
///     format!("{error:?}"),
///     r#"ImError { code: 2999, name: "SDK_IS_NOT_READY", advice: "The client is not ready; wait for SDK_READY.", text: "" }"#
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImError {
    /// The code; [`ErrorCode::explain`] says what it means and what to do.
    pub code: ErrorCode,
    /// What happened in this case; may be empty.
    pub text: String,
    /// When to retry, in milliseconds; 0 if the hub has not said.
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

    /// When the call may be repeated, if the hub has said. [`ErrorCode::is_transient`] says whether repeating it can
    /// succeed at all.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.retry_after_ms {
            0 => None,
            ms => Some(Duration::from_millis(ms as u64)),
        }
    }

    /// The same with another code.
    pub(crate) fn with_code(self, code: ErrorCode) -> Self {
        Self { code, ..self }
    }

    /// The client's task has ended.
    pub(crate) fn ended() -> Self {
        Self::new(ErrorCode::LOGGED_OUT, "the client has ended")
    }
}

impl fmt::Display for ImError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code.explain())?;
        if !self.text.is_empty() {
            write!(f, " ({})", self.text)?;
        }
        match self.retry_after() {
            Some(time) => write!(f, " [retry after {time:?}]"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ImError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("ImError");
        fields
            .field("code", &self.code.0)
            .field("name", &self.code.name().unwrap_or_default())
            .field("advice", &self.code.text())
            .field("text", &self.text);
        if let Some(time) = self.retry_after() {
            fields.field("retry_after", &time);
        }
        fields.finish()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_when_to_retry() {
        let failure = Failure::new(ErrorCode::OUTBOX_FULL, "too fast").with_retry_after_ms(1500);
        let error = ImError::from(failure);
        assert!(
            error.to_string().ends_with("(too fast) [retry after 1.5s]"),
            "{error}"
        );
        assert!(
            format!("{error:?}").ends_with(r#"text: "too fast", retry_after: 1.5s }"#),
            "{error:?}"
        );
    }
}
