//! Options of sending a message.

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
