//! Packet encoding for raw serial lines: a frame or hello followed by its CRC-32, COBS-encoded and delimited by zero
//! bytes.
//!
//! Encoded packets contain no zero byte, so a receiver that lost synchronization recovers at the next delimiter. The
//! CRC is the common CRC-32 (reflected polynomial 0xEDB88320), in little-endian byte order. The leading delimiter
//! costs one byte and terminates noise received since the last packet.

use super::BufferTooSmall;

const CRC_LEN: usize = 4;

/// The maximum encoded length of a packet of `len` bytes, saturating at `usize::MAX`.
#[must_use]
pub const fn serial_encoded_max_len(len: usize) -> usize {
    let len = len.saturating_add(CRC_LEN);
    len.saturating_add(len / 254 + 1 + 2)
}

/// A received packet is invalid and must be dropped. The error was introduced on the line; decoding continues after
/// the next delimiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SerialError {
    /// A COBS code points past the end of the packet, or the packet is too short to hold a CRC.
    #[error("the packet is malformed")]
    Malformed,
    /// The CRC does not match.
    #[error("the packet's CRC does not fit")]
    Crc,
    /// The packet is longer than the buffer.
    #[error("the packet is longer than the buffer")]
    TooLong,
}

/// Computes the CRC-32 of the concatenated `parts`. Processes four bits at a time, with a 64-byte table.
#[must_use]
pub fn crc32(parts: &[&[u8]]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut nibble = 0;
        while nibble < 16 {
            let mut crc = nibble as u32;
            let mut bit = 0;
            while bit < 4 {
                crc = if crc & 1 == 1 {
                    (crc >> 1) ^ 0xEDB8_8320
                } else {
                    crc >> 1
                };
                bit += 1;
            }
            table[nibble] = crc;
            nibble += 1;
        }
        table
    };
    let step = |crc: u32, nibble: u32| {
        // The index is masked to the size of the table.
        TABLE.get(((crc ^ nibble) & 15) as usize).copied().unwrap_or(0) ^ (crc >> 4)
    };
    !parts.iter().flat_map(|part| part.iter()).fold(!0, |crc, byte| {
        let byte = u32::from(*byte);
        step(step(crc, byte), byte >> 4)
    })
}

/// The minimum offset in the buffer of a packet of `len` bytes that is passed to [`serial_encode_in_place`].
#[must_use]
pub const fn serial_gap(len: usize) -> usize {
    // The leading delimiter, the first code, and one more code per full block.
    2 + len.saturating_add(CRC_LEN) / 254
}

/// Encodes `packet` into `out` and returns the number of bytes written.
///
/// # Errors
/// [`BufferTooSmall`] if `out` is too short; [`serial_encoded_max_len`] bytes always suffice.
pub fn serial_encode(packet: &[u8], out: &mut [u8]) -> Result<usize, BufferTooSmall> {
    let mut line = Line::new(out);
    for &byte in packet.iter().chain(&crc32(&[packet]).to_le_bytes()) {
        line.put(byte);
    }
    line.finish()
}

/// Like [`serial_encode`], for a packet of `len` bytes that is already in the buffer, at offset `from`. The encoded
/// packet overwrites it, starting at the beginning of the buffer.
///
/// # Errors
/// [`BufferTooSmall`] if the buffer is shorter than [`serial_encoded_max_len`], or if `from` is less than
/// [`serial_gap`]. The buffer is unchanged in that case.
pub fn serial_encode_in_place(buffer: &mut [u8], from: usize, len: usize) -> Result<usize, BufferTooSmall> {
    let needed = serial_encoded_max_len(len).max(from.saturating_add(len));
    let too_small = BufferTooSmall {
        needed: needed.saturating_add(serial_gap(len).saturating_sub(from)),
        available: buffer.len(),
    };
    if from < serial_gap(len) || buffer.len() < needed {
        return Err(too_small);
    }
    let end = from.saturating_add(len);
    let crc = crc32(&[buffer.get(from..end).ok_or(too_small)?]).to_le_bytes();
    let mut line = Line::new(buffer);
    for at in from..end {
        let Some(&byte) = line.out.get(at) else {
            return Err(too_small);
        };
        line.put(byte); // never past `at`, because of the gap
    }
    for byte in crc {
        line.put(byte);
    }
    line.finish()
}

/// COBS encoder. Each code is written when its block is complete. Past the end of the buffer, the encoder only counts
/// bytes.
struct Line<'a> {
    out: &'a mut [u8],
    at: usize,
    code_at: usize,
    code: u8,
}

impl<'a> Line<'a> {
    fn new(out: &'a mut [u8]) -> Self {
        let (at, code_at, code) = (2, 1, 1);
        let mut line = Self {
            out,
            at,
            code_at,
            code,
        };
        line.set(0, 0);
        line
    }

    fn put(&mut self, byte: u8) {
        if byte != 0 {
            self.set(self.at, byte);
            self.at += 1;
            self.code += 1;
        }
        if byte == 0 || self.code == 0xFF {
            self.end_block();
            self.at += 1; // the next block's code
        }
    }

    fn end_block(&mut self) {
        self.set(self.code_at, self.code);
        (self.code_at, self.code) = (self.at, 1);
    }

    fn finish(mut self) -> Result<usize, BufferTooSmall> {
        self.end_block();
        self.set(self.at, 0);
        let (needed, available) = (self.at + 1, self.out.len());
        if needed <= available {
            Ok(needed)
        } else {
            Err(BufferTooSmall { needed, available })
        }
    }

    fn set(&mut self, at: usize, byte: u8) {
        if let Some(slot) = self.out.get_mut(at) {
            *slot = byte;
        }
    }
}

/// Decodes in place the bytes between two delimiters, verifies the CRC and returns the packet.
///
/// # Errors
/// [`SerialError::Malformed`] or [`SerialError::Crc`]. The contents of the buffer are then unspecified.
pub fn serial_decode(buffer: &mut [u8]) -> Result<&[u8], SerialError> {
    let (mut from, mut to) = (0, 0);
    while let Some(&code) = buffer.get(from) {
        let end = from + usize::from(code);
        // Decoded bytes move down past all codes read so far, including this one.
        let gap = (from + 1).saturating_sub(to);
        match buffer.get_mut(to..end) {
            Some(block) if code != 0 && gap <= block.len() => move_down(block, gap),
            _ => return Err(SerialError::Malformed),
        }
        to += end - from - 1;
        from = end;
        if code != 0xFF && from < buffer.len() {
            match buffer.get_mut(to) {
                Some(slot) => *slot = 0,
                None => return Err(SerialError::Malformed),
            }
            to += 1;
        }
    }
    let (packet, crc) = buffer
        .get(..to)
        .and_then(|decoded| decoded.split_last_chunk::<CRC_LEN>())
        .ok_or(SerialError::Malformed)?;
    if crc32(&[packet]).to_le_bytes() == *crc {
        Ok(packet)
    } else {
        Err(SerialError::Crc)
    }
}

/// Moves the bytes from offset `gap` on to the start of `block`.
fn move_down(block: &mut [u8], gap: usize) {
    if cfg!(not(target_pointer_width = "32")) {
        return block.copy_within(gap.., 0);
    }
    // 32-bit targets use a loop that the compiler does not turn into a call, so that the large `memmove` is not
    // linked.
    let mut to = 0;
    while let Some(&byte) = block.get(gap.saturating_add(to))
        && let Some(slot) = block.get_mut(to)
    {
        *slot = byte;
        to += 1;
    }
}

/// Splits a byte stream from a serial line into packets, in a caller-provided buffer.
///
/// Pass each received byte to [`SerialDecoder::push`]. When it reports a complete packet, the packet is at the start
/// of the buffer, ready for [`serial_decode`].
#[derive(Debug, Clone, Copy, Default)]
pub struct SerialDecoder {
    len: usize,
    overflow: bool,
}

impl SerialDecoder {
    /// Creates a decoder with no input.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            len: 0,
            overflow: false,
        }
    }

    /// Processes one received byte. `Ok(Some(len))` means that a packet of `len` bytes is complete.
    ///
    /// # Errors
    /// [`SerialError::TooLong`], once, at the end of a packet that exceeds the buffer.
    pub fn push(&mut self, byte: u8, buffer: &mut [u8]) -> Result<Option<usize>, SerialError> {
        if byte != 0 {
            match buffer.get_mut(self.len) {
                Some(slot) => {
                    *slot = byte;
                    self.len += 1;
                }
                None => self.overflow = true,
            }
            return Ok(None);
        }
        let finished = core::mem::take(self);
        match finished {
            Self { overflow: true, .. } => Err(SerialError::TooLong),
            Self { len: 0, .. } => Ok(None), // leading delimiter, or an idle line
            Self { len, .. } => Ok(Some(len)),
        }
    }
}
