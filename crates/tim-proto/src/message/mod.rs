//! The message: one type for every kind, borrowed from the bytes that it arrived in.
//!
//! On the wire a message is two runs of fields. The *envelope* (sequence, time, flags, origin, sender) is the hub's word;
//! the *content* behind it is what the sender wrote, and the hub passes it on byte for byte. [`Header`] is what routing
//! needs and leaves the payload undecoded; [`Message`] decodes it too.

mod encoded;
mod extra;
mod flags;
mod notice;
mod options;
mod payload;
mod tip;

pub use encoded::{CopyError, Encoded};
#[cfg(feature = "alloc")]
pub use extra::with_sender_names;
pub use extra::{MENTION_ALL, Mentions, RevokedBy, SenderNames, tags};
pub use flags::MessageFlags;
pub use notice::{NoticeOperation, SystemNotice};
pub use options::{OfflinePush, SendOptions};
#[cfg(any(feature = "serde", feature = "arbitrary"))]
pub(crate) use payload::Tagged;
pub use payload::{
    Audio, Custom, Face, File, Image, ImageFormat, ImageInfo, ImageSize, OfKind, Payload, PayloadBody,
    Revocation, Text, Thumbnail, Video,
};
pub use tip::{GroupChange, GroupTip, Muted, TipMember, TipNames, TipOperation};

use crate::wire::{
    Decode, DecodeError, Encode, Extensions, Read, Reader, Writer, decode_body, transcode, wire,
};
use crate::{ConversationId, MessageId, MessageKind, Priority, UserId};

wire! {
    /// What the hub says about a message: where it stands, when it came, from whom.
    #[derive(Debug)]
    pub struct Envelope {
        /// Its place in the conversation, from 1 without holes; 0 while it has none (not sent yet, or never stored).
        pub sequence: u64,
        /// When the hub took it, Unix time in seconds; before that, when it was created.
        pub time: u64,
        /// What is special about it.
        pub flags: MessageFlags,
        /// The number of the device that sent it; 0 for the hub itself.
        pub origin: u64,
        /// Who sent it.
        pub from: UserId,
    }
}

wire! {
    open_ended;
    /// A message without its payload decoded: what storing, routing and acknowledging need.
    #[derive(Debug)]
    pub struct Header<'a> {
        /// The hub's part.
        pub envelope: Envelope,
        /// The sender's part, and the rest.
        pub content: Content<'a>,
    }
}

wire! {
    open_ended;
    /// What the sender wrote, with the payload as bytes.
    #[derive(Debug)]
    pub struct Content<'a> {
        /// The conversation as the *sender* names it: `C2C` and the receiver, or the group.
        pub to: ConversationId,
        /// The message's id, which resending does not change.
        pub id: MessageId,
        /// The sender's own count of messages (`clientSequence`).
        pub client_sequence: u64,
        /// How urgent it is in a group that exceeds its limit (S14-S20).
        pub priority: Priority,
        /// What kind of payload follows.
        pub kind: MessageKind,
        /// The payload's own body.
        pub payload: &'a [u8],
        /// The extensions by [`tags`], and what later versions add.
        pub extensions: Extensions<'a>,
    }
}

/// A message, borrowed from where its bytes are: of any kind, unless `P` says which.
///
/// ```
/// use tim_proto::message::{Envelope, Message, MessageFlags, Payload, Text};
/// use tim_proto::{ConversationId, MessageId, Priority, UserId, wire};
///
/// let message = Message {
///     envelope: Envelope { sequence: 0, time: 1_705_307_415, flags: MessageFlags::NONE, origin: 7, from: UserId::new("alice")? },
///     to: ConversationId::C2c(UserId::new("bob")?),
///     id: MessageId { sender: 144115200000000001, client_time: 1_705_307_415, random: 42 },
///     client_sequence: 1,
///     priority: Priority::NORMAL,
///     payload: Payload::Text(Text { text: "你好[呲牙]" }),
///     extensions: Default::default(),
/// };
/// let mut buffer = [0; 128];
/// let len = wire::encode_body(&message, &mut buffer)?;
/// assert_eq!(Message::decode_from(&buffer[..len])?, message);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Message<'a, P = Payload<'a>> {
    /// The hub's part.
    pub envelope: Envelope,
    /// The conversation as the *sender* names it; [`Message::conversation_of`] turns it into the reader's name.
    pub to: ConversationId,
    /// The message's id, known before it is sent.
    pub id: MessageId,
    /// The sender's own count of messages (`clientSequence`).
    pub client_sequence: u64,
    /// How urgent it is in a group that exceeds its limit (S14-S20).
    pub priority: Priority,
    /// What it says.
    pub payload: P,
    /// The extensions by [`tags`], and what later versions add. To mention somebody, [`Mentions::write`] makes them.
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
        Message {
            envelope: self.envelope,
            to: self.to,
            id: self.id,
            client_sequence: self.client_sequence,
            priority: self.priority,
            payload: self.payload.into(),
            extensions: self.extensions,
        }
    }

    /// Whether it was taken back (`isRevoked`, S111).
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

    /// Whether it was taken back (`isRevoked`, S111).
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

    transcode! { Message }

    #[cfg(feature = "arbitrary")]
    fn generate(
        from: &mut arbitrary::Unstructured<'_>,
        to: &mut alloc::vec::Vec<u8>,
    ) -> arbitrary::Result<()> {
        Envelope::generate(from, to)?;
        ConversationId::generate(from, to)?;
        MessageId::generate(from, to)?;
        u64::generate(from, to)?;
        Priority::generate(from, to)?;
        Tagged::generate(from, to)?;
        Extensions::generate(from, to)
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
