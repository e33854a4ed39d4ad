//! Ids, open enumerations, flags, and other values that are not bodies.
//!
//! serde buffers what is flattened, tagged or untagged, and its buffer calls itself human-readable whatever the format was.
//! So where a format is human-readable, the form of the others is read as well.

use core::fmt;
use core::marker::PhantomData;

use serde_core::de::value::MapAccessDeserializer;
use serde_core::de::{DeserializeSeed, EnumAccess, MapAccess, Unexpected, VariantAccess as _, Visitor};
use serde_core::ser::Serializer;
use serde_core::{Deserialize, Deserializer, Serialize};

use super::ValueOf;
use crate::message::MessageFlags;
use crate::wire::FrameKind;
use crate::{ConversationId, ErrorCode, GroupId, UserId, Words};

/// Visits a value of an open enumeration: its name, or its number.
pub struct NameOrNumber<T, N> {
    what: &'static str,
    of: PhantomData<(T, N)>,
}

impl<T, N> NameOrNumber<T, N>
where
    T: core::str::FromStr<Err: fmt::Display> + From<N>,
    N: TryFrom<u64> + for<'de> Deserialize<'de>,
{
    /// A name where the format is human-readable, else a number.
    pub fn read<'de, D: Deserializer<'de>>(what: &'static str, deserializer: D) -> Result<T, D::Error> {
        if !deserializer.is_human_readable() {
            return N::deserialize(deserializer).map(T::from);
        }
        deserializer.deserialize_any(Self {
            what,
            of: PhantomData,
        })
    }
}

impl<T, N> Visitor<'_> for NameOrNumber<T, N>
where
    T: core::str::FromStr<Err: fmt::Display> + From<N>,
    N: TryFrom<u64>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name or number of a {}", self.what)
    }

    fn visit_str<E: serde_core::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: serde_core::de::Error>(self, number: u64) -> Result<T, E> {
        let known = N::try_from(number).map(T::from);
        known.map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    /// TOML has signed numbers only.
    fn visit_i64<E: serde_core::de::Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }
}

/// What an open enumeration is where it has this name.
pub fn serialize_named<S: Serializer>(
    name: Option<impl fmt::Display>,
    number: impl Serialize,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match name {
        Some(name) if serializer.is_human_readable() => serializer.collect_str(&name),
        _ => number.serialize(serializer),
    }
}

impl Serialize for MessageFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_named(Some(self), self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for MessageFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NameOrNumber::<Self, u32>::read("MessageFlags", deserializer)
    }
}

impl Serialize for FrameKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_named(self.name().map(|_| self), self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for FrameKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NameOrNumber::<Self, u8>::read("FrameKind", deserializer)
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(Self)
    }
}

/// A string that the function takes.
struct Parsed<T, E>(&'static str, fn(&str) -> Result<T, E>);

impl<T, F: fmt::Display> Visitor<'_> for Parsed<T, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde_core::de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }

    fn visit_bytes<E: serde_core::de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        match core::str::from_utf8(bytes) {
            Ok(text) => self.visit_str(text),
            Err(_) => Err(E::invalid_value(Unexpected::Bytes(bytes), &self)),
        }
    }
}

macro_rules! strings {
    ($($name:ident: $what:literal, $text:ident, $parse:path;)+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.$text())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Parsed($what, $parse))
            }
        }
    )+};
}
strings! {
    UserId: "a user id", as_str, Self::from_record;
    GroupId: "a group id", as_str, Self::from_record;
    Words: "the name of a profile of words", name, str::parse;
}

const CONVERSATIONS: &[&str] = &["System", "C2c", "Group"];

impl Serialize for ConversationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const NAME: &str = "ConversationId";
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        match self {
            Self::System => serializer.serialize_unit_variant(NAME, 0, "System"),
            Self::C2c(user) => serializer.serialize_newtype_variant(NAME, 1, "C2c", user),
            Self::Group(group) => serializer.serialize_newtype_variant(NAME, 2, "Group", group),
        }
    }
}

impl<'de> Deserialize<'de> for ConversationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(ValueOf::<Self>::NEW);
        }
        deserializer.deserialize_enum("ConversationId", CONVERSATIONS, ValueOf::<Self>::NEW)
    }
}

impl<'de> Visitor<'de> for ValueOf<ConversationId> {
    type Value = ConversationId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a conversation id")
    }

    fn visit_str<E: serde_core::de::Error>(self, text: &str) -> Result<ConversationId, E> {
        if text == "System" {
            return Ok(ConversationId::System); // the variant's name, in serde's buffer
        }
        Parsed("a conversation id", ConversationId::from_record).visit_str(text)
    }

    fn visit_bytes<E: serde_core::de::Error>(self, bytes: &[u8]) -> Result<ConversationId, E> {
        Parsed("a conversation id", ConversationId::from_record).visit_bytes(bytes)
    }

    /// A variant by its name, in serde's buffer.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ConversationId, A::Error> {
        self.visit_enum(MapAccessDeserializer::new(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<ConversationId, A::Error> {
        match data.variant_seed(VariantOf(CONVERSATIONS))? {
            (0, variant) => variant.unit_variant().map(|()| ConversationId::System),
            (1, variant) => variant.newtype_variant().map(ConversationId::C2c),
            (_, variant) => variant.newtype_variant().map(ConversationId::Group),
        }
    }
}

/// Reads which variant it is: one of these names, or its number. postcard has numbers, CBOR and MessagePack have names.
struct VariantOf(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for VariantOf {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for VariantOf {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name or number of a variant")
    }

    fn visit_u64<E: serde_core::de::Error>(self, number: u64) -> Result<usize, E> {
        let known = usize::try_from(number).ok().filter(|at| *at < self.0.len());
        known.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: serde_core::de::Error>(self, name: &str) -> Result<usize, E> {
        let known = self.0.iter().position(|variant| *variant == name);
        known.ok_or_else(|| E::unknown_variant(name, self.0))
    }
}
