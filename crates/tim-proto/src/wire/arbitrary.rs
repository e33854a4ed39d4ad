//! The feature `arbitrary`: values for fuzzers and property tests.

use alloc::vec::Vec;

use arbitrary::{Arbitrary, Result, Unstructured};

use super::{Decode, Extension, Extensions, List, Nested, Read};
use crate::message::{Encoded, Message, put_sized};
use crate::{ConversationId, GroupId, UserId};

/// How long generated strings and bytes are at most, and how many items a list has.
const MAX_LEN: u8 = 40;
const MAX_ITEMS: u8 = 3;

/// The bytes of an arbitrary `T`: a body that decodes.
///
/// `T`'s own `Arbitrary` borrows from the fuzzer's input, where a list is rarely found; this makes lists with items.
///
/// ```
/// use arbitrary::Unstructured;
/// use tim_proto::{message::Image, wire};
///
/// let seed: Vec<u8> = (0..=255).cycle().take(1000).collect();
/// let body = wire::arbitrary_body::<Image<'_>>(&mut Unstructured::new(&seed))?;
/// let image: Image<'_> = wire::decode_body(&body).expect("it decodes");
/// # Ok::<(), arbitrary::Error>(())
/// ```
///
/// # Errors
/// Those of [`Unstructured`].
pub fn arbitrary_body<'a, T: Decode<'a>>(from: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    T::generate(from, &mut body)?;
    Ok(body)
}

fn some_bytes<'s>(from: &mut Unstructured<'s>) -> Result<&'s [u8]> {
    let len = usize::from(from.int_in_range(0..=MAX_LEN)?).min(from.len());
    from.bytes(len)
}

pub(super) fn bytes(from: &mut Unstructured<'_>, to: &mut Vec<u8>) -> Result<()> {
    put_sized(some_bytes(from)?, to);
    Ok(())
}

/// Half of the strings are ASCII.
pub(super) fn text(from: &mut Unstructured<'_>, to: &mut Vec<u8>) -> Result<()> {
    let is_ascii: bool = from.arbitrary()?;
    let mut bytes = some_bytes(from)?.to_vec();
    if is_ascii {
        bytes.iter_mut().for_each(|byte| *byte &= 0x7f);
    }
    put_sized(alloc::string::String::from_utf8_lossy(&bytes).as_bytes(), to);
    Ok(())
}

pub(super) fn list<'a, T: Read<'a>>(from: &mut Unstructured<'_>, to: &mut Vec<u8>) -> Result<()> {
    let mut items = Vec::new();
    for _ in 0..from.int_in_range(0..=MAX_ITEMS)? {
        let mut item = Vec::new();
        T::generate(from, &mut item)?;
        put_sized(&item, &mut items);
    }
    put_sized(&items, to);
    Ok(())
}

pub(super) fn extensions(from: &mut Unstructured<'_>, to: &mut Vec<u8>) -> Result<()> {
    for _ in 0..from.int_in_range(0..=MAX_ITEMS)? {
        Extension::generate(from, to)?;
    }
    Ok(())
}

/// The items at the start of a run of the input's bytes.
impl<'a, T: Decode<'a>> Arbitrary<'a> for List<'a, T> {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::from_bytes(from.arbitrary()?).0)
    }
}

impl<'a, T: Decode<'a> + Arbitrary<'a>> Arbitrary<'a> for Nested<T> {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        from.arbitrary().map(Self)
    }
}

impl<'a> Arbitrary<'a> for Extensions<'a> {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(from.arbitrary()?).unwrap_or_default())
    }
}

macro_rules! ids {
    ($($name:ident),+) => {$(
        impl<'a> Arbitrary<'a> for $name {
            fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
                let len = from.int_in_range(1..=Self::MAX_LEN)?;
                let mut bytes = Vec::new();
                for _ in 0..len {
                    bytes.push(from.int_in_range(b' '..=b'~')?);
                }
                Ok(Self::of_checked(&bytes))
            }
        }
    )+};
}
ids!(UserId, GroupId);

impl<'a> Arbitrary<'a> for ConversationId {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match from.int_in_range(0..=2)? {
            0 => Self::System,
            1 => Self::C2c(from.arbitrary()?),
            _ => Self::Group(from.arbitrary()?),
        })
    }
}

impl<'a> Arbitrary<'a> for Message<'a> {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            envelope: from.arbitrary()?,
            to: from.arbitrary()?,
            id: from.arbitrary()?,
            client_sequence: from.arbitrary()?,
            priority: from.arbitrary()?,
            payload: from.arbitrary()?,
            extensions: from.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Encoded<Vec<u8>> {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        let bytes = arbitrary_body::<Message<'_>>(from)?;
        Self::new(bytes).map_err(|_| arbitrary::Error::IncorrectFormat)
    }
}
