//! How a message is to be sent (S86-S104).

use crate::wire::wire;

wire! {
    /// The second argument of `send_message`. The default stores, counts and pushes.
    #[derive(Debug, Default)]
    pub struct SendOptions<'a> {
        /// Only for those online now: not stored, not counted, not pushed (S86-S90). Not for an AVChatRoom (S91).
        pub online_user_only: bool,
        /// How those offline are notified; absent means as usual (S92).
        pub offline_push: Option<OfflinePush<'a>>,
    }
}

wire! {
    /// `offlinePushInfo`: six fields, all optional (S93-S101).
    #[derive(Debug, Default)]
    pub struct OfflinePush<'a> {
        /// No push at all (S93).
        pub disable_push: bool,
        /// The title, for both iOS and Android (S94).
        pub title: Option<&'a str>,
        /// The text; goes before the message's own (S95, S96).
        pub description: Option<&'a str>,
        /// Passed through and never shown (S98).
        pub extension: Option<&'a str>,
        /// iOS: leave the badge as it is (S99).
        pub ignore_ios_badge: bool,
        /// The OPPO channel, Android 8.0 and later (S100).
        pub android_oppo_channel_id: Option<&'a str>,
    }
}
