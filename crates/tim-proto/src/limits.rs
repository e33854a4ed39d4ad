//! Every limit of the service as a visible constant, and [`Limits`] to change them at run time.

/// Kibibytes, in bytes.
const KIB: u64 = 1024;
/// Mebibytes, in bytes: the manual's MB is read as 1024 x 1024 (S54).
const MIB: u64 = 1024 * KIB;

/// Defines each limit four times over from one line: constant, field, getter, setter.
macro_rules! limits {
    ($($(#[$doc:meta])* $const:ident, $field:ident, $with:ident: $type:ty = $value:expr;)+) => {
        $($(#[$doc])* pub const $const: $type = $value;)+

        /// The limits in force: the constants of this module, unless set otherwise.
        ///
        /// ```
        /// use tim_proto::limits::{Limits, REVOKE_WINDOW_SECONDS};
        /// assert_eq!(Limits::new().revoke_window_seconds(), REVOKE_WINDOW_SECONDS);
        /// const SHORT: Limits = Limits::new().with_revoke_window_seconds(5);
        /// assert_eq!(SHORT.revoke_window_seconds(), 5);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct Limits {
            $($field: $type,)+
        }

        impl Limits {
            /// The documented limits.
            #[must_use]
            pub const fn new() -> Self {
                Self { $($field: $value,)+ }
            }

            $(
                $(#[$doc])*
                #[must_use]
                pub const fn $field(&self) -> $type {
                    self.$field
                }

                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub const fn $with(mut self, limit: $type) -> Self {
                    self.$field = limit;
                    self
                }
            )+
        }
    };
}

limits! {
    /// The largest message, in bytes of its payload.
    MAX_MESSAGE_BYTES, message_bytes, with_message_bytes: u64 = 12 * KIB;
    /// The largest file that can be sent, in bytes: one byte more is refused before any upload (S54).
    MAX_FILE_BYTES, file_bytes, with_file_bytes: u64 = 100 * MIB;
    /// The largest video that can be sent, in bytes.
    MAX_VIDEO_BYTES, video_bytes, with_video_bytes: u64 = 100 * MIB;
    /// The largest picture that can be sent, in bytes.
    MAX_IMAGE_BYTES, image_bytes, with_image_bytes: u64 = 20 * MIB;
    /// The largest sound recording that can be sent, in bytes.
    MAX_SOUND_BYTES, sound_bytes, with_sound_bytes: u64 = 20 * MIB;
    /// The longest sound recording, in milliseconds (S42).
    MAX_SOUND_MILLIS, sound_millis, with_sound_millis: u32 = 600_000;
    /// How many messages a page of history has when nothing is asked for, and at most (S173).
    MAX_PAGE_MESSAGES, page_messages, with_page_messages: u32 = 15;
    /// How many conversations a list has at most: the most recent ones (S188).
    MAX_CONVERSATIONS, conversations, with_conversations: u32 = 100;
    /// For how long after sending a message can be revoked, in seconds by the hub's clock (S112, S113).
    REVOKE_WINDOW_SECONDS, revoke_window_seconds, with_revoke_window_seconds: u64 = 120;
    /// For how long messages are kept, in seconds: seven days (S192).
    RETENTION_SECONDS, retention_seconds, with_retention_seconds: u64 = 7 * 24 * 60 * 60;
    /// How many messages a second a group delivers before the less urgent ones wait or go (S20, S215); 0 is no
    /// limit.
    GROUP_MESSAGES_PER_SECOND, group_messages_per_second, with_group_messages_per_second: u32 = 40;
    /// How many members one group message or notice can be meant for, when it names them.
    MAX_RECEIVERS, receivers, with_receivers: u32 = 50;
    /// How many users one call can look up.
    MAX_USER_PROFILES, user_profiles, with_user_profiles: u32 = 100;
    /// How many users one call can invite, remove or ban.
    MAX_MEMBERS_PER_CALL, members_per_call, with_members_per_call: u32 = 500;
    /// How many members a page has when nothing is asked for, and at most.
    MAX_PAGE_MEMBERS, members_page, with_members_page: u32 = 100;
    /// How many groups a page has when nothing is asked for, and at most.
    MAX_PAGE_GROUPS, groups_page, with_groups_page: u32 = 50;
    /// How many messages one call can delete.
    MAX_DELETED_MESSAGES, deleted_messages, with_deleted_messages: u32 = 30;
    /// For how long a request waits for its answer in the vendor's SDK, in milliseconds. A session goes by its own
    /// configuration.
    REQUEST_TIMEOUT_MILLIS, request_timeout_millis, with_request_timeout_millis: u32 = 15_000;
    /// For how long a login waits for its answer in the vendor's SDK, in milliseconds. A session goes by its own
    /// configuration.
    LOGIN_TIMEOUT_MILLIS, login_timeout_millis, with_login_timeout_millis: u32 = 90_000;
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

impl Limits {
    /// How many messages a page has for what the caller asks: nothing asked gives the limit, more than the limit is
    /// clamped to it (S173), and 0 is `None`, since no page of nothing ever reaches the end.
    #[must_use]
    pub const fn page_len(&self, asked: Option<u32>) -> Option<u32> {
        match asked {
            Some(0) => None,
            Some(count) if count < self.page_messages => Some(count),
            _ => Some(self.page_messages),
        }
    }
}
