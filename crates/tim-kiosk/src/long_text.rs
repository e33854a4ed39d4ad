//! A text that is longer than the kiosk's frames, shown piece by piece.
#![forbid(unsafe_code)]

use heapless::Vec;
use tim_transport_embedded::proto::request::FetchResponse;

use crate::screen::{Rich, Screen};
use crate::settings::MAX_FRAME;

/// The length of a piece, and of an incomplete character of the previous one.
const CAPACITY: usize = MAX_FRAME + 4;

/// The received part of a text. The payload of a text message is its length, as a varint, and its bytes.
pub(crate) struct LongText {
    /// How much of the payload has been received.
    pub(crate) offset: u32,
    /// How many bytes of the text are missing; `None` within the length.
    left: Option<u32>,
    length: u32,
    length_bits: u32,
    /// Received but not shown yet.
    pending: Vec<u8, CAPACITY>,
    /// FNV-1a of the text.
    sum: u32,
}

impl LongText {
    pub(crate) const fn new() -> Self {
        Self {
            offset: 0,
            left: None,
            length: 0,
            length_bits: 0,
            pending: Vec::new(),
            sum: 0x811C_9DC5,
        }
    }

    /// The length of the text in bytes, and its sum.
    pub(crate) const fn length_and_sum(&self) -> (u32, u32) {
        (self.length, self.sum)
    }

    /// Takes the next piece, shows it, and returns whether there is more.
    pub(crate) fn take(&mut self, piece: &FetchResponse<'_>, screen: &Screen) -> bool {
        for &byte in piece.bytes {
            self.take_byte(byte);
        }
        self.offset = self.offset.saturating_add(piece.bytes.len() as u32);
        let whole = match str::from_utf8(&self.pending) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        if let Some(text) = self
            .pending
            .get(..whole)
            .and_then(|text| str::from_utf8(text).ok())
        {
            screen.show(format_args!("  | {}", Rich(text)));
        }
        self.pending.drain(..whole);
        !piece.bytes.is_empty() && self.offset < piece.total
    }

    fn take_byte(&mut self, byte: u8) {
        match &mut self.left {
            Some(0) => {} // extensions of later versions
            Some(left) => {
                *left -= 1;
                self.sum = (self.sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
                // It fits: a piece is no longer than a frame.
                let _ = self.pending.push(byte);
            }
            None => {
                self.length |= u32::from(byte & 0x7F).checked_shl(self.length_bits).unwrap_or(0);
                self.length_bits += 7;
                if byte < 0x80 {
                    self.left = Some(self.length);
                }
            }
        }
    }
}
