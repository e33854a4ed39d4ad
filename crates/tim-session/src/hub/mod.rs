//! The hub's end: one session per connection; on a serial port, one after the other.

mod config;
mod event;
mod machine;

pub use config::HubConfig;
use config::Limits;
pub use event::{CloseReason, DeliverError, HubEvent, HubOutput, SendError};

use tim_proto::ErrorCode;
use tim_proto::UserId;
use tim_proto::message::Header;
use tim_proto::planted::{self, Fault};
use tim_proto::request::{
    CompactCursor, CompactDeliver, Failure, Login, LoginResponse, RawRequest, Request, Synced,
};
use tim_proto::wire::{
    BufferTooSmall, Encode, FrameKind, Hello, MAX_FRAME_HEADER_LEN, Writer, decode_body, encoded_len,
    features,
};

use self::machine::Next;
use crate::buffer::Buffer;
use crate::client::MAX_CURSOR_LEN;
use crate::keepalive::Keepalive;
use crate::link::{FrameAt, Link};
use crate::time::{Moment, SessionTime};
use crate::{Framing, Instant, SessionStats};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for the client's hello; on a serial port without a timeout.
    Hello {
        until: Option<Moment>,
    },
    Login {
        until: Moment,
    },
    /// The hub is checking the login.
    Checking,
    Online,
    /// The client has logged out with this request. Those before it are answered first, until this instant at the latest.
    LoggingOut {
        id: u32,
        until: Moment,
    },
    /// Closing; the reason has not been returned yet.
    Closing(CloseReason),
    Closed,
}

/// The hub's end of one connection.
#[derive(Debug)]
pub struct HubSession<B> {
    limits: Limits,
    link: Link<B>,
    phase: Phase,
    /// The time base of all instants here.
    time: SessionTime,
    keepalive: Keepalive,
    /// The hello that ended the previous session.
    next_hello: Option<Hello>,
    peer_max_frame: usize,
    peer_features: u32,
    window: u16,
    /// The id of the LOGIN; afterwards of the last request, if the client asks when its response does not come, else 0.
    expected: u32,
    /// Session and attempt of the LOGIN, which the response repeats.
    login_session: u64,
    login_attempt: u32,
    /// The number of pending requests.
    open_requests: u16,
    /// The ids of the last delivery and of the last one that was acknowledged.
    delivered: u32,
    acknowledged: u32,
    /// How many frames without effect have been handled since the driver asked.
    idle_frames: u32,
    /// Whether the driver takes no requests for now.
    requests_held: bool,
    /// A request that was read and is not taken yet. Its bytes stay at the front of what was received.
    waiting: Option<FrameAt>,
    /// What has to be sent when there is capacity.
    owed: Owed,
    /// The last cursor that was sent on the connection behind the response to LOGIN; empty if it is not known.
    cursor: ([u8; MAX_CURSOR_LEN], u8),
}

/// Frames that did not fit into the outgoing bytes when they were due.
#[derive(Debug, Clone, Copy, Default)]
struct Owed {
    pong: bool,
    ping: bool,
    /// The GOODBYE that ends the session, or what refuses the login, without its text.
    farewell: bool,
    /// The id of the last PING without a PONG: one PONG proves as much as several.
    pong_id: u32,
    code: ErrorCode,
    retry_after_ms: u32,
}

// A hub has one for each connection.
#[cfg(all(feature = "alloc", target_pointer_width = "64"))]
const _: () = assert!(size_of::<HubSession<crate::GrowBuffer>>() <= 416);

impl<B: Buffer> HubSession<B> {
    /// A session for a connection that was just accepted. `rx` must hold `config.max_frame` bytes, and `tx` the longest response.
    pub fn new(config: HubConfig, rx: B, tx: B, now: Instant) -> Self {
        let limits = config.limits();
        let mut time = SessionTime::default();
        let now = time.at(now);
        Self {
            time,
            link: Link::new(config.framing, rx, tx),
            phase: Phase::Hello {
                until: match config.framing {
                    Framing::Stream => Some(now.plus(limits.login_timeout)),
                    Framing::Serial => None,
                },
            },
            keepalive: Keepalive::new(now),
            next_hello: None,
            peer_max_frame: 0,
            peer_features: 0,
            window: 0,
            login_session: 0,
            login_attempt: 0,
            open_requests: 0,
            expected: 0,
            delivered: 0,
            acknowledged: 0,
            idle_frames: 0,
            requests_held: false,
            waiting: None,
            owed: Owed::default(),
            cursor: ([0; MAX_CURSOR_LEN], 0),
            limits,
        }
    }

    /// The session's time. Once in eleven days, all its instants are moved back.
    fn now(&mut self, driver: Instant) -> Moment {
        let now = self.time.at(driver);
        if !self.time.is_at_the_horizon() {
            return now;
        }
        self.keepalive.move_back();
        if let Phase::Hello { until: Some(until) }
        | Phase::Login { until }
        | Phase::LoggingOut { until, .. } = &mut self.phase
        {
            until.move_back();
        }
        self.time.move_back()
    }

    /// Free space for received bytes, up to `len` if the buffer permits. If it is empty, poll first: pending events occupy the
    /// buffer.
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        self.link.space(len)
    }

    /// How many more bytes can be received; 0 while the number of pending requests is at its limit and the buffer is full.
    pub fn receive_capacity(&self) -> usize {
        self.link.rx_capacity()
    }

    /// How many received bytes have not been handled.
    pub fn received_len(&self) -> usize {
        self.link.rx_len()
    }

    /// How many bytes of memory the session's buffers take up: none while nothing has to be sent and all that was received is
    /// handled, if they grow as needed.
    pub fn buffered(&self) -> usize {
        self.link.buffered()
    }

    /// `len` bytes were received into [`HubSession::space`].
    pub fn received(&mut self, now: Instant, len: usize) {
        let now = self.now(now);
        self.link.received(len);
        if len > 0 {
            self.keepalive.bytes_received(self.framing(), now);
        }
    }

    /// Copies as many of these received bytes as fit, and returns how many.
    #[must_use = "the remaining bytes must be passed again"]
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) -> usize {
        let space = self.space(bytes.len());
        let len = space.len().min(bytes.len());
        if let (Some(space), Some(bytes)) = (space.get_mut(..len), bytes.get(..len)) {
            space.copy_from_slice(bytes);
        }
        self.received(now, len);
        len
    }

    /// The bytes to send; confirm what was sent with [`HubSession::transmitted`].
    pub fn outgoing(&self) -> &[u8] {
        self.link.outgoing()
    }

    /// `len` of the outgoing bytes were sent.
    pub fn transmitted(&mut self, len: usize) {
        self.link.transmitted(len);
        if len > 0 {
            self.keepalive.bytes_sent();
        }
        self.send_owed();
    }

    /// The next step. Call it after each input, and again until it returns [`HubOutput::Wait`].
    pub fn poll(&mut self, now: Instant) -> HubOutput<'_> {
        if self.waiting.is_none() {
            self.link.release_taken();
        }
        let now = self.now(now);
        let next = match self.phase {
            Phase::Closing(_) | Phase::Closed => Ok(Next::Nothing),
            _ => self.next_frame(now),
        };
        match next {
            Ok(Next::Event(at)) => return HubOutput::Event(self.frame_event(at)),
            Ok(Next::More) => return HubOutput::Event(HubEvent::More),
            Ok(Next::Nothing) => self.advance_time(now), // frames before timers: what arrived before a late poll is not late
            Err(reason) => self.end(reason),
        }
        self.send_owed();
        let mut wake = None;
        if let Phase::Closing(reason) = self.phase {
            let until = self.keepalive.stuck_at(now, &self.limits.keepalive);
            if !self.owed.farewell || now >= until {
                self.phase = Phase::Closed;
                return HubOutput::Close(reason);
            }
            wake = Some(until);
        }
        if self.link.take_sent() {
            self.keepalive.sent(now);
        }
        wake = wake.or_else(|| self.next_wake());
        HubOutput::Wait(wake.map(|until| self.time.in_driver_time(until)))
    }

    /// Waits for the next session on the same serial port, after [`HubOutput::Close`] ended one. No input of the next session is
    /// lost. With [`Framing::Stream`] a connection ends with its session, and this does nothing.
    pub fn begin_again(&mut self, now: Instant) {
        if self.phase != Phase::Closed || self.framing() != Framing::Serial {
            return;
        }
        let now = self.now(now);
        self.phase = Phase::Hello { until: None };
        self.keepalive = Keepalive::new(now);
        (self.peer_max_frame, self.peer_features, self.window) = (0, 0, 0);
        (self.expected, self.open_requests) = (0, 0);
        (self.delivered, self.acknowledged) = (0, 0);
        (self.waiting, self.requests_held) = (None, false);
        self.owed = Owed::default();
    }

    /// Accepts the login. Session and attempt of the LOGIN replace those of `response`.
    ///
    /// # Errors
    /// [`SendError`], [`SendError::NotOnline`] if no login is being checked.
    pub fn accept(&mut self, response: &LoginResponse<'_>) -> Result<(), SendError> {
        if self.phase != Phase::Checking {
            return Err(SendError::NotOnline);
        }
        let response = response
            .with_session(self.login_session)
            .with_attempt(self.login_attempt);
        self.send(FrameKind::LOGIN.answer(), self.expected, &response)?;
        (self.phase, self.expected) = (Phase::Online, 0);
        self.note_cursor(&[]);
        Ok(())
    }

    /// Refuses the login with a reason and the time of the next attempt, and closes the connection.
    pub fn refuse(&mut self, failure: &Failure<'_>) {
        if self.phase == Phase::Checking {
            if self.send(FrameKind::ERROR, self.expected, failure).is_err() {
                self.bid_farewell(failure);
            }
            self.phase = Phase::Closing(CloseReason::Goodbye(failure.code));
        }
    }

    /// Takes no more requests, or takes them again, for a driver that has enough of them. What the client says besides is handled
    /// all the same, as far as it does not stand behind a request: PINGs are answered, and acknowledgements count. Poll after
    /// releasing them.
    pub const fn hold_requests(&mut self, hold: bool) {
        self.requests_held = hold;
    }

    /// Responds to the request `id`, which is an `R`.
    ///
    /// # Errors
    /// [`SendError`]. The request is still open: a smaller response or a failure can be sent.
    pub fn respond<R: Request>(&mut self, id: u32, response: &R::Response<'_>) -> Result<(), SendError> {
        self.respond_untyped(id, R::KIND, response)
    }

    /// [`HubSession::respond`] with a body of any type, for responses that contain stored bytes as they are.
    ///
    /// # Errors
    /// As [`HubSession::respond`].
    pub fn respond_untyped(&mut self, id: u32, kind: FrameKind, body: &dyn Encode) -> Result<(), SendError> {
        self.answer(kind.answer(), id, body)
    }

    /// Responds to a request with an error.
    ///
    /// # Errors
    /// [`SendError`]; the request is still open then.
    pub fn fail(&mut self, id: u32, failure: &Failure<'_>) -> Result<(), SendError> {
        self.answer(FrameKind::ERROR, id, failure)
    }

    fn answer(&mut self, kind: FrameKind, id: u32, body: &dyn Encode) -> Result<(), SendError> {
        self.answering()?;
        if self.expected == id && id != 0 {
            let body_len = encoded_len(body);
            self.check_size(body_len)?;
            self.link
                .send_unconfirmed(kind, id, body_len, &mut |writer| body.encode(writer))
                .map_err(full)?;
            self.expected = 0;
            if self.delivered == self.acknowledged {
                // The client misses the response if anything before it is lost.
                self.link.take_sent();
                self.keepalive.proved();
            }
        } else {
            self.send(kind, id, body)?;
        }
        self.open_requests = self.open_requests.saturating_sub(1);
        Ok(())
    }

    /// Sends a push other than a delivery (GAP, SYNCED, CONVERSATION, EXPIRING). SYNCED belongs to answers, and is sent like them
    /// while a LOGOUT waits for those before it.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent.
    pub fn push(&mut self, kind: FrameKind, body: &dyn Encode) -> Result<(), SendError> {
        match kind {
            FrameKind::SYNCED => {
                self.answering()?;
                self.note_cursor(&[]); // what the body says is not known here
            }
            _ => self.online()?,
        }
        self.send(kind, 0, body)
    }

    /// Sends SYNCED with this cursor, from which the cursors of compact deliveries may differ little.
    ///
    /// # Errors
    /// As [`HubSession::push`].
    pub fn synced(&mut self, cursor: &[u8]) -> Result<(), SendError> {
        self.push(FrameKind::SYNCED, &Synced::new().with_cursor(cursor))?;
        self.note_cursor(cursor);
        Ok(())
    }

    /// Delivers an entry: `message` is an encoded [`tim_proto::Message`], `payload_len` as in
    /// [`tim_proto::request::Deliver`].
    ///
    /// # Errors
    /// [`DeliverError`]; nothing was sent. After [`SendError::TooLarge`], deliver a stub instead.
    pub fn deliver(&mut self, cursor: &[u8], payload_len: u32, message: &[u8]) -> Result<(), DeliverError> {
        let len = encoded_len(&cursor) + encoded_len(&payload_len) + message.len();
        self.put_delivery(FrameKind::DELIVER, cursor, len, &mut |writer| {
            cursor.encode(writer);
            payload_len.encode(writer);
            writer.put(message);
        })
    }

    /// As [`HubSession::deliver`], without what the receiver knows, if the client asked for that: `receiver` is its user, `device`
    /// its number.
    ///
    /// # Errors
    /// As [`HubSession::deliver`].
    pub fn deliver_to(
        &mut self,
        receiver: &UserId,
        device: u64,
        cursor: &[u8],
        payload_len: u32,
        message: &[u8],
    ) -> Result<(), DeliverError> {
        if self.peer_features & features::COMPACT == 0 {
            return self.deliver(cursor, payload_len, message);
        }
        let Ok(header) = decode_body::<Header<'_>>(message) else {
            return self.deliver(cursor, payload_len, message);
        };
        let with_numbers = self.peer_features & features::COMPACT_NUMBERS != 0;
        let moved = self.cursor_from_last(cursor);
        let compact = CompactDeliver::of(&header, payload_len, moved, receiver, device, with_numbers);
        let len = encoded_len(&compact);
        if len > encoded_len(&cursor) + encoded_len(&payload_len) + message.len() {
            return self.deliver(cursor, payload_len, message);
        }
        self.put_delivery(FrameKind::DELIVER_COMPACT, cursor, len, &mut |writer| {
            compact.encode(writer);
        })
    }

    fn put_delivery(
        &mut self,
        kind: FrameKind,
        cursor: &[u8],
        body_len: usize,
        write: &mut dyn FnMut(&mut Writer<'_>),
    ) -> Result<(), DeliverError> {
        self.online()?;
        if self.window_capacity() == 0 && !planted::is(Fault::WindowUnchecked) {
            return Err(DeliverError::Window);
        }
        self.check_size(body_len)?;
        let id = self.delivered.wrapping_add(1);
        self.link.send_with(kind, id, body_len, write).map_err(full)?;
        self.link.expect_proof(id);
        self.delivered = id;
        if !cursor.is_empty() {
            self.note_cursor(cursor);
        }
        Ok(())
    }

    fn note_cursor(&mut self, cursor: &[u8]) {
        let (bytes, len) = &mut self.cursor;
        *len = match bytes.get_mut(..cursor.len()) {
            Some(bytes) => {
                bytes.copy_from_slice(cursor);
                cursor.len() as u8
            }
            None => 0, // longer than a client keeps
        };
    }

    /// The difference of a cursor from the last one that was sent.
    fn cursor_from_last<'a>(&self, cursor: &'a [u8]) -> CompactCursor<'a> {
        let (last, len) = &self.cursor;
        let last = last.iter().take(usize::from(*len));
        let same = cursor
            .iter()
            .zip(last)
            .take_while(|(new, old)| new == old)
            .count();
        // Without a rest there would be no cursor.
        let shared = same.min(cursor.len().saturating_sub(1));
        CompactCursor::new()
            .with_shared(shared as u8)
            .with_rest(cursor.get(shared..).unwrap_or_default())
    }

    /// How many frames since the last call had no effect: PINGs, ACKs that acknowledged nothing, responses that nobody waits for.
    /// For a hub that limits what a client may cost.
    pub const fn take_idle_frames(&mut self) -> u32 {
        core::mem::replace(&mut self.idle_frames, 0)
    }

    /// What the session has counted so far.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            round_trip: self.keepalive.round_trip(),
            ..self.link.counters.stats()
        }
    }

    /// How many more deliveries the client accepts before it acknowledges some.
    pub fn window_capacity(&self) -> usize {
        let in_flight = self.delivered.wrapping_sub(self.acknowledged) as usize;
        usize::from(self.window).saturating_sub(in_flight)
    }

    /// How many unacknowledged deliveries the client accepts.
    pub const fn window(&self) -> usize {
        self.window as usize
    }

    /// The largest frame that the client accepts, including the header.
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

    /// Whether a client is logged in on this connection.
    pub const fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online)
    }

    /// Closes the connection with a reason and the time of the next attempt. If there is no capacity for that now, the connection
    /// stays open until there is, without the text of the reason; not longer than [`HubConfig::keep_alive_timeout`] if the
    /// client takes nothing.
    pub fn goodbye(&mut self, failure: &Failure<'_>) {
        if !matches!(self.phase, Phase::Closing(_) | Phase::Closed) {
            self.bid_farewell(failure);
            self.phase = Phase::Closing(CloseReason::Goodbye(failure.code));
        }
    }

    const fn framing(&self) -> Framing {
        self.limits.keepalive.framing
    }

    const fn online(&self) -> Result<(), SendError> {
        if self.is_online() {
            Ok(())
        } else {
            Err(SendError::NotOnline)
        }
    }

    const fn answering(&self) -> Result<(), SendError> {
        match self.phase {
            Phase::LoggingOut { .. } => Ok(()),
            _ => self.online(),
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
        // A LOGIN that cannot be decoded has already ended the connection.
        match request.decode::<Login<'_>>() {
            Ok(login) => HubEvent::Login(login),
            Err(_) => HubEvent::Request { id: at.id, request },
        }
    }
}

const fn full(_: BufferTooSmall) -> SendError {
    SendError::Full
}
