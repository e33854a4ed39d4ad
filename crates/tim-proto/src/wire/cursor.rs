//! Where a body is written and read: bounds are checked here, and nowhere else.

use super::{BufferTooSmall, DecodeError, DecodeFault, Encode, encoded_len};
use crate::IdError;

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
    pub(super) fn take_id<T>(
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
