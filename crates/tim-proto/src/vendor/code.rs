//! The numeric error codes that travel in answers and that an application sees.
//!
//! TIM's published codes are used wherever one fits; where none does, this project has its own from
//! [`ErrorCode::OWN_FIRST`] to [`ErrorCode::OWN_LAST`], a range that TIM does not use. The program that does not ask for
//! names or texts does not contain them.

mod known;
mod names;

use core::fmt;

/// An error code: open, so a code that nobody here knows is carried on and shown as its number.
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
    /// The number that travels.
    pub u32,
);

impl ErrorCode {
    /// The first code of this project's own range.
    pub const OWN_FIRST: Self = Self(200_001);
    /// The last code of this project's own range.
    pub const OWN_LAST: Self = Self(200_999);

    /// Whether the code says that nothing is wrong.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }

    /// Whether repeating the same request, unchanged, can succeed without anybody doing anything: the network, the load
    /// or a fault of the server was in the way, and none of them lasts.
    ///
    /// A message is repeated with the same id, so one that was stored is not stored twice. Repeating never cures what is
    /// wrong with the request itself, the sender's rights, tickets (UserSig) and kicks.
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
        )
    }

    /// Whether a hub that says this to a login, or as its farewell, ends the session for good: the ticket is void, or
    /// somebody has thrown the device out. After any other code a client comes back by itself.
    #[must_use]
    pub const fn ends_session(self) -> bool {
        match self {
            Self::KICKED_OUT_MULT_DEVICE
            | Self::KICKED_OUT_MULT_ACCOUNT
            | Self::KICKED_OUT_USERSIG_EXPIRED
            | Self::KICKED_OUT_REST_API
            | Self::MSG_INTERNAL_AUTH_FAILED => true,
            Self::ACCOUNT_FREQ_LIMIT | Self::ACCOUNT_INTERNAL_TIMEOUT => false,
            Self(code) => code >= 70_000 && code <= 79_999,
        }
    }

    /// Whether the code is this project's own and not TIM's.
    #[must_use]
    pub const fn is_own(self) -> bool {
        self.0 >= Self::OWN_FIRST.0 && self.0 <= Self::OWN_LAST.0
    }

    /// TIM's name of the code (the web SDK's, else the native one), or else the constant's name here.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        lookup(names::NAMES, self).or_else(|| lookup(Self::NAMED, self))
    }

    /// What went wrong and what to do, in one English sentence. For a code without a sentence of its own, whatever its
    /// range tells.
    #[must_use]
    pub fn text(self) -> &'static str {
        lookup(known::TEXTS, self).unwrap_or_else(|| range_text(self.0))
    }

    /// Number, name and text in one line.
    #[must_use]
    pub const fn explain(self) -> Explained {
        Explained(self)
    }
}

fn lookup(table: &[(ErrorCode, &'static str)], code: ErrorCode) -> Option<&'static str> {
    let at = table.binary_search_by_key(&code, |entry| entry.0).ok()?;
    table.get(at).map(|entry| entry.1)
}

/// What the range of a code tells, coarse as it is.
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
        // Without the name, which would pull the table of names into every program that logs.
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

/// Prints a code with its name and text. From [`ErrorCode::explain`].
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
