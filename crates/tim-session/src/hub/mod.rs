//! The hub end: one session for one connection.

use core::time::Duration;

use tim_proto::ErrorCode;
use tim_proto::request::{Answer, Done, Failure, Login, LoginAnswer, Request};
use tim_proto::wire::{
    self, BufferTooSmall, DecodeError, Encode, FrameError, FrameKind, Hello, MAX_FRAME_HEADER_LEN, Role,
    decode_body, encoded_len, features,
};

use crate::Instant;
use crate::buffer::Buffer;
use crate::link::{FrameAt, Framing, Link};

/// The largest frame before the login, in bytes; the longest LOGIN, with a UserSig of 4 KiB, is well below it.
const MAX_LOGIN_FRAME: usize = 8 * 1024;

/// What the hub accepts from a connection; every number a peer controls has its ceiling here.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct HubConfig {
    /// The largest frame to accept, in bytes. Default 64 KiB.
    pub max_frame: u32,
    /// How many requests of one connection may be under way at a time; more wait unread. Default 64.
    pub max_requests: u16,
    /// The most deliveries to send ahead, whatever window the client grants. Default 256.
    pub max_window: u16,
    /// How long hello and login may take together. Default 15 s.
    pub login_timeout: Duration,
    /// How long the line may be silent before the client is asked for a sign of life. Default 75 s.
    pub keep_alive: Duration,
    /// How long that sign may take, and how long a farewell may take to be sent. Default 10 s.
    pub keep_alive_timeout: Duration,
    /// What kind of line the connection is. Default [`Framing::Stream`].
    pub framing: Framing,
    /// With [`Framing::Serial`]: after how long without an answer the client is asked whether what was sent has come. No
    /// sign of life for three times as long after that is a cut. More than a round trip with the longest frame. Default 1 s.
    pub serial_retry: Duration,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            max_frame: 64 * 1024,
            max_requests: 64,
            max_window: 256,
            login_timeout: Duration::from_secs(15),
            keep_alive: Duration::from_secs(75),
            keep_alive_timeout: Duration::from_secs(10),
            framing: Framing::Stream,
            serial_retry: Duration::from_secs(1),
        }
    }
}

/// What a hub session wants next.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
#[allow(clippy::large_enum_variant)] // borrowed and short-lived, and there is no heap to put it on
pub enum HubOutput<'a> {
    /// Something for the hub. It is done with it when it polls again.
    Event(HubEvent<'a>),
    /// Close the connection, once what is outgoing has been sent. Said once; nothing follows.
    Close(CloseReason),
    /// Nothing until bytes come or go, a call is made, or this moment is reached.
    Wait(Option<Instant>),
}

/// Something for the hub.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum HubEvent<'a> {
    /// A client wants in; answer with [`HubSession::accept`] or [`HubSession::refuse`].
    Login(Login<'a>),
    /// A request; answer with [`HubSession::answer`] or [`HubSession::fail`] and this id, in any order.
    Request {
        /// Which request.
        id: u32,
        /// What it asks.
        request: Request<'a>,
        /// Its body as it came; for a SEND, [`tim_proto::request::Send::content_bytes`] finds in it what to store.
        body: &'a [u8],
    },
    /// A request that cannot be read; it must be answered with [`HubSession::fail`] all the same.
    Malformed {
        /// Which request.
        id: u32,
        /// Its kind.
        kind: FrameKind,
        /// What is wrong with it.
        error: DecodeError,
    },
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client logged out.
    LoggedOut,
    /// The hub's own wish ([`HubSession::goodbye`], [`HubSession::refuse`]).
    Goodbye(ErrorCode),
    /// The client broke the protocol; the code says how.
    Violation(ErrorCode),
    /// Hello, login or a sign of life did not come in time.
    TimedOut,
    /// A serial line lost bytes; the client was told and will say hello again.
    LineLost,
    /// On a serial line, the client said hello again, so the session it had is over. Its hello waits for the next session.
    Superseded,
}

/// Why an answer or push was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Too many bytes wait to be sent already; send some, then try again.
    #[error("the connection's outgoing bytes are at their ceiling")]
    Full,
    /// The client does not take frames of this size.
    #[error("a frame of {len} bytes, the client takes at most {max}")]
    TooLarge {
        /// How long the frame is.
        len: usize,
        /// The longest that the client takes.
        max: usize,
    },
    /// The connection is not, or no longer, logged in.
    #[error("nobody is logged in on this connection")]
    NotOnline,
}

/// Why a delivery was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The client has not acknowledged enough of the earlier ones.
    #[error("the client's window is used up")]
    Window,
    /// As for any answer.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Hello {
        until: Instant,
    },
    Login {
        until: Instant,
    },
    /// The hub is checking the login.
    Checking,
    Online,
    /// Closing; the reason has not been handed over yet.
    Closing(CloseReason),
    Closed,
}

/// The hub's end of one connection.
#[derive(Debug)]
pub struct HubSession<B> {
    config: HubConfig,
    link: Link<B>,
    phase: Phase,
    heard: Instant,
    /// When the client was asked for a sign of life, if it owes one.
    pinged: Option<Instant>,
    peer_max_frame: usize,
    peer_features: u32,
    window: u16,
    login_id: u32,
    /// Requests handed out and not answered.
    open_requests: u16,
    /// The id of the last delivery sent, and of the last one acknowledged.
    delivered: u32,
    acknowledged: u32,
}

impl<B: Buffer> HubSession<B> {
    /// A session for a connection that was just accepted. `rx` must hold `config.max_frame` bytes, `tx` the longest answer.
    pub fn new(config: HubConfig, rx: B, tx: B, now: Instant) -> Self {
        Self {
            link: Link::new(rx, tx),
            phase: Phase::Hello {
                until: now + config.login_timeout,
            },
            heard: now,
            pinged: None,
            peer_max_frame: 0,
            peer_features: 0,
            window: 0,
            login_id: 0,
            open_requests: 0,
            delivered: 0,
            acknowledged: 0,
            config,
        }
    }

    /// Room for received bytes, as large as can be had up to `len`. Empty: the events in the way must go first.
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        self.link.space(len)
    }

    /// How many more bytes can be received; 0 while requests under way are at their ceiling and the buffer is full.
    pub fn room(&self) -> usize {
        self.link.rx_room()
    }

    /// `len` bytes were received into [`HubSession::space`].
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

    /// The bytes to send now; confirm what was sent with [`HubSession::transmitted`].
    pub fn outgoing(&self) -> &[u8] {
        self.link.outgoing()
    }

    /// `len` of the outgoing bytes were sent.
    pub fn transmitted(&mut self, len: usize) {
        self.link.transmitted(len);
    }

    /// What is next. Call it after every input, and again until it says [`HubOutput::Wait`].
    pub fn poll(&mut self, now: Instant) -> HubOutput<'_> {
        self.link.release_taken();
        let next = match self.phase {
            Phase::Closing(_) | Phase::Closed => Ok(None),
            _ => self.next_frame(now),
        };
        match next {
            Ok(Some(at)) => return HubOutput::Event(self.frame_event(at)),
            Ok(None) => self.advance_time(now), // frames go before time: what came before a late poll is not late
            Err(code) => self.violated(code),
        }
        if let Phase::Closing(reason) = self.phase {
            self.phase = Phase::Closed;
            return HubOutput::Close(reason);
        }
        HubOutput::Wait(self.next_wake())
    }

    /// Lets the client in.
    ///
    /// # Errors
    /// [`AnswerError`], [`AnswerError::NotOnline`] if no login is being checked.
    pub fn accept(&mut self, answer: &LoginAnswer<'_>) -> Result<(), AnswerError> {
        if self.phase != Phase::Checking {
            return Err(AnswerError::NotOnline);
        }
        self.send(FrameKind::LOGIN.answer(), self.login_id, answer)?;
        self.phase = Phase::Online;
        Ok(())
    }

    /// Does not let the client in, says why, and closes.
    pub fn refuse(&mut self, code: ErrorCode, text: &str) {
        if self.phase == Phase::Checking {
            // Without room for the reason the closing must say it all.
            let _ = self.send(FrameKind::ERROR, self.login_id, &Failure { code, text });
            self.phase = Phase::Closing(CloseReason::Goodbye(code));
        }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`AnswerError`]; the request is still open then, so that a smaller answer or a failure can be sent.
    pub fn answer(&mut self, id: u32, kind: FrameKind, answer: &Answer<'_>) -> Result<(), AnswerError> {
        self.answer_body(id, kind, answer)
    }

    /// Answers a request with a body that the caller encodes: what [`Answer`] cannot say without decoding it first, such
    /// as stored messages passed on byte for byte.
    ///
    /// # Errors
    /// As [`HubSession::answer`].
    pub fn answer_body<T: Encode>(&mut self, id: u32, kind: FrameKind, body: &T) -> Result<(), AnswerError> {
        self.online()?;
        self.send(kind.answer(), id, body)?;
        self.open_requests = self.open_requests.saturating_sub(1);
        Ok(())
    }

    /// Answers a request with an error.
    ///
    /// # Errors
    /// [`AnswerError`]; the request is still open then.
    pub fn fail(&mut self, id: u32, code: ErrorCode, text: &str) -> Result<(), AnswerError> {
        self.online()?;
        self.send(FrameKind::ERROR, id, &Failure { code, text })?;
        self.open_requests = self.open_requests.saturating_sub(1);
        Ok(())
    }

    /// Says something that is neither an answer nor a delivery (GAP, SYNCED, CONVERSATION).
    ///
    /// # Errors
    /// [`AnswerError`]; nothing was sent then.
    pub fn push<T: Encode>(&mut self, kind: FrameKind, body: &T) -> Result<(), AnswerError> {
        self.online()?;
        self.send(kind, 0, body)
    }

    /// Hands over an entry: `message` is an encoded [`tim_proto::Message`], `payload_len` as in
    /// [`tim_proto::request::Deliver`].
    ///
    /// # Errors
    /// [`DeliverError`]; nothing was sent then. For [`AnswerError::TooLarge`] deliver a stub instead.
    pub fn deliver(&mut self, cursor: &[u8], payload_len: u32, message: &[u8]) -> Result<(), DeliverError> {
        self.online()?;
        if self.window_room() == 0 {
            return Err(DeliverError::Window);
        }
        let body_len = encoded_len(&cursor) + encoded_len(&payload_len) + message.len();
        self.check_size(body_len)?;
        let id = self.delivered.wrapping_add(1);
        let sent = self.link.send_with(FrameKind::DELIVER, id, body_len, |writer| {
            cursor.encode(writer);
            payload_len.encode(writer);
            writer.put(message);
        });
        sent.map_err(full)?;
        self.delivered = id;
        Ok(())
    }

    /// How many deliveries the client takes before it acknowledges more.
    pub fn window_room(&self) -> usize {
        let in_flight = self.delivered.wrapping_sub(self.acknowledged) as usize;
        usize::from(self.window).saturating_sub(in_flight)
    }

    /// How many deliveries the client takes before it has acknowledged any.
    pub const fn window(&self) -> usize {
        self.window as usize
    }

    /// The largest frame that the client takes, header included.
    pub const fn peer_max_frame(&self) -> usize {
        self.peer_max_frame
    }

    /// Bits of [`features`] that the client announced.
    pub const fn peer_features(&self) -> u32 {
        self.peer_features
    }

    /// How many more outgoing bytes can be queued.
    pub fn outgoing_room(&self) -> usize {
        self.link.tx_room()
    }

    /// Whether somebody is logged in on this connection.
    pub const fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online)
    }

    /// Says why the connection ends, and closes it.
    pub fn goodbye(&mut self, code: ErrorCode, text: &str) {
        if !matches!(self.phase, Phase::Closing(_) | Phase::Closed) {
            let _ = self.link.send(FrameKind::GOODBYE, 0, &Failure { code, text });
            self.phase = Phase::Closing(CloseReason::Goodbye(code));
        }
    }

    const fn online(&self) -> Result<(), AnswerError> {
        if self.is_online() {
            Ok(())
        } else {
            Err(AnswerError::NotOnline)
        }
    }

    fn send<T: Encode>(&mut self, kind: FrameKind, id: u32, body: &T) -> Result<(), AnswerError> {
        let body_len = encoded_len(body);
        self.check_size(body_len)?;
        self.link
            .send_with(kind, id, body_len, |writer| body.encode(writer))
            .map_err(full)
    }

    const fn check_size(&self, body_len: usize) -> Result<(), AnswerError> {
        let len = body_len.saturating_add(MAX_FRAME_HEADER_LEN);
        if len > self.peer_max_frame {
            Err(AnswerError::TooLarge {
                len,
                max: self.peer_max_frame,
            })
        } else {
            Ok(())
        }
    }

    fn violated(&mut self, code: ErrorCode) {
        let _ = self.link.send(FrameKind::GOODBYE, 0, &Failure { code, text: "" });
        self.phase = Phase::Closing(CloseReason::Violation(code));
    }

    fn advance_time(&mut self, now: Instant) {
        match self.phase {
            Phase::Hello { until } | Phase::Login { until } if now >= until => {
                self.phase = Phase::Closing(CloseReason::TimedOut);
            }
            Phase::Online if now >= self.keep_alive_deadline() => {
                if self.pinged.is_some() || self.link.send(FrameKind::PING, 0, &Done).is_err() {
                    self.phase = Phase::Closing(CloseReason::TimedOut);
                } else {
                    self.pinged = Some(now);
                }
            }
            _ => {}
        }
    }

    fn keep_alive_deadline(&self) -> Instant {
        // From the ping on, not from the end of the silence: a poll may come late, and the peer cannot help that.
        match self.pinged {
            Some(asked) => asked + self.config.keep_alive_timeout,
            None => self.heard + self.config.keep_alive,
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        match self.phase {
            Phase::Hello { until } | Phase::Login { until } => Some(until),
            Phase::Online => Some(self.keep_alive_deadline()),
            Phase::Checking | Phase::Closing(_) | Phase::Closed => None,
        }
    }

    /// Deals with what needs no event, up to the first frame that is one.
    fn next_frame(&mut self, now: Instant) -> Result<Option<FrameAt>, ErrorCode> {
        if let Phase::Hello { until } = self.phase {
            let hello = self
                .link
                .take_hello()
                .map_err(|_| ErrorCode::PROTOCOL_VIOLATION)?;
            let Some(hello) = hello else { return Ok(None) };
            self.greet(&hello)?;
            self.phase = Phase::Login { until };
        }
        loop {
            // Nobody has a claim to much memory before having said who they are.
            let max = if self.is_online() {
                self.max_frame()
            } else {
                self.max_frame().min(MAX_LOGIN_FRAME)
            };
            if self.phase == Phase::Checking || self.open_requests >= self.config.max_requests {
                return Ok(None);
            }
            let frame = self.link.next_frame(max).map_err(|error| match error {
                FrameError::TooLarge { .. } => ErrorCode::FRAME_TOO_LARGE,
                _ => ErrorCode::PROTOCOL_VIOLATION,
            })?;
            let Some(at) = frame else { return Ok(None) };
            if self.use_frame(at, now)? {
                return Ok(Some(at));
            }
            self.link.release_taken();
            if matches!(self.phase, Phase::Closing(_)) {
                return Ok(None);
            }
        }
    }

    fn greet(&mut self, hello: &Hello) -> Result<(), ErrorCode> {
        let ours = Hello {
            min_version: wire::VERSION,
            max_version: wire::VERSION,
            role: Role::HUB,
            features: features::STUBS,
            max_frame: u32::try_from(self.max_frame()).unwrap_or(u32::MAX),
            window: 0,
        };
        // Sent whatever the client speaks: it learns from it what the hub does.
        let _ = self.link.send_hello(&ours);
        if hello.role != Role::CLIENT {
            return Err(ErrorCode::PROTOCOL_VIOLATION);
        }
        if hello.common_version(&ours).is_none() {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        self.peer_max_frame = (hello.max_frame as usize).min(self.link.tx_limit());
        self.peer_features = hello.features;
        self.window = hello.window.min(self.config.max_window);
        Ok(())
    }

    /// Acts on a frame; whether it makes an event.
    fn use_frame(&mut self, at: FrameAt, now: Instant) -> Result<bool, ErrorCode> {
        let online = self.phase == Phase::Online;
        match at.kind {
            FrameKind::PING => {
                let _ = self.link.send(FrameKind::PONG, at.id, &Done);
                Ok(false)
            }
            FrameKind::PONG => Ok(false),
            FrameKind::LOGIN if !online => {
                if decode_body::<Login<'_>>(self.link.body(at)).is_err() {
                    return Err(ErrorCode::PROTOCOL_VIOLATION);
                }
                self.login_id = at.id;
                self.phase = Phase::Checking;
                self.heard = now;
                Ok(true)
            }
            _ if !online => Err(ErrorCode::USER_NOT_LOGGED_IN),
            FrameKind::ACK => self.acknowledge(at.id).map(|()| false),
            FrameKind::LOGOUT => {
                let _ = self.link.send(FrameKind::LOGOUT.answer(), at.id, &Done);
                self.phase = Phase::Closing(CloseReason::LoggedOut);
                Ok(false)
            }
            FrameKind::GOODBYE => {
                self.phase = Phase::Closing(CloseReason::LoggedOut);
                Ok(false)
            }
            FrameKind::LOGIN => Err(ErrorCode::PROTOCOL_VIOLATION),
            kind if kind.is_answer() => Ok(false), // nothing was asked, and nothing is believed
            _ => {
                self.open_requests += 1;
                Ok(true)
            }
        }
    }

    fn acknowledge(&mut self, id: u32) -> Result<(), ErrorCode> {
        let in_flight = self.delivered.wrapping_sub(self.acknowledged);
        if id.wrapping_sub(self.acknowledged) > in_flight {
            return Err(ErrorCode::PROTOCOL_VIOLATION); // acknowledges what was never delivered
        }
        self.acknowledged = id;
        Ok(())
    }

    fn frame_event(&self, at: FrameAt) -> HubEvent<'_> {
        let body = self.link.body(at);
        if at.kind == FrameKind::LOGIN {
            return match decode_body(body) {
                Ok(login) => HubEvent::Login(login),
                Err(error) => HubEvent::Malformed {
                    id: at.id,
                    kind: at.kind,
                    error,
                },
            };
        }
        match Request::decode(at.kind, body) {
            Ok(request) => HubEvent::Request {
                id: at.id,
                request,
                body,
            },
            Err(error) => HubEvent::Malformed {
                id: at.id,
                kind: at.kind,
                error,
            },
        }
    }

    fn max_frame(&self) -> usize {
        self.link.rx_limit().min(self.config.max_frame as usize)
    }
}

const fn full(_: BufferTooSmall) -> AnswerError {
    AnswerError::Full
}
