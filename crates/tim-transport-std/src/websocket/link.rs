//! A byte stream in binary messages.
//!
//! Between two polls everything is in the link, so that a dropped future loses nothing: a message that was read in part stays in `unread`,
//! and bytes count as written only when `start_send` has taken them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_core::Stream as _;
use futures_sink::Sink as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// The size of the buffers, and of the messages that are sent.
const BUFFER: usize = 4 * 1024;
/// The most that waits to be sent: a message and a full buffer before it, with their headers, and responses to PINGs.
const MAX_UNSENT: usize = 4 * BUFFER;
/// The largest message that is received; the largest frame of tim fits.
const MAX_MESSAGE: usize = 64 * 1024;
/// How many messages without bytes are handled before others have their turn.
const MAX_IDLE_MESSAGES: u32 = 64;
/// How many bytes are taken from the stream before others have their turn, of whatever frames: fragments without bytes make no message.
const MAX_AT_ONCE: usize = 4 * BUFFER;

/// One end of a WebSocket connection, as a byte stream.
///
/// It answers PINGs and the closing of the connection by itself, while it is read from. Shutting it down closes the connection; what the
/// other end had sent before it learnt of that can still be read.
#[derive(Debug)]
pub struct WebSocketLink<S> {
    socket: WebSocketStream<Metered<S>>,
    /// What was received and not read yet.
    unread: Bytes,
    /// Nothing more is received.
    is_ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketLink<S> {
    /// The client's end, behind the handshake; `early` are bytes that arrived with it.
    pub(super) async fn of_client(stream: S, early: Vec<u8>) -> Self {
        Self::new(stream, early, Role::Client).await
    }

    /// The hub's end.
    pub(super) async fn of_hub(stream: S, early: Vec<u8>) -> Self {
        Self::new(stream, early, Role::Server).await
    }

    async fn new(stream: S, early: Vec<u8>, role: Role) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_write_buffer_size(MAX_UNSENT)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        Self {
            socket: WebSocketStream::from_partially_read(Metered::new(stream), early, role, Some(config))
                .await,
            unread: Bytes::new(),
            is_ended: false,
        }
    }

    /// The stream that carries the messages.
    pub fn get_ref(&self) -> &S {
        &self.socket.get_ref().stream
    }

    /// The stream that carries the messages, as it is: without a close, and without what was received and not read.
    pub fn into_inner(self) -> S {
        self.socket.into_inner().stream
    }

    /// Receives until there are bytes to read, or the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.get_mut().left = MAX_AT_ONCE;
        for _ in 0..MAX_IDLE_MESSAGES {
            if !self.unread.is_empty() || self.is_ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Text(_))) => {
                    self.give_up(context, CloseCode::Unsupported, "only binary messages");
                    return Poll::Ready(Err(invalid("a text message arrived; tim uses binary ones")));
                }
                // A connection that is cut ends as one over TCP does: whether something is missing is the session's to know.
                Some(
                    Ok(Message::Close(_)) | Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)),
                )
                | None => {
                    self.is_ended = true;
                    // Sends the response, if there is room for it. The other end expects nothing more.
                    let _ = Pin::new(&mut self.socket).poll_flush(context);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => {
                    let (code, reason) = fault(&error);
                    self.give_up(context, code, reason);
                    return Poll::Ready(Err(io_error(error)));
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Tells the other end why, if that can be done at once, and receives nothing more.
    fn give_up(&mut self, context: &mut Context<'_>, code: CloseCode, reason: &'static str) {
        self.is_ended = true;
        let reason = reason.into();
        let close = Message::Close(Some(CloseFrame { code, reason }));
        if Pin::new(&mut self.socket).start_send(close).is_ok() {
            let _ = Pin::new(&mut self.socket).poll_flush(context);
        }
    }
}

/// How the other end is told of an error.
fn fault(error: &Error) -> (CloseCode, &'static str) {
    match error {
        Error::Capacity(_) => (CloseCode::Size, "a message has at most 64 KiB"),
        Error::Utf8(_) => (CloseCode::Invalid, ""),
        _ => (CloseCode::Protocol, ""),
    }
}

fn invalid(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(ProtocolError::SendAfterClosing) => {
            io::ErrorKind::BrokenPipe.into()
        }
        other => invalid(format_args!(
            "the other end broke the WebSocket protocol: {other}"
        )),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketLink<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_fill(context))?;
        let len = buffer.remaining().min(self.unread.len());
        buffer.put_slice(self.unread.get(..len).unwrap_or_default());
        self.unread.advance(len);
        if self.unread.is_empty() {
            self.unread = Bytes::new(); // releases the message
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketLink<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let len = bytes.len().min(BUFFER);
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(io_error)?;
        let bytes = Bytes::copy_from_slice(bytes.get(..len).unwrap_or_default());
        loop {
            match Pin::new(&mut self.socket).start_send(Message::Binary(bytes.clone())) {
                Ok(()) => return Poll::Ready(Ok(len)),
                // Responses to PINGs wait before it.
                Err(Error::WriteBufferFull(_)) => {
                    ready!(Pin::new(&mut self.socket).poll_flush(context)).map_err(io_error)?;
                    ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(io_error)?;
                }
                Err(error) => return Poll::Ready(Err(io_error(error))),
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context).map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_close(context)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(io_error(error))),
        }
    }
}

/// A stream of which only so many bytes are read before others have their turn.
#[derive(Debug)]
struct Metered<S> {
    stream: S,
    left: usize,
}

impl<S> Metered<S> {
    const fn new(stream: S) -> Self {
        let left = MAX_AT_ONCE;
        Self { stream, left }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        self.left = self.left.saturating_sub(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
