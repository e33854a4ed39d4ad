//! The driver: moves bytes, tracks time and hands events to the application.
//!
//! Each connection has a future that reads and one that writes. They live as long as the connection: whatever arrives, and
//! whatever the application does, no read, write or flush is dropped before it has completed. The session is polled beside them.

use core::cell::RefMut;
use core::convert::Infallible;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use embedded_io_async::{Read, Write};
use tim_session::{Event, Instant, NetState, SessionStats};

use crate::shared::{MAX_TURNS, Session, Shared};
use crate::{Clock, Connection as _, Framing, FramingChoice, Transport, UserSig};

/// How many bytes are read or written at a time. A connection has a buffer of this size per direction.
const PORTION: usize = 64;

/// Drives the device: owns the transport.
///
/// The device makes progress while [`Runner::run`] is awaited: then bytes are sent and received, timers run, and the calls of
/// [`Client`](crate::Client) complete.
pub struct Runner<'m, C, T, F: FramingChoice = Framing> {
    shared: &'m Shared<'m, F>,
    clock: &'m C,
    transport: T,
}

impl<C, T, F: FramingChoice> fmt::Debug for Runner<'_, C, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

impl<'m, C: Clock, T: Transport, F: FramingChoice> Runner<'m, C, T, F> {
    pub(crate) const fn new(shared: &'m Shared<'m, F>, clock: &'m C, transport: T) -> Self {
        Self {
            shared,
            clock,
            transport,
        }
    }

    /// Drives the device while `application` runs, which takes its events, and returns what it returns.
    ///
    /// ```
    /// # use tim_transport_embedded::{Client, Clock, Error, Event, Runner, Transport};
    /// # async fn example<C: Clock, T: Transport>(client: Client<'_>, runner: Runner<'_, C, T>) -> Result<(), Error> {
    /// runner
    ///     .run(async |mut events| {
    ///         events.until(client.login(), |_| {}).await?;
    ///         while !matches!(events.next_event().await, Event::KickedOut(_)) {}
    ///         Ok(())
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// If the future is dropped, the device is as if it was switched off.
    pub fn run<R>(self, application: impl AsyncFnOnce(Events<'m, F>) -> R) -> impl Future<Output = R> {
        let Self {
            shared,
            clock,
            transport,
        } = self;
        let drive = Drive {
            shared,
            clock,
            io: serve(shared, clock, transport),
            set_timer: |moment| clock.wait_until(moment),
            timer: None,
            wakes_at: None,
        };
        // Not an async block, which would store both twice: as they were made and pinned.
        Run {
            drive,
            application: application(Events { shared, held: None }),
        }
    }
}

pin_project_lite::pin_project! {
    /// Completes with `application`, and drives the device meanwhile.
    struct Run<D, A> {
        #[pin]
        drive: D,
        #[pin]
        application: A,
    }
}

impl<D: Future<Output = Infallible>, A: Future> Future for Run<D, A> {
    type Output = A::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<A::Output> {
        let this = self.project();
        let _ = this.drive.poll(context);
        this.application.poll(context)
    }
}

pin_project_lite::pin_project! {
    /// Polls the session whenever something has happened, and then `io`. Never completes.
    struct Drive<'m, F, C, I, S, W>
    where
        F: FramingChoice,
    {
        shared: &'m Shared<'m, F>,
        clock: &'m C,
        #[pin]
        io: I,
        set_timer: S,
        #[pin]
        timer: Option<W>,
        // What the timer is set to.
        wakes_at: Option<Instant>,
    }
}

impl<F, C, I, S, W> Future for Drive<'_, F, C, I, S, W>
where
    F: FramingChoice,
    C: Clock,
    I: Future<Output = Infallible>,
    S: Fn(Instant) -> W,
    W: Future<Output = ()>,
{
    type Output = Infallible;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Infallible> {
        let mut this = self.project();
        for _ in 0..MAX_TURNS {
            let until = this.shared.turn(this.clock.now());
            if *this.wakes_at != until {
                *this.wakes_at = until;
                this.timer.set(until.map(&*this.set_timer));
            }
            let _ = this.io.as_mut().poll(context);
            let timer = this.timer.as_mut().as_pin_mut();
            if timer.is_some_and(|timer| timer.poll(context).is_ready()) {
                *this.wakes_at = None;
                this.timer.set(None);
            } else if this.shared.driver.poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        // A peer that keeps on sending must not keep the executor.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The session's events, for the application that [`Runner::run`] runs.
///
/// The session waits until the application has taken each event, and calls do not complete meanwhile: one task takes events at all
/// times, either with [`Events::next_event`] or with [`Events::until`].
pub struct Events<'m, F: FramingChoice = Framing> {
    shared: &'m Shared<'m, F>,
    /// The session, while the application holds one of its events.
    held: Option<RefMut<'m, Session<'m, F>>>,
}

impl<F: FramingChoice> fmt::Debug for Events<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("is_held", &self.held.is_some())
            .finish_non_exhaustive()
    }
}

impl<'m, F: FramingChoice> Events<'m, F> {
    /// The next event. Responses are not events: the calls return them.
    ///
    /// The application has finished with an event when it calls this again: only then is a delivery acknowledged. Until then the session is
    /// suspended, and calls of other tasks wait. Therefore the task that takes events must not await a call while it holds one; pass
    /// the call to [`Events::until`] instead.
    ///
    /// Cancel-safe: no event is lost if the future is dropped.
    pub async fn next_event(&mut self) -> Event<'_> {
        self.release();
        poll_fn(|context| match self.shared.event.wait(context) {
            Poll::Ready(()) if self.take_hold() => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
        self.current()
    }

    /// Waits for `future`, and passes the events of that time to `on_event`. A firmware with a single task makes its calls this
    /// way:
    ///
    /// ```
    /// # use tim_transport_embedded::{Client, Error, Events};
    /// # async fn example(client: Client<'_>, mut events: Events<'_>) -> Result<(), Error> {
    /// events.until(client.wait_until_ready(), |_| {}).await
    /// # }
    /// ```
    ///
    /// Cancel-safe: dropping it drops `future`, and nothing else.
    pub fn until<A: Future>(
        &mut self,
        future: A,
        on_event: impl FnMut(Event<'_>),
    ) -> impl Future<Output = A::Output> {
        self.release();
        Until {
            future,
            events: self,
            on_event,
        }
    }

    /// The device's position in its deliveries. While the application holds a delivery, which is from the
    /// [`Events::next_event`] that returned it to the next one, this is the position after it; else the position after the last
    /// one. At most [`MAX_CURSOR_LEN`](tim_session::MAX_CURSOR_LEN) bytes; empty before the first login.
    ///
    /// An application that saves it after each event, and passes it to [`Device::resume_from`](crate::Device::resume_from)
    /// after a reset, is delivered each entry once. The hub is told only afterwards that the entry has arrived, so a reset in
    /// between loses nothing. The crate's front page has the loop. To events that [`Events::until`] passes on,
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
        self.shared.driver.set();
    }

    /// Borrows the session for as long as the application holds its event.
    fn take_hold(&mut self) -> bool {
        self.held = self.shared.session.try_borrow_mut().ok();
        self.held.is_some()
    }

    /// The event of the borrowed session.
    fn current(&self) -> Event<'_> {
        let event = self.held.as_ref().and_then(|session| session.event());
        event.unwrap_or(Event::NetState(NetState::Disconnected)) // there is one: `Shared::event` says so
    }

    /// Passes the event on that there is, if any. The session has the next one only when it is polled again: the future that is waited
    /// for may have completed by then, and so the next event is not for `on_event`.
    fn pass_on(&mut self, context: &mut Context<'_>, on_event: &mut dyn FnMut(Event<'_>)) {
        while self.shared.event.wait(context).is_ready() && self.take_hold() {
            on_event(self.current());
            self.release();
        }
    }

    fn release(&mut self) {
        if self.held.take().is_some() {
            self.shared.event.reset();
            self.shared.driver.set();
            self.shared.wake_all();
        }
    }
}

pin_project_lite::pin_project! {
    /// Completes with `future`, and takes the events meanwhile.
    struct Until<'e, 'm, A, E, F: FramingChoice> {
        #[pin]
        future: A,
        events: &'e mut Events<'m, F>,
        on_event: E,
    }
}

impl<A: Future, E: FnMut(Event<'_>), F: FramingChoice> Future for Until<'_, '_, A, E, F> {
    type Output = A::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<A::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(output);
        }
        this.events.pass_on(context, this.on_event);
        Poll::Pending
    }
}

/// Opens connections and serves them, one after the other. What waits here for the session needs no waker: [`Drive`] polls it after
/// each change of the session.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn would store the transport twice"
)]
fn serve<C: Clock, T: Transport, F: FramingChoice>(
    shared: &Shared<'_, F>,
    clock: &C,
    mut transport: T,
) -> impl Future<Output = Infallible> {
    async move {
        loop {
            poll_fn(|_| shared.is_wanted()).await;
            {
                let mut connect = pin!(transport.connect());
                let connection = poll_fn(|context| match shared.is_given_up() {
                    true => Poll::Ready(None),
                    false => connect.as_mut().poll(context),
                });
                let mut connection = connection.await;
                poll_fn(|_| shared.report(clock.now(), connection.is_some())).await;
                if let Some(connection) = &mut connection {
                    exchange(shared, clock, connection.split()).await;
                    poll_fn(|_| shared.report(clock.now(), false)).await;
                }
            }
            transport.disconnect().await;
        }
    }
}

/// Sends and receives on an open connection, until the transport ends it or the session gives it up.
async fn exchange<C: Clock, F: FramingChoice>(
    shared: &Shared<'_, F>,
    clock: &C,
    (mut reader, mut writer): (impl Read, impl Write),
) {
    let mut read = pin!(async {
        let mut input = [0; PORTION];
        loop {
            let space = poll_fn(|_| shared.space(PORTION)).await;
            let space = input.get_mut(..space).unwrap_or_default();
            match reader.read(space).await {
                Ok(len) if len > 0 => {
                    let bytes = input.get(..len).unwrap_or(&input);
                    poll_fn(|_| shared.received(clock.now(), bytes)).await;
                }
                _ => return,
            }
        }
    });
    let mut write = pin!(async {
        let mut output = [0; PORTION];
        loop {
            let len = poll_fn(|_| shared.take_outgoing(&mut output)).await;
            let mut rest = output.get(..len).unwrap_or_default();
            while !rest.is_empty() {
                match writer.write(rest).await {
                    Ok(len) if len > 0 => rest = rest.get(len..).unwrap_or_default(),
                    _ => return,
                }
            }
            if shared.is_all_taken() && writer.flush().await.is_err() {
                return;
            }
        }
    });
    let mut has_failed = false;
    poll_fn(|context| {
        if shared.is_given_up() {
            return Poll::Ready(());
        }
        let is_closed = read.as_mut().poll(context).is_ready();
        has_failed = has_failed || write.as_mut().poll(context).is_ready();
        // A write that fails ends the connection when there is nothing left to read: a GOODBYE may be there.
        match is_closed || (has_failed && !shared.driver.is_set()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}
