//! The configuration of a hub session.

use core::time::Duration;

use tim_proto::wire::LEAST_MAX_FRAME;

use crate::Framing;
use crate::config::{ConfigError, MIN_WAIT, check_numbers, check_waits};
use crate::keepalive::KeepaliveConfig;
use crate::time::millis;

/// What the hub accepts from a connection. All numbers that a peer controls are limited here. The minimum for timeouts is
/// 1 ms: a session raises smaller values, and [`HubConfig::check`] reports them. A session never changes `max_frame`; clients turn a hub
/// away that takes less than their login.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct HubConfig {
    /// The largest frame to accept, in bytes. Default 64 KiB; at least [`LEAST_MAX_FRAME`].
    pub max_frame: u32,
    /// How many requests of one connection can be pending; more are not read. Default 64; at least 1.
    pub max_requests: u16,
    /// The largest window, whatever the client grants. Default 256; at least 1.
    pub max_window: u16,
    /// The timeout for hello and login together. Default 10 s.
    pub login_timeout: Duration,
    /// How long the connection may be silent before a PING is sent. Default 75 s.
    pub keep_alive: Duration,
    /// The timeout for the PONG, for sending a GOODBYE, and for the responses that a LOGOUT waits for. Default 10 s.
    pub keep_alive_timeout: Duration,
    /// The framing of the connection. Default [`Framing::Stream`].
    pub framing: Framing,
    /// With [`Framing::Serial`]: how long to wait before a PING asks whether sent packets have arrived. The connection is lost
    /// if nothing is received for three times as long after that. It must exceed a round trip with the longest frame.
    /// Default 1 s.
    pub serial_retry: Duration,
}

impl HubConfig {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] for the first field that is below its minimum.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_numbers(&[
            ("max_frame", self.max_frame, LEAST_MAX_FRAME),
            ("max_requests", self.max_requests.into(), 1),
            ("max_window", self.max_window.into(), 1),
        ])?;
        check_waits(&[
            ("login_timeout", self.login_timeout, MIN_WAIT),
            ("keep_alive", self.keep_alive, MIN_WAIT),
            ("keep_alive_timeout", self.keep_alive_timeout, MIN_WAIT),
            ("serial_retry", self.serial_retry, MIN_WAIT),
        ])
    }

    /// As a session keeps it, with all fields raised to their minimum except `max_frame`.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            login_timeout: millis(self.login_timeout.max(MIN_WAIT)),
            keepalive: KeepaliveConfig::new(
                self.framing,
                self.keep_alive.max(MIN_WAIT),
                self.keep_alive_timeout.max(MIN_WAIT),
                self.serial_retry.max(MIN_WAIT),
            ),
            max_frame: self.max_frame,
            max_requests: self.max_requests.max(1),
            max_window: self.max_window.max(1),
        }
    }
}

/// A [`HubConfig`] in less memory: each connection has one. The timeout is in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) login_timeout: u32,
    pub(super) keepalive: KeepaliveConfig,
    pub(super) max_frame: u32,
    pub(super) max_requests: u16,
    pub(super) max_window: u16,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            max_frame: 64 * 1024,
            max_requests: 64,
            max_window: 256,
            login_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            keep_alive_timeout: Duration::from_secs(10),
            framing: Framing::Stream,
            serial_retry: Duration::from_secs(1),
        }
    }
}
