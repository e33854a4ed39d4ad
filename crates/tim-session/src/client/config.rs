//! The configuration of a client session.

use core::time::Duration;

use tim_proto::wire::LEAST_MAX_FRAME;
use tim_proto::{Platform, UserId};

use crate::config::{ConfigError, MIN_BACKOFF, MIN_WAIT, MIN_WAIT_MS, check_numbers, check_waits};
use crate::keepalive::KeepaliveConfig;
use crate::time::millis;
use crate::{Framing, FramingChoice};

/// The identity and behaviour of a device. The defaults suit a device on any network. The minimum for timeouts is 1 ms, and
/// for back-off 10 ms: a session raises smaller values, and [`ClientConfig::check`] reports them. A session measures milliseconds;
/// a timeout of eleven and a half days or more never ends.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The application's number (`sdkAppID`).
    pub app: u32,
    /// The user that logs in.
    pub user: UserId,
    /// The device's number: drawn at random once, kept, and different on each device of a user.
    pub device: u64,
    /// The device's platform.
    pub platform: Platform,
    /// The largest frame to accept, in bytes; never more than the receive buffer. Default 64 KiB; at least
    /// [`LEAST_MAX_FRAME`].
    pub max_frame: u32,
    /// How many deliveries the hub may send before they are acknowledged. Default 64; 2 suits a small device; at least 1.
    pub window: u16,
    /// How many requests can be pending. Default 64; at least 1.
    pub max_pending: u16,
    /// The timeout for opening a connection. Default 10 s.
    pub connect_timeout: Duration,
    /// The timeout for the hello and for the login, each. Default 15 s.
    pub login_timeout: Duration,
    /// The timeout for a request, including lost connections. Default 15 s.
    pub request_timeout: Duration,
    /// How long the connection may be silent before a PING is sent. Default 30 s.
    pub keep_alive: Duration,
    /// The timeout for the PONG. Default 10 s.
    pub keep_alive_timeout: Duration,
    /// How long the connection may be lost before SDK_NOT_READY. Default 60 s.
    pub resume_window: Duration,
    /// The shortest back-off. Default 0.25 s; doubled at each failure, with jitter.
    pub backoff_min: Duration,
    /// The longest back-off. Default 30 s.
    pub backoff_max: Duration,
    /// Whether responses to SEND should contain the sender's names: nick, name card and avatar. Default false.
    pub sender_names: bool,
    /// Whether the hub may leave out of deliveries what the device knows, which saves some 40 bytes of each on a slow line.
    /// [`Delivery::encoded`](tim_proto::request::Delivery::encoded) is `None` then. Default false. Needs the feature `compact`.
    #[cfg(feature = "compact")]
    pub compact: bool,
    /// Whether compact deliveries say the sender's own numbers: the device that sent the message, and its `client_sequence`. Without,
    /// they are 0, but for the number of this device. Default false. Needs the feature `compact`.
    #[cfg(feature = "compact")]
    pub compact_numbers: bool,
    /// The framing of the connection. Default [`Framing::Stream`].
    pub framing: Framing,
    /// With [`Framing::Serial`]: how long to wait for a response before the hello is repeated, or before a PING asks whether sent
    /// packets have arrived. The connection is lost if nothing is received for three times as long after that. It must
    /// exceed a round trip with the longest frame. Default 1 s.
    pub serial_retry: Duration,
}

impl ClientConfig {
    /// The defaults for this user on this device of this application.
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
            #[cfg(feature = "compact")]
            compact: false,
            #[cfg(feature = "compact")]
            compact_numbers: false,
            framing: Framing::Stream,
            serial_retry: Duration::from_secs(1),
        }
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] for the first field that is below its minimum.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_numbers(&[
            ("max_frame", self.max_frame, LEAST_MAX_FRAME),
            ("window", self.window.into(), 1),
            ("max_pending", self.max_pending.into(), 1),
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

    /// As a session keeps it, with all fields raised to their minimum except `max_frame`; with a smaller one, login fails.
    pub(super) fn settings<F: FramingChoice>(&self, framing: F) -> Settings<F> {
        let wait = |wait: Duration| millis(wait).max(MIN_WAIT_MS);
        Settings {
            app: self.app,
            user: self.user,
            device: self.device,
            platform: self.platform,
            max_frame: self.max_frame,
            window: self.window.max(1),
            max_pending: self.max_pending.max(1),
            sender_names: self.sender_names,
            #[cfg(feature = "compact")]
            compact: self.compact,
            #[cfg(feature = "compact")]
            compact_numbers: self.compact_numbers,
            connect_timeout: wait(self.connect_timeout),
            login_timeout: wait(self.login_timeout),
            request_timeout: wait(self.request_timeout),
            resume_window: millis(self.resume_window),
            keepalive: KeepaliveConfig {
                framing,
                keep_alive: wait(self.keep_alive),
                keep_alive_timeout: wait(self.keep_alive_timeout),
                retry: wait(self.serial_retry),
            },
        }
    }
}

/// A [`ClientConfig`] in less memory, with waits in milliseconds. Those of the back-off are the [`Backoff`](super::Backoff)'s.
#[derive(Debug)]
pub(super) struct Settings<F> {
    pub(super) app: u32,
    pub(super) user: UserId,
    pub(super) device: u64,
    pub(super) platform: Platform,
    pub(super) max_frame: u32,
    pub(super) window: u16,
    pub(super) max_pending: u16,
    pub(super) sender_names: bool,
    #[cfg(feature = "compact")]
    pub(super) compact: bool,
    #[cfg(feature = "compact")]
    pub(super) compact_numbers: bool,
    pub(super) connect_timeout: u32,
    pub(super) login_timeout: u32,
    pub(super) request_timeout: u32,
    pub(super) resume_window: u32,
    pub(super) keepalive: KeepaliveConfig<F>,
}

impl<F: FramingChoice> Settings<F> {
    /// The configuration that it was made of; a wait that never ends is the longest duration.
    pub(super) fn config(&self, (backoff_min, backoff_max): (u32, u32)) -> ClientConfig {
        let wait = |millis: u32| match millis {
            u32::MAX => Duration::MAX,
            millis => Duration::from_millis(millis.into()),
        };
        ClientConfig {
            app: self.app,
            user: self.user,
            device: self.device,
            platform: self.platform,
            max_frame: self.max_frame,
            window: self.window,
            max_pending: self.max_pending,
            connect_timeout: wait(self.connect_timeout),
            login_timeout: wait(self.login_timeout),
            request_timeout: wait(self.request_timeout),
            keep_alive: wait(self.keepalive.keep_alive),
            keep_alive_timeout: wait(self.keepalive.keep_alive_timeout),
            resume_window: wait(self.resume_window),
            backoff_min: wait(backoff_min),
            backoff_max: wait(backoff_max),
            sender_names: self.sender_names,
            #[cfg(feature = "compact")]
            compact: self.compact,
            #[cfg(feature = "compact")]
            compact_numbers: self.compact_numbers,
            framing: self.keepalive.framing.framing(),
            serial_retry: wait(self.keepalive.retry),
        }
    }
}
