//! Payloads: the seven kinds that users send, and those that the hub makes.

use crate::open::open_newtype;
use crate::wire::{DecodeError, Encode, List, Reader, Writer, wire};
use crate::{MessageId, MessageKind, UserId};

use super::{GroupTip, SystemNotice};

/// The content of a message, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// `TIMTextElem`.
    Text(Text<'a>),
    /// `TIMImageElem`.
    Image(Image<'a>),
    /// `TIMSoundElem`.
    Audio(Audio<'a>),
    /// `TIMVideoFileElem`.
    Video(Video<'a>),
    /// `TIMFileElem`.
    File(File<'a>),
    /// `TIMCustomElem`.
    Custom(Custom<'a>),
    /// `TIMFaceElem`.
    Face(Face<'a>),
    /// `TIMGroupTipElem`, written by the hub.
    GroupTip(GroupTip<'a>),
    /// `TIMGroupSystemNoticeElem`, written by the hub.
    SystemNotice(SystemNotice<'a>),
    /// The revocation of an earlier message, written by the hub.
    Revocation(Revocation<'a>),
    /// A payload of an unknown kind, or a malformed one, as its bytes.
    Unknown(MessageKind, &'a [u8]),
}

/// The payload of a message to encode: a [`Payload`], or a payload of one kind. With the latter, encoders of other kinds are not
/// linked.
pub trait PayloadBody: Encode {
    /// The kind of the message.
    fn kind(&self) -> MessageKind;
}

impl PayloadBody for Payload<'_> {
    fn kind(&self) -> MessageKind {
        self.kind()
    }
}

/// A payload of one kind, see [`Header::payload`](super::Header::payload).
pub trait OfKind {
    /// The kind.
    const KIND: MessageKind;
}

impl Payload<'_> {
    /// Whether the payload has content. A custom message without data, description and extension, and an empty file, can be
    /// created but not sent; both ends refuse them with
    /// [`MESSAGE_FILE_URL_IS_EMPTY`](crate::ErrorCode::MESSAGE_FILE_URL_IS_EMPTY).
    #[must_use]
    pub const fn has_content(&self) -> bool {
        match self {
            Self::Custom(it) => !(it.data.is_empty() && it.description.is_empty() && it.extension.is_empty()),
            Self::File(it) => it.size > 0,
            _ => true,
        }
    }
}

macro_rules! payloads {
    ($($kind:ident => $variant:ident),* $(,)?) => {
        $(
            impl OfKind for $variant<'_> {
                const KIND: MessageKind = MessageKind::$kind;
            }
            impl PayloadBody for $variant<'_> {
                fn kind(&self) -> MessageKind {
                    Self::KIND
                }
            }
        )*

        impl<'a> Payload<'a> {
            /// The kind of the message.
            #[must_use]
            pub const fn kind(&self) -> MessageKind {
                match self {
                    $(Self::$variant(_) => MessageKind::$kind,)*
                    Self::Unknown(kind, _) => *kind,
                }
            }

            /// Decodes a payload. A malformed one becomes [`Payload::Unknown`].
            #[must_use]
            #[inline]
            pub fn decode(kind: MessageKind, bytes: &'a [u8]) -> Self {
                let mut reader = Reader::new(bytes);
                let payload = Self::read(kind, &mut reader);
                match reader.end() {
                    Ok(()) => payload,
                    Err(_) => Self::Unknown(kind, bytes),
                }
            }

            #[inline]
            fn read(kind: MessageKind, reader: &mut Reader<'a>) -> Self {
                match kind {
                    $(MessageKind::$kind => Self::$variant(reader.read()),)*
                    _ => Self::Unknown(kind, reader.take_rest()),
                }
            }

            /// Decodes a payload, and refuses a malformed one of a known kind, as the hub does.
            ///
            /// # Errors
            /// [`DecodeError`] if the payload is malformed.
            #[inline]
            pub fn decode_strict(kind: MessageKind, bytes: &'a [u8]) -> Result<Self, DecodeError> {
                let mut reader = Reader::new(bytes);
                let payload = Self::read(kind, &mut reader);
                reader.end()?;
                Ok(payload)
            }
        }

        impl Encode for Payload<'_> {
            #[inline]
            fn encode(&self, writer: &mut Writer<'_>) {
                match self {
                    $(Self::$variant(payload) => payload.encode(writer),)*
                    Self::Unknown(_, bytes) => writer.put(bytes),
                }
            }
        }

        $(impl<'a> From<$variant<'a>> for Payload<'a> {
            fn from(payload: $variant<'a>) -> Self {
                Self::$variant(payload)
            }
        })*
    };
}

/// Passes all kinds with their payloads to a macro.
macro_rules! with_payloads {
    ($macro:ident) => {
        $macro! {
            TEXT => Text,
            IMAGE => Image,
            AUDIO => Audio,
            VIDEO => Video,
            FILE => File,
            CUSTOM => Custom,
            FACE => Face,
            GROUP_TIP => GroupTip,
            GROUP_SYSTEM_NOTICE => SystemNotice,
            REVOCATION => Revocation,
        }
    };
}
#[cfg(any(feature = "serde", feature = "arbitrary"))]
pub(super) use with_payloads;
with_payloads!(payloads);

wire! {
    /// Text, in which `[…]` may name an emoji.
    #[derive(Debug, Default)]
    pub struct Text<'a> {
        /// The text.
        pub text: &'a str,
    }
}

wire! {
    /// Content defined by the application.
    #[derive(Debug, Default)]
    pub struct Custom<'a> {
        /// The data field.
        pub data: &'a str = "" => with_data,
        /// The description field; also the text of an offline notification.
        pub description: &'a str = "" => with_description,
        /// The extension field.
        pub extension: &'a str = "" => with_extension,
    }
}

wire! {
    /// A sticker.
    #[derive(Debug, Default)]
    pub struct Face<'a> {
        /// The number of the sticker; its meaning is the application's.
        pub index: u32,
        /// Extra data.
        pub data: &'a str = "" => with_data,
    }
}

open_newtype! {
    /// The format of a picture.
    #[derive(PartialOrd, Ord)]
    pub struct ImageFormat(u8) {
        /// JPG or JPEG.
        JPEG = 1, "JPEG";
        /// GIF.
        GIF = 2, "GIF";
        /// PNG.
        PNG = 3, "PNG";
        /// BMP.
        BMP = 4, "BMP";
        /// Any other.
        UNKNOWN = 255, "Unknown";
    }
}

open_newtype! {
    /// Which rendition of a picture (`sizeType`).
    #[derive(PartialOrd, Ord)]
    pub struct ImageSize(u8) {
        /// As it was sent.
        ORIGINAL = 1, "Original";
        /// The smaller side has at most 720 pixels.
        LARGE = 2, "Large";
        /// The smaller side has at most 198 pixels.
        THUMBNAIL = 3, "Thumbnail";
    }
}

impl ImageSize {
    /// The size in which a `width` x `height` picture is shown when its smaller side is bounded by `bound` pixels:
    /// unchanged if it fits, else the smaller side is `bound` and the other is scaled and rounded up.
    #[must_use]
    pub const fn bounded(width: u32, height: u32, bound: u32) -> (u32, u32) {
        const fn scale(long: u32, bound: u32, short: u32) -> u32 {
            let scaled = (long as u64 * bound as u64).div_ceil(short as u64);
            if scaled > u32::MAX as u64 {
                u32::MAX
            } else {
                scaled as u32
            }
        }
        if width <= bound || height <= bound {
            (width, height)
        } else if width < height {
            (bound, scale(height, bound, width))
        } else {
            (scale(width, bound, height), bound)
        }
    }
}

wire! {
    /// A picture.
    #[derive(Debug)]
    pub struct Image<'a> {
        /// Its format.
        pub format: ImageFormat,
        /// Its name in the hub, or in the service that the URLs of its renditions lead to.
        pub uuid: &'a str = "" => with_uuid,
        /// Its renditions: original, thumbnail, large.
        pub images: List<'a, ImageInfo<'a>>,
    }
}

wire! {
    /// One rendition of a picture.
    #[derive(Debug)]
    pub struct ImageInfo<'a> {
        /// Which one.
        pub size_type: ImageSize,
        /// Its number at the sender (`instanceID`).
        pub instance: u32 = 0 => with_instance,
        /// The size in bytes.
        pub size: u64 = 0 => with_size,
        /// Pixels.
        pub width: u32 = 0 => with_width,
        /// Pixels.
        pub height: u32 = 0 => with_height,
        /// Its URL.
        pub url: &'a str = "" => with_url,
    }
}

wire! {
    /// A recording.
    #[derive(Debug, Default)]
    pub struct Audio<'a> {
        /// Its name in the hub, or in the service that its URL leads to.
        pub uuid: &'a str = "" => with_uuid,
        /// Its URL.
        pub url: &'a str = "" => with_url,
        /// The size in bytes.
        pub size: u64 = 0 => with_size,
        /// The length in milliseconds; at most [`crate::vendor::limits::MAX_SOUND_MILLIS`].
        pub duration_ms: u32 = 0 => with_duration_ms,
        /// Samples per second; 0 if unknown.
        pub sample_rate: u32 = 0 => with_sample_rate,
        /// The number of channels; 0 if unknown.
        pub channels: u8 = 0 => with_channels,
        /// Bits per second; 0 if unknown.
        pub bit_rate: u32 = 0 => with_bit_rate,
        /// `aac` is the format that every platform plays.
        pub format: &'a str = "" => with_format,
    }
}

impl Audio<'_> {
    /// Whole seconds, as the SDK's `second` has them.
    #[must_use]
    pub const fn seconds(&self) -> u32 {
        self.duration_ms / 1000
    }
}

wire! {
    /// A video.
    #[derive(Debug, Default)]
    pub struct Video<'a> {
        /// Its name in the hub, or in the service that its URL leads to.
        pub uuid: &'a str = "" => with_uuid,
        /// Its URL.
        pub url: &'a str = "" => with_url,
        /// The size in bytes.
        pub size: u64 = 0 => with_size,
        /// The length in seconds.
        pub seconds: u32 = 0 => with_seconds,
        /// Its format, such as `mp4`.
        pub format: &'a str = "" => with_format,
        /// The picture shown before it plays.
        pub thumbnail: Thumbnail<'a> = Thumbnail::new() => with_thumbnail,
    }
}

wire! {
    /// The preview picture of a video.
    #[derive(Debug, Default)]
    pub struct Thumbnail<'a> {
        /// Whether this is the default picture, because the sender gave none. The hub's default has neither a name nor a URL here; it is
        /// read like any thumbnail, as part [`THUMBNAIL`](crate::request::FilePart::THUMBNAIL) of the message's file.
        pub is_default: bool = false => with_is_default,
        /// Its name in the hub, or in the service that its URL leads to.
        pub uuid: &'a str = "" => with_uuid,
        /// Its URL.
        pub url: &'a str = "" => with_url,
        /// The size in bytes.
        pub size: u64 = 0 => with_size,
        /// Pixels.
        pub width: u32 = 0 => with_width,
        /// Pixels.
        pub height: u32 = 0 => with_height,
        /// Its format.
        pub format: &'a str = "" => with_format,
    }
}

wire! {
    /// A file of any type.
    #[derive(Debug, Default)]
    pub struct File<'a> {
        /// Its name in the hub, or in the service that its URL leads to.
        pub uuid: &'a str = "" => with_uuid,
        /// Its name on the sender's side.
        pub name: &'a str = "" => with_name,
        /// The size in bytes.
        pub size: u64 = 0 => with_size,
        /// Its URL.
        pub url: &'a str = "" => with_url,
    }
}

wire! {
    /// The revocation of an earlier message of the same conversation.
    #[derive(Debug)]
    pub struct Revocation<'a> {
        /// The sequence of the revoked message.
        pub sequence: u64,
        /// Its id.
        pub message: MessageId,
        /// Its sender.
        pub sender: UserId,
        /// The user who revoked it.
        pub revoker: UserId,
        /// The reason; may be empty.
        pub reason: &'a str = "" => with_reason,
    }
}
