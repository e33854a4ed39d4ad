//! All limits of the service as public constants, and [`Limits`] to override them at run time.

use crate::message::Payload;
use crate::request::UploadRefused;
use crate::wire::Extensions;
use crate::{ErrorCode, MessageKind};

/// Kibibytes, in bytes.
const KIB: u64 = 1024;
/// Mebibytes, in bytes. The manual's MB is interpreted as 1024 × 1024 bytes.
const MIB: u64 = 1024 * KIB;

/// The maximum length of the name of a file, in bytes.
pub const MAX_FILE_NAME_BYTES: usize = 255;
/// The maximum length of the media type of a file, in bytes.
pub const MAX_MEDIA_TYPE_BYTES: usize = 127;

/// Generates a constant, a field, a getter and a setter for each limit.
macro_rules! limits {
    ($($(#[$doc:meta])* $const:ident, $field:ident, $with:ident: $type:ty = $value:expr;)+) => {
        $($(#[$doc])* pub const $const: $type = $value;)+

        /// The effective limits: the constants of this module, unless overridden.
        ///
        /// ```
        /// use tim_proto::vendor::limits::{Limits, REVOKE_WINDOW_SECONDS};
        /// assert_eq!(Limits::new().revoke_window_seconds(), REVOKE_WINDOW_SECONDS);
        /// const SHORT: Limits = Limits::new().with_revoke_window_seconds(5);
        /// assert_eq!(SHORT.revoke_window_seconds(), 5);
        /// ```
        ///
        /// With the feature `serde`, a format that names the fields may leave some out: those are the documented limits.
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

        #[cfg(feature = "serde")]
        crate::wire::serialize! { Limits, Limits, { $($field),+ } }
        #[cfg(feature = "serde")]
        crate::wire::deserialize! { Limits, ['de], Limits, { $($field: $type),+ }, Some(Self::Value::new()) }
    };
}

limits! {
    /// The maximum message size, in bytes of the payload and of the sender's extensions, such as mentions. Ids and
    /// names do not count. Client and hub both apply it with [`Limits::check_message`].
    MAX_MESSAGE_BYTES, message_bytes, with_message_bytes: u64 = 12 * KIB;
    /// The maximum size of a file, in bytes. Larger files are refused before the upload.
    MAX_FILE_BYTES, file_bytes, with_file_bytes: u64 = 100 * MIB;
    /// The maximum size of a video, in bytes.
    MAX_VIDEO_BYTES, video_bytes, with_video_bytes: u64 = 100 * MIB;
    /// The maximum size of an image, in bytes.
    MAX_IMAGE_BYTES, image_bytes, with_image_bytes: u64 = 20 * MIB;
    /// The maximum size of an audio recording, in bytes.
    MAX_SOUND_BYTES, sound_bytes, with_sound_bytes: u64 = 20 * MIB;
    /// The maximum duration of an audio recording, in milliseconds.
    MAX_SOUND_MILLIS, sound_millis, with_sound_millis: u32 = 600_000;
    /// The default and maximum number of messages in a page of history.
    MAX_PAGE_MESSAGES, page_messages, with_page_messages: u32 = 15;
    /// The maximum number of conversations in a list, which contains the most recent ones.
    MAX_CONVERSATIONS, conversations, with_conversations: u32 = 100;
    /// The time after sending within which a message can be revoked, in seconds by the hub's clock.
    REVOKE_WINDOW_SECONDS, revoke_window_seconds, with_revoke_window_seconds: u64 = 120;
    /// The time after sending within which the owner and the admins of a group can revoke a message in it, in seconds
    /// by the hub's clock. 0 means for as long as the message is retained.
    MANAGER_REVOKE_WINDOW_SECONDS, manager_revoke_window_seconds, with_manager_revoke_window_seconds: u64 = 0;
    /// How long messages are retained, in seconds: seven days.
    RETENTION_SECONDS, retention_seconds, with_retention_seconds: u64 = 7 * 24 * 60 * 60;
    /// The number of messages per second that a group delivers before messages of lower priority are queued or
    /// dropped. 0 means no limit.
    GROUP_MESSAGES_PER_SECOND, group_messages_per_second, with_group_messages_per_second: u32 = 40;
    /// The maximum number of members that a custom notice can name as receivers.
    MAX_RECEIVERS, receivers, with_receivers: u32 = 50;
    /// The maximum number of users that one call can look up.
    MAX_USER_PROFILES, user_profiles, with_user_profiles: u32 = 100;
    /// The maximum number of users that one call can invite, remove or ban.
    MAX_MEMBERS_PER_CALL, members_per_call, with_members_per_call: u32 = 500;
    /// The default and maximum number of members in a page.
    MAX_PAGE_MEMBERS, members_page, with_members_page: u32 = 100;
    /// The default and maximum number of groups in a page.
    MAX_PAGE_GROUPS, groups_page, with_groups_page: u32 = 50;
    /// The maximum number of uploads of an account that are under way at once.
    MAX_OPEN_UPLOADS, open_uploads, with_open_uploads: u32 = 16;
    /// The maximum length of a piece of a file, in bytes. A smaller frame limit of either end makes it shorter.
    MAX_PIECE_BYTES, piece_bytes, with_piece_bytes: u32 = 256 * 1024;
    /// The maximum number of pieces of an upload that are sent before the first of them is answered.
    MAX_UPLOAD_WINDOW, upload_window, with_upload_window: u8 = 16;
    /// The SDK's timeout for the response to a request, in milliseconds. Device sessions have a separate setting.
    REQUEST_TIMEOUT_MILLIS, request_timeout_millis, with_request_timeout_millis: u32 = 15_000;
    /// The SDK's timeout for the response to a login, across all connection attempts, in milliseconds.
    LOGIN_TIMEOUT_MILLIS, login_timeout_millis, with_login_timeout_millis: u32 = 90_000;
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// A message or a file exceeds a limit and cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {is}, at most {most} can be sent")]
pub struct OverLimit {
    /// The error code with which client and hub refuse the message.
    pub code: ErrorCode,
    /// The quantity that exceeds the limit, with its unit.
    pub what: &'static str,
    /// The actual value.
    pub is: u64,
    /// The maximum value.
    pub most: u64,
}

pub(crate) const fn within(code: ErrorCode, what: &'static str, is: u64, most: u64) -> Result<(), OverLimit> {
    if is <= most {
        Ok(())
    } else {
        Err(OverLimit { code, what, is, most })
    }
}

impl Limits {
    /// Checks a message against the limits of its kind and the limit for all messages. `payload_len` is the length of
    /// the encoded payload, `extensions` are those set by the sender.
    ///
    /// ```
    /// use tim_proto::ErrorCode;
    /// use tim_proto::vendor::limits::{Limits, MAX_SOUND_MILLIS};
    /// use tim_proto::message::{Audio, Payload};
    /// use tim_proto::wire::{Extensions, encoded_len};
    ///
    /// let too_long = Payload::Audio(Audio::new().with_duration_ms(MAX_SOUND_MILLIS + 1));
    /// let checked = Limits::new().check_message(&too_long, encoded_len(&too_long), Extensions::NONE);
    /// assert_eq!(checked.unwrap_err().code, ErrorCode::MESSAGE_AUDIO_SIZE_LIMIT);
    /// ```
    ///
    /// # Errors
    /// [`OverLimit`] for the first limit that is exceeded.
    pub fn check_message(
        &self,
        payload: &Payload<'_>,
        payload_len: usize,
        extensions: Extensions<'_>,
    ) -> Result<(), OverLimit> {
        let bytes = (payload_len as u64).saturating_add(extensions.as_bytes().len() as u64);
        let all = ErrorCode::COMM_BODY_SIZE_LIMIT;
        within(all, "bytes of the message", bytes, self.message_bytes)?;
        match payload {
            Payload::Image(image) => image.images.iter().try_for_each(|one| {
                let code = ErrorCode::MESSAGE_IMAGE_SIZE_LIMIT;
                within(code, "bytes of the picture", one.size, self.image_bytes)
            }),
            Payload::Audio(audio) => {
                let code = ErrorCode::MESSAGE_AUDIO_SIZE_LIMIT;
                within(code, "bytes of the recording", audio.size, self.sound_bytes)?;
                let (is, most) = (audio.duration_ms.into(), self.sound_millis.into());
                within(code, "milliseconds of the recording", is, most)
            }
            Payload::Video(video) => {
                let code = ErrorCode::MESSAGE_VIDEO_SIZE_LIMIT;
                within(code, "bytes of the video", video.size, self.video_bytes)
            }
            Payload::File(file) => {
                let code = ErrorCode::MESSAGE_FILE_SIZE_LIMIT;
                within(code, "bytes of the file", file.size, self.file_bytes)
            }
            _ => Ok(()),
        }
    }

    /// Checks a file against the limits of the kind of its message, before it is uploaded.
    ///
    /// # Errors
    /// [`UploadRefused`] if the kind has no files, the file is empty or too large, or the recording too long.
    pub fn check_file(&self, kind: MessageKind, size: u64, duration_ms: u32) -> Result<(), UploadRefused> {
        let (code, what, most) = match kind {
            MessageKind::IMAGE => (
                ErrorCode::MESSAGE_IMAGE_SIZE_LIMIT,
                "bytes of the picture",
                self.image_bytes,
            ),
            MessageKind::AUDIO => (
                ErrorCode::MESSAGE_AUDIO_SIZE_LIMIT,
                "bytes of the recording",
                self.sound_bytes,
            ),
            MessageKind::VIDEO => (
                ErrorCode::MESSAGE_VIDEO_SIZE_LIMIT,
                "bytes of the video",
                self.video_bytes,
            ),
            MessageKind::FILE => (
                ErrorCode::MESSAGE_FILE_SIZE_LIMIT,
                "bytes of the file",
                self.file_bytes,
            ),
            other => return Err(UploadRefused::Kind(other)),
        };
        if size == 0 {
            return Err(UploadRefused::Empty);
        }
        within(code, what, size, most)?;
        if kind == MessageKind::AUDIO {
            let (is, most) = (duration_ms.into(), self.sound_millis.into());
            within(
                ErrorCode::RECORDING_TOO_LONG,
                "milliseconds of the recording",
                is,
                most,
            )?;
        }
        Ok(())
    }

    /// The number of messages in a page for a requested number. `None` selects the limit, and larger values are
    /// clamped to it. The result for 0 is `None`, because empty pages would never reach the end.
    #[must_use]
    pub const fn page_len(&self, asked: Option<u32>) -> Option<u32> {
        match asked {
            Some(0) => None,
            Some(count) if count < self.page_messages => Some(count),
            _ => Some(self.page_messages),
        }
    }
}
