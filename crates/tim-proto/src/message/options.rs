//! Options of sending a message.

use crate::wire::wire;

wire! {
    /// The second argument of `send_message`. By default the message is stored, counts as unread, and is pushed.
    #[derive(Debug, Default)]
    #[non_exhaustive]
    pub struct SendOptions<'a> {
        /// Deliver only to users who are online: the message is not stored, not counted and not pushed. Not allowed in an
        /// AVChatRoom.
        pub online_user_only: bool,
        /// How users who are offline are notified; `None` for the usual notification.
        pub offline_push: Option<OfflinePush<'a>>,
    }
}

wire! {
    /// `offlinePushInfo`: how users who are offline are notified.
    #[derive(Debug, Default)]
    #[non_exhaustive]
    pub struct OfflinePush<'a> {
        /// No notification at all.
        pub disable_push: bool,
        /// The title, on iOS and Android.
        pub title: Option<&'a str>,
        /// The text; it replaces the message's own.
        pub description: Option<&'a str>,
        /// Data for the application, passed through and not shown.
        pub extension: Option<&'a str>,
        /// iOS: leaves the badge unchanged.
        pub ignore_ios_badge: bool,
        /// The OPPO channel, on Android 8.0 and later.
        pub android_oppo_channel_id: Option<&'a str>,
    }
}
