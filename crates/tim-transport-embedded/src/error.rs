//! Errors of calls.

use core::time::Duration;

use tim_session::proto::ErrorCode;

/// Why a call failed. [`Error::code`] is the number that `IMError` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// Requests are not accepted now; the code says why. Log in, or wait with
    /// [`Client::wait_until_ready`](crate::Client::wait_until_ready).
    #[error("{0}: not ready; log in and wait until ready")]
    NotReady(ErrorCode),
    /// [`MAX_CALLS`](crate::MAX_CALLS) calls are pending. Wait for one of them.
    #[error("too many pending calls; wait for one")]
    Busy,
    /// The request can never be sent. Shorten it, or give the device larger buffers.
    #[error("the request takes {len} bytes, at most {max} can be sent; shorten it")]
    TooLarge {
        /// The length of the request.
        len: usize,
        /// The longest request that the device's buffers and the hub permit.
        max: usize,
    },
    /// This message, conversation or file is not valid for this call; the code says why.
    #[error("{0}: invalid message, conversation or file for this call")]
    Invalid(ErrorCode),
    /// The hub refused the request or the login; the code says why, and [`Error::retry_after`] when to try again.
    #[error("{code}: the hub refused the request")]
    Refused {
        /// The code.
        code: ErrorCode,
        /// After how many milliseconds the same request can succeed; 0 if the hub has not said so.
        retry_after_ms: u32,
    },
    /// No response arrived within `request_timeout`. The hub may have carried out the request all the same; send the same
    /// message again, the hub stores it once.
    #[error("no response in time; resend the same message")]
    TimedOut,
    /// The application logged out while the call was pending: another task called
    /// [`Client::logout`](crate::Client::logout).
    #[error("the application has logged out")]
    LoggedOut,
    /// The hub ended the session while the call was pending; the code says why. Log in again and repeat the call.
    #[error("{0}: the session has ended; log in again")]
    Ended(ErrorCode),
    /// The application's [`FileSource`](crate::FileSource) or [`FileSink`](crate::FileSink) failed. Repeat the call: it
    /// continues where it stopped.
    #[error("the file could not be read or written")]
    File,
    /// The application's [`OutboxStorage`](crate::OutboxStorage) failed or is full. A message that was to be kept was not sent.
    #[error("the device's storage failed or is full")]
    Storage,
    /// A message that was kept is one of another account, so this one cannot send it. It is still kept.
    #[error("the kept message is one of another account")]
    OtherAccount,
    /// The hub's response is malformed. This is an error in the hub; report it.
    #[error("the hub's response is malformed; report it")]
    Protocol,
}

impl Error {
    /// The code that `IMError` shows.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotReady(code) | Self::Invalid(code) | Self::Refused { code, .. } | Self::Ended(code) => {
                *code
            }
            Self::Busy => ErrorCode::OUTBOX_FULL,
            Self::TooLarge { .. } => ErrorCode::FRAME_TOO_LARGE,
            Self::TimedOut => ErrorCode::NETWORK_TIMEOUT,
            Self::LoggedOut => ErrorCode::LOGGED_OUT,
            Self::File => ErrorCode::MESSAGE_FILE_UPLOAD_FAIL,
            Self::Storage => ErrorCode::MESSAGE_SEND_FAIL,
            Self::OtherAccount => ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE,
            Self::Protocol => ErrorCode::PROTOCOL_VIOLATION,
        }
    }

    /// When the same request can succeed, if the hub has said so: repeat the call after that time or later. A hub that is asked too often,
    /// or has no room, says so.
    ///
    /// Without a time, [`ErrorCode::is_transient`] tells whether a refused request can succeed later at all; wait for some seconds then,
    /// and longer each time. The crate's front page says when to repeat a call after the other errors.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused {
                retry_after_ms: millis @ 1..,
                ..
            } => Some(Duration::from_millis(*millis as u64)),
            _ => None,
        }
    }

    /// Whether it is final that the hub has not stored the message of a call that failed with this error: sending the same
    /// message again would fail as well. After any other error it may be stored, or be sent again.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::Invalid(_) => true,
            Self::Refused { code, retry_after_ms } => {
                *retry_after_ms == 0 && !code.is_transient() && !code.ends_session()
            }
            _ => false,
        }
    }
}
