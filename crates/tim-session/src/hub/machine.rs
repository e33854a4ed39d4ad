//! Polling a hub session: first received frames, then timers.

use tim_proto::ErrorCode;
use tim_proto::request::{Done, Failure, Login};
use tim_proto::wire::{self, End, FrameError, FrameKind, Hello, decode_body, features};

use super::{CloseReason, HubSession, Owed, Phase};
use crate::Framing;
use crate::buffer::Buffer;
use crate::keepalive::{Due, Keepalive};
use crate::link::{FrameAt, Packet};
use crate::time::Moment;

/// The largest frame before the login, in bytes; a LOGIN with a UserSig of 4 KiB is well below it.
const MAX_LOGIN_FRAME: usize = 8 * 1024;
/// How many frames one poll handles that are no events: a client that sends nothing else does not keep the driver from others.
const MAX_OWN_FRAMES: u32 = 16;

/// What a poll finds among the received frames.
pub(super) enum Next {
    /// This frame is an event.
    Event(FrameAt),
    /// No event yet.
    More,
    Nothing,
}

impl<B: Buffer> HubSession<B> {
    /// Ends the session with a reason.
    pub(super) fn end(&mut self, reason: CloseReason) {
        let code = match reason {
            CloseReason::Violation(code) => Some(code),
            CloseReason::LineLost => {
                self.link.forget_outgoing(); // the GOODBYE must not wait for it
                Some(ErrorCode::NETWORK_ERROR)
            }
            _ => None,
        };
        if let Some(code) = code {
            self.bid_farewell(&Failure::new(code, ""));
        }
        self.phase = Phase::Closing(reason);
    }

    /// Sends a GOODBYE, now or when there is capacity.
    pub(super) fn bid_farewell(&mut self, failure: &Failure<'_>) {
        self.owed = Owed {
            farewell: self.link.send(FrameKind::GOODBYE, 0, failure).is_err(),
            code: failure.code,
            retry_after_ms: failure.retry_after_ms,
            ..Owed::default()
        };
    }

    /// Sends what did not fit before, as far as it fits now.
    pub(super) fn send_owed(&mut self) {
        let owed = self.owed;
        if owed.pong && self.link.send(FrameKind::PONG, owed.pong_id, &Done).is_ok() {
            self.owed.pong = false;
            self.expected = 0; // the PONG proves the request, and the client does not wait for the response any longer
        }
        if owed.ping && self.link.send(FrameKind::PING, 0, &Done).is_ok() {
            self.owed.ping = false;
        }
        if owed.farewell {
            let failure = Failure::new(owed.code, "").with_retry_after_ms(owed.retry_after_ms);
            self.owed.farewell = self.link.send(FrameKind::GOODBYE, 0, &failure).is_err();
        }
    }

    pub(super) fn advance_time(&mut self, now: Moment) {
        match self.phase {
            Phase::Hello { until: Some(until) } | Phase::Login { until } if now >= until => {
                self.phase = Phase::Closing(CloseReason::TimedOut);
            }
            Phase::Online => self.check_keepalive(now),
            Phase::LoggingOut { id, until } if self.open_requests == 0 || now >= until => {
                let is_sent = self.link.send(FrameKind::LOGOUT.answer(), id, &Done).is_ok();
                if is_sent || now >= until {
                    self.phase = Phase::Closing(CloseReason::LoggedOut);
                }
            }
            _ => {}
        }
    }

    fn check_keepalive(&mut self, now: Moment) {
        let blocked = !self.link.outgoing().is_empty();
        match self.keepalive.due(now, &self.limits.keepalive, blocked) {
            None | Some(Due::Later) => {}
            Some(Due::Ping) => {
                self.keepalive.asked(self.time.micros());
                self.owed.ping = true;
            }
            Some(Due::Lost) => self.phase = Phase::Closing(CloseReason::TimedOut),
        }
    }

    pub(super) fn next_wake(&self) -> Option<Moment> {
        match self.phase {
            Phase::Hello { until } => until,
            Phase::Login { until } | Phase::LoggingOut { until, .. } => Some(until),
            Phase::Online => Some(self.keepalive.deadline(&self.limits.keepalive)),
            Phase::Checking | Phase::Closing(_) | Phase::Closed => None,
        }
    }

    /// Handles frames up to the first one that is an event, or up to the most that one poll handles.
    pub(super) fn next_frame(&mut self, now: Moment) -> Result<Next, CloseReason> {
        let mut handled = 0;
        while self.takes_frames() {
            if handled == MAX_OWN_FRAMES {
                return Ok(Next::More);
            }
            let next = match self.framing() {
                _ if self.waiting.is_some() => self.waiting.take(),
                Framing::Stream => self.next_on_stream(now)?,
                Framing::Serial => self.next_on_serial(now)?,
            };
            let Some(at) = next else { break };
            if self.has_to_wait(at.kind) {
                self.waiting = Some(at);
                break;
            }
            if self.use_frame(at, now).map_err(CloseReason::Violation)? {
                return Ok(Next::Event(at));
            }
            self.link.release_taken();
            handled += 1;
        }
        Ok(Next::Nothing)
    }

    /// Whether it is a request that cannot be taken now.
    fn has_to_wait(&self, kind: FrameKind) -> bool {
        let has_enough = self.requests_held || self.open_requests >= self.limits.max_requests;
        has_enough && self.is_online() && is_request(kind)
    }

    const fn takes_frames(&self) -> bool {
        matches!(
            self.phase,
            Phase::Hello { .. } | Phase::Login { .. } | Phase::Online
        )
    }

    /// The largest frame that is accepted now; before the login it is small.
    fn max_frame_now(&self) -> usize {
        if self.is_online() {
            self.max_frame()
        } else {
            self.max_frame().min(MAX_LOGIN_FRAME)
        }
    }

    fn next_on_stream(&mut self, now: Moment) -> Result<Option<FrameAt>, CloseReason> {
        if let Phase::Hello { until } = self.phase {
            let hello = self
                .link
                .take_hello()
                .map_err(|_| CloseReason::Violation(ErrorCode::PROTOCOL_VIOLATION))?;
            let Some(hello) = hello else { return Ok(None) };
            self.receive_hello(&hello, now).map_err(CloseReason::Violation)?;
            let latest = now.plus(self.limits.login_timeout);
            let until = until.unwrap_or(latest);
            self.phase = Phase::Login { until };
        }
        self.link.next_frame(self.max_frame_now()).map_err(violation)
    }

    /// On a serial port, a client may start over at any time, even in the middle of a session; and a client that does not know
    /// that it has no session is notified.
    fn next_on_serial(&mut self, now: Moment) -> Result<Option<FrameAt>, CloseReason> {
        loop {
            let packet = match self.next_hello.take() {
                Some(hello) => Packet::Hello(hello),
                None => match self.link.next_packet(self.max_frame_now()) {
                    Some(packet) => packet,
                    None => return Ok(None),
                },
            };
            match (packet, self.phase) {
                (Packet::Hello(hello), Phase::Hello { .. } | Phase::Login { .. }) => {
                    self.link.forget_outgoing();
                    self.receive_hello(&hello, now).map_err(CloseReason::Violation)?;
                    let until = now.plus(self.limits.login_timeout);
                    self.phase = Phase::Login { until };
                }
                (Packet::Hello(hello), _) => {
                    self.next_hello = Some(hello);
                    return Err(CloseReason::Superseded);
                }
                (packet, Phase::Hello { .. }) => self.request_hello(&packet),
                (Packet::Frame(at), _) => {
                    self.keepalive.packet_received(at.kind == FrameKind::PONG, now);
                    return Ok(Some(at));
                }
                (Packet::OutOfOrder(_), _) => return Err(CloseReason::LineLost),
                (Packet::Unknown(error), _) => return Err(violation(error)),
            }
            self.link.release_taken();
        }
    }

    /// Notifies a client that it has no session; but not another hub, and not an echo of our own packets.
    fn request_hello(&mut self, packet: &Packet) {
        let (Packet::Frame(at) | Packet::OutOfOrder(at)) = packet else {
            return;
        };
        // One GOODBYE at a time is enough.
        if at.kind != FrameKind::GOODBYE && self.link.outgoing().is_empty() {
            let code = ErrorCode::USER_NOT_LOGGED_IN;
            let _ = self.link.send(FrameKind::GOODBYE, 0, &Failure::new(code, ""));
        }
    }

    fn receive_hello(&mut self, hello: &Hello, now: Moment) -> Result<(), ErrorCode> {
        let ours = Hello {
            min_version: wire::VERSION,
            max_version: wire::VERSION,
            end: End::HUB,
            features: features::STUBS | features::COMPACT | features::COMPACT_NUMBERS,
            max_frame: u32::try_from(self.max_frame()).unwrap_or(u32::MAX),
            window: 0,
        };
        self.keepalive = Keepalive::new(now);
        self.owed = Owed::default();
        // Sent regardless of the client's version, so that it learns the hub's version.
        let _ = self.link.send_hello(&ours);
        if hello.end != End::CLIENT {
            return Err(ErrorCode::PROTOCOL_VIOLATION);
        }
        if hello.common_version(&ours).is_none() {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        self.peer_max_frame = (hello.max_frame as usize).min(self.link.tx_limit());
        if self.peer_max_frame < wire::LEAST_MAX_FRAME as usize {
            return Err(ErrorCode::FRAME_TOO_LARGE); // not even a stub fits
        }
        self.peer_features = hello.features;
        self.window = hello.window.min(self.limits.max_window);
        Ok(())
    }

    /// Handles a frame; returns whether it is an event.
    fn use_frame(&mut self, at: FrameAt, now: Moment) -> Result<bool, ErrorCode> {
        let online = self.phase == Phase::Online;
        match at.kind {
            FrameKind::PING => {
                (self.owed.pong, self.owed.pong_id) = (true, at.id);
                self.send_owed();
                self.note_idle_frame();
                Ok(false)
            }
            FrameKind::PONG => {
                self.keepalive.pong(self.time.micros());
                self.note_idle_frame();
                Ok(false)
            }
            FrameKind::LOGIN if !online => {
                let Ok(login) = decode_body::<Login<'_>>(self.link.body(at)) else {
                    return Err(ErrorCode::PROTOCOL_VIOLATION);
                };
                (self.login_session, self.login_attempt) = (login.session, login.attempt);
                self.expected = at.id;
                self.phase = Phase::Checking;
                self.keepalive = Keepalive::new(now);
                Ok(true)
            }
            _ if !online => Err(ErrorCode::USER_NOT_LOGGED_IN),
            FrameKind::ACK => self.acknowledge(at.id).map(|()| false),
            FrameKind::LOGOUT => {
                let until = now.plus(self.limits.keepalive.keep_alive_timeout);
                self.phase = Phase::LoggingOut { id: at.id, until };
                Ok(false)
            }
            FrameKind::GOODBYE => {
                self.phase = Phase::Closing(CloseReason::LoggedOut);
                Ok(false)
            }
            FrameKind::LOGIN => Err(ErrorCode::PROTOCOL_VIOLATION),
            kind if kind.is_answer() => {
                self.note_idle_frame(); // the hub makes no requests
                Ok(false)
            }
            _ => {
                self.open_requests += 1;
                self.expected = at.id;
                Ok(true)
            }
        }
    }

    fn acknowledge(&mut self, id: u32) -> Result<(), ErrorCode> {
        let in_flight = self.delivered.wrapping_sub(self.acknowledged);
        if id.wrapping_sub(self.acknowledged) > in_flight {
            return Err(ErrorCode::PROTOCOL_VIOLATION); // acknowledges what was never delivered
        }
        if id == self.acknowledged {
            self.note_idle_frame();
        }
        self.acknowledged = id;
        if self.link.is_proved_by(id) {
            self.keepalive.proved();
        }
        Ok(())
    }

    const fn note_idle_frame(&mut self) {
        self.idle_frames = self.idle_frames.saturating_add(1);
    }

    pub(super) fn max_frame(&self) -> usize {
        self.link.rx_limit().min(self.limits.max_frame as usize)
    }
}

/// Whether a frame of this kind is a request of a client that is logged in, to be answered by the hub. LOGOUT has no effect on those before it.
fn is_request(kind: FrameKind) -> bool {
    !kind.is_answer()
        && !matches!(
            kind,
            FrameKind::LOGIN
                | FrameKind::LOGOUT
                | FrameKind::PING
                | FrameKind::PONG
                | FrameKind::ACK
                | FrameKind::GOODBYE
        )
}

fn violation(error: FrameError) -> CloseReason {
    CloseReason::Violation(match error {
        FrameError::TooLarge { .. } => ErrorCode::FRAME_TOO_LARGE,
        _ => ErrorCode::PROTOCOL_VIOLATION,
    })
}
