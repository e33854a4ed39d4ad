//! Options of a client.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tim_usersig::App;

use crate::administrator::Administrator;
use crate::client::Client;
use crate::driver::Driver;
use crate::error::Error;
#[cfg(feature = "hyper")]
use crate::hyper_driver::HyperDriver;

/// The options of a [`Client`]. From [`Client::builder`].
#[must_use]
pub struct Builder {
    base: String,
    app: App,
    user: String,
    allows_plaintext: bool,
    pub(crate) attempts: u32,
    pub(crate) timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) authorities: Vec<PathBuf>,
}

impl Builder {
    pub(crate) fn new(base: String, app: App, user: String) -> Self {
        Self {
            base,
            app,
            user,
            allows_plaintext: false,
            attempts: 3,
            timeout: Duration::from_secs(10),
            max_connections: 64,
            authorities: Vec::new(),
        }
    }

    /// How often a call is tried if that is safe ([`Client::request`]); 1 repeats nothing. Default 3.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The time limit of each attempt, from connecting to the end of the answer; half of it is for the TCP connection. Waiting for other
    /// calls of the same client does not count ([`Builder::max_connections`]). Default 10 s; Tencent's service gives up after 3 s. A
    /// [`Driver`] of your own has its own limit.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many calls are made at a time; more wait. Default 64: a hub accepts 100 connections from one address. A [`Driver`] of your own has
    /// its own limit.
    pub const fn max_connections(mut self, max_connections: usize) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Also trusts the authorities in this PEM file, beside those of the system. A [`Driver`] of your own has its own.
    pub fn trust_authorities_from(mut self, path: impl Into<PathBuf>) -> Self {
        self.authorities.push(path.into());
        self
    }

    /// Calls a service without TLS, although it is not on this machine: for a network that is private as a whole.
    pub const fn allow_plaintext(mut self) -> Self {
        self.allows_plaintext = true;
        self
    }

    /// A client that makes requests with hyper. Its calls need a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// [`Error::Setup`] for options that cannot work.
    #[cfg(feature = "hyper")]
    pub fn build(self) -> Result<Client, Error> {
        let driver = self.driver()?;
        self.build_with(driver)
    }

    /// The driver of [`build`](Self::build) with these options, for a driver of your own around it: one that measures, or logs.
    ///
    /// # Errors
    /// [`Error::Setup`] for options that cannot work.
    #[cfg(feature = "hyper")]
    pub fn driver(&self) -> Result<HyperDriver, Error> {
        HyperDriver::new(self)
    }

    /// A client that makes requests with another driver.
    ///
    /// # Errors
    /// [`Error::Setup`] for options that cannot work.
    pub fn build_with(self, driver: impl Driver + 'static) -> Result<Client, Error> {
        let administrator = Administrator::with(&self.base, self.app, &self.user, self.allows_plaintext)?;
        Ok(Client::new(administrator, Box::new(driver), self.attempts))
    }

    /// Whether the connections have TLS.
    #[cfg(feature = "hyper")]
    pub(crate) fn has_tls(&self) -> bool {
        self.base.starts_with("https://")
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("base", &self.base)
            .field("app", &self.app.id)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
