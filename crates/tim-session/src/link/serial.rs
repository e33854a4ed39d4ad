//! Packets on a serial port (`SPEC.md`, "Serial lines"): each has a counter before it and a CRC after it, is encoded in COBS, and
//! stands between zeros.
//!
//! Corrupt packets are dropped and counted; the packet counter reveals losses. Packets are decoded and encoded in place, without
//! a second buffer.

use tim_proto::planted::{self, Fault};
use tim_proto::wire::{
    BufferTooSmall, Frame, FrameError, Hello, MAGIC, Writer, serial_decode, serial_encode_in_place,
    serial_encoded_max_len, serial_gap,
};

use super::{FrameAt, FramingChoice, Link, Write};
use crate::buffer::Buffer;

/// The length of a packet's counter.
const COUNTER_LEN: usize = 2;
/// The length of counter and CRC.
const ADDED_LEN: usize = COUNTER_LEN + 4;

pub(super) const fn buffer_len(len: usize) -> usize {
    serial_encoded_max_len(len.saturating_add(COUNTER_LEN))
}

/// The inverse of [`buffer_len`].
pub(super) const fn frame_len(len: usize) -> usize {
    // Without the zeros and the first COBS code; then one of 255 bytes is a code.
    let len = len.saturating_sub(3);
    len.saturating_sub(len / 255 + (len % 255) / 254 + ADDED_LEN)
}

/// Whether `bytes` starts with a packet between two zeros.
pub(super) fn has_packet(bytes: &[u8]) -> bool {
    let mut rest = bytes.iter().skip_while(|byte| **byte == 0);
    rest.any(|byte| *byte == 0)
}

/// The state of both directions of a serial port.
#[derive(Debug)]
pub(super) struct Serial {
    /// The number of the next packet to send.
    next_out: u16,
    /// The expected number of the next received packet.
    next_in: u16,
    /// How many received bytes at the front are known to contain no zero.
    scanned: u32,
    /// A packet was too long: all bytes up to the next zero belong to it.
    skipping: bool,
    /// Whether anything was sent since the last call of [`Link::take_sent`].
    sent: bool,
    /// The id in whose answer or acknowledgement the peer proves that it has had all of that; 0 if there is none.
    proved_by: u32,
}

/// A received packet.
#[derive(Debug)]
pub(crate) enum Packet {
    /// A hello: the peer starts a session and restarts its counter.
    Hello(Hello),
    /// The next frame in order.
    Frame(FrameAt),
    /// A frame that is not the next one: packets were lost.
    OutOfOrder(FrameAt),
    /// An intact packet that is neither.
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
            proved_by: 0,
        }
    }

    pub(super) const fn note_sent(&mut self) {
        self.sent = true;
        self.proved_by = 0;
    }

    pub(super) const fn restart_outgoing(&mut self) {
        self.next_out = 0;
    }

    /// Writes a packet of at most `most` bytes in its encoded form.
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

impl<B: Buffer, F: FramingChoice> Link<B, F> {
    /// The packet that was just sent is answered or acknowledged under this id.
    pub(crate) const fn expect_proof(&mut self, id: u32) {
        self.serial.proved_by = id;
    }

    /// The peer has answered or acknowledged `id`. Returns whether it has thereby proved that everything sent has arrived, for nobody
    /// answers behind a gap.
    pub(crate) const fn is_proved_by(&mut self, id: u32) -> bool {
        let is_proved = id != 0 && self.serial.proved_by == id;
        if is_proved {
            self.serial.sent = false;
        }
        is_proved
    }

    /// Whether anything that must be confirmed was sent since the last call.
    pub(crate) const fn take_sent(&mut self) -> bool {
        core::mem::replace(&mut self.serial.sent, false)
    }

    /// Discards outgoing bytes, because the peer would ignore them.
    pub(crate) fn forget_outgoing(&mut self) {
        self.tx.clear();
    }

    /// The next whole packet; [`Link::release_taken`] removes it. `max`: the longest frame that is accepted.
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

    /// Moves the next candidate for a packet to the front, and returns its length without the zero.
    fn find_packet(&mut self, max: usize) -> Option<usize> {
        let longest = buffer_len(max).min(self.rx.limit());
        loop {
            let bytes = self.rx.as_slice();
            let unseen = bytes.get(self.serial.scanned as usize..).unwrap_or(&[]);
            let Some(at) = unseen.iter().position(|byte| *byte == 0) else {
                self.serial.scanned = bytes.len() as u32; // a buffer is far shorter
                if self.serial.skipping || bytes.len() >= longest {
                    self.serial.skipping = true;
                    self.serial.scanned = 0;
                    self.rx.consume(usize::MAX);
                }
                return None;
            };
            let len = (core::mem::take(&mut self.serial.scanned) as usize).saturating_add(at);
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

/// The packet in the bytes between two zeros; `None` if it is corrupt.
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
            match u16::from_le_bytes(*counter) == next || planted::is(Fault::SerialLossIgnored) {
                true => Packet::Frame(at),
                false => Packet::OutOfOrder(at),
            }
        }
        Err(error) => Packet::Unknown(error),
    })
}
