//! What a sink gets, and what it answers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tim_proto::request::PushPlatform;
use tim_proto::{ConversationId, MessageId, UserId, Words};

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
/// A hub has a limited number of notifications under way, of one user only one. It gives up one that takes too long, as if the sink were
/// not available.
pub trait PushSink: Send + Sync {
    /// Sends a notification. What is dropped may have been sent.
    ///
    /// # Errors
    /// See [`PushError`].
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a>;
}

/// Why a sink has not taken a notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// For the moment it cannot be sent. It is tried again, until the message is too old.
    #[error("the sink is not available: {what}")]
    Unavailable {
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

/// How a hub notifies users who are offline.
#[derive(Clone)]
#[non_exhaustive]
pub struct PushOptions {
    /// What takes the notifications.
    pub sink: Arc<dyn PushSink>,
    /// How old a message may be of which a user is notified. Older ones are dropped, as after a long failure of the sink. Default 24 h.
    pub max_age: Duration,
    /// How long a sink may take for a notification. Default 10 s.
    pub timeout: Duration,
    /// The maximum number of notifications under way. Default 32.
    pub max_concurrent: usize,
    /// The language of default texts such as `[Image]`. Default English.
    pub words: Words,
}

impl PushOptions {
    /// The defaults, with this sink.
    #[must_use]
    pub fn new(sink: Arc<dyn PushSink>) -> Self {
        Self {
            sink,
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
    /// Messages of which nobody was notified any more, as they were too old.
    pub too_old: u64,
    /// Messages of which a user was not to be notified: read or revoked before, switched off, or without a text.
    pub suppressed: u64,
}
