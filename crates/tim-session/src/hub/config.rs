//! What a hub session is made with.

use core::time::Duration;

use tim_proto::wire::LEAST_MAX_FRAME;

use crate::Framing;
use crate::config::{ConfigError, MIN_WAIT, check_numbers, check_waits};

/// What the hub accepts from a connection; every number a peer controls has its ceiling here. No wait may be shorter than
/// 1 ms: a session takes that for anything less, and [`HubConfig::check`] says so.
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
    /// How long that sign may take, and how long a goodbye_received may take to be sent. Default 10 s.
    pub keep_alive_timeout: Duration,
    /// What kind of line the connection is. Default [`Framing::Stream`].
    pub framing: Framing,
    /// With [`Framing::Serial`]: after how long without an answer the client is asked whether what was sent has come. No
    /// sign of life for three times as long after that is a cut. More than a round trip with the longest frame. Default 1 s.
    pub serial_retry: Duration,
}

impl HubConfig {
    /// Whether the configuration can work.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is below its floor.
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

    /// The configuration without a wait below its floor.
    pub(super) fn with_floors(mut self) -> Self {
        self.login_timeout = self.login_timeout.max(MIN_WAIT);
        self
    }
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
