//! Logs, entries and accounts.

use std::fmt;

use bytes::Bytes;
use tim_groups::EntryFlags;
use tim_groups::tips::UserNames;
use tim_proto::{ConversationId, GroupId, MessageId, MessageKind, UserId};

/// Two users in a fixed order, so that their conversation has one key. A note to oneself is a pair of the same user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    low: UserId,
    high: UserId,
}

impl Pair {
    /// The pair of two users, given in any order.
    #[must_use]
    pub fn new(a: UserId, b: UserId) -> Self {
        if a <= b {
            Self { low: a, high: b }
        } else {
            Self { low: b, high: a }
        }
    }

    /// Both users, in ascending order.
    #[must_use]
    pub const fn users(&self) -> (UserId, UserId) {
        (self.low, self.high)
    }

    /// The peer of `user`; `None` if `user` is not in the pair.
    #[must_use]
    pub fn peer_of(&self, user: &UserId) -> Option<UserId> {
        if self.low == *user {
            Some(self.high)
        } else if self.high == *user {
            Some(self.low)
        } else {
            None
        }
    }
}

/// The key of a log: a [`ConversationId`] independent of whose it is.
///
/// ```
/// use tim_store::LogKey;
/// use tim_proto::{ConversationId, UserId};
/// let (alice, bob) = (UserId::new("alice")?, UserId::new("bob")?);
/// let log = LogKey::of(alice, ConversationId::C2c(bob));
/// assert_eq!(log, LogKey::of(bob, ConversationId::C2c(alice)));
/// assert_eq!(log.seen_by(&bob), Some(ConversationId::C2c(alice)));
/// # Ok::<(), tim_proto::IdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogKey {
    /// The conversation of two users.
    C2c(Pair),
    /// The conversation of a group.
    Group(GroupId),
    /// The notices of one user.
    System(UserId),
}

impl LogKey {
    /// The log of `user`'s conversation.
    #[must_use]
    pub fn of(user: UserId, conversation: ConversationId) -> Self {
        match conversation {
            ConversationId::C2c(peer) => Self::C2c(Pair::new(user, peer)),
            ConversationId::Group(group) => Self::Group(group),
            _ => Self::System(user),
        }
    }

    /// The log of two users.
    #[must_use]
    pub fn c2c(a: UserId, b: UserId) -> Self {
        Self::C2c(Pair::new(a, b))
    }

    /// The conversation of this log for `user`; `None` if the user cannot have it.
    #[must_use]
    pub fn seen_by(&self, user: &UserId) -> Option<ConversationId> {
        match self {
            Self::C2c(pair) => pair.peer_of(user).map(ConversationId::C2c),
            Self::Group(group) => Some(ConversationId::Group(*group)),
            Self::System(owner) => (owner == user).then_some(ConversationId::System),
        }
    }
}

impl fmt::Display for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::C2c(pair) => write!(f, "C2C{}+{}", pair.low, pair.high),
            Self::Group(group) => write!(f, "GROUP{group}"),
            Self::System(user) => write!(f, "@TIM#SYSTEM+{user}"),
        }
    }
}

/// The account number (`tinyID`) of the store's `n`-th account.
#[must_use]
pub const fn account_number(n: u64) -> u64 {
    ACCOUNT_BASE.saturating_add(n)
}

const ACCOUNT_BASE: u64 = 144_115_200_000_000_000;
/// The account number of the system sender, a constant of the vendor's SDK.
pub const SYSTEM_NUMBER: u64 = 144_115_198_244_471_703;

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its position in its log, from 1, without gaps.
    pub sequence: u64,
    /// Its position in the store's order of changes.
    pub change: u64,
    /// When it was stored, Unix time in milliseconds.
    pub time_ms: u64,
    /// The sender; [`UserId::SYSTEM`] for tips and notices.
    pub sender: UserId,
    /// The message id, made by the sender.
    pub id: MessageId,
    /// The number of the sending device; 0 for none.
    pub origin: u64,
    /// The flags.
    pub flags: EntryFlags,
    /// The message kind. A [`REVOCATION`](MessageKind::REVOCATION) is part of the log and of the changes, but of no
    /// history page.
    pub kind: MessageKind,
    /// The encoded message, as the sender encoded it; of a revoked message what remains
    /// ([`Content::revoked`](tim_proto::message::Content::revoked)).
    pub content: Bytes,
}

impl Entry {
    /// Whether the message was revoked.
    #[must_use]
    pub const fn is_revoked(&self) -> bool {
        self.flags.contains(EntryFlags::REVOKED)
    }
}

/// A user's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: UserId,
    /// The account number (`tinyID`). It never changes and is never reused.
    pub number: u64,
    /// The nick; may be empty.
    pub nick: String,
    /// The address of the picture; may be empty.
    pub avatar: String,
}

impl From<Account> for UserNames {
    fn from(account: Account) -> Self {
        Self {
            nick: account.nick,
            name_card: String::new(),
            avatar: account.avatar,
        }
    }
}
