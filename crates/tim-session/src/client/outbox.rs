//! The requests that wait for their answer, kept as whole frames so that they can be sent again after a cut.

use core::time::Duration;

use tim_proto::wire::{Encode, Frame, FrameKind, MAX_FRAME_HEADER_LEN, Writer, encoded_len};

use crate::Instant;
use crate::buffer::{Buffer, ByteQueue};

/// Each record: id, kind, whether it was sent on this connection, deadline, length of the frame behind it.
const HEADER_LEN: usize = 4 + 1 + 1 + 8 + 4;
const SENT_AT: usize = 5;

#[derive(Debug)]
pub(crate) struct Outbox<B> {
    records: ByteQueue<B>,
    count: usize,
    unsent: usize,
    last_id: u32,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    at: usize,
    id: u32,
    kind: FrameKind,
    sent: bool,
    deadline: Instant,
    frame_len: usize,
}

impl Record {
    const fn end(&self) -> usize {
        self.at + HEADER_LEN + self.frame_len
    }
}

impl<B: Buffer> Outbox<B> {
    pub(crate) const fn new(buffer: B) -> Self {
        Self {
            records: ByteQueue::new(buffer),
            count: 0,
            unsent: 0,
            last_id: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// The longest frame that ever fits, in bytes.
    pub(crate) fn max_frame(&self) -> usize {
        self.records.limit().saturating_sub(HEADER_LEN)
    }

    /// Keeps a request and gives it an id; it goes out with [`Outbox::next_unsent`]. `None` if there is no room now.
    pub(crate) fn push<T: Encode + ?Sized>(
        &mut self,
        kind: FrameKind,
        body: &T,
        now: Instant,
        timeout: Duration,
    ) -> Option<u32> {
        let body_len = encoded_len(body);
        let most = HEADER_LEN + MAX_FRAME_HEADER_LEN + body_len;
        let id = self.last_id.checked_add(1).unwrap_or(1);
        let (header, frame) = self.records.room(most)?.split_first_chunk_mut::<HEADER_LEN>()?;
        let mut writer = Writer::new(frame);
        Frame::encode_header(kind, id, body_len, &mut writer);
        body.encode(&mut writer);
        let frame_len = writer.finish().ok()?;
        write_header(header, id, kind, now + timeout, frame_len);
        self.records.append(HEADER_LEN + frame_len);
        self.last_id = id;
        self.count += 1;
        self.unsent += 1;
        Some(id)
    }

    /// Hands the oldest frame that has not been sent on this connection to `send`, which says whether it took it.
    pub(crate) fn next_unsent(&mut self, send: impl FnOnce(&[u8]) -> bool) -> bool {
        if self.unsent == 0 {
            return false;
        }
        let Some(record) = self.find(|record| !record.sent) else {
            return false;
        };
        let bytes = self.records.as_mut_slice();
        let Some(frame) = bytes.get(record.at + HEADER_LEN..record.end()) else {
            return false;
        };
        if !send(frame) {
            return false;
        }
        if let Some(sent) = bytes.get_mut(record.at + SENT_AT) {
            *sent = 1;
        }
        self.unsent -= 1;
        true
    }

    /// The connection is gone: everything waits to be sent again.
    pub(crate) fn rewind(&mut self) {
        let mut at = 0;
        while let Some(record) = self.record(at) {
            if let Some(sent) = self.records.as_mut_slice().get_mut(at + SENT_AT) {
                *sent = 0;
            }
            at = record.end();
        }
        self.unsent = self.count;
    }

    /// Takes out the request with this id, and says what kind it was.
    pub(crate) fn take(&mut self, id: u32) -> Option<FrameKind> {
        let record = self.find(|record| record.id == id)?;
        Some(self.remove(record))
    }

    /// Takes out a request whose time is up.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<(u32, FrameKind)> {
        let record = self.find(|record| record.deadline <= now)?;
        Some((record.id, self.remove(record)))
    }

    /// Takes out any request: the session ends.
    pub(crate) fn take_any(&mut self) -> Option<(u32, FrameKind)> {
        let record = self.find(|_| true)?;
        Some((record.id, self.remove(record)))
    }

    /// When the next request's time is up.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let mut earliest: Option<Instant> = None;
        let mut at = 0;
        while let Some(record) = self.record(at) {
            earliest = Some(earliest.map_or(record.deadline, |other| other.min(record.deadline)));
            at = record.end();
        }
        earliest
    }

    fn remove(&mut self, record: Record) -> FrameKind {
        self.records.remove(record.at, record.end());
        self.count -= 1;
        if !record.sent {
            self.unsent -= 1;
        }
        record.kind
    }

    fn find(&self, wanted: impl Fn(&Record) -> bool) -> Option<Record> {
        let mut at = 0;
        while let Some(record) = self.record(at) {
            if wanted(&record) {
                return Some(record);
            }
            at = record.end();
        }
        None
    }

    fn record(&self, at: usize) -> Option<Record> {
        let header = self.records.as_slice().get(at..)?.first_chunk::<HEADER_LEN>()?;
        let [
            i0,
            i1,
            i2,
            i3,
            kind,
            sent,
            d0,
            d1,
            d2,
            d3,
            d4,
            d5,
            d6,
            d7,
            l0,
            l1,
            l2,
            l3,
        ] = *header;
        Some(Record {
            at,
            id: u32::from_le_bytes([i0, i1, i2, i3]),
            kind: FrameKind(kind),
            sent: sent != 0,
            deadline: Instant::from_micros(u64::from_le_bytes([d0, d1, d2, d3, d4, d5, d6, d7])),
            frame_len: u32::from_le_bytes([l0, l1, l2, l3]) as usize,
        })
    }
}

fn write_header(
    header: &mut [u8; HEADER_LEN],
    id: u32,
    kind: FrameKind,
    deadline: Instant,
    frame_len: usize,
) {
    let [i0, i1, i2, i3] = id.to_le_bytes();
    let [d0, d1, d2, d3, d4, d5, d6, d7] = deadline.as_micros().to_le_bytes();
    let [l0, l1, l2, l3] = (frame_len as u32).to_le_bytes();
    *header = [
        i0, i1, i2, i3, kind.0, 0, d0, d1, d2, d3, d4, d5, d6, d7, l0, l1, l2, l3,
    ];
}
