//! The client's end: one session over any number of connections.

mod backoff;
mod config;
mod connection;
mod event;
mod machine;
mod outbox;
mod ticket;

pub use config::ClientConfig;
use config::Settings;
pub use event::{Event, NetState, NotReadyReason, Output, RequestError};
pub use ticket::{RequestId, Ticket};

use core::fmt;
use core::time::Duration;

use tim_proto::message::{PayloadBody, SendOptions};
use tim_proto::request::{CompactCursor, Request, Resume, Send, SendMessage};
use tim_proto::wire::{self, Encode, FrameKind};
use tim_proto::{ErrorCode, Message};

use crate::buffer::{Buffer, fill};
use crate::keepalive::Keepalive;
use crate::link::Link;
use crate::time::{Moment, SessionTime, millis};
use crate::{Framing, FramingChoice, Instant, SessionStats};
use backoff::Backoff;
use event::LocalEvent;
use machine::{Current, Step, current_event};
use outbox::Outbox;

/// The longest cursor that a session stores, in bytes.
pub const MAX_CURSOR_LEN: usize = 16;
/// The id of the LOGIN (on a stream) and LOGOUT requests, which the outbox never assigns.
const LOGIN_ID: u32 = 0;
/// How long a session must have been logged in before back-off starts over, in milliseconds.
const STABLE_AFTER: u32 = 60_000;
/// How many events without received bytes can be pending.
const MAX_LOCAL_EVENTS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not logged in and not logging in.
    Idle,
    /// Waiting before the next attempt.
    Waiting,
    /// The driver is opening a connection.
    Connecting,
    /// Waiting for the hub's hello.
    Hello,
    /// Waiting for the response to LOGIN.
    Login,
    /// Logged in.
    Online,
    /// LOGOUT was sent.
    LoggingOut,
}

/// A user's device.
///
/// `S` holds the UserSig (`&'static str` on a device, `String` elsewhere); `B` is the type of the buffers, see [`Buffer`]; `F` says
/// which framing the connection has, see [`FramingChoice`].
///
/// ```
/// use tim_session::{ClientConfig, ClientSession, FixedBuffer, Instant, Output};
/// use tim_session::proto::UserId;
///
/// let (mut rx, mut tx, mut outbox) = ([0; 1024], [0; 512], [0; 512]);
/// let config = ClientConfig::new(1_400_000_000, UserId::new("kiosk-1")?, 0xC0FFEE);
/// let mut session = ClientSession::new(
///     config, "eJw…", FixedBuffer(&mut rx), FixedBuffer(&mut tx), FixedBuffer(&mut outbox), 0x5EED,
/// );
/// session.login(Instant::ZERO);
/// // Skips the event `NetState(Connecting)`; then the session requests a connection.
/// while let Output::Event(_) = session.poll(Instant::ZERO) {}
/// session.connected(Instant::ZERO);
/// assert_eq!(session.outgoing().len(), 20); // the hello
/// # Ok::<(), tim_session::proto::IdError>(())
/// ```
pub struct ClientSession<S, B, F = Framing> {
    settings: Settings<F>,
    user_sig: S,
    link: Link<B, F>,
    outbox: Outbox<B>,
    phase: Phase,
    /// When the phase ends at the latest, or [`Moment::NEVER`].
    until: Moment,
    /// Whether the session has ended and pending requests have yet to be reported as failed.
    failing: bool,
    /// Whether the driver must close the connection.
    hang_up: bool,
    /// Whether the driver has been asked to open one.
    asked_to_connect: bool,
    ready: bool,
    /// When the session is no longer ready if it has not reconnected by then, or [`Moment::NEVER`].
    resume_until: Moment,
    backoff: Backoff,
    /// The time base of all instants here.
    time: SessionTime,
    keepalive: Keepalive,
    /// Distinguishes this session's logins from those of an earlier run of the device, and counts them.
    session: u64,
    attempt: u32,
    /// When the session will have been logged in for [`STABLE_AFTER`].
    stable_at: Moment,
    /// Whether another client has taken over since the session was last logged in for [`STABLE_AFTER`].
    replaced: bool,
    account: u64,
    /// The largest frame that the hub accepts.
    hub_max_frame: usize,
    cursor: Cursor,
    /// The delivery that the application is handling.
    delivered: Option<(u32, Option<Cursor>)>,
    /// Deliveries that were handled but not acknowledged: how many, and the last one's id.
    unacked: u16,
    last_taken: u32,
    /// Whether the hub asks if the next acknowledgement does not come.
    ack_is_expected: bool,
    /// Whether the application holds acknowledgements back.
    acks_held: bool,
    /// The PONG, or else the PING, that is to be sent when it fits: kind and id. One PONG proves as much as several.
    owed: Option<(FrameKind, u32)>,
    locals: [Option<LocalEvent>; MAX_LOCAL_EVENTS],
    /// The event that the last poll returned.
    current: Option<Current>,
    malformed_frames: u32,
}

/// Without the UserSig, which is a credential. Buffers show their lengths, not their contents.
impl<S, B: fmt::Debug, F: fmt::Debug> fmt::Debug for ClientSession<S, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("settings", &self.settings)
            .field("phase", &self.phase)
            .field("ready", &self.ready)
            .field("resume_until", &self.resume_until)
            .field("keepalive", &self.keepalive)
            .field("account", &self.account)
            .field("cursor", &self.cursor)
            .field("unacked", &self.unacked)
            .field("link", &self.link)
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}

/// Derives [`Login::session`](tim_proto::request::Login::session), which differs between users and devices even for the same
/// seed.
fn session_number(config: &ClientConfig, seed: u64) -> u64 {
    let mut number = seed ^ config.device.rotate_left(32);
    for &byte in config.user.as_str().as_bytes() {
        // FNV-1a.
        number = (number ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    number
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cursor {
    bytes: [u8; MAX_CURSOR_LEN],
    len: u8,
    resume: Resume,
}

impl Cursor {
    /// `None` if it is empty or too long.
    fn new(cursor: &[u8]) -> Option<Self> {
        Self::default().moved(CompactCursor::new().with_rest(cursor))
    }

    /// The cursor behind this one; `None` if there is none, or if it is too long.
    fn moved(&self, to: CompactCursor<'_>) -> Option<Self> {
        let shared = usize::from(to.shared);
        let len = shared.saturating_add(to.rest.len());
        if to.rest.is_empty() || to.shared > self.len {
            return None;
        }
        let mut bytes = self.bytes;
        fill(bytes.get_mut(shared..len)?, to.rest);
        Some(Self {
            bytes,
            len: len as u8,
            resume: Resume::CURSOR,
        })
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl<S: AsRef<str>, B: Buffer> ClientSession<S, B> {
    /// A session that is not logged in.
    ///
    /// - `rx` holds the largest frame that the device accepts. The hub is told its size, or the configuration's `max_frame` if
    ///   that is smaller, and delivers longer messages as stubs. At least
    ///   [`LEAST_MAX_FRAME`](wire::LEAST_MAX_FRAME), the size of a stub with the longest ids.
    /// - `tx` holds the longest request. 512 bytes plus the UserSig are enough to log in.
    /// - `outbox` holds the pending requests, each with 28 bytes of overhead.
    /// - `seed` spreads the reconnects of many devices over time, together with the user and the device's number, and
    ///   distinguishes runs of a device: a random number that differs each time the device starts.
    ///
    /// Minimum values apply regardless of the configuration (see [`ClientConfig`]). If the device accepts only frames shorter
    /// than [`LEAST_MAX_FRAME`](wire::LEAST_MAX_FRAME), [`ClientSession::login`] results in [`Event::LoginFailed`].
    pub fn new(config: ClientConfig, user_sig: S, rx: B, tx: B, outbox: B, seed: u64) -> Self {
        Self::with_framing(config.framing, config, user_sig, rx, tx, outbox, seed)
    }
}

impl<S: AsRef<str>, B: Buffer, F: FramingChoice> ClientSession<S, B, F> {
    /// As [`ClientSession::new`], with a framing that is chosen when the program is compiled: [`OnlyStream`](crate::OnlyStream) or
    /// [`OnlySerial`](crate::OnlySerial). It replaces that of the configuration. A device has the code of one framing only, which
    /// saves it up to 2 kB of flash.
    pub fn with_framing(
        framing: F,
        config: ClientConfig,
        user_sig: S,
        rx: B,
        tx: B,
        outbox: B,
        seed: u64,
    ) -> Self {
        let session = session_number(&config, seed);
        Self {
            // Not of the seed alone: devices that have come up with the same one would reconnect in step.
            backoff: Backoff::new(config.backoff_min, config.backoff_max, session),
            session,
            attempt: 0,
            stable_at: Moment::START,
            replaced: false,
            link: Link::new(framing, rx, tx),
            settings: config.settings(framing),
            user_sig,
            outbox: Outbox::new(outbox),
            phase: Phase::Idle,
            until: Moment::NEVER,
            failing: false,
            hang_up: false,
            asked_to_connect: false,
            ready: false,
            resume_until: Moment::NEVER,
            time: SessionTime::default(),
            keepalive: Keepalive::new(Moment::START),
            account: 0,
            hub_max_frame: usize::MAX,
            cursor: Cursor::default(),
            delivered: None,
            unacked: 0,
            last_taken: 0,
            ack_is_expected: true,
            acks_held: false,
            owed: None,
            locals: [None; MAX_LOCAL_EVENTS],
            current: None,
            malformed_frames: 0,
        }
    }

    /// Resumes deliveries after the [`ClientSession::cursor`] that the application saved in an earlier run. Returns whether it
    /// is valid (at most [`MAX_CURSOR_LEN`] bytes, not empty). Call it before [`ClientSession::login`].
    pub fn resume_from(&mut self, cursor: &[u8]) -> bool {
        match Cursor::new(cursor) {
            Some(cursor) => {
                self.cursor = cursor;
                true
            }
            None => false,
        }
    }

    /// Starts deliveries with the oldest entry that the hub keeps, instead of with new entries only. Call it before
    /// [`ClientSession::login`].
    pub fn resume_from_start(&mut self) {
        self.cursor = Cursor {
            resume: Resume::START,
            ..Cursor::default()
        };
    }

    /// The device's position in its deliveries. While the application holds a delivery, which is from the [`ClientSession::poll`]
    /// that returned it to the next one, this is the position after it; else the position after the last one. Empty before the
    /// first login.
    ///
    /// An application that saves it while it holds a delivery, and passes it to [`ClientSession::resume_from`] after a reset, is
    /// not delivered that entry again.
    pub fn cursor(&self) -> &[u8] {
        match &self.delivered {
            Some((_, Some(held))) => held.as_slice(),
            _ => self.cursor.as_slice(),
        }
    }

    /// The user's account number (`tinyID`), which is part of message ids; 0 before the first login.
    pub const fn account(&self) -> u64 {
        self.account
    }

    /// Whether requests are accepted: from SDK_READY to SDK_NOT_READY, including short interruptions of the connection.
    pub const fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether the session is idle: not logged in, not logging in, and without pending events.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle && !self.failing && !self.hang_up && self.locals.iter().all(Option::is_none)
    }

    /// The session's configuration, with the minimum values applied and waits in whole milliseconds.
    pub fn config(&self) -> ClientConfig {
        self.settings.config(self.backoff.limits())
    }

    /// The number of pending requests.
    pub const fn pending(&self) -> usize {
        self.outbox.len()
    }

    /// The session's time. Once in eleven days, all its instants are moved back.
    fn now(&mut self, driver: Instant) -> Moment {
        let now = self.time.at(driver);
        match self.time.is_at_the_horizon() {
            true => self.move_back(),
            false => now,
        }
    }

    #[cold]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn move_back(&mut self) -> Moment {
        self.keepalive.move_back();
        self.outbox.move_back();
        for moment in [&mut self.until, &mut self.resume_until, &mut self.stable_at] {
            moment.move_back();
        }
        self.time.move_back()
    }

    /// Starts to log in. The session stays logged in, over any number of connections, until [`ClientSession::logout`] or a final
    /// refusal. Does nothing if the session is already active.
    pub fn login(&mut self, now: Instant) {
        let now = self.now(now);
        if self.phase == Phase::Idle {
            if self.max_frame() < wire::LEAST_MAX_FRAME as usize {
                return self.give_up(ErrorCode::FRAME_TOO_LARGE);
            }
            self.resume_until = now.plus(self.settings.resume_window);
            self.backoff.reset();
            self.connect_at(now, now);
        }
    }

    /// Replaces the UserSig, for example after [`ErrorCode::ACCOUNT_USERSIG_EXPIRED`], and returns the old one. It takes effect
    /// with the next login; an active session is extended by a [`Renew`](tim_proto::request::Renew) request.
    pub fn set_user_sig(&mut self, user_sig: S) -> S {
        core::mem::replace(&mut self.user_sig, user_sig)
    }

    /// The UserSig, to replace it in place. As [`ClientSession::set_user_sig`], it takes effect with the next login.
    pub const fn user_sig_mut(&mut self) -> &mut S {
        &mut self.user_sig
    }

    /// Logs out. Pending requests fail; `NotReady` follows, then [`Output::Disconnect`].
    pub fn logout(&mut self, now: Instant) {
        let now = self.now(now);
        if self.phase == Phase::Online
            && self
                .link
                .send(FrameKind::LOGOUT, LOGIN_ID, &tim_proto::request::Done)
                .is_ok()
        {
            self.phase = Phase::LoggingOut;
            self.until = now.plus(self.settings.request_timeout);
        } else if self.phase != Phase::Idle {
            self.stop(NotReadyReason::LoggedOut);
        }
    }

    /// Sends a message. The hub stores it once, however often the connection is lost in between. To retry after a failure,
    /// pass the same message: the hub recognises it by its id.
    ///
    /// # Errors
    /// [`RequestError`]; the message was not accepted.
    pub fn send(
        &mut self,
        now: Instant,
        message: &Message<'_, impl PayloadBody>,
        options: SendOptions<'_>,
    ) -> Result<Ticket<Send<'static>>, RequestError> {
        self.request_untyped(
            now,
            FrameKind::SEND,
            &SendMessage::new(message).with_options(options),
        )
        .map(Ticket::new)
    }

    /// Makes a request. Exactly one [`Event::Response`] or [`Event::Failed`] with the ticket's id follows within
    /// [`ClientConfig::request_timeout`].
    ///
    /// # Errors
    /// [`RequestError`]; the request was not accepted.
    pub fn request<R: Request>(&mut self, now: Instant, request: &R) -> Result<Ticket<R>, RequestError> {
        self.request_untyped(now, R::KIND, request).map(Ticket::new)
    }

    /// [`ClientSession::request`] for a request whose type is known only at run time: `body` is encoded into a frame of
    /// `kind`.
    ///
    /// # Errors
    /// As [`ClientSession::request`].
    pub fn request_untyped(
        &mut self,
        now: Instant,
        kind: FrameKind,
        body: &dyn Encode, // one copy of this function for all requests
    ) -> Result<RequestId, RequestError> {
        let now = self.now(now);
        if !self.ready {
            return Err(RequestError::NotReady);
        }
        if self.outbox.len() >= usize::from(self.settings.max_pending) {
            return Err(RequestError::Full);
        }
        let len = wire::encoded_len(body) + wire::MAX_FRAME_HEADER_LEN;
        let max = self.max_request();
        if len > max {
            return Err(RequestError::TooLarge { len, max });
        }
        let id = self
            .outbox
            .push(kind, body, now, self.settings.request_timeout)
            .ok_or(RequestError::Full)?;
        self.flush_outbox();
        Ok(RequestId(id))
    }

    /// The longest frame of a request that can be sent, header included, on this connection or the last one: by this end's buffers,
    /// and by what the hub takes.
    #[must_use]
    pub fn max_request(&self) -> usize {
        self.hub_max_frame
            .min(self.link.tx_limit())
            .min(self.outbox.max_frame())
    }

    /// The driver has opened a connection for [`Output::Connect`].
    pub fn connected(&mut self, now: Instant) {
        let now = self.now(now);
        self.current = None;
        match self.phase {
            Phase::Connecting => {}
            // It was not requested, or is no longer needed.
            Phase::Idle | Phase::Waiting => return self.hang_up = true,
            // There was a connection already: the driver must close both.
            Phase::LoggingOut => return self.stop(NotReadyReason::LoggedOut),
            Phase::Hello | Phase::Login | Phase::Online => return self.hang_up_and_lose(now),
        }
        self.link.reset();
        self.keepalive = Keepalive::new(now);
        self.ack_is_expected = true;
        self.owed = None;
        if self.send_hello() {
            self.phase = Phase::Hello;
            self.until = now.plus(self.settings.login_timeout);
        } else {
            self.give_up(ErrorCode::FRAME_TOO_LARGE);
        }
    }

    /// The driver could not open the connection, or lost it. Drain [`ClientSession::poll`] first: unprocessed input is discarded,
    /// including a final GOODBYE.
    pub fn disconnected(&mut self, now: Instant) {
        let now = self.now(now);
        self.current = None;
        self.link.reset();
        match self.phase {
            Phase::Idle | Phase::Waiting => {}
            Phase::LoggingOut => self.stop(NotReadyReason::LoggedOut),
            _ => self.connection_lost(now),
        }
        self.hang_up = false;
    }

    /// Opens the next connection within this time, for a driver that knows another hub: the session does not wait for the rest of its
    /// back-off, or for as long as the last hub has asked for. Does nothing unless the session is waiting.
    pub fn connect_within(&mut self, now: Instant, wait: Duration) {
        let now = self.now(now);
        if self.phase == Phase::Waiting {
            self.until = self.until.min(now.plus(millis(wait)));
        }
    }

    /// Free space for received bytes, at least `len` if the buffer permits. If it is empty, poll first: pending events occupy the
    /// buffer. It is never empty on an open connection after [`Output::Wait`].
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        self.link.space(len)
    }

    /// `len` bytes were received into [`ClientSession::space`].
    pub fn received(&mut self, now: Instant, len: usize) {
        let now = self.now(now);
        self.link.received(len);
        if len > 0 {
            self.keepalive.bytes_received(self.link.framing(), now);
        }
    }

    /// Copies as many of these received bytes as fit, and returns how many.
    #[must_use = "the remaining bytes must be passed again"]
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) -> usize {
        let space = self.space(bytes.len());
        let len = space.len().min(bytes.len());
        fill(space, bytes);
        self.received(now, len);
        len
    }

    /// The bytes to send; confirm what was sent with [`ClientSession::transmitted`].
    pub fn outgoing(&self) -> &[u8] {
        self.link.outgoing()
    }

    /// `len` of the outgoing bytes were sent.
    pub fn transmitted(&mut self, len: usize) {
        self.link.transmitted(len);
        if len > 0 {
            self.keepalive.bytes_sent();
        }
        self.flush();
    }

    /// Holds acknowledgements back, or releases them, for an application that queues deliveries. While they are held, the hub
    /// delivers at most one window ahead; responses still arrive. Poll after releasing them.
    pub fn hold_acknowledgements(&mut self, hold: bool) {
        self.acks_held = hold;
    }

    /// The next step. Call it after each input, and again until it returns [`Output::Wait`]. The application has finished with an
    /// event when `poll` is called again: only then is a delivery acknowledged.
    pub fn poll(&mut self, now: Instant) -> Output<'_> {
        self.current = None;
        let now = self.now(now);
        let current = match self.step(now) {
            Step::Wait(until) => return Output::Wait(until.map(|until| self.time.in_driver_time(until))),
            Step::Connect => return Output::Connect,
            Step::Disconnect => return Output::Disconnect,
            Step::Event(current) => current,
        };
        self.current = Some(current);
        let event = current_event(&self.link, current, &self.settings.user, &self.delivered);
        if let Event::Malformed { .. } = event {
            self.malformed_frames = self.malformed_frames.wrapping_add(1);
        }
        Output::Event(event)
    }

    /// The event that the last [`ClientSession::poll`] returned, for a driver that shares the session and passes events on later.
    /// `None` if that poll returned something else, or if the connection was opened or lost since.
    pub fn event(&self) -> Option<Event<'_>> {
        self.current
            .map(|current| current_event(&self.link, current, &self.settings.user, &self.delivered))
    }

    /// What the session has counted so far.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            reconnects: self.attempt.saturating_sub(1),
            resends: self.outbox.resends(),
            malformed_frames: self.malformed_frames,
            round_trip: self.keepalive.round_trip(),
            ..self.link.counters.stats()
        }
    }
}

// The size that the front page states.
const _: () = assert!(size_of::<ClientSession<&str, crate::FixedBuffer<'static>>>() < 1024);
