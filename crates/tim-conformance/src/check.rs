//! What a check returns, and the assertions that it is written with.

use std::fmt::{self, Display};
use std::io;

use tim_client::ImError;
use tim_client::proto::IdError;

/// `Ok` says what was shown.
pub(crate) type Verdict = Result<String, Stop>;

/// Why a check ended without showing that its row is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The row is broken.
    Fail(String),
    /// The row cannot be decided on this target.
    NotApplicable(String),
    /// What the row asks for is missing.
    #[allow(dead_code)] // for rows of what does not exist yet
    NotBuilt(String),
}

impl Stop {
    pub(crate) fn fail(why: impl Display) -> Self {
        Self::Fail(why.to_string())
    }
}

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail(text) | Self::NotApplicable(text) | Self::NotBuilt(text) => f.write_str(text),
        }
    }
}

macro_rules! fails_with {
    ($($error:ty: $what:literal),+ $(,)?) => {
        $(impl From<$error> for Stop {
            fn from(error: $error) -> Self {
                Self::Fail(format!("{}: {error}", $what))
            }
        })+
    };
}

fails_with! {
    ImError: "a call failed",
    IdError: "an id was refused",
    io::Error: "the connection failed",
    serde_json::Error: "the data of the suite are damaged",
}

/// Fails the check unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::check::Stop::Fail(format!($($text)+)));
        }
    };
}
pub(crate) use ensure;

/// Fails the check unless both are equal.
macro_rules! ensure_eq {
    ($is:expr, $wanted:expr, $($text:tt)+) => {
        match (&$is, &$wanted) {
            (is, wanted) => {
                if *is != *wanted {
                    let what = format!($($text)+);
                    return Err($crate::check::Stop::Fail(format!("{what}: {is:?}, expected {wanted:?}")));
                }
            }
        }
    };
}
pub(crate) use ensure_eq;

/// Fails the check unless the call was refused with one of the codes.
pub(crate) fn ensure_refused<T>(
    result: Result<T, ImError>,
    codes: &[tim_client::ErrorCode],
    what: &str,
) -> Result<ImError, Stop> {
    match result {
        Ok(_) => Err(Stop::Fail(format!("{what} succeeded"))),
        Err(error) if codes.is_empty() || codes.contains(&error.code) => Ok(error),
        Err(error) => Err(Stop::Fail(format!(
            "{what} was refused with {error}, expected {codes:?}"
        ))),
    }
}
