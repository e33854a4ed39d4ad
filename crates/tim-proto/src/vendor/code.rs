//! Numeric error codes, as sent in responses and reported to the application.
//!
//! TIM's published codes are used where one applies. Other errors have codes of this project, from
//! [`ErrorCode::OWN_FIRST`] to [`ErrorCode::OWN_LAST`], a range that TIM does not use. The tables of names and texts
//! are linked only into programs that use them.

mod known;
mod names;

use core::fmt;

/// An error code. Unknown codes are preserved and displayed as numbers.
///
/// ```
/// use tim_proto::vendor::code::ErrorCode;
/// let code = ErrorCode::GROUP_PERMISSION_DENY;
/// assert_eq!(code.to_string(), "10007");
/// assert_eq!(code.name(), Some("ERR_SVR_GROUP_PERMISSION_DENY"));
/// assert_eq!(
///     code.explain().to_string(),
///     "10007 ERR_SVR_GROUP_PERMISSION_DENY: You lack the right to do this in the group; ask an admin or the owner.",
/// );
/// assert_eq!(ErrorCode(123_456_789).explain().to_string(), "123456789: Unknown error; ask whoever runs the server.");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ErrorCode(
    /// The number on the wire.
    pub u32,
);

impl ErrorCode {
    /// The first code of this project's range.
    pub const OWN_FIRST: Self = Self(200_001);
    /// The last code of this project's range.
    pub const OWN_LAST: Self = Self(200_999);

    /// Whether the code means success.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }

    /// Whether retrying the same request, unchanged, can succeed without intervention. The cause is temporary: the
    /// network, the load, or a server fault.
    ///
    /// A message is resent with the same id, so the hub does not store it twice. A retry does not help if the request
    /// is invalid, a permission is missing, the UserSig was rejected or the device was kicked out.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::COS_GET_SIG_FAIL
                | Self::MESSAGE_SEND_FAIL
                | Self::MESSAGE_REVOKE_FAIL
                | Self::MESSAGE_DELETE_FAIL
                | Self::MESSAGE_UNREAD_ALL_FAIL
                | Self::MESSAGE_AUDIO_UPLOAD_FAIL
                | Self::MESSAGE_VIDEO_UPLOAD_FAIL
                | Self::MESSAGE_FILE_UPLOAD_FAIL
                | Self::MESSAGE_MERGER_DOWNLOAD_FAIL
                | Self::JOIN_GROUP_FAIL
                | Self::NETWORK_ERROR
                | Self::NETWORK_TIMEOUT
                | Self::NO_NETWORK
                | Self::OVER_FREQUENCY_LIMIT
                | Self::GROUP_INTERNAL_ERROR
                | Self::GROUP_FREQ_LIMIT
                | Self::GROUP_SEND_MSG_FREQ_LIMIT
                | Self::MSG_NET_ERROR
                | Self::MSG_INTERNAL_ERROR1
                | Self::MSG_DEL_RAMBLE_INTERNAL_ERROR
                | Self::COMM_REST_FREQ_LIMIT
                | Self::COMM_REQUEST_TIMEOUT
                | Self::OPEN_SERVICE_OVERLOAD_ERROR
                | Self::ACCOUNT_FREQ_LIMIT
                | Self::ACCOUNT_INTERNAL_TIMEOUT
                | Self::STORAGE_FULL
                | Self::STORAGE_FAILED
                | Self::OUTCOME_UNKNOWN
                | Self::SERVER_SHUTTING_DOWN
                | Self::RATE_LIMITED
                | Self::OUTBOX_FULL
                | Self::TOO_MANY_REQUESTS_PENDING
                | Self::ACCOUNT_STORAGE_FULL
                | Self::TOO_MANY_UPLOADS
                | Self::FILE_STORE_FAILED
        )
    }

    /// Whether this code ends the session permanently when the hub sends it in the response to LOGIN or as the close
    /// reason: the UserSig is invalid, nobody can log in under this user id, or the device was kicked out. After any other code, a client reconnects
    /// automatically.
    #[must_use]
    pub const fn ends_session(self) -> bool {
        match self {
            Self::KICKED_OUT_MULT_DEVICE
            | Self::KICKED_OUT_MULT_ACCOUNT
            | Self::KICKED_OUT_USERSIG_EXPIRED
            | Self::KICKED_OUT_REST_API
            | Self::SDK_COMM_INVALID_IDENTIFIER
            | Self::MSG_INTERNAL_AUTH_FAILED => true,
            Self::ACCOUNT_FREQ_LIMIT | Self::ACCOUNT_INTERNAL_TIMEOUT => false,
            Self(code) => code >= 70_000 && code <= 79_999,
        }
    }

    /// Whether the code belongs to this project's range and not to TIM.
    #[must_use]
    pub const fn is_own(self) -> bool {
        self.0 >= Self::OWN_FIRST.0 && self.0 <= Self::OWN_LAST.0
    }

    /// TIM's name for the code: the web SDK's, or else the native SDK's. If TIM has none, the name of the constant in
    /// this crate.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        lookup(names::NAMES, self).or_else(|| lookup(Self::NAMED, self))
    }

    /// The cause and the remedy, in one English sentence. Codes without a text of their own have the text of their
    /// range.
    #[must_use]
    pub fn text(self) -> &'static str {
        lookup(known::TEXTS, self).unwrap_or_else(|| range_text(self.0))
    }

    /// Formats the number, name and text in one line.
    #[must_use]
    pub const fn explain(self) -> Explained {
        Explained(self)
    }
}

fn lookup(table: &[(ErrorCode, &'static str)], code: ErrorCode) -> Option<&'static str> {
    let at = table.binary_search_by_key(&code, |entry| entry.0).ok()?;
    table.get(at).map(|entry| entry.1)
}

/// The general text for the range that contains the code.
const fn range_text(code: u32) -> &'static str {
    match code {
        2000..=3999 => "The client library refused or failed the call; check its arguments and state.",
        6000..=9999 => {
            "The client library refused or failed the call (a native code); check its arguments and state."
        }
        10_100..=10_200 | 120_001..=130_000 => {
            "The application's own callback refused this; its makers define the code."
        }
        10_000..=11_999 => "The server refused a group operation.",
        20_000..=29_999 => "The server refused a message.",
        30_000..=39_999 => "The server refused an operation on friends.",
        40_000..=49_999 => "The server refused an operation on a profile.",
        50_000..=59_999 => "The server refused an operation on conversations.",
        60_000..=69_999 => "The server refused the request before looking at what it asks for.",
        70_000..=79_999 => "The server refused the account or its UserSig.",
        80_000..=89_999 => "The server refused the content.",
        90_000..=99_999 => "The server refused a REST request; check its fields.",
        114_000..=115_999 => "A file could not be transferred.",
        200_001..=200_999 => {
            "The tim server or library refused this with a code that is newer than this program."
        }
        _ => "Unknown error; ask whoever runs the server.",
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Omits the name, so that programs that log codes do not link the table of names.
        write!(f, "ErrorCode({})", self.0)
    }
}

impl core::str::FromStr for ErrorCode {
    type Err = core::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

crate::wire::wire_number! { ErrorCode(u32) }

impl From<u32> for ErrorCode {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl From<ErrorCode> for u32 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

/// Displays a code with its name and text. Created by [`ErrorCode::explain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained(ErrorCode);

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        if let Some(name) = self.0.name() {
            write!(f, " {name}")?;
        }
        write!(f, ": {}", self.0.text())
    }
}
