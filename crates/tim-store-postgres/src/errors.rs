//! Which of the three classes an error is in: nothing was stored, nobody knows, or the database cannot be trusted.

use tim_store::{NotStored, StoreError};
use tokio_postgres::error::SqlState;

use super::OpenError;
use super::db::Error;

/// An error before a COMMIT was sent: nothing was stored, or the database is damaged.
pub(super) fn plain_error(error: &Error) -> StoreError {
    let text = error.to_string();
    let Some(code) = error.code() else {
        return StoreError::NotStored(NotStored::Engine(text));
    };
    if is_fatal(code) {
        return StoreError::Fatal(text);
    }
    let is_busy = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::OUT_OF_MEMORY,
    ];
    StoreError::NotStored(match code {
        code if *code == SqlState::DISK_FULL => NotStored::DiskFull,
        code if is_busy.contains(code) => NotStored::Busy,
        _ => NotStored::Engine(text),
    })
}

/// An error of a COMMIT. Only what the server does before it writes the commit is known not to be stored.
pub(super) fn commit_error(error: &Error) -> StoreError {
    match error.code() {
        Some(code) if is_fatal(code) => StoreError::Fatal(error.to_string()),
        // A constraint, the isolation, the state of the transaction.
        Some(code)
            if ["23", "25", "40"]
                .iter()
                .any(|class| code.code().starts_with(class)) =>
        {
            plain_error(error)
        }
        _ => StoreError::Unknown(error.to_string()),
    }
}

/// Pages or indexes are damaged. An error of a disk that is written to stops the server: the connection is lost.
fn is_fatal(code: &SqlState) -> bool {
    *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED
}

/// A session cannot be opened again. It may be later.
pub(super) fn not_opened(error: OpenError) -> StoreError {
    StoreError::NotStored(match error {
        OpenError::DiskFull => NotStored::DiskFull,
        error => NotStored::Engine(error.to_string()),
    })
}
