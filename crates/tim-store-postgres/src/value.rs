//! Values of parameters and columns. Integers and texts fit the types of columns as far as their values do.

use std::error::Error;
use std::fmt;

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// The value of a parameter.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Number(i64),
    Bytes(Vec<u8>),
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Number(number) => match *kind {
                Type::INT8 => out.put_i64(*number),
                Type::INT4 => out.put_i32((*number).try_into()?),
                Type::BOOL => out.put_u8(u8::from(*number != 0)),
                _ => return Err(format!("a number is no {kind}").into()),
            },
            Self::Bytes(bytes) => match *kind {
                Type::BYTEA | Type::TEXT | Type::VARCHAR => out.put_slice(bytes),
                _ => return Err(format!("a text is no {kind}").into()),
            },
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What is a value.
pub(super) trait ToValue {
    fn to_value(&self) -> Value;
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl ToValue for $number {
            fn to_value(&self) -> Value {
                Value::Number(i64::from(*self))
            }
        })*
    };
}

numbers!(bool, u8, u16, u32, i32, i64);

macro_rules! bytes {
    ($($bytes:ty),*) => {
        $(impl ToValue for $bytes {
            fn to_value(&self) -> Value {
                Value::Bytes(Vec::from(AsRef::<[u8]>::as_ref(self)))
            }
        })*
    };
}

bytes!(str, String, [u8], Vec<u8>, [u8; 16], bytes::Bytes);

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }
}

/// The values of all parameters.
pub(super) trait Values {
    fn values(self) -> Vec<Value>;
}

impl<T: ToValue, const N: usize> Values for [T; N] {
    fn values(self) -> Vec<Value> {
        self.iter().map(T::to_value).collect()
    }
}

impl<const N: usize> Values for &[&dyn ToValue; N] {
    fn values(self) -> Vec<Value> {
        self.iter().map(|value| value.to_value()).collect()
    }
}

impl Values for Vec<Value> {
    fn values(self) -> Vec<Value> {
        self
    }
}

/// Parameters of different types.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::value::ToValue),*]
    };
}
pub(super) use params;

/// The value of a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Raw<'a> {
    Null,
    Number(i64),
    Bytes(&'a [u8]),
}

impl fmt::Display for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Number(number) => number.fmt(f),
            Self::Bytes(bytes) => write!(f, "a value of {} bytes", bytes.len()),
        }
    }
}

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let number = match *kind {
            Type::INT8 => i64::from_be_bytes(raw.try_into()?),
            Type::INT4 => i32::from_be_bytes(raw.try_into()?).into(),
            Type::BOOL => i64::from(*raw.first().ok_or("no value")?),
            Type::BYTEA | Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN => {
                return Ok(Self::Bytes(raw));
            }
            _ => return Err(format!("{kind} is not used here").into()),
        };
        Ok(Self::Number(number))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What a column is read as. `None` if its value does not fit.
pub(super) trait FromValue: Sized {
    fn from_value(raw: Raw<'_>) -> Option<Self>;
}

macro_rules! from_numbers {
    ($($number:ty),*) => {
        $(impl FromValue for $number {
            fn from_value(raw: Raw<'_>) -> Option<Self> {
                match raw {
                    Raw::Number(number) => number.try_into().ok(),
                    _ => None,
                }
            }
        })*
    };
}

from_numbers!(u8, u16, u32, i64);

impl FromValue for bool {
    fn from_value(raw: Raw<'_>) -> Option<Self> {
        i64::from_value(raw).map(|number| number != 0)
    }
}

impl FromValue for Vec<u8> {
    fn from_value(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

impl FromValue for [u8; 16] {
    fn from_value(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Bytes(bytes) => bytes.try_into().ok(),
            _ => None,
        }
    }
}

impl FromValue for String {
    fn from_value(raw: Raw<'_>) -> Option<Self> {
        Vec::from_value(raw).and_then(|bytes| Self::from_utf8(bytes).ok())
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Null => Some(None),
            raw => T::from_value(raw).map(Some),
        }
    }
}
