//! The flags of a message.

use core::fmt;
use core::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// A set of flags of a message. Bits without a name are preserved.
///
/// ```
/// use tim_proto::message::MessageFlags;
///
/// let flags = MessageFlags::REVOKED | MessageFlags::NO_LAST;
/// assert!(flags.contains(MessageFlags::REVOKED));
/// assert_eq!(flags.to_string(), "REVOKED | NO_LAST");
/// assert_eq!("REVOKED | NO_LAST".parse(), Ok(flags));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MessageFlags(
    /// The bits that travel.
    pub u32,
);

impl From<u32> for MessageFlags {
    fn from(bits: u32) -> Self {
        Self(bits)
    }
}

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal;)+) => {
        impl MessageFlags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)+

            /// The flags that have a name, with their names.
            pub const NAMED: &'static [(Self, &'static str)] = &[$((Self::$name, stringify!($name))),+];
        }
    };
}

flags! {
    /// The message was revoked by its sender or a manager of the group. The hub no longer has its content: the payload is
    /// empty, and [`Message::revoked_by`](super::Message::revoked_by) says who revoked it.
    REVOKED = 0;
    /// The message was passed on to those online and never stored.
    ONLINE_ONLY = 1;
    /// The message does not count as unread.
    NO_UNREAD = 2;
    /// The payload was left out because the frame would have been larger than the receiver takes; fetch it in pieces.
    STUB = 3;
    /// The message neither becomes its conversation's last message nor moves the conversation up the list.
    NO_LAST = 4;
}

impl MessageFlags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a flag of `other` is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no flag is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Sets the flags of `other`.
    pub const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Clears the flags of `other`.
    pub const fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

impl BitOr for MessageFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for MessageFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.insert(other);
    }
}

impl BitAnd for MessageFlags {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for MessageFlags {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl fmt::Display for MessageFlags {
    /// The names of the flags, with ` | ` between them, and bits without a name as one number. Nothing for no flag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = *self;
        let mut separator = "";
        for (flag, name) in Self::NAMED {
            if rest.contains(*flag) {
                write!(f, "{separator}{name}")?;
                rest.remove(*flag);
                separator = " | ";
            }
        }
        if !rest.is_empty() {
            write!(f, "{separator}{:#x}", rest.0)?;
        }
        Ok(())
    }
}

impl fmt::Debug for MessageFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageFlags({self})")
    }
}

impl core::str::FromStr for MessageFlags {
    type Err = crate::UnknownName;

    /// Parses what `Display` prints.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = crate::UnknownName {
            what: "MessageFlags",
            expected: &["REVOKED", "ONLINE_ONLY", "NO_UNREAD", "STUB", "NO_LAST"],
        };
        let mut flags = Self::NONE;
        if text.is_empty() {
            return Ok(flags);
        }
        for part in text.split('|').map(str::trim) {
            let named = Self::NAMED.iter().find(|(_, name)| *name == part);
            let flag = match (named, part.strip_prefix("0x")) {
                (Some((flag, _)), _) => Some(*flag),
                (None, Some(hex)) if hex.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                    u32::from_str_radix(hex, 16).ok().map(Self)
                }
                (None, Some(_)) => None,
                (None, None) => crate::open::plain_number(part).map(Self),
            };
            flags.insert(flag.ok_or(unknown)?);
        }
        Ok(flags)
    }
}

crate::wire::wire_number! { MessageFlags(u32) }
