//! What messages say: the seven kinds that a user sends, and those that the hub writes into a conversation.

use crate::notice::{NoticeOperation, SystemNotice};
use crate::wire::{DecodeError, Encode, List, Reader, Writer, wire};
use crate::{MessageId, MessageKind, UserId};

use super::GroupTip;

/// The content of a message, by kind.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// An earlier message was taken back; written by the hub.
    Revocation(Revocation<'a>),
    /// A kind that this version does not know (or a payload that is not what its kind says): kept as it came.
    Unknown(MessageKind, &'a [u8]),
}

/// What can be the payload of a message that is made: a [`Payload`] of any kind, or one that is known to be of one kind,
/// so that a device links no other.
pub trait Body: Encode {
    /// The kind of message that this is the payload of.
    fn kind(&self) -> MessageKind;
}

impl Body for Payload<'_> {
    fn kind(&self) -> MessageKind {
        self.kind()
    }
}

/// A payload of one kind, see [`Header::payload`](super::Header::payload).
pub trait OfKind {
    /// Which one.
    const KIND: MessageKind;
}

impl Payload<'_> {
    /// Whether there is anything to send. A custom message without data, description and extension can be made but not
    /// sent, and so can an empty file; both ends refuse to send them with
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
            impl Body for $variant<'_> {
                fn kind(&self) -> MessageKind {
                    Self::KIND
                }
            }
        )*

        impl<'a> Payload<'a> {
            /// The kind of message that this is the payload of.
            #[must_use]
            pub const fn kind(&self) -> MessageKind {
                match self {
                    $(Self::$variant(_) => MessageKind::$kind,)*
                    Self::Unknown(kind, _) => *kind,
                }
            }

            /// Reads a payload; one that is not what its kind says comes out as [`Payload::Unknown`].
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

            /// Reads a payload and insists that a known kind is well-formed, as the hub does with what it is sent.
            ///
            /// # Errors
            /// [`DecodeError`] if the bytes are not what the kind says.
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

payloads! {
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

/// Text, in which `[…]` may name an emoji (S26-S28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Text<'a> {
    /// The text.
    pub text: &'a str,
}
wire!(Text<'a> { text });

/// Content that only the application understands (S56-S61).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Custom<'a> {
    /// The data field.
    pub data: &'a str,
    /// The description field; also the text of an offline push (S96).
    pub description: &'a str,
    /// The extension field.
    pub extension: &'a str,
}
wire!(Custom<'a> { data, description, extension });

/// A sticker (S74-S78).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Face<'a> {
    /// Which one; the application decides what the number means.
    pub index: u32,
    /// Extra data.
    pub data: &'a str,
}
wire!(Face<'a> { index, data });

/// The format of a picture; an open enumeration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageFormat(pub u8);

impl ImageFormat {
    /// JPG or JPEG.
    pub const JPEG: Self = Self(1);
    /// GIF.
    pub const GIF: Self = Self(2);
    /// PNG.
    pub const PNG: Self = Self(3);
    /// BMP.
    pub const BMP: Self = Self(4);
    /// Any other.
    pub const UNKNOWN: Self = Self(255);
}

/// Which rendition of a picture; an open enumeration (`sizeType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageSize(pub u8);

impl ImageSize {
    /// As it was sent.
    pub const ORIGINAL: Self = Self(1);
    /// The smaller side at most 720 pixels.
    pub const LARGE: Self = Self(2);
    /// The smaller side at most 198 pixels.
    pub const THUMBNAIL: Self = Self(3);

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
wire!(ImageFormat(..), ImageSize(..));

/// A picture (S29-S37).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Image<'a> {
    /// Its format.
    pub format: ImageFormat,
    /// Its name in the blob store.
    pub uuid: &'a str,
    /// Its renditions: original, thumbnail, large.
    pub images: List<'a, ImageInfo<'a>>,
}
wire!(Image<'a> { format, uuid, images });

/// One rendition of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageInfo<'a> {
    /// Which one.
    pub size_type: ImageSize,
    /// Its number at the sender (`instanceID`).
    pub instance: u32,
    /// Bytes.
    pub size: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Where it can be fetched.
    pub url: &'a str,
}
wire!(ImageInfo<'a> { size_type, instance, size, width, height, url });

/// A recording (S38-S49).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audio<'a> {
    /// Its name in the blob store.
    pub uuid: &'a str,
    /// Where it can be fetched.
    pub url: &'a str,
    /// Bytes.
    pub size: u64,
    /// Milliseconds; at most [`crate::limits::MAX_SOUND_MILLIS`].
    pub duration_ms: u32,
    /// Samples a second, 0 if not said.
    pub sample_rate: u32,
    /// Channels, 0 if not said.
    pub channels: u8,
    /// Bits a second, 0 if not said.
    pub bit_rate: u32,
    /// `aac` is the format that every platform plays (S46).
    pub format: &'a str,
}
wire!(Audio<'a> { uuid, url, size, duration_ms, sample_rate, channels, bit_rate, format });

impl Audio<'_> {
    /// Whole seconds, as the SDK's `second` has them.
    #[must_use]
    pub const fn seconds(&self) -> u32 {
        self.duration_ms / 1000
    }
}

/// A video (S62-S73).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Video<'a> {
    /// Its name in the blob store.
    pub uuid: &'a str,
    /// Where it can be fetched.
    pub url: &'a str,
    /// Bytes.
    pub size: u64,
    /// Seconds.
    pub seconds: u32,
    /// Its format, such as `mp4`.
    pub format: &'a str,
    /// The picture shown before it plays.
    pub thumbnail: Thumbnail<'a>,
}
wire!(Video<'a> { uuid, url, size, seconds, format, thumbnail });

/// The picture that stands for a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thumbnail<'a> {
    /// Whether the sender had none and this is the default one (S65-S66).
    pub is_default: bool,
    /// Its name in the blob store.
    pub uuid: &'a str,
    /// Where it can be fetched.
    pub url: &'a str,
    /// Bytes.
    pub size: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Its format.
    pub format: &'a str,
}
wire!(Thumbnail<'a> { is_default, uuid, url, size, width, height, format });

/// A file of any type (S50-S55).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct File<'a> {
    /// Its name in the blob store.
    pub uuid: &'a str,
    /// Its name on the sender's side.
    pub name: &'a str,
    /// Bytes.
    pub size: u64,
    /// Where it can be fetched.
    pub url: &'a str,
}
wire!(File<'a> { uuid, name, size, url });

wire!(NoticeOperation(..));
wire!(SystemNotice<'a> {
    operation,
    operator_id,
    group_id,
    group_name,
    handle_message,
    authentication,
    message_key,
    user_defined_field,
});

/// An earlier message of the same conversation was taken back (S108-S123).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation<'a> {
    /// Where the message stands.
    pub sequence: u64,
    /// Its id.
    pub message: MessageId,
    /// Who had sent it.
    pub sender: UserId,
    /// Who took it back.
    pub revoker: UserId,
    /// Why, if that was said.
    pub reason: &'a str,
}
wire!(Revocation<'a> { sequence, message, sender, revoker, reason });
