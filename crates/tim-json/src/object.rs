//! JSON objects with the vendor's two sets of names: [`object!`] declares the fields once.
#![allow(unreachable_pub)] // `Field` is the sealed half of `Json`

use std::fmt;

use serde_json::{Map, Value};

use crate::Spelling;
use crate::error::{Error, Fault};
use crate::limits::MAX_LIST_ITEMS;

/// The longest part of a key that an error's path shows.
const MAX_SHOWN_KEY: usize = 64;

/// A place in a document.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    outer: Option<&'a Self>,
    step: Step<'a>,
    depth: usize,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl At<'_> {
    /// The whole document.
    pub const ROOT: Self = At {
        outer: None,
        step: Step::Root,
        depth: 0,
    };

    /// How many arrays and objects are around it.
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// A member of the object here.
    pub const fn key<'a>(&'a self, key: &'a str) -> At<'a> {
        self.inner(Step::Key(key))
    }

    /// An item of the array here.
    pub const fn index(&self, index: usize) -> At<'_> {
        self.inner(Step::Index(index))
    }

    const fn inner<'a>(&'a self, step: Step<'a>) -> At<'a> {
        At {
            outer: Some(self),
            step,
            depth: self.depth + 1,
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = self.outer {
            outer.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Key(key) => {
                if self.depth > 1 {
                    f.write_str(".")?;
                }
                key.chars()
                    .take(MAX_SHOWN_KEY)
                    .try_for_each(|c| fmt::Write::write_char(f, c))
            }
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A value of a document in either spelling.
pub trait Field: Sized {
    /// What it is, for errors.
    const WHAT: &'static str;
    /// The spelling of `Serialize` and `Deserialize`.
    const NATURAL: Spelling = Spelling::Rest;

    /// Takes it from a document.
    ///
    /// # Errors
    /// [`Error`] with the path.
    fn read(value: Value, spelling: Spelling, at: &At<'_>) -> Result<Self, Error>;

    /// As a document.
    fn write(&self, spelling: Spelling) -> Value;

    /// As a field of an object, unless it is left out.
    fn write_field(&self, spelling: Spelling) -> Option<Value> {
        Some(self.write(spelling))
    }
}

impl<T: Field> Field for Option<T> {
    const WHAT: &'static str = T::WHAT;

    fn read(value: Value, spelling: Spelling, at: &At<'_>) -> Result<Self, Error> {
        T::read(value, spelling, at).map(Some)
    }

    fn write(&self, spelling: Spelling) -> Value {
        self.as_ref().map_or(Value::Null, |it| it.write(spelling))
    }

    fn write_field(&self, spelling: Spelling) -> Option<Value> {
        self.as_ref().map(|it| it.write(spelling))
    }
}

impl<T: Field> Field for Box<T> {
    const WHAT: &'static str = T::WHAT;
    const NATURAL: Spelling = T::NATURAL;

    fn read(value: Value, spelling: Spelling, at: &At<'_>) -> Result<Self, Error> {
        T::read(value, spelling, at).map(Self::new)
    }

    fn write(&self, spelling: Spelling) -> Value {
        (**self).write(spelling)
    }
}

impl<T: Field> Field for Vec<T> {
    const WHAT: &'static str = "an array";
    const NATURAL: Spelling = T::NATURAL;

    fn read(value: Value, spelling: Spelling, at: &At<'_>) -> Result<Self, Error> {
        let items = match value {
            Value::Array(items) => items,
            other => return Err(Fault::expected(Self::WHAT, &other).at(at)),
        };
        if items.len() > MAX_LIST_ITEMS {
            return Err(Fault::over("items", items.len(), MAX_LIST_ITEMS).at(at));
        }
        let items = items.into_iter().enumerate();
        items
            .map(|(index, item)| T::read(item, spelling, &at.index(index)))
            .collect()
    }

    fn write(&self, spelling: Spelling) -> Value {
        self.iter().map(|item| item.write(spelling)).collect()
    }
}

impl Field for String {
    const WHAT: &'static str = "a string";

    fn read(value: Value, _: Spelling, at: &At<'_>) -> Result<Self, Error> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(Fault::expected(Self::WHAT, &other).at(at)),
        }
    }

    fn write(&self, _: Spelling) -> Value {
        Value::String(self.clone())
    }
}

impl Field for Value {
    const WHAT: &'static str = "a value";

    fn read(value: Value, _: Spelling, _: &At<'_>) -> Result<Self, Error> {
        Ok(value)
    }

    fn write(&self, _: Spelling) -> Value {
        self.clone()
    }
}

/// A whole number that is not negative. Some languages write it with a fraction of zeros, which makes no difference in JSON.
pub fn whole(value: &Value) -> Option<u64> {
    // Two to the power of 64 is the first one that does not fit.
    let of_fraction =
        || without_fraction(value).filter(|it| (0.0..18_446_744_073_709_551_616.0).contains(it));
    value.as_u64().or_else(|| of_fraction().map(|it| it as u64))
}

fn signed(value: &Value) -> Option<i64> {
    let limit = 9_223_372_036_854_775_808.0;
    let of_fraction = || without_fraction(value).filter(|it| (-limit..limit).contains(it));
    value.as_i64().or_else(|| of_fraction().map(|it| it as i64))
}

fn without_fraction(value: &Value) -> Option<f64> {
    value.as_f64().filter(|it| it.fract() == 0.0)
}

/// Types that `serde_json` can tell from a value.
macro_rules! plain {
    ($($type:ty, $what:literal, |$value:ident| $get:expr;)+) => {$(
        impl Field for $type {
            const WHAT: &'static str = $what;

            fn read($value: Value, _: Spelling, at: &At<'_>) -> Result<Self, Error> {
                let read: Option<Self> = $get;
                read.ok_or_else(|| Fault::expected(Self::WHAT, &$value).at(at))
            }

            fn write(&self, _: Spelling) -> Value {
                Value::from(*self)
            }
        }
    )+};
}

plain! {
    bool, "a boolean", |value| value.as_bool();
    u32, "a whole number of 32 bits", |value| whole(&value).and_then(|it| it.try_into().ok());
    u64, "a whole number of 64 bits, not negative", |value| whole(&value);
    i64, "a whole number of 64 bits", |value| signed(&value);
    f64, "a number", |value| value.as_f64();
}

/// The name of a field in each spelling, by [`Spelling::index`]; empty where the spelling does not have it.
pub type Names = [&'static str; 2];

/// An object that is being read: fields are taken out of it, and what is left is unknown.
#[derive(Debug)]
pub struct Object<'a> {
    left: Map<String, Value>,
    spelling: Spelling,
    at: &'a At<'a>,
}

impl<'a> Object<'a> {
    /// The object here.
    pub fn open(value: Value, spelling: Spelling, at: &'a At<'a>) -> Result<Self, Error> {
        match value {
            Value::Object(left) => Ok(Self { left, spelling, at }),
            other => Err(Fault::expected("an object", &other).at(at)),
        }
    }

    /// The spelling.
    pub const fn spelling(&self) -> Spelling {
        self.spelling
    }

    /// Where it is.
    pub const fn at(&self) -> &'a At<'a> {
        self.at
    }

    /// A field that may be missing. Null stays among the unknown fields, so that it is not lost.
    pub fn may<T: Field>(&mut self, names: Names) -> Result<Option<T>, Error> {
        let name = names[self.spelling.index()];
        match self.left.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(_) if name.is_empty() => return Ok(None),
            Some(_) => {}
        }
        let value = self.left.remove(name).unwrap_or_default();
        T::read(value, self.spelling, &self.at.key(name)).map(Some)
    }

    /// A field that must be there.
    pub fn need<T: Field>(&mut self, names: Names) -> Result<T, Error> {
        let name = names[self.spelling.index()];
        let missing = || Fault::Missing { expected: T::WHAT }.at(&self.at.key(name));
        match self.may(names) {
            Ok(None) => Err(missing()),
            Ok(Some(it)) => Ok(it),
            Err(error) => Err(error),
        }
    }

    /// A field as it is, also null.
    pub fn raw(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name)
    }

    /// Leaves a field to the unknown ones after all.
    pub fn put_back(&mut self, name: &str, value: Value) {
        self.left.insert(name.to_owned(), value);
    }

    /// The unknown fields.
    pub fn left(self) -> Map<String, Value> {
        self.left
    }
}

/// Fields among those of the object around them.
pub trait Flat: Sized {
    /// Takes them.
    fn take(fields: &mut Object<'_>) -> Result<Self, Error>;
    /// Writes them.
    fn put(&self, spelling: Spelling, to: &mut Map<String, Value>);
}

/// Writes a field, unless this spelling does not have it.
pub fn put(value: &impl Field, names: Names, spelling: Spelling, to: &mut Map<String, Value>) {
    let name = names[spelling.index()];
    if let Some(value) = value.write_field(spelling).filter(|_| !name.is_empty()) {
        to.insert(name.to_owned(), value);
    }
}

/// The type of a field: `need` it, or `may` have it.
macro_rules! slot {
    (need $ty:ty) => { $ty };
    (may $ty:ty) => { Option<$ty> };
}
pub(crate) use slot;

/// The two names of a field.
macro_rules! names {
    ($both:literal) => {
        [$both, $both]
    };
    ($rest:literal $sdk:literal) => {
        [$rest, $sdk]
    };
}
pub(crate) use names;

/// Declares an object: its fields with the name in REST and the name in the SDK, one name if they are the same, and an empty one
/// where a spelling does not have the field. The fields of a `flat` value stand among the others.
macro_rules! object {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($natural:ident $(, flat $flat:ident: $flat_ty:ty)?) {
            $($(#[$doc:meta])* $field:ident: $ty:ty = $how:ident $rest:literal $(/ $sdk:literal)?;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Default)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$doc])* pub $field: $crate::object::slot!($how $ty),)*
            $(
                /// The type, with what it contains.
                pub $flat: $flat_ty,
            )?
            /// Fields that this version does not know, and those that are null.
            pub other: serde_json::Map<String, serde_json::Value>,
        }

        impl $crate::object::Field for $name {
            const WHAT: &'static str = "an object";
            const NATURAL: $crate::Spelling = $crate::Spelling::$natural;

            fn read(
                value: serde_json::Value,
                spelling: $crate::Spelling,
                at: &$crate::object::At<'_>,
            ) -> Result<Self, $crate::Error> {
                let mut fields = $crate::object::Object::open(value, spelling, at)?;
                Ok(Self {
                    $($field: fields.$how($crate::object::names!($rest $($sdk)?))?,)*
                    $($flat: $crate::object::Flat::take(&mut fields)?,)?
                    other: fields.left(),
                })
            }

            fn write(&self, spelling: $crate::Spelling) -> serde_json::Value {
                let mut to = self.other.clone();
                $(let names = $crate::object::names!($rest $($sdk)?);
                $crate::object::put(&self.$field, names, spelling, &mut to);)*
                $($crate::object::Flat::put(&self.$flat, spelling, &mut to);)?
                serde_json::Value::Object(to)
            }
        }

        $crate::object::serde_impls! { $name }
    };
}
pub(crate) use object;

/// `Serialize` and `Deserialize` in the natural spelling.
macro_rules! serde_impls {
    ($name:ident) => {
        impl serde_core::Serialize for $name {
            fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use $crate::object::Field;
                self.write(Self::NATURAL).serialize(serializer)
            }
        }

        impl<'de> serde_core::Deserialize<'de> for $name {
            fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use $crate::object::Field;
                let value = serde_core::Deserialize::deserialize(deserializer)?;
                <Self as $crate::Json>::from_value(value, Self::NATURAL)
                    .map_err(serde_core::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_impls;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        for (value, wanted) in [
            (json!(7), Some(7)),
            (json!(7.0), Some(7)),
            (json!(-0.0), Some(0)),
            (json!(1e19), Some(10_000_000_000_000_000_000)),
            (json!(u64::MAX), Some(u64::MAX)),
            (json!(18_446_744_073_709_551_616.0), None),
            (json!(7.5), None),
            (json!(-1), None),
            (json!(-1.0), None),
            (json!("7"), None),
        ] {
            assert_eq!(whole(&value), wanted, "{value}");
        }
        for (value, wanted) in [
            (json!(-7.0), Some(-7)),
            (json!(i64::MIN), Some(i64::MIN)),
            (json!(-9_223_372_036_854_775_808.0), Some(i64::MIN)),
            (json!(9_223_372_036_854_775_808.0), None),
            (json!(u64::MAX), None),
            (json!(0.5), None),
        ] {
            assert_eq!(signed(&value), wanted, "{value}");
        }
    }
}
