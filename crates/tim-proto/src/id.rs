//! Identifiers of users, groups, conversations and messages.
//!
//! An id is validated when it is made. Ids are stored inline, are `Copy`, ordered and hashable, compare case-sensitively, and
//! print as the string that they were parsed from.

use core::cmp::Ordering;
use core::fmt::{self, Write as _};
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use crate::wire::wire;

/// The longest user id, in bytes (native SDK error 7003 names the same limit).
pub const MAX_USER_ID_LEN: usize = 32;
/// The longest group id, in bytes.
pub const MAX_GROUP_ID_LEN: usize = 48;
/// What a group id made by the system starts with; a caller's own id may not (see [`GroupId::is_system_made`]).
pub const SYSTEM_GROUP_PREFIX: &str = "@TGS#";

const C2C_PREFIX: &str = "C2C";
const GROUP_PREFIX: &str = "GROUP";
const SYSTEM: &str = "@TIM#SYSTEM";

/// The string is not a valid identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The id is empty (also after a `C2C` or `GROUP` prefix).
    #[error("the id is empty")]
    Empty,
    /// The id is too long.
    #[error("the id has {len} bytes, at most {max} are allowed")]
    TooLong {
        /// How many bytes were given.
        len: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A byte outside printable ASCII (0x20 to 0x7e).
    #[error("byte {byte:#04x} at position {at} is not printable ASCII")]
    BadByte {
        /// Its position, counted from 0.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// The id begins or ends with a space.
    #[error("the id begins or ends with a space")]
    OuterSpace,
    /// A conversation id is `C2C` and a user id, `GROUP` and a group id, or `@TIM#SYSTEM`.
    #[error("a conversation id is C2C+user, GROUP+group or @TIM#SYSTEM")]
    UnknownPrefix,
}

/// Whether bytes are 1 to `max` of printable ASCII. Not generic, so that it is there once for all ids.
pub(crate) const fn check(source: &[u8], max: usize) -> Result<(), IdError> {
    if source.is_empty() {
        return Err(IdError::Empty);
    }
    if source.len() > max {
        return Err(IdError::TooLong {
            len: source.len(),
            max,
        });
    }
    let mut at = 0;
    while at < source.len() {
        let byte = source[at];
        if byte < 0x20 || byte > 0x7e {
            return Err(IdError::BadByte { at, byte });
        }
        at += 1;
    }
    Ok(())
}

/// As [`check`], and no space at either end: what a new id must be.
const fn check_new(source: &[u8], max: usize) -> Result<(), IdError> {
    match (check(source, max), source) {
        (Ok(()), [b' ', ..] | [.., b' ']) => Err(IdError::OuterSpace),
        (result, _) => result,
    }
}

/// Whether [`check`] lets bytes pass, in fewer steps.
#[inline]
pub(crate) fn is_good(source: &[u8], max: usize) -> bool {
    let odd = source
        .iter()
        .fold(false, |odd, byte| odd | !matches!(byte, 0x20..=0x7e));
    !odd && !source.is_empty() && source.len() <= max
}

/// Up to `N` bytes of printable ASCII, inline.
#[derive(Clone, Copy)]
struct Inline<const N: usize> {
    len: u8,
    bytes: [u8; N],
}

impl<const N: usize> Inline<N> {
    /// Of bytes that [`check`] lets pass.
    #[inline]
    const fn of_checked(source: &[u8]) -> Self {
        let mut inline = Self {
            len: source.len() as u8,
            bytes: [0; N],
        };
        let len = if source.len() < N { source.len() } else { N };
        let mut at = 0;
        while at < len {
            inline.bytes[at] = source[at];
            at += 1;
        }
        inline
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    fn as_str(&self) -> &str {
        // Checked ASCII at construction, so the fallback is never taken; it keeps a panic path out of the binary.
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }
}

/// Conversions and comparisons of an id and its string.
macro_rules! as_text {
    ($name:ident, $error:ty, |$id:ident, $text:ident| $equal:expr) => {
        impl TryFrom<&str> for $name {
            type Error = $error;
            fn try_from(text: &str) -> Result<Self, $error> {
                text.parse()
            }
        }
        #[cfg(feature = "alloc")]
        impl TryFrom<alloc::string::String> for $name {
            type Error = $error;
            fn try_from(text: alloc::string::String) -> Result<Self, $error> {
                text.parse()
            }
        }
        #[cfg(feature = "alloc")]
        impl From<$name> for alloc::string::String {
            fn from(id: $name) -> Self {
                alloc::string::ToString::to_string(&id)
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, $text: &str) -> bool {
                let $id = self;
                $equal
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, text: &&str) -> bool {
                *self == **text
            }
        }
        impl PartialEq<$name> for str {
            fn eq(&self, id: &$name) -> bool {
                *id == *self
            }
        }
        impl PartialEq<$name> for &str {
            fn eq(&self, id: &$name) -> bool {
                *id == **self
            }
        }
    };
}

/// Writes `len` bytes of ASCII by `write`, padded to the formatter's width.
fn pad(
    f: &mut fmt::Formatter<'_>,
    len: usize,
    write: impl Fn(&mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    let missing = f.width().unwrap_or(0).saturating_sub(len);
    let before = match f.align() {
        Some(fmt::Alignment::Right) => missing,
        Some(fmt::Alignment::Center) => missing / 2,
        _ => 0,
    };
    for _ in 0..before {
        f.write_char(f.fill())?;
    }
    write(f)?;
    for _ in before..missing {
        f.write_char(f.fill())?;
    }
    Ok(())
}

macro_rules! inline_id {
    ($(#[$doc:meta])* $name:ident, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name(Inline<{ $max }>);

        impl $name {
            /// The most bytes that an id of this kind can have.
            pub const MAX_LEN: usize = $max;

            /// Validates `text`; `const`, so a literal can be checked by the compiler.
            ///
            /// # Errors
            /// [`IdError::Empty`], [`IdError::TooLong`], [`IdError::BadByte`] or [`IdError::OuterSpace`].
            pub const fn new(text: &str) -> Result<Self, IdError> {
                match check_new(text.as_bytes(), $max) {
                    Ok(()) => Ok(Self::of_checked(text.as_bytes())),
                    Err(error) => Err(error),
                }
            }

            /// An id from a record, such as a store's. Like an id in a frame, it may begin or end with a space, as ids of old
            /// records do; see [`Self::is_well_formed`].
            ///
            /// # Errors
            /// As [`Self::new`], but for the space.
            pub const fn from_record(text: &str) -> Result<Self, IdError> {
                match check(text.as_bytes(), $max) {
                    Ok(()) => Ok(Self::of_checked(text.as_bytes())),
                    Err(error) => Err(error),
                }
            }

            /// Whether [`Self::new`] accepts the id. Only then may an account or a group be created under it.
            #[must_use]
            pub fn is_well_formed(&self) -> bool {
                check_new(self.0.as_bytes(), $max).is_ok()
            }

            /// The id of bytes that passed the check.
            #[inline]
            pub(crate) const fn of_checked(bytes: &[u8]) -> Self {
                Self(Inline::of_checked(bytes))
            }

            /// The id as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.as_bytes() == other.0.as_bytes()
            }
        }
        impl Eq for $name {}
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.as_bytes().cmp(other.0.as_bytes())
            }
        }
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                // As `str` hashes, so that `Borrow<str>` holds.
                self.as_str().hash(state);
            }
        }
        impl core::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        as_text! { $name, IdError, |id, text| id.as_str() == text }
    };
}

inline_id! {
    /// A user: 1 to 32 bytes of printable ASCII, without a space at either end.
    ///
    /// ```
    /// use tim_proto::UserId;
    /// let alice: UserId = "alice".parse()?;
    /// assert_eq!(alice.to_string(), "alice");
    /// assert!(UserId::new("").is_err());
    /// # Ok::<(), tim_proto::IdError>(())
    /// ```
    UserId, MAX_USER_ID_LEN
}

inline_id! {
    /// A group: 1 to 48 bytes of printable ASCII, without a space at either end.
    GroupId, MAX_GROUP_ID_LEN
}

impl UserId {
    /// The sender of system notices, `@TIM#SYSTEM`.
    pub const SYSTEM: Self = match Self::new(SYSTEM) {
        Ok(id) => id,
        Err(_) => panic!("checked by the compiler"),
    };
}

impl GroupId {
    /// Whether the id has the form that only the system hands out (`@TGS#…`).
    #[must_use]
    pub fn is_system_made(&self) -> bool {
        self.as_str().starts_with(SYSTEM_GROUP_PREFIX)
    }
}

/// The kinds of conversation, under the SDK's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConversationType {
    /// `CONV_C2C`: a conversation of two users.
    C2c,
    /// `CONV_GROUP`: a group.
    Group,
    /// `CONV_SYSTEM`: the system's notices to a user.
    System,
}

impl ConversationType {
    /// The SDK's constant: `C2C`, `GROUP` or `@TIM#SYSTEM`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::C2c => C2C_PREFIX,
            Self::Group => GROUP_PREFIX,
            Self::System => SYSTEM,
        }
    }
}

impl fmt::Display for ConversationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A conversation as one user names it: `C2C` and the peer, `GROUP` and the group, or `@TIM#SYSTEM`.
///
/// ```
/// use tim_proto::ConversationId;
/// let id: ConversationId = "C2Ctest".parse()?;
/// assert_eq!(id, ConversationId::C2c("test".parse()?));
/// assert_eq!(id.to_string(), "C2Ctest");
/// assert!("@TIM#SYSTEMx".parse::<ConversationId>().is_err());
/// # Ok::<(), tim_proto::IdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConversationId {
    /// The conversation with this user.
    C2c(UserId),
    /// The conversation of this group.
    Group(GroupId),
    /// The system's notices to the user.
    System,
}

impl ConversationId {
    /// The most bytes that a conversation id can have.
    pub const MAX_LEN: usize = GROUP_PREFIX.len() + MAX_GROUP_ID_LEN;

    /// Parses one of the three forms. A user id may itself start with `C2C` or `GROUP`: only the first prefix counts.
    ///
    /// # Errors
    /// [`IdError::UnknownPrefix`] for any other form, else what is wrong with the user or group id.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn new(text: &str) -> Result<Self, IdError> {
        Self::parse(text, check_new)
    }

    /// The conversation in a record. Its user or group id may begin or end with a space, as [`UserId::from_record`] says.
    ///
    /// # Errors
    /// As [`ConversationId::new`], but for the space.
    pub fn from_record(text: &str) -> Result<Self, IdError> {
        Self::parse(text, check)
    }

    #[inline(always)]
    fn parse(text: &str, check: impl Fn(&[u8], usize) -> Result<(), IdError>) -> Result<Self, IdError> {
        if text == SYSTEM {
            Ok(Self::System)
        } else if let Some(user) = text.as_bytes().strip_prefix(C2C_PREFIX.as_bytes()) {
            check(user, MAX_USER_ID_LEN).map_err(|error| error.behind(C2C_PREFIX.len()))?;
            Ok(Self::C2c(UserId::of_checked(user)))
        } else if let Some(group) = text.as_bytes().strip_prefix(GROUP_PREFIX.as_bytes()) {
            check(group, MAX_GROUP_ID_LEN).map_err(|error| error.behind(GROUP_PREFIX.len()))?;
            Ok(Self::Group(GroupId::of_checked(group)))
        } else if text.is_empty() {
            Err(IdError::Empty)
        } else {
            Err(IdError::UnknownPrefix)
        }
    }

    /// Which kind of conversation this is.
    #[must_use]
    pub const fn conversation_type(&self) -> ConversationType {
        match self {
            Self::C2c(_) => ConversationType::C2c,
            Self::Group(_) => ConversationType::Group,
            Self::System => ConversationType::System,
        }
    }

    /// The user or group id behind the prefix; empty for the system conversation.
    #[must_use]
    pub fn target(&self) -> &str {
        match self {
            Self::C2c(user) => user.as_str(),
            Self::Group(group) => group.as_str(),
            Self::System => "",
        }
    }
}

impl IdError {
    /// The same fault, with positions counted in the whole conversation id.
    const fn behind(self, prefix: usize) -> Self {
        match self {
            Self::BadByte { at, byte } => Self::BadByte {
                at: at + prefix,
                byte,
            },
            Self::TooLong { len, max } => Self::TooLong {
                len: len + prefix,
                max: max + prefix,
            },
            other => other,
        }
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, target) = (self.conversation_type().as_str(), self.target());
        pad(f, prefix.len() + target.len(), |f| {
            f.write_str(prefix)?;
            f.write_str(target)
        })
    }
}

impl FromStr for ConversationId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

as_text! { ConversationId, IdError, |id, text| {
    text.strip_prefix(id.conversation_type().as_str()) == Some(id.target())
} }

impl From<UserId> for ConversationId {
    fn from(user: UserId) -> Self {
        Self::C2c(user)
    }
}

impl From<GroupId> for ConversationId {
    fn from(group: GroupId) -> Self {
        Self::Group(group)
    }
}

wire! {
    closed;
    /// A message's id, known before it is sent and unchanged by resending: the sender's account number, the
    /// second it was created in, and a random number. Prints as the SDK does: `144115200000000001-1705307415-21123614`.
    #[derive(Debug, PartialOrd, Ord, Default)]
    pub struct MessageId {
        /// The sender's account number (`tinyID`), which the hub hands out at login.
        pub sender: u64,
        /// Unix time in seconds at which the sender created the message (`clientTime`).
        pub client_time: u64,
        /// The sender's random number.
        pub random: u32,
    }
}

impl MessageId {
    /// No id: all zero.
    pub const NONE: Self = Self {
        sender: 0,
        client_time: 0,
        random: 0,
    };
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = |number: u64| number.checked_ilog10().map_or(1, |log| log as usize + 1);
        let len = digits(self.sender) + digits(self.client_time) + digits(self.random.into()) + 2;
        pad(f, len, |f| {
            write!(f, "{}-{}-{}", self.sender, self.client_time, self.random)
        })
    }
}

as_text! { MessageId, MessageIdError, |id, text| text.parse() == Ok(*id) }

/// The string is no message id, which is three decimal numbers with hyphens between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message id is account-time-random, three decimal numbers")]
pub struct MessageIdError;

impl FromStr for MessageId {
    type Err = MessageIdError;
    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        fn number<T: FromStr + fmt::Display>(part: Option<&str>) -> Result<T, MessageIdError> {
            let part = part.ok_or(MessageIdError)?;
            let canonical =
                part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
            if !canonical {
                return Err(MessageIdError); // so that Display and FromStr are exact inverses
            }
            part.parse().map_err(|_| MessageIdError)
        }
        let mut parts = text.splitn(3, '-');
        Ok(Self {
            sender: number(parts.next())?,
            client_time: number(parts.next())?,
            random: number(parts.next())?,
        })
    }
}
