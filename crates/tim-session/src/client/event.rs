//! What a client session tells its application, and how it refuses.

use tim_proto::ErrorCode;
use tim_proto::request::{ConversationChange, Delivery, Expiring, Failure, Gap, LoginResponse, RawResponse};
use tim_proto::wire::FrameKind;

use super::RequestId;
use crate::Instant;

/// What a session wants next.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
#[allow(clippy::large_enum_variant)] // borrowed and short-lived, and there is no heap to put it on
pub enum Output<'a> {
    /// Something for the application. It is done with it when it polls again.
    Event(Event<'a>),
    /// Open a connection, then call `connected` or `disconnected`.
    Connect,
    /// Close the connection (or stop opening it); no call is due.
    Disconnect,
    /// Nothing until bytes come or go, a command is given, or this moment is reached.
    Wait(Option<Instant>),
}

/// Something for the application.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The line (`NET_STATE_CHANGE`).
    NetState(NetState),
    /// The hub knows the user, on this connection. Comes with every connection.
    LoggedIn(LoginResponse<'a>),
    /// The hub refused the login for good (see [`ErrorCode::ends_session`]), or this device is not fit to log in; the session
    /// has stopped.
    LoginFailed(Failure<'a>),
    /// There is no getting in now, or the hub ended the connection, and it said why; or what answers is no hub. The session
    /// tries again by itself, not before the time that the hub named.
    TurnedAway(Failure<'a>),
    /// SDK_READY (S84): requests are taken from now on.
    Ready,
    /// SDK_NOT_READY (S85): requests are no longer taken.
    NotReady(NotReadyReason),
    /// KICKED_OUT: the hub ended the session, and it has stopped.
    KickedOut(Failure<'a>),
    /// An entry of a conversation, once and in order: a message, a tip, a notice, a revocation.
    Delivered(Delivery<'a>),
    /// Entries of a conversation are gone that this device never saw, or all of them may be ([`Gap::RESTORED`]).
    Gap(Gap),
    /// The user read or deleted a conversation, on whichever device.
    ConversationChanged(ConversationChange),
    /// The UserSig ends soon, and with it the session: make a [`Renew`](tim_proto::request::Renew) request with a new one, and
    /// set it for later logins.
    Expiring(Expiring),
    /// The response to a request. Its [`Ticket`](crate::Ticket) decodes it.
    Response {
        /// The request.
        id: RequestId,
        /// The response.
        response: RawResponse<'a>,
    },
    /// A request failed: the hub refused it, it timed out, or the session ended.
    Failed {
        /// The request.
        id: RequestId,
        /// The reason.
        failure: Failure<'a>,
    },
    /// The hub sent something malformed; it was passed over.
    Malformed {
        /// The kind of frame it was in.
        kind: FrameKind,
    },
}

/// The state of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetState {
    /// A connection is being opened.
    Connecting,
    /// Logged in.
    Connected,
    /// The connection is lost.
    Disconnected,
}

/// Why a session is not ready any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotReadyReason {
    /// On purpose.
    LoggedOut,
    /// The line was down for longer than the resume window; the session goes on trying.
    ConnectionLost,
    /// The hub ended it.
    KickedOut,
    /// The hub refused to let the device in again.
    Refused,
}

/// Why a request was not taken. Nothing left the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Before SDK_READY or after SDK_NOT_READY (S83).
    #[error("the session is not ready; wait for SDK_READY")]
    NotReady,
    /// The outbox is full of requests that wait for their answers.
    #[error("too many requests wait for an answer; wait for one")]
    Full,
    /// The request can never be sent.
    #[error("the request takes {len} bytes, at most {max} can be sent")]
    TooLarge {
        /// How long it is.
        len: usize,
        /// The longest one possible.
        max: usize,
    },
}

impl RequestError {
    /// The code that `IMError` shows for it.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotReady => ErrorCode::SDK_IS_NOT_READY,
            Self::Full => ErrorCode::OUTBOX_FULL,
            Self::TooLarge { .. } => ErrorCode::FRAME_TOO_LARGE,
        }
    }
}

/// An event that stands for itself, without received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LocalEvent {
    NetState(NetState),
    Ready,
    NotReady(NotReadyReason),
    LoginFailed(ErrorCode),
    TurnedAway(ErrorCode),
    Failed(RequestId, ErrorCode),
}

impl From<LocalEvent> for Event<'_> {
    fn from(local: LocalEvent) -> Self {
        match local {
            LocalEvent::NetState(state) => Self::NetState(state),
            LocalEvent::Ready => Self::Ready,
            LocalEvent::NotReady(reason) => Self::NotReady(reason),
            LocalEvent::LoginFailed(code) => Self::LoginFailed(Failure::new(code, "")),
            LocalEvent::TurnedAway(code) => Self::TurnedAway(Failure::new(code, "")),
            LocalEvent::Failed(id, code) => Self::Failed {
                id,
                failure: Failure::new(code, ""),
            },
        }
    }
}
