//! A client for programs without a runtime: the same session over blocking sockets of `std`.
//!
//! A [`BlockingClient`] works on the thread that calls it. Each call drives the session until the call is done, and passes the events that
//! occur meanwhile to a closure. Between calls nothing happens. A program that waits for messages calls [`BlockingClient::run`]. One that
//! does something else for too long is disconnected by the hub, and resumes with its next call.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use std::time::Duration;
//! use tim_transport_std::blocking::{BlockingClient, TcpStreams};
//! use tim_transport_std::session::{ClientConfig, Event};
//! use tim_transport_std::session::proto::{UserId, message::Text};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (user_sig, seed) = (String::new(), 0);
//! let config = ClientConfig::new(1_400_000_000, UserId::new("alice")?, 0xC0FFEE);
//! // `seed`: a random number that differs from run to run.
//! let mut client = BlockingClient::new(config, user_sig, TcpStreams::new("127.0.0.1:7878"), seed);
//! client.login(Duration::from_secs(30), |_| {})?;
//!
//! let mut hello = client.create_message(UserId::new("bob")?, Text::new("Hello!"))?;
//! client.send_message(&mut hello, |_| {})?;
//!
//! // One text, within a minute.
//! let received = client.run(Duration::from_secs(60), |event| match event {
//!     Event::Delivered(delivery) => match delivery.header.payload::<Text>() {
//!         Some(text) => ControlFlow::Break(text.text.to_owned()),
//!         None => ControlFlow::Continue(()),
//!     },
//!     _ => ControlFlow::Continue(()),
//! });
//! println!("{received:?}");
//! client.logout(|_| {});
//! # Ok(())
//! # }
//! ```

mod streams;

pub use streams::{BlockingConnector, BlockingStream, TcpStreams};

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant as Moment};

use tim_session::proto::message::{Envelope, Message, PayloadBody, SendOptions};
use tim_session::proto::request::{Request, Send, SendResponse};
use tim_session::proto::{
    ClientSequence, ConversationId, ErrorCode, MAX_SUCCESSORS, MessageId, MessageRandom,
};
use tim_session::{ClientConfig, ClientSession, Event, GrowBuffer, Instant, Output, RequestError, Ticket};

use crate::client::{ClientBuffers, StdClientSession};

/// How many bytes are read at a time.
const READ_CHUNK: usize = 8 * 1024;
/// How long a write may wait before it is the turn of reading: the hub may itself wait until its bytes are read.
const TURN: Duration = Duration::from_millis(10);
/// The shortest time limit that is set on a socket.
const LEAST_WAIT: Duration = Duration::from_millis(1);
/// The longest wait of a read.
const MOST_WAIT: Duration = Duration::from_secs(3600);
/// For ever: no clock overflows by it.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Why a call failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum BlockingError {
    /// The request was not made.
    Request(RequestError),
    /// The hub refused the login or the request, or the session has ended; the code says why.
    Refused {
        /// The code.
        code: ErrorCode,
        /// The hub's words.
        text: String,
    },
    /// The time was up; with the reason why the last connection failed, if it did.
    TimedOut(Option<io::ErrorKind>),
    /// This message or conversation is not valid for this call; the code says why.
    Invalid(ErrorCode),
}

impl fmt::Display for BlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::Refused { code, text } if text.is_empty() => code.fmt(f),
            Self::Refused { code, text } => write!(f, "{code}: {text}"),
            Self::TimedOut(None) => f.write_str("the hub did not answer in time"),
            Self::TimedOut(Some(error)) => write!(f, "no connection to the hub in time: {error}"),
            Self::Invalid(code) => write!(f, "{code}: invalid for this call"),
        }
    }
}

impl std::error::Error for BlockingError {}

/// A client session over blocking streams.
pub struct BlockingClient<C: BlockingConnector> {
    session: StdClientSession,
    connector: C,
    stream: Option<C::Stream>,
    /// The limit that the stream has.
    limit: Option<Duration>,
    start: Moment,
    last_error: Option<io::Error>,
    /// When the hub last told its time, and that time in milliseconds since 1970.
    hub_time: (Moment, u64),
    device: u64,
    random: MessageRandom,
    sequence: Option<ClientSequence>,
}

impl<C: BlockingConnector> fmt::Debug for BlockingClient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the session, which holds the UserSig.
        f.debug_struct("BlockingClient")
            .field("is_open", &self.stream.is_some())
            .finish_non_exhaustive()
    }
}

impl<C: BlockingConnector> BlockingClient<C> {
    /// A client that is not logged in. `seed` is a random number that differs each time the program starts.
    pub fn new(config: ClientConfig, user_sig: impl Into<String>, connector: C, seed: u64) -> Self {
        let buffers = ClientBuffers::default();
        let frame = config.framing.buffer_len(config.max_frame as usize);
        let rx = GrowBuffer::new(frame.saturating_mul(2));
        let (tx, outbox) = (GrowBuffer::new(buffers.outgoing), GrowBuffer::new(buffers.outbox));
        let start = Moment::now();
        Self {
            device: config.device,
            session: ClientSession::new(config, user_sig.into(), rx, tx, outbox, seed),
            connector,
            stream: None,
            limit: None,
            start,
            last_error: None,
            hub_time: (start, 0),
            random: MessageRandom::new(seed),
            sequence: None,
        }
    }

    /// The session, for its cursor and statistics.
    pub const fn session(&mut self) -> &mut StdClientSession {
        &mut self.session
    }

    /// Why the last connection failed or could not be opened; `None` once one is open again.
    pub const fn last_error(&self) -> Option<&io::Error> {
        self.last_error.as_ref()
    }

    /// `login`: logs in and waits until requests are accepted. Returns the user's account number. After a time-out the device goes on
    /// logging in with the next call.
    ///
    /// # Errors
    /// [`BlockingError::Refused`], [`BlockingError::TimedOut`]
    pub fn login(
        &mut self,
        timeout: Duration,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<u64, BlockingError> {
        let now = self.now();
        self.session.login(now);
        if self.session.is_ready() {
            return Ok(self.session.account());
        }
        let done = self.run(timeout, |event| {
            on_event(event);
            match event {
                Event::Ready => ControlFlow::Break(Ok(())),
                Event::LoginFailed(failure) | Event::KickedOut(failure) => {
                    ControlFlow::Break(Err(refused(failure.code, failure.text)))
                }
                _ => ControlFlow::Continue(()),
            }
        });
        match done {
            Some(result) => result.map(|()| self.session.account()),
            None => Err(self.timed_out()),
        }
    }

    /// `logout`: logs out, if the hub can be told within the session's `request_timeout`, and closes the connection.
    pub fn logout(&mut self, mut on_event: impl FnMut(Event<'_>)) {
        let now = self.now();
        let limit = self.session.config().request_timeout;
        self.session.logout(now);
        let end = after(limit);
        loop {
            let polled = self.poll(&mut |event| {
                on_event(event);
                ControlFlow::<()>::Continue(())
            });
            let ControlFlow::Continue(wake) = polled else {
                break;
            };
            if self.session.is_idle() || Moment::now() >= end {
                break;
            }
            self.transfer(wake, end);
        }
        self.stream = None;
    }

    /// A message with any payload, such as a text. Its time is the hub's.
    ///
    /// # Errors
    /// [`BlockingError::Invalid`] for the system conversation, and before the first login.
    pub fn create_message<'a, P>(
        &mut self,
        to: impl Into<ConversationId>,
        payload: P,
    ) -> Result<Message<'a, P>, BlockingError> {
        let to = to.into();
        if !matches!(to, ConversationId::C2c(_) | ConversationId::Group(_)) {
            return Err(BlockingError::Invalid(
                ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE,
            ));
        }
        let sender = self.session.account();
        let Some(sequence) = self.sequence.as_mut().filter(|_| sender != 0) else {
            return Err(BlockingError::Invalid(ErrorCode::SDK_IS_NOT_READY));
        };
        let (at, millis) = self.hub_time;
        let passed = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let client_time = millis.saturating_add(passed) / 1000;
        let id = MessageId {
            sender,
            client_time,
            random: self.random.draw(),
        };
        let config = self.session.config();
        let envelope = Envelope::new(config.user)
            .with_time(client_time)
            .with_origin(config.device);
        Ok(Message::new(envelope, to, id, payload).with_client_sequence(u64::from(sequence.draw())))
    }

    /// `sendMessage`: the hub stores the message once, however often the connection is lost in between, and the message is durable when
    /// this returns. Its sequence and time are then set. After a failure, the same message can be sent again.
    ///
    /// # Errors
    /// [`BlockingError::Request`], [`BlockingError::Refused`], also with `NETWORK_TIMEOUT` after the session's `request_timeout`.
    pub fn send_message(
        &mut self,
        message: &mut Message<'_, impl PayloadBody>,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<SendResponse<'static>, BlockingError> {
        let mut successors = 0;
        loop {
            let now = self.now();
            let ticket = self.session.send(now, message, SendOptions::default());
            let ticket = ticket.map_err(BlockingError::Request)?;
            let stored = self.response::<Send<'_>, _>(&ticket, &mut on_event, |response| {
                SendResponse::new(response.sequence, response.time).with_duplicate(response.duplicate)
            });
            match stored {
                // Another message has this id.
                Err(BlockingError::Refused { code, .. })
                    if code == ErrorCode::MESSAGE_ID_REUSED && successors < MAX_SUCCESSORS =>
                {
                    successors += 1;
                    message.id = message.id.successor(message.envelope.origin);
                }
                Ok(response) => {
                    message.envelope.sequence = response.sequence;
                    message.envelope.time = response.time;
                    return Ok(response);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes any request, and passes its response, in place, to `read`.
    ///
    /// # Errors
    /// As [`BlockingClient::send_message`].
    pub fn request<R: Request, T>(
        &mut self,
        request: &R,
        mut on_event: impl FnMut(Event<'_>),
        read: impl FnMut(&R::Response<'_>) -> T,
    ) -> Result<T, BlockingError> {
        let now = self.now();
        let ticket = self
            .session
            .request(now, request)
            .map_err(BlockingError::Request)?;
        self.response::<R, T>(&ticket, &mut on_event, read)
    }

    fn response<R: Request, T>(
        &mut self,
        ticket: &Ticket<R>,
        on_event: &mut impl FnMut(Event<'_>),
        mut read: impl FnMut(&R::Response<'_>) -> T,
    ) -> Result<T, BlockingError> {
        // The session answers or gives up within its own limit; this one is for a clock that is stopped.
        let limit = self.session.config().request_timeout.saturating_mul(2);
        let result = self.run(limit, |event| match event {
            Event::Response { id, response } if id == ticket.id() => {
                let response = ticket.response(&response);
                let response = response.map_err(|failure| refused(failure.code, failure.text));
                ControlFlow::Break(response.map(|response| read(&response)))
            }
            Event::Failed { id, failure } if id == ticket.id() => {
                ControlFlow::Break(Err(refused(failure.code, failure.text)))
            }
            other => {
                on_event(other);
                ControlFlow::Continue(())
            }
        });
        result.unwrap_or_else(|| Err(self.timed_out()))
    }

    /// Drives the session for so long, or until `on_event` breaks. Returns what it breaks with.
    ///
    /// An event is finished when the session is driven on: only then is a delivery acknowledged.
    pub fn run<T>(
        &mut self,
        time: Duration,
        mut on_event: impl FnMut(Event<'_>) -> ControlFlow<T>,
    ) -> Option<T> {
        let end = after(time);
        loop {
            let broken = self.turn(end, &mut on_event);
            if broken.is_some() || Moment::now() >= end {
                return broken;
            }
        }
    }

    fn now(&self) -> Instant {
        let micros = self.start.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Passes on all events, then moves bytes once or waits, at most until `end`.
    fn turn<T>(&mut self, end: Moment, on_event: &mut impl FnMut(Event<'_>) -> ControlFlow<T>) -> Option<T> {
        match self.poll(on_event) {
            ControlFlow::Break(broken) => Some(broken),
            ControlFlow::Continue(wake) => {
                self.transfer(wake, end);
                None
            }
        }
    }

    /// Passes on all events. Returns when the session wants to be polled again.
    fn poll<T>(
        &mut self,
        on_event: &mut impl FnMut(Event<'_>) -> ControlFlow<T>,
    ) -> ControlFlow<T, Option<Instant>> {
        loop {
            let now = self.now();
            match self.session.poll(now) {
                Output::Event(event) => {
                    if let Event::LoggedIn(login) = event {
                        self.hub_time = (Moment::now(), login.time_ms);
                        self.random.logged_in(self.device, login.time_ms);
                        let sequence = ClientSequence::at(login.time_ms / 1000);
                        self.sequence.get_or_insert(sequence);
                    }
                    on_event(event)?;
                }
                Output::Connect => self.connect(),
                Output::Disconnect => self.stream = None,
                Output::Wait(until) => return ControlFlow::Continue(until),
            }
        }
    }

    fn connect(&mut self) {
        let limit = self.session.config().connect_timeout;
        match self.connector.open(limit) {
            Ok(stream) => {
                (self.stream, self.limit, self.last_error) = (Some(stream), None, None);
                let now = self.now();
                self.session.connected(now);
            }
            Err(error) => self.lost(error),
        }
    }

    fn lost(&mut self, error: io::Error) {
        (self.stream, self.last_error) = (None, Some(error));
        let now = self.now();
        self.session.disconnected(now);
    }

    /// Moves bytes once, or waits, until the session wants to be polled again; until `end` at the most.
    fn transfer(&mut self, wake: Option<Instant>, end: Moment) {
        let wake = wake.map_or(end, |wake| (self.start + wake.since(Instant::ZERO)).min(end));
        if let Err(error) = self.try_to_transfer(wake) {
            self.lost(error);
        }
    }

    /// Sends what can be sent, and receives what has arrived, or waits for that.
    fn try_to_transfer(&mut self, wake: Moment) -> io::Result<()> {
        let left = wake.saturating_duration_since(Moment::now());
        let Some(stream) = &mut self.stream else {
            thread::sleep(left.min(MOST_WAIT));
            return Ok(());
        };
        let mut set_limit = |stream: &mut C::Stream, wanted: Duration| {
            if self.limit.replace(wanted) == Some(wanted) {
                return Ok(());
            }
            stream.limit(wanted)
        };
        while !self.session.outgoing().is_empty() {
            set_limit(stream, TURN)?;
            match moved(stream.write(self.session.outgoing()))? {
                Some(0) => return Err(io::ErrorKind::WriteZero.into()),
                Some(len) => self.session.transmitted(len),
                None => break,
            }
        }
        let is_sent = self.session.outgoing().is_empty() && moved(stream.flush())?.is_some();
        let wait = if is_sent {
            left.clamp(LEAST_WAIT, MOST_WAIT)
        } else {
            TURN
        };
        set_limit(stream, wait)?;
        let space = self.session.space(READ_CHUNK);
        if space.is_empty() {
            return Ok(()); // events must be polled first
        }
        match moved(stream.read(space))? {
            Some(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(len) => {
                let now = self.now();
                self.session.received(now, len);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn timed_out(&self) -> BlockingError {
        BlockingError::TimedOut(self.last_error.as_ref().map(io::Error::kind))
    }
}

/// The end of a time that begins now, which may be [`Duration::MAX`].
fn after(time: Duration) -> Moment {
    Moment::now() + time.min(FOR_EVER)
}

/// `None` if it would have to wait longer.
fn moved<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

fn refused(code: ErrorCode, text: &str) -> BlockingError {
    let text = text.to_owned();
    BlockingError::Refused { code, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_has_an_end_that_nobody_sees() {
        assert!(after(Duration::MAX) > Moment::now() + 10_000 * MOST_WAIT);
        assert!(after(Duration::ZERO) <= Moment::now());
    }
}
