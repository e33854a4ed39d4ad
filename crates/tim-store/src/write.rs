//! The operations that change the store.

use bytes::Bytes;
use tim_groups::{CreateGroup, EntryFlags, GroupCommand, GroupResponse, Refused, SystemEntry};
use tim_proto::{GroupId, MessageId, MessageKind, UserId};

use super::{Entry, Fingerprint, LogKey, StoreError};

/// One operation of a batch. Each is a unit: it happens wholly or, refused, not at all, and it sees the items before it.
#[derive(Debug, Clone)]
pub enum Write {
    /// Makes sure that the user has an account. Answer: [`Written::Account`], the same number each time.
    EnsureAccount(UserId),
    /// Makes sure that all of these users have accounts; refused as a whole for a reserved one. Answer: [`Written::Done`].
    EnsureAccounts(Vec<UserId>),
    /// Stores a user's message. Answer: [`Written::Stored`], or [`Written::Duplicate`] with the first one's place if the
    /// same message was stored before: the same id and the same fingerprint. The same id with another fingerprint is
    /// refused with [`Refused::IdReused`].
    Append(Append),
    /// Stores an entry of the hub's own (tip, notice). Answer: [`Written::Stored`]. It never is a duplicate.
    AppendSystem {
        /// Into which log. A group must exist; other logs are made on demand.
        log: LogKey,
        /// What.
        entry: SystemEntry,
    },
    /// Revokes a message: removes its content for good, marks it and appends the revocation as an entry. Who may do that is
    /// decided inside the transaction. Of several racers one wins. Answer: [`Written::Revoked`].
    Revoke(Revoke),
    /// Moves a user's read mark forward, never backwards. Answer: [`Written::Read`], with zeros for a conversation of two
    /// or of the system that has not begun.
    MarkRead {
        /// Whose mark.
        user: UserId,
        /// In which log.
        log: LogKey,
        /// Up to and with this sequence; `None` is everything there is. More than there is means the same.
        upto: Option<u64>,
    },
    /// Takes a conversation out of one user's list until something newer arrives (S202 to S204). The entries stay, and
    /// count as read. Answer: [`Written::Read`], with zeros when there is no such conversation.
    DeleteConversation {
        /// From whose list.
        user: UserId,
        /// Which.
        log: LogKey,
    },
    /// Creates a group with its members, its first tip and their notices, as one unit. Answer: [`Written::Group`]. The
    /// same owner's request with the same random number, repeated, is answered as the first; another request of the same
    /// owner with the same number is refused with [`Refused::IdReused`].
    CreateGroup(Box<CreateGroup>),
    /// Changes a group as its rules say ([`tim_groups`]), with the tips and the notices that tell of it, as one unit:
    /// decided on what is there inside the transaction. Answer: [`Written::GroupChanged`].
    ChangeGroup(Box<GroupCommand>),
    /// Removes a bounded number of old entries. Answer: [`Written::Purged`].
    Purge(Purge),
    /// Sets a user's shown name and picture; `None` leaves it. Answer: [`Written::Done`].
    SetUserProfile {
        /// Whose.
        user: UserId,
        /// The shown name.
        nick: Option<String>,
        /// The picture's address.
        avatar: Option<String>,
    },
}

/// A user's message on its way into a log.
#[derive(Debug, Clone)]
pub struct Append {
    /// Into which log. A C2C log is made on demand if both users have accounts.
    pub log: LogKey,
    /// Who sends it: must have an account, and be one of the two in a C2C log.
    pub sender: UserId,
    /// The message's id; `id.sender` must be the sender's account number.
    pub id: MessageId,
    /// What tells this message from others under the same id: of the log and of all that the sender wrote.
    pub fingerprint: Fingerprint,
    /// The sending device's number, 0 for none.
    pub origin: u64,
    /// What kind of message it is.
    pub kind: MessageKind,
    /// Flags of the caller's choice; those that only the store sets are ignored.
    pub flags: EntryFlags,
    /// The encoded message, stored and handed out unchanged.
    pub content: Bytes,
    /// In a group: refuse senders who are no members or are muted.
    pub require_membership: bool,
    /// In a group: the members whom the message mentions, at most [`MAX_MENTIONS`](super::MAX_MENTIONS). Others are
    /// passed over, as is the sender.
    pub mentions: Vec<UserId>,
    /// In a group: the message mentions everybody.
    pub mention_all: bool,
}

/// A wish to revoke.
#[derive(Debug, Clone)]
pub struct Revoke {
    /// In which log.
    pub log: LogKey,
    /// Which message.
    pub sequence: u64,
    /// Who wants it. The message must be one that this user sees: their own, or, where they manage the group, that of a
    /// sender with a lower role.
    pub by: UserId,
    /// How old a user's own message may be by the store's clock, in milliseconds; exactly that old is not too old.
    pub window_ms: u64,
    /// How old a message may be for those who manage the group, their own messages included.
    pub manager_window_ms: u64,
    /// Why, maybe empty.
    pub reason: String,
    /// The sending device's number, 0 for none.
    pub origin: u64,
    /// The revocation entry's id; its `sender` field is ignored, `by`'s account number is used.
    pub id: MessageId,
    /// The revocation entry's content.
    pub content: Bytes,
}

/// A bounded step of forgetting. Heads, sequences and read marks survive; so do the message ids, for as long as a resend
/// may come.
#[derive(Debug, Clone, Copy)]
pub struct Purge {
    /// Entries stored before this time (unix ms) go.
    pub older_than_ms: u64,
    /// Message ids made and stored before this time (unix ms) are forgotten: a resend of one of them would be stored again.
    pub forget_ids_before_ms: u64,
    /// Restrictions that ended before this time (unix ms) are forgotten.
    pub over_before_ms: u64,
    /// The most rows to remove in this step.
    pub budget: u32,
}

/// Where an entry came to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its place in its log.
    pub sequence: u64,
    /// Its place in the order of changes.
    pub change: u64,
    /// When, unix time in milliseconds.
    pub time_ms: u64,
}

/// The answer to a [`Write`] that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Written {
    /// The account and its number (`tinyID`).
    Account {
        /// The number.
        number: u64,
    },
    /// The entry was stored, here.
    Stored(Stored),
    /// The message had been stored before, there.
    Duplicate(Stored),
    /// The message is revoked.
    Revoked {
        /// Where the revocation entry stands.
        entry: Stored,
        /// This user had revoked it before; nothing was changed now.
        already: bool,
    },
    /// The read mark now.
    Read {
        /// Everything up to and with this sequence is read.
        read_sequence: u64,
        /// What is not.
        unread: u64,
        /// The head of the log when that was counted.
        counted: u64,
        /// The conversation is out of the user's list up to and with this sequence; 0 if it is in the list.
        deleted_through: u64,
    },
    /// The group exists.
    Group {
        /// It was created by this request; otherwise by an earlier one of the same content.
        created: bool,
    },
    /// The group is as was asked.
    GroupChanged(GroupChanged),
    /// What a purge step removed.
    Purged {
        /// How many entries.
        entries: u64,
        /// How many message ids.
        ids: u64,
        /// Whether the budget ended it: there may be more to remove.
        more: bool,
    },
    /// Done, nothing to tell.
    Done,
}

impl Written {
    /// Of a conversation that does not exist there is nothing to read.
    pub const NOTHING_TO_READ: Self = Self::Read {
        read_sequence: 0,
        unread: 0,
        counted: 0,
        deleted_through: 0,
    };
}

/// What came of a [`GroupCommand`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChanged {
    /// For who asked.
    pub response: GroupResponse,
    /// For those who are in the AVChatRoom now: tips into it, and notices to each. Not stored.
    pub live: Vec<SystemEntry>,
}

/// An entry that has become durable, for the hub's fan-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// In which log.
    pub log: LogKey,
    /// The entry.
    pub entry: Entry,
    /// Who came and went in a group with this change: applies before the entry is handed out.
    pub roster: Option<Box<RosterChange>>,
    /// For a revocation: the revoked message as it is now. What still waits to be handed out of it is to be replaced by this.
    pub revoked: Option<Box<Entry>>,
}

/// Who came into a group and who left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterChange {
    /// Which group.
    pub group: GroupId,
    /// Members now.
    pub joined: Vec<UserId>,
    /// Members no more.
    pub left: Vec<UserId>,
    /// The group is no more; `left` does not name its members.
    pub dismissed: bool,
}

impl RosterChange {
    /// Nobody came, nobody went.
    #[must_use]
    pub const fn of(group: GroupId) -> Self {
        Self {
            group,
            joined: Vec::new(),
            left: Vec::new(),
            dismissed: false,
        }
    }
}

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Commit {
    /// One answer per item, in the batch's order.
    pub results: Vec<Result<Written, Refused>>,
    /// The new entries, in the order of changes.
    pub published: Vec<Published>,
}

/// The one writer of a store.
pub trait StoreWriter: Send {
    /// Applies up to [`MAX_BATCH`](super::MAX_BATCH) items as **one** durable transaction and returns when it is
    /// durable. `now_ms` (unix time) is the time of the entries and the clock of the revocation window.
    ///
    /// # Errors
    /// See [`StoreError`]: after [`StoreError::NotStored`] none of the batch is stored. A refused item is no error.
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError>;
}

impl<S: StoreWriter + ?Sized> StoreWriter for Box<S> {
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        (**self).commit(now_ms, batch)
    }
}
