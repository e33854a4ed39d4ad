//! The feature `serde`: what [`wire!`](super::wire) builds on, and the types that it does not declare.
//!
//! Where the format is human-readable, ids and conversations are their strings, open enumerations their names (or numbers
//! without a name), bytes are hexadecimal digits, and a payload is tagged with its kind. Any other format gets the layout
//! of the wire, which is postcard's: `postcard::to_allocvec(&body)` is the body, and `postcard::from_bytes` borrows from it.

#![allow(unreachable_pub, missing_docs)] // a private module

use core::fmt;
use core::marker::PhantomData;

use serde_core::de::{DeserializeSeed, Error as _, Unexpected, Visitor};
use serde_core::ser::{SerializeTuple, Serializer};
use serde_core::{Deserialize, Deserializer, Serialize};

use super::{Extensions, List, Nested, Read, encoded_len, wire};
use crate::message::{Encoded, GroupChange, Message, MessageFlags, Tagged};
use crate::{ConversationId, ErrorCode, GroupId, UserId};

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
    /// The field with this name, which must have been there unless it is an `Option`.
    pub fn or_missing<'de, E>(field: Option<Self>, name: &'static str) -> Result<T, E>
    where
        Self: Deserialize<'de>,
        E: serde_core::de::Error,
    {
        match field {
            Some(field) => Ok(field.0),
            None => Self::deserialize(Absent(name, PhantomData)).map(|field| field.0),
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

/// Visits a value of an open enumeration: its name, or its number.
pub struct NameOrNumber<T> {
    pub what: &'static str,
    pub parse: fn(&str) -> Result<T, crate::UnknownName>,
    pub number: fn(u64) -> Option<T>,
}

impl<T> Visitor<'_> for NameOrNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name or number of a {}", self.what)
    }

    fn visit_str<E: serde_core::de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }

    fn visit_u64<E: serde_core::de::Error>(self, number: u64) -> Result<T, E> {
        (self.number)(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}

impl Serialize for MessageFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u32(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for MessageFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u32::deserialize(deserializer).map(Self);
        }
        deserializer.deserialize_any(NameOrNumber {
            what: "MessageFlags",
            parse: str::parse,
            number: |number| u32::try_from(number).ok().map(Self),
        })
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

/// A string that `from_record` takes.
struct IdVisitor<T>(&'static str, fn(&str) -> Result<T, crate::IdError>);

impl<T> Visitor<'_> for IdVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde_core::de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }
}

macro_rules! ids {
    ($($name:ident: $what:literal),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(IdVisitor($what, Self::from_record))
            }
        }
    )+};
}
ids!(UserId: "a user id", GroupId: "a group id");

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
            return deserializer.deserialize_str(IdVisitor("a conversation id", Self::from_record));
        }
        deserializer.deserialize_enum("ConversationId", CONVERSATIONS, ValueOf::<Self>::NEW)
    }
}

impl<'de> Visitor<'de> for ValueOf<ConversationId> {
    type Value = ConversationId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a conversation id")
    }

    fn visit_enum<A: serde_core::de::EnumAccess<'de>>(self, data: A) -> Result<ConversationId, A::Error> {
        use serde_core::de::VariantAccess as _;
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

impl<'a, T: Read<'a>> Serialize for List<'a, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            use serde_core::ser::SerializeSeq as _;
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
        use serde_core::ser::SerializeStruct as _;
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

impl Serialize for GroupChange<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const NAME: &str = "GroupChange";
        match self {
            Self::Name(it) => serializer.serialize_newtype_variant(NAME, 1, "Name", it),
            Self::Introduction(it) => serializer.serialize_newtype_variant(NAME, 2, "Introduction", it),
            Self::Notification(it) => serializer.serialize_newtype_variant(NAME, 3, "Notification", it),
            Self::Avatar(it) => serializer.serialize_newtype_variant(NAME, 4, "Avatar", it),
            Self::Owner(it) => serializer.serialize_newtype_variant(NAME, 5, "Owner", it),
            Self::JoinOption(it) => serializer.serialize_newtype_variant(NAME, 6, "JoinOption", it),
            Self::InviteOption(it) => serializer.serialize_newtype_variant(NAME, 7, "InviteOption", it),
            Self::MuteAll(it) => serializer.serialize_newtype_variant(NAME, 8, "MuteAll", it),
            &Self::Unknown(what, value) if serializer.is_human_readable() => {
                serializer.serialize_newtype_variant(NAME, what, "Unknown", &UnknownChange { what, value })
            }
            Self::Unknown(what, value) => (what, Raw(value)).serialize(serializer),
        }
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

wire! {
    /// A change that this version does not know, where it is shown by its parts.
    #[derive(Debug)]
    pub struct UnknownChange<'a> {
        /// What changed.
        pub what: u32,
        /// The new value.
        pub value: &'a [u8],
    }
}

/// From the serde form of a body to its bytes, without a value between them that could not be borrowed.
#[cfg(feature = "alloc")]
mod owned {
    use alloc::vec::Vec;

    use serde_core::de::{EnumAccess, SeqAccess, VariantAccess};

    use super::*;
    use crate::message::{put_sized, to_vec};
    use crate::wire::{Decode, decode_body};

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
    pub fn transcode<'a, 'de, T: Decode<'a>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
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

    /// A change by its name: its number and its value.
    impl<'de> Visitor<'de> for FieldsOf<'_, GroupChange<'_>> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a change of a group's profile, by its name")
        }

        fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<(), A::Error> {
            let (name, variant) = data.variant_seed(FieldName(GroupChange::TAGS))?;
            let number = GroupChange::TAGS.iter().position(|known| *known == name);
            let what = number
                .and_then(|at| u32::try_from(at).ok())
                .map_or(0, |at| at + 1);
            let mut value = match what {
                1..=4 => variant.newtype_variant_seed(Transcode::<&str>::NEW)?,
                5 => variant.newtype_variant_seed(Transcode::<UserId>::NEW)?,
                6 => variant.newtype_variant_seed(Transcode::<crate::JoinOption>::NEW)?,
                7 => variant.newtype_variant_seed(Transcode::<crate::InviteOption>::NEW)?,
                8 => variant.newtype_variant_seed(Transcode::<bool>::NEW)?,
                _ => {
                    let parts = variant.newtype_variant_seed(Transcode::<UnknownChange<'_>>::NEW)?;
                    let unknown: UnknownChange<'_> = decode_body(&parts).map_err(A::Error::custom)?;
                    self.to.append(&mut to_vec(&unknown.what));
                    self.to.extend(unknown.value);
                    return Ok(());
                }
            };
            self.to.append(&mut to_vec(&what));
            self.to.append(&mut value);
            Ok(())
        }
    }

    impl<'de> Deserialize<'de> for Encoded<Vec<u8>> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let bytes = if deserializer.is_human_readable() {
                transcode::<Message<'_>, D>(deserializer)?
            } else {
                deserializer.deserialize_byte_buf(ValueOf::<Vec<u8>>::NEW)?
            };
            Self::new(bytes).map_err(D::Error::custom)
        }
    }

    impl Visitor<'_> for ValueOf<Vec<u8>> {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the bytes of a message")
        }

        fn visit_bytes<E: serde_core::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }
}
#[cfg(feature = "alloc")]
pub use owned::transcode;
#[cfg(feature = "alloc")]
pub(crate) use owned::{Blob, FieldsOf, Items, Maybe, Transcode, put_field};
