//! The client on its connection: hello, login, received frames and keepalive.

use tim_proto::ErrorCode;
use tim_proto::request::Login;
use tim_proto::wire::{self, End, FrameKind, Hello, features};

use super::event::LocalEvent;
use super::machine::ConnectionFailed;
use super::{ClientSession, LOGIN_ID, Phase};
use crate::buffer::Buffer;
use crate::keepalive::{Due, Keepalive};
use crate::link::{FrameAt, Packet};
use crate::time::Moment;
use crate::{Framing, FramingChoice};

impl<S: AsRef<str>, B: Buffer, F: FramingChoice> ClientSession<S, B, F> {
    pub(super) fn next_on_stream(&mut self, now: Moment) -> Result<Option<FrameAt>, ConnectionFailed> {
        if let Phase::Hello = self.phase {
            match self.link.take_hello() {
                Ok(None) => return Ok(None),
                Ok(Some(hello)) => self.receive_hello(&hello, now)?,
                Err(_) => {
                    self.reject_peer(ErrorCode::NOT_A_HUB, now);
                    return Ok(None);
                }
            }
        }
        if self.hello_received() {
            self.link
                .next_frame(self.max_frame())
                .map_err(|_| ConnectionFailed)
        } else {
            Ok(None)
        }
    }

    /// A serial port may carry anything, in particular packets of an earlier connection.
    pub(super) fn next_on_serial(&mut self, now: Moment) -> Result<Option<FrameAt>, ConnectionFailed> {
        while self.hello_received() || matches!(self.phase, Phase::Hello) {
            let Some(packet) = self.link.next_packet(self.max_frame()) else {
                return Ok(None);
            };
            match (packet, self.phase) {
                (Packet::Hello(hello), Phase::Hello) => self.receive_hello(&hello, now)?,
                (_, Phase::Hello) => {}
                // The response to a repeated hello; the hub counts packets from it on.
                (Packet::Hello(_), Phase::Login) => {}
                (Packet::Frame(at), _) => {
                    self.keepalive.packet_received(at.kind == FrameKind::PONG, now);
                    return Ok(Some(at));
                }
                (Packet::Hello(_) | Packet::OutOfOrder(_) | Packet::Unknown(_), _) => {
                    return Err(ConnectionFailed);
                }
            }
            self.link.release_taken();
            if self.has_work() {
                break;
            }
        }
        Ok(None)
    }

    /// Whether the hub's hello has arrived on this connection.
    pub(super) const fn hello_received(&self) -> bool {
        matches!(self.phase, Phase::Login | Phase::Online | Phase::LoggingOut)
    }

    /// Sends the device's hello; returns whether it fit.
    pub(super) fn send_hello(&mut self) -> bool {
        let bit = |is_asked: bool, bit: u32| if is_asked { bit } else { 0 };
        let asked = bit(self.settings.sender_names, features::SENDER_NAMES);
        #[cfg(feature = "compact")]
        let asked = asked
            | bit(self.settings.compact, features::COMPACT)
            | bit(self.settings.compact_numbers, features::COMPACT_NUMBERS);
        let hello = Hello {
            min_version: wire::VERSION,
            max_version: wire::VERSION,
            end: End::CLIENT,
            features: features::STUBS | asked,
            max_frame: u32::try_from(self.max_frame()).unwrap_or(u32::MAX),
            window: self.settings.window,
        };
        self.link.send_hello(&hello)
    }

    fn receive_hello(&mut self, hello: &Hello, now: Moment) -> Result<(), ConnectionFailed> {
        let ours = Hello {
            min_version: wire::VERSION,
            max_version: wire::VERSION,
            ..*hello
        };
        let stranger = if hello.end != End::HUB {
            Some(ErrorCode::NOT_A_HUB)
        } else if hello.common_version(&ours).is_none() {
            Some(ErrorCode::UNSUPPORTED_VERSION)
        } else {
            None
        };
        if let Some(code) = stranger {
            self.reject_peer(code, now);
            return Ok(());
        }
        self.attempt = self.attempt.wrapping_add(1);
        let login = Login::new(
            self.settings.app,
            self.settings.user,
            self.user_sig.as_ref(),
            self.settings.device,
            self.settings.platform,
        )
        .with_resume(self.cursor.resume)
        .with_cursor(self.cursor.as_slice())
        .with_session(self.session)
        .with_attempt(self.attempt);
        let len = wire::encoded_len(&login) + wire::MAX_FRAME_HEADER_LEN;
        if len > self.link.tx_limit() {
            self.give_up(ErrorCode::FRAME_TOO_LARGE);
            return Ok(());
        }
        // The hub's fault, not this device's: the next hub, or this one when it is mended, takes more.
        if len > hello.max_frame as usize {
            self.reject_peer(ErrorCode::FRAME_TOO_LARGE, now);
            return Ok(());
        }
        self.hub_max_frame = hello.max_frame as usize;
        let id = self.login_id();
        self.link
            .send(FrameKind::LOGIN, id, &login)
            .map_err(|_| ConnectionFailed)?;
        self.keepalive = Keepalive::new(now);
        self.phase = Phase::Login;
        self.until = now.plus(self.settings.login_timeout);
        Ok(())
    }

    /// The peer is not a hub, not one of this version, or takes no frame as long as a LOGIN. This may be temporary (the hub is being
    /// updated, another program has its port), so the session tries again.
    fn reject_peer(&mut self, code: ErrorCode, now: Moment) {
        self.push_local(LocalEvent::TurnedAway(code));
        self.hang_up_and_lose(now);
    }

    /// The id of the last LOGIN. A serial port may carry responses to earlier ones, even of an earlier run of the device, so each
    /// LOGIN has an id of its own there.
    pub(super) fn login_id(&self) -> u32 {
        if self.on_serial() {
            let drawn = (self.session ^ (self.session >> 32)) as u32;
            drawn.wrapping_add(self.attempt)
        } else {
            LOGIN_ID
        }
    }

    pub(super) fn on_serial(&self) -> bool {
        self.link.framing() == Framing::Serial
    }

    /// Whether the hello is repeated until the hub's arrives.
    pub(super) fn repeats_hello(&self) -> bool {
        self.phase == Phase::Hello && self.on_serial()
    }

    /// Whether keepalive applies in the current phase.
    pub(super) fn expects_peer(&self) -> bool {
        match self.phase {
            Phase::Online => true,
            Phase::Login | Phase::LoggingOut => self.on_serial(),
            _ => false,
        }
    }

    pub(super) fn check_keepalive(&mut self, now: Moment) -> bool {
        let blocked = !self.link.outgoing().is_empty();
        match self.keepalive.due(now, &self.settings.keepalive, blocked) {
            None => return false,
            Some(Due::Later) => {}
            Some(Due::Lost) => self.hang_up_and_lose(now),
            Some(Due::Ping) => {
                self.keepalive.asked(self.time.micros());
                self.owed.get_or_insert((FrameKind::PING, 0));
            }
        }
        true
    }
}
