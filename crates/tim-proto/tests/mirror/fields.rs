//! The kinds of field that the mirrors are made of.

use core::fmt;

use proptest::prelude::{BoxedStrategy, Strategy, any};
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tim_proto::message::{ImageFormat, ImageSize};
use tim_proto::notice::NoticeOperation;
use tim_proto::request::Resume;
use tim_proto::tip::TipOperation;
use tim_proto::wire::{Decode, Encode, Extension, Extensions, List, encode_body, encoded_len};
use tim_proto::{
    AtKind, ConversationId, ErrorCode, GroupId, GroupType, InviteOption, JoinOption, JoinStatus,
    MemberResult, MessageKind, Platform, Priority, ReceiveOption, Role, UserId,
};

use super::{Mirror, leak};

macro_rules! plain {
    ($($ty:ty),+) => {$(
        impl Mirror<$ty> for $ty {
            fn wire(&self) -> $ty { *self }
            fn of(wire: &$ty) -> Self { *wire }
        }
    )+};
}
plain!(u8, u16, u32, u64, bool);

macro_rules! numbers {
    ($($wire:ident($ty:ty)),+ $(,)?) => {$(
        impl Mirror<$wire> for $ty {
            fn wire(&self) -> $wire { $wire(*self) }
            fn of(wire: &$wire) -> Self { wire.0 }
        }
    )+};
}
numbers!(
    Resume(u8),
    Platform(u8),
    Priority(u8),
    Role(u8),
    GroupType(u8),
    JoinOption(u8),
    InviteOption(u8),
    JoinStatus(u8),
    MemberResult(u8),
    ReceiveOption(u8),
    AtKind(u8),
    ImageFormat(u8),
    ImageSize(u8),
    MessageKind(u16),
    ErrorCode(u32),
    TipOperation(u32),
    NoticeOperation(u32),
);

impl Mirror<&'static str> for String {
    fn wire(&self) -> &'static str {
        self.clone().leak()
    }
    fn of(wire: &&'static str) -> Self {
        (*wire).to_owned()
    }
}

impl<W, M: Mirror<W>> Mirror<Option<W>> for Option<M> {
    fn wire(&self) -> Option<W> {
        self.as_ref().map(Mirror::wire)
    }
    fn of(wire: &Option<W>) -> Self {
        wire.as_ref().map(Mirror::of)
    }
}

macro_rules! ids {
    ($($name:ident($wire:ty, $pattern:literal)),+) => {$(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $name(pub String);

        impl Mirror<$wire> for $name {
            fn wire(&self) -> $wire {
                <$wire>::from_record(&self.0).unwrap()
            }
            fn of(wire: &$wire) -> Self {
                Self(wire.to_string())
            }
        }

        impl proptest::arbitrary::Arbitrary for $name {
            type Parameters = ();
            type Strategy = BoxedStrategy<Self>;
            fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
                $pattern.prop_map(Self).boxed()
            }
        }
    )+};
}
ids!(User(UserId, "[ -~]{1,32}"), Group(GroupId, "[ -~]{1,48}"));

/// A conversation; serde numbers the variants 0, 1, 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Conv {
    System,
    C2c(User),
    Group(Group),
}

impl Mirror<ConversationId> for Conv {
    fn wire(&self) -> ConversationId {
        match self {
            Self::System => ConversationId::System,
            Self::C2c(user) => ConversationId::C2c(user.wire()),
            Self::Group(group) => ConversationId::Group(group.wire()),
        }
    }
    fn of(wire: &ConversationId) -> Self {
        match wire {
            ConversationId::C2c(user) => Self::C2c(Mirror::of(user)),
            ConversationId::Group(group) => Self::Group(Mirror::of(group)),
            _ => Self::System,
        }
    }
}

impl proptest::arbitrary::Arbitrary for Conv {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;
    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        let c2c = any::<User>().prop_map(Self::C2c);
        proptest::prop_oneof![
            proptest::prelude::Just(Self::System),
            c2c,
            any::<Group>().prop_map(Self::Group)
        ]
        .boxed()
    }
}

/// Bytes: hexadecimal digits in JSON, a length and the bytes in postcard.
#[derive(Debug, Clone, PartialEq)]
pub struct Bytes(pub Vec<u8>);

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            to_hex(&self.0).serialize(serializer)
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            from_hex(&text)
                .map(Self)
                .ok_or_else(|| D::Error::custom("no hexadecimal digits"))
        } else {
            Vec::deserialize(deserializer).map(Self) // in postcard, bytes and a sequence of u8 are the same
        }
    }
}

impl Mirror<&'static [u8]> for Bytes {
    fn wire(&self) -> &'static [u8] {
        leak(self.0.clone())
    }
    fn of(wire: &&'static [u8]) -> Self {
        Self(wire.to_vec())
    }
}

impl proptest::arbitrary::Arbitrary for Bytes {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;
    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        proptest::collection::vec(any::<u8>(), 0..200)
            .prop_map(Self)
            .boxed()
    }
}

/// A value with its size before it.
#[derive(Debug, Clone, PartialEq)]
pub struct WithSize<T>(pub T);

impl<T: Serialize> Serialize for WithSize<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else {
            serializer.serialize_bytes(&postcard::to_allocvec(&self.0).unwrap())
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for WithSize<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            T::deserialize(deserializer).map(Self)
        } else {
            let bytes = Bytes::deserialize(deserializer)?;
            postcard::from_bytes(&bytes.0).map(Self).map_err(D::Error::custom)
        }
    }
}

impl<W, M: Mirror<W>> Mirror<W> for WithSize<M> {
    fn wire(&self) -> W {
        self.0.wire()
    }
    fn of(wire: &W) -> Self {
        Self(M::of(wire))
    }
}

impl<T: proptest::arbitrary::Arbitrary + Clone + 'static> proptest::arbitrary::Arbitrary for WithSize<T> {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;
    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        any::<T>().prop_map(Self).boxed()
    }
}

/// A list: the size of the whole, then each item with its size before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Items<T>(pub Vec<T>);

impl<T: Serialize> Serialize for Items<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        let sized = |item: &T| postcard::to_allocvec(&Bytes(postcard::to_allocvec(item).unwrap())).unwrap();
        serializer.serialize_bytes(&self.0.iter().flat_map(sized).collect::<Vec<u8>>())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Vec::deserialize(deserializer).map(Self);
        }
        let bytes = Bytes::deserialize(deserializer)?;
        let (mut rest, mut items) = (&bytes.0[..], Vec::new());
        while !rest.is_empty() {
            let (item, behind) = postcard::take_from_bytes::<Bytes>(rest).map_err(D::Error::custom)?;
            items.push(postcard::from_bytes(&item.0).map_err(D::Error::custom)?);
            rest = behind;
        }
        Ok(Self(items))
    }
}

impl<W: Decode<'static> + Clone + 'static, M: Mirror<W>> Mirror<List<'static, W>> for Items<M> {
    fn wire(&self) -> List<'static, W> {
        List::from_slice(leak(self.0.iter().map(Mirror::wire).collect()))
    }
    fn of(wire: &List<'static, W>) -> Self {
        Self(wire.iter().map(|item| M::of(&item)).collect())
    }
}

impl<T: proptest::arbitrary::Arbitrary + Clone + 'static> proptest::arbitrary::Arbitrary for Items<T> {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;
    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        proptest::collection::vec(any::<T>(), 0..4).prop_map(Self).boxed()
    }
}

/// One extension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extra {
    pub tag: u32,
    pub bytes: Bytes,
}

/// Extensions: nothing says how many there are, they end with the body.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Extras(pub Vec<Extra>);

impl Serialize for Extras {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0
            .iter()
            .try_for_each(|extra| tuple.serialize_element(extra))?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Extras {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UntilTheEnd;
        impl<'de> Visitor<'de> for UntilTheEnd {
            type Value = Extras;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("extensions")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Extras, A::Error> {
                let mut extras = Vec::new();
                while let Ok(Some(extra)) = seq.next_element() {
                    extras.push(extra);
                }
                Ok(Extras(extras))
            }
        }
        if deserializer.is_human_readable() {
            return Vec::deserialize(deserializer).map(Self);
        }
        deserializer.deserialize_tuple(usize::MAX, UntilTheEnd)
    }
}

impl Mirror<Extensions<'static>> for Extras {
    fn wire(&self) -> Extensions<'static> {
        let extras = self.0.iter().map(|extra| Extension {
            tag: extra.tag,
            bytes: extra.bytes.wire(),
        });
        let mut bytes = Vec::new();
        for extra in extras {
            let mut one = vec![0; encoded_len(&extra)];
            encode_body(&extra, &mut one).unwrap();
            bytes.append(&mut one);
        }
        Extensions::new(leak(bytes)).unwrap()
    }
    fn of(wire: &Extensions<'static>) -> Self {
        Self(
            wire.iter()
                .map(|one| Extra {
                    tag: one.tag,
                    bytes: Bytes(one.bytes.to_vec()),
                })
                .collect(),
        )
    }
}

impl proptest::arbitrary::Arbitrary for Extras {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;
    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        let extra = (any::<u32>(), any::<Bytes>()).prop_map(|(tag, bytes)| Extra { tag, bytes });
        proptest::collection::vec(extra, 0..3).prop_map(Self).boxed()
    }
}

/// The bytes of a value in our codec.
pub fn ours<W: Encode>(value: &W) -> Vec<u8> {
    let mut bytes = vec![0; encoded_len(value)];
    let written = encode_body(value, &mut bytes);
    assert_eq!(written, Ok(bytes.len()));
    bytes
}
