//! What can go wrong, and what to do then.

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
