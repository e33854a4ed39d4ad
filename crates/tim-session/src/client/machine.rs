//! Polling a client session: first pending events, then received frames, then timers.

use tim_proto::planted::{self, Fault};
use tim_proto::request::{
    CompactCursor, CompactDeliver, Failure, LoginResponse, RawResponse, Resume, Synced,
};
use tim_proto::wire::{FrameKind, decode_body, decode_prefix, decode_with};
use tim_proto::{ErrorCode, UserId};

use super::event::{Event, LocalEvent, NetState, NotReadyReason};
use super::{ClientSession, Cursor, Phase, RequestId, STABLE_AFTER};
use crate::buffer::Buffer;
use crate::link::{FrameAt, Link};
use crate::time::Moment;
use crate::{Framing, FramingChoice};

/// The longest wait that a hub may request.
const MAX_RETRY_AFTER_MS: u32 = 10 * 60 * 1000;
/// Whether there is code for compact deliveries. Without, none are asked for, and one that comes is skipped like any unknown push.
const COMPACT: bool = cfg!(feature = "compact");

/// The decision of `poll`, before it borrows the received bytes for an event.
pub(super) enum Step {
    Wait(Option<Moment>),
    Connect,
    Disconnect,
    Event(Current),
}

/// The source of the event that the application holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Current {
    Local(LocalEvent),
    /// A request that failed without a response.
    Failed(RequestId, ErrorCode),
    Frame(FrameAt, FrameUse),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum FrameUse {
    LoggedIn,
    LoginFailed,
    TurnedAway,
    KickedOut,
    Push,
    /// A push that cannot be decoded.
    Malformed,
    /// The response to the request with the frame's id, as are the next two.
    Response,
    /// A response, but to a request of another kind than the pending one.
    WrongResponse,
    /// A response to no pending request.
    Late,
    Failure,
    /// The refusal of a request that was sent on an earlier connection too, where nobody knows what became of it.
    FailureOfRepetition,
}

impl<S: AsRef<str>, B: Buffer, F: FramingChoice> ClientSession<S, B, F> {
    #[cfg_attr(target_arch = "arm", inline(never))] // as current_event; RISC-V has larger offsets
    pub(super) fn step(&mut self, now: Moment) -> Step {
        self.settle_event();
        loop {
            if let Some(current) = self.next_local() {
                return Step::Event(current);
            }
            if self.hang_up {
                self.hang_up = false;
                self.link.reset();
                return Step::Disconnect;
            }
            // Frames before timers: what arrived before a late poll is not late.
            match self.next_frame(now) {
                Ok(Some((at, usage))) => return Step::Event(Current::Frame(at, usage)),
                Ok(None) if self.has_work() => continue,
                Ok(None) => {}
                Err(ConnectionFailed) => {
                    self.hang_up_and_lose(now);
                    continue;
                }
            }
            if let Some((id, _)) = self.outbox.take_expired(now) {
                return Step::Event(Current::Failed(RequestId(id), ErrorCode::NETWORK_TIMEOUT));
            }
            if self.advance_time(now) {
                continue;
            }
            if let Phase::Connecting = self.phase
                && !self.asked_to_connect
            {
                self.asked_to_connect = true;
                return Step::Connect;
            }
            break;
        }
        self.flush();
        if self.link.take_sent() {
            self.keepalive.sent(now);
        }
        Step::Wait(self.next_wake())
    }

    pub(super) fn has_work(&self) -> bool {
        self.hang_up || self.locals.iter().any(Option::is_some)
    }

    /// The application has finished with the last event.
    fn settle_event(&mut self) {
        self.link.release_taken();
        if let Some((id, cursor)) = self.delivered.take() {
            if let Some(cursor) = cursor
                && !planted::is(Fault::DeliveryRepeated)
            {
                self.cursor = cursor;
            }
            self.last_taken = id;
            self.unacked = self.unacked.saturating_add(1);
            let more = self.link.more_frames(self.max_frame());
            if !more || self.unacked >= (self.settings.window / 2).max(1) {
                self.acknowledge();
            }
        }
    }

    fn acknowledge(&mut self) {
        let online = matches!(self.phase, Phase::Online);
        if self.unacked == 0 || !online || self.acks_held {
            return;
        }
        let sent = match self.ack_is_expected {
            true => self
                .link
                .send_unconfirmed(FrameKind::ACK, self.last_taken, 0, &mut |_| {}),
            false => self
                .link
                .send_with(FrameKind::ACK, self.last_taken, 0, &mut |_| {}),
        };
        if sent.is_ok() {
            (self.unacked, self.ack_is_expected) = (0, true);
        }
    }

    /// Sends what waits: acknowledgements, requests, and a PONG or PING, as far as they fit.
    pub(super) fn flush(&mut self) {
        self.acknowledge();
        self.flush_outbox();
        if let Some((kind, id)) = self.owed
            && self.hello_received()
            && self.link.send(kind, id, &tim_proto::request::Done).is_ok()
        {
            self.owed = None;
            // A PONG proves the deliveries, and the hub does not wait for their acknowledgement any longer.
            self.ack_is_expected &= self.unacked == 0;
        }
    }

    /// Moves requests from the outbox to the outgoing bytes, as far as they fit.
    pub(super) fn flush_outbox(&mut self) {
        if self.phase != Phase::Online {
            return;
        }
        let link = &mut self.link;
        while self.outbox.next_unsent(|id, frame| {
            let went = link.send_bytes(frame);
            if went {
                link.expect_proof(id);
            }
            went
        }) {}
    }

    /// Handles timers that are due; returns whether there was one.
    fn advance_time(&mut self, now: Moment) -> bool {
        if self.ready && now >= self.resume_until {
            self.ready = false;
            self.push_local(LocalEvent::NotReady(NotReadyReason::ConnectionLost));
        } else if now >= self.until {
            match self.phase {
                Phase::Waiting => self.connect_at(now, now),
                _ => self.hang_up_and_lose(now),
            }
        } else if self.repeats_hello() {
            if now < self.keepalive.repeat_at(&self.settings.keepalive) {
                return false;
            }
            self.keepalive.repeated(now);
            if self.link.outgoing().is_empty() {
                self.send_hello();
            }
        } else {
            return self.expects_peer() && self.check_keepalive(now);
        }
        true
    }

    fn next_wake(&self) -> Option<Moment> {
        let mut wake = self.until.min(self.outbox.next_deadline());
        if self.ready {
            wake = wake.min(self.resume_until);
        }
        if self.repeats_hello() {
            wake = wake.min(self.keepalive.repeat_at(&self.settings.keepalive));
        } else if self.expects_peer() {
            wake = wake.min(self.keepalive.deadline(&self.settings.keepalive));
        }
        (wake != Moment::NEVER).then_some(wake)
    }

    /// Handles frames up to the first one that is an event.
    fn next_frame(&mut self, now: Moment) -> Result<Option<(FrameAt, FrameUse)>, ConnectionFailed> {
        loop {
            let next = match self.link.framing() {
                Framing::Stream => self.next_on_stream(now)?,
                Framing::Serial => self.next_on_serial(now)?,
            };
            let Some(at) = next else { return Ok(None) };
            if let Some(usage) = self.use_frame(at, now)? {
                return Ok(Some((at, usage)));
            }
            self.link.release_taken();
            if self.has_work() {
                return Ok(None);
            }
        }
    }

    /// Handles a frame, and returns how it becomes an event, if it does.
    fn use_frame(&mut self, at: FrameAt, now: Moment) -> Result<Option<FrameUse>, ConnectionFailed> {
        let in_login = self.phase == Phase::Login;
        Ok(match at.kind {
            FrameKind::PING => {
                self.owed = Some((FrameKind::PONG, at.id));
                None
            }
            FrameKind::PONG => {
                self.keepalive.pong(self.time.micros());
                None
            }
            FrameKind::GOODBYE => self.goodbye_received(at, now, in_login),
            kind if in_login && kind == FrameKind::LOGIN.answer() => match self.logged_in(at, now)? {
                None if !self.on_serial() => return Err(ConnectionFailed),
                usage => usage,
            },
            FrameKind::ERROR if in_login && at.id == self.login_id() => Some(self.login_refused(at, now)?),
            // Sent in an earlier session; the response to our LOGIN follows.
            _ if in_login && self.on_serial() => None,
            _ if in_login => return Err(ConnectionFailed),
            kind if kind == FrameKind::LOGOUT.answer() => {
                // Of nothing that was asked, it is passed over as any other answer.
                if self.phase == Phase::LoggingOut {
                    self.stop(NotReadyReason::LoggedOut);
                }
                None
            }
            FrameKind::ERROR => self
                .take_answered(at.id)
                .map(|(_, was_repeated)| match was_repeated {
                    true => FrameUse::FailureOfRepetition,
                    false => FrameUse::Failure,
                }),
            kind if kind.is_answer() => Some(match self.take_answered(at.id) {
                Some((asked, _)) if asked.answer() == kind => FrameUse::Response,
                Some(_) => FrameUse::WrongResponse,
                None => FrameUse::Late,
            }),
            FrameKind::SYNCED => {
                // All deliveries before it have been handled: events come one by one.
                let synced = match self.link.body(at) {
                    [] => Ok(Synced::default()),
                    body => decode_body::<Synced<'_>>(body),
                };
                let is_malformed = synced.is_err();
                if let Some(cursor) = synced.ok().and_then(|synced| Cursor::new(synced.cursor)) {
                    self.cursor = cursor;
                }
                if !self.ready {
                    self.ready = true;
                    self.push_local(LocalEvent::Ready);
                }
                is_malformed.then_some(FrameUse::Malformed)
            }
            kind if kind == FrameKind::DELIVER || COMPACT && kind == FrameKind::DELIVER_COMPACT => {
                // The cursor is the first field and counts even if the rest cannot be decoded: the entry must not come again.
                let body = self.link.body(at);
                let (cursor, _) = if !COMPACT || kind == FrameKind::DELIVER {
                    let (rest, behind) = decode_prefix::<&[u8]>(body).unwrap_or_default();
                    (CompactCursor::new().with_rest(rest), behind)
                } else {
                    decode_prefix::<CompactCursor<'_>>(body).unwrap_or_default()
                };
                self.delivered = Some((at.id, self.cursor.moved(cursor)));
                Some(FrameUse::Push)
            }
            FrameKind::GAP | FrameKind::CONVERSATION | FrameKind::EXPIRING => Some(FrameUse::Push),
            _ => None, // from a later version
        })
    }

    /// Removes the request that the hub has answered.
    fn take_answered(&mut self, id: u32) -> Option<(FrameKind, bool)> {
        // While others wait for their responses, the line must not die unnoticed.
        if self.outbox.len() <= 1 && self.link.is_proved_by(id) {
            self.keepalive.proved();
        }
        self.outbox.take(id)
    }

    /// Handles the response to LOGIN; `None` if it belongs to an earlier connection or to an earlier run of the device.
    fn logged_in(&mut self, at: FrameAt, now: Moment) -> Result<Option<FrameUse>, ConnectionFailed> {
        let Ok(response) = decode_body::<LoginResponse<'_>>(self.link.body(at)) else {
            return Ok(None);
        };
        let is_ours =
            at.id == self.login_id() && (response.session, response.attempt) == (self.session, self.attempt);
        if !is_ours && !planted::is(Fault::EarlierLoginAnswered) {
            return Ok(None);
        }
        let (account, cursor) = (response.account, Cursor::new(response.cursor));
        if cursor.is_none() && !response.cursor.is_empty() {
            return Err(ConnectionFailed);
        }
        self.account = account;
        if self.cursor.resume == Resume::NOW {
            self.cursor = cursor.unwrap_or_default();
        }
        (self.phase, self.until) = (Phase::Online, Moment::NEVER);
        self.stable_at = now.plus(STABLE_AFTER);
        self.resume_until = Moment::NEVER;
        self.unacked = 0;
        self.flush_outbox();
        self.push_local(LocalEvent::NetState(NetState::Connected));
        Ok(Some(FrameUse::LoggedIn))
    }

    fn login_refused(&mut self, at: FrameAt, now: Moment) -> Result<FrameUse, ConnectionFailed> {
        let failure: Failure<'_> = decode_body(self.link.body(at)).map_err(|_| ConnectionFailed)?;
        if failure.code.ends_session() || planted::is(Fault::TransientIsFinal) {
            self.stop(NotReadyReason::Refused);
            return Ok(FrameUse::LoginFailed);
        }
        let (code, retry_after_ms) = (failure.code, failure.retry_after_ms);
        if code == ErrorCode::SESSION_REPLACED {
            // The hub knows a newer login of this session: a device with the same seed, because this is the newest of ours.
            self.session = self.backoff.draw();
        }
        self.turned_away(retry_after_ms, now);
        Ok(FrameUse::TurnedAway)
    }

    /// The hub ends the connection. On a serial port, a GOODBYE before the response to LOGIN may belong to an earlier session,
    /// so it ends only this attempt.
    fn goodbye_received(&mut self, at: FrameAt, now: Moment, in_login: bool) -> Option<FrameUse> {
        let failure = decode_body::<Failure<'_>>(self.link.body(at));
        let Ok((code, retry_after_ms)) = failure.map(|failure| (failure.code, failure.retry_after_ms)) else {
            self.hang_up_and_lose(now);
            return None;
        };
        if self.on_serial() && matches!(code, ErrorCode::NETWORK_ERROR | ErrorCode::USER_NOT_LOGGED_IN) {
            self.hang_up_and_lose(now); // packets were lost, or the hub has no session
            return None;
        }
        self.reset_backoff_if_stable(now);
        // An earlier run of this device may have taken over, or this one: reconnecting is worth one attempt.
        let taken_over = code == ErrorCode::SESSION_REPLACED;
        let kicked = code.ends_session() || (taken_over && self.replaced);
        if kicked && !(in_login && self.on_serial()) {
            self.stop(NotReadyReason::KickedOut);
            return Some(FrameUse::KickedOut);
        }
        if let Phase::LoggingOut = self.phase {
            self.stop(NotReadyReason::LoggedOut);
            return None;
        }
        self.turned_away(retry_after_ms, now);
        self.replaced |= taken_over && !in_login;
        Some(FrameUse::TurnedAway)
    }

    /// The session reconnects, not before the time that the hub named. The frame is kept until the application has seen it.
    fn turned_away(&mut self, retry_after_ms: u32, now: Moment) {
        self.hang_up = true;
        self.lose(now, retry_after_ms.min(MAX_RETRY_AFTER_MS));
    }

    /// Starts back-off over if the session was logged in long enough.
    fn reset_backoff_if_stable(&mut self, now: Moment) {
        if self.phase == Phase::Online && now >= self.stable_at {
            self.backoff.reset();
            self.replaced = false;
        }
    }

    /// The largest frame that the session accepts, in bytes, as announced to the hub.
    pub fn max_frame(&self) -> usize {
        self.link.rx_limit().min(self.settings.max_frame as usize)
    }

    pub(super) fn connect_at(&mut self, now: Moment, at: Moment) {
        if at > now {
            (self.phase, self.until) = (Phase::Waiting, at);
        } else {
            self.phase = Phase::Connecting;
            self.until = now.plus(self.settings.connect_timeout);
            self.asked_to_connect = false;
            self.push_local(LocalEvent::NetState(NetState::Connecting));
        }
    }

    pub(super) fn hang_up_and_lose(&mut self, now: Moment) {
        if let Phase::LoggingOut = self.phase {
            return self.stop(NotReadyReason::LoggedOut); // the logout is complete
        }
        self.link.reset();
        self.hang_up = true;
        self.connection_lost(now);
    }

    /// The connection is lost. A serial port loses bytes now and then, which does not indicate a problem of the hub, so the
    /// session reconnects soon.
    pub(super) fn connection_lost(&mut self, now: Moment) {
        if self.phase == Phase::Online && self.on_serial() {
            self.backoff.reset();
        }
        self.lose(now, 0);
    }

    /// Abandons the connection and reconnects, not before `asked` milliseconds have passed.
    pub(super) fn lose(&mut self, now: Moment, asked: u32) {
        self.reset_backoff_if_stable(now);
        if self.phase == Phase::Online {
            self.resume_until = now.plus(self.settings.resume_window);
            self.push_local(LocalEvent::NetState(NetState::Disconnected));
        }
        self.outbox.rewind();
        self.keep_delivered();
        self.unacked = 0;
        let wait = self.backoff.next(asked);
        self.connect_at(now, now.plus(wait));
    }

    /// Ends the session: pending requests fail, and the driver closes the connection.
    pub(super) fn stop(&mut self, reason: NotReadyReason) {
        (self.phase, self.until) = (Phase::Idle, Moment::NEVER);
        self.failing = true;
        self.hang_up = true;
        self.resume_until = Moment::NEVER;
        self.keep_delivered();
        if core::mem::take(&mut self.ready) {
            self.push_local(LocalEvent::NotReady(reason));
        }
    }

    /// Ends the session, because another attempt would fail as well.
    pub(super) fn give_up(&mut self, code: ErrorCode) {
        self.push_local(LocalEvent::LoginFailed(code));
        self.stop(NotReadyReason::Refused);
    }

    /// Counts the delivery that the application is handling as handled, so that it does not come again on the next connection.
    fn keep_delivered(&mut self) {
        if let Some((_, Some(cursor))) = self.delivered.take()
            && !planted::is(Fault::DeliveryRepeated)
        {
            self.cursor = cursor;
        }
    }

    pub(super) fn push_local(&mut self, local: LocalEvent) {
        if let Some(slot) = self.locals.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(local);
        } else if let Some(last) = self.locals.last_mut() {
            *last = Some(local); // only if the application never polls; the newest state counts
        }
    }

    fn next_local(&mut self) -> Option<Current> {
        if self.failing {
            if let Some((id, _)) = self.outbox.take_any() {
                return Some(Current::Failed(RequestId(id), ErrorCode::LOGGED_OUT));
            }
            self.failing = false;
        }
        // Moves each event one place to the front, and the first one out.
        let mut moving = None;
        for slot in self.locals.iter_mut().rev() {
            core::mem::swap(slot, &mut moving);
        }
        moving.map(Current::Local)
    }
}

/// The peer violated the protocol, or nothing can be sent: the connection must be closed.
pub(super) struct ConnectionFailed;

/// The event of `current`; a frame is decoded in place.
#[cfg_attr(target_pointer_width = "32", inline(never))] // its stack frame would enlarge the caller's
pub(super) fn current_event<'a, B: Buffer, F: FramingChoice>(
    link: &'a Link<B, F>,
    current: Current,
    me: &UserId,
    delivered: &'a Option<(u32, Option<Cursor>)>,
) -> Event<'a> {
    let (at, usage) = match current {
        Current::Local(local) => return local.into(),
        Current::Failed(id, code) => {
            let failure = Failure::new(code, "");
            return Event::Failed { id, failure };
        }
        Current::Frame(at, usage) => (at, usage),
    };
    let body = link.body(at);
    let id = RequestId(at.id);
    let event = match usage {
        FrameUse::Response => {
            return Event::Response {
                id,
                response: RawResponse::new(at.kind, body),
            };
        }
        FrameUse::Late => {
            let kind = at.kind.request();
            return Event::Late { kind };
        }
        FrameUse::WrongResponse | FrameUse::Malformed => return malformed(at, usage),
        // The reader is checked once for all types.
        _ => decode_with(body, |reader| match usage {
            FrameUse::LoggedIn => Event::LoggedIn(reader.read()),
            FrameUse::LoginFailed => Event::LoginFailed(reader.read()),
            FrameUse::TurnedAway => Event::TurnedAway(reader.read()),
            FrameUse::KickedOut => Event::KickedOut(reader.read()),
            FrameUse::Failure => Event::Failed {
                id,
                failure: reader.read(),
            },
            FrameUse::FailureOfRepetition => Event::Failed {
                id,
                failure: of_repetition(reader.read()),
            },
            _ => match at.kind {
                FrameKind::DELIVER => Event::Delivered(reader.read()),
                FrameKind::DELIVER_COMPACT if COMPACT => {
                    let cursor = match delivered {
                        Some((_, Some(cursor))) => cursor.as_slice(),
                        _ => &[],
                    };
                    Event::Delivered(reader.read::<CompactDeliver<'_>>().delivery(me, cursor))
                }
                FrameKind::GAP => Event::Gap(reader.read()),
                FrameKind::EXPIRING => Event::Expiring(reader.read()),
                _ => Event::ConversationChanged(reader.read()),
            },
        }),
    };
    event.unwrap_or_else(|_| malformed(at, usage))
}

/// A refusal for the moment, which names a time to try again, says nothing about the first time that a request was sent.
const fn of_repetition(mut failure: Failure<'_>) -> Failure<'_> {
    if failure.retry_after_ms > 0 {
        failure.code = ErrorCode::OUTCOME_UNKNOWN;
    }
    failure
}

/// The event of a frame that cannot be decoded.
const fn malformed(at: FrameAt, usage: FrameUse) -> Event<'static> {
    let failure = Failure::MALFORMED;
    match usage {
        FrameUse::LoggedIn | FrameUse::LoginFailed => Event::LoginFailed(failure),
        FrameUse::TurnedAway => Event::TurnedAway(failure),
        FrameUse::KickedOut => Event::KickedOut(failure),
        FrameUse::Failure | FrameUse::FailureOfRepetition | FrameUse::Response | FrameUse::WrongResponse => {
            Event::Failed {
                id: RequestId(at.id),
                failure,
            }
        }
        FrameUse::Push | FrameUse::Malformed | FrameUse::Late => Event::Malformed { kind: at.kind },
    }
}
