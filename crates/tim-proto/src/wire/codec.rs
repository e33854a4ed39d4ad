//! Fields to bytes and back, in postcard's encoding: varints for integers, a length before strings and bytes, one byte
//! for `bool` and for the presence of an `Option`, fields in order with nothing between them.
//!
//! The encoding is postcard's, byte for byte (a test compares the two); the code is ours, because bodies need what
//! serde's data model cannot say: skippable extensions, lists decoded in place, positions in errors, and a writer that
//! reports how much room was missing. Nothing here panics, allocates, or reads a byte twice.

use crate::{ConversationId, GroupId, IdError, MessageId, UserId};

/// Bytes that are no valid body: the peer (or the storage) that produced them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {at}")]
pub struct DecodeError {
    /// How many bytes of the body stood before the fault.
    pub at: usize,
    /// What is wrong there.
    pub fault: DecodeFault,
}

/// What can be wrong with a byte of a body.
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
    /// A conversation has a type that this version cannot address.
    #[error("a conversation has an unknown type")]
    ConversationType,
}

/// A value that has a place in a body.
pub trait Encode {
    /// Appends the value's bytes. Running out of room is noted by the writer, see [`Writer::finish`].
    fn encode(&self, writer: &mut Writer<'_>);
}

/// A value that can be read from a body, borrowing from it.
pub trait Decode<'a>: Sized {
    /// Reads the value and moves the reader behind it.
    ///
    /// # Errors
    /// [`DecodeError`] where the bytes are no such value.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

/// Encodes `value` as a whole body at the start of `buffer` and returns its length.
///
/// # Errors
/// [`BufferTooSmall`] with the room that was needed; what stands in the buffer is then of no use.
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

/// Decodes a whole body: the known fields, then extensions, which are checked and passed over.
///
/// # Errors
/// [`DecodeError`] where the bytes are no such body.
pub fn decode_body<'a, T: Decode<'a>>(body: &'a [u8]) -> Result<T, DecodeError> {
    let mut reader = Reader::new(body);
    let value = T::decode(&mut reader)?;
    super::Extensions::decode(&mut reader)?;
    Ok(value)
}

/// The buffer is too small for what should be written into it; the caller's buffer is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the buffer has {available} bytes, {needed} are needed")]
pub struct BufferTooSmall {
    /// How many bytes the value needs.
    pub needed: usize,
    /// How many there are.
    pub available: usize,
}

/// Writes fields into a caller's buffer, and goes on counting when it is full.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    at: usize,
}

impl<'b> Writer<'b> {
    /// A writer at the start of `buffer`.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, at: 0 }
    }

    /// How many bytes were written, or would have been with enough room.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.at
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// Appends bytes as they are, without a length.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        // Cut in two steps, so that the compiler sees the lengths agree.
        let room = self
            .buffer
            .get_mut(self.at..)
            .and_then(|room| room.get_mut(..bytes.len()));
        if let Some(room) = room {
            room.copy_from_slice(bytes);
        }
        self.at = self.at.saturating_add(bytes.len());
    }

    /// Appends one byte.
    #[inline]
    pub fn put_u8(&mut self, byte: u8) {
        if let Some(slot) = self.buffer.get_mut(self.at) {
            *slot = byte;
        }
        self.at = self.at.saturating_add(1);
    }

    /// Appends a varint: seven bits a byte, the low ones first, the high bit set on all bytes but the last.
    #[inline]
    pub fn put_varint(&mut self, value: u64) {
        if value < 0x80 {
            return self.put_u8(value as u8);
        }
        match self
            .buffer
            .get_mut(self.at..)
            .and_then(|room| room.first_chunk_mut())
        {
            Some(room) => self.at = self.at.saturating_add(write_varint(value, room)),
            None => self.put_varint_near_the_end(value),
        }
    }

    #[cold]
    fn put_varint_near_the_end(&mut self, value: u64) {
        let mut bytes = [0; MAX_VARINT_LEN];
        let len = write_varint(value, &mut bytes);
        self.put(bytes.get(..len).unwrap_or(&[]));
    }

    /// Appends bytes with their length before them.
    #[inline]
    pub fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.put(bytes);
    }

    /// Appends a value with the length of its encoding before it.
    pub fn put_sized<T: Encode + ?Sized>(&mut self, value: &T) {
        self.put_varint(encoded_len(value) as u64);
        value.encode(self);
    }

    /// How many bytes were written.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if they did not all fit.
    pub const fn finish(self) -> Result<usize, BufferTooSmall> {
        if self.at <= self.buffer.len() {
            Ok(self.at)
        } else {
            Err(BufferTooSmall {
                needed: self.at,
                available: self.buffer.len(),
            })
        }
    }
}

/// The longest varint of 64 bits.
const MAX_VARINT_LEN: usize = 10;

/// Writes a varint to the start of `room`, and returns its length.
#[inline]
fn write_varint(mut value: u64, room: &mut [u8; MAX_VARINT_LEN]) -> usize {
    let mut len = 1;
    for slot in room {
        if value < 0x80 {
            *slot = value as u8;
            break;
        }
        *slot = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    len
}

/// Reads fields from a body and knows where it stands.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// How long the body is: with what is left, that tells the position.
    len: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `body`.
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            len: body.len(),
        }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes have been read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.len.saturating_sub(self.rest.len())
    }

    /// An error at the present position.
    #[cold]
    #[must_use]
    pub const fn error(&self, fault: DecodeFault) -> DecodeError {
        DecodeError {
            at: self.position(),
            fault,
        }
    }

    /// Takes the next `len` bytes.
    ///
    /// # Errors
    /// [`DecodeFault::Truncated`] if there are fewer.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.error(DecodeFault::Truncated));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// Takes all that is left.
    pub const fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`DecodeFault::Truncated`] at the end.
    #[inline]
    pub fn take_u8(&mut self) -> Result<u8, DecodeError> {
        let Some((byte, rest)) = self.rest.split_first() else {
            return Err(self.error(DecodeFault::Truncated));
        };
        self.rest = rest;
        Ok(*byte)
    }

    /// Takes a varint of at most 64 bits.
    ///
    /// # Errors
    /// [`DecodeFault::Truncated`], or [`DecodeFault::Varint`] for more than 64 bits.
    #[inline]
    pub fn take_varint(&mut self) -> Result<u64, DecodeError> {
        match self.rest.split_first() {
            Some((&first, rest)) if first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(first)) // by far the most common case
            }
            _ => self.take_long_varint(),
        }
    }

    fn take_long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        let mut shift = 0;
        let mut rest = self.rest;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            if shift == 63 && byte > 1 {
                self.rest = rest;
                return Err(self.error(DecodeFault::Varint));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                self.rest = rest;
                return Ok(value);
            }
            shift += 7;
        }
        self.rest = rest;
        Err(self.error(DecodeFault::Truncated))
    }

    /// Takes bytes that have their length before them.
    ///
    /// # Errors
    /// [`DecodeFault::Truncated`] or [`DecodeFault::Varint`].
    #[inline]
    pub fn take_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.take_varint()?;
        let len = usize::try_from(len).map_err(|_| self.error(DecodeFault::Truncated))?;
        self.take(len)
    }

    /// Takes a string that has its length in bytes before it.
    ///
    /// # Errors
    /// As [`Reader::take_bytes`], and [`DecodeFault::Utf8`].
    #[inline]
    pub fn take_str(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.position();
        let bytes = self.take_bytes()?;
        core::str::from_utf8(bytes).map_err(|_| DecodeError {
            at: start,
            fault: DecodeFault::Utf8,
        })
    }

    /// Takes an id. `quick` knows most good ids when it sees their bytes; `make` finds what is wrong with the others.
    #[inline]
    fn take_id<T>(
        &mut self,
        quick: impl FnOnce(&[u8]) -> Option<T>,
        make: impl FnOnce(&str) -> Result<T, IdError>,
    ) -> Result<T, DecodeError> {
        let start = self.clone();
        let bytes = self.take_bytes()?;
        match quick(bytes) {
            Some(id) => Ok(id),
            None => start.refuse_id(bytes, make),
        }
    }

    #[cold]
    fn refuse_id<T>(
        &self,
        bytes: &[u8],
        make: impl FnOnce(&str) -> Result<T, IdError>,
    ) -> Result<T, DecodeError> {
        let text = core::str::from_utf8(bytes).map_err(|_| self.error(DecodeFault::Utf8))?;
        make(text).map_err(|error| self.error(DecodeFault::Id(error)))
    }
}

impl Encode for u8 {
    #[inline]
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_u8(*self);
    }
}

impl<'a> Decode<'a> for u8 {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.take_u8()
    }
}

macro_rules! varint_impls {
    ($($ty:ty),*) => {$(
        impl Encode for $ty {
            #[inline]
            fn encode(&self, writer: &mut Writer<'_>) {
                writer.put_varint(u64::from(*self));
            }
        }
        impl<'a> Decode<'a> for $ty {
            #[inline]
            fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
                let value = reader.take_varint()?;
                <$ty>::try_from(value).map_err(|_| reader.error(DecodeFault::Varint))
            }
        }
    )*};
}
varint_impls!(u16, u32, u64);

impl Encode for bool {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_u8(u8::from(*self));
    }
}

impl<'a> Decode<'a> for bool {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match reader.take_u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(reader.error(DecodeFault::Flag)),
        }
    }
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

impl<'a> Decode<'a> for &'a str {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.take_str()
    }
}

impl Encode for &[u8] {
    #[inline]
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_bytes(self);
    }
}

impl<'a> Decode<'a> for &'a [u8] {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.take_bytes()
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

impl<'a, T: Decode<'a>> Decode<'a> for Option<T> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(if bool::decode(reader)? {
            Some(T::decode(reader)?)
        } else {
            None
        })
    }
}

impl Encode for UserId {
    fn encode(&self, writer: &mut Writer<'_>) {
        self.as_str().encode(writer);
    }
}

impl<'a> Decode<'a> for UserId {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.take_id(Self::from_ascii, Self::new)
    }
}

impl Encode for GroupId {
    fn encode(&self, writer: &mut Writer<'_>) {
        self.as_str().encode(writer);
    }
}

impl<'a> Decode<'a> for GroupId {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.take_id(Self::from_ascii, Self::new)
    }
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

impl<'a> Decode<'a> for ConversationId {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.position();
        match reader.take_u8()? {
            TYPE_SYSTEM => Ok(Self::System),
            TYPE_C2C => UserId::decode(reader).map(Self::C2c),
            TYPE_GROUP => GroupId::decode(reader).map(Self::Group),
            _ => Err(DecodeError {
                at: start,
                fault: DecodeFault::ConversationType,
            }),
        }
    }
}

/// Makes a struct whose fields all encode into a run of fields, in the order listed: that order is the wire format.
macro_rules! wire {
    ($name:ident<'a> { $($field:ident),+ $(,)? }) => {
        impl $crate::wire::Encode for $name<'_> {
            #[inline]
            fn encode(&self, writer: &mut $crate::wire::Writer<'_>) {
                $($crate::wire::Encode::encode(&self.$field, writer);)+
            }
        }
        impl<'a> $crate::wire::Decode<'a> for $name<'a> {
            #[inline]
            fn decode(reader: &mut $crate::wire::Reader<'a>) -> Result<Self, $crate::wire::DecodeError> {
                Ok(Self { $($field: $crate::wire::Decode::decode(reader)?),+ })
            }
        }
    };
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::wire::Encode for $name {
            #[inline]
            fn encode(&self, writer: &mut $crate::wire::Writer<'_>) {
                $($crate::wire::Encode::encode(&self.$field, writer);)+
            }
        }
        impl<'a> $crate::wire::Decode<'a> for $name {
            #[inline]
            fn decode(reader: &mut $crate::wire::Reader<'a>) -> Result<Self, $crate::wire::DecodeError> {
                Ok(Self { $($field: $crate::wire::Decode::decode(reader)?),+ })
            }
        }
    };
    // Open enumerations travel as the number that they wrap.
    ($($name:ident(..)),+ $(,)?) => {$(
        impl $crate::wire::Encode for $name {
            #[inline]
            fn encode(&self, writer: &mut $crate::wire::Writer<'_>) {
                $crate::wire::Encode::encode(&self.0, writer);
            }
        }
        impl<'a> $crate::wire::Decode<'a> for $name {
            #[inline]
            fn decode(reader: &mut $crate::wire::Reader<'a>) -> Result<Self, $crate::wire::DecodeError> {
                $crate::wire::Decode::decode(reader).map(Self)
            }
        }
    )+};
}
pub(crate) use wire;

wire!(MessageId {
    sender,
    client_time,
    random
});
