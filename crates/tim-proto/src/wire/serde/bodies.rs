//! Lists, extensions and messages, which `wire!` does not declare.

use core::fmt;
use core::marker::PhantomData;

use serde_core::de::{Error as _, Visitor};
use serde_core::ser::{SerializeSeq as _, SerializeStruct as _, SerializeTuple as _, Serializer};
use serde_core::{Deserialize, Deserializer, Serialize};

use super::{Field, NOT_BORROWED, Raw};
use crate::message::{Encoded, Message, Tagged};
use crate::wire::{Extensions, List, Nested, Read, encoded_len};

impl<'a, T: Read<'a>> Serialize for List<'a, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let mut items = serializer.serialize_seq(Some(self.len()))?;
            for item in self.iter() {
                items.serialize_element(&Field(&item))?;
            }
            return items.end();
        }
        if let Some(bytes) = self.as_bytes() {
            return serializer.serialize_bytes(bytes);
        }
        let mut all = serializer.serialize_tuple(1 + 2 * self.len())?;
        all.serialize_element(&self.bytes_len())?;
        for item in self.iter() {
            all.serialize_element(&(encoded_len(&item) as u64))?;
            all.serialize_element(&Field(&item))?;
        }
        all.end()
    }
}

impl<'de: 'a, 'a, T: Read<'a>> Deserialize<'de> for List<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Err(D::Error::custom(NOT_BORROWED));
        }
        let bytes = <&'a [u8]>::deserialize(deserializer)?;
        let (list, result) = Self::from_bytes(bytes);
        result.map_err(D::Error::custom)?;
        Ok(list)
    }
}

impl<'a, T: Read<'a>> Serialize for Nested<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else {
            (encoded_len(&self.0) as u64, &self.0).serialize(serializer)
        }
    }
}

impl Serialize for Extensions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.iter())
        } else {
            Raw(self.as_bytes()).serialize(serializer)
        }
    }
}

impl Serialize for Message<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Message", Self::FIELDS.len())?;
        fields.serialize_field("envelope", &self.envelope)?;
        fields.serialize_field("to", &self.to)?;
        fields.serialize_field("id", &self.id)?;
        fields.serialize_field("client_sequence", &self.client_sequence)?;
        fields.serialize_field("priority", &self.priority)?;
        fields.serialize_field("payload", &Tagged(self.payload))?;
        fields.serialize_field("extensions", &self.extensions)?;
        fields.end()
    }
}

impl<B: AsRef<[u8]>> Serialize for Encoded<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.message().serialize(serializer)
        } else {
            serializer.serialize_bytes(self.as_bytes())
        }
    }
}

/// In any storage that [`Encoded::from_slice`] fills. A human-readable format needs the feature `alloc`.
impl<'de, B> Deserialize<'de> for Encoded<B>
where
    B: AsRef<[u8]> + for<'a> TryFrom<&'a [u8]>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = EncodedVisitor(PhantomData);
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(visitor)
        } else {
            deserializer.deserialize_byte_buf(visitor)
        }
    }
}

/// The fields of a message, or its bytes: also where the format is human-readable, since serde's own buffers, for flattened
/// and tagged types, say so whatever the format.
struct EncodedVisitor<B>(PhantomData<B>);

impl<'de, B> Visitor<'de> for EncodedVisitor<B>
where
    B: AsRef<[u8]> + for<'a> TryFrom<&'a [u8]>,
{
    type Value = Encoded<B>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_bytes<E: serde_core::de::Error>(self, bytes: &[u8]) -> Result<Encoded<B>, E> {
        Encoded::from_slice(bytes).map_err(E::custom)
    }

    #[cfg(feature = "alloc")]
    fn visit_map<A: serde_core::de::MapAccess<'de>>(self, map: A) -> Result<Encoded<B>, A::Error> {
        let mut body = alloc::vec::Vec::new();
        super::FieldsOf::<Message<'_>>::new(&mut body).visit_map(map)?;
        Encoded::from_slice(&body).map_err(A::Error::custom)
    }
}
