//! Encoding and decoding of bodies, in postcard's encoding: varints for integers, a length before strings and bytes, one byte
//! for `bool` and for the presence of an `Option`, fields in order with nothing between them.
//!
//! The encoding is postcard's, byte for byte: `tests/schema.rs` compares the two for every body. The code is written by hand,
//! for these reasons:
//!
//! - Size. On thumbv7em at `opt-level = "z"`, sending and receiving a text takes 4.9 kB of flash beyond an empty image; the
//!   same with serde derives on postcard 1.2 takes 7.2 kB, 48 % more. At `opt-level = 3` the difference is 52 %, and 98 % with
//!   five kinds of payload.
//! - Proof. An image of this code links without a panic path at `"z"` and `3`; with serde it does so at `3` only.
//! - Speed. On x86-64 a text message decodes in 82 ns instead of 99, an image with a list of three in 125 instead of 181.
//! - Content. Bodies need what serde's data model lacks: extensions that old readers skip, lists that are decoded in place,
//!   the position of an error, and a writer that reports how many bytes were needed.
//!
//! Nothing here panics, allocates, or reads a byte twice. A decoder reads all fields of a body and checks for errors once:
//! after a fault the [`Reader`] returns placeholders, and the value is discarded.

use super::{Reader, Writer, features, owned};
use crate::{ConversationId, GroupId, IdError, UserId};

/// The bytes are not a valid body. The peer (or the storage) that produced them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {at}")]
pub struct DecodeError {
    /// The position of the fault in the body.
    pub at: usize,
    /// The kind of fault.
    pub fault: DecodeFault,
}

/// A fault in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeFault {
    /// The body ends inside a field.
    #[error("the body ends inside a field")]
    Truncated,
    /// A varint is longer than its type allows, or its value does not fit.
    #[error("a number is out of range")]
    Varint,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A `bool` or the presence byte of an option is neither 0 nor 1.
    #[error("a flag byte is neither 0 nor 1")]
    Flag,
    /// An id is not valid.
    #[error("an id is not valid: {0}")]
    Id(IdError),
    /// The type of a conversation is unknown.
    #[error("a conversation has an unknown type")]
    ConversationType,
    /// The body belongs to a frame of another kind.
    #[error("the frame is of another kind")]
    Kind,
}

/// A value that can be encoded into a body.
pub trait Encode {
    /// Appends the value's bytes. A buffer that is too small is reported by [`Writer::finish`].
    fn encode(&self, writer: &mut Writer<'_>);
}

/// A value that can be decoded from a body, borrowing from it: by [`decode_body`], [`decode_prefix`] or [`decode_with`].
///
/// The trait is sealed. A value is only handed out after the bytes that it was read from have been checked:
///
/// ```compile_fail
/// use tim_proto::wire::{Decode, Reader};
/// let unchecked = tim_proto::UserId::read(&mut Reader::new(&[]));
/// ```
pub trait Decode<'a>: Read<'a> {}

impl<'a, T: Read<'a>> Decode<'a> for T {}

pub(crate) mod sealed {
    use super::{Encode, Reader};

    #[cfg(feature = "serde")]
    #[allow(unreachable_pub)]
    pub use serde_core::Serialize as Features;

    /// The features that are off ask nothing of a type.
    #[cfg(not(feature = "serde"))]
    pub trait Features {}
    #[cfg(not(feature = "serde"))]
    impl<T> Features for T {}

    /// Reading without an error path, which keeps decoders small, and what the features know of each type.
    pub trait Read<'a>: Encode + Copy + Features {
        /// Reads the value and moves the reader behind it. Bytes that are not such a value are recorded by the reader, see
        /// `Reader::check`; the value that is returned then is a placeholder.
        fn read(reader: &mut Reader<'a>) -> Self;

        /// Whether the value is bytes, which a human-readable format has as hexadecimal digits.
        #[cfg(feature = "serde")]
        const IS_BYTES: bool = false;

        /// Serializes the value as a field.
        #[cfg(feature = "serde")]
        fn serialize_field<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.serialize(serializer)
        }

        /// Appends the bytes of a value that is read from its serde form, in a human-readable format.
        #[cfg(all(feature = "serde", feature = "alloc"))]
        fn transcode<'de, D: serde_core::Deserializer<'de>>(
            from: D,
            to: &mut alloc::vec::Vec<u8>,
        ) -> Result<(), D::Error>;

        /// Appends the bytes of any value.
        #[cfg(feature = "arbitrary")]
        fn generate(
            from: &mut arbitrary::Unstructured<'_>,
            to: &mut alloc::vec::Vec<u8>,
        ) -> arbitrary::Result<()>;
    }
}
use sealed::Read;

/// Encodes `value` as a whole body at the start of `buffer` and returns its length.
///
/// # Errors
/// [`BufferTooSmall`] with the length that was needed; the buffer's content is then unspecified.
pub fn encode_body<T: Encode + ?Sized>(value: &T, buffer: &mut [u8]) -> Result<usize, BufferTooSmall> {
    let mut writer = Writer::new(buffer);
    value.encode(&mut writer);
    writer.finish()
}

/// The number of bytes that `value` encodes to.
#[must_use]
pub fn encoded_len<T: Encode + ?Sized>(value: &T) -> usize {
    let mut writer = Writer::new(&mut []);
    value.encode(&mut writer);
    writer.len()
}

/// Decodes a whole body: the known fields, then extensions, which are checked and skipped.
///
/// # Errors
/// [`DecodeError`] if the bytes are not such a body.
pub fn decode_body<'a, T: Decode<'a>>(body: &'a [u8]) -> Result<T, DecodeError> {
    decode_with(body, T::read)
}

/// Decodes a whole body as a run of values that `read` takes from the [`Reader`], then extensions, which are checked and
/// skipped. The reader is checked once, after all of them: a body of several types needs one error path.
///
/// ```
/// use tim_proto::{UserId, wire};
/// let (user, count) = wire::decode_with(b"\x05alice\x07", |reader| (reader.read::<UserId>(), reader.read::<u32>()))?;
/// assert_eq!((user.as_str(), count), ("alice", 7));
/// # Ok::<(), wire::DecodeError>(())
/// ```
///
/// # Errors
/// [`DecodeError`] at the first byte that is not what `read` asked for.
#[inline]
pub fn decode_with<'a, T>(body: &'a [u8], read: impl FnOnce(&mut Reader<'a>) -> T) -> Result<T, DecodeError> {
    let mut reader = Reader::new(body);
    let value = read(&mut reader);
    reader.end()?;
    Ok(value)
}

/// Decodes a value at the start of `bytes`, and returns it with the bytes behind it.
///
/// # Errors
/// [`DecodeError`] if the bytes are not such a value.
#[inline]
pub fn decode_prefix<'a, T: Decode<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = T::read(&mut reader);
    reader.check()?;
    Ok((value, reader.rest()))
}

/// The buffer is too small for the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the buffer has {available} bytes, {needed} are needed")]
pub struct BufferTooSmall {
    /// The length that is needed.
    pub needed: usize,
    /// The length of the buffer.
    pub available: usize,
}

impl Encode for u8 {
    #[inline]
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_u8(*self);
    }
}

impl<'a> Read<'a> for u8 {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Self {
        reader.take_u8()
    }

    owned! {}
}

macro_rules! varint_impls {
    ($($ty:ty),*) => {$(
        impl Encode for $ty {
            #[cfg_attr(target_pointer_width = "32", inline(never))]
            #[cfg_attr(not(target_pointer_width = "32"), inline)]
            fn encode(&self, writer: &mut Writer<'_>) {
                writer.put_varint(u64::from(*self));
            }
        }
        impl<'a> Read<'a> for $ty {
            #[cfg_attr(target_pointer_width = "32", inline(never))]
            #[cfg_attr(not(target_pointer_width = "32"), inline)]
            fn read(reader: &mut Reader<'a>) -> Self {
                let value = reader.take_varint();
                <$ty>::try_from(value).unwrap_or_else(|_| {
                    reader.refuse(DecodeFault::Varint);
                    0
                })
            }

            owned! {}
        }
    )*};
}
varint_impls!(u16, u32, u64);

impl Encode for bool {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_u8(u8::from(*self));
    }
}

impl<'a> Read<'a> for bool {
    fn read(reader: &mut Reader<'a>) -> Self {
        let flag = reader.take_u8();
        if flag > 1 {
            reader.refuse(DecodeFault::Flag);
        }
        flag == 1
    }

    owned! {}
}

impl Encode for str {
    #[inline]
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_bytes(self.as_bytes());
    }
}

impl Encode for &str {
    #[inline]
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_bytes(self.as_bytes());
    }
}

impl<'a> Read<'a> for &'a str {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Self {
        reader.take_str()
    }

    features! {
        from, to:
        serde from.deserialize_str(super::serde::Blob { to, is_hex: false }),
        arbitrary super::arbitrary::text(from, to),
    }
}

impl Encode for &[u8] {
    #[inline]
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_bytes(self);
    }
}

impl<'a> Read<'a> for &'a [u8] {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Self {
        reader.take_bytes()
    }

    #[cfg(feature = "serde")]
    const IS_BYTES: bool = true;

    #[cfg(feature = "serde")]
    fn serialize_field<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::serde::serialize_bytes(self, serializer)
    }

    features! {
        from, to:
        serde from.deserialize_str(super::serde::Blob { to, is_hex: true }),
        arbitrary super::arbitrary::bytes(from, to),
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            None => writer.put_u8(0),
            Some(value) => {
                writer.put_u8(1);
                value.encode(writer);
            }
        }
    }
}

impl<'a, T: Decode<'a>> Read<'a> for Option<T> {
    fn read(reader: &mut Reader<'a>) -> Self {
        bool::read(reader).then(|| reader.read())
    }

    #[cfg(feature = "serde")]
    const IS_BYTES: bool = T::IS_BYTES;

    #[cfg(feature = "serde")]
    fn serialize_field<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => serializer.serialize_some(&super::serde::Field(value)),
            None => serializer.serialize_none(),
        }
    }

    features! {
        from, to:
        serde from.deserialize_option(super::serde::Maybe::<T>::new(to)),
        arbitrary {
            let is_some: bool = arbitrary::Arbitrary::arbitrary(from)?;
            to.push(is_some.into());
            if is_some { T::generate(from, to) } else { Ok(()) }
        },
    }
}

impl Encode for UserId {
    fn encode(&self, writer: &mut Writer<'_>) {
        self.as_str().encode(writer);
    }
}

impl<'a> Read<'a> for UserId {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Self {
        Self::of_checked(reader.take_id(Self::MAX_LEN))
    }

    owned! {}
}

impl Encode for GroupId {
    fn encode(&self, writer: &mut Writer<'_>) {
        self.as_str().encode(writer);
    }
}

impl<'a> Read<'a> for GroupId {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Self {
        Self::of_checked(reader.take_id(Self::MAX_LEN))
    }

    owned! {}
}

/// The types of conversation on the wire.
const TYPE_SYSTEM: u8 = 0;
const TYPE_C2C: u8 = 1;
const TYPE_GROUP: u8 = 2;

impl Encode for ConversationId {
    fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            Self::System => writer.put_u8(TYPE_SYSTEM),
            Self::C2c(user) => {
                writer.put_u8(TYPE_C2C);
                user.encode(writer);
            }
            Self::Group(group) => {
                writer.put_u8(TYPE_GROUP);
                group.encode(writer);
            }
        }
    }
}

impl<'a> Read<'a> for ConversationId {
    fn read(reader: &mut Reader<'a>) -> Self {
        let start = reader.position();
        match reader.take_u8() {
            TYPE_SYSTEM => Self::System,
            TYPE_C2C => Self::C2c(UserId::read(reader)),
            TYPE_GROUP => Self::Group(GroupId::read(reader)),
            _ => {
                reader.refuse_at(start, DecodeFault::ConversationType);
                Self::System
            }
        }
    }

    owned! {}
}
