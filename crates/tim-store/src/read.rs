//! Reads: the trait of the reading end, its requests and results.

use std::path::Path;
use std::sync::Arc;

use tim_groups::{Field, FieldScope, Group, Membership, Refused, Restriction};
use tim_proto::conversation::AtInfo;
use tim_proto::{ConversationId, FileId, GroupId, MessageId, Role, UserId};

use super::{
    Account, AllGroups, AllGroupsRequest, Contacts, Entry, Epochs, File, FileContent, FileUsage, Fingerprint,
    GroupStatus, LogKey, Merge, NotStored, PushToken, PushUser, StoreError, StoreStats, Stored,
};

/// The reading end of a store. Each call reads one snapshot, which contains every write whose result was reported before the
/// call.
///
/// Calls block on the disk. From cached pages they take well below a millisecond.
pub trait StoreReader: Send + Sync {
    /// The newest change number; 0 in an empty store. A new device starts here.
    ///
    /// # Errors
    /// The store's, as for every call.
    fn head_change(&self) -> Result<u64, StoreError>;

    /// Registers a callback for fatal errors of reads ([`StoreError::Fatal`]). By default it is never called, for stores whose reads
    /// cannot fail.
    fn on_fatal(&self, callback: Box<dyn Fn(&StoreError) + Send + Sync>) {
        let _ = callback;
    }

    /// What the store has counted, and how large it is. By default nothing is said.
    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    /// Whether the store can be written to now, as far as that shows without a write: for a store that others run and that may be out of
    /// reach for a while. Waits some seconds at most. By default `None`: only a write shows it.
    fn check(&self) -> Option<Result<(), StoreError>> {
        None
    }

    /// Copies all of the store as of one moment into this directory, which exists and has nothing of a store yet: everything of which the
    /// result was reported before the call, and perhaps more. A store that is opened there is one that was restored from an older copy.
    /// Writes go on meanwhile. Takes as long as the store is large.
    ///
    /// # Errors
    /// The store's, or those of the directory. By default a store cannot be copied.
    fn back_up(&self, to: &Path) -> Result<(), StoreError> {
        let _ = to;
        let text = "this store cannot be copied while it is open".to_owned();
        Err(StoreError::NotStored(NotStored::Engine(text)))
    }

    /// The epochs of this store. The last one began when the store was opened; they do not change while it is open.
    fn epochs(&self) -> Arc<Epochs>;

    /// When the newest entry was stored, Unix time in milliseconds; `None` if nothing was ever stored.
    ///
    /// # Errors
    /// The store's.
    fn newest_time_ms(&self) -> Result<Option<u64>, StoreError>;

    /// A page of history, going back from `before`. It contains revoked messages, flagged, but no revocation entries. The page of a
    /// log that does not exist, or of a dismissed group, is empty and completed.
    ///
    /// # Errors
    /// The store's.
    fn page(&self, request: &PageRequest) -> Result<Page, StoreError>;

    /// One entry; `None` if it does not exist, was purged, or belongs to a dismissed group.
    ///
    /// # Errors
    /// The store's.
    fn entry(&self, log: &LogKey, sequence: u64) -> Result<Option<Entry>, StoreError>;

    /// The result of an append with this id, if the id is known: the position at which the same message was stored, or
    /// [`Refused::IdReused`] for another message. `None` if the id was not used, or was purged.
    ///
    /// # Errors
    /// The store's.
    fn stored(
        &self,
        sender: &UserId,
        id: &MessageId,
        fingerprint: Fingerprint,
    ) -> Result<Option<Result<Stored, Refused>>, StoreError>;

    /// The entries of all of a user's conversations after a cursor, in the order of changes. Of a group, those after joining.
    ///
    /// # Errors
    /// The store's.
    fn changes_since(&self, request: &ChangesRequest) -> Result<Changes, StoreError> {
        self.changes_after(request, &mut Merge::default())
    }

    /// The same, in many readings: `merge` is what the one before has left, and a new one at first. The cost of a reading is then that
    /// of what it returns. A merge of another cursor is not used. An engine may leave nothing.
    ///
    /// # Errors
    /// The store's.
    fn changes_after(&self, request: &ChangesRequest, merge: &mut Merge) -> Result<Changes, StoreError>;

    /// A page of a user's conversations, newest first, at most `limit` of them, capped at
    /// [`MAX_CONVERSATIONS`](super::MAX_CONVERSATIONS). Hidden conversations, groups that the user left, and conversations without a
    /// [last message](Conversation::last) are not in it. A conversation's position in the list is that message's change.
    ///
    /// # Errors
    /// The store's.
    fn conversations(
        &self,
        user: &UserId,
        after: Option<ListPosition>,
        limit: usize,
    ) -> Result<ConversationsPage, StoreError>;

    /// One conversation of a user, even if hidden; `None` if it does not exist or the user is not a participant. The conversation
    /// of a group exists before its first entry.
    ///
    /// # Errors
    /// The store's.
    fn conversation(&self, user: &UserId, log: &LogKey) -> Result<Option<Conversation>, StoreError>;

    /// What those of these users have read of a log whose own read marks are before `below`: what was removed is read, and moves no
    /// mark. Users who are not participants are left out.
    ///
    /// # Errors
    /// The store's.
    fn read_states(&self, log: &LogKey, users: &[UserId], below: u64) -> Result<Vec<ReadState>, StoreError>;

    /// A group; `None` if it does not exist or was dismissed.
    ///
    /// # Errors
    /// The store's.
    fn group(&self, group: &GroupId) -> Result<Option<Group>, StoreError>;

    /// A page of a group's members in the order in which they joined, with account numbers to break ties; empty for an unknown
    /// group. Members who join or leave between two pages do not shift the others: each of those is returned once.
    ///
    /// # Errors
    /// The store's.
    fn members_page(&self, request: &MembersRequest) -> Result<MembersPage, StoreError>;

    /// A group's managers, in the order in which they joined.
    ///
    /// # Errors
    /// The store's.
    fn managers(&self, group: &GroupId) -> Result<Vec<Member>, StoreError>;

    /// A group and a user's membership in it, of one snapshot.
    ///
    /// # Errors
    /// The store's.
    fn group_and_membership(
        &self,
        group: &GroupId,
        user: &UserId,
    ) -> Result<Option<(Group, Option<Membership>)>, StoreError>;

    /// A page of all groups that there are.
    ///
    /// # Errors
    /// The store's.
    fn all_groups(&self, request: &AllGroupsRequest) -> Result<AllGroups, StoreError>;

    /// A group and what has happened in it, of one snapshot.
    ///
    /// # Errors
    /// The store's.
    fn group_status(&self, group: &GroupId) -> Result<Option<GroupStatus>, StoreError>;

    /// The users who are muted in a group after this time (Unix time in milliseconds) and the ends of their mutes, at most `limit`, in
    /// the order of their account numbers. They need not be members.
    ///
    /// # Errors
    /// The store's.
    fn muted_users(
        &self,
        group: &GroupId,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<(UserId, u64)>, StoreError>;

    /// The fields of a group, of members, or its attributes: for each of these those that it has, in the order of their names.
    ///
    /// # Errors
    /// The store's.
    fn fields(&self, group: &GroupId, of: &[FieldScope]) -> Result<Vec<Vec<Field>>, StoreError>;

    /// The restriction of a user, who need not be a member. Times in the past are without effect.
    ///
    /// # Errors
    /// The store's.
    fn restriction(&self, group: &GroupId, user: &UserId) -> Result<Restriction, StoreError>;

    /// A user's membership in a group; `None` for a non-member.
    ///
    /// # Errors
    /// The store's.
    fn membership(&self, group: &GroupId, user: &UserId) -> Result<Option<Membership>, StoreError>;

    /// The groups that a user is a member of, in the order of their ids.
    ///
    /// # Errors
    /// The store's.
    fn groups_of(&self, user: &UserId) -> Result<Vec<Group>, StoreError>;

    /// A page of the groups that a user is a member of, in the order of their creation.
    ///
    /// # Errors
    /// The store's.
    fn groups_page(
        &self,
        user: &UserId,
        after: Option<ListPosition>,
        limit: usize,
    ) -> Result<GroupsPage, StoreError>;

    /// The accounts of those users who have one, in the order of the request.
    ///
    /// # Errors
    /// The store's.
    fn accounts(&self, users: &[UserId]) -> Result<Vec<Account>, StoreError>;

    /// A user's account.
    ///
    /// # Errors
    /// The store's.
    fn account(&self, user: &UserId) -> Result<Option<Account>, StoreError>;

    /// From when on UserSigs of a user are good, in Unix seconds; 0 if none was made void.
    ///
    /// # Errors
    /// The store's.
    fn user_sigs_valid_from(&self, user: &UserId) -> Result<u64, StoreError>;

    /// The contacts of a user.
    ///
    /// # Errors
    /// The store's.
    fn contacts(&self, user: &UserId) -> Result<Contacts, StoreError>;

    /// Whether a user may not log in.
    ///
    /// # Errors
    /// The store's.
    fn is_blocked(&self, user: &UserId) -> Result<bool, StoreError>;

    /// When an account that nothing refers to was in use last, Unix time in milliseconds: when it was made, or a later
    /// [`Write::EnsureAccount`](super::Write::EnsureAccount). `None` if there is no account, or something has ever referred to it: a
    /// conversation, a group, a request to join one, a restriction, a profile, a file.
    ///
    /// # Errors
    /// The store's.
    fn unused_since(&self, user: &UserId) -> Result<Option<u64>, StoreError>;

    /// A file; `None` if there is none, or it was removed.
    ///
    /// # Errors
    /// The store's; [`StoreError::Damaged`] if what is stored of it is damaged.
    fn file(&self, file: &FileId) -> Result<Option<File>, StoreError>;

    /// The owner's file with this content. It may be removed at any time, unless its owner
    /// [claims](super::Write::ClaimFile) it.
    ///
    /// # Errors
    /// The store's.
    fn file_with(&self, content: &FileContent) -> Result<Option<File>, StoreError>;

    /// The usage of a user's files.
    ///
    /// # Errors
    /// The store's.
    fn file_usage(&self, owner: &UserId) -> Result<FileUsage, StoreError>;

    /// The files that an entry uses, in no order; none if it is revoked, was purged, or belongs to a dismissed group.
    ///
    /// # Errors
    /// The store's.
    fn files_of(&self, log: &LogKey, sequence: u64) -> Result<Vec<FileId>, StoreError>;

    /// Whether an append of this user that names the file would be stored now. Appends are checked themselves: this is for messages
    /// that are not stored.
    ///
    /// # Errors
    /// The store's.
    fn may_send_file(&self, user: &UserId, file: &FileId) -> Result<bool, StoreError>;

    /// The tokens of push services that a user has registered, oldest first.
    ///
    /// # Errors
    /// The store's.
    fn push_tokens(&self, user: &UserId) -> Result<Vec<PushToken>, StoreError>;

    /// A page of the users with tokens, in the order of their ids: those after `after`, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    fn push_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<PushUser>, StoreError>;

    /// The members of a group who have tokens, in no order.
    ///
    /// # Errors
    /// The store's.
    fn push_members(&self, group: &GroupId) -> Result<Vec<UserId>, StoreError>;
}

/// A request for a page of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// The log.
    pub log: LogKey,
    /// Only entries below this sequence: [`Page::next`] of the page after it. `None` starts at the newest entry.
    pub before: Option<u64>,
    /// Only entries above this sequence: 0, or [`Membership::joined_at`] to hide earlier entries.
    pub after: u64,
    /// The most entries, at least 1.
    pub limit: usize,
    /// The most bytes of content. The first entry is returned even if it has more.
    pub max_bytes: usize,
}

/// A page of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// The smallest sequence that the log still has. Those below are past retention.
    pub first_kept: u64,
    /// Whether there is no entry before this page.
    pub completed: bool,
    /// The value of [`PageRequest::before`] for the page before this one.
    pub next: u64,
}

/// A request for what a device missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangesRequest {
    /// The user of the device.
    pub user: UserId,
    /// The newest change that the device has, as [`Epochs::resume`](super::Epochs::resume) returns it.
    pub cursor: u64,
    /// The most entries, at least 1.
    pub limit: usize,
    /// The most bytes of content. The first entry is returned even if it has more.
    pub max_bytes: usize,
}

/// What a device missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The entries in the order of changes, including revocations.
    pub entries: Vec<ChangeEntry>,
    /// Ranges that were purged before the device received them. Each is returned once.
    pub gaps: Vec<Gap>,
    /// Whether there is more after `cursor`.
    pub more: bool,
    /// The newest change of this result.
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

/// The purged entries of a log that the user could see, whether or not the device has some of them: copies remain valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The log.
    pub log: LogKey,
    /// The first missing sequence.
    pub from: u64,
    /// The last missing sequence.
    pub to: u64,
}

/// A conversation of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The log.
    pub log: LogKey,
    /// The conversation's id for this user.
    pub id: ConversationId,
    /// The newest message, flagged if revoked. Neither a revocation nor an entry flagged
    /// [`NO_LAST`](tim_groups::EntryFlags::NO_LAST). `None` if there is none, or it was purged.
    pub last: Option<Entry>,
    /// The number of kept entries after the read mark, without the user's own, those flagged
    /// [`NO_UNREAD`](tim_groups::EntryFlags::NO_UNREAD) and revoked ones.
    pub unread: u64,
    /// The read mark: the last sequence that is read.
    pub read_sequence: u64,
    /// The sequence of the newest entry of any kind.
    pub head_sequence: u64,
    /// The change of the newest entry.
    pub head_change: u64,
    /// The smallest sequence that the log still has.
    pub first_kept: u64,
    /// Whether the user has hidden it, and no newer entry has arrived.
    pub hidden: bool,
    /// The peer, the group or the system.
    pub about: About,
    /// The newest messages after the read mark that mention this user, oldest first, at most [`MAX_AT`](super::MAX_AT) of the newest
    /// [`MAX_AT_LOOK`](super::MAX_AT_LOOK); without the user's own and revoked ones.
    pub at: Vec<AtInfo>,
}

/// The other side of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// The peer.
    Peer(Account),
    /// The group, and the user's membership.
    Group(Group, Membership),
    /// The system.
    System,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: Account,
    /// The membership.
    pub membership: Membership,
}

/// A request for a page of a group's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembersRequest {
    /// The group.
    pub group: GroupId,
    /// Only members with this role.
    pub role: Option<Role>,
    /// [`MembersPage::next`] of the page before it; `None` for the first page.
    pub after: Option<ListPosition>,
    /// The most members, at least 1.
    pub limit: usize,
}

/// A page of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersPage {
    /// The members, in the order in which they joined.
    pub members: Vec<Member>,
    /// The position of the next page; `None` if this is the last one.
    pub next: Option<ListPosition>,
}

/// A page of a user's groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsPage {
    /// The groups, with the user's membership in each.
    pub groups: Vec<(Group, Membership)>,
    /// The position of the next page; `None` if this is the last one.
    pub next: Option<ListPosition>,
}

/// What a user has read of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadState {
    /// The user.
    pub user: UserId,
    /// The last sequence that is read.
    pub read_sequence: u64,
    /// The unread count.
    pub unread: u64,
    /// The head of the log, up to which the unread count is valid.
    pub counted: u64,
    /// The conversation is hidden in the user's list up to this sequence; 0 if it is not hidden.
    pub deleted_through: u64,
}

/// A page of a user's conversations, of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationsPage {
    /// The conversations, newest first.
    pub conversations: Vec<Conversation>,
    /// For each of them, the position of the page that begins after it.
    pub next: Vec<ListPosition>,
    /// Whether there are more after these.
    pub more: bool,
    /// The total unread count of these and all following conversations, without the system conversation and groups whose receive
    /// option is not [`ReceiveOption::ACCEPT_AND_NOTIFY`](tim_proto::ReceiveOption::ACCEPT_AND_NOTIFY).
    pub total_unread: u64,
}

/// A position in a list: opaque, and valid for as long as the store exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListPosition([u8; 16]);

impl ListPosition {
    /// A position of an engine's two numbers.
    #[must_use]
    pub fn new(major: u64, minor: u64) -> Self {
        Self((u128::from(major) << 64 | u128::from(minor)).to_be_bytes())
    }

    /// The engine's two numbers.
    #[must_use]
    pub fn parts(self) -> (u64, u64) {
        let both = u128::from_be_bytes(self.0);
        let low = both & u128::from(u64::MAX);
        (
            u64::try_from(both >> 64).unwrap_or(u64::MAX),
            u64::try_from(low).unwrap_or(u64::MAX),
        )
    }

    /// Decodes the position of a client; `None` if it is malformed. A forged one is some position in the list.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Encodes the position for a client.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
