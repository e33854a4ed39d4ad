//! What the client and the runner share: the session, the pending calls, and what is known without the session.
//!
//! Every borrow of the session is tried, never assumed to succeed, and ends before the next await. The only exception is an
//! event that the application holds; calls wait meanwhile.

use core::cell::{Cell, RefCell};
use core::task::Poll;

use tim_session::proto::ErrorCode;
use tim_session::proto::request::{DownloadResponse, Failure, RawResponse, Request};
use tim_session::proto::wire::LEAST_MAX_FRAME;
use tim_session::{
    ClientSession, Event, FixedBuffer, Framing, FramingChoice, Instant, NotReadyReason, Output, RequestError,
};

use crate::ids::Ids;
use crate::wait::{Claim, Signal, Slot, Stage};
use crate::{Error, UserSig};

/// How many calls can be pending at a time, including `login` and `wait_until_ready`. Further calls fail with
/// [`Error::Busy`].
pub const MAX_CALLS: usize = 4;
/// How often a poll turns from the session to the connection and back before it lets others run.
pub(crate) const MAX_TURNS: usize = 64;
/// The most that a frame with a piece of a payload, or of a file, adds to the piece.
const FETCH_OVERHEAD: u32 = 32;
const _: () = assert!(DownloadResponse::OVERHEAD <= FETCH_OVERHEAD as usize);

pub(crate) type Session<'m, F = Framing> = ClientSession<UserSig<'m>, FixedBuffer<'m>, F>;

/// The state of the login.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    /// There was none.
    Never,
    /// The hub has not responded yet.
    InProgress,
    /// Logged in, or reconnecting.
    Done,
    /// A logout is in progress.
    LoggingOut,
    /// The session has ended, and why.
    Ended(ErrorCode),
}

impl Login {
    /// Why requests are not accepted now.
    pub(crate) const fn refusal(self) -> Error {
        Error::NotReady(match self {
            Self::Never => ErrorCode::USER_NOT_LOGGED_IN,
            Self::InProgress => ErrorCode::LOGGING_IN,
            Self::Done => ErrorCode::SDK_IS_NOT_READY,
            Self::LoggingOut => ErrorCode::LOGGED_OUT,
            Self::Ended(code) => code,
        })
    }
}

/// What the session wants of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Nothing: there is none, or the session has it.
    Nothing,
    /// It is to be opened, or is being opened.
    Open,
    /// It is to be closed. The session waits until that has begun.
    Close,
}

pub(crate) struct Shared<'m, F: FramingChoice = Framing> {
    pub(crate) session: RefCell<Session<'m, F>>,
    slots: [Slot; MAX_CALLS],
    /// When the driver must poll the session again, as far as it is known.
    pub(crate) wakeup: Cell<Option<Instant>>,
    /// The driver has something to do.
    pub(crate) driver: Signal,
    /// The session has an event for the application, which has not finished with it.
    pub(crate) event: Signal,
    wish: Cell<Wish>,
    /// Whether the session has processed all that it was told.
    is_idle: Cell<bool>,
    pub(crate) login: Cell<Login>,
    pub(crate) ready: Cell<bool>,
    pub(crate) ids: Ids,
    /// The length of the pieces in which a payload or a file is fetched, so that they fit into a frame.
    pub(crate) fetch_piece: u32,
}

impl<'m, F: FramingChoice> Shared<'m, F> {
    pub(crate) fn new(session: Session<'m, F>, seed: u64) -> Self {
        let config = session.config();
        Self {
            slots: Default::default(),
            wakeup: Cell::new(None),
            driver: Signal::default(),
            event: Signal::default(),
            wish: Cell::new(Wish::Nothing),
            is_idle: Cell::new(false),
            login: Cell::new(Login::Never),
            ready: Cell::new(false),
            ids: Ids::new(config.user, config.device, seed),
            fetch_piece: fetch_piece(&session),
            session: RefCell::new(session),
        }
    }

    /// Polls the session until it waits: for the returned time, or (`None`) for the application, a call or the driver.
    pub(crate) fn turn(&self, now: Instant) -> Option<Instant> {
        self.is_idle.set(false);
        let responded = |slot: &Slot| matches!(slot.stage.get(), Stage::Responded);
        let mut session = self.session.try_borrow_mut().ok()?;
        while !self.event.is_set()
            && !self.slots.iter().any(responded)
            && !matches!(self.wish.get(), Wish::Close)
        {
            match session.poll(now) {
                Output::Event(event) => self.route(&event, now),
                Output::Connect => self.wish.set(Wish::Open),
                Output::Disconnect => self.wish.set(Wish::Close),
                Output::Wait(until) => {
                    self.observe(&session);
                    self.wakeup.set(until);
                    self.is_idle.set(true);
                    return until;
                }
            }
            self.observe(&session);
        }
        None
    }

    /// Routes an event: to the application, to the call that waits for it, or nowhere if that call was dropped.
    fn route(&self, event: &Event<'_>, now: Instant) {
        match *event {
            Event::Response { id, .. } | Event::Failed { id, .. } => {
                let waits = |slot: &&Slot| matches!(slot.stage.get(), Stage::Pending(other) if other == id);
                if let Some(slot) = self.slots.iter().find(waits) {
                    slot.stage.set(Stage::Responded);
                }
                return self.wake_all(); // also those that wait for room in the outbox, whoever's request this was
            }
            Event::LoggedIn(answer) => {
                self.ids.logged_in(&answer, now);
                self.change_login(Login::Done);
            }
            Event::LoginFailed(failure) | Event::KickedOut(failure) => {
                self.change_login(Login::Ended(failure.code));
            }
            #[cfg(feature = "defmt")]
            Event::Malformed { kind } => defmt::warn!("malformed push of kind {=u8:#x} ignored", kind.0),
            Event::NotReady(NotReadyReason::LoggedOut) => self.change_login(Login::LoggingOut),
            _ => {}
        }
        self.event.set();
    }

    /// Copies the state that calls need while the session is borrowed.
    fn observe(&self, session: &Session<'m, F>) {
        if self.ready.replace(session.is_ready()) != session.is_ready() {
            self.wake_all();
        }
        if self.login.get() == Login::LoggingOut && session.is_idle() {
            self.change_login(Login::Ended(ErrorCode::LOGGED_OUT));
        }
    }

    pub(crate) fn change_login(&self, login: Login) {
        self.login.set(login);
        self.wake_all();
    }

    /// Wakes all pending calls.
    pub(crate) fn wake_all(&self) {
        self.slots.iter().for_each(Slot::wake);
    }

    /// Claims a slot for a call.
    pub(crate) fn claim(&'m self) -> Result<Claim<'m, F>, Error> {
        let free = |slot: &&Slot| matches!(slot.stage.get(), Stage::Free);
        let slot = self.slots.iter().find(free).ok_or(Error::Busy)?;
        slot.stage.set(Stage::Waiting);
        Ok(Claim { shared: self, slot })
    }

    /// Why requests are not accepted now.
    pub(crate) fn refusal(&self) -> Error {
        self.login.get().refusal()
    }

    pub(crate) fn request_error(&self, error: RequestError) -> Error {
        match error {
            RequestError::NotReady => self.refusal(),
            RequestError::TooLarge { len, max } => Error::TooLarge { len, max },
            _ => Error::Busy,
        }
    }

    /// Decodes the response that the session shows and passes it to `read`.
    pub(crate) fn response<R: Request, T>(
        &self,
        read: &mut Option<impl FnOnce(&R::Response<'_>) -> T>,
    ) -> Result<T, Error> {
        let session = self.session.try_borrow().map_err(|_| Error::Protocol)?;
        match (&self.raw_response(&session)?.decode::<R>(), read.take()) {
            (Ok(response), Some(read)) => Ok(read(response)),
            _ => Err(Error::Protocol),
        }
    }

    fn raw_response<'s>(&self, session: &'s Session<'m, F>) -> Result<RawResponse<'s>, Error> {
        match session.event() {
            Some(Event::Response { response, .. }) => Ok(response),
            Some(Event::Failed { failure: why, .. }) => Err(failure(&why, || self.refusal())),
            _ => Err(Error::Protocol),
        }
    }

    /// The longest frame of a request; what every hub takes while the application holds an event.
    pub(crate) fn max_request(&self) -> usize {
        let session = self.session.try_borrow();
        session.map_or(LEAST_MAX_FRAME as usize, |session| session.max_request())
    }

    /// How many bytes can be received, at most `len`; pending while there is no space.
    pub(crate) fn space(&self, len: usize) -> Poll<usize> {
        let space = match self.session.try_borrow_mut() {
            Ok(mut session) => session.space(len).len().min(len),
            Err(_) => 0,
        };
        match space {
            0 => Poll::Pending,
            len => Poll::Ready(len),
        }
    }

    /// These bytes were received, for which there was space; pending while the application holds an event.
    pub(crate) fn received(&self, now: Instant, bytes: &[u8]) -> Poll<()> {
        let Ok(mut session) = self.session.try_borrow_mut() else {
            return Poll::Pending;
        };
        let _ = session.receive(now, bytes); // all of them: only the driver uses the space
        self.driver.note();
        Poll::Ready(())
    }

    /// Moves the next bytes to send to `out`, and returns how many; pending while there are none. To the session they are sent: from
    /// here on, nobody takes them back.
    pub(crate) fn take_outgoing(&self, out: &mut [u8]) -> Poll<usize> {
        let Ok(mut session) = self.session.try_borrow_mut() else {
            return Poll::Pending;
        };
        let outgoing = session.outgoing();
        let len = outgoing.len().min(out.len());
        if len == 0 {
            return Poll::Pending;
        }
        for (to, from) in out.iter_mut().zip(outgoing) {
            *to = *from;
        }
        session.transmitted(len);
        self.driver.note();
        Poll::Ready(len)
    }

    /// Whether there are no more bytes to send for now.
    pub(crate) fn is_all_taken(&self) -> bool {
        let session = self.session.try_borrow();
        session.map_or(true, |session| session.outgoing().is_empty())
    }

    /// Ready if the session wants a connection, for a driver that has none.
    pub(crate) fn is_wanted(&self) -> Poll<()> {
        match self.wish.get() {
            Wish::Open => Poll::Ready(()),
            Wish::Close => {
                self.fulfilled();
                Poll::Pending
            }
            Wish::Nothing => Poll::Pending,
        }
    }

    /// Whether the session has given the connection up.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self.wish.get(), Wish::Close)
    }

    fn fulfilled(&self) {
        self.wish.set(Wish::Nothing);
        self.driver.note();
    }

    /// Tells the session whether the connection is open, as soon as it has processed what was received before. If it has given the
    /// connection up, it is not told, and waits until the driver has no connection.
    pub(crate) fn report(&self, now: Instant, is_open: bool) -> Poll<()> {
        match self.session.try_borrow_mut() {
            _ if self.is_given_up() && is_open => return Poll::Ready(()),
            _ if self.is_given_up() => {}
            Ok(mut session) if self.is_idle.get() && !self.driver.is_set() => match is_open {
                true => session.connected(now),
                false => session.disconnected(now),
            },
            _ => return Poll::Pending,
        }
        self.fulfilled();
        Poll::Ready(())
    }
}

/// The length of the pieces in which a payload or a file is fetched.
fn fetch_piece(session: &Session<'_, impl FramingChoice>) -> u32 {
    (session.max_frame() as u32).saturating_sub(FETCH_OVERHEAD).max(1)
}

/// The error of a request that failed; `refusal` is why requests are not accepted now.
pub(crate) fn failure(why: &Failure<'_>, refusal: impl FnOnce() -> Error) -> Error {
    match why.code {
        ErrorCode::NETWORK_TIMEOUT => Error::TimedOut,
        ErrorCode::PROTOCOL_VIOLATION => Error::Protocol,
        ErrorCode::LOGGED_OUT => match refusal().code() {
            ErrorCode::LOGGED_OUT => Error::LoggedOut,
            code => Error::Ended(code),
        },
        code => Error::Refused {
            code,
            retry_after_ms: why.retry_after_ms,
        },
    }
}
