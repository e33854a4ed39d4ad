//! Lists and nested bodies, encoded and decoded without a heap.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

use super::{Decode, DecodeError, Encode, Read, Reader, Writer, decode_body, encoded_len, features};

/// A list of `T` in a body: the length of the whole list in bytes, then each item with its length before it.
///
/// A list to encode is made from a slice. The items of a decoded list were checked once, and are decoded in place each time
/// they are accessed. Since every item has its length before it, later versions may append fields to it.
pub struct List<'a, T>(Repr<'a, T>);

enum Repr<'a, T> {
    Slice(&'a [T]),
    Bytes {
        bytes: &'a [u8],
        count: usize,
        item: PhantomData<fn() -> T>,
    },
}

impl<'a, T> List<'a, T> {
    /// The list without items.
    pub const EMPTY: Self = Self::from_slice(&[]);

    /// The list with these items.
    #[must_use]
    pub const fn from_slice(items: &'a [T]) -> Self {
        Self(Repr::Slice(items))
    }

    /// The number of items.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Repr::Slice(items) => items.len(),
            Repr::Bytes { count, .. } => *count,
        }
    }

    /// Whether there is no item.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: Decode<'a>> List<'a, T> {
    /// The items in order.
    #[must_use]
    pub fn iter(&self) -> ListIter<'a, T> {
        ListIter(self.0)
    }
}

impl<'a, T> List<'a, T> {
    /// The encoded items of a list that was received, in order. A list that was made from a slice has none.
    pub fn encoded_items(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, T> {
        let mut rest: &'a [u8] = match &self.0 {
            Repr::Slice(_) => &[],
            Repr::Bytes { bytes, .. } => bytes,
        };
        core::iter::from_fn(move || {
            let mut reader = Reader::new(rest);
            let item = reader.take_bytes();
            rest = reader.rest();
            reader.check().is_ok().then_some(item)
        })
    }
}

impl<'a, T: Decode<'a>> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;
    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

/// The items of a [`List`], in order.
pub struct ListIter<'a, T>(Repr<'a, T>);

impl<'a, T: Decode<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Repr::Slice(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(*first)
            }
            Repr::Bytes { bytes, count, .. } => {
                let mut reader = Reader::new(bytes);
                let item = decode_body(reader.take_bytes()).ok()?;
                *bytes = reader.rest();
                *count = count.saturating_sub(1);
                Some(item)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Repr::Slice(items) => items.len(),
            Repr::Bytes { count, .. } => *count,
        };
        (left, Some(left))
    }
}

impl<'a, T: Encode> List<'a, T> {
    /// How many bytes the items take, each with its length before it.
    pub(super) fn bytes_len(&self) -> u64 {
        let sized = |item: &T| {
            let len = encoded_len(item);
            len + encoded_len(&(len as u64))
        };
        match &self.0 {
            Repr::Bytes { bytes, .. } => bytes.len() as u64,
            Repr::Slice(items) => items.iter().map(sized).sum::<usize>() as u64,
        }
    }
}

impl<T: Encode> Encode for List<'_, T> {
    fn encode(&self, writer: &mut Writer<'_>) {
        match &self.0 {
            Repr::Bytes { bytes, .. } => writer.put_bytes(bytes),
            Repr::Slice(items) => {
                writer.put_varint(self.bytes_len());
                for item in *items {
                    writer.put_sized(item);
                }
            }
        }
    }
}

impl<'a, T: Decode<'a>> Read<'a> for List<'a, T> {
    fn read(reader: &mut Reader<'a>) -> Self {
        let (bytes, count) = read_items(reader, |item| decode_body::<T>(item).map(|_| ()));
        Self(Repr::Bytes {
            bytes,
            count,
            item: PhantomData,
        })
    }

    features! {
        from, to:
        serde from.deserialize_seq(super::serde::Items::<T>::new(to, false)),
        arbitrary super::arbitrary::list::<T>(from, to),
    }
}

impl<'a, T> List<'a, T> {
    /// The bytes of the items, if the list was decoded.
    pub(crate) const fn as_bytes(&self) -> Option<&'a [u8]> {
        match &self.0 {
            Repr::Bytes { bytes, .. } => Some(bytes),
            Repr::Slice(_) => None,
        }
    }
}

#[cfg(any(feature = "serde", feature = "arbitrary"))]
impl<'a, T: Decode<'a>> List<'a, T> {
    /// The list whose items are these bytes; or, of bytes that are not a list, the items before the first fault.
    pub(super) fn from_bytes(bytes: &'a [u8]) -> (Self, Result<(), DecodeError>) {
        let mut items = Reader::new(bytes);
        let (mut count, mut good) = (0, 0);
        let mut result = Ok(());
        while result.is_ok() && !items.rest().is_empty() {
            let item = items.take_bytes();
            result = items.check().and_then(|()| decode_body::<T>(item).map(drop));
            if result.is_ok() {
                (count, good) = (count + 1, items.position());
            }
        }
        let bytes = bytes.get(..good).unwrap_or_default();
        let item = PhantomData;
        (Self(Repr::Bytes { bytes, count, item }), result)
    }
}

/// Takes the bytes of a list and counts its items, once each was checked. One function for all lists: a device has room
/// for it once, not for each type of item.
fn read_items<'a>(
    reader: &mut Reader<'a>,
    check: fn(&'a [u8]) -> Result<(), DecodeError>,
) -> (&'a [u8], usize) {
    let bytes = reader.take_bytes();
    let start = reader.position().saturating_sub(bytes.len());
    let mut items = Reader::new(bytes);
    let mut count = 0;
    while !items.rest().is_empty() {
        let item = items.take_bytes();
        let item_start = start + items.position() - item.len();
        let framed = items.check().map_err(|error| (start, error));
        let checked = framed.and_then(|()| check(item).map_err(|error| (item_start, error)));
        if let Err((start, error)) = checked {
            reader.refuse_at(start + error.at, error.fault);
            break;
        }
        count += 1;
    }
    (bytes, count)
}

impl<T> Clone for Repr<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Repr<'_, T> {}
impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for List<'_, T> {}
impl<T> Clone for ListIter<'_, T> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}
impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self::from_slice(&[])
    }
}
impl<'a, T: Decode<'a> + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
impl<'a, T: Decode<'a> + Eq> Eq for List<'a, T> {}
impl<'a, T: Decode<'a> + Hash> Hash for List<'a, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.iter().for_each(|item| item.hash(state));
    }
}
impl<'a, T: Decode<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A body inside of a body, with its length before it, so that later versions may append fields to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Nested<T>(pub T);

impl<T: Encode> Encode for Nested<T> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_sized(&self.0);
    }
}

impl<'a, T: Decode<'a>> Read<'a> for Nested<T> {
    fn read(reader: &mut Reader<'a>) -> Self {
        let bytes = reader.take_bytes();
        let start = reader.position().saturating_sub(bytes.len());
        let mut body = Reader::new(bytes);
        let value = body.read();
        if let Err(error) = body.end() {
            reader.refuse_at(start + error.at, error.fault);
        }
        Self(value)
    }

    features! {
        from, to:
        serde {
            let mut body = alloc::vec::Vec::new();
            T::transcode(from, &mut body)?;
            crate::message::put_sized(&body, to);
            Ok(())
        },
        arbitrary {
            crate::message::put_sized(&super::arbitrary_body::<T>(from)?, to);
            Ok(())
        },
    }
}
