//! A payload under its kind, for the features `serde` and `arbitrary`.

use super::payload::with_payloads;
use super::*;
use crate::MessageKind;
use crate::wire::{Encode, Read, Reader, Writer, features};

/// A payload as a message has it: its kind, then the payload with its length before it. Where a format is human-readable, the
/// payload is tagged with the name of its variant.
#[derive(Clone, Copy)]
pub(crate) struct Tagged<'a>(pub(crate) Payload<'a>);

impl Encode for Tagged<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        self.0.kind().encode(writer);
        writer.put_sized(&self.0);
    }
}

impl<'a> Read<'a> for Tagged<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
        let kind = MessageKind::read(reader);
        Self(Payload::decode(kind, reader.take_bytes()))
    }

    features! {
        from, to:
        serde from.deserialize_enum("Payload", serde::TAGS, crate::wire::serde::FieldsOf::<Self>::new(to)),
        arbitrary generate(from, to),
    }
}

#[cfg(feature = "arbitrary")]
macro_rules! arbitrary_payloads {
    ($($kind:ident => $variant:ident),* $(,)?) => {
        impl<'a> arbitrary::Arbitrary<'a> for Payload<'a> {
            fn arbitrary(from: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
                let kind = *from.choose(MessageKind::KNOWN)?;
                Ok(match kind {
                    $(MessageKind::$kind => Self::$variant(from.arbitrary()?),)*
                    other => Self::Unknown(other, from.arbitrary()?),
                })
            }
        }

        fn generate(
            from: &mut arbitrary::Unstructured<'_>,
            to: &mut alloc::vec::Vec<u8>,
        ) -> arbitrary::Result<()> {
            let kind = *from.choose(MessageKind::KNOWN)?;
            let mut body = alloc::vec::Vec::new();
            match kind {
                $(MessageKind::$kind => <$variant<'_>>::generate(from, &mut body)?,)*
                _ => body.extend(from.bytes(from.len().min(4))?),
            }
            to.append(&mut to_vec(&kind));
            put_sized(&body, to);
            Ok(())
        }
    };
}
#[cfg(feature = "arbitrary")]
with_payloads!(arbitrary_payloads);

#[cfg(feature = "serde")]
#[allow(unreachable_pub)] // what `wire!` declares is public
mod serde {
    use serde_core::{Serialize, Serializer};

    use super::*;
    use crate::wire::serde::Raw;
    use crate::wire::{encoded_len, wire};

    wire! {
        /// A payload of a kind that this version does not know, where a format is human-readable.
        pub struct UnknownPayload<'a> {
            /// The kind.
            pub kind: MessageKind,
            /// The payload.
            pub bytes: &'a [u8],
        }
    }

    impl Serialize for Tagged<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if serializer.is_human_readable() {
                return self.0.serialize(serializer);
            }
            (self.0.kind(), encoded_len(&self.0) as u64, self.0).serialize(serializer)
        }
    }

    macro_rules! serde_payloads {
        ($($kind:ident => $variant:ident),* $(,)?) => {
            #[cfg(feature = "alloc")]
            pub(super) const TAGS: &[&str] = &[$(stringify!($variant),)* "Unknown"];

            impl Serialize for Payload<'_> {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let tagged = serializer.is_human_readable();
                    let number = u32::from(self.kind().0);
                    match self {
                        $(Self::$variant(it) if tagged => {
                            serializer.serialize_newtype_variant("Payload", number, stringify!($variant), it)
                        }
                        Self::$variant(it) => it.serialize(serializer),)*
                        &Self::Unknown(kind, bytes) if tagged => {
                            let unknown = UnknownPayload { kind, bytes };
                            serializer.serialize_newtype_variant("Payload", number, "Unknown", &unknown)
                        }
                        Self::Unknown(_, bytes) => Raw(bytes).serialize(serializer),
                    }
                }
            }

            #[cfg(feature = "alloc")]
            impl<'de> serde_core::de::Visitor<'de> for crate::wire::serde::FieldsOf<'_, Tagged<'_>> {
                type Value = ();

                fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    f.write_str("a payload, tagged with its kind")
                }

                fn visit_enum<A: serde_core::de::EnumAccess<'de>>(self, data: A) -> Result<(), A::Error> {
                    use crate::wire::serde::{FieldName, Transcode};
                    use serde_core::de::{Error as _, VariantAccess as _};
                    let (tag, payload) = data.variant_seed(FieldName(TAGS))?;
                    let (kind, body) = match tag {
                        $(stringify!($variant) => {
                            let body = payload.newtype_variant_seed(Transcode::<$variant<'_>>::NEW)?;
                            (MessageKind::$kind, body)
                        })*
                        _ => {
                            let parts = payload.newtype_variant_seed(Transcode::<UnknownPayload<'_>>::NEW)?;
                            let unknown = decode_body::<UnknownPayload<'_>>(&parts).map_err(A::Error::custom)?;
                            (unknown.kind, unknown.bytes.to_vec())
                        }
                    };
                    self.to.append(&mut to_vec(&kind));
                    put_sized(&body, self.to);
                    Ok(())
                }
            }
        };
    }
    with_payloads!(serde_payloads);
}
