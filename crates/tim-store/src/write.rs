//! Writes, their results, and the trait of the writing end.

use std::time::Duration;

use bytes::Bytes;
use tim_groups::{CreateGroup, EntryFlags, GroupCommand, GroupDelta, GroupResponse, Refused, SystemEntry};
use tim_proto::request::PushPlatform;
use tim_proto::{FileId, GroupId, MessageId, MessageKind, UserId};

use super::{
    AddFile, ChangeContacts, Elsewhere, Entry, File, Fingerprint, ImportMessages, LogKey, PushUser,
    RegisterPush, RemoveFiles, StoreError,
};

/// One write of a batch. It is applied as a whole or, if refused, not at all, and it sees the writes before it.
#[derive(Debug, Clone)]
pub enum Write {
    /// Creates the user's account if it does not exist; one that exists is [in use](super::StoreReader::unused_since). Result:
    /// [`Written::Account`].
    EnsureAccount(UserId),
    /// Creates the accounts that do not exist; refused as a whole for a reserved user id. Result: [`Written::Done`].
    EnsureAccounts(Vec<UserId>),
    /// Creates the accounts that do not exist, then applies the write, which sees them: both are stored, or, if the store fails,
    /// neither. The accounts stay if the write is refused. Result: that of the write.
    WithAccounts {
        /// The users; refused for a reserved user id.
        users: Vec<UserId>,
        /// The write.
        write: Box<Self>,
    },
    /// Stores a user's message. Result: [`Written::Stored`], or [`Written::Duplicate`] if the same message (same id, same
    /// fingerprint) was stored before. The same id with another fingerprint is refused with [`Refused::IdReused`].
    Append(Append),
    /// Stores a system entry (tip, notice). Result: [`Written::Stored`]. It is never a duplicate.
    AppendSystem {
        /// The log. A group must exist; other logs are created on demand.
        log: LogKey,
        /// The entry.
        entry: SystemEntry,
    },
    /// Revokes a message: removes its content for good, flags it, and appends the revocation as an entry. Permissions are checked
    /// inside the transaction; of concurrent revocations one succeeds. The revocation is an entry of kind
    /// [`REVOCATION`](MessageKind::REVOCATION), sent by the revoker and flagged [`EntryFlags::SYSTEM`], [`EntryFlags::NO_UNREAD`] and
    /// [`EntryFlags::NO_LAST`]. Result: [`Written::Revoked`].
    Revoke(Revoke),
    /// Moves a user's read mark forward, never backward. Result: [`Written::Read`], with zeros for a C2C or system conversation
    /// without entries.
    MarkRead {
        /// The user.
        user: UserId,
        /// The log.
        log: LogKey,
        /// The last sequence that is read. `None`, or one beyond the log's head, is the head.
        upto: Option<u64>,
    },
    /// Hides a conversation in one user's list until a newer entry arrives. The entries stay, and count as read. Result:
    /// [`Written::Read`], with zeros if the conversation does not exist or the user is not a participant.
    DeleteConversation {
        /// The user.
        user: UserId,
        /// The log.
        log: LogKey,
    },
    /// Creates a group with its members, its first tip and their notices. Result: [`Written::Group`]. A repeated request (same
    /// group id, owner, random number and [`Fingerprint::of_group`]) has the same result; one with another fingerprint is refused with
    /// [`Refused::IdReused`]. The id of any other group, dismissed ones included, is refused with [`Refused::IdInUse`], and a member or
    /// a receiver of a notice without an account with [`Refused::NoSuchUser`].
    CreateGroup(Box<CreateGroup>),
    /// Applies a command to a group, with its tips and notices. [`tim_groups::decide`] runs inside the transaction. Result:
    /// [`Written::GroupChanged`].
    ChangeGroup(Box<GroupCommand>),
    /// Stores messages of a group from another system, each with its own time, and moves the read marks of all members to the newest
    /// entry. A message is stored as [`Append`](Self::Append) does it, without a check of its sender's membership and without a
    /// quota; one that is refused does not stop the others. Refused as a whole if there is no such group, or its messages are not
    /// stored. Result: [`Written::Imported`].
    ImportMessages(Box<ImportMessages>),
    /// Moves a member's read mark of a group, also backward, so that as many messages are unread as are asked for, or all that there
    /// are; at most [`MAX_SET_UNREAD`](super::MAX_SET_UNREAD). Result: [`Written::Read`].
    SetUnread {
        /// The member.
        user: UserId,
        /// The group.
        group: GroupId,
        /// The unread count.
        unread: u64,
    },
    /// Says whether a user may not log in. The account is kept from now on. Refused with [`Refused::NoSuchUser`] if there is none. Result:
    /// [`Written::Done`].
    Block {
        /// The user.
        user: UserId,
        /// Whether it is so.
        is_blocked: bool,
    },
    /// Removes a bounded number of old entries. Result: [`Written::Purged`].
    Purge(Purge),
    /// Makes the UserSigs of a user void that were issued before this time, in Unix seconds; an earlier time than the one that holds
    /// changes nothing, unless that one is still to come, as after a wall clock that was ahead. Result: [`Written::Done`].
    VoidUserSigs {
        /// The user.
        user: UserId,
        /// The time.
        before_s: u64,
    },
    /// Deletes an account: its profile, its tokens of push services, its contacts and those that others have of it, and the
    /// UserSigs issued before this time. To
    /// [`accounts`](super::StoreReader::accounts) there is none, until [`EnsureAccount`](Self::EnsureAccount) opens it again, with the same
    /// number: messages, memberships and files are kept as they are. Result: [`Written::Done`].
    DeleteAccount {
        /// The user.
        user: UserId,
        /// UserSigs issued before this time, in Unix seconds, are void.
        before_s: u64,
    },
    /// Changes the contacts of users: all of these lists or, if one change is refused, none. Refused with [`Refused::NoSuchUser`],
    /// [`Refused::ContactsChanged`], [`Refused::TooManyContacts`] or [`Refused::TooLarge`]. Result: [`Written::Done`].
    ChangeContacts(Vec<ChangeContacts>),
    /// Sets a user's nick and picture; `None` leaves a field unchanged. Result: [`Written::Done`].
    SetUserProfile {
        /// The user.
        user: UserId,
        /// The nick.
        nick: Option<String>,
        /// The address of the picture.
        avatar: Option<String>,
    },
    /// Stores a file; its content must be in its place already, and durable. If the owner has a file with the same content, that one
    /// is [claimed](Self::ClaimFile), and the content under the new id is not needed. The check of the quota and the storing are one
    /// transaction, so that files stored at the same time cannot exceed the quota together. Refused with
    /// [`Refused::TooManyFiles`] or [`Refused::TooManyFileBytes`] beyond it, and with [`Refused::IdReused`] if the id is that of
    /// another file. Result: [`Written::File`].
    AddFile(Box<AddFile>),
    /// Claims a file of a user: the user is about to send it, so it stays for as long as a new one, even if its last use ends
    /// meanwhile. Decided in one order with [`RemoveFiles`](Self::RemoveFiles): either it stays, or it is refused. Refused with
    /// [`Refused::NoSuchFile`] if it is not there, or is another user's. Result: [`Written::File`].
    ClaimFile {
        /// The user.
        owner: UserId,
        /// The file.
        file: FileId,
    },
    /// Removes files that nothing uses, decided in one order with all appends that name them: no file is removed that an acknowledged
    /// entry uses, and an append that comes later is refused. Durable when it is answered; the contents are the caller's to remove
    /// then. Result: [`Written::FilesRemoved`].
    RemoveFiles(RemoveFiles),
    /// Registers a token of a push service for a user. A token belongs to one user: whoever had it before does not have it any more, in
    /// either form. Of more than [`MAX_PUSH_TOKENS`](super::MAX_PUSH_TOKENS) the user's oldest is removed. A user with the first token is to be notified
    /// of what comes later. Refused with [`Refused::TextTooLong`] if the token is empty or too long. Result: [`Written::PushRegistered`].
    RegisterPush(Box<RegisterPush>),
    /// Removes a token of a user, in either form, if the user has it: with a number, only if it has that number, so that nobody loses one
    /// that was registered anew. Result: [`Written::Done`].
    UnregisterPush {
        /// The user.
        user: UserId,
        /// The push service.
        platform: PushPlatform,
        /// The token.
        token: String,
        /// The same token as the application has written it, if that is another form.
        written: Option<String>,
        /// Its [number](super::PushToken::number).
        number: Option<u64>,
    },
    /// Users were notified of everything through these changes. A number that is smaller than the one before changes nothing, and users
    /// without tokens are left out. Result: [`Written::Done`].
    Pushed(Vec<PushUser>),
}

impl Write {
    /// The user whose doing it is; `None` if it is the hub's.
    #[must_use]
    pub fn author(&self) -> Option<UserId> {
        let user = match self {
            Self::EnsureAccount(user) | Self::MarkRead { user, .. } | Self::SetUnread { user, .. } => user,
            Self::DeleteConversation { user, .. } | Self::SetUserProfile { user, .. } => user,
            Self::WithAccounts { write, .. } => return write.author(),
            Self::Append(append) => &append.sender,
            Self::Revoke(revoke) => &revoke.by,
            Self::CreateGroup(create) => &create.group.owner,
            Self::ChangeGroup(command) => &command.actor,
            Self::AddFile(add) => &add.file.owner,
            Self::ClaimFile { owner, .. } => owner,
            Self::RegisterPush(register) => &register.user,
            Self::UnregisterPush { user, .. } => user,
            Self::EnsureAccounts(_)
            | Self::AppendSystem { .. }
            | Self::ImportMessages(_)
            | Self::VoidUserSigs { .. }
            | Self::DeleteAccount { .. }
            | Self::ChangeContacts(_)
            | Self::Block { .. }
            | Self::Purge(_)
            | Self::RemoveFiles(_)
            | Self::Pushed(_) => return None,
        };
        (*user != UserId::SYSTEM).then_some(*user)
    }
}

/// A user's message to be stored.
#[derive(Debug, Clone)]
pub struct Append {
    /// The log. A C2C log is created on demand if both users have accounts. A message to a system log is refused with
    /// [`Refused::NotParticipant`], one to a group of a type whose messages are not stored
    /// ([`TypeRules::is_stored`](tim_groups::rules::TypeRules::is_stored)) with [`Refused::NotAllowed`].
    pub log: LogKey,
    /// The sender, who must have an account, and in a C2C log be one of the two users.
    pub sender: UserId,
    /// The message id. `id.sender` must be the sender's account number.
    pub id: MessageId,
    /// Distinguishes this message from others with the same id.
    pub fingerprint: Fingerprint,
    /// The number of the sending device; 0 for none.
    pub origin: u64,
    /// The message kind.
    pub kind: MessageKind,
    /// The flags. Those that are set by the store only are ignored. In a group of a type that counts nothing as unread
    /// ([`TypeRules::counts_unread`](tim_groups::rules::TypeRules::counts_unread)), the store adds [`EntryFlags::NO_UNREAD`].
    pub flags: EntryFlags,
    /// The encoded message. It is stored and returned unchanged.
    pub content: Bytes,
    /// In a group: whether to check that the sender is a member and not muted.
    pub require_membership: bool,
    /// In a group: the mentioned members, at most [`MAX_MENTIONS`](super::MAX_MENTIONS). Users who are not members, and the sender,
    /// are ignored.
    pub mentions: Vec<UserId>,
    /// In a group: whether the message mentions all members.
    pub mention_all: bool,
    /// What the sender's account may take up. A message beyond it is refused with [`Refused::TooMuchStored`] or
    /// [`Refused::TooManyConversations`]; one that was stored before is not.
    pub quota: Quota,
    /// The files that the message names, at most [`MAX_FILES`](super::MAX_FILES). The entry uses them from the moment it is stored
    /// until it is revoked or removed, or its group is dismissed. A message is refused with [`Refused::FileNotYours`] if one of them
    /// is not there, or the sender neither owns it nor is a participant who sees an entry that uses it.
    pub files: Vec<FileId>,
}

/// What an account may take up of a store. Each message says what holds for it: the store counts, and compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The most bytes of kept entries that the account has made. Each counts [`ENTRY_BYTES`](super::ENTRY_BYTES), and that of a
    /// message the bytes of its content until it is revoked. Entries of the system count for nobody.
    pub bytes: u64,
    /// The most one-to-one conversations that the account has begun, with the first message.
    pub conversations: u64,
}

impl Quota {
    /// No limit.
    pub const NONE: Self = Self {
        bytes: u64::MAX,
        conversations: u64::MAX,
    };

    /// What an entry of a user counts for in the user's account.
    #[must_use]
    pub const fn cost(flags: EntryFlags, content_len: usize) -> u64 {
        let has_content = !flags.contains(EntryFlags::SYSTEM) && !flags.contains(EntryFlags::REVOKED);
        match has_content {
            true => super::ENTRY_BYTES.saturating_add(content_len as u64),
            false => super::ENTRY_BYTES,
        }
    }
}

/// A request to revoke a message.
#[derive(Debug, Clone)]
pub struct Revoke {
    /// The log.
    pub log: LogKey,
    /// The message's sequence.
    pub sequence: u64,
    /// The revoker. The message must be visible to this user, and be the user's own or, for a manager of the group, that of a
    /// sender with a lower role.
    pub by: UserId,
    /// Whether the revoker is an administrator of the application, who need not be a participant and may revoke every message of any
    /// age. The user must have an account.
    pub as_administrator: bool,
    /// The largest age of a user's own message, inclusive, in milliseconds.
    pub window_ms: u64,
    /// The largest age for managers of the group. For their own messages, the larger of the two windows applies.
    pub manager_window_ms: u64,
    /// The reason; may be empty.
    pub reason: String,
    /// The number of the sending device; 0 for none.
    pub origin: u64,
    /// The id of the revocation entry. Its `sender` is replaced by the revoker's account number.
    pub id: MessageId,
    /// The content of the revocation entry. The store appends the revoker's name card or nick to it, as the extension
    /// [`tags::REVOKER_NAME`](tim_proto::message::tags::REVOKER_NAME), unless both are empty.
    pub content: Bytes,
}

/// A bounded step of retention. The last one of a round, which leaves nothing to remove, also removes for good what was revoked. Heads and sequences are kept, and message ids for as long as a resend may come. What is
/// removed counts as read.
#[derive(Debug, Clone, Copy)]
pub struct Purge {
    /// Entries stored before this time (Unix time in milliseconds) are removed.
    pub older_than_ms: u64,
    /// Message ids made and stored before this time (Unix time in milliseconds) are removed, unless their messages are kept. A later
    /// resend would be stored again.
    pub forget_ids_before_ms: u64,
    /// Restrictions that ended at or before this time (Unix time in milliseconds) are removed.
    pub over_before_ms: u64,
    /// Accounts that nothing has ever referred to, and that were in use last before this time (Unix time in milliseconds), are removed.
    pub unused_before_ms: u64,
    /// The most entries and message ids to remove.
    pub budget: u32,
    /// After how long the step ends, though it removes a little in any case; `None` if the budget alone ends it, so that equal steps
    /// remove the same.
    pub time: Option<Duration>,
}

impl Purge {
    /// A step that finds nothing to remove, to begin with.
    pub const NONE: Self = Self {
        older_than_ms: 0,
        forget_ids_before_ms: 0,
        over_before_ms: 0,
        unused_before_ms: 0,
        budget: u32::MAX,
        time: None,
    };
}

/// What a purge step has removed from a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurgedLog {
    /// The log.
    pub log: LogKey,
    /// The last sequence that was removed.
    pub through: u64,
    /// Whether the log's last message was removed, so that the conversation is in nobody's list until a newer one.
    pub last: bool,
}

/// The position of a stored entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its position in its log.
    pub sequence: u64,
    /// Its position in the order of changes.
    pub change: u64,
    /// When it was stored, Unix time in milliseconds.
    pub time_ms: u64,
}

/// The result of a [`Write`] that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Written {
    /// The account exists.
    Account {
        /// The account number (`tinyID`).
        number: u64,
    },
    /// The entry was stored.
    Stored(Stored),
    /// The message had been stored before, at this position.
    Duplicate(Stored),
    /// The message had been stored before, at this position, and has been revoked: this is what is left of it.
    DuplicateOfRevoked(Stored, Box<Entry>),
    /// The message is revoked.
    Revoked {
        /// The position of the revocation entry.
        entry: Stored,
        /// The user had revoked it before; nothing was changed.
        already: bool,
    },
    /// The read mark after the write.
    Read {
        /// The last sequence that is read.
        read_sequence: u64,
        /// The unread count.
        unread: u64,
        /// The head of the log at that moment.
        counted: u64,
        /// The conversation is hidden in the user's list up to this sequence; 0 if it is not hidden.
        deleted_through: u64,
    },
    /// The group exists.
    Group {
        /// Whether this write created it. Otherwise an earlier one with the same content did.
        created: bool,
    },
    /// The command was applied.
    GroupChanged(GroupChanged),
    /// The messages were imported, or refused, each by itself.
    Imported(Vec<Result<Stored, Refused>>),
    /// A purge step was done.
    Purged {
        /// The number of removed entries.
        entries: u64,
        /// The number of removed message ids.
        ids: u64,
        /// The number of removed accounts.
        accounts: u64,
        /// Whether the budget or the time was used up, so that there may be more to remove.
        more: bool,
        /// The logs from which entries were removed.
        logs: Vec<PurgedLog>,
    },
    /// The file is there.
    File {
        /// The file: the one that the owner had already, if there was one.
        file: Box<File>,
        /// Whether this write stored it.
        is_new: bool,
    },
    /// Files were removed.
    FilesRemoved {
        /// Their ids.
        files: Vec<FileId>,
        /// Whether there may be more.
        more: bool,
    },
    /// The token is registered.
    PushRegistered {
        /// The change through which the user was notified.
        pushed: u64,
    },
    /// Done, without further information.
    Done,
}

impl Written {
    /// The read mark of a conversation that does not exist.
    pub const NOTHING_TO_READ: Self = Self::Read {
        read_sequence: 0,
        unread: 0,
        counted: 0,
        deleted_through: 0,
    };
}

/// The result of a [`GroupCommand`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChanged {
    /// The result for the actor.
    pub response: GroupResponse,
    /// Entries for the users who are in the AVChatRoom now. They are not stored.
    pub live: Vec<SystemEntry>,
    /// What has changed; `None` if nothing has, as when a command is repeated.
    pub delta: Option<Box<GroupDelta>>,
}

/// A durable entry, for the hub's fan-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The log.
    pub log: LogKey,
    /// The entry; `None` if only the members of a group have changed, and nobody is told.
    pub entry: Option<Entry>,
    /// The change of the group's members that came with this entry. It applies before the entry is delivered.
    pub roster: Option<Box<RosterChange>>,
    /// For a revocation: the revoked message as it is now. It replaces undelivered copies of the message.
    pub revoked: Option<Box<Entry>>,
}

/// A change of a group's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterChange {
    /// The group.
    pub group: GroupId,
    /// New members.
    pub joined: Vec<UserId>,
    /// Members who left.
    pub left: Vec<UserId>,
    /// Whether the group was dismissed. `left` does not name its members then.
    pub dismissed: bool,
    /// The last sequence of the group's log before the change.
    pub sequence: u64,
}

impl RosterChange {
    /// No change.
    #[must_use]
    pub const fn of(group: GroupId) -> Self {
        Self {
            group,
            joined: Vec::new(),
            left: Vec::new(),
            dismissed: false,
            sequence: 0,
        }
    }
}

/// The result of a batch.
#[derive(Debug, Default)]
pub struct Commit {
    /// One result per write, in the order of the batch.
    pub results: Vec<Result<Written, Refused>>,
    /// The new entries, in the order of changes.
    pub published: Vec<Published>,
    /// What other hubs have written since the last commit. It comes before this one.
    pub elsewhere: Vec<Elsewhere>,
}

/// The writing end of a store. There is one in a hub.
pub trait StoreWriter: Send {
    /// Applies up to [`MAX_BATCH`](super::MAX_BATCH) writes as one transaction, and returns when it is durable. `now_ms` (Unix time)
    /// is the time of the entries, and the time by which ages are measured.
    ///
    /// # Errors
    /// See [`StoreError`]; after [`StoreError::NotStored`] nothing of the batch is stored. A refused write is not an error. With an
    /// empty batch it only says what other hubs have written.
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError>;
}

impl<S: StoreWriter + ?Sized> StoreWriter for Box<S> {
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        (**self).commit(now_ms, batch)
    }
}
