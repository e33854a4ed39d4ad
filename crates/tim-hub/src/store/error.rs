//! What can go wrong, and what to do then.

use tim_proto::{GroupId, UserId};

/// Why the store refused one operation; nothing of it was stored and its neighbours were not touched. The request is at
/// fault, and sending it again gives the same answer (but for [`Refused::TooLate`]'s age).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is no account of this name.
    #[error("there is no user {0}")]
    NoSuchUser(UserId),
    /// The name belongs to the system.
    #[error("{0} is reserved for the system")]
    ReservedUser(UserId),
    /// There is no group of this name.
    #[error("there is no group {0}")]
    NoSuchGroup(GroupId),
    /// Another group has this name (TIM code 10025).
    #[error("the group id {0} is in use")]
    IdInUse(GroupId),
    /// The user is no member of the group, or none of the two users of the conversation.
    #[error("{0} takes no part in this conversation")]
    NotParticipant(UserId),
    /// Nobody has written in this conversation yet.
    #[error("there is no such conversation")]
    NoSuchConversation,
    /// There is no such message, or it fell out of retention (10030).
    #[error("there is no such message")]
    NotFound,
    /// The message is somebody else's, or the system's (10032).
    #[error("the message is not the user's own")]
    NotYours,
    /// The message is too old to be revoked (20016, 10031).
    #[error("the message is {age_ms} ms old, it can be revoked for {window_ms} ms")]
    TooLate {
        /// How old the message is.
        age_ms: u64,
        /// How old it may be.
        window_ms: u64,
    },
    /// Somebody else revoked it before.
    #[error("the message was revoked by {0}")]
    AlreadyRevoked(UserId),
    /// The message id names another account than the sender's.
    #[error("the message id does not carry the sender's account number")]
    ForeignId,
    /// The content has more than [`MAX_CONTENT`](super::MAX_CONTENT) bytes.
    #[error("the content has {len} bytes, at most {max} are stored")]
    TooLarge {
        /// How many it has.
        len: usize,
        /// How many are allowed.
        max: usize,
    },
}

/// Why a whole batch, or a read, failed. The store or its disk is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Certainly nothing was stored; trying again is safe.
    #[error("not stored: {0}")]
    NotStored(NotStored),
    /// Maybe stored, maybe not: try again **with the same message id**.
    #[error("unknown whether it was stored ({0}); retry with the same message id")]
    Unknown(String),
    /// The store cannot be trusted any more: stop the process. A failed fsync is one of these.
    #[error("the store failed and must be reopened: {0}")]
    Fatal(String),
}

/// Why nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotStored {
    /// The disk is full: the operator must make room.
    #[error("the disk is full")]
    DiskFull,
    /// Another program holds the database: wait.
    #[error("the database is busy")]
    Busy,
    /// The batch has more than [`MAX_BATCH`](super::MAX_BATCH) items.
    #[error("the batch is too long")]
    BatchTooLong,
    /// Anything else, in the engine's words.
    #[error("{0}")]
    Engine(String),
}
