//! Errors of a store.

/// Why a batch or a read failed. The store or its disk is at fault, not the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing was stored. Retrying is safe.
    #[error("not stored: {0}")]
    NotStored(NotStored),
    /// The batch may or may not be stored. Retry **with the same message id**.
    #[error("unknown whether it was stored ({0}); retry with the same message id")]
    Unknown(String),
    /// A part of what is stored is damaged and is not returned; the text says which. The rest can be read. A retry does not help.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store can no longer be trusted: stop the process. A failed fsync is such an error.
    #[error("the store failed and must be reopened: {0}")]
    Fatal(String),
}

/// Why nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotStored {
    /// The disk is full: the operator must free space.
    #[error("the disk is full")]
    DiskFull,
    /// Another program has locked the database.
    #[error("the database is busy")]
    Busy,
    /// The batch has more than [`MAX_BATCH`](super::MAX_BATCH) writes.
    #[error("the batch is too long")]
    BatchTooLong,
    /// Another error of the engine.
    #[error("{0}")]
    Engine(String),
}
