//! Outputs and events of a client session, and the errors of its commands.

use tim_proto::ErrorCode;
use tim_proto::request::{ConversationChange, Delivery, Expiring, Failure, Gap, LoginResponse, RawResponse};
use tim_proto::wire::FrameKind;

use super::RequestId;
use crate::Instant;

/// The next step for the driver.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
#[allow(clippy::large_enum_variant)] // borrowed and short-lived, and there is no heap to put it on
pub enum Output<'a> {
    /// An event for the application, which has finished with it when it polls again.
    Event(Event<'a>),
    /// Open a connection, then call `connected` or `disconnected`.
    Connect,
    /// Close the connection, or stop opening it; do not report this back.
    Disconnect,
    /// Nothing until bytes are received or sent, a command is given, or this instant is reached.
    Wait(Option<Instant>),
}

/// An event for the application.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The connection state changed (`NET_STATE_CHANGE`).
    NetState(NetState),
    /// The hub accepted the login on this connection. Occurs once per connection.
    LoggedIn(LoginResponse<'a>),
    /// The hub refused the login for good (see [`ErrorCode::ends_session`]), or this device cannot log in. The session has
    /// stopped.
    LoginFailed(Failure<'a>),
    /// The hub refused the login or closed the connection for now, or the peer is not a hub that this device can log in to. The session
    /// tries again by itself, not before the time that the hub named ([`Failure::retry_after`]), which counts for ten minutes at most.
    TurnedAway(Failure<'a>),
    /// SDK_READY: requests are accepted from now on.
    Ready,
    /// SDK_NOT_READY: requests are no longer accepted.
    NotReady(NotReadyReason),
    /// KICKED_OUT: the hub ended the session, which has stopped.
    KickedOut(Failure<'a>),
    /// An entry of a conversation: a message, a tip, a notice or a revocation. Each entry is delivered once, in order.
    Delivered(Delivery<'a>),
    /// Entries of a conversation are gone that this device never received, or the hub's store was restored ([`Gap::RESTORED`]).
    Gap(Gap),
    /// The user read or deleted a conversation on one of their devices.
    ConversationChanged(ConversationChange),
    /// The UserSig expires soon, and the session with it. Make a [`Renew`](tim_proto::request::Renew) request with a new one,
    /// and set it for later logins.
    Expiring(Expiring),
    /// The response to a request. Its [`Ticket`](crate::Ticket) decodes it.
    Response {
        /// The request.
        id: RequestId,
        /// The response.
        response: RawResponse<'a>,
    },
    /// A request failed: the hub refused it, it timed out, or the session ended. A request that was sent on an earlier connection too
    /// and that the hub refuses for the moment (the refusal says when to try again) fails with [`ErrorCode::OUTCOME_UNKNOWN`]: the first
    /// one may have arrived.
    Failed {
        /// The request.
        id: RequestId,
        /// The reason.
        failure: Failure<'a>,
    },
    /// The response to a request that had failed before, because its deadline had passed: the hub has done now what was asked for,
    /// and what the application knows may be older.
    Late {
        /// The kind of the request.
        kind: FrameKind,
    },
    /// A push of the hub could not be decoded. It was skipped, and counted in
    /// [`SessionStats::malformed_frames`](crate::SessionStats::malformed_frames).
    Malformed {
        /// The kind of the frame.
        kind: FrameKind,
    },
}

/// The state of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetState {
    /// A connection is being opened.
    Connecting,
    /// Logged in.
    Connected,
    /// The connection is lost.
    Disconnected,
}

/// Why a session is no longer ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotReadyReason {
    /// The application called `logout`.
    LoggedOut,
    /// The connection was lost for longer than the resume window. The session goes on trying.
    ConnectionLost,
    /// The hub ended the session.
    KickedOut,
    /// The hub refused a repeated login.
    Refused,
}

/// Why a request was not accepted. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The session is not ready: before SDK_READY or after SDK_NOT_READY.
    #[error("the session is not ready; wait for SDK_READY")]
    NotReady,
    /// The outbox is full of pending requests.
    #[error("too many pending requests; wait for one")]
    Full,
    /// The request can never be sent.
    #[error("the request takes {len} bytes, at most {max} can be sent")]
    TooLarge {
        /// The length of the request's frame.
        len: usize,
        /// The longest frame that can be sent.
        max: usize,
    },
}

impl RequestError {
    /// The code that `IMError` shows.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotReady => ErrorCode::SDK_IS_NOT_READY,
            Self::Full => ErrorCode::OUTBOX_FULL,
            Self::TooLarge { .. } => ErrorCode::FRAME_TOO_LARGE,
        }
    }
}

/// An event without received bytes that can be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LocalEvent {
    NetState(NetState),
    Ready,
    NotReady(NotReadyReason),
    LoginFailed(ErrorCode),
    TurnedAway(ErrorCode),
}

impl From<LocalEvent> for Event<'_> {
    fn from(local: LocalEvent) -> Self {
        match local {
            LocalEvent::NetState(state) => Self::NetState(state),
            LocalEvent::Ready => Self::Ready,
            LocalEvent::NotReady(reason) => Self::NotReady(reason),
            LocalEvent::LoginFailed(code) => Self::LoginFailed(Failure::new(code, "")),
            LocalEvent::TurnedAway(code) => Self::TurnedAway(Failure::new(code, "")),
        }
    }
}
