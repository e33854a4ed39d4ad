//! The writer and the reader of a body. All bounds checks are here.

use super::{BufferTooSmall, Decode, DecodeError, DecodeFault, Encode, Extensions, encoded_len};
use crate::id::{check, is_good};

/// Writes fields into the caller's buffer. When the buffer is full, it only counts.
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

    /// The number of bytes written, including those that did not fit.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.at
    }

    /// Whether nothing has been written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// Appends bytes as they are, without a length.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline)]
    pub fn put(&mut self, bytes: &[u8]) {
        // A loop instead of `copy_from_slice`, which could panic. The compiler makes a `memcpy` of it.
        let room = self.buffer.get_mut(self.at..).unwrap_or_default();
        if bytes.len() <= room.len() {
            for (to, from) in room.iter_mut().zip(bytes) {
                *to = *from;
            }
        }
        self.at = self.at.saturating_add(bytes.len());
    }

    /// Appends one byte.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline)]
    pub fn put_u8(&mut self, byte: u8) {
        if let Some(slot) = self.buffer.get_mut(self.at) {
            *slot = byte;
        }
        self.at = self.at.saturating_add(1);
    }

    /// Appends a varint: seven bits a byte, the low ones first, the high bit set on all bytes but the last.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline)]
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
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline)]
    pub fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.put(bytes);
    }

    /// Appends a value with the length of its encoding before it.
    pub fn put_sized<T: Encode + ?Sized>(&mut self, value: &T) {
        self.put_varint(encoded_len(value) as u64);
        value.encode(self);
    }

    /// The number of bytes written.
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

/// Reads fields from a body and records the first fault. After a fault it returns placeholders; the function that made the
/// reader, such as [`decode_with`](super::decode_with), returns the error. So a decoder is a plain sequence of fields, which
/// keeps it small.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// The length of the body.
    len: usize,
    fault: Option<DecodeError>,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `body`.
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            len: body.len(),
            fault: None,
        }
    }

    /// Reads a value. Where the bytes are not such a value, the fault is recorded and a placeholder is returned, and
    /// [`decode_with`](super::decode_with) returns the error.
    #[inline]
    pub fn read<T: Decode<'a>>(&mut self) -> T {
        T::read(self)
    }

    /// The bytes that have not been read; none after a fault.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The number of bytes that have been read.
    pub(crate) const fn position(&self) -> usize {
        self.len.saturating_sub(self.rest.len())
    }

    /// Whether everything read so far was valid.
    ///
    /// # Errors
    /// [`DecodeError`], the first fault.
    #[inline]
    pub(crate) const fn check(&self) -> Result<(), DecodeError> {
        match self.fault {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Skips the extensions after the known fields, and checks the body.
    ///
    /// # Errors
    /// As [`Reader::check`].
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn end(&mut self) -> Result<(), DecodeError> {
        self.read::<Extensions<'a>>();
        self.check()
    }

    /// Records a fault at the current position, unless there was one before.
    #[cold]
    pub(crate) const fn refuse(&mut self, fault: DecodeFault) {
        let at = self.position();
        self.refuse_at(at, fault);
    }

    /// Records a fault at `at`, unless there was one before.
    #[cold]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) const fn refuse_at(&mut self, at: usize, fault: DecodeFault) {
        if self.fault.is_none() {
            self.fault = Some(DecodeError { at, fault });
        }
        self.rest = &[];
    }

    /// Takes the next `len` bytes; [`DecodeFault::Truncated`] if there are fewer.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline)]
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            self.refuse(DecodeFault::Truncated);
            return &[];
        };
        self.rest = rest;
        taken
    }

    /// Takes the rest of the bytes.
    pub(crate) const fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    /// Takes one byte; [`DecodeFault::Truncated`] at the end.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline)]
    pub(crate) fn take_u8(&mut self) -> u8 {
        let Some((byte, rest)) = self.rest.split_first() else {
            self.refuse(DecodeFault::Truncated);
            return 0;
        };
        self.rest = rest;
        *byte
    }

    /// Takes a varint of at most 64 bits; [`DecodeFault::Varint`] for more, [`DecodeFault::Truncated`] at the end.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline)]
    pub(crate) fn take_varint(&mut self) -> u64 {
        match self.rest.split_first() {
            Some((&first, rest)) if first < 0x80 => {
                self.rest = rest;
                u64::from(first) // by far the most common case
            }
            _ => self.take_long_varint(),
        }
    }

    fn take_long_varint(&mut self) -> u64 {
        let mut value = 0;
        let mut shift = 0;
        let mut rest = self.rest;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            if shift == 63 && byte > 1 {
                self.rest = rest;
                self.refuse(DecodeFault::Varint);
                return 0;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                self.rest = rest;
                return value;
            }
            shift += 7;
        }
        self.rest = rest;
        self.refuse(DecodeFault::Truncated);
        0
    }

    /// Takes bytes that have their length before them; faults as [`Reader::take`] and [`Reader::take_varint`].
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline)]
    pub(crate) fn take_bytes(&mut self) -> &'a [u8] {
        let len = self.take_varint();
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// Takes a string that has its length in bytes before it; faults as [`Reader::take_bytes`], and
    /// [`DecodeFault::Utf8`].
    #[inline]
    pub(crate) fn take_str(&mut self) -> &'a str {
        let start = self.position();
        let bytes = self.take_bytes();
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => {
                self.refuse_at(start, DecodeFault::Utf8);
                ""
            }
        }
    }

    /// Takes the bytes of an id of at most `max` bytes. If they are no id, that is recorded, and a placeholder returned.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline)]
    pub(super) fn take_id(&mut self, max: usize) -> &'a [u8] {
        let start = self.position();
        let bytes = self.take_bytes();
        if is_good(bytes, max) {
            return bytes;
        }
        self.refuse_id(start, bytes, max);
        b"-" // a valid id, so that an id is never empty
    }

    #[cold]
    fn refuse_id(&mut self, start: usize, bytes: &[u8], max: usize) {
        let fault = match (core::str::from_utf8(bytes), check(bytes, max)) {
            (Err(_), _) => DecodeFault::Utf8,
            (_, Err(error)) => DecodeFault::Id(error),
            (_, Ok(())) => return, // it is one after all
        };
        self.refuse_at(start, fault);
    }
}
