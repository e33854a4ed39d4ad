//! What a hub session tells the hub, and how it refuses.

use tim_proto::ErrorCode;
use tim_proto::request::{Login, RawRequest};

use crate::Instant;

/// What a hub session wants next.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
#[allow(clippy::large_enum_variant)] // borrowed and short-lived, and there is no heap to put it on
pub enum HubOutput<'a> {
    /// Something for the hub. It is done with it when it polls again.
    Event(HubEvent<'a>),
    /// Close the connection, once what is outgoing has been sent. Said once; nothing follows. On a serial line only the
    /// session is over: [`HubSession::begin_again`](crate::HubSession::begin_again) waits for the next one.
    Close(CloseReason),
    /// Nothing until bytes come or go, a call is made, or this moment is reached.
    Wait(Option<Instant>),
}

/// Something for the hub.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum HubEvent<'a> {
    /// A client wants in; answer with [`HubSession::accept`](crate::HubSession::accept) or [`HubSession::refuse`](crate::HubSession::refuse).
    Login(Login<'a>),
    /// A request. Respond with [`HubSession::respond`](crate::HubSession::respond) or
    /// [`HubSession::fail`](crate::HubSession::fail) and this id, in any order.
    Request {
        /// The id of the request's frame.
        id: u32,
        /// The request, not decoded yet.
        request: RawRequest<'a>,
    },
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client logged out.
    LoggedOut,
    /// The hub's own wish ([`HubSession::goodbye`](crate::HubSession::goodbye), [`HubSession::refuse`](crate::HubSession::refuse)).
    Goodbye(ErrorCode),
    /// The client broke the protocol; the code says how.
    Violation(ErrorCode),
    /// Hello, login or a sign of life did not come in time.
    TimedOut,
    /// A serial line lost bytes; the client was told and will say hello again.
    LineLost,
    /// On a serial line, the client said hello again, so the session it had is over. Its hello waits for the next session.
    Superseded,
}

/// Why a response or push was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Too many bytes wait to be sent already; send some, then try again.
    #[error("the connection's outgoing bytes are at their ceiling")]
    Full,
    /// The client does not take frames of this size.
    #[error("a frame of {len} bytes, the client takes at most {max}")]
    TooLarge {
        /// How long the frame is.
        len: usize,
        /// The longest that the client takes.
        max: usize,
    },
    /// The connection is not, or no longer, logged in.
    #[error("nobody is logged in on this connection")]
    NotOnline,
}

/// Why a delivery was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The client has not acknowledged enough of the earlier ones.
    #[error("the client's window is used up")]
    Window,
    /// As for any other frame.
    #[error(transparent)]
    Send(#[from] SendError),
}
