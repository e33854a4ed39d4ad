//! How a message is to be sent, owned; [`tim_proto::message::SendOptions`] is what travels.

use std::time::Duration;

use tim_proto::message;

/// The second argument of `send_message` (S86-S104). The default stores, counts and pushes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendOptions {
    /// Only for those online now: not stored, not counted, not pushed (S86-S90). Refused in an AVChatRoom (S91).
    pub online_user_only: bool,
    /// `offlinePushInfo`: how those offline are notified; absent means as usual (S92).
    pub offline_push: Option<OfflinePush>,
    /// For how long a refusal that passes ([`ErrorCode::is_transient`](crate::ErrorCode::is_transient)) is waited out:
    /// the same instance is sent again by itself, with the same id, when the hub says
    /// ([`ImError::retry_after`](crate::ImError::retry_after)) or else after growing waits. Every try begins within this
    /// time of the call; a wait that would go beyond it ends with the refusal at once. Zero, the default, tries once.
    ///
    /// Messages that are sent one behind the other stay in order; those sent at the same time may not.
    pub retry_for: Duration,
}

/// `offlinePushInfo`, all six fields optional (S93-S101).
///
/// ```
/// use tim_client::{OfflinePush, SendOptions};
/// let options = SendOptions {
///     offline_push: Some(OfflinePush {
///         title: Some("Title".into()),
///         description: Some("Something new".into()),
///         android_oppo_channel_id: Some("channel".into()),
///         ..Default::default()
///     }),
///     ..Default::default()
/// };
/// assert!(!options.online_user_only);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfflinePush {
    /// No push at all (S93).
    pub disable_push: bool,
    /// The title, for both iOS and Android (S94).
    pub title: Option<String>,
    /// The text; goes before the message's own (S95, S96).
    pub description: Option<String>,
    /// Passed through and never shown (S98).
    pub extension: Option<String>,
    /// iOS: leave the badge as it is (S99).
    pub ignore_ios_badge: bool,
    /// The OPPO channel, Android 8.0 and later (S100).
    pub android_oppo_channel_id: Option<String>,
}

impl SendOptions {
    /// Only for those who are online now.
    #[must_use]
    pub const fn online_only() -> Self {
        Self {
            online_user_only: true,
            offline_push: None,
            retry_for: Duration::ZERO,
        }
    }

    /// The same, with refusals that pass waited out for this long.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tim_client::SendOptions;
    /// let patient = SendOptions::default().retry_for(Duration::from_secs(60));
    /// assert_eq!(patient.retry_for, Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn retry_for(self, time: Duration) -> Self {
        Self {
            retry_for: time,
            ..self
        }
    }

    /// As it travels.
    #[must_use]
    pub fn as_borrowed(&self) -> message::SendOptions<'_> {
        message::SendOptions {
            online_user_only: self.online_user_only,
            offline_push: self.offline_push.as_ref().map(OfflinePush::as_borrowed),
        }
    }
}

impl OfflinePush {
    /// As it travels.
    #[must_use]
    pub fn as_borrowed(&self) -> message::OfflinePush<'_> {
        message::OfflinePush {
            disable_push: self.disable_push,
            title: self.title.as_deref(),
            description: self.description.as_deref(),
            extension: self.extension.as_deref(),
            ignore_ios_badge: self.ignore_ios_badge,
            android_oppo_channel_id: self.android_oppo_channel_id.as_deref(),
        }
    }
}
