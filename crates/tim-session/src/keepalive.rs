//! Keepalive and liveness detection.
//!
//! On a stream, only silence matters, and any byte ends it. A serial port also loses bytes, possibly the last ones that were
//! sent. Therefore sent packets must be confirmed there. Packets are numbered and a peer does not respond after a gap, so the
//! response to the last request confirms it and all before it, as does the acknowledgement of the last delivery. If neither comes
//! within the retry interval, a PING asks, and only its PONG counts. While other packets arrive, the PONG may be late.
//!
//! The response and the acknowledgement need no PING of their own: the peer that waits for one sends its PING when it does not come.
//! Only after a PONG it waits no longer.

use core::time::Duration;

use tim_proto::planted::{self, Fault};

use crate::time::{LONGEST, Moment, millis};
use crate::{Framing, FramingChoice};

/// How many retry intervals the silence after a PING may last.
const MAX_SILENCE: u32 = 3;

/// The configured intervals, in milliseconds. Each is at least [`MIN_WAIT`](crate::config::MIN_WAIT), so that time always
/// advances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepaliveConfig<F = Framing> {
    pub(crate) framing: F,
    pub(crate) keep_alive: u32,
    pub(crate) keep_alive_timeout: u32,
    pub(crate) retry: u32,
}

impl<F: FramingChoice> KeepaliveConfig<F> {
    pub(crate) fn new(
        framing: F,
        keep_alive: Duration,
        keep_alive_timeout: Duration,
        serial_retry: Duration,
    ) -> Self {
        Self {
            framing,
            keep_alive: millis(keep_alive),
            keep_alive_timeout: millis(keep_alive_timeout),
            retry: millis(serial_retry),
        }
    }
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send a PING.
    Ping,
    /// Nothing yet: outgoing bytes have not been sent.
    Later,
    /// The peer is considered lost.
    Lost,
}

/// The liveness of one peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keepalive {
    /// When the peer was last heard, or outgoing bytes were last found blocked: silence before that does not count.
    heard: Moment,
    /// When the pending PING was sent.
    pinged: Option<Moment>,
    /// Since when a sent packet has neither been confirmed nor been followed by a PING.
    unconfirmed: Option<Moment>,
    /// Since when no outgoing byte has been sent.
    blocked_since: Option<Moment>,
    round_trip: RoundTrip,
}

/// Measures the time from a PING to its PONG, in microseconds modulo 2^32. Both fields are one more than the time, since 0
/// means none.
#[derive(Debug, Clone, Copy)]
struct RoundTrip {
    /// When the last PING was queued; 0 if its PONG has arrived.
    started: u32,
    /// The last round-trip time.
    took: u32,
}

impl Keepalive {
    /// A peer that is alive now.
    pub(crate) const fn new(now: Moment) -> Self {
        Self {
            heard: now,
            pinged: None,
            unconfirmed: None,
            blocked_since: None,
            round_trip: RoundTrip { started: 0, took: 0 },
        }
    }

    /// Moves all instants back, along with the time of the session.
    pub(crate) fn move_back(&mut self) {
        self.heard.move_back();
        for moment in [&mut self.pinged, &mut self.unconfirmed, &mut self.blocked_since]
            .into_iter()
            .flatten()
        {
            moment.move_back();
        }
        if self.round_trip.started != 0 {
            self.round_trip.started = self.round_trip.started.wrapping_sub(LONGEST.wrapping_mul(1000));
        }
    }

    /// Bytes arrived. On a serial port they may be noise.
    pub(crate) const fn bytes_received(&mut self, framing: Framing, now: Moment) {
        if matches!(framing, Framing::Stream) {
            self.heard = now;
            self.pinged = None;
        }
    }

    /// The PING that was due is queued, at these microseconds.
    pub(crate) const fn asked(&mut self, micros: u32) {
        self.round_trip.started = micros.wrapping_add(1);
    }

    /// A PONG arrived.
    pub(crate) fn pong(&mut self, micros: u32) {
        if self.round_trip.started != 0 {
            let took = micros.wrapping_sub(self.round_trip.started);
            self.round_trip = RoundTrip {
                started: 0,
                took: took.wrapping_add(2),
            };
        }
    }

    /// The last round-trip time.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let took = self.round_trip.took.checked_sub(1)?;
        Some(Duration::from_micros(took.into()))
    }

    /// The next packet in order arrived.
    pub(crate) const fn packet_received(&mut self, is_pong: bool, now: Moment) {
        self.heard = now;
        if is_pong {
            self.pinged = None;
        }
    }

    /// A packet was queued that must be confirmed.
    pub(crate) fn sent(&mut self, now: Moment) {
        self.unconfirmed.get_or_insert(now);
    }

    /// Everything that was sent has arrived, or the peer notices that it has not.
    pub(crate) const fn proved(&mut self) {
        self.unconfirmed = None;
    }

    /// Outgoing bytes were sent.
    pub(crate) const fn bytes_sent(&mut self) {
        self.blocked_since = None;
    }

    /// When to give up waiting for capacity: outgoing bytes are blocked, at least since now.
    pub(crate) fn stuck_at(
        &mut self,
        now: Moment,
        keepalive_config: &KeepaliveConfig<impl FramingChoice>,
    ) -> Moment {
        let since = *self.blocked_since.get_or_insert(now);
        since.plus(keepalive_config.keep_alive_timeout)
    }

    /// When [`Keepalive::due`] must be called next.
    pub(crate) fn deadline(&self, keepalive_config: &KeepaliveConfig<impl FramingChoice>) -> Moment {
        match (keepalive_config.framing.framing(), self.pinged, self.unconfirmed) {
            // From the PING on, not from the end of the silence: a late poll is not the peer's fault.
            (Framing::Stream, Some(asked), _) => asked.plus(keepalive_config.keep_alive_timeout),
            (Framing::Serial, Some(asked), _) => {
                let silence = keepalive_config.retry.saturating_mul(MAX_SILENCE);
                asked.max(self.heard).plus(silence)
            }
            (Framing::Serial, None, Some(_)) => self.repeat_at(keepalive_config),
            (_, None, _) => self.heard.plus(keepalive_config.keep_alive),
        }
    }

    /// When to send again if nothing arrives.
    pub(crate) fn repeat_at(&self, keepalive_config: &KeepaliveConfig<impl FramingChoice>) -> Moment {
        let since = self.unconfirmed.unwrap_or(self.heard);
        since.plus(keepalive_config.retry)
    }

    /// It was sent again, or could not be sent.
    pub(crate) const fn repeated(&mut self, now: Moment) {
        self.unconfirmed = Some(now);
    }

    /// What is due now, if anything. `blocked`: there are unsent outgoing bytes.
    pub(crate) fn due(
        &mut self,
        now: Moment,
        keepalive_config: &KeepaliveConfig<impl FramingChoice>,
        blocked: bool,
    ) -> Option<Due> {
        if now < self.deadline(keepalive_config) {
            return None;
        }
        if blocked && keepalive_config.framing.framing() == Framing::Serial {
            self.heard = now;
            self.unconfirmed = self.unconfirmed.map(|_| now);
            let lost = now >= self.stuck_at(now, keepalive_config);
            return Some(if lost { Due::Lost } else { Due::Later });
        }
        if self.pinged.is_some() && planted::is(Fault::SilenceTrusted) {
            (self.heard, self.pinged) = (now, None);
            return None;
        }
        if self.pinged.is_some() {
            return Some(Due::Lost);
        }
        self.pinged = Some(now);
        self.unconfirmed = None;
        Some(Due::Ping)
    }
}
