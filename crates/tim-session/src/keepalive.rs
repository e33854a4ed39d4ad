//! Whether the peer is still there: when it was heard last, and when to ask.
//!
//! On a stream, silence is all that there is to worry about, and any byte ends it. A serial line loses bytes as well, and
//! what was sent last may be among them. So there whatever is sent must be *proven* to have come: a PING goes behind it,
//! and only the PONG counts, for packets are numbered and nobody answers behind a gap. While other packets come, the
//! PONG may take its time.

use core::time::Duration;

use crate::time::micros;
use crate::{Framing, Instant};

/// No shorter wait than this, whatever the configuration says, so that time always moves on.
const LEAST_RETRY: u64 = 1000;
/// How many retries long the silence behind a PING may be.
const MAX_SILENCE: u64 = 3;

/// What the configuration says about waiting, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepaliveConfig {
    framing: Framing,
    keep_alive: u64,
    keep_alive_timeout: u64,
    retry: u64,
}

impl KeepaliveConfig {
    pub(crate) fn new(
        framing: Framing,
        keep_alive: Duration,
        keep_alive_timeout: Duration,
        serial_retry: Duration,
    ) -> Self {
        Self {
            framing,
            keep_alive: micros(keep_alive).max(LEAST_RETRY),
            keep_alive_timeout: micros(keep_alive_timeout).max(LEAST_RETRY),
            retry: micros(serial_retry).max(LEAST_RETRY),
        }
    }
}

/// What time asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send a PING.
    Ping,
    /// Nothing yet: what is outgoing has not even been sent.
    Later,
    /// The peer is gone.
    Lost,
}

/// The signs of life of one peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keepalive {
    heard: Instant,
    /// When the peer was asked for a sign of life, if it owes one.
    pinged: Option<Instant>,
    /// Since when something has been on its way that no PING stands behind.
    unconfirmed: Option<Instant>,
    /// When outgoing bytes were last found to be in the way: the peer cannot help what came before.
    blocked_at: Instant,
    /// Since when none of them have gone.
    blocked_since: Option<Instant>,
    round_trip: RoundTrip,
}

/// Measures the time from a PING to its PONG, in microseconds modulo 2^32.
#[derive(Debug, Clone, Copy)]
struct RoundTrip {
    /// When the last PING was queued; 0 if its PONG has arrived.
    started: u32,
    /// How long the last one took; 0 if there was none.
    took: u32,
}

impl Keepalive {
    /// A peer that is there now.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            heard: now,
            pinged: None,
            unconfirmed: None,
            blocked_at: now,
            blocked_since: None,
            round_trip: RoundTrip { started: 0, took: 0 },
        }
    }

    /// Bytes came: a sign of life on a stream; on a serial line they may be noise.
    pub(crate) const fn bytes_received(&mut self, framing: Framing, now: Instant) {
        if matches!(framing, Framing::Stream) {
            self.heard = now;
            self.pinged = None;
        }
    }

    /// A PONG arrived.
    pub(crate) fn pong(&mut self, now: Instant) {
        if self.round_trip.started != 0 {
            let took = (now.as_micros() as u32).wrapping_sub(self.round_trip.started);
            self.round_trip = RoundTrip {
                started: 0,
                took: took.max(1),
            };
        }
    }

    /// How long the last PING took to be answered.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let took = self.round_trip.took;
        (took != 0).then(|| Duration::from_micros(took.into()))
    }

    /// A packet came that nothing is missing before.
    pub(crate) const fn packet_received(&mut self, is_pong: bool, now: Instant) {
        self.heard = now;
        if is_pong {
            self.pinged = None;
        }
    }

    /// Something was handed to the link that should be answered or proven.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.unconfirmed.get_or_insert(now);
    }

    /// Some of the outgoing bytes went.
    pub(crate) const fn bytes_sent(&mut self) {
        self.blocked_since = None;
    }

    /// When [`Keepalive::due`] has something to say next.
    pub(crate) fn deadline(&self, keepalive_config: &KeepaliveConfig) -> Instant {
        match (keepalive_config.framing, self.pinged, self.unconfirmed) {
            // From the ping on, not from the end of the silence: a poll may come late, and the peer cannot help that.
            (Framing::Stream, Some(asked), _) => asked.plus_micros(keepalive_config.keep_alive_timeout),
            (Framing::Serial, Some(asked), _) => {
                let silence = keepalive_config.retry.saturating_mul(MAX_SILENCE);
                asked.max(self.heard).max(self.blocked_at).plus_micros(silence)
            }
            (Framing::Serial, None, Some(_)) => self.repeat_at(keepalive_config),
            (_, None, _) => self
                .heard
                .max(self.blocked_at)
                .plus_micros(keepalive_config.keep_alive),
        }
    }

    /// When what was sent is to be sent again, if nothing comes.
    pub(crate) fn repeat_at(&self, keepalive_config: &KeepaliveConfig) -> Instant {
        let since = self.unconfirmed.unwrap_or(self.heard).max(self.blocked_at);
        since.plus_micros(keepalive_config.retry)
    }

    /// It was sent again, or could not be.
    pub(crate) const fn repeated(&mut self, now: Instant) {
        self.unconfirmed = Some(now);
    }

    /// What is to be done now, if anything. `blocked`: outgoing bytes wait to be sent.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        keepalive_config: &KeepaliveConfig,
        blocked: bool,
    ) -> Option<Due> {
        if now < self.deadline(keepalive_config) {
            return None;
        }
        if blocked && keepalive_config.framing == Framing::Serial {
            self.blocked_at = now;
            let since = *self.blocked_since.get_or_insert(now);
            let lost = now >= since.plus_micros(keepalive_config.keep_alive_timeout.max(LEAST_RETRY));
            return Some(if lost { Due::Lost } else { Due::Later });
        }
        if self.pinged.is_some() {
            return Some(Due::Lost);
        }
        self.pinged = Some(now);
        self.round_trip.started = (now.as_micros() as u32).max(1);
        self.unconfirmed = None;
        Some(Due::Ping)
    }
}
