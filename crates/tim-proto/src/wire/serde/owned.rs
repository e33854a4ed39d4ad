//! From the serde form of a body to its bytes, without a value between them that could not be borrowed.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde_core::Deserializer;
use serde_core::de::{DeserializeSeed, Error as _, SeqAccess, Unexpected, Visitor};

use super::Absent;
use crate::message::put_sized;
use crate::wire::{Decode, Read};

/// Encodes a body from its serde form: what a `T` was serialized to in a human-readable format.
///
/// A borrowed `Deserialize` cannot read lists, bytes and strings with escapes from text, since it has no place to put them.
/// This writes the body's bytes instead, from which a `T` can be decoded.
///
/// ```
/// use tim_proto::request::History;
/// use tim_proto::wire;
///
/// let json = r#"{"conversation": "GROUPteam", "next": "0aff", "count": 15}"#;
/// let body = wire::transcode::<History<'_>, _>(&mut serde_json::Deserializer::from_str(json))?;
/// let history: History<'_> = wire::decode_body(&body)?;
/// assert_eq!((history.next, history.count), (&[0x0a, 0xff][..], 15));
/// assert_eq!(serde_json::from_str::<serde_json::Value>(json)?, serde_json::to_value(history)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of the deserializer, and where what it reads is not the form of a `T`, or is not human-readable.
pub fn transcode<'a, 'de, T: Decode<'a>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    if !deserializer.is_human_readable() {
        return Err(D::Error::custom("only a human-readable format is transcoded"));
    }
    let mut body = Vec::new();
    T::transcode(deserializer, &mut body)?;
    Ok(body)
}

/// Reads a value's serde form as the value's bytes.
pub struct Transcode<T>(PhantomData<T>);

impl<T> Transcode<T> {
    pub const NEW: Self = Self(PhantomData);
}

impl<'de, 'a, T: Read<'a>> DeserializeSeed<'de> for Transcode<T> {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Vec<u8>, D::Error> {
        let mut to = Vec::new();
        T::transcode(from, &mut to)?;
        Ok(to)
    }
}

/// Visits the fields of a `T` and appends their bytes.
pub struct FieldsOf<'t, T> {
    pub to: &'t mut Vec<u8>,
    of: PhantomData<T>,
}

impl<'t, T> FieldsOf<'t, T> {
    pub fn new(to: &'t mut Vec<u8>) -> Self {
        Self { to, of: PhantomData }
    }
}

/// Appends a field, which must have been there unless it is an `Option`.
pub fn put_field<'a, T: Read<'a>, E: serde_core::de::Error>(
    name: &'static str,
    field: Option<Vec<u8>>,
    to: &mut Vec<u8>,
) -> Result<(), E> {
    match field {
        Some(mut bytes) => to.append(&mut bytes),
        None => T::transcode(Absent(name, PhantomData), to)?,
    }
    Ok(())
}

/// A string, or hexadecimal digits, as bytes with their length before them.
pub struct Blob<'t> {
    pub to: &'t mut Vec<u8>,
    pub is_hex: bool,
}

impl Visitor<'_> for Blob<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_hex {
            "hexadecimal digits"
        } else {
            "a string"
        })
    }

    fn visit_str<E: serde_core::de::Error>(self, text: &str) -> Result<(), E> {
        if !self.is_hex {
            put_sized(text.as_bytes(), self.to);
            return Ok(());
        }
        let bytes: Option<Vec<u8>> = (text.as_bytes().chunks(2))
            .map(|digits| match digits {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        let bytes = bytes.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))?;
        put_sized(&bytes, self.to);
        Ok(())
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// An `Option`: a byte that says whether the value follows it.
pub struct Maybe<'t, T>(&'t mut Vec<u8>, PhantomData<T>);

impl<'t, T> Maybe<'t, T> {
    pub fn new(to: &'t mut Vec<u8>) -> Self {
        Self(to, PhantomData)
    }
}

impl<'de, 'a, T: Read<'a>> Visitor<'de> for Maybe<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or none")
    }

    fn visit_none<E: serde_core::de::Error>(self) -> Result<(), E> {
        self.0.push(0);
        Ok(())
    }

    fn visit_unit<E: serde_core::de::Error>(self) -> Result<(), E> {
        self.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        self.0.push(1);
        T::transcode(from, self.0)
    }
}

/// Items, each with its length before it unless they are `bare`.
pub struct Items<'t, T> {
    to: &'t mut Vec<u8>,
    bare: bool,
    of: PhantomData<T>,
}

impl<'t, T> Items<'t, T> {
    pub fn new(to: &'t mut Vec<u8>, bare: bool) -> Self {
        let of = PhantomData;
        Self { to, bare, of }
    }
}

impl<'de, 'a, T: Read<'a>> Visitor<'de> for Items<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut all = Vec::new();
        while let Some(mut item) = seq.next_element_seed(Transcode::<T>::NEW)? {
            if self.bare {
                self.to.append(&mut item);
            } else {
                put_sized(&item, &mut all);
            }
        }
        if !self.bare {
            put_sized(&all, self.to);
        }
        Ok(())
    }
}
