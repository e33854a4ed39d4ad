//! What administrators of the application ask of groups: all of them, what has happened in one, imported messages.

use bytes::Bytes;
use tim_groups::{EntryFlags, Group};
use tim_proto::{GroupId, GroupType, MessageId, MessageKind, UserId};

use super::Fingerprint;

/// The most messages of an import.
pub const MAX_IMPORT: usize = 20;
/// The largest unread count that can be set.
pub const MAX_SET_UNREAD: u64 = 10_000;

/// A request for a page of all groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllGroupsRequest {
    /// Only groups of this type.
    pub group_type: Option<GroupType>,
    /// [`AllGroups::next`] of the page before it; 0 for the first page.
    pub after: u64,
    /// The most groups, at least 1.
    pub limit: usize,
}

/// A page of all groups, in the order of their creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllGroups {
    /// The groups.
    pub groups: Vec<GroupId>,
    /// How many there are of the type, on all pages.
    pub total: u64,
    /// Where the next page begins; `None` if this is the last one.
    pub next: Option<u64>,
}

/// A group, and what has happened in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatus {
    /// The group.
    pub group: Group,
    /// The sequence of the newest entry of any kind; 0 if there is none.
    pub head_sequence: u64,
    /// The smallest sequence that the log still has.
    pub first_kept: u64,
    /// When the newest entry was stored, Unix time in milliseconds; 0 if there is none, or it was purged.
    pub last_ms: u64,
    /// How often the profile was changed.
    pub profile_changes: u64,
    /// When the profile was changed last, Unix time in milliseconds; at first when the group was created.
    pub profile_ms: u64,
}

/// Messages of a group from another system. Their senders need not be members.
#[derive(Debug, Clone)]
pub struct ImportMessages {
    /// The group.
    pub group: GroupId,
    /// The messages, oldest first, at most [`MAX_IMPORT`]; further ones are refused.
    pub messages: Vec<ImportedMessage>,
}

/// A message from another system.
#[derive(Debug, Clone)]
pub struct ImportedMessage {
    /// The sender, who must have an account.
    pub sender: UserId,
    /// The message id. `id.sender` must be the sender's account number.
    pub id: MessageId,
    /// Distinguishes this message from others with the same id.
    pub fingerprint: Fingerprint,
    /// When it was sent, Unix time in milliseconds: not before the group was created or its newest entry was stored, to the second,
    /// and not in the future.
    pub time_ms: u64,
    /// The message kind.
    pub kind: MessageKind,
    /// The flags.
    pub flags: EntryFlags,
    /// The encoded message.
    pub content: Bytes,
}
