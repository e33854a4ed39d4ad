//! Why a document was refused, and where in it the fault is.

use serde_json::Value;

use crate::object::At;

/// A document was refused. The fault is in the document; nothing was taken from it.
///
/// ```
/// use tim_json::{Element, Json, Spelling};
///
/// let json = br#"[{"MsgType": "TIMTextElem", "MsgContent": {"Text": 5}}]"#;
/// let error = Vec::<Element>::from_slice(json, Spelling::Rest).unwrap_err();
/// assert_eq!(error.path(), "[0].MsgContent.Text");
/// assert_eq!(error.to_string(), "at [0].MsgContent.Text: expected a string, found a number");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{fault}", prefix(.path))]
pub struct Error {
    path: Box<str>,
    fault: Fault,
}

impl Error {
    /// Where the fault is: the keys and indexes from the outside to it, such as `MsgBody[0].MsgContent.Text`. Empty for the
    /// whole document.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong there.
    #[must_use]
    pub const fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The same for a document that stands at `outer` in a larger one.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{outer}{dot}{}", self.path).into();
        self
    }
}

fn prefix(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!("at {path}: "),
    }
}

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is no JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// There is a value of another type.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A field that must be there is missing or null.
    #[error("missing; expected {expected}")]
    Missing {
        /// What belongs there.
        expected: &'static str,
    },
    /// A limit of [`crate::limits`] is exceeded.
    #[error("{is} {what}; at most {most} are read")]
    OverLimit {
        /// What there is too much of.
        what: &'static str,
        /// How much there is, as far as it was counted.
        is: usize,
        /// The limit.
        most: usize,
    },
    /// The value is well-formed, but tim has no message with it.
    #[error("tim cannot send this: {0}")]
    NotSendable(String),
}

impl Fault {
    pub(crate) const fn over(what: &'static str, is: usize, most: usize) -> Self {
        Self::OverLimit { what, is, most }
    }

    pub(crate) const fn expected(expected: &'static str, found: &Value) -> Self {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        Self::Expected { expected, found }
    }

    pub(crate) fn at(self, at: &At<'_>) -> Error {
        Error {
            path: at.to_string().into(),
            fault: self,
        }
    }

    pub(crate) fn at_path(self, path: impl Into<Box<str>>) -> Error {
        Error {
            path: path.into(),
            fault: self,
        }
    }
}
