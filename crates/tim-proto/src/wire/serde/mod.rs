//! The feature `serde`: what [`wire!`](super::wire) builds on, and the types that it does not declare.
//!
//! Where the format is human-readable, ids and conversations are their strings, open enumerations their names (or numbers
//! without a name), bytes are hexadecimal digits, and a payload is tagged with its kind. Any other format gets the layout
//! of the wire, which is postcard's: `postcard::to_allocvec(&body)` is the body, and `postcard::from_bytes` borrows from it.

#![allow(unreachable_pub, missing_docs)] // a private module

use core::fmt;
use core::marker::PhantomData;

use serde_core::de::{DeserializeSeed, Error as _, Visitor};
use serde_core::ser::{SerializeTuple, Serializer};
use serde_core::{Deserialize, Deserializer, Serialize};

use super::Read;

mod bodies;
#[cfg(feature = "alloc")]
mod owned;
mod values;

#[cfg(feature = "alloc")]
pub use owned::transcode;
#[cfg(feature = "alloc")]
pub(crate) use owned::{Blob, FieldsOf, Items, Maybe, Transcode, put_field};
pub(crate) use values::{NameOrNumber, serialize_named};

/// A field of a body, or an item of a list. It differs from its type where a format is human-readable: bytes are shown as
/// hexadecimal digits, and can then not be borrowed.
pub struct Field<T>(pub T);

impl<'a, T: Read<'a>> Serialize for Field<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_field(serializer)
    }
}

impl<'a, 'de: 'a, T: Read<'a> + Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if T::IS_BYTES && deserializer.is_human_readable() {
            return Err(D::Error::custom(NOT_BORROWED));
        }
        T::deserialize(deserializer).map(Self)
    }
}

impl<T> Field<T> {
    /// The field with this name. One that is not there has its default, if there is one, or is an `Option`.
    pub fn or<'de, E>(field: Option<Self>, default: Option<T>, name: &'static str) -> Result<T, E>
    where
        Self: Deserialize<'de>,
        E: serde_core::de::Error,
    {
        match (field, default) {
            (Some(Self(value)), _) | (None, Some(value)) => Ok(value),
            (None, None) => Self::deserialize(Absent(name, PhantomData)).map(|field| field.0),
        }
    }
}

const NOT_BORROWED: &str =
    "bytes and lists cannot be borrowed from text; read an `Encoded<Vec<u8>>`, or transcode";

/// Stands for a field that is not there: `None`, or an error.
struct Absent<E>(&'static str, PhantomData<E>);

impl<'de, E: serde_core::de::Error> Deserializer<'de> for Absent<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, E> {
        Err(E::missing_field(self.0))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_none()
    }

    serde_core::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// An error if the field has been read before: of two values, another reader may take the other one.
pub fn first<T, E: serde_core::de::Error>(name: &'static str, field: &Option<T>) -> Result<(), E> {
    match field {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

/// Reads the name of a field: one of these.
pub struct FieldName(pub &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde_core::de::Error>(self, name: &str) -> Result<&'static str, E> {
        let known = self.0.iter().find(|field| **field == name);
        known.copied().ok_or_else(|| E::unknown_field(name, self.0))
    }
}

/// Visits the fields of a `T`.
pub struct ValueOf<T>(PhantomData<T>);

impl<T> ValueOf<T> {
    pub const NEW: Self = Self(PhantomData);
}

/// Bytes without a length before them.
pub struct Raw<'a>(pub &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = serializer.serialize_tuple(self.0.len())?;
        for byte in self.0 {
            bytes.serialize_element(byte)?;
        }
        bytes.end()
    }
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

pub fn serialize_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(&Hex(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}
