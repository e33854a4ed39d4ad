//! The questions that the store answers.

use tim_proto::{ConversationId, GroupId, UserId};

use super::{Account, Entry, Group, LogKey, StoreError};

/// Reads. Each call is one snapshot: it sees every write that was answered before the call, and none halfway.
///
/// Calls are short (well below a millisecond for a page) but do block on the disk.
pub trait StoreReader: Send + Sync {
    /// The newest change number; 0 in an empty store. A new device's cursor.
    ///
    /// # Errors
    /// The store's, as for every call here.
    fn head_change(&self) -> Result<u64, StoreError>;

    /// A page of history, going back from `before` (S171 to S178). Revocation entries are left out; revoked messages
    /// are in it, flagged. A log that does not exist gives an empty, completed page.
    ///
    /// # Errors
    /// The store's.
    fn page(&self, request: &PageRequest) -> Result<Page, StoreError>;

    /// One entry; `None` if it never was, or is purged.
    ///
    /// # Errors
    /// The store's.
    fn entry(&self, log: &LogKey, sequence: u64) -> Result<Option<Entry>, StoreError>;

    /// What a user's conversations gained behind a cursor, oldest change first. Of a group only what came after joining.
    ///
    /// # Errors
    /// The store's.
    fn changes_since(&self, request: &ChangesRequest) -> Result<Changes, StoreError>;

    /// A user's conversations, newest first, at most `limit` (capped at
    /// [`MAX_CONVERSATIONS`](super::MAX_CONVERSATIONS), S188). Hidden ones, left groups, and those of which nothing is
    /// left after a purge (S191) are not in it.
    ///
    /// # Errors
    /// The store's.
    fn conversations(&self, user: &UserId, limit: usize) -> Result<Vec<Conversation>, StoreError>;

    /// One conversation of a user's, also a hidden one; `None` if the user takes no part in it or it does not exist.
    ///
    /// # Errors
    /// The store's.
    fn conversation(&self, user: &UserId, log: &LogKey) -> Result<Option<Conversation>, StoreError>;

    /// A group's profile.
    ///
    /// # Errors
    /// The store's.
    fn group(&self, group: &GroupId) -> Result<Option<Group>, StoreError>;

    /// A group's members, those of longest standing first; empty for no such group.
    ///
    /// # Errors
    /// The store's.
    fn members(&self, group: &GroupId) -> Result<Vec<Member>, StoreError>;

    /// One user's standing in a group; `None` for a non-member.
    ///
    /// # Errors
    /// The store's.
    fn membership(&self, group: &GroupId, user: &UserId) -> Result<Option<Membership>, StoreError>;

    /// The groups that a user is a member of.
    ///
    /// # Errors
    /// The store's.
    fn groups_of(&self, user: &UserId) -> Result<Vec<Group>, StoreError>;

    /// A user's account.
    ///
    /// # Errors
    /// The store's.
    fn account(&self, user: &UserId) -> Result<Option<Account>, StoreError>;

    /// Whether the user is a member of the group.
    ///
    /// # Errors
    /// The store's.
    fn is_member(&self, group: &GroupId, user: &UserId) -> Result<bool, StoreError> {
        Ok(self.membership(group, user)?.is_some())
    }
}

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Of which log.
    pub log: LogKey,
    /// Only entries below this sequence: the last page's [`Page::next`]. `None` starts at the newest.
    pub before: Option<u64>,
    /// Only entries above this sequence: 0, or [`Membership::joined_at`] to hide what was before.
    pub after: u64,
    /// The most entries; 0 is taken for 1.
    pub limit: usize,
    /// The most bytes of content; one entry is returned even if it alone has more.
    pub max_bytes: usize,
}

/// A page of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// The smallest sequence that the log still has; what lies below fell out of retention.
    pub first_kept: u64,
    /// There is nothing before this page.
    pub completed: bool,
    /// What to ask with for the page before this one.
    pub next: u64,
}

/// From where a user's device catches up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangesRequest {
    /// Whose device.
    pub user: UserId,
    /// It has everything up to and with this change. One beyond [`StoreReader::head_change`] is of another store (an
    /// older backup was restored): let the device start afresh.
    pub cursor: u64,
    /// The most entries; 0 is taken for 1.
    pub limit: usize,
    /// The most bytes of content; one entry is returned even if it alone has more.
    pub max_bytes: usize,
}

/// What a device missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// In the order of changes, revocation entries among them.
    pub entries: Vec<ChangeEntry>,
    /// What fell out of retention before the device came for it, each said once.
    pub gaps: Vec<Gap>,
    /// Whether there is more: ask again with the new cursor.
    pub more: bool,
    /// The device's cursor after this.
    pub cursor: u64,
}

/// An entry and its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeEntry {
    /// The log.
    pub log: LogKey,
    /// The entry.
    pub entry: Entry,
}

/// Entries of a log that are no more. The device may have some of them: those that it has are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The log.
    pub log: LogKey,
    /// The first sequence that is gone.
    pub from: u64,
    /// The last sequence that is gone.
    pub to: u64,
}

/// A conversation as one user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its log.
    pub log: LogKey,
    /// How this user names it.
    pub id: ConversationId,
    /// The newest message, flagged if revoked; no revocation entry, nothing flagged
    /// [`NO_LAST`](super::flags::NO_LAST). `None` if there is none, or it is purged.
    pub last: Option<Entry>,
    /// How many kept entries behind the read mark count: not the user's own, not those flagged
    /// [`NO_UNREAD`](super::flags::NO_UNREAD), not revoked ones.
    pub unread: u64,
    /// The read mark: everything up to and with this sequence is read.
    pub read_sequence: u64,
    /// The newest entry's sequence, whatever kind it is of.
    pub head_sequence: u64,
    /// The newest entry's change.
    pub head_change: u64,
    /// The smallest sequence that the log still has.
    pub first_kept: u64,
    /// Taken out of the user's list, and nothing new since.
    pub hidden: bool,
    /// Who or what is on the other side.
    pub about: About,
}

/// The other side of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum About {
    /// The peer.
    Peer(Account),
    /// The group, and the user's standing in it.
    Group(Group, Membership),
    /// The system.
    System,
}

/// A user's standing in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The [`role`](super::role).
    pub role: u16,
    /// When the user joined, unix time in milliseconds.
    pub joined_ms: u64,
    /// The head of the log at joining: what the user may see begins behind it.
    pub joined_at: u64,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub account: Account,
    /// In which standing.
    pub membership: Membership,
}
