//! What a sink gets, and what it answers.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tim_proto::request::PushPlatform;
use tim_proto::{ConversationId, MessageId, UserId, Words};

use super::routes::PushRoutes;

/// One notification for one token.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notification {
    /// The same each time this is sent: a notification comes at least once, and more than once after failures. No other has it.
    pub id: String,
    /// Who is notified.
    pub user: UserId,
    /// The push service.
    pub platform: PushPlatform,
    /// What the push service knows the installation by.
    pub token: String,
    /// The title.
    pub title: String,
    /// The text.
    pub text: String,
    /// For the application, and not shown; may be empty.
    pub extension: String,
    /// The number that the application's icon is to show; `None` leaves it as it is.
    pub badge: Option<u64>,
    /// For OPPO: the channel.
    pub channel: Option<String>,
    /// The conversation of the message, for this user.
    pub conversation: ConversationId,
    /// The sequence of the message.
    pub sequence: u64,
    /// The message.
    pub message: MessageId,
    /// Its sender.
    pub sender: UserId,
    /// When it was stored, Unix time in seconds.
    pub time: u64,
    /// When it is too old to be shown, Unix time in seconds: a push service that keeps it for a device drops it then.
    pub expires: u64,
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a message says, and a token, do not belong into logs.
        f.debug_struct("Notification")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("platform", &self.platform)
            .finish_non_exhaustive()
    }
}

/// The outcome of a sink, later.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), PushError>> + Send + 'a>>;

/// Takes notifications: a provider of a push service, or what stands before one.
///
/// # What the hub does
///
/// It has a limited number of notifications under way at a sink ([`PushOptions::max_concurrent`]), and for one user only one at a time, in
/// the order of the messages. It limits the time that one takes ([`PushOptions::timeout`]): then it drops the future, at whichever await
/// it is, and takes the sink for not available. What was dropped may have been sent. It repeats what failed, under the same
/// [`Notification::id`], with growing pauses, until the message is too old, or for ten minutes if the sink takes others meanwhile; a sink
/// that fails for many users in a row gets one notification at a time. All this is for each sink of [`PushRoutes`] by itself.
///
/// So a sink neither waits nor repeats nor counts. It must not block the thread: what blocks belongs into
/// [`spawn_blocking`](tokio::task::spawn_blocking). If it panics, the notification counts as failed.
///
/// # Example
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use tim_hub::{HubOptions, Notification, PushError, PushOptions, PushRoutes, PushSink, Sending};
/// use tim_hub::usersig::App;
/// use tim_proto::request::PushPlatform;
///
/// /// Shows notifications on a screen that knows two tokens and is switched off at times.
/// #[derive(Default)]
/// struct Screen {
///     is_off: bool,
///     shown: Mutex<Vec<String>>,
/// }
///
/// impl PushSink for Screen {
///     fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
///         Box::pin(async move {
///             if self.is_off {
///                 return Err(PushError::unavailable("the screen is switched off"));
///             }
///             if !["left", "right"].contains(&notification.token.as_str()) {
///                 return Err(PushError::TokenUnknown);
///             }
///             let line = format!("{}: {}", notification.title, notification.text);
///             self.shown.lock().unwrap().push(line);
///             Ok(())
///         })
///     }
/// }
///
/// let screen = Arc::new(Screen::default());
/// // iPhones, and nothing else:
/// let routes = PushRoutes::new().with(PushPlatform::IOS, screen.clone());
/// let mut options = HubOptions::new(App::new(1_400_000_000, "a key of 32 characters or more..."));
/// options.push = Some(PushOptions::with_routes(routes));
/// # assert!(screen.shown.lock().unwrap().is_empty());
/// ```
pub trait PushSink: Send + Sync {
    /// Sends a notification. `Ok` says that the push service has taken it.
    ///
    /// # Errors
    /// See [`PushError`].
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a>;

    /// The form in which the hub keeps a token that a user registers. Two tokens that are the same to the push service have the same form.
    ///
    /// # Errors
    /// Why it is none of this push service, to be shown to who has registered it. It is not kept.
    fn token<'a>(&self, _platform: PushPlatform, token: &'a str) -> Result<Cow<'a, str>, String> {
        Ok(Cow::Borrowed(token))
    }

    /// What it is called in logs.
    fn name(&self) -> &str {
        "sink"
    }
}

/// Why a sink has not taken a notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The sink cannot be reached, does not answer, or says that it takes nothing now. The notification is tried again, until the message
    /// is too old. If that happens for many users in a row, the sink counts as down, and gets one notification at a time.
    #[error("the sink is not available: {what}")]
    Unavailable {
        /// Why.
        what: String,
        /// When to try again, if the sink has said that.
        retry_after: Option<Duration>,
    },
    /// The sink works, and does not take this notification now. It is tried again, until the message is too old; the user's other devices
    /// get theirs meanwhile, and other users do not notice.
    #[error("the sink does not take the notification now: {what}")]
    NotTaken {
        /// Why.
        what: String,
        /// When to try again, if the sink has said that.
        retry_after: Option<Duration>,
    },
    /// This notification will never be taken. It is dropped.
    #[error("the sink refuses the notification: {0}")]
    Refused(String),
    /// There is no such token any more. It is unregistered.
    #[error("the push service does not know the token")]
    TokenUnknown,
}

impl PushError {
    /// [`PushError::Unavailable`], to be tried again when the hub finds it right.
    #[must_use]
    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable {
            what: what.into(),
            retry_after: None,
        }
    }
}

/// How a hub notifies users who are offline.
#[derive(Clone)]
#[non_exhaustive]
pub struct PushOptions {
    /// What takes the notifications. Those for which there is nothing are not sent.
    pub routes: PushRoutes,
    /// Maximum age of a message that still causes a notification, as after a long failure of the sink. Default 24 h.
    pub max_age: Duration,
    /// How long a sink may take for a notification. Default 10 s.
    pub timeout: Duration,
    /// The maximum number of notifications under way at a sink. Default 32.
    pub max_concurrent: usize,
    /// The language of default texts such as `[Image]`. Default English.
    pub words: Words,
}

impl PushOptions {
    /// The defaults, with this sink for everything.
    #[must_use]
    pub fn new(sink: Arc<dyn PushSink>) -> Self {
        Self::with_routes(PushRoutes::new().with_others(sink))
    }

    /// The defaults, with these sinks.
    #[must_use]
    pub const fn with_routes(routes: PushRoutes) -> Self {
        Self {
            routes,
            max_age: Duration::from_secs(24 * 3600),
            timeout: Duration::from_secs(10),
            max_concurrent: 32,
            words: Words::ENGLISH,
        }
    }
}

/// What a hub has counted of offline push since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PushStats {
    /// Users with tokens.
    pub users: usize,
    /// Users of whom it is being looked up, or will be, whether they are to be notified.
    pub waiting: usize,
    /// Notifications that the sink has taken.
    pub sent: u64,
    /// Attempts that failed for the moment.
    pub failed: u64,
    /// Notifications that the sink refused.
    pub refused: u64,
    /// Messages of which a user was not notified any more, as they were too old; for a user with several sinks, at each.
    pub too_old: u64,
    /// Messages of which a user was not to be notified: read or revoked before, switched off, or without a text. For a user with several
    /// sinks, at each.
    pub suppressed: u64,
    /// Notifications that were given up, as they failed again and again while the sink took others.
    pub given_up: u64,
}
