//! The message: one type for every kind, borrowed from the bytes that it arrived in.
//!
//! On the wire a message is two runs of fields. The *envelope* (sequence, time, flags, origin, sender) is the hub's word;
//! the *content* behind it is what the sender wrote, and the hub passes it on byte for byte. [`Header`] is what routing
//! needs and leaves the payload undecoded; [`Message`] decodes it too.

mod build;
mod encoded;
mod extra;
mod flags;
mod notice;
mod options;
mod payload;
#[cfg(any(feature = "serde", feature = "arbitrary"))]
mod tagged;
mod tip;

pub use encoded::{CopyError, Encoded};
pub use extra::{MENTION_ALL, Mentions, RevokedBy, SenderNames, tags};
#[cfg(feature = "alloc")]
pub use extra::{with_offline_push, with_sender_names};
pub use flags::MessageFlags;
pub use notice::{NoticeOperation, SystemNotice};
pub use options::{MAX_OFFLINE_PUSH_BYTES, OfflinePush, SendOptions};
pub use payload::{
    Audio, Custom, Face, File, Image, ImageFormat, ImageInfo, ImageSize, OfKind, Payload, PayloadBody,
    Revocation, Text, Thumbnail, Video,
};
#[cfg(any(feature = "serde", feature = "arbitrary"))]
pub(crate) use tagged::Tagged;
pub use tip::{GroupChange, GroupTip, Muted, TipMember, TipNames, TipOperation};

use crate::wire::{
    Decode, DecodeError, Encode, Extensions, Read, Reader, Writer, decode_body, features, wire,
};
use crate::{ConversationId, MessageId, MessageKind, Priority, UserId};

wire! {
    /// The hub's part of a message: its position, the time of its arrival, and its sender.
    #[derive(Debug)]
    pub struct Envelope {
        /// The message's sequence in the conversation, from 1 without holes; 0 if it has none (not sent yet, or not stored).
        pub sequence: u64 = 0 => with_sequence,
        /// When the hub accepted the message, Unix time in seconds; before that, when it was created.
        pub time: u64 = 0 => with_time,
        /// The message's flags.
        pub flags: MessageFlags = MessageFlags::NONE => with_flags,
        /// The number of the sending device; 0 for the hub itself.
        pub origin: u64 = 0 => with_origin,
        /// The sender.
        pub from: UserId,
    }
}

wire! {
    open_ended;
    /// A message whose payload is not decoded: enough to store, route and acknowledge it.
    #[derive(Debug)]
    pub struct Header<'a> {
        /// The hub's part.
        pub envelope: Envelope,
        /// The sender's part, followed by the extensions.
        pub content: Content<'a>,
    }
}

wire! {
    open_ended;
    /// The sender's part of a message, with the payload as bytes.
    #[derive(Debug)]
    pub struct Content<'a> {
        /// The conversation as the *sender* names it: `C2C` and the receiver, or the group.
        pub to: ConversationId,
        /// The message's id. Sending the message again does not change it.
        pub id: MessageId,
        /// The sender's own count of messages (`clientSequence`).
        pub client_sequence: u64 = 0 => with_client_sequence,
        /// The priority of the message in a group that exceeds its rate.
        pub priority: Priority = Priority::NORMAL => with_priority,
        /// The kind of the payload.
        pub kind: MessageKind,
        /// The encoded payload.
        pub payload: &'a [u8],
        /// Extensions under the tags of [`tags`], and those of later versions.
        pub extensions: Extensions<'a> = Extensions::NONE => with_extensions,
    }
}

/// A message that borrows from its encoded bytes. `P` is the payload: of any kind, unless a type of payload is named.
///
/// ```
/// use tim_proto::message::{Envelope, Message, Payload, Text};
/// use tim_proto::{ConversationId, MessageId, Priority, UserId};
///
/// let (alice, bob) = (UserId::new("alice")?, UserId::new("bob")?);
/// let id = MessageId { sender: 144115200000000001, client_time: 1_705_307_415, random: 42 };
/// let payload = Payload::Text(Text::new("你好[呲牙]"));
/// let envelope = Envelope::new(alice).with_time(1_705_307_415).with_origin(7);
/// let message = Message::new(envelope, bob.into(), id, payload).with_priority(Priority::HIGH);
///
/// let mut buffer = [0; 128];
/// let encoded = message.encode_in(&mut buffer)?;
/// assert_eq!(encoded.message(), message);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Message<'a, P = Payload<'a>> {
    /// The hub's part.
    pub envelope: Envelope,
    /// The conversation as the *sender* names it; [`Message::conversation_of`] returns the reader's name for it.
    pub to: ConversationId,
    /// The message's id, known before it is sent.
    pub id: MessageId,
    /// The sender's own count of messages (`clientSequence`).
    pub client_sequence: u64,
    /// The priority of the message in a group that exceeds its rate.
    pub priority: Priority,
    /// The payload.
    pub payload: P,
    /// Extensions under the tags of [`tags`], and those of later versions. [`Mentions::write`] makes those that mention users.
    pub extensions: Extensions<'a>,
}

impl<'a> Message<'a> {
    /// The names of the fields, in the order of the wire.
    pub const FIELDS: &'static [&'static str] = &[
        "envelope",
        "to",
        "id",
        "client_sequence",
        "priority",
        "payload",
        "extensions",
    ];

    /// Decodes a whole message, in place.
    ///
    /// A payload of a known kind that is malformed comes out as [`Payload::Unknown`] rather than as an error, so that one
    /// broken message cannot stop a conversation.
    ///
    /// # Errors
    /// [`DecodeError`] if the envelope or the content is malformed.
    pub fn decode_from(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        decode_body(bytes)
    }
}

impl<'a, P> Message<'a, P> {
    /// The same, whatever its kind.
    #[must_use]
    pub fn into_any(self) -> Message<'a>
    where
        P: Into<Payload<'a>>,
    {
        Message::new(self.envelope, self.to, self.id, self.payload.into())
            .with_client_sequence(self.client_sequence)
            .with_priority(self.priority)
            .with_extensions(self.extensions)
    }

    /// Whether it was taken back (`isRevoked`).
    #[must_use]
    pub const fn is_revoked(&self) -> bool {
        self.envelope.flags.contains(MessageFlags::REVOKED)
    }

    /// Who sent it.
    #[must_use]
    pub const fn sender(&self) -> &UserId {
        &self.envelope.from
    }

    /// The conversation as `me` names it: with the sender, if the message is to me, else with the receiver.
    #[must_use]
    pub fn conversation_of(&self, me: &UserId) -> ConversationId {
        conversation_of(self.to, &self.envelope.from, me)
    }

    /// Appends only the sender's part, which is what a SEND request carries.
    pub fn encode_content(&self, writer: &mut Writer<'_>)
    where
        P: PayloadBody,
    {
        self.to.encode(writer);
        self.id.encode(writer);
        self.client_sequence.encode(writer);
        self.priority.encode(writer);
        self.payload.kind().encode(writer);
        writer.put_sized(&self.payload);
        self.extensions.encode(writer);
    }
}

impl<'a> Header<'a> {
    /// The message, its payload decoded; see [`Message::decode_from`].
    #[must_use]
    #[inline]
    pub fn message(&self) -> Message<'a> {
        let content = &self.content;
        Message {
            envelope: self.envelope,
            to: content.to,
            id: content.id,
            client_sequence: content.client_sequence,
            priority: content.priority,
            payload: Payload::decode(content.kind, content.payload),
            extensions: content.extensions,
        }
    }

    /// The payload, if the message is of the kind that is asked for and well-formed. Nothing of other kinds is linked then.
    ///
    /// ```
    /// use tim_proto::message::{Header, Text};
    ///
    /// fn said<'a>(header: &Header<'a>) -> Option<&'a str> {
    ///     header.payload::<Text>().map(|said| said.text)
    /// }
    /// ```
    #[must_use]
    pub fn payload<P: OfKind + Decode<'a>>(&self) -> Option<P> {
        if self.content.kind != P::KIND {
            return None;
        }
        decode_body(self.content.payload).ok()
    }

    /// Who sent it.
    #[must_use]
    pub const fn sender(&self) -> &UserId {
        &self.envelope.from
    }

    /// Whether it was taken back (`isRevoked`).
    #[must_use]
    pub const fn is_revoked(&self) -> bool {
        self.envelope.flags.contains(MessageFlags::REVOKED)
    }

    /// The conversation as `me` names it, see [`Message::conversation_of`].
    #[must_use]
    pub fn conversation_of(&self, me: &UserId) -> ConversationId {
        conversation_of(self.content.to, &self.envelope.from, me)
    }
}

fn conversation_of(to: ConversationId, from: &UserId, me: &UserId) -> ConversationId {
    match to {
        ConversationId::C2c(receiver) if receiver == *me => ConversationId::C2c(*from),
        other => other,
    }
}

impl<P: PayloadBody> Encode for Message<'_, P> {
    fn encode(&self, writer: &mut Writer<'_>) {
        self.envelope.encode(writer);
        self.encode_content(writer);
    }
}

impl<'a> Read<'a> for Message<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Self {
        Header::read(reader).message()
    }

    features! {
        from, to:
        serde crate::wire::transcode_fields!(Message, from, to),
        arbitrary {
            Envelope::generate(from, to)?;
            ConversationId::generate(from, to)?;
            MessageId::generate(from, to)?;
            u64::generate(from, to)?;
            Priority::generate(from, to)?;
            Tagged::generate(from, to)?;
            Extensions::generate(from, to)
        },
    }
}

#[cfg(all(feature = "serde", feature = "alloc"))]
crate::wire::visit_fields! {
    Message, 'a, Message<'a>, {
        envelope: Envelope,
        to: ConversationId,
        id: MessageId,
        client_sequence: u64,
        priority: Priority,
        payload: Tagged<'a>,
        extensions: Extensions<'a>
    }
}

/// Appends bytes with their length before them.
#[cfg(all(feature = "alloc", any(feature = "serde", feature = "arbitrary")))]
pub(crate) fn put_sized(bytes: &[u8], to: &mut alloc::vec::Vec<u8>) {
    to.append(&mut to_vec(&bytes));
}

/// Encodes a value into a vector of exactly its size.
#[cfg(feature = "alloc")]
#[must_use]
pub fn to_vec<T: Encode + ?Sized>(value: &T) -> alloc::vec::Vec<u8> {
    let mut bytes = alloc::vec![0; crate::wire::encoded_len(value)];
    let mut writer = Writer::new(&mut bytes);
    value.encode(&mut writer);
    bytes
}
