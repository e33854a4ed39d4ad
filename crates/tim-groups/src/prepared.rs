//! System entries: tips and notices, and the flags of entries.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use bytes::Bytes;
use tim_proto::MessageKind;
use tim_proto::message::MessageFlags;

/// An entry that the hub writes itself, in the name of [`UserId::SYSTEM`](tim_proto::UserId::SYSTEM): a tip or a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemEntry {
    /// When it was made, Unix time in seconds.
    pub client_time: u64,
    /// The random number of its id.
    pub random: u32,
    /// The message kind.
    pub kind: MessageKind,
    /// The flags.
    pub flags: EntryFlags,
    /// The encoded message.
    pub content: Bytes,
}

/// Flags of an entry. Unknown bits are preserved.
///
/// They have the numbers of the message's flags on the wire. [`SYSTEM`](Self::SYSTEM) and [`IMPORTED`](Self::IMPORTED) are not on the
/// wire.
///
/// ```
/// use tim_groups::EntryFlags;
/// let flags = EntryFlags::NO_UNREAD | EntryFlags::SYSTEM;
/// assert!(flags.contains(EntryFlags::SYSTEM));
/// assert_eq!(flags.on_wire(), tim_proto::message::MessageFlags::NO_UNREAD);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EntryFlags(u32);

impl EntryFlags {
    /// No flags.
    pub const NONE: Self = Self(0);
    /// The message was revoked and its content removed. Set by the store only.
    pub const REVOKED: Self = Self(MessageFlags::REVOKED.0);
    /// The entry does not count as unread.
    pub const NO_UNREAD: Self = Self(MessageFlags::NO_UNREAD.0);
    /// The entry neither becomes the conversation's last message nor moves it up the list.
    pub const NO_LAST: Self = Self(MessageFlags::NO_LAST.0);
    /// The message is one of another system, and was imported: nobody is notified of it.
    pub const IMPORTED: Self = Self(1 << 30);
    /// The hub wrote the entry (tip, notice, revocation). It cannot be revoked. Set by the store only.
    pub const SYSTEM: Self = Self(1 << 31);

    /// The flags with these bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Without the flags that are set by the store only.
    #[must_use]
    pub const fn chosen(self) -> Self {
        Self(self.0 & !(Self::REVOKED.0 | Self::SYSTEM.0))
    }

    /// The flags for the envelope of the message.
    #[must_use]
    pub const fn on_wire(self) -> MessageFlags {
        MessageFlags(self.0 & (Self::REVOKED.0 | Self::NO_UNREAD.0 | Self::NO_LAST.0))
    }
}

impl BitOr for EntryFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for EntryFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for EntryFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryFlags({:#x})", self.0)
    }
}
