//! Open enumerations: an integer with named constants. Unknown values are preserved and round-trip.

use core::fmt;

/// The string is neither a known name nor a decimal number in range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownName {
    /// The type, such as `Priority`.
    pub what: &'static str,
    /// The known names.
    pub expected: &'static [&'static str],
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} has this name; expected ", self.what)?;
        for name in self.expected {
            write!(f, "{name}, ")?;
        }
        f.write_str("or a number")
    }
}

impl core::error::Error for UnknownName {}

/// Parses what `Display` prints for an unnamed value: digits only, no sign, no leading zero.
pub(crate) fn plain_number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// Defines an open enumeration: `NAME = number, "name as printed";`, further spellings that parse after a `|`. On the wire
/// it is its number; where the feature `serde` meets a human-readable format, it is its name.
macro_rules! open_newtype {
    (
        $(#[$meta:meta])*
        pub struct $type:ident($repr:ty) {
            $($(#[$doc:meta])* $const:ident = $value:literal, $name:literal $(| $alias:literal)*;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $type(
            /// The number that travels.
            pub $repr,
        );

        impl $type {
            $($(#[$doc])* pub const $const: Self = Self($value);)+

            /// Every value that has a name, in ascending order.
            pub const KNOWN: &'static [Self] = &[$(Self($value)),+];

            /// The value's name, if it has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($name),)+
                    _ => None,
                }
            }

            /// The value with exactly this name (case counts).
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name $(| $alias)* => Some(Self::$const),)+
                    _ => None,
                }
            }

            /// Whether the value has a name here.
            #[must_use]
            pub const fn is_known(self) -> bool {
                self.name().is_some()
            }
        }

        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => core::fmt::Display::fmt(&self.0, f),
                }
            }
        }

        impl core::str::FromStr for $type {
            type Err = $crate::open::UnknownName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                const NAMES: &[&str] = &[$($name),+];
                Self::from_name(text)
                    .or_else(|| $crate::open::plain_number(text).map(Self))
                    .ok_or($crate::open::UnknownName { what: stringify!($type), expected: NAMES })
            }
        }

        $crate::wire::wire_number! { $type($repr) }

        #[cfg(feature = "serde")]
        impl serde_core::Serialize for $type {
            fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::wire::serde::serialize_named(self.name(), self.0, serializer)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde_core::Deserialize<'de> for $type {
            fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::wire::serde::NameOrNumber::<Self, $repr>::read(stringify!($type), deserializer)
            }
        }

        impl From<$repr> for $type {
            fn from(number: $repr) -> Self {
                Self(number)
            }
        }

        impl From<$type> for $repr {
            fn from(value: $type) -> Self {
                value.0
            }
        }
    };
}
pub(crate) use open_newtype;
