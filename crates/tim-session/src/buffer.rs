//! Buffers that the caller owns, and the byte queue that a session keeps in them.
//!
//! Logins pass through these buffers, so `Debug` shows only their lengths.

use core::cell::Cell;
use core::fmt;

/// A buffer of a session: fixed on a device, or growing up to a limit on a heap.
pub trait Buffer {
    /// The current bytes.
    fn bytes(&self) -> &[u8];
    /// The current bytes, for writing.
    fn bytes_mut(&mut self) -> &mut [u8];
    /// Grows to at least `len` bytes, keeping their content; `false` if that is not possible.
    fn grow(&mut self, len: usize) -> bool;
    /// The content is no longer needed; memory may be freed.
    fn release(&mut self);
    /// The largest possible length.
    fn limit(&self) -> usize;
}

/// A slice of fixed length.
pub struct FixedBuffer<'b>(pub &'b mut [u8]);

impl fmt::Debug for FixedBuffer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FixedBuffer({} bytes)", self.0.len())
    }
}

impl Buffer for FixedBuffer<'_> {
    fn bytes(&self) -> &[u8] {
        self.0
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.0
    }
    fn grow(&mut self, len: usize) -> bool {
        len <= self.0.len()
    }
    fn release(&mut self) {}
    fn limit(&self) -> usize {
        self.0.len()
    }
}

/// A buffer on the heap that grows as needed up to its limit, and frees its memory when it is empty: an idle connection
/// holds no buffer.
#[cfg(feature = "alloc")]
pub struct GrowBuffer {
    bytes: alloc::boxed::Box<[u8]>,
    limit: usize,
}

#[cfg(feature = "alloc")]
impl fmt::Debug for GrowBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrowBuffer({} of {} bytes)", self.bytes.len(), self.limit)
    }
}

#[cfg(feature = "alloc")]
impl GrowBuffer {
    /// An empty buffer that can grow to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: alloc::boxed::Box::default(),
            limit,
        }
    }
}

#[cfg(feature = "alloc")]
impl Buffer for GrowBuffer {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
    fn grow(&mut self, len: usize) -> bool {
        const STEP: usize = 1024;
        if len > self.limit {
            return false;
        }
        if len > self.bytes.len() {
            let doubled = len.max(self.bytes.len() * 2).next_multiple_of(STEP);
            let new_len = doubled.min(self.limit);
            let mut bytes = core::mem::take(&mut self.bytes).into_vec();
            // Exactly, so that the slice below is the same memory.
            bytes.reserve_exact(new_len.saturating_sub(bytes.len()));
            bytes.resize(new_len, 0);
            self.bytes = bytes.into_boxed_slice();
        }
        true
    }
    fn release(&mut self) {
        self.bytes = alloc::boxed::Box::default();
    }
    fn limit(&self) -> usize {
        self.limit
    }
}

/// Copies as many bytes as both have, without a panic path.
pub(crate) fn fill(target: &mut [u8], source: &[u8]) {
    for (to, from) in target.iter_mut().zip(source) {
        *to = *from;
    }
}

/// A queue of bytes: appended at the end, consumed from the front.
#[derive(Debug)]
pub(crate) struct ByteQueue<B> {
    buffer: B,
    start: usize,
    end: usize,
}

impl<B: Buffer> ByteQueue<B> {
    pub(crate) const fn new(buffer: B) -> Self {
        Self {
            buffer,
            start: 0,
            end: 0,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.buffer.limit()
    }

    /// How many bytes of memory it takes up.
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.bytes().len()
    }

    pub(crate) const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.buffer.bytes().get(self.start..self.end).unwrap_or(&[])
    }

    /// The first `len` bytes, or fewer if there are not as many, to change in place.
    pub(crate) fn front_mut(&mut self, len: usize) -> &mut [u8] {
        let end = self.start.saturating_add(len).min(self.end);
        self.buffer
            .bytes_mut()
            .get_mut(self.start..end)
            .unwrap_or(&mut [])
    }

    /// Free space for `len` more bytes at the end, or `None` if they do not fit.
    pub(crate) fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.buffer.bytes().len().saturating_sub(self.end) < len && self.start > 0 {
            self.compact();
        }
        if !self.buffer.grow(self.end.checked_add(len)?) {
            return None;
        }
        self.buffer.bytes_mut().get_mut(self.end..)
    }

    /// All free space at the end, at least `len` bytes if possible.
    pub(crate) fn reserve_up_to(&mut self, len: usize) -> &mut [u8] {
        let fits = len.min(self.limit().saturating_sub(self.len()));
        self.reserve(fits).unwrap_or(&mut [])
    }

    /// Appends `len` bytes that were written to [`ByteQueue::reserve`].
    pub(crate) fn append(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.buffer.bytes().len());
        self.start = self.start.min(self.end); // changes only if a faulty `Buffer` shrank
    }

    /// Removes `len` bytes from the front.
    pub(crate) fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
        if self.is_empty() {
            self.clear();
        }
    }

    /// Removes the bytes `from..to`, counted from the front.
    pub(crate) fn remove(&mut self, from: usize, to: usize) {
        if from == 0 {
            return self.consume(to);
        }
        let (from, to) = (self.start + from, (self.start + to).min(self.end));
        if from < to {
            shift_down(self.buffer.bytes_mut(), to, self.end, from);
            self.end -= to - from;
        }
    }

    pub(crate) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        self.buffer.release();
    }

    fn compact(&mut self) {
        shift_down(self.buffer.bytes_mut(), self.start, self.end, 0);
        (self.start, self.end) = (0, self.len());
    }
}

/// Moves the bytes `from..end` down to `to`. Ranges that a faulty [`Buffer`] does not have are ignored.
fn shift_down(bytes: &mut [u8], from: usize, end: usize, to: usize) {
    if cfg!(target_pointer_width = "32") {
        return shift_down_bytewise(bytes, from, end, to);
    }
    let cells = Cell::from_mut(bytes).as_slice_of_cells();
    if let (Some(target), Some(source)) = (cells.get(to..end), cells.get(from..end)) {
        for (target, source) in target.iter().zip(source) {
            target.set(source.get()); // compiles to a `memmove`
        }
    }
}

/// For devices: a loop that does not compile to a call of `memmove`, which is large.
fn shift_down_bytewise(bytes: &mut [u8], mut from: usize, end: usize, mut to: usize) {
    while from < end
        && let Some(&byte) = bytes.get(from)
        && let Some(slot) = bytes.get_mut(to)
    {
        *slot = byte;
        (from, to) = (from.saturating_add(1), to.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// A faulty buffer: it shrinks at any time.
    struct Shrinking(Vec<u8>);

    impl Buffer for Shrinking {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
        fn bytes_mut(&mut self) -> &mut [u8] {
            &mut self.0
        }
        fn grow(&mut self, len: usize) -> bool {
            self.0.truncate(len / 2);
            true
        }
        fn release(&mut self) {
            self.0.clear();
        }
        fn limit(&self) -> usize {
            usize::MAX
        }
    }

    #[test]
    fn a_buffer_that_shrinks_is_no_panic() {
        let mut queue = ByteQueue::new(Shrinking(alloc::vec![0; 64]));
        for len in [40, 3, 0, 20, 5] {
            let _ = (queue.reserve_up_to(len).len(), queue.reserve_up_to(len).len());
            queue.append(len);
            queue.consume(2);
            queue.remove(1, 3);
            let _ = (queue.len(), queue.as_slice().len());
        }
    }

    #[test]
    #[cfg(feature = "alloc")]
    fn a_growing_buffer_stops_at_its_limit_and_gives_all_back() {
        for limit in [0, 1, 1000, 1024, 5000] {
            let mut queue = ByteQueue::new(GrowBuffer::new(limit));
            assert!(queue.reserve_up_to(usize::MAX).len() <= limit);
            assert_eq!(queue.reserve_up_to(limit).len(), limit);
            queue.append(limit);
            assert_eq!((queue.len(), queue.reserve_up_to(1).len()), (limit, 0));
            assert!(queue.reserve(1).is_none());
            queue.consume(limit);
            assert!(queue.buffer.bytes().is_empty());
        }
    }

    #[test]
    fn both_ways_to_move_bytes_move_the_same_and_nothing_else() {
        let before: Vec<u8> = (0..12).collect();
        for (from, end, to) in (0..12)
            .flat_map(|from| (from..=12).flat_map(move |end| (0..=from).map(move |to| (from, end, to))))
        {
            let (mut quick, mut bytewise) = (before.clone(), before.clone());
            shift_down(&mut quick, from, end, to);
            shift_down_bytewise(&mut bytewise, from, end, to);
            let mut right = before.clone();
            right.copy_within(from..end, to);
            assert_eq!(quick, right);
            assert_eq!(bytewise, right);
        }
    }
}
