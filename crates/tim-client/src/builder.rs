//! Making a client.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tim_proto::capability::Capabilities;
use tim_proto::limits::Limits;
use tim_proto::{Platform, UserId};
use tim_transport_std::session::{ClientConfig, MAX_CURSOR_LEN};
use tim_transport_std::{ClientBuffers, ClientDriver, Connector, TcpConnector};
use tokio::sync::mpsc;

use crate::actor::{Actor, MAX_COMMANDS};
use crate::bus::Bus;
use crate::client::Client;
use crate::shared::Shared;
use crate::state::State;

/// How many messages an event stream may hold before the hub is slowed down.
const EVENT_CAPACITY: usize = 256;

/// Configures a client; from [`Client::builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct ClientBuilder {
    config: ClientConfig,
    user_sig: String,
    limits: Limits,
    capabilities: Option<Capabilities>,
    resume: Resume,
    event_capacity: usize,
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
    /// Begins to make a client for this user of this application (`SDKAppID`), who proves it with this UserSig.
    pub fn builder(app: u32, user: UserId, user_sig: impl Into<String>) -> ClientBuilder {
        let mut config = ClientConfig::new(app, user, random().max(1));
        config.sender_names = true;
        config.platform = Platform::DESKTOP;
        ClientBuilder {
            config,
            user_sig: user_sig.into(),
            limits: Limits::new(),
            capabilities: None,
            resume: Resume::Now,
            event_capacity: EVENT_CAPACITY,
        }
    }
}

impl ClientBuilder {
    /// The device's number, not 0: made once at random, kept, and different on every device of a user. Random by default,
    /// which makes each client a new device.
    pub const fn device(mut self, device: u64) -> Self {
        self.config.device = device;
        self
    }

    /// What the device is. [`Platform::DESKTOP`] by default.
    pub const fn platform(mut self, platform: Platform) -> Self {
        self.config.platform = platform;
        self
    }

    /// What can be made on this device. By default what its platform can.
    pub const fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// Goes on where an earlier client of the same device was: [`Client::cursor`], kept by the application. An empty one
    /// is as good as none; one that is too long to be a cursor is taken for none as well.
    pub fn resume_from(mut self, cursor: &[u8]) -> Self {
        let usable = !cursor.is_empty() && cursor.len() <= MAX_CURSOR_LEN;
        self.resume = if usable {
            Resume::Cursor(cursor.to_vec())
        } else {
            Resume::Now
        };
        self
    }

    /// Delivers everything that is kept, oldest first, instead of what comes from now on.
    pub fn resume_from_start(mut self) -> Self {
        self.resume = Resume::Start;
        self
    }

    /// The limits that calls are checked against, and for how long a login and a request wait. By default the documented
    /// ones.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self.config.request_timeout = Duration::from_millis(limits.request_timeout_millis() as u64);
        self
    }

    /// How many messages an event stream may hold before the hub is slowed down, at least 1. 256 by default.
    pub const fn event_capacity(mut self, messages: usize) -> Self {
        self.event_capacity = messages;
        self
    }

    /// Changes anything else of the session: time-outs, keep-alive, window, largest frame.
    pub fn session(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Builds a client of the hub at `host:port`. Nothing is sent before [`Client::login`].
    ///
    /// # Panics
    /// As [`ClientBuilder::build`].
    pub fn build_tcp(self, address: impl ToString) -> Client {
        self.build(TcpConnector::new(address))
    }

    /// Builds a client that opens its connections with `connector`, and spawns its task on the current tokio runtime.
    /// Nothing is sent before [`Client::login`].
    ///
    /// # Panics
    /// Outside a tokio runtime whose time is enabled, as `tokio::spawn` does.
    pub fn build<C: Connector>(self, connector: C) -> Client
    where
        C::Link: Send,
    {
        let capabilities = self
            .capabilities
            .unwrap_or_else(|| Capabilities::of(self.config.platform));
        let settled = match &self.resume {
            Resume::Cursor(cursor) => cursor.clone(),
            Resume::Now | Resume::Start => Vec::new(),
        };
        let bus = Bus::new(self.event_capacity, settled);
        let shared = Arc::new(Shared::new(&self.config, self.limits, capabilities, bus));
        let (sender, commands) = mpsc::channel(MAX_COMMANDS);
        let mut driver = ClientDriver::new(
            self.config,
            self.user_sig,
            ClientBuffers::default(),
            random(),
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

/// A number that nobody else has, from the randomness that seeds the standard library's hash tables.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
