//! The client's end: a session over any tokio byte stream, which is opened again whenever it is lost.
//!
//! [`ClientDriver`] moves bytes and tracks time. Its user alternates between two calls: [`ClientDriver::poll_events`], which
//! never waits, and [`ClientDriver::progress`], which waits until the session must be polled again. All pending work (a
//! connection that is being opened, half a frame) is kept in the driver, so `progress` can be dropped at any time, for
//! example by a `select!` against the application's commands.
//!
//! Each connection is a [`tracing`] span `connection` with the user, the device and the number of the connection. The driver
//! logs the events of the session, so its user need not. UserSigs and message contents are not logged.

use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use tim_session::proto::{ErrorCode, UserId};
use tim_session::{ClientConfig, ClientSession, Event, GrowBuffer, Instant, NetState, Output};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tracing::{Span, debug, info, info_span, warn};

use crate::connect::{Connecting, ConnectionEnd, Connector};

/// How many bytes are read at a time.
const READ_CHUNK: usize = 8 * 1024;

/// A client session with buffers on the heap.
pub type StdClientSession = ClientSession<String, GrowBuffer>;

/// The limits of a session's buffers, in bytes. Memory is allocated when it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientBuffers {
    /// Outgoing bytes. Default 256 KiB.
    pub outgoing: usize,
    /// Pending requests. Default 2 MiB.
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

/// tokio's time as a session counts it: microseconds since the clock was created. It follows tokio's paused time.
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

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Instant {
        let micros = self.start.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// An instant of the session on tokio's clock.
    #[must_use]
    pub fn deadline(&self, moment: Instant) -> tokio::time::Instant {
        self.start + moment.since(Instant::ZERO)
    }
}

/// A client session and its connection, which is opened again whenever it is lost.
pub struct ClientDriver<C: Connector> {
    session: StdClientSession,
    connector: C,
    connection: Connection<C::Link>,
    may_connect: bool,
    /// Whether what has answered on this connection is not a hub.
    is_unfit: bool,
    clock: Clock,
    /// When the session must be polled although nothing was received.
    wake: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    last_error: Option<io::Error>,
    /// The user and the device's number, for the span.
    device: (UserId, u64),
    /// The span of the current connection, and how many there have been.
    span: Span,
    connections: u64,
}

enum Connection<L> {
    Closed,
    /// The session has requested a connection; opening it has not begun.
    Requested,
    Opening(Connecting<L>),
    Open(L),
}

impl<C: Connector> std::fmt::Debug for ClientDriver<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the session, which holds the UserSig.
        f.debug_struct("ClientDriver")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl<C: Connector> ClientDriver<C> {
    /// A driver whose session is not logged in; call `login` on [`ClientDriver::session`]. `seed` is any random number.
    /// Must be called within a tokio runtime with time enabled.
    pub fn new(
        config: ClientConfig,
        user_sig: String,
        buffers: ClientBuffers,
        seed: u64,
        connector: C,
    ) -> Self {
        // Capacity for the next frames while the application handles one.
        let frame = config.framing.buffer_len(config.max_frame as usize);
        let rx = GrowBuffer::new(frame.saturating_mul(2));
        let (tx, outbox) = (GrowBuffer::new(buffers.outgoing), GrowBuffer::new(buffers.outbox));
        let clock = Clock::start();
        Self {
            device: (config.user, config.device),
            session: ClientSession::new(config, user_sig, rx, tx, outbox, seed),
            connector,
            connection: Connection::Closed,
            may_connect: true,
            is_unfit: false,
            clock,
            wake: None,
            timer: Box::pin(tokio::time::sleep_until(clock.start)),
            last_error: None,
            span: Span::none(),
            connections: 0,
        }
    }

    /// The session, for commands and statistics. Call [`ClientDriver::poll_events`] after a command.
    pub const fn session(&mut self) -> &mut StdClientSession {
        &mut self.session
    }

    /// The session's clock.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The current time, as the session counts it.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The span of the current connection; none before the first one.
    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// Whether there is a connection, or one is requested or being opened.
    pub const fn is_open(&self) -> bool {
        !matches!(self.connection, Connection::Closed)
    }

    /// Why the last connection failed or could not be opened; `None` once a connection is open again.
    pub const fn last_error(&self) -> Option<&io::Error> {
        self.last_error.as_ref()
    }

    /// Allows or forbids opening new connections, for an application that cannot take more deliveries for now.
    pub const fn allow_connecting(&mut self, allow: bool) {
        self.may_connect = allow;
    }

    /// Drops the connection. The session opens another one.
    pub fn drop_connection(&mut self) {
        if self.is_open() {
            self.lost(io::ErrorKind::ConnectionAborted.into());
        }
    }

    /// Passes all pending events to `on_event`, in the span of their connection. An event is finished when `on_event` returns.
    /// Stops early on a break.
    pub fn poll_events(&mut self, mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>) {
        loop {
            match self.session.poll(self.clock.now()) {
                Output::Event(event) => {
                    if let Event::NetState(NetState::Connecting) = event {
                        self.connections += 1;
                        let (user, device) = self.device;
                        self.span = info_span!("connection", %user, device, number = self.connections);
                    }
                    match event {
                        Event::LoggedIn(_) => self.connector.logged_in(),
                        Event::TurnedAway(failure) => self.is_unfit = is_no_hub(failure.code),
                        _ => {}
                    }
                    let flow = self.span.in_scope(|| {
                        log(&event);
                        on_event(event)
                    });
                    if flow.is_break() {
                        self.wake = Some(self.clock.now());
                        return;
                    }
                }
                Output::Connect => self.connection = Connection::Requested,
                Output::Disconnect => {
                    debug!(parent: &self.span, "closed");
                    self.end();
                }
                Output::Wait(until) => {
                    self.wake = until;
                    return;
                }
            }
        }
    }

    /// Waits until the session must be polled: bytes were sent or received, a connection was opened or lost, or a timer of the
    /// session is due. Call [`ClientDriver::poll_events`] then. Cancel-safe.
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

    /// Opens the requested connection; whether it was opened or failed.
    fn poll_open(&mut self, context: &mut Context<'_>) -> bool {
        if matches!(self.connection, Connection::Requested) && self.may_connect {
            self.connection = Connection::Opening(Box::pin(self.connector.connect()));
        }
        let Connection::Opening(connecting) = &mut self.connection else {
            return false;
        };
        match connecting.as_mut().poll(context) {
            Poll::Pending => return false,
            Poll::Ready(Ok(link)) => {
                self.connection = Connection::Open(link);
                self.last_error = None;
                debug!(parent: &self.span, "open");
                self.session.connected(self.clock.now());
            }
            Poll::Ready(Err(error)) => self.lost(error),
        }
        true
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> bool {
        let Connection::Open(link) = &mut self.connection else {
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
        // If flushing fails, so will the next read or write.
        let _ = Pin::new(link).poll_flush(context);
        moved
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> bool {
        let Connection::Open(link) = &mut self.connection else {
            return false;
        };
        let mut space = ReadBuf::new(self.session.space(READ_CHUNK));
        if space.capacity() == 0 {
            return false; // events must be polled first
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
        info!(parent: &self.span, %error, stats = ?self.session.stats(), "connection lost");
        self.last_error = Some(error);
        self.session.disconnected(self.clock.now());
        self.end();
    }

    /// There is no connection any more. The connector may know another hub, for which the session need not wait.
    fn end(&mut self) {
        let ended = std::mem::replace(&mut self.connection, Connection::Closed);
        let end = match std::mem::take(&mut self.is_unfit) {
            true => ConnectionEnd::Unfit,
            false => ConnectionEnd::Lost,
        };
        // After a logout the hub is as good as before.
        if matches!(ended, Connection::Open(_))
            && !self.session.is_idle()
            && let Some(wait) = self.connector.ended(end)
        {
            let now = self.clock.now();
            self.session.connect_within(now, wait);
        }
    }
}

/// Whether a peer with this error is no hub for this program.
fn is_no_hub(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NOT_A_HUB | ErrorCode::UNSUPPORTED_VERSION)
}

/// Logs what matters to whoever operates the client.
fn log(event: &Event<'_>) {
    match event {
        Event::NetState(state) => info!(?state, "connection state changed"),
        Event::LoggedIn(response) => debug!(account = response.account, "logged in"),
        Event::LoginFailed(failure) => warn!(code = failure.code.0, text = failure.text, "login refused"),
        Event::TurnedAway(failure) => info!(code = failure.code.0, text = failure.text, "try again later"),
        Event::KickedOut(failure) => warn!(
            code = failure.code.0,
            text = failure.text,
            "session ended by the hub"
        ),
        Event::NotReady(reason) => info!(?reason, "not ready"),
        Event::Gap(gap) => {
            info!(conversation = %gap.conversation, from = gap.from, to = gap.to, "messages lost")
        }
        Event::Malformed { kind } => warn!(%kind, "malformed push ignored"),
        _ => {}
    }
}
