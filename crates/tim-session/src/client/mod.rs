//! The client end: one session over any number of connections.

mod config;
mod event;
mod outbox;
mod reconnect;

pub use config::ClientConfig;
pub use event::{Event, NetState, NotReadyReason, Output, RequestError, Ticket};

use core::fmt;

use tim_proto::message::SendOptions;
use tim_proto::request::{Answer, Failure, Login, Push, Request, Resume, SendMessage, Synced};
use tim_proto::wire::{self, Encode, FrameKind, Hello, Role, decode_body, features};
use tim_proto::{ErrorCode, Message};

use crate::Instant;
use crate::buffer::Buffer;
use crate::link::{FrameAt, Link};
use event::Local;
use outbox::Outbox;
use reconnect::Backoff;

/// The longest cursor that a session keeps, in bytes.
pub const MAX_CURSOR_LEN: usize = 16;
/// The id of the LOGIN and LOGOUT requests, which the outbox never hands out.
const LOGIN_ID: u32 = 0;
/// How many events of its own a session can owe the application before it is polled again.
const MAX_LOCAL_EVENTS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not logged in and not trying to be.
    Idle,
    /// Waiting to try again.
    Waiting { until: Instant },
    /// The driver was asked for a connection.
    Connecting { until: Instant },
    /// The hub's hello is due.
    Hello { until: Instant },
    /// The answer to LOGIN is due.
    Login { until: Instant },
    /// Logged in.
    Online,
    /// LOGOUT was sent.
    LoggingOut { until: Instant },
}

/// A user's device.
///
/// `S` holds the UserSig (`&'static str` on a device, `String` elsewhere); `B` is the memory, see [`Buffer`].
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
/// // Skips the event that says so; then the driver is asked for a connection.
/// while let Output::Event(_) = session.poll(Instant::ZERO) {}
/// session.connected(Instant::ZERO);
/// assert_eq!(session.outgoing().len(), 20); // the hello
/// # Ok::<(), tim_session::proto::IdError>(())
/// ```
pub struct ClientSession<S, B> {
    config: ClientConfig,
    user_sig: S,
    link: Link<B>,
    outbox: Outbox<B>,
    phase: Phase,
    /// Whether the session ended and the requests that waited have not all been reported as failed.
    failing: bool,
    /// Whether the driver should close the connection that it has.
    hang_up: bool,
    /// Whether the driver has been told to open one.
    asked_to_connect: bool,
    ready: bool,
    /// Since when there has been no login, while trying to get one back.
    cut_since: Option<Instant>,
    backoff: Backoff,
    heard: Instant,
    /// When the hub was asked for a sign of life, if it owes one.
    pinged: Option<Instant>,
    account: u64,
    /// The largest frame that the hub takes.
    hub_max_frame: usize,
    cursor: Cursor,
    /// The delivery that the application was handed last and has not come back from.
    delivered: Option<(u32, Option<Cursor>)>,
    /// Deliveries taken but not acknowledged: how many, and the last one's id.
    unacked: u16,
    last_taken: u32,
    /// Whether acknowledgements wait for the application.
    acks_held: bool,
    locals: [Option<Local>; MAX_LOCAL_EVENTS],
}

/// Without the UserSig, which is a credential and stays out of logs; buffers show how full they are, not what is in them.
impl<S, B: fmt::Debug> fmt::Debug for ClientSession<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("config", &self.config)
            .field("phase", &self.phase)
            .field("ready", &self.ready)
            .field("cut_since", &self.cut_since)
            .field("heard", &self.heard)
            .field("pinged", &self.pinged)
            .field("account", &self.account)
            .field("cursor", &self.cursor)
            .field("unacked", &self.unacked)
            .field("link", &self.link)
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cursor {
    bytes: [u8; MAX_CURSOR_LEN],
    len: u8,
    resume: Resume,
}

impl Cursor {
    /// `None` for one that is empty or too long.
    fn new(cursor: &[u8]) -> Option<Self> {
        if cursor.is_empty() {
            return None;
        }
        let mut bytes = [0; MAX_CURSOR_LEN];
        bytes.get_mut(..cursor.len())?.copy_from_slice(cursor);
        Some(Self {
            bytes,
            len: cursor.len() as u8,
            resume: Resume::CURSOR,
        })
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

/// What `poll` decided before it borrows the received bytes for an event.
enum Step {
    Wait(Option<Instant>),
    Connect,
    Disconnect,
    Local(Local),
    Frame(FrameAt, FrameUse),
}

#[derive(Debug, Clone, Copy)]
enum FrameUse {
    LoggedIn,
    LoginFailed,
    KickedOut,
    Push,
    Answer(Ticket),
    /// An answer, but to a request of another kind than this one.
    WrongAnswer(Ticket),
    Failure(Ticket),
}

impl<S: AsRef<str>, B: Buffer> ClientSession<S, B> {
    /// A session that is not logged in.
    ///
    /// - `rx` must hold the largest frame that the device takes: its size is what the hub is told (with the config's
    ///   `max_frame` as the ceiling); longer messages arrive as stubs. A stub with the longest ids takes up to 256
    ///   bytes and the answer to a login 64 and the user's nick: with less, the hub may find no way to deliver or to let in.
    /// - `tx` must hold the longest request; 512 bytes and the longest UserSig do for logging in.
    /// - `outbox` holds the requests that wait for an answer, 28 bytes and the request each.
    /// - `seed` spreads the reconnects of many devices; any random number.
    pub fn new(config: ClientConfig, user_sig: S, rx: B, tx: B, outbox: B, seed: u64) -> Self {
        Self {
            backoff: Backoff::new(config.backoff_min, config.backoff_max, seed),
            config,
            user_sig,
            link: Link::new(rx, tx),
            outbox: Outbox::new(outbox),
            phase: Phase::Idle,
            failing: false,
            hang_up: false,
            asked_to_connect: false,
            ready: false,
            cut_since: None,
            heard: Instant::ZERO,
            pinged: None,
            account: 0,
            hub_max_frame: usize::MAX,
            cursor: Cursor::default(),
            delivered: None,
            unacked: 0,
            last_taken: 0,
            acks_held: false,
            locals: [None; MAX_LOCAL_EVENTS],
        }
    }

    /// Says where this device left off in an earlier life: the last [`ClientSession::cursor`] that the application kept.
    /// Returns whether it is one (at most [`MAX_CURSOR_LEN`] bytes, not empty). Call it before [`ClientSession::login`].
    pub fn resume_from(&mut self, cursor: &[u8]) -> bool {
        match Cursor::new(cursor) {
            Some(cursor) => {
                self.cursor = cursor;
                true
            }
            None => false,
        }
    }

    /// Asks for everything that is kept, oldest first, instead of what comes from now on. Before [`ClientSession::login`].
    pub fn resume_from_start(&mut self) {
        self.cursor = Cursor {
            resume: Resume::START,
            ..Cursor::default()
        };
    }

    /// Where the device stands: behind the last delivery that the application was done with. Empty before the first login.
    pub fn cursor(&self) -> &[u8] {
        self.cursor.as_slice()
    }

    /// The user's account number (`tinyID`), which goes into message ids; 0 before the first login.
    pub const fn account(&self) -> u64 {
        self.account
    }

    /// Whether requests are taken (S83): from SDK_READY to SDK_NOT_READY, short cuts of the line included.
    pub const fn is_ready(&self) -> bool {
        self.ready
    }

    /// What the session was made with.
    pub const fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// How many requests wait for an answer.
    pub const fn pending(&self) -> usize {
        self.outbox.len()
    }

    /// Begins to log in, and stays logged in until [`ClientSession::logout`] or a refusal. Does nothing if it is on already.
    pub fn login(&mut self, now: Instant) {
        if self.phase == Phase::Idle {
            self.cut_since = Some(now);
            self.backoff.reset();
            self.connect_at(now, now);
        }
    }

    /// Replaces the UserSig, say after [`ErrorCode::ACCOUNT_USERSIG_EXPIRED`]; used from the next login on.
    pub fn set_user_sig(&mut self, user_sig: S) {
        self.user_sig = user_sig;
    }

    /// Leaves on purpose. Requests that wait fail; `NotReady` follows, then the driver is told to hang up.
    pub fn logout(&mut self, now: Instant) {
        if self.phase == Phase::Online
            && self
                .link
                .send(FrameKind::LOGOUT, LOGIN_ID, &tim_proto::request::Done)
                .is_ok()
        {
            self.phase = Phase::LoggingOut {
                until: now + self.config.request_timeout,
            };
        } else if self.phase != Phase::Idle {
            self.stop(NotReadyReason::LoggedOut);
        }
    }

    /// Sends a message: the hub will have it once, however often the line is cut in between. The answer comes as an event
    /// with this ticket. To send a message again after it failed, pass the same message: its id is what counts.
    ///
    /// # Errors
    /// [`RequestError`]; nothing was taken then.
    pub fn send(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        options: SendOptions<'_>,
    ) -> Result<Ticket, RequestError> {
        self.request_body(
            now,
            FrameKind::SEND,
            &SendMessage {
                options,
                message: *message,
            },
        )
    }

    /// Makes any other request. The answer comes as an event with this ticket, exactly one, within the time-out.
    ///
    /// # Errors
    /// [`RequestError`]; nothing was taken then.
    pub fn request(&mut self, now: Instant, request: &Request<'_>) -> Result<Ticket, RequestError> {
        self.request_body(now, request.kind(), request)
    }

    fn request_body<T: Encode>(
        &mut self,
        now: Instant,
        kind: FrameKind,
        body: &T,
    ) -> Result<Ticket, RequestError> {
        if !self.ready {
            return Err(RequestError::NotReady);
        }
        if self.outbox.len() >= usize::from(self.config.max_pending) {
            return Err(RequestError::Full);
        }
        let len = wire::encoded_len(body) + wire::MAX_FRAME_HEADER_LEN;
        let max = self
            .hub_max_frame
            .min(self.link.tx_limit())
            .min(self.outbox.max_frame());
        if len > max {
            return Err(RequestError::TooLarge { len, max });
        }
        let id = self
            .outbox
            .push(kind, body, now, self.config.request_timeout)
            .ok_or(RequestError::Full)?;
        self.flush_outbox();
        Ok(Ticket(id))
    }

    /// The driver has opened a connection, as [`Output::Connect`] asked.
    pub fn connected(&mut self, now: Instant) {
        match self.phase {
            Phase::Connecting { .. } => {}
            // Nobody asked for it, or not any more.
            Phase::Idle | Phase::Waiting { .. } => return self.hang_up = true,
            // There was one already: the driver is told to close both, and then it is as after any cut.
            Phase::LoggingOut { .. } => return self.stop(NotReadyReason::LoggedOut),
            Phase::Hello { .. } | Phase::Login { .. } | Phase::Online => return self.hang_up_and_lose(now),
        }
        self.link.reset();
        self.heard = now;
        self.pinged = None;
        let hello = Hello {
            min_version: wire::VERSION,
            max_version: wire::VERSION,
            role: Role::CLIENT,
            features: features::STUBS,
            max_frame: u32::try_from(self.max_frame()).unwrap_or(u32::MAX),
            window: self.config.window,
        };
        if self.link.rx_limit() >= Hello::LEN && self.link.send_hello(&hello) {
            self.phase = Phase::Hello {
                until: now + self.config.login_timeout,
            };
        } else {
            self.give_up(ErrorCode::FRAME_TOO_LARGE);
        }
    }

    /// The driver could not open a connection, or lost it. Poll first: what was received and not polled is forgotten, be it
    /// the hub's word that the device must not come back.
    pub fn disconnected(&mut self, now: Instant) {
        self.link.reset();
        match self.phase {
            Phase::Idle | Phase::Waiting { .. } => {}
            Phase::LoggingOut { .. } => self.stop(NotReadyReason::LoggedOut),
            _ => self.lose(now),
        }
        self.hang_up = false;
    }

    /// Room for received bytes, at least `len` of them if that can be had. Empty: poll first, the events in the way must go.
    /// It is never empty on an open connection after a poll that said [`Output::Wait`].
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        self.link.space(len)
    }

    /// `len` bytes were received into [`ClientSession::space`].
    pub fn received(&mut self, now: Instant, len: usize) {
        self.link.received(len);
        if len > 0 {
            self.heard = now;
            self.pinged = None;
        }
    }

    /// Takes as many of these received bytes as there is room for, and returns how many that were.
    #[must_use = "bytes that were not taken must be offered again"]
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) -> usize {
        let space = self.space(bytes.len());
        let len = space.len().min(bytes.len());
        if let (Some(space), Some(bytes)) = (space.get_mut(..len), bytes.get(..len)) {
            space.copy_from_slice(bytes);
        }
        self.received(now, len);
        len
    }

    /// The bytes to send now; confirm what was sent with [`ClientSession::transmitted`].
    pub fn outgoing(&self) -> &[u8] {
        self.link.outgoing()
    }

    /// `len` of the outgoing bytes were sent.
    pub fn transmitted(&mut self, len: usize) {
        self.link.transmitted(len);
        self.flush_outbox();
    }

    /// Holds acknowledgements back, or lets them go, for an application that keeps deliveries to work through later: while
    /// they are held, the hub delivers no more than a window ahead, and answers still come. Poll after letting go.
    pub fn hold_acknowledgements(&mut self, hold: bool) {
        self.acks_held = hold;
    }

    /// What is next. Call it after every input, and again until it says [`Output::Wait`]. An event is done with when `poll`
    /// is called again: only then is a delivery acknowledged and the cursor moved.
    pub fn poll(&mut self, now: Instant) -> Output<'_> {
        match self.step(now) {
            Step::Wait(until) => Output::Wait(until),
            Step::Connect => Output::Connect,
            Step::Disconnect => Output::Disconnect,
            Step::Local(local) => Output::Event(local.into()),
            Step::Frame(at, usage) => Output::Event(self.frame_event(at, usage)),
        }
    }

    fn step(&mut self, now: Instant) -> Step {
        self.settle_event();
        loop {
            if let Some(local) = self.next_local() {
                return Step::Local(local);
            }
            if self.hang_up {
                self.hang_up = false;
                self.link.reset();
                return Step::Disconnect;
            }
            // Frames go before time: what came before a late poll is not late.
            match self.next_frame(now) {
                Ok(Some((at, usage))) => return Step::Frame(at, usage),
                Ok(None) if self.has_work() => continue,
                Ok(None) => {}
                Err(Broken) => {
                    self.hang_up_and_lose(now);
                    continue;
                }
            }
            if let Some((id, _)) = self.outbox.take_expired(now) {
                return Step::Local(Local::Failed(Ticket(id), ErrorCode::NETWORK_TIMEOUT));
            }
            if self.advance_time(now) {
                continue;
            }
            if let Phase::Connecting { .. } = self.phase
                && !self.asked_to_connect
            {
                self.asked_to_connect = true;
                return Step::Connect;
            }
            break;
        }
        self.acknowledge();
        self.flush_outbox();
        Step::Wait(self.next_wake())
    }

    fn has_work(&self) -> bool {
        self.hang_up || self.locals.iter().any(Option::is_some)
    }

    /// The application is done with the event that it was handed last.
    fn settle_event(&mut self) {
        self.link.release_taken();
        if let Some((id, cursor)) = self.delivered.take() {
            if let Some(cursor) = cursor {
                self.cursor = cursor;
            }
            self.last_taken = id;
            self.unacked = self.unacked.saturating_add(1);
            let more = self.link.more_frames(self.max_frame());
            if !more || self.unacked >= (self.config.window / 2).max(1) {
                self.acknowledge();
            }
        }
    }

    fn acknowledge(&mut self) {
        let online = matches!(self.phase, Phase::Online);
        if self.unacked > 0
            && online
            && !self.acks_held
            && self
                .link
                .send(FrameKind::ACK, self.last_taken, &tim_proto::request::Done)
                .is_ok()
        {
            self.unacked = 0;
        }
    }

    /// Moves requests from the outbox to the line, as far as there is room.
    fn flush_outbox(&mut self) {
        if self.phase != Phase::Online {
            return;
        }
        let link = &mut self.link;
        while self.outbox.next_unsent(|frame| link.send_bytes(frame)) {}
    }

    /// Acts on whatever time has come; whether anything was done.
    fn advance_time(&mut self, now: Instant) -> bool {
        if let Some(since) = self.cut_since
            && self.ready
            && now >= since + self.config.resume_window
        {
            self.ready = false;
            self.push_local(Local::NotReady(NotReadyReason::ConnectionLost));
            return true;
        }
        match self.phase {
            Phase::Waiting { until } if now >= until => self.connect_at(now, now),
            Phase::Connecting { until } if now >= until => self.hang_up_and_lose(now),
            Phase::Hello { until } | Phase::Login { until } if now >= until => self.hang_up_and_lose(now),
            Phase::LoggingOut { until } if now >= until => self.stop(NotReadyReason::LoggedOut),
            Phase::Online if now >= self.keep_alive_deadline() => {
                let ping = tim_proto::request::Done;
                if self.pinged.is_some() || self.link.send(FrameKind::PING, 0, &ping).is_err() {
                    self.hang_up_and_lose(now); // if it cannot be sent, nothing has moved for so long that the line is full
                } else {
                    self.pinged = Some(now);
                }
            }
            _ => return false,
        }
        true
    }

    fn keep_alive_deadline(&self) -> Instant {
        // From the ping on, not from the end of the silence: a poll may come late, and the peer cannot help that.
        match self.pinged {
            Some(asked) => asked + self.config.keep_alive_timeout,
            None => self.heard + self.config.keep_alive,
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Idle => None,
            Phase::Waiting { until }
            | Phase::Connecting { until }
            | Phase::Hello { until }
            | Phase::Login { until }
            | Phase::LoggingOut { until } => Some(until),
            Phase::Online => Some(self.keep_alive_deadline()),
        };
        let cut = self
            .cut_since
            .filter(|_| self.ready)
            .map(|since| since + self.config.resume_window);
        [phase, cut, self.outbox.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Deals with what needs no event, up to the first frame that is one.
    fn next_frame(&mut self, now: Instant) -> Result<Option<(FrameAt, FrameUse)>, Broken> {
        if let Phase::Hello { .. } = self.phase {
            let Some(hello) = self.link.take_hello().map_err(|_| Broken)? else {
                return Ok(None);
            };
            self.greet(&hello, now)?;
        }
        loop {
            if !matches!(
                self.phase,
                Phase::Login { .. } | Phase::Online | Phase::LoggingOut { .. }
            ) {
                return Ok(None);
            }
            let Some(at) = self.link.next_frame(self.max_frame()).map_err(|_| Broken)? else {
                return Ok(None);
            };
            if let Some(usage) = self.use_frame(at, now)? {
                return Ok(Some((at, usage)));
            }
            self.link.release_taken();
            if self.has_work() {
                return Ok(None);
            }
        }
    }

    fn greet(&mut self, hello: &Hello, now: Instant) -> Result<(), Broken> {
        let ours = Hello {
            min_version: wire::VERSION,
            max_version: wire::VERSION,
            ..*hello
        };
        if hello.role != Role::HUB {
            return Err(Broken);
        }
        if hello.common_version(&ours).is_none() {
            self.give_up(ErrorCode::UNSUPPORTED_VERSION);
            return Ok(());
        }
        self.hub_max_frame = hello.max_frame as usize;
        let login = Login {
            app: self.config.app,
            user: self.config.user,
            user_sig: self.user_sig.as_ref(),
            device: self.config.device,
            platform: self.config.platform,
            resume: self.cursor.resume,
            cursor: self.cursor.as_slice(),
        };
        let len = wire::encoded_len(&login) + wire::MAX_FRAME_HEADER_LEN;
        if len > self.hub_max_frame.min(self.link.tx_limit()) {
            self.give_up(ErrorCode::FRAME_TOO_LARGE);
            return Ok(());
        }
        self.link
            .send(FrameKind::LOGIN, LOGIN_ID, &login)
            .map_err(|_| Broken)?;
        self.phase = Phase::Login {
            until: now + self.config.login_timeout,
        };
        Ok(())
    }

    /// Acts on a frame and says what event it makes, if any.
    fn use_frame(&mut self, at: FrameAt, now: Instant) -> Result<Option<FrameUse>, Broken> {
        let in_login = matches!(self.phase, Phase::Login { .. });
        Ok(match at.kind {
            FrameKind::PING => {
                // Without room for the answer the hub will ask again.
                let _ = self.link.send(FrameKind::PONG, at.id, &tim_proto::request::Done);
                None
            }
            FrameKind::PONG => None,
            FrameKind::GOODBYE => self.farewell(at, now),
            kind if in_login && kind == FrameKind::LOGIN.answer() => Some(self.logged_in(at)?),
            FrameKind::ERROR if in_login && at.id == LOGIN_ID => self.login_refused(at, now)?,
            _ if in_login => return Err(Broken),
            kind if kind == FrameKind::LOGOUT.answer() => {
                self.stop(NotReadyReason::LoggedOut);
                None
            }
            FrameKind::ERROR => self.outbox.take(at.id).map(|_| FrameUse::Failure(Ticket(at.id))),
            kind if kind.is_answer() => self.outbox.take(at.id).map(|asked| match asked.answer() == kind {
                true => FrameUse::Answer(Ticket(at.id)),
                false => FrameUse::WrongAnswer(Ticket(at.id)),
            }),
            FrameKind::SYNCED => {
                // Everything before it has been taken: events come one by one.
                let synced: Synced<'_> = decode_body(self.link.body(at)).unwrap_or_default();
                if let Some(cursor) = Cursor::new(synced.cursor).filter(|cursor| cursor.len > 0) {
                    self.cursor = cursor;
                }
                if !self.ready {
                    self.ready = true;
                    self.push_local(Local::Ready);
                }
                None
            }
            FrameKind::DELIVER => {
                // The cursor stands first and counts even if the rest cannot be read: the entry must not come again.
                let cursor = wire::Reader::new(self.link.body(at)).take_bytes();
                self.delivered = Some((at.id, cursor.ok().and_then(Cursor::new)));
                Some(FrameUse::Push)
            }
            FrameKind::GAP | FrameKind::CONVERSATION => Some(FrameUse::Push),
            _ => None, // from a later version
        })
    }

    fn logged_in(&mut self, at: FrameAt) -> Result<FrameUse, Broken> {
        let Ok(Answer::Login(answer)) = Answer::decode(at.kind, self.link.body(at)) else {
            return Err(Broken);
        };
        let cursor = match answer.cursor {
            [] => None,
            cursor => Some(Cursor::new(cursor).ok_or(Broken)?),
        };
        self.account = answer.account;
        if self.cursor.resume == Resume::NOW {
            self.cursor = cursor.unwrap_or_default();
        }
        self.phase = Phase::Online;
        self.cut_since = None;
        self.unacked = 0;
        self.backoff.reset();
        self.flush_outbox();
        self.push_local(Local::NetState(NetState::Connected));
        Ok(FrameUse::LoggedIn)
    }

    fn login_refused(&mut self, at: FrameAt, now: Instant) -> Result<Option<FrameUse>, Broken> {
        let failure: Failure<'_> = decode_body(self.link.body(at)).map_err(|_| Broken)?;
        if is_transient(failure.code) {
            self.hang_up_and_lose(now);
            return Ok(None);
        }
        self.stop(NotReadyReason::Refused);
        Ok(Some(FrameUse::LoginFailed))
    }

    fn farewell(&mut self, at: FrameAt, now: Instant) -> Option<FrameUse> {
        let code = decode_body::<Failure<'_>>(self.link.body(at)).map(|failure| failure.code);
        match code {
            Ok(code) if is_kick(code) => {
                self.stop(NotReadyReason::KickedOut);
                Some(FrameUse::KickedOut)
            }
            _ => {
                self.hang_up_and_lose(now);
                None
            }
        }
    }

    fn frame_event(&self, at: FrameAt, usage: FrameUse) -> Event<'_> {
        let body = self.link.body(at);
        let broken = Failure {
            code: ErrorCode::PROTOCOL_VIOLATION,
            text: "the hub's answer is malformed",
        };
        let failure = || decode_body(body).unwrap_or(broken);
        match usage {
            FrameUse::LoggedIn => match Answer::decode(at.kind, body) {
                Ok(Answer::Login(answer)) => Event::LoggedIn(answer),
                _ => Event::LoginFailed(broken),
            },
            FrameUse::LoginFailed => Event::LoginFailed(failure()),
            FrameUse::KickedOut => Event::KickedOut(failure()),
            FrameUse::Failure(ticket) => Event::Failed {
                ticket,
                failure: failure(),
            },
            FrameUse::Answer(ticket) => match Answer::decode(at.kind, body) {
                Ok(answer) => Event::Answer { ticket, answer },
                Err(_) => Event::Failed {
                    ticket,
                    failure: broken,
                },
            },
            FrameUse::WrongAnswer(ticket) => Event::Failed {
                ticket,
                failure: broken,
            },
            FrameUse::Push => match Push::decode(at.kind, body) {
                Ok(Push::Deliver(deliver)) => Event::Delivered(deliver),
                Ok(Push::Gap(gap)) => Event::Gap(gap),
                Ok(Push::Conversation(change)) => Event::ConversationChanged(change),
                _ => Event::Malformed { kind: at.kind },
            },
        }
    }

    fn max_frame(&self) -> usize {
        self.link.rx_limit().min(self.config.max_frame as usize)
    }

    fn connect_at(&mut self, now: Instant, at: Instant) {
        if at > now {
            self.phase = Phase::Waiting { until: at };
        } else {
            self.phase = Phase::Connecting {
                until: now + self.config.connect_timeout,
            };
            self.asked_to_connect = false;
            self.push_local(Local::NetState(NetState::Connecting));
        }
    }

    fn hang_up_and_lose(&mut self, now: Instant) {
        self.hang_up = true;
        self.lose(now);
    }

    /// The connection is of no use any more; the session goes on.
    fn lose(&mut self, now: Instant) {
        if self.phase == Phase::Online {
            self.cut_since = Some(now);
            self.push_local(Local::NetState(NetState::Disconnected));
        }
        self.link.reset();
        self.outbox.rewind();
        self.keep_delivered();
        self.unacked = 0;
        let wait = self.backoff.next();
        self.connect_at(now, now + wait);
    }

    /// The session ends: everything that waits fails, and the driver hangs up.
    fn stop(&mut self, reason: NotReadyReason) {
        self.phase = Phase::Idle;
        self.failing = true;
        self.hang_up = true;
        self.cut_since = None;
        self.keep_delivered();
        if core::mem::take(&mut self.ready) {
            self.push_local(Local::NotReady(reason));
        }
    }

    /// No other try can do better: says so, and ends the session.
    fn give_up(&mut self, code: ErrorCode) {
        self.push_local(Local::LoginFailed(code));
        self.stop(NotReadyReason::Refused);
    }

    /// The connection that a delivery came on ends: it was handed over, so it must not come again on the next one.
    fn keep_delivered(&mut self) {
        if let Some((_, Some(cursor))) = self.delivered.take() {
            self.cursor = cursor;
        }
    }

    fn push_local(&mut self, local: Local) {
        if let Some(slot) = self.locals.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(local);
        } else if let Some(last) = self.locals.last_mut() {
            *last = Some(local); // only an application that never polls gets here; the newest state is what counts
        }
    }

    fn next_local(&mut self) -> Option<Local> {
        if self.failing {
            if let Some((id, _)) = self.outbox.take_any() {
                return Some(Local::Failed(Ticket(id), ErrorCode::LOGGED_OUT));
            }
            self.failing = false;
        }
        let first = self.locals.first_mut()?.take();
        if first.is_some() {
            self.locals.rotate_left(1);
        }
        first
    }
}

/// The peer broke the protocol, or nothing can be sent: the connection must go.
struct Broken;

/// Refusals that another try may not meet.
fn is_transient(code: ErrorCode) -> bool {
    [
        ErrorCode::SERVER_SHUTTING_DOWN,
        ErrorCode::RATE_LIMITED,
        ErrorCode::STORAGE_FAILED,
        ErrorCode::STORAGE_FULL,
    ]
    .contains(&code)
}

/// Farewells after which the device must not come back by itself.
fn is_kick(code: ErrorCode) -> bool {
    [
        ErrorCode::SESSION_REPLACED,
        ErrorCode::KICKED_OUT_MULT_DEVICE,
        ErrorCode::KICKED_OUT_MULT_ACCOUNT,
        ErrorCode::KICKED_OUT_USERSIG_EXPIRED,
        ErrorCode::KICKED_OUT_REST_API,
    ]
    .contains(&code)
}

// What the front page says of a session's size, on machines of any width.
const _: () = assert!(size_of::<ClientSession<&str, crate::FixedBuffer<'static>>>() < 1024);
