//! Lists inside a body, without a heap at either end.

use core::fmt;
use core::marker::PhantomData;

use super::{Decode, DecodeError, Encode, Read, Reader, Writer, decode_body, encoded_len};

/// A list of `T` in a body: the length of the whole list in bytes, then each item with its length before it.
///
/// Made from a slice when writing; when reading, the items were checked once and are decoded again as they are asked
/// for, in place. Since every item carries its length, later versions may append fields to it.
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

impl<'a, T: Decode<'a> + Clone> List<'a, T> {
    /// The items in order.
    #[must_use]
    pub fn iter(&self) -> ListIter<'a, T> {
        ListIter(self.0)
    }
}

impl<'a, T: Decode<'a> + Clone> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;
    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

/// The items of a [`List`], in order.
pub struct ListIter<'a, T>(Repr<'a, T>);

impl<'a, T: Decode<'a> + Clone> Iterator for ListIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Repr::Slice(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(first.clone())
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

impl<T: Encode> Encode for List<'_, T> {
    fn encode(&self, writer: &mut Writer<'_>) {
        match &self.0 {
            Repr::Bytes { bytes, .. } => writer.put_bytes(bytes),
            Repr::Slice(items) => {
                let sized = |item: &T| {
                    let len = encoded_len(item);
                    len + encoded_len(&(len as u64))
                };
                writer.put_varint(items.iter().map(sized).sum::<usize>() as u64);
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
impl<'a, T: Decode<'a> + Clone + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
impl<'a, T: Decode<'a> + Clone + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
