//! Pending requests, stored as whole frames so that they can be sent again on the next connection.

use tim_proto::planted::{self, Fault};
use tim_proto::wire::{Encode, Frame, FrameKind, MAX_FRAME_HEADER_LEN, Writer, encoded_len};

use crate::buffer::{Buffer, ByteQueue};
use crate::time::Moment;

/// A record's header: id, kind, deadline, and the length of the frame that follows.
const HEADER_LEN: usize = 4 + 1 + 4 + 4;

#[derive(Debug)]
pub(crate) struct Outbox<B> {
    records: ByteQueue<B>,
    count: u16,
    /// The offset of the first record that was not sent on this connection. Records are sent in order.
    unsent_at: usize,
    /// Where the records end that were sent on an earlier connection.
    repeated_to: usize,
    /// The earliest deadline or [`Moment::NEVER`], so that a poll does not scan all records.
    earliest: Moment,
    last_id: u32,
    /// How many of the requests have been sent on this connection, and how many have had to be sent again.
    sent: u16,
    resends: u32,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    at: usize,
    id: u32,
    kind: FrameKind,
    deadline: Moment,
    frame_len: usize,
}

impl Record {
    const fn end(&self) -> usize {
        self.at.saturating_add(HEADER_LEN).saturating_add(self.frame_len)
    }
}

impl<B: Buffer> Outbox<B> {
    pub(crate) const fn new(buffer: B) -> Self {
        Self {
            records: ByteQueue::new(buffer),
            count: 0,
            unsent_at: 0,
            repeated_to: 0,
            earliest: Moment::NEVER,
            last_id: 0,
            sent: 0,
            resends: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.count as usize
    }

    /// The longest frame that can ever fit, in bytes.
    pub(crate) fn max_frame(&self) -> usize {
        self.records.limit().saturating_sub(HEADER_LEN)
    }

    /// Stores a request and assigns its id; [`Outbox::next_unsent`] sends it. `None` if it does not fit now.
    pub(crate) fn push(
        &mut self,
        kind: FrameKind,
        body: &dyn Encode,
        now: Moment,
        timeout: u32,
    ) -> Option<u32> {
        let body_len = encoded_len(body);
        let most = HEADER_LEN + MAX_FRAME_HEADER_LEN + body_len;
        let id = self.last_id.checked_add(1).unwrap_or(1);
        let (header, frame) = self
            .records
            .reserve(most)?
            .split_first_chunk_mut::<HEADER_LEN>()?;
        let mut writer = Writer::new(frame);
        Frame::encode_header(kind, id, body_len, &mut writer);
        body.encode(&mut writer);
        let frame_len = writer.finish().ok()?;
        let deadline = now.plus(timeout);
        write_header(header, id, kind, deadline, frame_len);
        self.records.append(HEADER_LEN + frame_len);
        self.last_id = id;
        self.count += 1;
        self.earliest = self.earliest.min(deadline);
        Some(id)
    }

    /// Passes id and bytes of the oldest frame that was not sent on this connection to `send`, which returns whether it accepted
    /// it.
    pub(crate) fn next_unsent(&mut self, send: impl FnOnce(u32, &[u8]) -> bool) -> bool {
        let Some(record) = self.record(self.unsent_at) else {
            return false;
        };
        let bytes = self.records.as_slice();
        let frame = bytes.get(record.at + HEADER_LEN..record.end());
        let went = frame.is_some_and(|frame| send(record.id, frame));
        if went {
            self.unsent_at = record.end();
            self.sent = self.sent.wrapping_add(1);
        }
        went
    }

    /// The connection is lost: all requests must be sent again.
    pub(crate) fn rewind(&mut self) {
        while planted::is(Fault::OutboxDropped) && self.take_any().is_some() {}
        if planted::is(Fault::RequestIdsStartOver) {
            self.last_id = 0;
        }
        self.repeated_to = self.repeated_to.max(self.unsent_at);
        self.unsent_at = 0;
        self.resends = self.resends.wrapping_add(core::mem::take(&mut self.sent).into());
    }

    /// How many requests had been sent when their connection was lost.
    pub(crate) const fn resends(&self) -> u32 {
        self.resends
    }

    /// Removes the request with this id. Returns its kind, and whether it was sent on an earlier connection too.
    pub(crate) fn take(&mut self, id: u32) -> Option<(FrameKind, bool)> {
        let record = self.find(|record| record.id == id)?;
        let was_repeated = record.at < self.repeated_to;
        Some((self.remove(record), was_repeated))
    }

    /// Removes a request whose deadline has passed.
    pub(crate) fn take_expired(&mut self, now: Moment) -> Option<(u32, FrameKind)> {
        if self.earliest > now {
            return None;
        }
        let record = self.find(|record| record.deadline <= now)?;
        Some((record.id, self.remove(record)))
    }

    /// Removes any request, because the session ends.
    pub(crate) fn take_any(&mut self) -> Option<(u32, FrameKind)> {
        let record = self.find(|_| true)?;
        Some((record.id, self.remove(record)))
    }

    /// The earliest deadline, or [`Moment::NEVER`].
    pub(crate) const fn next_deadline(&self) -> Moment {
        self.earliest
    }

    /// Moves all deadlines back, along with the time of the session.
    pub(crate) fn move_back(&mut self) {
        let mut at = 0;
        while let Some(Record {
            id,
            kind,
            mut deadline,
            frame_len,
            ..
        }) = self.record(at)
        {
            deadline.move_back();
            let records = self.records.front_mut(usize::MAX);
            let header = records
                .get_mut(at..)
                .and_then(|records| records.first_chunk_mut());
            let Some(header) = header else { break };
            write_header(header, id, kind, deadline, frame_len);
            at += HEADER_LEN + frame_len;
        }
        self.earliest.move_back();
    }

    fn remove(&mut self, record: Record) -> FrameKind {
        self.records.remove(record.at, record.end());
        self.count -= 1;
        let len = record.end() - record.at;
        if record.at < self.repeated_to {
            self.repeated_to = self.repeated_to.saturating_sub(len);
        }
        if record.at < self.unsent_at {
            self.unsent_at = self.unsent_at.saturating_sub(len);
            self.sent = self.sent.wrapping_sub(1);
        }
        if self.earliest == record.deadline {
            self.earliest = self.find_earliest();
        }
        record.kind
    }

    fn find_earliest(&self) -> Moment {
        let mut earliest = Moment::NEVER;
        let mut at = 0;
        while let Some(record) = self.record(at) {
            earliest = earliest.min(record.deadline);
            at = record.end();
        }
        earliest
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
        let [i0, i1, i2, i3, kind, d0, d1, d2, d3, l0, l1, l2, l3] = *header;
        Some(Record {
            at,
            id: u32::from_le_bytes([i0, i1, i2, i3]),
            kind: FrameKind(kind),
            deadline: Moment::from_bits(u32::from_le_bytes([d0, d1, d2, d3])),
            frame_len: u32::from_le_bytes([l0, l1, l2, l3]) as usize,
        })
    }
}

fn write_header(header: &mut [u8; HEADER_LEN], id: u32, kind: FrameKind, deadline: Moment, frame_len: usize) {
    let [i0, i1, i2, i3] = id.to_le_bytes();
    let [d0, d1, d2, d3] = deadline.to_bits().to_le_bytes();
    let [l0, l1, l2, l3] = (frame_len as u32).to_le_bytes();
    *header = [i0, i1, i2, i3, kind.0, d0, d1, d2, d3, l0, l1, l2, l3];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FixedBuffer;
    use alloc::vec::Vec;
    use tim_proto::request::Conversations;
    use tim_proto::wire::Parsed;

    /// What the outbox should hold: id, deadline, whether it was sent, and whether it was sent on an earlier connection.
    type Plain = Vec<(u32, Moment, bool, bool)>;

    fn step(choice: u64, outbox: &mut Outbox<FixedBuffer<'_>>, plain: &mut Plain) {
        // Clocks may jump, so deadlines come in any order.
        let now = Moment::from_bits((choice.wrapping_mul(0x9e37_79b9) % 1000) as u32);
        match choice % 6 {
            0 | 1 => {
                let body = Conversations::new().with_count((choice % 999) as u16);
                if let Some(id) = outbox.push(FrameKind::CONVERSATIONS, &body, now, 0) {
                    plain.push((id, now, false, false));
                }
            }
            2 => {
                let mut sent = 0;
                let went = outbox.next_unsent(|id, frame| {
                    let Ok(Parsed::Frame(frame, _)) = Frame::parse(frame, 99) else {
                        panic!("no frame")
                    };
                    assert_eq!(frame.id, id);
                    sent = id;
                    true
                });
                let expected = plain.iter_mut().find(|record| !record.2);
                assert_eq!(went, expected.is_some());
                if let Some(record) = expected {
                    assert_eq!(record.0, sent);
                    record.2 = true;
                }
            }
            3 => {
                let taken = plain.get(choice as usize % 7);
                let (id, repeated) = taken.map_or((u32::MAX, None), |record| (record.0, Some(record.3)));
                assert_eq!(outbox.take(id).map(|(_, repeated)| repeated), repeated);
                plain.retain(|record| record.0 != id);
            }
            4 => {
                let late = plain.iter().position(|record| record.1 <= now);
                let expected = late.map(|at| plain.remove(at).0);
                assert_eq!(outbox.take_expired(now).map(|(id, _)| id), expected);
            }
            _ if choice % 10 == 5 => {
                outbox.rewind();
                for record in plain.iter_mut() {
                    record.3 |= record.2;
                    record.2 = false;
                }
            }
            _ => assert!(
                !outbox.next_unsent(|_, _| false),
                "a frame that was not taken has not gone"
            ),
        }
    }

    #[test]
    fn agrees_with_a_plain_list() {
        let mut memory = [0; 400];
        let mut outbox = Outbox::new(FixedBuffer(&mut memory));
        let (mut plain, mut random, mut most) = (Plain::new(), 88_172_645_463_325_252_u64, 0);
        for _ in 0..20_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            step(random >> 8, &mut outbox, &mut plain);
            assert_eq!(outbox.len(), plain.len());
            let earliest = plain.iter().map(|record| record.1).min();
            assert_eq!(outbox.next_deadline(), earliest.unwrap_or(Moment::NEVER));
            most = most.max(plain.len());
        }
        assert!(most > 10, "only {most} at a time");
    }
}
