//! A message as bytes that were verified once, kept in any storage.

use super::{Content, Envelope, Header, Message, MessageFlags, PayloadBody};
use crate::wire::{
    BufferTooSmall, DecodeError, Encode, Extensions, List, Reader, Writer, decode_body, encode_body,
};
use crate::{ConversationId, MessageId, MessageKind, Priority, UserId};

/// The bytes of a message, verified once, from which the message can be read any number of times without an error.
///
/// `B` holds the bytes: `&[u8]` in a receive buffer, `Vec<u8>`, `Box<[u8]>`, `Arc<[u8]>` or `bytes::Bytes`; on a device
/// without a heap `heapless::Vec<u8, N>`. What holds the bytes already is wrapped by [`Encoded::new`]; into a storage that is
/// made from a slice they are copied, by [`Encoded::from_slice`], or, once they are verified, by [`Encoded::to_storage`].
///
/// ```
/// use tim_proto::Encoded;
///
/// type Line = heapless::Vec<u8, 64>;
///
/// let bytes = b"\x05\xd7\x92\x95\xad\x06\0\x07\x05alice\x01\x03bob\x63\xd7\x92\x95\xad\x06\x2a\x01\x02\x01\x03\x02hi";
/// let kept: Encoded<Line> = Encoded::from_slice(bytes)?;
/// assert_eq!(kept.message().sender(), "alice");
/// let in_the_heap: Encoded<Vec<u8>> = kept.to_storage()?; // not decoded again
/// assert_eq!(in_the_heap.as_bytes(), bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoded<B>(B);

impl<B: AsRef<[u8]>> Encoded<B> {
    /// Verifies `bytes` and keeps them.
    ///
    /// # Errors
    /// [`DecodeError`] if they are not a message.
    pub fn new(bytes: B) -> Result<Self, DecodeError> {
        decode_body::<Header<'_>>(bytes.as_ref())?;
        Ok(Self(bytes))
    }

    /// Verifies `bytes` and copies them into a `B`.
    ///
    /// # Errors
    /// [`CopyError`] if they are not a message, or not what a `B` can hold.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CopyError>
    where
        B: for<'a> TryFrom<&'a [u8]>,
    {
        Encoded::new(bytes)?.to_storage()
    }

    /// Copies the message into another kind of storage. The bytes are not verified a second time.
    ///
    /// # Errors
    /// [`CopyError::Capacity`] if they are not what a `C` can hold.
    pub fn to_storage<C>(&self) -> Result<Encoded<C>, CopyError>
    where
        C: AsRef<[u8]> + for<'a> TryFrom<&'a [u8]>,
    {
        let bytes = self.as_bytes();
        match C::try_from(bytes) {
            Ok(copy) => Ok(Encoded(copy)),
            Err(_) => Err(CopyError::Capacity { needed: bytes.len() }),
        }
    }

    /// The message, borrowing the bytes.
    #[must_use]
    pub fn as_ref(&self) -> Encoded<&[u8]> {
        Encoded(self.as_bytes())
    }

    /// The header. The payload is not decoded.
    #[must_use]
    pub fn header(&self) -> Header<'_> {
        decode_body(self.0.as_ref()).unwrap_or(NOTHING)
    }

    /// The whole message.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        self.header().message()
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// The storage with the bytes.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.0
    }
}

/// A message could not be copied into a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The bytes are not a message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The storage is too small, or takes another number of bytes only, as an array does.
    #[error("the message has {needed} bytes, which the storage cannot hold")]
    Capacity {
        /// How many bytes the message has.
        needed: usize,
    },
}

impl<B: AsRef<[u8]>> Encode for Encoded<B> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put(self.as_bytes());
    }
}

impl<'a> Encoded<&'a [u8]> {
    /// Bytes that were verified as part of a body.
    pub(crate) const fn of_verified(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> List<'a, Message<'a>> {
    /// The messages as the bytes that were verified when the list was decoded. Nothing for a list made from a slice.
    pub fn encoded(&self) -> impl Iterator<Item = Encoded<&'a [u8]>> + Clone + use<'a> {
        let mut items = Reader::new(self.as_bytes().unwrap_or_default());
        core::iter::from_fn(move || {
            let is_done = items.rest().is_empty();
            (!is_done).then(|| Encoded(items.take_bytes()))
        })
    }
}

/// Stands in if a `B` should hand out other bytes than those that were checked.
const NOTHING: Header<'static> = Header {
    envelope: Envelope {
        sequence: 0,
        time: 0,
        flags: MessageFlags::NONE,
        origin: 0,
        from: UserId::SYSTEM,
    },
    content: Content {
        to: ConversationId::System,
        id: MessageId {
            sender: 0,
            client_time: 0,
            random: 0,
        },
        client_sequence: 0,
        priority: Priority::NORMAL,
        kind: MessageKind(0),
        payload: &[],
        extensions: Extensions::NONE,
    },
};

impl<P: PayloadBody> Message<'_, P> {
    /// Encodes the message at the start of `buffer`.
    ///
    /// # Errors
    /// [`BufferTooSmall`] with the number of bytes that the message needs.
    pub fn encode_in<'b>(&self, buffer: &'b mut [u8]) -> Result<Encoded<&'b [u8]>, BufferTooSmall> {
        let len = encode_body(self, buffer)?;
        Ok(Encoded(buffer.get(..len).unwrap_or_default()))
    }

    /// Encodes the message in memory of its own.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn to_encoded(&self) -> Encoded<alloc::vec::Vec<u8>> {
        Encoded(super::to_vec(self))
    }
}

impl Header<'_> {
    /// Encodes the message at the start of `buffer`. The payload is copied, not decoded.
    ///
    /// # Errors
    /// [`BufferTooSmall`] with the number of bytes that the message needs.
    pub fn encode_in<'b>(&self, buffer: &'b mut [u8]) -> Result<Encoded<&'b [u8]>, BufferTooSmall> {
        let len = encode_body(self, buffer)?;
        Ok(Encoded(buffer.get(..len).unwrap_or_default()))
    }
}

#[cfg(feature = "alloc")]
impl Header<'_> {
    /// The message in memory of its own. The payload is copied, not decoded.
    #[must_use]
    pub fn to_encoded(&self) -> Encoded<alloc::vec::Vec<u8>> {
        Encoded(super::to_vec(self))
    }
}
