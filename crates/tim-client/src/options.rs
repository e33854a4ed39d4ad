//! Send options, owned; [`tim_proto::message::SendOptions`] is their wire format.

use std::time::Duration;

use tim_proto::message;

/// The options of [`Client::send_message`](crate::Client::send_message). By default a message is stored, counted and pushed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendOptions {
    /// Only for users who are online: not stored, not counted, not pushed. Refused in an AVChatRoom.
    pub online_user_only: bool,
    /// `offlinePushInfo`: how offline users are notified; `None` for the default.
    pub offline_push: Option<OfflinePush>,
    /// How long transient refusals ([`ErrorCode::is_transient`](crate::ErrorCode::is_transient)) are retried: the message is
    /// sent again with the same id, after [`ImError::retry_after`](crate::ImError::retry_after) or else after growing
    /// intervals. Every attempt begins within this time of the call; if the next interval would exceed it, the call returns
    /// the refusal at once. Zero, the default, disables retries.
    ///
    /// Messages that are sent one after another stay in order; messages sent concurrently may not.
    pub retry_for: Duration,
}

/// `offlinePushInfo`; all fields are optional.
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
    /// Disables the push.
    pub disable_push: bool,
    /// The title, for iOS and Android.
    pub title: Option<String>,
    /// The text; replaces the text of the message.
    pub description: Option<String>,
    /// Passed to the application; not shown.
    pub extension: Option<String>,
    /// iOS: leaves the badge unchanged.
    pub ignore_ios_badge: bool,
    /// The OPPO channel, on Android 8.0 and later.
    pub android_oppo_channel_id: Option<String>,
}

impl SendOptions {
    /// Options for a message to users who are online only.
    #[must_use]
    pub const fn online_only() -> Self {
        Self {
            online_user_only: true,
            offline_push: None,
            retry_for: Duration::ZERO,
        }
    }

    /// The same options, with transient refusals retried for this long.
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

    /// The wire format.
    #[must_use]
    pub fn as_borrowed(&self) -> message::SendOptions<'_> {
        let mut options = message::SendOptions::new().with_online_user_only(self.online_user_only);
        options.offline_push = self.offline_push.as_ref().map(OfflinePush::as_borrowed);
        options
    }
}

impl OfflinePush {
    /// The wire format.
    #[must_use]
    pub fn as_borrowed(&self) -> message::OfflinePush<'_> {
        let mut push = message::OfflinePush::new()
            .with_disable_push(self.disable_push)
            .with_ignore_ios_badge(self.ignore_ios_badge);
        push.title = self.title.as_deref();
        push.description = self.description.as_deref();
        push.extension = self.extension.as_deref();
        push.android_oppo_channel_id = self.android_oppo_channel_id.as_deref();
        push
    }
}
