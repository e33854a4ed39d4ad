//! The hub under test, and how the suite reaches it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tim_client::proto::request::PushPlatform;
use tim_client::transport::Connector;
use tim_client::{ErrorCode, ImError, Limits, UserId};
use tim_usersig::{App, UserSig};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::check::Stop;
use crate::lab::Lab;

/// The lifetime of the UserSigs that [`Target::with_key`] signs, in seconds.
const SIG_SECONDS: u64 = 3600;

/// How long [`Target::probe`] tries to log in, in milliseconds.
const PROBE_MILLIS: u32 = 10_000;

/// A future on the heap.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A byte stream of any transport.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(crate) type Link = Box<dyn Stream>;

type Connect = dyn Fn() -> Boxed<'static, io::Result<Link>> + Send + Sync;
type Sign = dyn Fn(&UserId) -> String + Send + Sync;

/// A hub: how to connect to it, which application it serves, and who signs UserSigs.
///
/// The suite opens many connections at the same time.
#[derive(Clone)]
pub struct Target {
    app: u32,
    connect: Arc<Connect>,
    sign: Arc<Sign>,
    factory: Option<Arc<dyn HubFactory>>,
    pushes: Option<Arc<Pushes>>,
    rest: Option<Arc<Rest>>,
}

type Pushes = dyn Fn(&UserId) -> Vec<SeenPush> + Send + Sync;
type Rest = dyn Fn(&str, Value) -> Boxed<'static, io::Result<Value>> + Send + Sync;

impl Target {
    /// A hub whose UserSigs `sign` makes. Each must be valid for as long as a run takes.
    pub fn new(
        app: u32,
        connector: impl Connector,
        sign: impl Fn(&UserId) -> String + Send + Sync + 'static,
    ) -> Self {
        let connector = Mutex::new(connector);
        let connect = move || {
            let connecting = connector.lock().unwrap_or_else(PoisonError::into_inner).connect();
            let link: Boxed<'static, io::Result<Link>> =
                Box::pin(async move { Ok(Box::new(connecting.await?) as Link) });
            link
        };
        Self {
            app,
            connect: Arc::new(connect),
            sign: Arc::new(sign),
            factory: None,
            pushes: None,
            rest: None,
        }
    }

    /// A hub whose app key is known.
    pub fn with_key(app: u32, key: impl Into<String>, connector: impl Connector) -> Self {
        let signer = App::new(app, key);
        Self::new(app, connector, move |user| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            UserSig::sign(&signer, user, now.as_secs(), SIG_SECONDS)
        })
    }

    /// Lets the suite start further hubs of the same kind, for rows about the hub's clock and settings. Without a factory,
    /// these rows are not applicable.
    #[must_use]
    pub fn with_factory(mut self, factory: impl HubFactory) -> Self {
        self.factory = Some(Arc::new(factory));
        self
    }

    /// Lets the suite see which notifications the hub has sent for a user who was offline, in their order. Without that, rows about
    /// offline push are not applicable.
    #[must_use]
    pub fn with_pushes(mut self, pushes: impl Fn(&UserId) -> Vec<SeenPush> + Send + Sync + 'static) -> Self {
        self.pushes = Some(Arc::new(pushes));
        self
    }

    /// Lets the suite call the vendor's REST interface of the hub as an administrator: `call` takes a command, such as
    /// `openim/sendmsg`, and the body. Without that, the rows about this interface are not
    /// applicable.
    #[must_use]
    pub fn with_rest(
        mut self,
        call: impl Fn(&str, Value) -> Boxed<'static, io::Result<Value>> + Send + Sync + 'static,
    ) -> Self {
        self.rest = Some(Arc::new(call));
        self
    }

    pub(crate) fn rest(&self, command: &str, body: Value) -> Option<Boxed<'static, io::Result<Value>>> {
        self.rest.as_ref().map(|call| call(command, body))
    }

    pub(crate) fn pushes(&self, user: &UserId) -> Option<Vec<SeenPush>> {
        self.pushes.as_ref().map(|pushes| pushes(user))
    }

    /// Logs a user in and out, to find out whether the hub is there and takes the UserSigs.
    ///
    /// # Errors
    /// Why the login failed.
    pub async fn probe(&self) -> Result<(), ImError> {
        let lab = Lab::new(self.clone(), 0).map_err(in_client)?;
        let user = lab.user("probe").map_err(in_client)?;
        let limits = Limits::new().with_login_timeout_millis(PROBE_MILLIS);
        let (person, _) = lab.client_with(user, |builder| builder.limits(limits));
        person.client.login().await?;
        person.client.logout().await
    }

    pub(crate) const fn app(&self) -> u32 {
        self.app
    }

    pub(crate) fn sign(&self, user: &UserId) -> String {
        (self.sign)(user)
    }

    pub(crate) fn connect(&self) -> Boxed<'static, io::Result<Link>> {
        (self.connect)()
    }

    pub(crate) fn factory(&self) -> Option<&dyn HubFactory> {
        self.factory.as_deref()
    }
}

fn in_client(stop: Stop) -> ImError {
    ImError::new(ErrorCode::UNCAUGHT_ERROR, stop.to_string())
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

/// A notification that a hub has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPush {
    /// The push service.
    pub platform: PushPlatform,
    /// The token that it went to.
    pub token: String,
    /// The title.
    pub title: String,
    /// The text.
    pub text: String,
    /// What the application gets.
    pub extension: String,
    /// The number that the application's icon is to show; `None` leaves it as it is.
    pub badge: Option<u64>,
    /// For OPPO: the channel.
    pub channel: Option<String>,
}

/// Starts hubs whose settings and clock the suite controls.
pub trait HubFactory: Send + Sync + 'static {
    /// Starts a hub with its own, empty data.
    ///
    /// # Errors
    /// Why it could not be started.
    fn start(&self, settings: HubSettings) -> Boxed<'_, io::Result<Box<dyn StartedHub>>>;
}

/// A hub that a [`HubFactory`] started. It stops when this is dropped.
pub trait StartedHub: Send + Sync {
    /// The hub.
    fn target(&self) -> Target;

    /// Moves its wall clock and its monotonic clock ahead.
    fn advance(&self, by: Duration);
}

/// The settings of a hub that differ from row to row. By default they are the documented ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubSettings {
    /// The period in which a message can be revoked, in seconds.
    pub revoke_window_seconds: u64,
    /// How long messages are kept, in seconds.
    pub retention_seconds: u64,
    /// How many messages a group takes per second; 0 is no limit.
    pub group_messages_per_second: u32,
}

impl Default for HubSettings {
    fn default() -> Self {
        let limits = Limits::new();
        Self {
            revoke_window_seconds: limits.revoke_window_seconds(),
            retention_seconds: limits.retention_seconds(),
            group_messages_per_second: limits.group_messages_per_second(),
        }
    }
}
