//! Memory that the caller owns, and the queue of bytes that a session keeps in it.
//!
//! A login passes through these bytes, so no `Debug` here shows them: only how many there are.

use core::cell::Cell;
use core::fmt;

/// Memory for a session: fixed on a device, growing up to a ceiling where there is a heap.
pub trait Buffer {
    /// The bytes there are now.
    fn bytes(&self) -> &[u8];
    /// The bytes there are now, to write.
    fn bytes_mut(&mut self) -> &mut [u8];
    /// Sees to it that there are at least `len` bytes, keeping their content; `false` if there cannot be.
    fn grow(&mut self, len: usize) -> bool;
    /// Nothing in the buffer is needed any more; a heap may take it back.
    fn release(&mut self);
    /// How many bytes there can be at the most.
    fn limit(&self) -> usize;
}

/// A caller's slice, as it is.
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

/// A buffer on the heap that takes what is needed up to its limit, and gives it all back when it is empty: an idle
/// connection then costs the hub no buffer at all.
#[cfg(feature = "alloc")]
pub struct GrowBuffer {
    bytes: alloc::vec::Vec<u8>,
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
    /// An empty buffer that may grow to `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            bytes: alloc::vec::Vec::new(),
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
            self.bytes.resize(doubled.min(self.limit), 0);
        }
        true
    }
    fn release(&mut self) {
        self.bytes = alloc::vec::Vec::new();
    }
    fn limit(&self) -> usize {
        self.limit
    }
}

/// Copies as many bytes as both have, without a check that could panic.
pub(crate) fn fill(target: &mut [u8], source: &[u8]) {
    for (to, from) in target.iter_mut().zip(source) {
        *to = *from;
    }
}

/// Bytes in the order in which they came: appended at the end, taken from the front.
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

    pub(crate) const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.buffer.bytes().get(self.start..self.end).unwrap_or(&[])
    }

    /// The first `len` bytes, to change in place; fewer if there are not so many.
    pub(crate) fn front_mut(&mut self, len: usize) -> &mut [u8] {
        let end = self.start.saturating_add(len).min(self.end);
        self.buffer
            .bytes_mut()
            .get_mut(self.start..end)
            .unwrap_or(&mut [])
    }

    /// Room for `len` more bytes behind those there are, or `None` if they do not fit.
    pub(crate) fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.buffer.bytes().len().saturating_sub(self.end) < len && self.start > 0 {
            self.compact();
        }
        if !self.buffer.grow(self.end.checked_add(len)?) {
            return None;
        }
        self.buffer.bytes_mut().get_mut(self.end..)
    }

    /// All the room there is, after making it at least `len` if that is possible.
    pub(crate) fn reserve_up_to(&mut self, len: usize) -> &mut [u8] {
        let fits = len.min(self.limit().saturating_sub(self.len()));
        self.reserve(fits).unwrap_or(&mut [])
    }

    /// Counts `len` bytes of [`ByteQueue::reserve`] in.
    pub(crate) fn append(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.buffer.bytes().len());
        self.start = self.start.min(self.end); // moves only if a caller's odd buffer shrank
    }

    /// Takes `len` bytes from the front.
    pub(crate) fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
        if self.is_empty() {
            self.clear();
        }
    }

    /// Takes the bytes `from..to` (counted from the front) out of the middle.
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

/// Moves the bytes `from..end` down to `to`. What does not fit a caller's odd [`Buffer`] is left alone, not a panic.
fn shift_down(bytes: &mut [u8], from: usize, end: usize, to: usize) {
    if cfg!(target_pointer_width = "32") {
        return shift_down_bytewise(bytes, from, end, to);
    }
    let cells = Cell::from_mut(bytes).as_slice_of_cells();
    if let (Some(target), Some(source)) = (cells.get(to..end), cells.get(from..end)) {
        for (target, source) in target.iter().zip(source) {
            target.set(source.get()); // the compiler makes a move of memory of it
        }
    }
}

/// For devices: a loop that the compiler does not make a call of, so that they need not link a `memmove`, which is long.
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

    /// A caller's buffer that breaks the trait's word: it shrinks whenever it likes.
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
