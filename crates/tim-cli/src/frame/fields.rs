//! Values with names, in order, to print as JSON or indented.

use std::fmt::{self, Display, Write as _};

use crate::terminal::is_treacherous;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// A decoded value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shown {
    Text(String),
    Number(u64),
    Flag(bool),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Fields(Fields),
    Nothing,
}

/// Named values, in the order of the wire.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Fields(Vec<(&'static str, Shown)>);

impl Fields {
    /// No field yet.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The same fields and one more.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Shown>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// The same fields, and those of `more`.
    pub(crate) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// A field that prints itself.
    pub(crate) fn text(self, name: &'static str, value: impl Display) -> Self {
        self.with(name, value.to_string())
    }
}

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Shown {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<u64> for Shown {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}
impl From<u32> for Shown {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}
impl From<u16> for Shown {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}
impl From<u8> for Shown {
    fn from(number: u8) -> Self {
        Self::Number(number.into())
    }
}
impl From<bool> for Shown {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
impl From<&[u8]> for Shown {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}
impl From<Fields> for Shown {
    fn from(fields: Fields) -> Self {
        Self::Fields(fields)
    }
}
impl<T: Into<Self>> From<Vec<T>> for Shown {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}
impl<T: Into<Self>> From<Option<T>> for Shown {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Bytes(bytes) => serializer.serialize_str(&hex(bytes)),
            Self::List(list) => serializer.collect_seq(list),
            Self::Fields(fields) => fields.serialize(serializer),
            Self::Nothing => serializer.serialize_none(),
        }
    }
}

/// A field a line, indented by six columns and by two more a level.
impl Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_fields(f, self, 6)
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &Fields, indent: usize) -> fmt::Result {
    for (name, value) in &fields.0 {
        write!(f, "{:indent$}{name}:", "")?;
        write_value(f, value, indent)?;
    }
    Ok(())
}

fn write_value(f: &mut fmt::Formatter<'_>, value: &Shown, indent: usize) -> fmt::Result {
    match value {
        Shown::Text(text) => writeln!(f, " {}", Quoted(text)),
        Shown::Number(number) => writeln!(f, " {number}"),
        Shown::Flag(flag) => writeln!(f, " {flag}"),
        Shown::Bytes(bytes) if bytes.is_empty() => writeln!(f, " (no bytes)"),
        Shown::Bytes(bytes) => writeln!(f, " {} ({} bytes)", hex(bytes), bytes.len()),
        Shown::Nothing => writeln!(f, " (none)"),
        Shown::List(list) if list.is_empty() => writeln!(f, " (empty)"),
        Shown::List(list) => {
            writeln!(f)?;
            list.iter().try_for_each(|item| {
                write!(f, "{:1$}-", "", indent + 2)?;
                write_value(f, item, indent + 2)
            })
        }
        Shown::Fields(fields) => {
            writeln!(f)?;
            write_fields(f, fields, indent + 2)
        }
    }
}

/// Text as it is if that is safe and clear to print, else in quotes with escapes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = !self.0.is_empty()
            && self.0.trim() == self.0
            && !self.0.starts_with('"')
            && !self.0.chars().any(is_treacherous);
        if plain {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing into a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
