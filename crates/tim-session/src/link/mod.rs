//! What both ends of a connection share: the bytes that came, the bytes to send, and the frames in them.

use tim_proto::wire::{
    BufferTooSmall, Encode, Frame, FrameError, FrameKind, Hello, HelloError, MAX_FRAME_HEADER_LEN, Parsed,
    Writer, encoded_len,
};

use crate::buffer::{Buffer, ByteQueue};

/// How packets (hellos and frames) are told apart on a connection. Both ends must speak the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Framing {
    /// One behind the other, on a stream that loses nothing and says when it breaks, such as TCP.
    #[default]
    Stream,
    /// On a raw serial line, which flips and loses bytes and never says that it was pulled: COBS, a CRC-32 and a counter
    /// around each (`SPEC.md`, "Serial lines"). What was lost is noticed, and the session picks up where it was.
    Serial,
}

/// Received and outgoing bytes of one connection at a time.
#[derive(Debug)]
pub(crate) struct Link<B> {
    rx: ByteQueue<B>,
    tx: ByteQueue<B>,
    /// How many bytes at the front of `rx` the last event was made of; they go when the next one is asked for.
    taken: usize,
}

/// Where a frame stands in the received bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameAt {
    pub(crate) kind: FrameKind,
    pub(crate) id: u32,
    body: (usize, usize),
}

impl<B: Buffer> Link<B> {
    pub(crate) const fn new(rx: B, tx: B) -> Self {
        Self {
            rx: ByteQueue::new(rx),
            tx: ByteQueue::new(tx),
            taken: 0,
        }
    }

    /// Forgets everything: the connection is gone.
    pub(crate) fn reset(&mut self) {
        self.rx.clear();
        self.tx.clear();
        self.taken = 0;
    }

    pub(crate) fn space(&mut self, len: usize) -> &mut [u8] {
        self.rx.any_room(len)
    }

    pub(crate) fn received(&mut self, len: usize) {
        self.rx.append(len);
        self.rx.consume(0); // gives back room that was made for nothing
    }

    /// How many more bytes can be received.
    pub(crate) fn rx_room(&self) -> usize {
        self.rx.limit().saturating_sub(self.rx.len())
    }

    pub(crate) fn outgoing(&self) -> &[u8] {
        self.tx.as_slice()
    }

    pub(crate) fn transmitted(&mut self, len: usize) {
        self.tx.consume(len);
    }

    /// How much more the outgoing bytes may grow.
    pub(crate) fn tx_room(&self) -> usize {
        self.tx.limit().saturating_sub(self.tx.len())
    }

    pub(crate) fn tx_limit(&self) -> usize {
        self.tx.limit()
    }

    /// The largest frame that can be received whole.
    pub(crate) fn rx_limit(&self) -> usize {
        self.rx.limit()
    }

    /// Lets go of the bytes of the last event.
    pub(crate) fn release_taken(&mut self) {
        let taken = core::mem::take(&mut self.taken);
        if taken > 0 {
            self.rx.consume(taken);
        }
    }

    /// The peer's hello, once it is all there.
    pub(crate) fn take_hello(&mut self) -> Result<Option<Hello>, HelloError> {
        let bytes = self.rx.as_slice();
        let Some((hello, _)) = bytes.split_first_chunk::<{ Hello::LEN }>() else {
            // Tell a stranger from the first bytes on, rather than wait for 20 of them.
            let seen = bytes.len().min(tim_proto::wire::MAGIC.len());
            let fits = bytes.get(..seen) == tim_proto::wire::MAGIC.get(..seen);
            return if fits { Ok(None) } else { Err(HelloError::Magic) };
        };
        let hello = Hello::from_bytes(hello)?;
        self.rx.consume(Hello::LEN);
        Ok(Some(hello))
    }

    /// The next whole frame, which [`Link::release_taken`] lets go of.
    pub(crate) fn next_frame(&mut self, max: usize) -> Result<Option<FrameAt>, FrameError> {
        match Frame::parse(self.rx.as_slice(), max)? {
            Parsed::Incomplete(_) => Ok(None),
            Parsed::Frame(Frame { kind, id, body }, len) => {
                self.taken = len;
                Ok(Some(FrameAt {
                    kind,
                    id,
                    body: (len - body.len(), len),
                }))
            }
        }
    }

    /// Whether another whole frame stands behind the one taken.
    pub(crate) fn more_frames(&self, max: usize) -> bool {
        let rest = self.rx.as_slice().get(self.taken..).unwrap_or(&[]);
        matches!(Frame::parse(rest, max), Ok(Parsed::Frame(..)))
    }

    pub(crate) fn body(&self, at: FrameAt) -> &[u8] {
        self.rx.as_slice().get(at.body.0..at.body.1).unwrap_or(&[])
    }

    pub(crate) fn send_hello(&mut self, hello: &Hello) -> bool {
        self.send_bytes(&hello.to_bytes())
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        let Some(room) = self.tx.room(bytes.len()) else {
            return false;
        };
        let Some(slot) = room.get_mut(..bytes.len()) else {
            return false;
        };
        slot.copy_from_slice(bytes);
        self.tx.append(bytes.len());
        true
    }

    /// Appends a frame with this body to what goes out.
    pub(crate) fn send<T: Encode + ?Sized>(
        &mut self,
        kind: FrameKind,
        id: u32,
        body: &T,
    ) -> Result<(), BufferTooSmall> {
        let body_len = encoded_len(body);
        self.send_with(kind, id, body_len, |writer| body.encode(writer))
    }

    /// Appends a frame whose body of `body_len` bytes `write` writes.
    pub(crate) fn send_with(
        &mut self,
        kind: FrameKind,
        id: u32,
        body_len: usize,
        write: impl FnOnce(&mut Writer<'_>),
    ) -> Result<(), BufferTooSmall> {
        let needed = body_len.saturating_add(MAX_FRAME_HEADER_LEN);
        let available = self.tx_room();
        let Some(room) = self.tx.room(needed) else {
            return Err(BufferTooSmall { needed, available });
        };
        let mut writer = Writer::new(room);
        Frame::encode_header(kind, id, body_len, &mut writer);
        write(&mut writer);
        let len = writer.finish()?;
        self.tx.append(len);
        Ok(())
    }
}
