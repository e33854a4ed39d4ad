//! How calls fail.

use tim_session::proto::ErrorCode;

/// How a call fails: whose fault it is, and what to do. [`Error::code`] is the number that `IMError` shows (S25).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The caller's: calls are not taken now (S83), and the code says why. Wait with
    /// [`Client::wait_until_ready`](crate::Client::wait_until_ready), or log in.
    #[error("{0}: calls are not taken now; log in and wait until ready")]
    NotReady(ErrorCode),
    /// The caller's: [`MAX_CALLS`](crate::MAX_CALLS) are under way. Wait for one of them.
    #[error("too many calls are under way; wait for one")]
    Busy,
    /// The caller's: this can never be sent. Shorten it, or give the device more memory.
    #[error("the request takes {len} bytes, at most {max} can be sent; shorten it")]
    TooLarge {
        /// How long it is.
        len: usize,
        /// The longest one possible, as the device's memory and the hub have it.
        max: usize,
    },
    /// The caller's: this message or conversation is not one for this call. The code says why.
    #[error("{0}: not a message or conversation for this call")]
    Invalid(ErrorCode),
    /// The hub refused; the code says why.
    #[error("{0}: the hub refused")]
    Refused(ErrorCode),
    /// The line's: no answer came within `request_timeout`, though it may have been done. Send the same message again: the
    /// hub keeps it once.
    #[error("no answer came in time; resend the same message")]
    TimedOut,
    /// The session ended while the call was under way; the code says why. Log in again, and repeat the call.
    #[error("{0}: the session has ended; log in again")]
    Ended(ErrorCode),
    /// The hub's: its answer makes no sense. Report it.
    #[error("the hub's answer is malformed; report it")]
    Protocol,
}

impl Error {
    /// The code that `IMError` shows.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotReady(code) | Self::Invalid(code) | Self::Refused(code) | Self::Ended(code) => *code,
            Self::Busy => ErrorCode::OUTBOX_FULL,
            Self::TooLarge { .. } => ErrorCode::FRAME_TOO_LARGE,
            Self::TimedOut => ErrorCode::NETWORK_TIMEOUT,
            Self::Protocol => ErrorCode::PROTOCOL_VIOLATION,
        }
    }
}
