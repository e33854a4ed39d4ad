//! Packets on a raw serial line (`SPEC.md`, "Serial lines"): each with a counter before it and a CRC behind it, in COBS,
//! between zeros.
//!
//! What is broken is dropped without a word; only the counter tells that something was lost. Packets are decoded where
//! they were received, and encoded where they are sent from: no second buffer.

use tim_proto::wire::{
    BufferTooSmall, Frame, FrameError, Hello, MAGIC, Writer, serial_decode, serial_encode_in_place,
    serial_encoded_max_len, serial_gap,
};

use super::{FrameAt, Link, Write};
use crate::buffer::Buffer;

/// The bytes of a packet's counter.
const COUNTER_LEN: usize = 2;
/// What counter and CRC add to a packet.
const ADDED_LEN: usize = COUNTER_LEN + 4;

pub(super) const fn buffer_len(len: usize) -> usize {
    serial_encoded_max_len(len.saturating_add(COUNTER_LEN))
}

/// The inverse of [`buffer_len`].
pub(super) const fn frame_len(len: usize) -> usize {
    // Without the zeros and the first code; then one of each 255 is a code.
    let len = len.saturating_sub(3);
    len.saturating_sub(len / 255 + (len % 255) / 254 + ADDED_LEN)
}

/// Whether something stands between two zeros at the start of `bytes`.
pub(super) fn has_packet(bytes: &[u8]) -> bool {
    let mut rest = bytes.iter().skip_while(|byte| **byte == 0);
    rest.any(|byte| *byte == 0)
}

/// Where both directions of a line are.
#[derive(Debug)]
pub(super) struct Serial {
    /// The number of the next packet to send.
    next_out: u16,
    /// The number that the next packet received should have.
    next_in: u16,
    /// How many bytes at the front of those received are known to be without a zero.
    scanned: usize,
    /// A packet was too long: everything up to the next zero belongs to it.
    skipping: bool,
    /// Whether anything was sent that the peer should notice, since it was last asked.
    sent: bool,
}

/// What a packet turned out to be.
#[derive(Debug)]
pub(crate) enum Packet {
    /// The peer begins a session, and to count anew.
    Hello(Hello),
    /// The frame that comes next.
    Frame(FrameAt),
    /// A frame, but not the one that comes next: something was lost.
    OutOfOrder(FrameAt),
    /// Whole, but no packet of ours.
    Unknown(FrameError),
}

impl Serial {
    pub(super) const fn new() -> Self {
        Self {
            next_out: 0,
            next_in: 0,
            scanned: 0,
            skipping: false,
            sent: false,
        }
    }

    pub(super) const fn note_sent(&mut self) {
        self.sent = true;
    }

    pub(super) const fn restart_outgoing(&mut self) {
        self.next_out = 0;
    }

    /// Writes a packet of at most `most` bytes as it goes on the line.
    pub(super) fn write(
        &mut self,
        room: &mut [u8],
        most: usize,
        write: Write<'_>,
    ) -> Result<usize, BufferTooSmall> {
        let available = room.len();
        let start = serial_gap(most.saturating_add(COUNTER_LEN));
        let behind = room.get_mut(start..).ok_or(BufferTooSmall {
            needed: start,
            available,
        })?;
        let mut writer = Writer::new(behind);
        writer.put(&self.next_out.to_le_bytes());
        write(&mut writer);
        let len = writer.finish()?;
        let len = serial_encode_in_place(room, start, len)?;
        self.next_out = self.next_out.wrapping_add(1);
        Ok(len)
    }
}

impl<B: Buffer> Link<B> {
    /// Whether anything but PING and PONG was sent since the last call.
    pub(crate) const fn take_sent(&mut self) -> bool {
        core::mem::replace(&mut self.serial.sent, false)
    }

    /// Drops what waits to be sent: the peer would not look at it.
    pub(crate) fn forget_outgoing(&mut self) {
        self.tx.clear();
    }

    /// The next whole packet; [`Link::release_taken`] lets go of it. `max`: the longest frame that is taken.
    pub(crate) fn next_packet(&mut self, max: usize) -> Option<Packet> {
        loop {
            let len = self.find_packet(max)?;
            self.taken = len.saturating_add(1);
            let packet = read_packet(self.rx.front_mut(len), self.serial.next_in, max);
            match packet {
                Some(Packet::Hello(_)) => self.serial.next_in = 1,
                Some(Packet::Frame(_)) => self.serial.next_in = self.serial.next_in.wrapping_add(1),
                Some(_) => {}
                None => {
                    self.count_corrupt();
                    self.release_taken();
                    continue;
                }
            }
            self.count_received();
            return packet;
        }
    }

    fn count_corrupt(&mut self) {
        self.counters.corrupt_packets = self.counters.corrupt_packets.wrapping_add(1);
    }

    /// Brings the next packet that can be one to the front, and says how long it is without its zero.
    fn find_packet(&mut self, max: usize) -> Option<usize> {
        let longest = buffer_len(max).min(self.rx.limit());
        loop {
            let bytes = self.rx.as_slice();
            let unseen = bytes.get(self.serial.scanned..).unwrap_or(&[]);
            let Some(at) = unseen.iter().position(|byte| *byte == 0) else {
                self.serial.scanned = bytes.len();
                if self.serial.skipping || bytes.len() >= longest {
                    self.serial.skipping = true;
                    self.serial.scanned = 0;
                    self.rx.consume(usize::MAX);
                }
                return None;
            };
            let len = core::mem::take(&mut self.serial.scanned).saturating_add(at);
            let broken = core::mem::take(&mut self.serial.skipping) || len > longest;
            if len > 0 && !broken {
                return Some(len);
            }
            if broken {
                self.count_corrupt();
            }
            self.rx.consume(len.saturating_add(1));
        }
    }
}

/// What stands in the bytes between two zeros; `None` for noise.
fn read_packet(bytes: &mut [u8], next: u16, max: usize) -> Option<Packet> {
    let (counter, content) = serial_decode(bytes).ok()?.split_first_chunk::<COUNTER_LEN>()?;
    if content.starts_with(&MAGIC)
        && let Ok(hello) = content.try_into()
    {
        return match Hello::from_bytes(hello) {
            Ok(hello) => Some(Packet::Hello(hello)),
            Err(_) => Some(Packet::Unknown(FrameError::Header)),
        };
    }
    Some(match Frame::parse_exact(content, max) {
        Ok(Frame { kind, id, body }) => {
            let end = COUNTER_LEN.saturating_add(content.len());
            let body = (end.saturating_sub(body.len()), end);
            let at = FrameAt { kind, id, body };
            match u16::from_le_bytes(*counter) == next {
                true => Packet::Frame(at),
                false => Packet::OutOfOrder(at),
            }
        }
        Err(error) => Packet::Unknown(error),
    })
}
