//! The hub end: one session for one connection, and on a serial line one after the other.

mod config;
mod event;
mod machine;

pub use config::HubConfig;
pub use event::{CloseReason, DeliverError, HubEvent, HubOutput, SendError};

use tim_proto::request::{Failure, Login, LoginResponse, RawRequest, Request};
use tim_proto::wire::{BufferTooSmall, Encode, FrameKind, Hello, MAX_FRAME_HEADER_LEN, encoded_len};

use crate::buffer::Buffer;
use crate::keepalive::Keepalive;
use crate::link::{FrameAt, Link};
use crate::time::SessionTime;
use crate::{Framing, Instant, SessionStats};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The client's hello is due; on a serial line it may come when it likes.
    Hello {
        until: Option<Instant>,
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
    /// What all moments here are counted in.
    time: SessionTime,
    keepalive: Keepalive,
    /// The hello that ended the session before this one.
    next_hello: Option<Hello>,
    peer_max_frame: usize,
    peer_features: u32,
    window: u16,
    login_id: u32,
    /// The numbers of the LOGIN, which its answer repeats.
    login: (u64, u32),
    /// Requests handed out and not answered.
    open_requests: u16,
    /// The id of the last delivery sent, and of the last one acknowledged.
    delivered: u32,
    acknowledged: u32,
}

impl<B: Buffer> HubSession<B> {
    /// A session for a connection that was just accepted. `rx` must hold `config.max_frame` bytes, `tx` the longest answer.
    pub fn new(config: HubConfig, rx: B, tx: B, now: Instant) -> Self {
        let config = config.with_floors();
        let mut time = SessionTime::default();
        let now = time.at(now);
        Self {
            time,
            link: Link::new(config.framing, rx, tx),
            phase: Phase::Hello {
                until: match config.framing {
                    Framing::Stream => Some(now + config.login_timeout),
                    Framing::Serial => None,
                },
            },
            keepalive: Keepalive::new(now),
            next_hello: None,
            peer_max_frame: 0,
            peer_features: 0,
            window: 0,
            login_id: 0,
            login: (0, 0),
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
    pub fn receive_capacity(&self) -> usize {
        self.link.rx_capacity()
    }

    /// `len` bytes were received into [`HubSession::space`].
    pub fn received(&mut self, now: Instant, len: usize) {
        let now = self.time.at(now);
        self.link.received(len);
        if len > 0 {
            self.keepalive.bytes_received(self.config.framing, now);
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
        if len > 0 {
            self.keepalive.bytes_sent();
        }
    }

    /// What is next. Call it after every input, and again until it says [`HubOutput::Wait`].
    pub fn poll(&mut self, now: Instant) -> HubOutput<'_> {
        self.link.release_taken();
        let now = self.time.at(now);
        let next = match self.phase {
            Phase::Closing(_) | Phase::Closed => Ok(None),
            _ => self.next_frame(now),
        };
        match next {
            Ok(Some(at)) => return HubOutput::Event(self.frame_event(at)),
            Ok(None) => self.advance_time(now), // frames go before time: what came before a late poll is not late
            Err(reason) => self.end(reason),
        }
        if let Phase::Closing(reason) = self.phase {
            self.phase = Phase::Closed;
            return HubOutput::Close(reason);
        }
        if self.link.take_sent() {
            self.keepalive.sent(now);
        }
        let wake = self.next_wake();
        HubOutput::Wait(wake.map(|until| self.time.to_driver_time(until)))
    }

    /// The hub has done with the session that [`HubOutput::Close`] ended, and waits on the same serial line for the next
    /// one. Nothing that came for it is lost. With [`Framing::Stream`] a connection ends with its session, and this does
    /// nothing.
    pub fn begin_again(&mut self, now: Instant) {
        if self.phase != Phase::Closed || self.config.framing != Framing::Serial {
            return;
        }
        let now = self.time.at(now);
        self.phase = Phase::Hello { until: None };
        self.keepalive = Keepalive::new(now);
        (self.peer_max_frame, self.peer_features, self.window) = (0, 0, 0);
        (self.login_id, self.open_requests) = (0, 0);
        (self.delivered, self.acknowledged) = (0, 0);
    }

    /// Lets the client in. Whatever the answer says of session and attempt: what is sent repeats the LOGIN's.
    ///
    /// # Errors
    /// [`SendError`], [`SendError::NotOnline`] if no login is being checked.
    pub fn accept(&mut self, answer: &LoginResponse<'_>) -> Result<(), SendError> {
        if self.phase != Phase::Checking {
            return Err(SendError::NotOnline);
        }
        let (session, attempt) = self.login;
        let answer = LoginResponse {
            session,
            attempt,
            ..*answer
        };
        self.send(FrameKind::LOGIN.answer(), self.login_id, &answer)?;
        self.phase = Phase::Online;
        Ok(())
    }

    /// Does not let the client in, says why and when to try again, and closes.
    pub fn refuse(&mut self, failure: &Failure<'_>) {
        if self.phase == Phase::Checking {
            // Without room for the reason the closing must say it all.
            let _ = self.send(FrameKind::ERROR, self.login_id, failure);
            self.phase = Phase::Closing(CloseReason::Goodbye(failure.code));
        }
    }

    /// Responds to the request `id`, which is an `R`.
    ///
    /// # Errors
    /// [`SendError`]. The request is still open: a smaller response or a failure can be sent.
    pub fn respond<R: Request>(&mut self, id: u32, response: &R::Response<'_>) -> Result<(), SendError> {
        self.respond_untyped(id, R::KIND, response)
    }

    /// [`HubSession::respond`] with any body: for responses that pass stored bytes on without decoding them.
    ///
    /// # Errors
    /// As [`HubSession::respond`].
    pub fn respond_untyped(&mut self, id: u32, kind: FrameKind, body: &dyn Encode) -> Result<(), SendError> {
        self.online()?;
        self.send(kind.answer(), id, body)?;
        self.open_requests = self.open_requests.saturating_sub(1);
        Ok(())
    }

    /// Responds to a request with an error.
    ///
    /// # Errors
    /// [`SendError`]; the request is still open then.
    pub fn fail(&mut self, id: u32, failure: &Failure<'_>) -> Result<(), SendError> {
        self.online()?;
        self.send(FrameKind::ERROR, id, failure)?;
        self.open_requests = self.open_requests.saturating_sub(1);
        Ok(())
    }

    /// Says something that is neither an answer nor a delivery (GAP, SYNCED, CONVERSATION).
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent then.
    pub fn push(&mut self, kind: FrameKind, body: &dyn Encode) -> Result<(), SendError> {
        self.online()?;
        self.send(kind, 0, body)
    }

    /// Hands over an entry: `message` is an encoded [`tim_proto::Message`], `payload_len` as in
    /// [`tim_proto::request::Deliver`].
    ///
    /// # Errors
    /// [`DeliverError`]; nothing was sent then. For [`SendError::TooLarge`] deliver a stub instead.
    pub fn deliver(&mut self, cursor: &[u8], payload_len: u32, message: &[u8]) -> Result<(), DeliverError> {
        self.online()?;
        if self.window_capacity() == 0 {
            return Err(DeliverError::Window);
        }
        let body_len = encoded_len(&cursor) + encoded_len(&payload_len) + message.len();
        self.check_size(body_len)?;
        let id = self.delivered.wrapping_add(1);
        let sent = self
            .link
            .send_with(FrameKind::DELIVER, id, body_len, &mut |writer| {
                cursor.encode(writer);
                payload_len.encode(writer);
                writer.put(message);
            });
        sent.map_err(full)?;
        self.delivered = id;
        Ok(())
    }

    /// What the session has counted so far.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            round_trip: self.keepalive.round_trip(),
            ..self.link.counters.stats()
        }
    }

    /// How many deliveries the client takes before it acknowledges more.
    pub fn window_capacity(&self) -> usize {
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

    /// Bits of [`tim_proto::wire::features`] that the client announced.
    pub const fn peer_features(&self) -> u32 {
        self.peer_features
    }

    /// How many more outgoing bytes can be queued.
    pub fn outgoing_capacity(&self) -> usize {
        self.link.tx_capacity()
    }

    /// Whether somebody is logged in on this connection.
    pub const fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online)
    }

    /// Says why the connection ends and when to come back, and closes it.
    pub fn goodbye(&mut self, failure: &Failure<'_>) {
        if !matches!(self.phase, Phase::Closing(_) | Phase::Closed) {
            let _ = self.link.send(FrameKind::GOODBYE, 0, failure);
            self.phase = Phase::Closing(CloseReason::Goodbye(failure.code));
        }
    }

    const fn online(&self) -> Result<(), SendError> {
        if self.is_online() {
            Ok(())
        } else {
            Err(SendError::NotOnline)
        }
    }

    fn send(&mut self, kind: FrameKind, id: u32, body: &dyn Encode) -> Result<(), SendError> {
        let body_len = encoded_len(body);
        self.check_size(body_len)?;
        self.link
            .send_with(kind, id, body_len, &mut |writer| body.encode(writer))
            .map_err(full)
    }

    const fn check_size(&self, body_len: usize) -> Result<(), SendError> {
        let len = body_len.saturating_add(MAX_FRAME_HEADER_LEN);
        if len > self.peer_max_frame {
            Err(SendError::TooLarge {
                len,
                max: self.peer_max_frame,
            })
        } else {
            Ok(())
        }
    }

    fn frame_event(&self, at: FrameAt) -> HubEvent<'_> {
        let request = RawRequest::new(at.kind, self.link.body(at));
        // A LOGIN that cannot be decoded has ended the connection before this.
        match request.decode::<Login<'_>>() {
            Ok(login) => HubEvent::Login(login),
            Err(_) => HubEvent::Request { id: at.id, request },
        }
    }
}

const fn full(_: BufferTooSmall) -> SendError {
    SendError::Full
}
