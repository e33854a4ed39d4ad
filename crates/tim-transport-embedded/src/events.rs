//! The driver: moves the bytes, passes the time, and hands over what happens.
//!
//! It keeps no protocol state across an await. What it knows of the line stands in [`LineState`], which changes only
//! between awaits, so a future of it can be dropped anywhere.

use core::cell::RefMut;
use core::fmt;
use core::future::{Future, pending, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use embedded_io_async::{Read, Write};
use tim_session::{Event, Instant, NetState};

use crate::shared::{Session, Shared, Turn};
use crate::{Clock, Line};

/// How many bytes are read or written at a time; each direction keeps that many in the future.
const PORTION: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineState {
    Closed,
    Opening,
    Open,
    /// It failed; the session is told when it has dealt with what came before.
    Lost,
    /// To be closed before anything else.
    Closing,
}

/// What happens to the device, and the line that it happens on.
///
/// Nothing moves by itself: bytes go in and out, time passes and [`Client`](crate::Client)'s calls get their answers while
/// somebody awaits [`Events::next_event`] or [`Events::until`].
pub struct Events<'m, T, L> {
    shared: &'m Shared<'m>,
    clock: &'m T,
    line: L,
    state: LineState,
    /// Whether something was written and not flushed.
    unflushed: bool,
    /// The session, while the application looks at its event.
    held: Option<RefMut<'m, Session<'m>>>,
}

impl<T, L> fmt::Debug for Events<'_, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<'m, T: Clock, L: Line> Events<'m, T, L> {
    pub(crate) const fn new(shared: &'m Shared<'m>, clock: &'m T, line: L) -> Self {
        Self {
            shared,
            clock,
            line,
            state: LineState::Closed,
            unflushed: false,
            held: None,
        }
    }

    /// Drives until something happens, and says what. Answers to calls are not among it: the calls return them.
    ///
    /// The event is done with when this is called again: only then is a delivery acknowledged and
    /// [`Events::cursor`] moved. Until then nothing moves, and calls that are made by other tasks wait. So do not await a
    /// call while holding an event, in the same task that drives: pass the call to [`Events::until`].
    ///
    /// Cancel-safe: an event that was not returned is returned next time.
    pub async fn next_event(&mut self) -> Event<'_> {
        loop {
            self.drive().await;
            if self.take_hold() {
                break;
            }
        }
        self.current()
    }

    /// Drives until a future is done, and hands what happens meanwhile to `on_event`. This is how a firmware of one task
    /// makes its calls:
    ///
    /// ```
    /// # use tim_transport_embedded::{Client, Clock, Error, Events, Line};
    /// # async fn example<T: Clock, L: Line>(client: Client<'_>, mut events: Events<'_, T, L>) -> Result<(), Error> {
    /// events.until(client.wait_until_ready(), |_| {}).await
    /// # }
    /// ```
    ///
    /// Cancel-safe: dropping it drops the future that it was given, and nothing else.
    pub fn until<F: Future>(
        &mut self,
        future: F,
        on_event: impl FnMut(Event<'_>),
    ) -> impl Future<Output = F::Output> {
        // A type of its own: an async block would keep the future twice, once as it came and once pinned.
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
            // The future may have waited for this very event, and what comes next is not for `on_event` then.
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

    /// Where the device stands: behind the last delivery that the application was done with. Kept over a reset, it is what
    /// [`Device::resume_from`](crate::Device::resume_from) takes. At most
    /// [`MAX_CURSOR_LEN`](tim_session::MAX_CURSOR_LEN) bytes; empty before the first login.
    pub fn cursor<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        match (&self.held, self.shared.session.try_borrow()) {
            (Some(session), _) => read(session.cursor()),
            (None, Ok(session)) => read(session.cursor()),
            (None, Err(_)) => read(&[]),
        }
    }

    /// Replaces the UserSig, say after `ACCOUNT_USERSIG_EXPIRED`; used from the next login on.
    pub fn set_user_sig(&mut self, user_sig: &'m str) {
        self.release();
        if let Ok(mut session) = self.shared.session.try_borrow_mut() {
            session.set_user_sig(user_sig);
        }
    }

    /// Drives until the session shows an event that is the application's.
    async fn drive(&mut self) {
        self.release();
        if self.state == LineState::Closing {
            self.close().await;
        }
        let mut turn = self.turn();
        loop {
            turn = match turn {
                Turn::Event => return,
                Turn::Answered => {
                    poll_fn(|context| self.shared.driver.poll(context)).await;
                    self.turn()
                }
                Turn::Connect => {
                    self.state = LineState::Opening;
                    self.turn()
                }
                Turn::Disconnect => {
                    self.close().await;
                    self.turn()
                }
                Turn::Wait(until) => match self.state {
                    LineState::Lost => {
                        self.shared.connected(self.clock.now(), false);
                        self.close().await;
                        self.turn()
                    }
                    LineState::Opening => self.open(until).await,
                    LineState::Open => {
                        self.exchange(until).await;
                        self.turn()
                    }
                    LineState::Closed | LineState::Closing => {
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

    /// Closes the line, unless it is; if this is dropped, it is gone on with.
    async fn close(&mut self) {
        if self.state != LineState::Closed {
            self.state = LineState::Closing;
            self.line.disconnect().await;
            self.state = LineState::Closed;
        }
    }

    /// Opens the line, or finds out what else the session wants. Calls that come meanwhile do not disturb the opening.
    async fn open(&mut self, mut until: Option<Instant>) -> Turn {
        let (shared, clock) = (self.shared, self.clock);
        let opened = {
            let mut connect = pin!(self.line.connect());
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
            self.state = LineState::Open;
        } else {
            self.close().await;
        }
        self.turn()
    }

    /// Moves bytes in both directions until some have moved or it is time to poll.
    async fn exchange(&mut self, until: Option<Instant>) {
        let (mut input, mut output) = ([0; PORTION], [0; PORTION]);
        let (room, len) = self.shared.portion(&mut output);
        let unflushed = self.unflushed;
        let (received, sent) = {
            let (mut reader, mut writer) = self.line.split();
            let mut read = pin!(async {
                match input.get_mut(..room) {
                    Some(room) if !room.is_empty() => reader.read(room).await.ok(),
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

    /// `None`: the line failed.
    fn was_sent(&mut self, sent: Poll<Option<usize>>, asked: usize) {
        match sent {
            Poll::Pending => {}
            Poll::Ready(Some(_)) if asked == 0 => self.unflushed = false,
            Poll::Ready(Some(len)) if len > 0 => {
                self.shared.transmitted(len);
                self.unflushed = true;
            }
            Poll::Ready(_) => self.state = LineState::Lost,
        }
    }

    /// `None` and nothing: the line failed or ended.
    fn was_received(&mut self, received: Poll<Option<usize>>, input: &[u8]) {
        match received {
            Poll::Pending => {}
            Poll::Ready(Some(len)) if len > 0 => {
                let bytes = input.get(..len).unwrap_or(input);
                self.shared.received(self.clock.now(), bytes);
            }
            Poll::Ready(_) => self.state = LineState::Lost,
        }
    }

    async fn due(&self, until: Option<Instant>) {
        due(self.shared, self.clock, until).await;
    }

    /// Takes the session for as long as its event is looked at.
    fn take_hold(&mut self) -> bool {
        self.held = self.shared.session.try_borrow_mut().ok();
        self.held
            .as_ref()
            .is_some_and(|session| session.event().is_some())
    }

    /// The event of the session that is held.
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
    /// A future, while another one that never ends drives.
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

/// Waits for the moment, or for a call that the session must be polled for.
async fn due<T: Clock>(shared: &Shared<'_>, clock: &T, until: Option<Instant>) {
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
