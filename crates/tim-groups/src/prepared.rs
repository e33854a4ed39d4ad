//! Entries that the hub writes.

use bytes::Bytes;

/// An entry that the hub writes itself, in the name of [`UserId::SYSTEM`](tim_proto::UserId::SYSTEM).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The second in which it was made.
    pub client_time: u64,
    /// A random number.
    pub random: u32,
    /// The message kind's number.
    pub kind: u16,
    /// [`flags`](flags).
    pub flags: u32,
    /// The encoded message.
    pub content: Bytes,
}

/// Bits of an entry's flags. Unknown bits are kept.
pub mod flags {
    /// The message was revoked and its content removed. Set by the store only.
    pub const REVOKED: u32 = 1;
    /// The entry counts as unread for nobody.
    pub const NO_UNREAD: u32 = 2;
    /// The entry neither becomes the conversation's last message nor moves it up the list.
    pub const NO_LAST: u32 = 4;
    /// The hub wrote it (tip, notice, revocation): nobody can revoke it. Set by the store only.
    pub const SYSTEM: u32 = 8;
    /// The bits that the store sets and a writer cannot.
    pub const OWN: u32 = REVOKED | SYSTEM;
}
