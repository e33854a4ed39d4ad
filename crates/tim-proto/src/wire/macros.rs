//! [`wire!`], which declares a body: the list of fields is written once, and all that depends on it is generated.
//!
//! A declaration yields the struct with `Clone`, `Copy`, `PartialEq`, `Eq` and `Hash`; its constructors; its `FIELDS` for
//! tools; `Encode` and `Decode`; with the feature `serde`, `Serialize` and `Deserialize`; with the feature `arbitrary`,
//! `Arbitrary`. The order of the fields is the wire format.
//!
//! A field is an argument of `new`, unless it is declared with a default and the name of its setter:
//! `pub count: u16 = 0 => with_count`. The setter of an `Option` takes the value. So a body that gains fields breaks no
//! program that makes one.
//!
//! A body whose last field runs to the end of the body is declared with `open_ended;` before it. It cannot be told from
//! what follows it in a stream of values, so it has no `Deserialize`: it is decoded from its bytes. A body that never gains
//! a field is declared with `closed;` and made by its fields.

/// Declares a body, see the module.
macro_rules! wire {
    (closed; $(#[$meta:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        $crate::wire::declare! { $(#[$meta])* pub struct $name { $($fields)* } }
    };
    (open_ended; $(#[$meta:meta])* pub struct $name:ident<$lt:lifetime> { $($fields:tt)* }) => {
        $crate::wire::declare! { open_ended; #[non_exhaustive] $(#[$meta])* pub struct $name<$lt> { $($fields)* } }
        $crate::wire::constructors! { $name [<$lt>] [] [] [] $($fields)* }
    };
    ($(#[$meta:meta])* pub struct $name:ident $(<$lt:lifetime>)? { $($fields:tt)* }) => {
        $crate::wire::declare! { #[non_exhaustive] $(#[$meta])* pub struct $name $(<$lt>)? { $($fields)* } }
        $crate::wire::constructors! { $name [$(<$lt>)?] [] [] [] $($fields)* }
    };
    ($(#[$meta:meta])* pub struct $name:ident;) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name;
        $crate::wire::body! { $name, 'a, $name, $name, {} }
        #[cfg(feature = "serde")]
        $crate::wire::deserialize! { $name, ['de], $name, {} }
    };
}
pub(crate) use wire;

/// The struct of a body, and what [`body!`] generates for it.
macro_rules! declare {
    (
        open_ended;
        $(#[$meta:meta])*
        pub struct $name:ident<$lt:lifetime> {
            $($(#[$doc:meta])* pub $field:ident: $ty:ty $(= $default:expr => $with:ident)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name<$lt> { $($(#[$doc])* pub $field: $ty,)+ }
        $crate::wire::body! { $name, $lt, $name<$lt>, $name<'_>, { $($field: $ty),+ } }
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident<$lt:lifetime> {
            $($(#[$doc:meta])* pub $field:ident: $ty:ty $(= $default:expr => $with:ident)?),+ $(,)?
        }
    ) => {
        $crate::wire::declare! {
            open_ended;
            $(#[$meta])*
            pub struct $name<$lt> { $($(#[$doc])* pub $field: $ty),+ }
        }
        #[cfg(feature = "serde")]
        $crate::wire::deserialize! { $name, ['de: $lt, $lt], $name<$lt>, { $($field: $ty),+ } }
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* pub $field:ident: $ty:ty $(= $default:expr => $with:ident)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name { $($(#[$doc])* pub $field: $ty,)+ }
        $crate::wire::body! { $name, 'a, $name, $name, { $($field: $ty),+ } }
        #[cfg(feature = "serde")]
        $crate::wire::deserialize! { $name, ['de], $name, { $($field: $ty),+ } }
    };
}
pub(crate) use declare;

/// `new` and the setters of a body. It sorts the fields, one in each step, into three lists: arguments of `new`, defaults,
/// and setters.
macro_rules! constructors {
    (
        $name:ident [$($generics:tt)*]
        [$($arg:ident: $arg_ty:ty,)*]
        [$($field:ident = $default:expr,)*]
        [$($with:ident($set:ident: $set_ty:ty = $otherwise:expr) $value:expr,)*]
    ) => {
        #[allow(dead_code)] // of bodies that are not public
        impl $($generics)* $name $($generics)* {
            #[doc = concat!("Makes a `", stringify!($name), "`. What is not an argument has its default and a `with_` method.")]
            #[must_use]
            #[inline]
            pub const fn new($($arg: $arg_ty),*) -> Self {
                Self { $($arg,)* $($field: $default,)* }
            }

            $(
                #[doc = concat!(
                    "Sets [`", stringify!($name), "::", stringify!($set), "`], which is otherwise `", stringify!($otherwise), "`."
                )]
                #[must_use]
                #[inline]
                pub const fn $with(mut self, $set: $set_ty) -> Self {
                    self.$set = $value;
                    self
                }
            )*
        }
    };
    (
        $name:ident $generics:tt $args:tt [$($defaults:tt)*] [$($setters:tt)*]
        $(#[$doc:meta])* pub $field:ident: Option<$ty:ty> = None => $with:ident, $($rest:tt)*
    ) => {
        $crate::wire::constructors! {
            $name $generics $args
            [$($defaults)* $field = None,]
            [$($setters)* $with($field: $ty = None) Some($field),]
            $($rest)*
        }
    };
    (
        $name:ident $generics:tt $args:tt [$($defaults:tt)*] [$($setters:tt)*]
        $(#[$doc:meta])* pub $field:ident: $ty:ty = $default:expr => $with:ident, $($rest:tt)*
    ) => {
        $crate::wire::constructors! {
            $name $generics $args
            [$($defaults)* $field = $default,]
            [$($setters)* $with($field: $ty = $default) $field,]
            $($rest)*
        }
    };
    (
        $name:ident $generics:tt [$($args:tt)*] $defaults:tt $setters:tt
        $(#[$doc:meta])* pub $field:ident: $ty:ty, $($rest:tt)*
    ) => {
        $crate::wire::constructors! { $name $generics [$($args)* $field: $ty,] $defaults $setters $($rest)* }
    };
}
pub(crate) use constructors;

/// What [`wire!`] generates for every body: `$own` is the type with the lifetime `$lt`, `$any` the type with any.
macro_rules! body {
    ($name:ident, $lt:lifetime, $own:ty, $any:ty, { $($field:ident: $ty:ty),* }) => {
        impl $any {
            /// The names of the fields, in the order of the wire.
            #[allow(dead_code)] // of a body that is private
            pub const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
        }

        impl $crate::wire::Encode for $any {
            #[inline]
            #[allow(unused_variables)] // without fields
            fn encode(&self, writer: &mut $crate::wire::Writer<'_>) {
                $($crate::wire::Encode::encode(&self.$field, writer);)*
            }
        }

        impl<$lt> $crate::wire::Read<$lt> for $own {
            #[inline]
            #[allow(unused_variables)] // without fields
            fn read(reader: &mut $crate::wire::Reader<$lt>) -> Self {
                Self { $($field: $crate::wire::Read::read(reader)),* }
            }

            $crate::wire::features! {
                from, to:
                serde $crate::wire::transcode_fields!($name, from, to),
                arbitrary {
                    $(<$ty as $crate::wire::Read<$lt>>::generate(from, to)?;)*
                    Ok(())
                }
            }
        }

        #[cfg(all(feature = "serde", feature = "alloc"))]
        $crate::wire::visit_fields! { $name, $lt, $own, { $($field: $ty),* } }

        #[cfg(feature = "serde")]
        $crate::wire::serialize! { $name, $any, { $($field),* } }

        #[cfg(feature = "arbitrary")]
        impl<$lt> arbitrary::Arbitrary<$lt> for $own {
            #[allow(unused_variables)] // without fields
            fn arbitrary(from: &mut arbitrary::Unstructured<$lt>) -> arbitrary::Result<Self> {
                Ok(Self { $($field: arbitrary::Arbitrary::arbitrary(from)?),* })
            }
        }
    };
}
pub(crate) use body;

/// The methods of [`Read`](super::Read) for the features: both append the bytes of a value, from its serde form and from a
/// fuzzer's input.
macro_rules! features {
    ($from:ident, $to:ident: serde $transcode:expr, arbitrary $generate:expr $(,)?) => {
        #[cfg(all(feature = "serde", feature = "alloc"))]
        fn transcode<'de, D: serde_core::Deserializer<'de>>(
            $from: D,
            $to: &mut alloc::vec::Vec<u8>,
        ) -> Result<(), D::Error> {
            $transcode
        }

        #[cfg(feature = "arbitrary")]
        #[allow(unused_variables)] // a body without fields
        fn generate(
            $from: &mut arbitrary::Unstructured<'_>,
            $to: &mut alloc::vec::Vec<u8>,
        ) -> arbitrary::Result<()> {
            $generate
        }
    };
}
pub(crate) use features;

/// Writes a body's bytes from the serde form of its fields.
#[cfg(all(feature = "serde", feature = "alloc"))]
macro_rules! transcode_fields {
    ($name:ident, $from:ident, $to:ident) => {
        $from.deserialize_struct(
            stringify!($name),
            Self::FIELDS,
            $crate::wire::serde::FieldsOf::<Self>::new($to),
        )
    };
}
#[cfg(all(feature = "serde", feature = "alloc"))]
pub(crate) use transcode_fields;

/// `Serialize`: a struct of these fields.
#[cfg(feature = "serde")]
macro_rules! serialize {
    ($name:ident, $any:ty, { $($field:ident),* }) => {
        impl serde_core::Serialize for $any {
            fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde_core::ser::SerializeStruct as _;
                const FIELDS: &[&str] = &[$(stringify!($field)),*];
                #[allow(unused_mut)] // without fields
                let mut fields = serializer.serialize_struct(stringify!($name), FIELDS.len())?;
                $(fields.serialize_field(stringify!($field), &$crate::wire::serde::Field(&self.$field))?;)*
                fields.end()
            }
        }
    };
}
#[cfg(feature = "serde")]
pub(crate) use serialize;

/// What [`transcode_fields!`] visits a body with. Fields may come in any order, as in JSON.
#[cfg(all(feature = "serde", feature = "alloc"))]
macro_rules! visit_fields {
    ($name:ident, $lt:lifetime, $own:ty, { $($field:ident: $ty:ty),* }) => {
        impl<'de, $lt> serde_core::de::Visitor<'de> for $crate::wire::serde::FieldsOf<'_, $own> {
            type Value = ();

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!("the fields of ", stringify!($name)))
            }

            fn visit_map<A: serde_core::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                use $crate::wire::serde as this;
                $(let mut $field = None;)*
                while let Some(name) = map.next_key_seed(this::FieldName(<$own>::FIELDS))? {
                    match name {
                        $(stringify!($field) => {
                            this::first(stringify!($field), &$field)?;
                            $field = Some(map.next_value_seed(this::Transcode::<$ty>::NEW)?);
                        })*
                        _ => {}
                    }
                }
                $(this::put_field::<$ty, A::Error>(stringify!($field), $field, self.to)?;)*
                Ok(())
            }
        }
    };
}
#[cfg(all(feature = "serde", feature = "alloc"))]
pub(crate) use visit_fields;

/// `Deserialize`, borrowing from the input. Fields that are not there are those of `default`, if it is given.
#[cfg(feature = "serde")]
macro_rules! deserialize {
    ($name:ident, [$($generics:tt)+], $own:ty, { $($field:ident: $ty:ty),* }) => {
        $crate::wire::deserialize! { $name, [$($generics)+], $own, { $($field: $ty),* }, None::<$own> }
    };
    ($name:ident, [$($generics:tt)+], $own:ty, { $($field:ident: $ty:ty),* }, $default:expr) => {
        impl<$($generics)+> serde_core::Deserialize<'de> for $own {
            fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let visitor = $crate::wire::serde::ValueOf::<$own>::NEW;
                deserializer.deserialize_struct(stringify!($name), &[$(stringify!($field)),*], visitor)
            }
        }

        impl<$($generics)+> serde_core::de::Visitor<'de> for $crate::wire::serde::ValueOf<$own> {
            type Value = $own;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!("the fields of ", stringify!($name)))
            }

            #[allow(unused_mut, unused_variables)] // without fields
            fn visit_seq<A: serde_core::de::SeqAccess<'de>>(self, mut seq: A) -> Result<$own, A::Error> {
                let default = $default;
                Ok($name {
                    $($field: $crate::wire::serde::Field::or(
                        seq.next_element()?,
                        default.map(|it| it.$field),
                        stringify!($field),
                    )?,)*
                })
            }

            #[allow(unused_variables)] // without fields
            fn visit_map<A: serde_core::de::MapAccess<'de>>(self, mut map: A) -> Result<$own, A::Error> {
                use $crate::wire::serde as this;
                $(let mut $field: Option<this::Field<$ty>> = None;)*
                while let Some(name) = map.next_key_seed(this::FieldName(&[$(stringify!($field)),*]))? {
                    match name {
                        $(stringify!($field) => {
                            this::first(stringify!($field), &$field)?;
                            $field = Some(map.next_value()?);
                        })*
                        _ => {}
                    }
                }
                let default = $default;
                Ok($name { $($field: this::Field::or($field, default.map(|it| it.$field), stringify!($field))?,)* })
            }
        }
    };
}
#[cfg(feature = "serde")]
pub(crate) use deserialize;

/// The methods of [`Read`](super::Read) for a type that owns its value: through `Deserialize` and `Arbitrary`.
macro_rules! owned {
    () => {
        $crate::wire::features! {
            from, to:
            serde {
                let value: Self = serde_core::Deserialize::deserialize(from)?;
                to.append(&mut $crate::message::to_vec(&value));
                Ok(())
            },
            arbitrary {
                let value: Self = arbitrary::Arbitrary::arbitrary(from)?;
                to.append(&mut $crate::message::to_vec(&value));
                Ok(())
            }
        }
    };
}
pub(crate) use owned;

/// A number with a type of its own: it travels as the number that it wraps.
macro_rules! wire_number {
    ($name:ident($repr:ty)) => {
        impl $crate::wire::Encode for $name {
            #[inline]
            fn encode(&self, writer: &mut $crate::wire::Writer<'_>) {
                $crate::wire::Encode::encode(&self.0, writer);
            }
        }

        impl<'a> $crate::wire::Read<'a> for $name {
            #[inline]
            fn read(reader: &mut $crate::wire::Reader<'a>) -> Self {
                Self($crate::wire::Read::read(reader))
            }

            $crate::wire::owned! {}
        }

        #[cfg(feature = "arbitrary")]
        impl<'a> arbitrary::Arbitrary<'a> for $name {
            fn arbitrary(from: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
                arbitrary::Arbitrary::arbitrary(from).map(Self)
            }
        }
    };
}
pub(crate) use wire_number;
