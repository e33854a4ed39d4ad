//! A device without futures: a session that a main loop polls, over any `embedded-io` port.

use core::fmt;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_io::{Read, ReadReady, Write};
use tim_session::proto::message::{PayloadBody, SendOptions, Text};
use tim_session::proto::request::{RawResponse, Request, SendMessage, SendResponse};
use tim_session::proto::wire::{Encode, FrameKind};
use tim_session::proto::{ConversationId, Message, MessageId};
use tim_session::{
    ClientConfig, ClientSession, Event, FixedBuffer, Framing, FramingChoice, Instant, Output, RequestError,
    RequestId, SessionStats,
};

use crate::caller::{Attempts, Caller, stored};
use crate::ids::Ids;
use crate::outbox::{is_done, read_record, record_in};
use crate::shared::{Login, MAX_TURNS, Session, failure};
use crate::{Error, MAX_ERRORS, OutboxStorage, Resources, SerialPort, UserSig};

/// The connection of a device that is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is lost")]
pub struct ConnectionLost;

/// A byte stream that can be opened, used in both directions, and closed, without futures. None of the functions waits for the other
/// end, or else the device stands still meanwhile. [`SerialPort`] is one over an `embedded-io` port.
pub trait PolledTransport {
    /// Opens the connection: `Poll::Pending` while that is under way, which each poll of the device asks, then whether it is open.
    /// The session limits the time.
    fn connect(&mut self) -> Poll<bool>;

    /// Closes the connection, or gives up opening it.
    fn disconnect(&mut self);

    /// Reads what has arrived into `buffer`, which is not empty. Returns how many bytes; 0 if none have arrived.
    ///
    /// # Errors
    /// [`ConnectionLost`].
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ConnectionLost>;

    /// Writes the first of these bytes, of which there is at least one. Returns how many; 0 if there is no room.
    ///
    /// # Errors
    /// [`ConnectionLost`]. What has arrived is read first, as the hub may have said why it ended the session.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ConnectionLost>;

    /// Sends what is in a buffer of the transport's own. Called when all that is to be sent for now is written.
    ///
    /// # Errors
    /// [`ConnectionLost`], as in [`PolledTransport::write`].
    fn flush(&mut self) -> Result<(), ConnectionLost> {
        Ok(())
    }
}

/// An `embedded-io` port, always connected. A write waits until the port has room for a byte, and a flush until all bytes are sent.
/// With hardware flow control both wait for the other end: use a port whose writes end in an error after some time, or implement
/// [`PolledTransport`] for it.
///
/// Receive errors are noise, unless a single read meets [`MAX_ERRORS`] of them.
impl<R: Read + ReadReady, W: Write> PolledTransport for SerialPort<R, W> {
    fn connect(&mut self) -> Poll<bool> {
        Poll::Ready(true)
    }

    fn disconnect(&mut self) {}

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ConnectionLost> {
        for _ in 0..MAX_ERRORS {
            match self.reader.read_ready() {
                Ok(false) => return Ok(0),
                Ok(true) => match self.reader.read(buffer) {
                    Ok(0) => return Err(ConnectionLost),
                    Ok(len) => return Ok(len),
                    Err(_) => {}
                },
                Err(_) => {}
            }
        }
        Err(ConnectionLost)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ConnectionLost> {
        match self.writer.write(bytes) {
            Ok(len) if len > 0 => Ok(len),
            _ => Err(ConnectionLost),
        }
    }

    fn flush(&mut self) -> Result<(), ConnectionLost> {
        self.writer.flush().map_err(|_| ConnectionLost)
    }
}

/// The clock of a device that is polled, and how it waits.
pub trait PolledClock {
    /// The current time, relative to any fixed instant: a counter since the start, not the time of day, which may be set. It must not go
    /// back; if it does, no time has passed for the session, and the next poll says anew when to wake up.
    fn now(&mut self) -> Instant;

    /// Waits until something may have happened: a byte has arrived, a transport that was full has room again, a connection that was
    /// being opened is open or has failed, or this moment has come. A processor sleeps here until the next interrupt; to return at
    /// once is correct as well, and right for a transport that causes no interrupt. Only the calls that wait use it
    /// ([`PolledDevice::call`]).
    fn idle(&mut self, until: Option<Instant>) {
        let _ = until;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Closed,
    Opening,
    Open,
}

/// A user's device, for a firmware without an executor: [`PolledDevice::poll`] does what can be done without waiting. The session
/// behind it is that of [`Device`](crate::Device).
///
/// Calls are made in one of two ways. [`PolledDevice::request`] returns a handle at once, and `poll` the response as an event.
/// [`PolledDevice::call`] and the calls made of it, such as [`PolledDevice::send_message`], wait for the response and pass the
/// events of that time on.
///
/// The crate's front page has an example.
pub struct PolledDevice<'m, T, C, F = Framing> {
    session: Session<'m, F>,
    ids: Ids,
    transport: T,
    clock: C,
    connection: Connection,
    wakeup: Option<Instant>,
    /// Whether the transport may have written bytes in a buffer of its own.
    is_unflushed: bool,
    login: Login,
    /// A login begins when the logout is complete.
    logs_in_again: bool,
}

impl<T, C, F> fmt::Debug for PolledDevice<'_, T, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolledDevice")
            .field("user", &self.ids.user)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl<'m, T: PolledTransport, C: PolledClock> PolledDevice<'m, T, C> {
    /// A device that is not logged in. The arguments are those of [`Device::new`](crate::Device::new) and the transport.
    pub fn new<const RX: usize, const TX: usize, const OUTBOX: usize>(
        config: ClientConfig,
        user_sig: impl Into<UserSig<'m>>,
        resources: &'m mut Resources<RX, TX, OUTBOX>,
        seed: u64,
        transport: T,
        clock: C,
    ) -> Self {
        let framing = config.framing;
        Self::with_framing(framing, config, user_sig, resources, seed, transport, clock)
    }
}

impl<'m, T: PolledTransport, C: PolledClock, F: FramingChoice> PolledDevice<'m, T, C, F> {
    /// As [`PolledDevice::new`], with a framing that is chosen when the program is compiled: [`OnlyStream`](crate::OnlyStream) or
    /// [`OnlySerial`](crate::OnlySerial). It replaces that of the configuration, and saves the flash of the other one.
    pub fn with_framing<const RX: usize, const TX: usize, const OUTBOX: usize>(
        framing: F,
        config: ClientConfig,
        user_sig: impl Into<UserSig<'m>>,
        resources: &'m mut Resources<RX, TX, OUTBOX>,
        seed: u64,
        transport: T,
        clock: C,
    ) -> Self {
        let [rx, tx, outbox] = resources.buffers().map(FixedBuffer);
        Self {
            ids: Ids::new(config.user, config.device, seed),
            session: ClientSession::with_framing(framing, config, user_sig.into(), rx, tx, outbox, seed),
            transport,
            clock,
            connection: Connection::Closed,
            is_unflushed: false,
            wakeup: None,
            login: Login::Never,
            logs_in_again: false,
        }
    }

    /// The session: resuming after a reset, the number of pending requests, holding acknowledgements, replacing the UserSig.
    pub const fn session(&mut self) -> &mut ClientSession<UserSig<'m>, FixedBuffer<'m>, F> {
        &mut self.session
    }

    /// Starts to log in; [`PolledDevice::poll`] goes on. The device then stays logged in, over any number of connections.
    ///
    /// While a logout is in progress, the login begins when that is complete.
    pub fn login(&mut self) {
        if self.login == Login::LoggingOut && !self.session.is_idle() {
            self.logs_in_again = true;
            return;
        }
        if self.login != Login::Done {
            self.login = Login::InProgress;
        }
        self.session.login(self.clock.now());
    }

    /// Logs out. Pending calls fail; [`PolledDevice::poll`] goes on, until [`Event::NotReady`].
    pub fn logout(&mut self) {
        self.logs_in_again = false;
        if matches!(self.login, Login::InProgress | Login::Done) {
            self.login = Login::LoggingOut;
        }
        self.session.logout(self.clock.now());
    }

    /// Whether requests are accepted.
    pub const fn is_ready(&self) -> bool {
        self.session.is_ready() && !matches!(self.login, Login::LoggingOut)
    }

    /// When [`PolledDevice::poll`] must be called again even if nothing happens, as of the last poll that returned `None`: poll after each
    /// call before you sleep. `None`: not before a byte arrives, a transport that
    /// was full has room, a connection is open, or a call is made.
    pub const fn next_wakeup(&self) -> Option<Instant> {
        self.wakeup
    }

    /// The device's position in its deliveries, as [`Events::cursor`](crate::Events::cursor): save it after each event.
    pub fn cursor(&self) -> &[u8] {
        self.session.cursor()
    }

    /// What the session has counted.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        self.session.stats()
    }

    /// Moves the bytes that can be moved and returns the next event, or `None` if there is nothing more to do for now. Call it when a
    /// byte has arrived, when there is room to write, when the connection has been opened, and at [`PolledDevice::next_wakeup`], until
    /// it returns `None`. The application has finished with an event when it calls this again.
    pub fn poll(&mut self) -> Option<Event<'_>> {
        if self.advance() {
            self.session.event()
        } else {
            None
        }
    }

    /// Whether the session has an event.
    fn advance(&mut self) -> bool {
        for _ in 0..MAX_TURNS {
            let now = self.clock.now();
            if self.logs_in_again && self.session.is_idle() {
                self.logs_in_again = false;
                self.login = Login::InProgress;
                self.session.login(now);
            }
            match self.session.poll(now) {
                Output::Event(event) => {
                    match event {
                        Event::LoggedIn(answer) => {
                            self.ids.logged_in(&answer, now);
                            self.login = Login::Done;
                        }
                        Event::LoginFailed(failure) | Event::KickedOut(failure) => {
                            self.login = Login::Ended(failure.code);
                        }
                        _ => {}
                    }
                    return true;
                }
                Output::Connect => self.connection = Connection::Opening,
                Output::Disconnect => {
                    self.transport.disconnect();
                    (self.connection, self.is_unflushed) = (Connection::Closed, false);
                }
                Output::Wait(until) => {
                    self.wakeup = until;
                    if !self.exchange(now) {
                        return false;
                    }
                }
            }
        }
        // A peer that keeps on sending what is no event must not keep the program.
        self.wakeup = Some(self.clock.now());
        false
    }

    /// Opens the connection, or reads and writes. Returns whether anything has changed.
    fn exchange(&mut self, now: Instant) -> bool {
        match self.connection {
            Connection::Closed => return false,
            Connection::Opening => match self.transport.connect() {
                Poll::Pending => return false,
                Poll::Ready(true) => {
                    self.connection = Connection::Open;
                    self.session.connected(now);
                }
                Poll::Ready(false) => self.lose(now),
            },
            Connection::Open => match self.move_bytes(now) {
                Ok(has_moved) => return has_moved,
                Err(ConnectionLost) => self.lose(now),
            },
        }
        true
    }

    /// Reads, then writes. A write that fails ends the connection when there is nothing left to read: a GOODBYE may be there.
    fn move_bytes(&mut self, now: Instant) -> Result<bool, ConnectionLost> {
        let mut received = 0;
        let space = self.session.space(1);
        if !space.is_empty() {
            received = self.transport.read(space)?;
            self.session.received(now, received);
        }
        match self.send() {
            Err(ConnectionLost) if received == 0 => Err(ConnectionLost),
            sent => Ok(received > 0 || sent == Ok(true)),
        }
    }

    /// Whether anything was sent.
    fn send(&mut self) -> Result<bool, ConnectionLost> {
        let mut sent = 0;
        if !self.session.outgoing().is_empty() {
            sent = self.transport.write(self.session.outgoing())?;
            self.session.transmitted(sent);
            self.is_unflushed |= sent > 0;
        }
        // One that has failed is tried again, even if nothing else is to be sent: that ends the connection.
        if self.is_unflushed && self.session.outgoing().is_empty() {
            self.transport.flush()?;
            self.is_unflushed = false;
        }
        Ok(sent > 0)
    }

    fn lose(&mut self, now: Instant) {
        self.transport.disconnect();
        (self.connection, self.is_unflushed) = (Connection::Closed, false);
        self.session.disconnected(now);
    }

    /// Makes a request. [`PolledDevice::poll`] sends it and returns its [`Event::Response`] or [`Event::Failed`], by the returned id.
    ///
    /// # Errors
    /// [`Error::NotReady`], [`Error::TooLarge`], or [`Error::Busy`] while the outbox is full.
    pub fn request<R: Request>(&mut self, request: &R) -> Result<RequestId, Error> {
        self.request_untyped(R::KIND, request)
    }

    fn request_untyped(&mut self, kind: FrameKind, body: &dyn Encode) -> Result<RequestId, Error> {
        let requested = self.session.request_untyped(self.clock.now(), kind, body);
        requested.map_err(|error| match error {
            RequestError::NotReady => self.refusal(),
            RequestError::TooLarge { len, max } => Error::TooLarge { len, max },
            _ => Error::Busy,
        })
    }

    /// Waits until requests are accepted, and passes the events of that time to `on_event`.
    ///
    /// # Errors
    /// [`Error::NotReady`] if the session is not logging in, or has ended: the code says why.
    pub fn wait_until_ready(&mut self, mut on_event: impl FnMut(Event<'_>)) -> Result<(), Error> {
        while !self.is_ready() {
            if self.session.is_idle() && !self.logs_in_again {
                return Err(self.refusal());
            }
            self.step(&mut on_event);
        }
        Ok(())
    }

    /// Passes on an event, or waits for one.
    fn step(&mut self, on_event: &mut dyn FnMut(Event<'_>)) {
        if self.advance() {
            if let Some(event) = self.session.event() {
                on_event(event);
            }
        } else {
            self.clock.idle(self.wakeup);
        }
    }

    /// Makes a request, waits for its response, which is passed in place to `read`, and passes the events of that time to `on_event`.
    ///
    /// # Errors
    /// As [`Client::send_message`](crate::Client::send_message).
    pub fn call<R: Request, V>(
        &mut self,
        request: &R,
        read: impl FnOnce(&R::Response<'_>) -> V,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<V, Error> {
        self.wait_for_response(R::KIND, request, &mut on_event)?;
        match self.response()?.decode::<R>() {
            Ok(response) => Ok(read(&response)),
            Err(_) => Err(Error::Protocol),
        }
    }

    /// Until the session shows the response. Not generic, so that it is compiled once.
    fn wait_for_response(
        &mut self,
        kind: FrameKind,
        body: &dyn Encode,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Error> {
        let request = loop {
            match self.request_untyped(kind, body) {
                // Requests that the application has made itself fill the outbox.
                Err(Error::Busy) if self.session.pending() > 0 => self.step(on_event),
                requested => break requested?,
            }
        };
        loop {
            if !self.advance() {
                self.clock.idle(self.wakeup);
                continue;
            }
            match self.session.event() {
                Some(Event::Response { id, .. } | Event::Failed { id, .. }) if id == request => return Ok(()),
                Some(event) => on_event(event),
                None => {}
            }
        }
    }

    fn response(&self) -> Result<RawResponse<'_>, Error> {
        match self.session.event() {
            Some(Event::Response { response, .. }) => Ok(response),
            Some(Event::Failed { failure: why, .. }) => Err(failure(&why, || self.refusal())),
            _ => Err(Error::Protocol),
        }
    }

    /// `createTextMessage`. It does not send anything.
    ///
    /// # Errors
    /// As [`PolledDevice::create_message`].
    pub fn create_text_message<'a>(
        &mut self,
        to: impl Into<ConversationId>,
        text: &'a str,
    ) -> Result<Message<'a, Text<'a>>, Error> {
        self.create_message(to, Text::new(text))
    }

    /// A message with this payload: of one type, such as [`Text`], or any (`Payload`).
    ///
    /// # Errors
    /// As [`Client::create_message`](crate::Client::create_message).
    pub fn create_message<'a, P>(
        &mut self,
        to: impl Into<ConversationId>,
        payload: P,
    ) -> Result<Message<'a, P>, Error> {
        let message = self.ids.message(self.clock.now(), to.into(), payload)?;
        message.ok_or_else(|| self.refusal())
    }

    /// `sendMessage`, as [`Client::send_message`](crate::Client::send_message).
    ///
    /// # Errors
    /// As there.
    pub fn send_message(
        &mut self,
        message: &mut Message<'_, impl PayloadBody>,
        on_event: impl FnMut(Event<'_>),
    ) -> Result<SendResponse<'static>, Error> {
        self.send_message_with(message, SendOptions::default(), on_event)
    }

    /// [`PolledDevice::send_message`] with options.
    ///
    /// # Errors
    /// As there.
    pub fn send_message_with(
        &mut self,
        message: &mut Message<'_, impl PayloadBody>,
        options: SendOptions<'_>,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<SendResponse<'static>, Error> {
        self.check_own(message.id, message.envelope.from)?;
        let mut attempts = Attempts::default();
        loop {
            let request = SendMessage::new(&*message).with_options(options);
            let outcome = self.call(&request, stored, &mut on_event);
            if let Some(sent) = attempts.end(outcome, message) {
                return sent;
            }
        }
    }

    /// A message that survives a reset, as [`Client::send_kept_message`](crate::Client::send_kept_message). The futures of `storage`
    /// are polled until they complete; a storage that waits for interrupts must not need to be woken.
    ///
    /// # Errors
    /// As there.
    pub fn send_kept_message(
        &mut self,
        message: &mut Message<'_, impl PayloadBody>,
        options: SendOptions<'_>,
        storage: &mut impl OutboxStorage,
        record: &mut [u8],
        on_event: impl FnMut(Event<'_>),
    ) -> Result<SendResponse<'static>, Error> {
        self.check_own(message.id, message.envelope.from)?;
        let id = message.id;
        let request = SendMessage::new(&*message).with_options(options);
        wait(storage.keep(&id, record_in(&request, record)?))?;
        let sent = self.send_message_with(message, options, on_event);
        if is_done(&sent) {
            // What cannot be forgotten now is sent again, and the hub recognises it.
            let _ = wait(storage.forget(&id));
        } else {
            // The id under which it is kept. A successor of it is found again.
            message.id = id;
        }
        sent
    }

    /// Sends what was kept and not answered, as [`Client::resend_kept`](crate::Client::resend_kept).
    ///
    /// # Errors
    /// As there.
    pub fn resend_kept(
        &mut self,
        storage: &mut impl OutboxStorage,
        record: &mut [u8],
        mut on_sent: impl FnMut(&MessageId, Result<SendResponse<'static>, Error>),
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<(), Error> {
        while let Some((id, len)) = wait(storage.oldest(record))? {
            self.check_kept(id)?;
            let sent = self.send_record(record.get(..len).unwrap_or_default(), &mut on_event);
            if !is_done(&sent) {
                return sent.map(|_| ());
            }
            wait(storage.forget(&id))?;
            on_sent(&id, sent);
        }
        Ok(())
    }

    fn send_record(
        &mut self,
        record: &[u8],
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<SendResponse<'static>, Error> {
        let mut send = read_record(record)?;
        let mut attempts = Attempts::default();
        loop {
            let outcome = self.call(&send, stored, &mut *on_event);
            if let Some(sent) = attempts.end_of_kept(outcome, &mut send, self.ids.device) {
                return sent;
            }
        }
    }
}

impl<T, C, F: FramingChoice> Caller for PolledDevice<'_, T, C, F> {
    fn ids(&self) -> &Ids {
        &self.ids
    }

    fn refusal(&self) -> Error {
        self.login.refusal()
    }
}

/// Polls a future until it completes.
fn wait<V>(future: impl Future<Output = V>) -> V {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}
