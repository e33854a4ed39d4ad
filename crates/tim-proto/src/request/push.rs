//! Pushes: frames that the hub sends on its own.

use super::CompactDeliver;
use crate::message::Header;
use crate::wire::{DecodeError, Encode, FrameKind, Read, Reader, Writer, wire};
use crate::{ConversationId, Encoded, Message};

/// A push of any kind.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)] // borrowed and short-lived, and there is no heap to put it on
pub enum Push<'a> {
    /// DELIVER.
    Deliver(Deliver<'a>),
    /// GAP.
    Gap(Gap),
    /// SYNCED.
    Synced(Synced<'a>),
    /// CONVERSATION.
    Conversation(ConversationChange),
    /// EXPIRING.
    Expiring(Expiring),
    /// DELIVER_COMPACT.
    DeliverCompact(CompactDeliver<'a>),
    /// A push of an unknown kind.
    Unknown(FrameKind),
}

impl<'a> Push<'a> {
    /// Decodes the body of a push.
    ///
    /// # Errors
    /// [`DecodeError`] if the body is malformed.
    pub fn decode(kind: FrameKind, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let push = match kind {
            FrameKind::DELIVER => Self::Deliver(Deliver::read(&mut reader)),
            FrameKind::GAP => Self::Gap(Gap::read(&mut reader)),
            FrameKind::SYNCED if body.is_empty() => Self::Synced(Synced::default()),
            FrameKind::SYNCED => Self::Synced(Synced::read(&mut reader)),
            FrameKind::CONVERSATION => Self::Conversation(ConversationChange::read(&mut reader)),
            FrameKind::EXPIRING => Self::Expiring(Expiring::read(&mut reader)),
            FrameKind::DELIVER_COMPACT => Self::DeliverCompact(CompactDeliver::read(&mut reader)),
            other => return Ok(Self::Unknown(other)),
        };
        reader.end()?;
        Ok(push)
    }
}

wire! {
    open_ended;
    /// DELIVER: an entry of a conversation.
    #[derive(Debug)]
    pub struct Deliver<'a> {
        /// The next [`Login::cursor`](super::Login::cursor) once the entry is processed; empty for a message that is not stored.
        pub cursor: &'a [u8] = &[] => with_cursor,
        /// For a [`STUB`](crate::message::MessageFlags::STUB): how long the payload is that was left out; else 0.
        pub payload_len: u32 = 0 => with_payload_len,
        /// The entry.
        pub message: Message<'a>,
    }
}

/// DELIVER as a client receives it. The payload is decoded on demand, and only as the kind that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delivery<'a> {
    /// As [`Deliver::cursor`].
    pub cursor: &'a [u8],
    /// As [`Deliver::payload_len`].
    pub payload_len: u32,
    /// The message. [`Header::payload`] decodes a payload of one kind.
    pub header: Header<'a>,
    /// The bytes of the message; none if it came in its compact form.
    encoded: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// The names of the fields, in the order of the wire.
    pub const FIELDS: &'static [&'static str] = Deliver::FIELDS;

    /// The delivery of a message.
    #[must_use]
    pub fn new(cursor: &'a [u8], payload_len: u32, message: &'a Encoded<impl AsRef<[u8]>>) -> Self {
        Self {
            cursor,
            payload_len,
            header: message.header(),
            encoded: message.as_bytes(),
        }
    }

    /// The message, with its payload decoded.
    #[must_use]
    pub fn message(&self) -> Message<'a> {
        self.header.message()
    }

    /// The bytes of the message, verified: to keep them, copy them by [`Encoded::to_storage`]. `None` if the delivery was compact:
    /// then [`Header::encode_in`] makes them.
    #[must_use]
    pub const fn encoded(&self) -> Option<Encoded<&'a [u8]>> {
        if self.encoded.is_empty() {
            None
        } else {
            Some(Encoded::of_verified(self.encoded))
        }
    }

    /// A delivery that was compact.
    #[inline]
    pub(super) const fn of_header(cursor: &'a [u8], payload_len: u32, header: Header<'a>) -> Self {
        Self {
            cursor,
            payload_len,
            header,
            encoded: &[],
        }
    }
}

impl Encode for Delivery<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        self.cursor.encode(writer);
        self.payload_len.encode(writer);
        self.header.encode(writer);
    }
}

impl<'a> Read<'a> for Delivery<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Self {
        let (cursor, payload_len) = (reader.read(), reader.read());
        let encoded = reader.rest();
        Self {
            cursor,
            payload_len,
            header: reader.read(),
            encoded,
        }
    }

    #[cfg(all(feature = "serde", feature = "alloc"))]
    fn transcode<'de, D: serde_core::Deserializer<'de>>(
        from: D,
        to: &mut alloc::vec::Vec<u8>,
    ) -> Result<(), D::Error> {
        Deliver::transcode(from, to)
    }

    #[cfg(feature = "arbitrary")]
    fn generate(
        from: &mut arbitrary::Unstructured<'_>,
        to: &mut alloc::vec::Vec<u8>,
    ) -> arbitrary::Result<()> {
        Deliver::generate(from, to)
    }
}

#[cfg(feature = "serde")]
impl serde_core::Serialize for Delivery<'_> {
    fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let deliver = Deliver {
            cursor: self.cursor,
            payload_len: self.payload_len,
            message: self.message(),
        };
        deliver.serialize(serializer)
    }
}

wire! {
    /// GAP: these entries fell out of retention before the device saw them, or [`Gap::RESTORED`].
    #[derive(Debug)]
    pub struct Gap {
        /// In which conversation.
        pub conversation: ConversationId,
        /// The first one missing.
        pub from: u64,
        /// The last one missing.
        pub to: u64,
    }
}

impl Gap {
    /// The hub's store was put back from an older copy than what the device knew. Of every conversation an unknown part is
    /// lost, sequences that the device knows are given out again, and what it remembers of lists, marks and counts is void.
    /// Deliveries go on behind what the copy has in common with the device.
    pub const RESTORED: Self = Self {
        conversation: ConversationId::System,
        from: 0,
        to: 0,
    };

    /// Whether it is [`Gap::RESTORED`]; a gap of entries begins at 1 at least.
    #[must_use]
    pub const fn is_restored(&self) -> bool {
        self.from == 0
    }
}

wire! {
    /// SYNCED: everything that was there at login has been delivered. The body may be empty. The hub may repeat it, to move the cursor past
    /// entries that are not delivered to the device, such as its own messages.
    #[derive(Debug, Default)]
    pub struct Synced<'a> {
        /// What to present as [`Login::cursor`](super::Login::cursor) next time; empty if the cursor has not moved.
        pub cursor: &'a [u8] = &[] => with_cursor,
    }
}

wire! {
    /// EXPIRING: the UserSig ends soon, and with it the session. [`Renew`](super::Renew) goes on with a new one.
    #[derive(Debug)]
    pub struct Expiring {
        /// When, Unix time in seconds.
        pub expires: u64,
        /// How many seconds are left, by the hub's clock.
        pub seconds: u32,
    }
}

wire! {
    /// CONVERSATION: the user's own state of a conversation changed, on whichever device. This is the state, not the change:
    /// a newer one replaces all older ones, and one that comes late changes nothing.
    #[derive(Debug)]
    pub struct ConversationChange {
        /// Which one.
        pub conversation: ConversationId,
        /// Messages not read yet.
        pub unread: u32 = 0 => with_unread,
        /// Up to where it is read.
        pub read_sequence: u64 = 0 => with_read_sequence,
        /// Up to which sequence the hub has counted `unread`; see [`crate::unread`]. 0: the hub has no number at hand, and the
        /// conversation list is to be asked for again.
        pub counted: u64 = 0 => with_counted,
        /// The conversation is off the list until an entry behind this sequence brings it back; 0 if it is on the list.
        pub deleted_through: u64 = 0 => with_deleted_through,
    }
}
