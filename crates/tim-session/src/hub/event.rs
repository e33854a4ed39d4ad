//! Outputs and events of a hub session, and the errors of its calls.

use tim_proto::ErrorCode;
use tim_proto::request::{Login, RawRequest};

use crate::Instant;

/// The next step for the hub.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
#[allow(clippy::large_enum_variant)] // borrowed and short-lived, and there is no heap to put it on
pub enum HubOutput<'a> {
    /// An event for the hub, which has finished with it when it polls again.
    Event(HubEvent<'a>),
    /// Close the connection once all outgoing bytes are sent. Returned once; nothing follows. On a serial port only the session
    /// has ended: [`HubSession::begin_again`](crate::HubSession::begin_again) waits for the next one.
    Close(CloseReason),
    /// Nothing until bytes are received or sent, a call is made, or this instant is reached.
    Wait(Option<Instant>),
}

/// An event for the hub.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum HubEvent<'a> {
    /// A login. Respond with [`HubSession::accept`](crate::HubSession::accept) or
    /// [`HubSession::refuse`](crate::HubSession::refuse).
    Login(Login<'a>),
    /// A request. Respond with [`HubSession::respond`](crate::HubSession::respond) or
    /// [`HubSession::fail`](crate::HubSession::fail) and this id, in any order.
    Request {
        /// The id of the request's frame.
        id: u32,
        /// The request, not decoded yet.
        request: RawRequest<'a>,
    },
    /// The session has handled some frames by itself, such as PINGs, and more may wait. There is nothing to do: poll again, at
    /// once or after others have had their turn.
    More,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client logged out.
    LoggedOut,
    /// The hub called [`HubSession::goodbye`](crate::HubSession::goodbye) or [`HubSession::refuse`](crate::HubSession::refuse).
    Goodbye(ErrorCode),
    /// The client violated the protocol; the code says how.
    Violation(ErrorCode),
    /// The hello, the login or a PONG timed out.
    TimedOut,
    /// Packets were lost on a serial port; the client is notified and sends a new hello.
    LineLost,
    /// On a serial port, the client sent a new hello, which begins the next session.
    Superseded,
}

/// Why a response or push was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Too many outgoing bytes are queued; send some, then try again.
    #[error("too many outgoing bytes are queued")]
    Full,
    /// The client does not accept frames of this size.
    #[error("a frame of {len} bytes, the client accepts at most {max}")]
    TooLarge {
        /// The length of the frame.
        len: usize,
        /// The longest frame that the client accepts.
        max: usize,
    },
    /// No client is logged in on the connection.
    #[error("no client is logged in on this connection")]
    NotOnline,
}

/// Why a delivery was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The client has not acknowledged enough earlier deliveries.
    #[error("the client's window is used up")]
    Window,
    /// As for any other frame.
    #[error(transparent)]
    Send(#[from] SendError),
}
