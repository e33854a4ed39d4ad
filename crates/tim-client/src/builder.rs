//! Building a client.

use std::sync::Arc;
use std::time::Duration;

use tim_proto::vendor::capability::Capabilities;
use tim_proto::vendor::limits::Limits;
use tim_proto::{Platform, UserId};
#[cfg(feature = "tcp")]
use tim_transport_std::TcpConnector;
use tim_transport_std::session::{ClientConfig, MAX_CURSOR_LEN};
use tim_transport_std::{
    Address, AnyConnector, ClientBuffers, ClientDriver, ConnectOptions, Connector, ConnectorError,
};
use tokio::sync::mpsc;

use crate::actor::{Actor, MAX_COMMANDS};
use crate::bus::Bus;
use crate::client::Client;
use crate::shared::Shared;
use crate::state::State;
use crate::system::{Randoms, WallClock};

/// How many messages an event stream may hold before the hub is slowed down.
const EVENT_CAPACITY: usize = 256;
/// The device id before one is chosen.
const NO_DEVICE: u64 = 0;

/// Configures a client; from [`Client::builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct ClientBuilder {
    config: ClientConfig,
    user_sig: String,
    limits: Limits,
    capabilities: Option<Capabilities>,
    resume: Resume,
    event_capacity: usize,
    wall_clock: WallClock,
    randoms: Randoms,
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The signature is a credential and stays out of logs.
        f.debug_struct("ClientBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

enum Resume {
    Now,
    Start,
    Cursor(Vec<u8>),
}

impl Client {
    /// Starts to configure a client for a user of the application `app` (`SDKAppID`), who authenticates with `user_sig`.
    pub fn builder(app: u32, user: UserId, user_sig: impl Into<String>) -> ClientBuilder {
        let mut config = ClientConfig::new(app, user, NO_DEVICE);
        config.sender_names = true;
        config.platform = Platform::DESKTOP;
        ClientBuilder {
            config,
            user_sig: user_sig.into(),
            limits: Limits::new(),
            capabilities: None,
            resume: Resume::Now,
            event_capacity: EVENT_CAPACITY,
            wall_clock: WallClock::SYSTEM,
            randoms: Randoms::System,
        }
    }
}

impl ClientBuilder {
    /// The device id, not 0: drawn at random once, persisted, and different for every device of a user. By default it is
    /// random, so each client is a new device.
    pub const fn device(mut self, device: u64) -> Self {
        self.config.device = device;
        self
    }

    /// The platform of the device. Default: [`Platform::DESKTOP`].
    pub const fn platform(mut self, platform: Platform) -> Self {
        self.config.platform = platform;
        self
    }

    /// The message kinds that this device can create. Default: those of its platform.
    pub const fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// Resumes where an earlier client of the same device stopped: at the [`Client::cursor`] that the application has
    /// persisted. A cursor that is empty or too long is ignored.
    pub fn resume_from(mut self, cursor: &[u8]) -> Self {
        let usable = !cursor.is_empty() && cursor.len() <= MAX_CURSOR_LEN;
        self.resume = if usable {
            Resume::Cursor(cursor.to_vec())
        } else {
            Resume::Now
        };
        self
    }

    /// Delivers everything that the hub retains, oldest first, instead of only new messages.
    pub fn resume_from_start(mut self) -> Self {
        self.resume = Resume::Start;
        self
    }

    /// The limits that calls are checked against, and the time-outs of logins and requests. Default: the documented ones.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self.config.request_timeout = Duration::from_millis(limits.request_timeout_millis() as u64);
        self
    }

    /// How many messages an event stream may hold before the hub is slowed down, at least 1. Default: 256.
    pub const fn event_capacity(mut self, messages: usize) -> Self {
        self.event_capacity = messages;
        self
    }

    /// Changes other settings of the session: time-outs, keepalive, window, largest frame.
    pub fn session(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// The time of day, in milliseconds since 1970, for platforms without a clock and for tests. Default: the system's. The
    /// times of new messages are taken from it; intervals are measured with tokio's time.
    pub fn wall_clock(mut self, unix_millis: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.wall_clock = WallClock::new(unix_millis);
        self
    }

    /// Makes all random numbers of the client follow from this one, for platforms without a random source and for tests:
    /// those in message ids and of the session, back-off, and the device id if none is set. Default: the system's random
    /// source.
    ///
    /// Each client needs a seed of its own, also one that is built for the same device again: by it the hub tells the logins
    /// of one run of the application from late ones of another.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.randoms = Randoms::Seeded(seed);
        self
    }

    /// Builds a client of the hub at `host:port`. Nothing is sent before [`Client::login`].
    ///
    /// # Panics
    /// As [`ClientBuilder::build`].
    #[cfg(feature = "tcp")]
    pub fn build_tcp(self, address: impl ToString) -> Client {
        self.build(TcpConnector::new(address))
    }

    /// Builds a client of the hub at an address of any kind: `tim://`, `tims://`, `ws://`, `wss://`, `unix:` or `serial:`, each of
    /// which needs its feature. Nothing is sent before [`Client::login`].
    ///
    /// ```no_run
    /// # #[cfg(feature = "tls")]
    /// # async fn example(user_sig: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// use tim_client::transport::{ConnectOptions, tls::ClientTls};
    /// use tim_client::{Client, UserId};
    ///
    /// let tls = ClientTls::new().with_roots_from("authority.pem")?; // without this, the authorities of the system
    /// let client = Client::builder(1_400_000_000, UserId::new("alice")?, user_sig)
    ///     .build_at(&"tims://hub.example.org".parse()?, &ConnectOptions::new().with_tls(tls))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConnectorError::Missing`] if the feature is not enabled; [`ConnectorError::Unsupported`] if the system has no such transport;
    /// `ConnectorError::Tls` if the settings of TLS cannot work, for example because no authority is trusted.
    ///
    /// # Panics
    /// As [`ClientBuilder::build`].
    pub fn build_at(mut self, address: &Address, options: &ConnectOptions) -> Result<Client, ConnectorError> {
        self.config.framing = address.framing();
        Ok(self.build(AnyConnector::new(address, options)?))
    }

    /// Builds a client of several hubs of one installation, any of which will do: when the connection to one is lost, the client goes on
    /// with another one at once. The first address is tried first; [`Failover`](tim_transport_std::Failover) says how it goes on.
    ///
    /// ```no_run
    /// # async fn example(user_sig: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// use tim_client::transport::ConnectOptions;
    /// use tim_client::{Client, UserId};
    ///
    /// let hubs = ["tim://hub-a.example.org".parse()?, "tim://hub-b.example.org".parse()?];
    /// let client = Client::builder(1_400_000_000, UserId::new("alice")?, user_sig)
    ///     .build_at_any(&hubs, &ConnectOptions::new())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`ClientBuilder::build_at`]; also if there is no address, or one of several is a serial port.
    ///
    /// # Panics
    /// As [`ClientBuilder::build`].
    pub fn build_at_any(
        mut self,
        addresses: &[Address],
        options: &ConnectOptions,
    ) -> Result<Client, ConnectorError> {
        if let [address] = addresses {
            return self.build_at(address, options);
        }
        let seed = self.randoms.draw();
        let connector = AnyConnector::among(addresses, options, seed)?;
        Ok(self.build(connector))
    }

    /// Builds a client that opens its connections with `connector`, and spawns its task on the current tokio runtime.
    /// Nothing is sent before [`Client::login`].
    ///
    /// # Panics
    /// Outside a tokio runtime whose time is enabled, as `tokio::spawn` does.
    pub fn build<C: Connector>(mut self, connector: C) -> Client
    where
        C::Link: Send,
    {
        let [device, session, messages] = [(); 3].map(|()| self.randoms.draw());
        if self.config.device == NO_DEVICE {
            self.config.device = device.max(1);
        }
        let capabilities = self
            .capabilities
            .unwrap_or_else(|| Capabilities::of(self.config.platform));
        let settled = match &self.resume {
            Resume::Cursor(cursor) => cursor.clone(),
            Resume::Now | Resume::Start => Vec::new(),
        };
        let bus = Bus::new(self.event_capacity, settled);
        let shared = Shared::new(
            &self.config,
            self.limits,
            capabilities,
            bus,
            self.wall_clock,
            messages,
        );
        let shared = Arc::new(shared);
        let (sender, commands) = mpsc::channel(MAX_COMMANDS);
        let mut driver = ClientDriver::new(
            self.config,
            self.user_sig,
            ClientBuffers::default(),
            session,
            connector,
        );
        match &self.resume {
            Resume::Now => {}
            Resume::Start => driver.session().resume_from_start(),
            Resume::Cursor(cursor) => {
                driver.session().resume_from(cursor);
            }
        }
        let state = State::new(
            shared.state_config(),
            shared.messages.clone(),
            shared.av_chat_rooms.clone(),
        );
        tokio::spawn(Actor::new(driver, commands, state, shared.clone()).run());
        Client {
            shared,
            commands: sender,
            runtime: tokio::runtime::Handle::current(),
        }
    }
}
