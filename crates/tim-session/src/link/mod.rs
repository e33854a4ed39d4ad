//! The link, which both ends share: framing and buffers of one connection at a time. `stream` and `serial` are the two ways to
//! delimit packets (hellos and frames).

mod serial;
mod stream;

pub(crate) use serial::Packet;

use tim_proto::wire::{
    BufferTooSmall, Encode, Frame, FrameKind, Hello, MAX_FRAME_HEADER_LEN, Writer, encoded_len,
};

use crate::SessionStats;
use crate::buffer::{Buffer, ByteQueue};
use serial::Serial;

/// How packets (hellos and frames) are delimited on a connection. Both ends must use the same framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Framing {
    /// One after the other, on a reliable stream that reports when it breaks, such as TCP.
    #[default]
    Stream,
    /// On a serial port, which corrupts and loses bytes and does not report that the cable was pulled: each packet has a counter
    /// and a CRC-32 and is encoded in COBS (`SPEC.md`, "Serial lines"). Losses are detected, and the session resumes.
    Serial,
}

impl Framing {
    /// The size of the buffer that is needed to receive or send a frame of `len` bytes, including the header.
    #[must_use]
    pub const fn buffer_len(self, len: usize) -> usize {
        match self {
            Self::Stream => len,
            Self::Serial => serial::buffer_len(len),
        }
    }

    /// The longest frame that fits into a buffer of `len` bytes.
    pub(crate) const fn frame_len(self, len: usize) -> usize {
        match self {
            Self::Stream => len,
            Self::Serial => serial::frame_len(len),
        }
    }
}

mod sealed {
    pub trait Sealed: Copy + core::fmt::Debug {
        fn framing(self) -> super::Framing;
    }
}
pub(crate) use sealed::Sealed;

/// What says which [`Framing`] a session has: a value of [`Framing`], chosen at run time, or one of the types [`OnlyStream`] and
/// [`OnlySerial`], chosen when the program is compiled. The code of the other framing is then left out, which saves a device flash.
///
/// The trait is sealed.
pub trait FramingChoice: Sealed {}

/// [`Framing::Stream`], as a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnlyStream;

/// [`Framing::Serial`], as a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnlySerial;

impl FramingChoice for Framing {}
impl FramingChoice for OnlyStream {}
impl FramingChoice for OnlySerial {}

impl Sealed for Framing {
    #[inline]
    fn framing(self) -> Framing {
        self
    }
}
impl Sealed for OnlyStream {
    #[inline]
    fn framing(self) -> Framing {
        Framing::Stream
    }
}
impl Sealed for OnlySerial {
    #[inline]
    fn framing(self) -> Framing {
        Framing::Serial
    }
}

/// The received and outgoing bytes of one connection at a time.
#[derive(Debug)]
pub(crate) struct Link<B, F = Framing> {
    rx: ByteQueue<B>,
    tx: ByteQueue<B>,
    /// How many bytes at the front of `rx` belong to the last event; they are removed when the next one is requested.
    taken: usize,
    pub(crate) framing: F,
    serial: Serial,
    pub(crate) counters: Counters,
}

/// What a link counts over all its connections.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    frames_received: u32,
    frames_sent: u32,
    bytes_received: usize,
    bytes_sent: usize,
    corrupt_packets: u32,
}

impl Counters {
    pub(crate) fn stats(&self) -> SessionStats {
        SessionStats {
            frames_received: self.frames_received,
            frames_sent: self.frames_sent,
            bytes_received: self.bytes_received as u64,
            bytes_sent: self.bytes_sent as u64,
            corrupt_packets: self.corrupt_packets,
            ..SessionStats::default()
        }
    }
}

/// Writes a packet or a part of it, once. Not generic, so that its callers are compiled once.
type Write<'w> = &'w mut dyn FnMut(&mut Writer<'_>);

/// A frame's position in the received bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameAt {
    pub(crate) kind: FrameKind,
    pub(crate) id: u32,
    body: (usize, usize),
}

impl<B: Buffer, F: FramingChoice> Link<B, F> {
    pub(crate) const fn new(framing: F, rx: B, tx: B) -> Self {
        Self {
            rx: ByteQueue::new(rx),
            tx: ByteQueue::new(tx),
            taken: 0,
            framing,
            serial: Serial::new(),
            counters: Counters {
                frames_received: 0,
                frames_sent: 0,
                bytes_received: 0,
                bytes_sent: 0,
                corrupt_packets: 0,
            },
        }
    }

    pub(crate) fn framing(&self) -> Framing {
        self.framing.framing()
    }

    /// Discards everything, because the connection is lost.
    pub(crate) fn reset(&mut self) {
        self.rx.clear();
        self.tx.clear();
        self.taken = 0;
        self.serial = Serial::new();
    }

    pub(crate) fn space(&mut self, len: usize) -> &mut [u8] {
        self.rx.reserve_up_to(len)
    }

    pub(crate) fn received(&mut self, len: usize) {
        self.counters.bytes_received = self.counters.bytes_received.wrapping_add(len);
        self.rx.append(len);
        self.rx.consume(0); // releases the buffer if nothing was received
    }

    /// How many bytes of memory the buffers take up.
    pub(crate) fn buffered(&self) -> usize {
        self.rx.capacity().saturating_add(self.tx.capacity())
    }

    /// How many more bytes can be received.
    pub(crate) fn rx_len(&self) -> usize {
        self.rx.len()
    }

    pub(crate) fn rx_capacity(&self) -> usize {
        self.rx.limit().saturating_sub(self.rx.len())
    }

    #[inline(never)] // three calls of it are smaller
    fn count_received(&mut self) {
        self.counters.frames_received = self.counters.frames_received.wrapping_add(1);
    }

    pub(crate) fn outgoing(&self) -> &[u8] {
        self.tx.as_slice()
    }

    pub(crate) fn transmitted(&mut self, len: usize) {
        self.counters.bytes_sent = self.counters.bytes_sent.wrapping_add(len);
        self.tx.consume(len);
    }

    /// The longest frame that can be sent now.
    pub(crate) fn tx_capacity(&self) -> usize {
        self.framing()
            .frame_len(self.tx.limit().saturating_sub(self.tx.len()))
    }

    /// The longest frame that can ever be sent.
    pub(crate) fn tx_limit(&self) -> usize {
        self.framing().frame_len(self.tx.limit())
    }

    /// The longest frame that can be received whole.
    pub(crate) fn rx_limit(&self) -> usize {
        self.framing().frame_len(self.rx.limit())
    }

    /// Removes the bytes of the last event.
    pub(crate) fn release_taken(&mut self) {
        let taken = core::mem::take(&mut self.taken);
        if taken > 0 {
            self.rx.consume(taken);
        }
    }

    /// Whether another whole frame follows the current one.
    pub(crate) fn more_frames(&self, max: usize) -> bool {
        let rest = self.rx.as_slice().get(self.taken..).unwrap_or(&[]);
        match self.framing() {
            Framing::Stream => stream::has_frame(rest, max),
            Framing::Serial => serial::has_packet(rest),
        }
    }

    pub(crate) fn body(&self, at: FrameAt) -> &[u8] {
        self.rx.as_slice().get(at.body.0..at.body.1).unwrap_or(&[])
    }

    /// Sends a hello, and restarts the packet counter.
    pub(crate) fn send_hello(&mut self, hello: &Hello) -> bool {
        self.serial.restart_outgoing();
        self.send_bytes(&hello.to_bytes())
    }

    /// Sends a whole packet.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.serial.note_sent();
        self.put(bytes.len(), &mut |writer| writer.put(bytes)).is_ok()
    }

    /// Sends a frame with this body.
    pub(crate) fn send(&mut self, kind: FrameKind, id: u32, body: &dyn Encode) -> Result<(), BufferTooSmall> {
        let body_len = encoded_len(body);
        self.send_with(kind, id, body_len, &mut |writer| body.encode(writer))
    }

    /// Sends a frame with a body of `body_len` bytes, written by `write`.
    pub(crate) fn send_with(
        &mut self,
        kind: FrameKind,
        id: u32,
        body_len: usize,
        write: Write<'_>,
    ) -> Result<(), BufferTooSmall> {
        if kind != FrameKind::PING && kind != FrameKind::PONG {
            self.serial.note_sent();
        }
        self.send_unconfirmed(kind, id, body_len, write)
    }

    /// As [`Link::send_with`], for a frame whose loss the peer notices by itself.
    pub(crate) fn send_unconfirmed(
        &mut self,
        kind: FrameKind,
        id: u32,
        body_len: usize,
        write: Write<'_>,
    ) -> Result<(), BufferTooSmall> {
        let most = body_len.saturating_add(MAX_FRAME_HEADER_LEN);
        self.put(most, &mut |writer| {
            Frame::encode_header(kind, id, body_len, writer);
            write(writer);
        })
    }

    /// Appends a packet of at most `most` bytes, written by `write`, to the outgoing bytes.
    fn put(&mut self, most: usize, write: Write<'_>) -> Result<(), BufferTooSmall> {
        let needed = self.framing().buffer_len(most);
        let (available, framing) = (self.tx_capacity(), self.framing());
        let Some(room) = self.tx.reserve(needed) else {
            return Err(BufferTooSmall { needed, available });
        };
        let len = match framing {
            Framing::Stream => stream::write(room, write)?,
            Framing::Serial => self.serial.write(room, most, write)?,
        };
        self.tx.append(len);
        self.counters.frames_sent = self.counters.frames_sent.wrapping_add(1);
        Ok(())
    }
}
