//! The driver: moves bytes, tracks time and hands events to the application.
//!
//! It keeps no protocol state across an await. The state of the connection is in [`Connection`], which changes only between
//! awaits, so any future of the driver can be dropped at any point.

use core::cell::RefMut;
use core::fmt;
use core::future::{Future, pending, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use embedded_io_async::{Read, Write};
use tim_session::{Event, Instant, NetState, SessionStats};

use crate::shared::{Session, Shared, Turn};
use crate::{Clock, Transport, UserSig};

/// How many bytes are read or written at a time. The future holds a buffer of this size per direction.
const PORTION: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Closed,
    Opening,
    Open,
    /// It failed. The session learns of it once it has processed what was received before.
    Lost,
    /// It must be closed before anything else happens.
    Closing,
}

/// Drives the device: owns the transport, and returns the session's events.
///
/// The device makes progress only while [`Runner::next_event`] or [`Runner::until`] is awaited: then bytes are sent and
/// received, timers run, and the calls of [`Client`](crate::Client) complete.
pub struct Runner<'m, C, T> {
    shared: &'m Shared<'m>,
    clock: &'m C,
    transport: T,
    connection: Connection,
    /// Whether written bytes have not been flushed.
    unflushed: bool,
    /// The session, while the application holds one of its events.
    held: Option<RefMut<'m, Session<'m>>>,
}

impl<C, T> fmt::Debug for Runner<'_, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl<'m, C: Clock, T: Transport> Runner<'m, C, T> {
    pub(crate) const fn new(shared: &'m Shared<'m>, clock: &'m C, transport: T) -> Self {
        Self {
            shared,
            clock,
            transport,
            connection: Connection::Closed,
            unflushed: false,
            held: None,
        }
    }

    /// Drives the device until the next event, and returns it. Responses are not events: the calls return them.
    ///
    /// The application has finished with an event when it calls this again: only then is a delivery acknowledged. Until then the device is suspended, and calls of other tasks wait. Therefore the task that
    /// drives must not await a call while it holds an event; pass the call to [`Runner::until`] instead.
    ///
    /// Cancel-safe: no event is lost if the future is dropped.
    pub async fn next_event(&mut self) -> Event<'_> {
        loop {
            self.drive().await;
            if self.take_hold() {
                break;
            }
        }
        self.current()
    }

    /// Drives the device until `future` completes, and passes the events of that time to `on_event`. A firmware with a single
    /// task makes its calls this way:
    ///
    /// ```
    /// # use tim_transport_embedded::{Client, Clock, Error, Runner, Transport};
    /// # async fn example<C: Clock, T: Transport>(client: Client<'_>, mut runner: Runner<'_, C, T>) -> Result<(), Error> {
    /// runner.until(client.wait_until_ready(), |_| {}).await
    /// # }
    /// ```
    ///
    /// Cancel-safe: dropping it drops `future`, and nothing else.
    pub fn until<F: Future>(
        &mut self,
        future: F,
        on_event: impl FnMut(Event<'_>),
    ) -> impl Future<Output = F::Output> {
        // Not an async block, which would store `future` twice: as it was passed and pinned.
        Until {
            future,
            drive: self.drive_on(on_event),
        }
    }

    async fn drive_on(&mut self, mut on_event: impl FnMut(Event<'_>)) {
        loop {
            self.drive().await;
            if self.take_hold() {
                on_event(self.current());
                self.release();
            }
            // `future` may complete because of this event; the next one is then not for `on_event`.
            let mut yielded = false;
            poll_fn(|context| match core::mem::replace(&mut yielded, true) {
                true => Poll::Ready(()),
                false => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            })
            .await;
        }
    }

    /// The device's position in its deliveries. While the application holds a delivery, which is from the
    /// [`Runner::next_event`] that returned it to the next one, this is the position after it; else the position after the last
    /// one. At most [`MAX_CURSOR_LEN`](tim_session::MAX_CURSOR_LEN) bytes; empty before the first login.
    ///
    /// An application that saves it after each event, and passes it to [`Device::resume_from`](crate::Device::resume_from)
    /// after a reset, is delivered each entry once. The hub is told only afterwards that the entry has arrived, so a reset in
    /// between loses nothing. The crate's front page has the loop. To events that [`Runner::until`] passes on,
    /// [`Delivery::cursor`](tim_session::proto::request::Delivery::cursor) is the same, and empty for an entry that the hub does
    /// not store.
    pub fn cursor<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        match (&self.held, self.shared.session.try_borrow()) {
            (Some(session), _) => read(session.cursor()),
            (None, Ok(session)) => read(session.cursor()),
            (None, Err(_)) => read(&[]),
        }
    }

    /// What the session has counted: frames, bytes, reconnects, resends, corrupt packets, and the round-trip time.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        match (&self.held, self.shared.session.try_borrow()) {
            (Some(session), _) => session.stats(),
            (None, Ok(session)) => session.stats(),
            (None, Err(_)) => SessionStats::default(), // not reached: nothing else holds the session across an await
        }
    }

    /// Replaces the UserSig, for example after `ACCOUNT_USERSIG_EXPIRED`. It takes effect with the next login. To extend the
    /// session before the old one expires, use [`Client::renew_user_sig`](crate::Client::renew_user_sig).
    ///
    /// This finishes with the event that the application holds.
    pub fn set_user_sig(&mut self, user_sig: impl Into<UserSig<'m>>) {
        self.release();
        if let Ok(mut session) = self.shared.session.try_borrow_mut() {
            session.set_user_sig(user_sig.into());
        }
    }

    /// The number of requests that wait for their responses.
    #[must_use]
    pub fn pending(&self) -> usize {
        match (&self.held, self.shared.session.try_borrow()) {
            (Some(session), _) => session.pending(),
            (None, Ok(session)) => session.pending(),
            (None, Err(_)) => 0, // not reached, as above
        }
    }

    /// Holds acknowledgements back, or releases them, for an application that passes deliveries on to something slow. While they
    /// are held, the hub delivers at most one window ahead; calls still complete.
    ///
    /// This finishes with the event that the application holds.
    pub fn hold_acknowledgements(&mut self, hold: bool) {
        self.release();
        if let Ok(mut session) = self.shared.session.try_borrow_mut() {
            session.hold_acknowledgements(hold);
        }
    }

    /// Drives the device until the session has an event for the application.
    async fn drive(&mut self) {
        self.release();
        if self.connection == Connection::Closing {
            self.close().await;
        }
        let mut turn = self.turn();
        loop {
            turn = match turn {
                Turn::Event => return,
                Turn::Responded => {
                    poll_fn(|context| self.shared.driver.poll(context)).await;
                    self.turn()
                }
                Turn::Connect => {
                    self.connection = Connection::Opening;
                    self.turn()
                }
                Turn::Disconnect => {
                    self.close().await;
                    self.turn()
                }
                Turn::Wait(until) => match self.connection {
                    Connection::Lost => {
                        self.shared.connected(self.clock.now(), false);
                        self.close().await;
                        self.turn()
                    }
                    Connection::Opening => self.open(until).await,
                    Connection::Open => {
                        self.exchange(until).await;
                        self.turn()
                    }
                    Connection::Closed | Connection::Closing => {
                        self.due(until).await;
                        self.turn()
                    }
                },
            };
        }
    }

    fn turn(&self) -> Turn {
        self.shared.turn(self.clock.now())
    }

    /// Closes the connection unless it is closed. If the future is dropped, the next call continues.
    async fn close(&mut self) {
        if self.connection != Connection::Closed {
            self.connection = Connection::Closing;
            self.transport.disconnect().await;
            self.connection = Connection::Closed;
        }
    }

    /// Opens the connection, unless the session needs something else first. Calls made meanwhile do not interrupt it.
    async fn open(&mut self, mut until: Option<Instant>) -> Turn {
        let (shared, clock) = (self.shared, self.clock);
        let opened = {
            let mut connect = pin!(self.transport.connect());
            loop {
                let mut due = pin!(due(shared, clock, until));
                let opened = poll_fn(|context| match connect.as_mut().poll(context) {
                    Poll::Ready(is_open) => Poll::Ready(Some(is_open)),
                    Poll::Pending => due.as_mut().poll(context).map(|()| None),
                });
                if let Some(is_open) = opened.await {
                    break is_open;
                }
                match shared.turn(clock.now()) {
                    Turn::Wait(later) => until = later,
                    turn => return turn,
                }
            }
        };
        self.unflushed = false;
        shared.connected(clock.now(), opened);
        if opened {
            self.connection = Connection::Open;
        } else {
            self.close().await;
        }
        self.turn()
    }

    /// Sends and receives until some bytes have moved or the session must be polled.
    async fn exchange(&mut self, until: Option<Instant>) {
        let (mut input, mut output) = ([0; PORTION], [0; PORTION]);
        let (capacity, len) = self.shared.portion(&mut output);
        let unflushed = self.unflushed;
        let (received, sent) = {
            let (mut reader, mut writer) = self.transport.split();
            let mut read = pin!(async {
                match input.get_mut(..capacity) {
                    Some(space) if !space.is_empty() => reader.read(space).await.ok(),
                    _ => pending().await,
                }
            });
            let mut write = pin!(async {
                match output.get(..len) {
                    Some(bytes) if !bytes.is_empty() => writer.write(bytes).await.ok(),
                    _ if unflushed => writer.flush().await.ok().map(|()| 0),
                    _ => pending().await,
                }
            });
            let mut due = pin!(due(self.shared, self.clock, until));
            poll_fn(|context| {
                let moved = (read.as_mut().poll(context), write.as_mut().poll(context));
                let is_due = due.as_mut().poll(context).is_ready();
                match moved {
                    (Poll::Pending, Poll::Pending) if !is_due => Poll::Pending,
                    moved => Poll::Ready(moved),
                }
            })
            .await
        };
        self.was_sent(sent, len);
        self.was_received(received, &input);
    }

    /// `None`: the transport failed.
    fn was_sent(&mut self, sent: Poll<Option<usize>>, asked: usize) {
        match sent {
            Poll::Pending => {}
            Poll::Ready(Some(_)) if asked == 0 => self.unflushed = false,
            Poll::Ready(Some(len)) if len > 0 => {
                self.shared.transmitted(len);
                self.unflushed = true;
            }
            Poll::Ready(_) => self.connection = Connection::Lost,
        }
    }

    /// `None` or zero bytes: the transport failed or was closed.
    fn was_received(&mut self, received: Poll<Option<usize>>, input: &[u8]) {
        match received {
            Poll::Pending => {}
            Poll::Ready(Some(len)) if len > 0 => {
                let bytes = input.get(..len).unwrap_or(input);
                self.shared.received(self.clock.now(), bytes);
            }
            Poll::Ready(_) => self.connection = Connection::Lost,
        }
    }

    async fn due(&self, until: Option<Instant>) {
        due(self.shared, self.clock, until).await;
    }

    /// Borrows the session for as long as the application holds its event.
    fn take_hold(&mut self) -> bool {
        self.held = self.shared.session.try_borrow_mut().ok();
        self.held
            .as_ref()
            .is_some_and(|session| session.event().is_some())
    }

    /// The event of the borrowed session.
    fn current(&self) -> Event<'_> {
        let event = self.held.as_ref().and_then(|session| session.event());
        event.unwrap_or(Event::NetState(NetState::Disconnected)) // there is one: `take_hold` said so
    }

    fn release(&mut self) {
        if self.held.take().is_some() {
            self.shared.wake_all();
        }
    }
}

pin_project_lite::pin_project! {
    /// Completes with `future`, and polls `drive`, which never completes, along with it.
    struct Until<F, D> {
        #[pin]
        future: F,
        #[pin]
        drive: D,
    }
}

impl<F: Future, D: Future> Future for Until<F, D> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(output);
        }
        let _ = this.drive.poll(context);
        Poll::Pending
    }
}

/// Waits until `until`, or until a call requires the session to be polled.
async fn due<C: Clock>(shared: &Shared<'_>, clock: &C, until: Option<Instant>) {
    let mut timer = pin!(async {
        match until {
            Some(moment) => clock.wait_until(moment).await,
            None => pending().await,
        }
    });
    poll_fn(|context| match shared.driver.poll(context) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => timer.as_mut().poll(context),
    })
    .await;
}
