//! The questions that the store answers.

use std::sync::Arc;

use tim_proto::conversation::AtInfo;
use tim_proto::{ConversationId, GroupId, MessageId, Role, UserId};

use tim_groups::{Group, Membership, Refused, Restriction};

use super::{Account, Entry, Epochs, Fingerprint, LogKey, StoreError, Stored};

/// Reads. Each call is one snapshot: it sees every write that was answered before the call, and none halfway.
///
/// Calls are short (well below a millisecond for a page) but do block on the disk.
pub trait StoreReader: Send + Sync {
    /// The newest change number; 0 in an empty store. Where a new device starts.
    ///
    /// # Errors
    /// The store's, as for every call here.
    fn head_change(&self) -> Result<u64, StoreError>;

    /// Has `told` called with each error after which the store is not to be trusted any more, as the writer tells of its own.
    fn on_fatal(&self, told: Box<dyn Fn(&StoreError) + Send + Sync>) {
        let _ = told; // a store in memory has none
    }

    /// The epochs of this store, the last one begun when it was opened: they make cursors of change numbers, and say where
    /// a device with a cursor goes on. They stay the same for as long as the store is open.
    fn epochs(&self) -> Arc<Epochs>;

    /// When the newest entry was stored, unix time in milliseconds; `None` if nothing was ever stored. It is the newest
    /// moment that the store has proof of.
    ///
    /// # Errors
    /// The store's.
    fn newest_time_ms(&self) -> Result<Option<u64>, StoreError>;

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

    /// What the store would say to a message with this id if it knows the id: where this same message was stored, or
    /// [`Refused::IdReused`] if another one was. `None` if nothing was, or the id is forgotten.
    ///
    /// # Errors
    /// The store's.
    fn stored(
        &self,
        log: &LogKey,
        sender: &UserId,
        id: &MessageId,
        fingerprint: Fingerprint,
    ) -> Result<Option<Result<Stored, Refused>>, StoreError>;

    /// What a user's conversations gained behind a cursor, oldest change first. Of a group only what came after joining.
    ///
    /// # Errors
    /// The store's.
    fn changes_since(&self, request: &ChangesRequest) -> Result<Changes, StoreError>;

    /// A page of a user's conversations, newest first, at most `limit` (capped at
    /// [`MAX_CONVERSATIONS`](super::MAX_CONVERSATIONS), S188). Hidden ones, left groups, and those of which nothing is
    /// left after a purge (S191) are not in it.
    ///
    /// # Errors
    /// The store's.
    fn conversations(
        &self,
        user: &UserId,
        after: Option<ListPosition>,
        limit: usize,
    ) -> Result<ConversationsPage, StoreError>;

    /// One conversation of a user's, also a hidden one; `None` if the user takes no part in it or it does not exist.
    ///
    /// # Errors
    /// The store's.
    fn conversation(&self, user: &UserId, log: &LogKey) -> Result<Option<Conversation>, StoreError>;

    /// A group's profile; `None` also for one that was dismissed.
    ///
    /// # Errors
    /// The store's.
    fn group(&self, group: &GroupId) -> Result<Option<Group>, StoreError>;

    /// A group's members, those of longest standing first; empty for no such group.
    ///
    /// # Errors
    /// The store's.
    fn members(&self, group: &GroupId) -> Result<Vec<Member>, StoreError>;

    /// A page of a group's members, those of longest standing first; empty for no such group. Who joins or leaves between
    /// two pages shifts nobody: each of the others comes once.
    ///
    /// # Errors
    /// The store's.
    fn members_page(&self, request: &MembersRequest) -> Result<MembersPage, StoreError>;

    /// A group's owner and admins, those of longest standing first.
    ///
    /// # Errors
    /// The store's.
    fn managers(&self, group: &GroupId) -> Result<Vec<Member>, StoreError>;

    /// A group with a user's standing in it, of one moment; the standing is `None` for a non-member.
    ///
    /// # Errors
    /// The store's.
    fn group_and_membership(
        &self,
        group: &GroupId,
        user: &UserId,
    ) -> Result<Option<(Group, Option<Membership>)>, StoreError>;

    /// What a user, member or not, may not do in a group; times in the past mean nothing.
    ///
    /// # Errors
    /// The store's.
    fn restriction(&self, group: &GroupId, user: &UserId) -> Result<Restriction, StoreError>;

    /// One user's standing in a group; `None` for a non-member.
    ///
    /// # Errors
    /// The store's.
    fn membership(&self, group: &GroupId, user: &UserId) -> Result<Option<Membership>, StoreError>;

    /// The groups that a user is a member of, by their ids.
    ///
    /// # Errors
    /// The store's.
    fn groups_of(&self, user: &UserId) -> Result<Vec<Group>, StoreError>;

    /// A page of the groups that a user is a member of, the oldest group first.
    ///
    /// # Errors
    /// The store's.
    fn groups_page(
        &self,
        user: &UserId,
        after: Option<ListPosition>,
        limit: usize,
    ) -> Result<GroupsPage, StoreError>;

    /// The accounts of those users who have one, in the order asked for.
    ///
    /// # Errors
    /// The store's.
    fn accounts(&self, users: &[UserId]) -> Result<Vec<Account>, StoreError>;

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
    /// It has everything up to and with this change, as [`Epochs::resume`](super::Epochs::resume) says. A change beyond
    /// [`StoreReader::head_change`] has nothing behind it.
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
    /// [`NO_LAST`](tim_groups::EntryFlags::NO_LAST). `None` if there is none, or it is purged.
    pub last: Option<Entry>,
    /// How many kept entries behind the read mark count: not the user's own, not those flagged
    /// [`NO_UNREAD`](tim_groups::EntryFlags::NO_UNREAD), not revoked ones.
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
    /// The newest messages behind the read mark that mention this user, at most [`MAX_AT`](super::MAX_AT), oldest first.
    /// Not the user's own, and no revoked ones; of those among the newest [`MAX_AT_LOOK`](super::MAX_AT_LOOK).
    pub at: Vec<AtInfo>,
}

/// The other side of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// The peer.
    Peer(Account),
    /// The group, and the user's standing in it.
    Group(Group, Membership),
    /// The system.
    System,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub account: Account,
    /// In which standing.
    pub membership: Membership,
}

/// Which page of a group's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembersRequest {
    /// Of which group.
    pub group: GroupId,
    /// Only those with this role.
    pub role: Option<Role>,
    /// The last page's [`MembersPage::next`]; `None` starts with the first member.
    pub after: Option<ListPosition>,
    /// The most members; 0 is taken for 1.
    pub limit: usize,
}

/// A page of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersPage {
    /// Those of longest standing first.
    pub members: Vec<Member>,
    /// What to ask with for the next page; `None` if this is the last one.
    pub next: Option<ListPosition>,
}

/// A page of a user's groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsPage {
    /// The groups, with the user's standing in each.
    pub groups: Vec<(Group, Membership)>,
    /// What to ask with for the next page; `None` if this is the last one.
    pub next: Option<ListPosition>,
}

/// A page of a user's conversations, all of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationsPage {
    /// Newest first.
    pub conversations: Vec<Conversation>,
    /// For each of them, what to ask with for the page that begins behind it.
    pub next: Vec<ListPosition>,
    /// Whether there are more behind these.
    pub more: bool,
    /// What is unread in these and in all that follow, without the system's notices and without groups whose receive
    /// option is not [`ReceiveOption::ACCEPT_AND_NOTIFY`](tim_proto::ReceiveOption::ACCEPT_AND_NOTIFY).
    pub total_unread: u64,
}

/// Where a page of a list ended: opaque, good for as long as the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListPosition([u8; 16]);

impl ListPosition {
    /// A cursor from an engine's two numbers.
    #[must_use]
    pub fn new(major: u64, minor: u64) -> Self {
        Self((u128::from(major) << 64 | u128::from(minor)).to_be_bytes())
    }

    /// The engine's numbers.
    #[must_use]
    pub fn parts(self) -> (u64, u64) {
        let both = u128::from_be_bytes(self.0);
        let low = both & u128::from(u64::MAX);
        (
            u64::try_from(both >> 64).unwrap_or(u64::MAX),
            u64::try_from(low).unwrap_or(u64::MAX),
        )
    }

    /// The cursor that came back from a client; `None` if it cannot be one. A made-up one starts somewhere in the list.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// For a client to keep.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
