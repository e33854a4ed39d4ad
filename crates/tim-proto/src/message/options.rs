//! Options of sending a message.

use crate::vendor::limits::{OverLimit, within};
use crate::wire::wire;

wire! {
    /// The second argument of `send_message`. By default the message is stored, counts as unread, and is pushed.
    #[derive(Debug, Default)]
    pub struct SendOptions<'a> {
        /// Deliver only to users who are online: the message is not stored, not counted and not pushed. Not allowed in an
        /// AVChatRoom.
        pub online_user_only: bool = false => with_online_user_only,
        /// How users who are offline are notified; `None` for the usual notification.
        pub offline_push: Option<OfflinePush<'a>> = None => with_offline_push,
    }
}

wire! {
    /// `offlinePushInfo`: how users who are offline are notified.
    #[derive(Debug, Default)]
    pub struct OfflinePush<'a> {
        /// No notification at all.
        pub disable_push: bool = false => with_disable_push,
        /// The title, on iOS and Android.
        pub title: Option<&'a str> = None => with_title,
        /// The text; it replaces the message's own.
        pub description: Option<&'a str> = None => with_description,
        /// Data for the application, passed through and not shown.
        pub extension: Option<&'a str> = None => with_extension,
        /// iOS: leaves the badge unchanged.
        pub ignore_ios_badge: bool = false => with_ignore_ios_badge,
        /// The OPPO channel, on Android 8.0 and later.
        pub android_oppo_channel_id: Option<&'a str> = None => with_android_oppo_channel_id,
    }
}

/// The most bytes of the texts of an [`OfflinePush`] together. Push services take 4 KiB with everything around them.
pub const MAX_OFFLINE_PUSH_BYTES: usize = 3 * 1024;

impl OfflinePush<'_> {
    /// The bytes of its texts, of which it may have [`MAX_OFFLINE_PUSH_BYTES`].
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let texts = [
            self.title,
            self.description,
            self.extension,
            self.android_oppo_channel_id,
        ];
        texts
            .iter()
            .flatten()
            .fold(0, |sum, text| sum.saturating_add(text.len()))
    }

    /// Checks the length of its texts. Client and hub both do.
    ///
    /// # Errors
    /// [`OverLimit`] with [`COMM_BODY_SIZE_LIMIT`](crate::ErrorCode::COMM_BODY_SIZE_LIMIT).
    pub fn check(&self) -> Result<(), OverLimit> {
        let (code, bytes) = (crate::ErrorCode::COMM_BODY_SIZE_LIMIT, self.text_bytes() as u64);
        within(
            code,
            "bytes of the notification",
            bytes,
            MAX_OFFLINE_PUSH_BYTES as u64,
        )
    }
}
