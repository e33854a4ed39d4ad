//! What a client session is made with.

use core::time::Duration;

use tim_proto::wire::LEAST_MAX_FRAME;
use tim_proto::{Platform, UserId};

use crate::Framing;
use crate::config::{ConfigError, MIN_BACKOFF, MIN_WAIT, check_numbers, check_waits};

/// Who the device is and how it behaves. The numbers are starting points for a device on any network; each is the
/// caller's to change before the session is made. No wait may be shorter than 1 ms, and none between two tries to connect
/// shorter than 10 ms: a session takes those for anything less, and [`ClientConfig::check`] says so.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The application's number (`sdkAppID`).
    pub app: u32,
    /// Who logs in.
    pub user: UserId,
    /// The device's number: made once at random, kept, and different on every device of a user.
    pub device: u64,
    /// What the device is.
    pub platform: Platform,
    /// The largest frame to accept, in bytes; never more than the receive buffer. Default 64 KiB; at least
    /// [`LEAST_MAX_FRAME`].
    pub max_frame: u32,
    /// How many deliveries the hub may send ahead of their acknowledgement. Default 64; 2 suits a tiny device; at
    /// least 1.
    pub window: u16,
    /// How many requests may wait for an answer at a time. Default 64.
    pub max_pending: u16,
    /// How long a connection may take to open. Default 10 s.
    pub connect_timeout: Duration,
    /// How long hello and login may take, each. Default 15 s.
    pub login_timeout: Duration,
    /// How long a request may wait for its answer, cuts of the line included. Default 15 s.
    pub request_timeout: Duration,
    /// How long the line may be silent before the hub is asked for a sign of life. Default 30 s.
    pub keep_alive: Duration,
    /// How long that sign may take. Default 10 s.
    pub keep_alive_timeout: Duration,
    /// How long a cut may last before SDK_NOT_READY. Default 60 s.
    pub resume_window: Duration,
    /// The shortest wait between two tries to connect. Default 0.25 s; doubled at each failure, with jitter.
    pub backoff_min: Duration,
    /// The longest one. Default 30 s.
    pub backoff_max: Duration,
    /// Whether the hub's answer to SEND is to say how it called the sender: nick, name card and picture. Default false.
    pub sender_names: bool,
    /// What kind of line the device is on. Default [`Framing::Stream`].
    pub framing: Framing,
    /// With [`Framing::Serial`]: after how long without an answer the hello is repeated, and the hub is asked whether what
    /// was sent has come. No sign of life for three times as long after that is a cut. More than a round trip with the
    /// longest frame. Default 1 s.
    pub serial_retry: Duration,
}

impl ClientConfig {
    /// The defaults, for this user on this device of this application.
    #[must_use]
    pub const fn new(app: u32, user: UserId, device: u64) -> Self {
        Self {
            app,
            user,
            device,
            platform: Platform::DEVICE,
            max_frame: 64 * 1024,
            window: 64,
            max_pending: 64,
            connect_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(15),
            keep_alive: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(10),
            resume_window: Duration::from_secs(60),
            backoff_min: Duration::from_millis(250),
            backoff_max: Duration::from_secs(30),
            sender_names: false,
            framing: Framing::Stream,
            serial_retry: Duration::from_secs(1),
        }
    }

    /// Whether the configuration can work.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is below its floor.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_numbers(&[
            ("max_frame", self.max_frame, LEAST_MAX_FRAME),
            ("window", self.window.into(), 1),
        ])?;
        check_waits(&[
            ("connect_timeout", self.connect_timeout, MIN_WAIT),
            ("login_timeout", self.login_timeout, MIN_WAIT),
            ("request_timeout", self.request_timeout, MIN_WAIT),
            ("keep_alive", self.keep_alive, MIN_WAIT),
            ("keep_alive_timeout", self.keep_alive_timeout, MIN_WAIT),
            ("backoff_min", self.backoff_min, MIN_BACKOFF),
            ("backoff_max", self.backoff_max, MIN_BACKOFF),
            ("serial_retry", self.serial_retry, MIN_WAIT),
        ])
    }

    /// The configuration with nothing below its floor but `max_frame`, without which there is no login.
    pub(super) fn with_floors(mut self) -> Self {
        for wait in [
            &mut self.connect_timeout,
            &mut self.login_timeout,
            &mut self.request_timeout,
        ] {
            *wait = (*wait).max(MIN_WAIT);
        }
        self.backoff_min = self.backoff_min.max(MIN_BACKOFF);
        self.window = self.window.max(1);
        self
    }
}
