//! The client's end: a session that keeps itself connected over any tokio byte stream.
//!
//! [`ClientDriver`] moves bytes and passes the time. Its user alternates between two calls:
//! [`ClientDriver::poll_events`], which never waits, and [`ClientDriver::progress`], which waits until there is something
//! to poll for. Whatever is under way (a connection being opened, half a frame) is kept in the driver, so `progress` can
//! be dropped at any time, say by a `select!` against the application's commands.

use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use tim_session::{ClientConfig, ClientSession, Event, GrowBuffer, Instant, Output};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::connect::{Connecting, Connector};

/// How much is read at a time.
const READ_CHUNK: usize = 8 * 1024;

/// A client session with memory on the heap.
pub type StdClientSession = ClientSession<String, GrowBuffer>;

/// The ceilings of a session's memory, in bytes. Nothing is taken before it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientBuffers {
    /// Bytes to be sent. Default 256 KiB.
    pub outgoing: usize,
    /// Requests that wait for an answer. Default 2 MiB.
    pub outbox: usize,
}

impl Default for ClientBuffers {
    fn default() -> Self {
        Self {
            outgoing: 256 * 1024,
            outbox: 2 * 1024 * 1024,
        }
    }
}

/// tokio's time as a session counts it: microseconds since the clock was made. It stands still with tokio's paused time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: tokio::time::Instant::now(),
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Instant {
        let micros = self.start.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// A session's moment on tokio's clock.
    #[must_use]
    pub fn deadline(&self, moment: Instant) -> tokio::time::Instant {
        self.start + moment.since(Instant::ZERO)
    }
}

/// A client session and the connection it speaks on, which is opened again whenever it is lost.
pub struct ClientDriver<C: Connector> {
    session: StdClientSession,
    connector: C,
    line: Line<C::Link>,
    may_connect: bool,
    clock: Clock,
    /// When the session wants to be polled although nothing came.
    wake: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    last_error: Option<io::Error>,
}

enum Line<L> {
    Closed,
    /// The session has asked for a connection, which has not been begun.
    Wanted,
    Opening(Connecting<L>),
    Open(L),
}

impl<C: Connector> std::fmt::Debug for ClientDriver<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the session: it holds the UserSig.
        f.debug_struct("ClientDriver")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl<C: Connector> ClientDriver<C> {
    /// A driver whose session is not logged in; call `login` on [`ClientDriver::session`]. `seed` is any random number.
    /// Must be called within a tokio runtime with its time enabled.
    pub fn new(
        config: ClientConfig,
        user_sig: String,
        buffers: ClientBuffers,
        seed: u64,
        connector: C,
    ) -> Self {
        // Room for the next frames while one is worked on.
        let frame = config.framing.buffer_len(config.max_frame as usize);
        let rx = GrowBuffer::new(frame.saturating_mul(2));
        let (tx, outbox) = (GrowBuffer::new(buffers.outgoing), GrowBuffer::new(buffers.outbox));
        let clock = Clock::start();
        Self {
            session: ClientSession::new(config, user_sig, rx, tx, outbox, seed),
            connector,
            line: Line::Closed,
            may_connect: true,
            clock,
            wake: None,
            timer: Box::pin(tokio::time::sleep_until(clock.start)),
            last_error: None,
        }
    }

    /// The session, to give it commands. Call [`ClientDriver::poll_events`] afterwards.
    pub const fn session(&mut self) -> &mut StdClientSession {
        &mut self.session
    }

    /// The clock that the session goes by.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The time now, as the session counts it.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Whether there is a connection, or one is wanted or being opened.
    pub const fn is_open(&self) -> bool {
        !matches!(self.line, Line::Closed)
    }

    /// Why the last connection failed or could not be opened, until one is opened again.
    pub const fn last_error(&self) -> Option<&io::Error> {
        self.last_error.as_ref()
    }

    /// Whether new connections may be opened; an application that cannot take more for now forbids it for a while.
    pub const fn allow_connecting(&mut self, allow: bool) {
        self.may_connect = allow;
    }

    /// Drops the connection; the session opens another one by itself.
    pub fn drop_connection(&mut self) {
        if self.is_open() {
            self.lost(io::ErrorKind::ConnectionAborted.into());
        }
    }

    /// Hands over the events there are, each being done with when `on_event` returns. Stops early when it breaks.
    pub fn poll_events(&mut self, mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>) {
        loop {
            match self.session.poll(self.clock.now()) {
                Output::Event(event) => {
                    if on_event(event).is_break() {
                        self.wake = Some(self.clock.now());
                        return;
                    }
                }
                Output::Connect => self.line = Line::Wanted,
                Output::Disconnect => self.line = Line::Closed,
                Output::Wait(until) => {
                    self.wake = until;
                    return;
                }
            }
        }
    }

    /// Waits until something came, went, was opened or lost, or until the session's time has come; then
    /// [`ClientDriver::poll_events`] is due. Dropping it loses nothing.
    pub async fn progress(&mut self) {
        std::future::poll_fn(|context| self.poll_progress(context)).await;
    }

    /// [`ClientDriver::progress`] as a poll function.
    pub fn poll_progress(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let moved = self.poll_open(context) | self.poll_send(context) | self.poll_receive(context);
        if moved || self.poll_timer(context).is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Opens the connection that is wanted; whether anything came of it.
    fn poll_open(&mut self, context: &mut Context<'_>) -> bool {
        if matches!(self.line, Line::Wanted) && self.may_connect {
            self.line = Line::Opening(Box::pin(self.connector.connect()));
        }
        let Line::Opening(connecting) = &mut self.line else {
            return false;
        };
        match connecting.as_mut().poll(context) {
            Poll::Pending => return false,
            Poll::Ready(Ok(link)) => {
                self.line = Line::Open(link);
                self.last_error = None;
                self.session.connected(self.clock.now());
            }
            Poll::Ready(Err(error)) => self.lost(error),
        }
        true
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> bool {
        let Line::Open(link) = &mut self.line else {
            return false;
        };
        let mut moved = false;
        while !self.session.outgoing().is_empty() {
            match Pin::new(&mut *link).poll_write(context, self.session.outgoing()) {
                Poll::Pending => return moved,
                Poll::Ready(Ok(0)) => {
                    self.lost(io::ErrorKind::WriteZero.into());
                    return true;
                }
                Poll::Ready(Ok(len)) => self.session.transmitted(len),
                Poll::Ready(Err(error)) => {
                    self.lost(error);
                    return true;
                }
            }
            moved = true;
        }
        // A stream that fails to flush fails to be read or written next.
        let _ = Pin::new(link).poll_flush(context);
        moved
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> bool {
        let Line::Open(link) = &mut self.line else {
            return false;
        };
        let mut space = ReadBuf::new(self.session.space(READ_CHUNK));
        if space.capacity() == 0 {
            return false; // the events in the way must be polled first
        }
        match Pin::new(link).poll_read(context, &mut space) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if space.filled().is_empty() => {
                self.lost(io::ErrorKind::UnexpectedEof.into())
            }
            Poll::Ready(Ok(())) => {
                let len = space.filled().len();
                self.session.received(self.clock.now(), len);
            }
            Poll::Ready(Err(error)) => self.lost(error),
        }
        true
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(wake) = self.wake else {
            return Poll::Pending;
        };
        let deadline = self.clock.deadline(wake);
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(context)
    }

    fn lost(&mut self, error: io::Error) {
        self.line = Line::Closed;
        self.last_error = Some(error);
        self.session.disconnected(self.clock.now());
    }
}
